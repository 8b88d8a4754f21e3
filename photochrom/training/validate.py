"""Score a generator on the photographs set aside for validation, and draw them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from photochrom import color, metrics
from photochrom.training.config import Config
from photochrom.training.discriminators import PatchGAN
from photochrom.training.generators import Generator
from photochrom.training.losses import told_apart
from photochrom.training.step import at_size, painted, true_colors

VIVID = 0.6
"""The share of the truth's mean chroma at which generators are compared."""
SHARPENED = 0.6
"""Temperature of vividness 1 and 2."""
COLORFULNESS = (0.74, 1.02)
"""Colorfulness at vividness 1 and 2, as a share of the truth's."""
GREYISH = 0.05
"""Answers with a smaller share of the truth's mean chroma are nearly grey."""


@torch.no_grad()
def answers(generator: Generator, luma: Tensor, temperature: float) -> Tensor:
    """Predict ``(N, 2, S, S)`` chroma for ``(N, 1, S, S)`` luma in small batches, and bring it to the CPU."""
    generator.eval()
    device = next(generator.parameters()).device
    parts = []
    for part in torch.split(luma, 32):
        chroma = generator.decode(generator(part.to(device)).float(), temperature)
        if chroma.shape[2:] != part.shape[2:]:
            chroma = F.interpolate(chroma, part.shape[2:], mode="bilinear", align_corners=False)
        parts.append(chroma.cpu())
    return torch.cat(parts)


def score(generator: Generator, held: tuple[Tensor, Tensor], temperature: float) -> dict[str, float]:
    """Measure a generator on held photographs.

    Returns:
        ``grey`` and ``disparity``: mean absolute RGB difference in percent, of grey and of the answer at the temperature;
        ``chroma``: the answer's mean chroma magnitude as a share of the truth's; and ``score``: the disparity after chroma is
        scaled to 60 % of the truth's magnitude, so that a dull and a vivid generator compare fairly. Lower is better.
    """
    luma, chroma = held
    answer = answers(generator, luma, temperature)
    share = float(_magnitude(answer) / _magnitude(chroma))
    vivid = answer * (VIVID / max(share, 0.05))
    return {
        "score": _disparity(luma, vivid, chroma),
        "disparity": _disparity(luma, answer, chroma),
        "grey": _disparity(luma, 0 * chroma, chroma),
        "chroma": share,
    }


@torch.no_grad()
def held_accuracy(generator: Generator, discriminator: PatchGAN, held: tuple[Tensor, Tensor], config: Config) -> float:
    """Give the share of patches that a discriminator tells apart on held photographs, without noise or augmentation."""
    generator.eval()
    discriminator.eval()
    device = next(generator.parameters()).device
    total = 0.0
    for luma, chroma in zip(*(torch.split(part.to(device), 32) for part in held), strict=True):
        prediction = generator(luma)
        fake = at_size(painted(generator, prediction, config.temperature), luma)
        true = at_size(true_colors(generator, luma, chroma, prediction), luma)
        scores = discriminator(luma, true), discriminator(luma, fake)
        total += float(told_apart(config.adversarial_loss, *scores)) * len(luma)
    generator.train()
    discriminator.train()
    return total / len(held[0])


def sample_sheet(generator: Generator, held: tuple[Tensor, Tensor], path: Path, *, temperature: float, count: int = 24) -> None:
    """Save a sheet of the first held photographs: grey, generated, truth, four photographs to a row."""
    luma, chroma = (part[:count] for part in held)
    answer = answers(generator, luma, temperature)
    triples = []
    for plane, guess, truth in zip(luma.numpy(), answer.numpy(), chroma.numpy(), strict=True):
        triples.append(np.concatenate([color.join(plane[0], c) for c in (np.zeros_like(truth), guess, truth)], 1))
    while len(triples) % 4:
        triples.append(np.full_like(triples[0], 255))
    rows = [np.concatenate(triples[i : i + 4], 1) for i in range(0, len(triples), 4)]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(rows)).save(path, quality=90)


def _magnitude(chroma: Tensor) -> Tensor:
    return chroma.square().sum(1).sqrt().mean()


def _disparity(luma: Tensor, answer: Tensor, truth: Tensor) -> float:
    def rgb(chroma: Tensor) -> Tensor:
        return torch.cat(color.ycbcr_to_rgb(luma, chroma[:, :1], chroma[:, 1:]), 1).clamp(0, 1)

    return float((rgb(answer) - rgb(truth)).abs().mean() * 100)


def calibrate(generator: Generator, held: tuple[Tensor, Tensor]) -> tuple[tuple[float, float], ...]:
    """Find the temperature and the chroma gain of vividness 0, 1 and 2 on held photographs.

    0 is the expected chroma as it is. 1 and 2 sharpen the distribution a little and scale chroma until the colorfulness
    (Hasler & Suesstrunk 2003) of all photographs together reaches the share of the truth's in ``COLORFULNESS``.
    """
    luma, chroma = held
    rows = [(1.0, 1.0)]
    target = colorfulness(luma, chroma)
    answer = answers(generator, luma, SHARPENED)
    for share in COLORFULNESS:
        low, high = 0.5, 4.0
        for _ in range(12):
            gain = (low + high) / 2
            reached = colorfulness(luma, answer * gain) / target
            low, high = (gain, high) if reached < share else (low, gain)
        rows.append((SHARPENED, round((low + high) / 2, 3)))
    return tuple(rows)


def colorfulness(luma: Tensor, chroma: Tensor) -> float:
    """Average the colorfulness of photographs, brought inside the gamut (Hasler & Suesstrunk 2003), in units of 0..255."""
    values = []
    for plane, planes in zip(luma.numpy(), chroma.numpy(), strict=True):
        factor = color.headroom(plane[0], planes[0], planes[1], minimum=np.minimum, maximum=np.maximum)
        values.append(metrics.colorfulness(color.join(plane[0], planes * factor)))
    return float(np.mean(values))
