"""Take one training step: a batch in, named losses out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import Tensor
from torch.nn import functional as F

from photochrom import color
from photochrom.training import regularizers
from photochrom.training.config import Config, Stage
from photochrom.training.losses import BinCrossEntropy, Perceptual, discriminator_loss, generator_loss, told_apart
from photochrom.training.networks.discriminators import PatchGAN
from photochrom.training.networks.generators import BinGenerator, Generator


@dataclass(frozen=True)
class Networks:
    """All that learns, with what it learns by."""

    generator: Generator
    average: Generator
    """The exponential moving average of the generator, which ships."""
    discriminator: PatchGAN
    generator_optimizer: torch.optim.Optimizer
    discriminator_optimizer: torch.optim.Optimizer
    bins: BinCrossEntropy | None
    perceptual: Perceptual | None


Losses = dict[str, Tensor]


def step(
    fabric: Fabric,
    networks: Networks,
    batch: Sequence[Tensor],
    *,
    config: Config,
    stage: Stage,
    images_seen: int = 0,
    parts: int = 1,
) -> Losses:
    """Update the networks that the stage trains, the discriminator first.

    Args:
        fabric: gives the precision and averages gradients over processes.
        networks: what learns; changed in place.
        batch: this process's rows: ``(N, 1, H, W)`` float32 luma in [0, 1]; ``(N, 2, H, W)`` float32 chroma in [-0.5, 0.5],
            the truth; and what the generator sees besides luma: hints and palettes, or nothing.
        config: weights of the losses.
        stage: which networks learn.
        images_seen: where the run stood before this step, in crops.
        parts: the rows are computed in so many equal parts, whose gradients are added up.

    Returns:
        Detached scalars of this process, means over the parts: ``bins``, ``l1``, ``perceptual`` and ``adversarial`` of the
        generator and their weighted sum ``generator``; ``real`` and ``fake`` of the discriminator, its penalties ``r1`` and
        ``gradient_penalty``, and ``accuracy``, the share of patches that it tells apart; ``grad_generator`` and
        ``grad_discriminator``, the norms of the gradients.
    """
    pieces = list(zip(*(torch.chunk(tensor, parts) for tensor in batch), strict=True))
    generator, discriminator = networks.generator, networks.discriminator
    if stage.kind == "generator":
        losses, norm = _update(
            fabric, networks.generator_optimizer, generator.parameters(),
            [partial(_supervised_loss, fabric, networks, piece, config) for piece in pieces], clip=config.clip,
        )  # fmt: skip
        return losses | {"grad_generator": norm}
    learns = generator_learns(config, stage, images_seen)
    painted_once: list[_Painted] = []

    def critic(piece: Sequence[Tensor]) -> tuple[Losses, Tensor]:
        # With several parts the generator paints again below: the graphs of all would fill the memory.
        colors = _paint(fabric, networks, piece, config, learns=learns and parts == 1)
        painted_once[:] = [colors]
        return _critic_loss(fabric, networks, piece[0], colors, config=config, images_seen=images_seen)

    def adversary(piece: Sequence[Tensor]) -> tuple[Losses, Tensor]:
        colors = painted_once.pop() if parts == 1 else _paint(fabric, networks, piece, config, learns=True)
        return _adversarial_loss(fabric, networks, piece, colors, config=config, images_seen=images_seen)

    discriminator.requires_grad_(True)
    losses, norm = _update(
        fabric, networks.discriminator_optimizer, discriminator.parameters(),
        [partial(critic, piece) for piece in pieces], clip=0,
    )  # fmt: skip
    losses["grad_discriminator"] = norm
    if learns:
        discriminator.requires_grad_(False)
        found, norm = _update(
            fabric, networks.generator_optimizer, generator.parameters(),
            [partial(adversary, piece) for piece in pieces], clip=config.clip,
        )  # fmt: skip
        losses |= found | {"grad_generator": norm}
    return losses


def generator_learns(config: Config, stage: Stage, images_seen: int) -> bool:
    """Return whether the generator is updated in the step that begins at ``images_seen``."""
    if stage.kind == "adversarial":
        return (images_seen // config.batch + 1) % config.critic_steps == 0
    return stage.kind == "generator"


def painted(generator: Generator, prediction: Tensor, temperature: float) -> Tensor:
    """Return what the losses and the discriminator see of a prediction: RGB where it is a picture, else its chroma."""
    return prediction.float() if generator.rgb else generator.decode(prediction.float(), temperature)


def true_colors(generator: Generator, luma: Tensor, chroma: Tensor, grid: Tensor) -> Tensor:
    """Return the true colors as the generator paints them: RGB, or chroma at the scale of ``grid``."""
    return torch.cat(color.ycbcr_to_rgb(luma, chroma[:, :1], chroma[:, 1:]), 1) if generator.rgb else _at_scale(chroma, grid)


@dataclass(frozen=True)
class _Painted:
    """What the generator made of luma, and the truth beside it."""

    prediction: Tensor
    """As the generator gives it: logits, chroma or RGB."""
    fake: Tensor
    """As the discriminator sees it, at the size of the luma."""
    true: Tensor


def _paint(fabric: Fabric, networks: Networks, batch: Sequence[Tensor], config: Config, *, learns: bool) -> _Painted:
    luma, chroma, *guides = batch
    generator = networks.generator
    with fabric.autocast(), torch.set_grad_enabled(learns):
        prediction = generator(luma, *guides)
        fake = at_size(painted(generator, prediction, config.temperature), luma)
    return _Painted(prediction, fake, at_size(true_colors(generator, luma, chroma, prediction), luma))


def _critic_loss(
    fabric: Fabric, networks: Networks, luma: Tensor, colors: _Painted, *, config: Config, images_seen: int
) -> tuple[Losses, Tensor]:
    discriminator, kind = networks.discriminator, config.adversarial_loss
    show = partial(regularizers.shown, config=config, images_seen=images_seen)
    real_pair, fake_pair = show(luma, colors.true), show(luma, colors.fake.detach())
    with fabric.autocast():
        real_score, fake_score = discriminator(*real_pair).float(), discriminator(*fake_pair).float()
        real, wrong = discriminator_loss(kind, real_score, fake_score, target=config.real_target)
    losses = {"real": real, "fake": wrong, "accuracy": told_apart(kind, real_score, fake_score)}
    total = real + wrong
    if config.r1 and images_seen // config.batch % config.r1_every == 0:
        losses["r1"] = regularizers.r1(discriminator, *real_pair)
        total = total + config.r1 / 2 * config.r1_every * losses["r1"]
    if config.gradient_penalty:
        losses["gradient_penalty"] = regularizers.gradient_penalty(discriminator, real_pair, fake_pair)
        total = total + config.gradient_penalty * losses["gradient_penalty"]
    # Halved, penalties and all, as pix2pix has it: the ratios of the papers stay.
    return losses, total / 2


def _adversarial_loss(
    fabric: Fabric, networks: Networks, batch: Sequence[Tensor], colors: _Painted, *, config: Config, images_seen: int
) -> tuple[Losses, Tensor]:
    luma, chroma, *_ = batch
    losses: Losses = {}
    with fabric.autocast():
        seen = regularizers.shown(luma, colors.fake, config=config, images_seen=images_seen)
        losses["adversarial"] = generator_loss(config.adversarial_loss, networks.discriminator(*seen).float())
        if networks.perceptual is not None:
            losses["perceptual"] = networks.perceptual(luma, colors.fake, colors.true)
    losses["l1"] = 255 * (colors.fake - colors.true).abs().mean()
    total = config.adversarial_weight * losses["adversarial"] + config.l1_weight / 255 * losses["l1"]
    if "perceptual" in losses:
        total = total + config.perceptual_weight * losses["perceptual"]
    if config.bins_weight and networks.bins is not None:
        positions = _positions(colors.prediction, config.positions)
        rows = colors.prediction.float().flatten(2)[:, :, positions].transpose(1, 2)
        losses["bins"] = networks.bins(rows, _rows(chroma, colors.prediction)[:, positions])
        total = total + config.bins_weight * losses["bins"]
    losses["generator"] = total
    return losses, total


def _supervised_loss(fabric: Fabric, networks: Networks, batch: Sequence[Tensor], config: Config) -> tuple[Losses, Tensor]:
    luma, chroma, *guides = batch
    generator = networks.generator
    losses: Losses = {}
    total = torch.zeros((), device=luma.device)
    with fabric.autocast():
        if config.bins_weight and networks.bins is not None and isinstance(generator, BinGenerator):
            features = generator.features(luma, *guides)
            positions = _positions(features, config.positions)
            rows, true = generator.logits_at(features, positions).float(), _rows(chroma, features)[:, positions]
            losses["bins"] = networks.bins(rows, true)
            if config.l1_weight:
                mean = torch.softmax(rows / config.temperature, -1) @ generator.bins
                losses["l1"] = 255 * (mean - true).abs().mean()
        else:
            answer = painted(generator, generator(luma, *guides), config.temperature)
            losses["l1"] = 255 * (answer - true_colors(generator, luma, chroma, answer)).abs().mean()
    if "l1" in losses:
        total = total + config.l1_weight / 255 * losses["l1"]
    if "bins" in losses:
        total = total + config.bins_weight * losses["bins"]
    losses["generator"] = total
    return losses, total


def set_rates(networks: Networks, stage: Stage, share: float) -> None:
    """Set the learning rates to a share of the stage's."""
    for optimizer, peak in (
        (networks.generator_optimizer, stage.rate),
        (networks.discriminator_optimizer, stage.critic_rate),
    ):
        for group in optimizer.param_groups:
            group["lr"] = peak * share * group["share"]


def update_average(networks: Networks, decay: float) -> None:
    """Move the averaged weights toward the generator's by ``1 - decay``; buffers are copied."""
    with torch.no_grad():
        ours: list[Tensor] = list(networks.average.parameters())
        theirs: list[Tensor] = list(networks.generator.parameters())
        torch._foreach_lerp_(ours, theirs, 1 - decay)
        for mine, its in zip(networks.average.buffers(), networks.generator.buffers(), strict=True):
            mine.copy_(its)


def _update(
    fabric: Fabric,
    optimizer: torch.optim.Optimizer,
    parameters: Iterable[Tensor],
    parts: Sequence[Callable[[], tuple[Losses, Tensor]]],
    *,
    clip: float,
) -> tuple[Losses, Tensor]:
    """Follow the gradients of the mean loss of some parts of a batch.

    Returns:
        The detached means of the named losses, and the norm of the gradients over all processes, before clipping.
    """
    optimizer.zero_grad()
    means: Losses = {}
    for part in parts:
        losses, total = part()
        fabric.backward(total / len(parts))
        for name, value in losses.items():
            share = value.detach() / len(parts)
            means[name] = means[name] + share if name in means else share
    used = [p for p in parameters if p.grad is not None]
    gradients = [p.grad for p in used if p.grad is not None]
    if fabric.world_size > 1:
        flat: Any = fabric.all_reduce(torch.cat([g.flatten() for g in gradients]), reduce_op="mean")
        for gradient, piece in zip(gradients, torch.split(flat, [g.numel() for g in gradients]), strict=True):
            gradient.copy_(piece.view_as(gradient))
    norm = torch.nn.utils.get_total_norm(gradients)
    if clip:
        torch.nn.utils.clip_grads_with_norm_(used, clip, norm)
    optimizer.step()
    return means, norm


def _positions(grid: Tensor, count: int) -> Tensor:
    """Choose flat positions of a feature map, the same for all of the batch."""
    return torch.randperm(grid.shape[2] * grid.shape[3])[:count].to(grid.device)


def _rows(chroma: Tensor, grid: Tensor) -> Tensor:
    """Return the true chroma at a feature map's scale as ``(N, h * w, 2)``."""
    return _at_scale(chroma, grid).flatten(2).transpose(1, 2)


def _at_scale(chroma: Tensor, grid: Tensor) -> Tensor:
    return F.interpolate(chroma, grid.shape[2:], mode="area") if chroma.shape[2:] != grid.shape[2:] else chroma


def at_size(chroma: Tensor, luma: Tensor) -> Tensor:
    """Bring colors to the size of the luma."""
    if chroma.shape[2:] == luma.shape[2:]:
        return chroma
    return F.interpolate(chroma, luma.shape[2:], mode="bilinear", align_corners=False)
