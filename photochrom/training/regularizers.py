"""Regularize the training of a conditional GAN: small pieces that combine, and a table of them by name.

All random numbers come from ``layers.draw``, so that many processes give the losses of one, and a resumed run the losses of an
uninterrupted one.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from photochrom.errors import ConfigError
from photochrom.training.config import Config, Stage
from photochrom.training.networks.layers import draw

Score = Callable[[Tensor, Tensor], Tensor]
"""A discriminator: luma and colors in, scores out."""

REGULARIZERS: dict[str, dict[str, Any]] = {
    "none": {},
    # Srivastava et al. 2014; in the generator as Isola et al. 2017 have it, in the discriminator in all layers but the first.
    "dropout-g": {"generator_dropout": 0.5},
    "dropout-d": {"discriminator_dropout": 0.3},
    # Isola et al. 2017, eq. 4, where lambda is 100.
    "l1-0": {"l1_weight": 0.0},
    "l1-1": {"l1_weight": 1.0},
    "l1-10": {"l1_weight": 10.0},
    "l1-100": {"l1_weight": 100.0},
    "l1-1000": {"l1_weight": 1000.0},
    # Loshchilov & Hutter 2019, decoupled from the gradient.
    "weight-decay": {"weight_decay": 0.01},
    # Ioffe & Szegedy 2015; Ulyanov et al. 2016; both networks.
    "norm-batch": {"generator_normalization": "batch", "discriminator_normalization": "batch"},
    "norm-instance": {"generator_normalization": "instance", "discriminator_normalization": "instance"},
    "norm-none": {"generator_normalization": "none", "discriminator_normalization": "none"},
    # Miyato et al. 2018, whose discriminator is not normalized otherwise: batch norm would undo any scale.
    "spectral-d": {"spectral": "discriminator", "discriminator_normalization": "none"},
    "spectral-both": {"spectral": "both", "discriminator_normalization": "none"},
    # Mescheder et al. 2018, eq. 9, gamma 10.
    "r1": {"r1": 10.0, "discriminator_normalization": "none"},
    # Gulrajani et al. 2017, algorithm 1: lambda 10, five batches to the discriminator for each of the generator.
    "wgan-gp": {
        "adversarial_loss": "wgan", "gradient_penalty": 10.0, "critic_steps": 5, "discriminator_normalization": "none",
    },
    # Salimans et al. 2016, section 3.4, only on true photographs.
    "label-smoothing": {"adversarial_loss": "bce", "real_target": 0.9},
    # Sonderby et al. 2017, section 3.2; Arjovsky & Bottou 2017, section 3.
    "instance-noise": {"instance_noise": 0.1, "instance_noise_share": 0.5},
    # Zhao et al. 2020, without its color operations, which would leak into the colors that the generator paints.
    "diffaugment": {"augment": True},
    # Heusel et al. 2017: a rate for each network; here four times the generator's usual 2e-4.
    "ttur": {"critic_rate": 8e-4},
    # Yazici et al. 2019.
    "ema": {"ema": 0.999},
    # Prechelt 1998, by the validation score.
    "early-stopping": {"patience": 5},
}  # fmt: skip
"""Settings by the name of the regularizer, over a plain baseline such as the preset ``plain``."""


def apply(table: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Combine regularizers with a configuration.

    Args:
        table: a configuration as nested tables, which stays as it is.
        names: keys of ``REGULARIZERS``; a learning rate is set in every stage.

    Raises:
        ConfigError: if a name is unknown, or two regularizers want different values of one setting.
    """
    rates = {field.name for field in dataclasses.fields(Stage)}
    result: dict[str, Any] = dict(table) | {"stages": [dict(stage) for stage in table.get("stages", [])]}
    owners: dict[str, str] = {}
    for name in names:
        if name not in REGULARIZERS:
            close = difflib.get_close_matches(name, REGULARIZERS, n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(close)}?" if close else f"expected one of {', '.join(REGULARIZERS)}"
            raise ConfigError(f"unknown regularizer '{name}'; {hint}")
        for key, value in REGULARIZERS[name].items():
            other = owners.setdefault(key, name)
            if REGULARIZERS[other][key] != value:
                raise ConfigError(
                    f"the regularizers '{other}' and '{name}' contradict each other: {key} would be "
                    f"{REGULARIZERS[other][key]} and {value}; choose one"
                )
            for target in result["stages"] if key in rates else [result]:
                target[key] = value
    return result


def shown(luma: Tensor, colors: Tensor, *, config: Config, images_seen: int) -> tuple[Tensor, Tensor]:
    """Return what the discriminator sees of a photograph: noise on its colors, then translation and cutout, if configured.

    Args:
        luma: ``(N, 1, H, W)`` in [0, 1].
        colors: ``(N, C, H, W)`` chroma or RGB; gradients flow through.
        config: which of both, and how strong.
        images_seen: where the run stands, in crops.
    """
    deviation = noise_deviation(config, images_seen)
    if deviation:
        colors = colors + deviation * draw(torch.randn, colors.shape, colors.device)
    if not config.augment:
        return luma, colors
    both = translate_and_cut(torch.cat([luma, colors], 1))
    return both[:, :1], both[:, 1:]


def noise_deviation(config: Config, images_seen: int) -> float:
    """Return the standard deviation of the instance noise, which falls linearly to 0 (Sonderby et al. 2017, section 3.2)."""
    return config.instance_noise * max(0.0, 1 - images_seen / (config.instance_noise_share * config.images))


def translate_and_cut(pictures: Tensor) -> Tensor:
    """Shift each picture by up to an eighth of its sides and blank a square of half its height (Zhao et al. 2020, section 4).

    All channels of a picture move together. What comes in at the rim and the square are 0; other values stay what they are.
    """
    count, _, height, width = pictures.shape
    share = draw(torch.rand, (count, 4), pictures.device)
    rows = torch.arange(height, device=pictures.device)
    columns = torch.arange(width, device=pictures.device)
    row, inside_rows = _moved(rows, share[:, 0])
    column, inside_columns = _moved(columns, share[:, 1])
    moved = pictures[torch.arange(count, device=pictures.device)[:, None, None], :, row[:, :, None], column[:, None]]
    cut = _near(rows, share[:, 2], height // 4)[:, :, None] & _near(columns, share[:, 3], height // 4)[:, None]
    keep = inside_rows[:, :, None] & inside_columns[:, None] & ~cut
    return moved.permute(0, 3, 1, 2) * keep[:, None]


def _moved(places: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
    """Find where each place of a shifted line comes from, and which places come from inside."""
    most = len(places) // 8
    source = places - ((share * (2 * most + 1)).long() - most)[:, None]
    return source.clamp(0, len(places) - 1), (source >= 0) & (source < len(places))


def _near(places: Tensor, share: Tensor, reach: int) -> Tensor:
    center = (share * len(places)).long()[:, None]
    return (places >= center - reach) & (places < center + reach)


def r1(discriminator: Score, luma: Tensor, colors: Tensor) -> Tensor:
    """Average the squared gradient of the discriminator on true colors (Mescheder et al. 2018, eq. 9, without gamma / 2).

    A photograph's score is the mean over its patches; the gradient is by its colors, which are all that the generator can move.
    """
    return _slopes(discriminator, luma, colors).square().mean()


def gradient_penalty(discriminator: Score, real: tuple[Tensor, Tensor], fake: tuple[Tensor, Tensor]) -> Tensor:
    """Average the squared distance of the gradient's norm from 1 between true and generated (Gulrajani et al. 2017, eq. 3).

    Args:
        discriminator: maps luma and colors to scores, whose mean over the patches counts.
        real: luma ``(N, 1, H, W)`` and true colors ``(N, C, H, W)``.
        fake: the same, generated.
    """
    share = draw(torch.rand, (len(real[0]), 1, 1, 1), real[0].device)
    luma, colors = (torch.lerp(one, other, share) for one, other in zip(real, fake, strict=True))
    return (_slopes(discriminator, luma, colors) - 1).square().mean()


def _slopes(discriminator: Score, luma: Tensor, colors: Tensor) -> Tensor:
    """Return the norm of each photograph's gradient by its colors, ``(N,)``, itself differentiable."""
    colors = colors.detach().requires_grad_(True)
    score = discriminator(luma.detach(), colors).mean((1, 2, 3)).sum()
    (gradient,) = torch.autograd.grad(score, colors, create_graph=True)
    return (gradient.square().sum((1, 2, 3)) + 1e-12).sqrt()


def normalize_spectrum(network: nn.Module) -> None:
    """Divide each convolution's weights by their largest singular value (Miyato et al. 2018, eq. 8).

    The value comes from one power iteration at each pass in training.
    """
    for module in _convolutions(network):
        parametrizations.spectral_norm(module)


def release_spectrum(network: nn.Module) -> None:
    """Turn weights with a normalized spectrum into plain ones of the same values; call it in evaluation mode."""
    for module in _convolutions(network):
        if parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight")


def _convolutions(network: nn.Module) -> list[nn.Module]:
    return [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)]
