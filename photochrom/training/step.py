"""Take one training step: a batch in, named losses out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import Tensor
from torch.nn import functional as F

from photochrom.training.config import Config, Stage
from photochrom.training.discriminators import PatchGAN
from photochrom.training.generators import BinGenerator, Generator
from photochrom.training.losses import BinCrossEntropy, Perceptual, discriminator_loss, generator_loss


@dataclass(frozen=True)
class Networks:
    """All that learns, with what it learns by."""

    generator: Generator
    average: Generator
    """The exponential moving average of the generator, which ships."""
    discriminator: PatchGAN
    generator_optimizer: torch.optim.Optimizer
    discriminator_optimizer: torch.optim.Optimizer
    bins: BinCrossEntropy
    perceptual: Perceptual | None


Losses = dict[str, Tensor]


def step(fabric: Fabric, networks: Networks, luma: Tensor, chroma: Tensor, *, config: Config, stage: Stage) -> Losses:
    """Update the networks that the stage trains, the discriminator first.

    Args:
        fabric: gives the precision and averages gradients over processes.
        networks: what learns; changed in place.
        luma: ``(N, 1, H, W)`` float32 in [0, 1], this process's rows of the batch.
        chroma: ``(N, 2, H, W)`` float32 in [-0.5, 0.5], the truth.
        config: weights of the losses.
        stage: which networks learn.

    Returns:
        Detached scalars of this process: ``bins``, ``l1``, ``perceptual`` and ``adversarial`` of the generator, ``real`` and
        ``fake`` of the discriminator, and ``accuracy``, the share of patches that the discriminator tells apart.
    """
    if stage.kind == "generator":
        return _supervised_step(fabric, networks, luma, chroma, config=config)
    generator, discriminator = networks.generator, networks.discriminator
    learns = stage.kind == "adversarial"
    with fabric.autocast(), torch.set_grad_enabled(learns):
        prediction = generator(luma)
        fake = _resize(generator.decode(prediction.float(), config.temperature), luma)
    true = _resize(_at_scale(chroma, prediction), luma)

    discriminator.requires_grad_(True)
    with fabric.autocast():
        real_score, fake_score = discriminator(luma, true).float(), discriminator(luma, fake.detach()).float()
        real, wrong = discriminator_loss(config.adversarial_loss, real_score, fake_score)
    threshold = 0.5 if config.adversarial_loss == "lsgan" else 0.0
    accuracy = ((real_score > threshold).float().mean() + (fake_score <= threshold).float().mean()) / 2
    _update(fabric, networks.discriminator_optimizer, discriminator.parameters(), (real + wrong) / 2, clip=0)
    losses = {"real": real, "fake": wrong, "accuracy": accuracy}
    if learns:
        discriminator.requires_grad_(False)
        with fabric.autocast():
            losses["adversarial"] = generator_loss(config.adversarial_loss, discriminator(luma, fake).float())
            if networks.perceptual is not None:
                losses["perceptual"] = networks.perceptual(luma, fake, true)
        losses["l1"] = 255 * (fake - true).abs().mean()
        total = config.adversarial_weight * losses["adversarial"] + config.l1_weight / 255 * losses["l1"]
        if "perceptual" in losses:
            total = total + config.perceptual_weight * losses["perceptual"]
        if config.bins_weight:
            positions = _positions(prediction, config.positions)
            rows = prediction.float().flatten(2)[:, :, positions].transpose(1, 2)
            losses["bins"] = networks.bins(rows, _rows(chroma, prediction)[:, positions])
            total = total + config.bins_weight * losses["bins"]
        _update(fabric, networks.generator_optimizer, generator.parameters(), total, clip=config.clip)
    return {name: value.detach() for name, value in losses.items()}


def _supervised_step(fabric: Fabric, networks: Networks, luma: Tensor, chroma: Tensor, *, config: Config) -> Losses:
    generator = networks.generator
    losses: Losses = {}
    total = torch.zeros((), device=luma.device)
    with fabric.autocast():
        if config.bins_weight and not config.l1_weight and isinstance(generator, BinGenerator):
            features = generator.features(luma)
            positions = _positions(features, config.positions)
            rows = generator.logits_at(features, positions).float()
            losses["bins"] = networks.bins(rows, _rows(chroma, features)[:, positions])
        else:
            prediction = generator(luma)
            if config.bins_weight:
                rows = prediction.float().flatten(2).transpose(1, 2)
                losses["bins"] = networks.bins(rows, _rows(chroma, prediction))
            answer = generator.decode(prediction.float(), config.temperature)
            losses["l1"] = 255 * (answer - _at_scale(chroma, answer)).abs().mean()
            total = total + config.l1_weight / 255 * losses["l1"]
    if "bins" in losses:
        total = total + config.bins_weight * losses["bins"]
    _update(fabric, networks.generator_optimizer, generator.parameters(), total, clip=config.clip)
    return {name: value.detach() for name, value in losses.items()}


def update_average(networks: Networks, decay: float) -> None:
    """Move the averaged weights toward the generator's by ``1 - decay``; buffers are copied."""
    with torch.no_grad():
        ours: list[Tensor] = list(networks.average.parameters())
        theirs: list[Tensor] = list(networks.generator.parameters())
        torch._foreach_lerp_(ours, theirs, 1 - decay)
        for mine, its in zip(networks.average.buffers(), networks.generator.buffers(), strict=True):
            mine.copy_(its)


def _update(
    fabric: Fabric, optimizer: torch.optim.Optimizer, parameters: Iterable[Tensor], loss: Tensor, *, clip: float
) -> None:
    optimizer.zero_grad()
    fabric.backward(loss)
    used = [p for p in parameters if p.grad is not None]
    gradients = [p.grad for p in used if p.grad is not None]
    if fabric.world_size > 1:
        flat: Any = fabric.all_reduce(torch.cat([g.flatten() for g in gradients]), reduce_op="mean")
        for gradient, part in zip(gradients, torch.split(flat, [g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))
    if clip:
        torch.nn.utils.clip_grad_norm_(used, clip)
    optimizer.step()


def _positions(grid: Tensor, count: int) -> Tensor:
    """Choose flat positions of a feature map, the same for all of the batch."""
    return torch.randperm(grid.shape[2] * grid.shape[3])[:count].to(grid.device)


def _rows(chroma: Tensor, grid: Tensor) -> Tensor:
    """Give the true chroma at a feature map's scale as ``(N, h * w, 2)``."""
    return _at_scale(chroma, grid).flatten(2).transpose(1, 2)


def _at_scale(chroma: Tensor, grid: Tensor) -> Tensor:
    return F.interpolate(chroma, grid.shape[2:], mode="area") if chroma.shape[2:] != grid.shape[2:] else chroma


def _resize(chroma: Tensor, luma: Tensor) -> Tensor:
    if chroma.shape[2:] == luma.shape[2:]:
        return chroma
    return F.interpolate(chroma, luma.shape[2:], mode="bilinear", align_corners=False)
