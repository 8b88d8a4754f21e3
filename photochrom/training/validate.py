"""Score a generator on the photographs set aside for validation, and draw them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from photochrom import color
from photochrom.training.config import Config, Stage
from photochrom.training.data import hint_sampling
from photochrom.training.losses import told_apart
from photochrom.training.networks.discriminators import PatchGAN
from photochrom.training.networks.generators import BinGenerator, Generator
from photochrom.training.step import Networks, at_size, painted, true_colors

VIVID = 0.6
"""The share of the truth's mean chroma at which generators are compared."""
TEMPERATURE = 1.0
"""That of every vividness: the expected chroma has the best frontier (docs/model-card.md)."""
CAST, FAINT = 0.6, 0.0125
"""How little of the gain a photograph's mean chroma gets, and the magnitude that is halved (``color.enliven``)."""
COLORFULNESS = (0.74, 1.02)
"""Colorfulness at vividness 1 and 2, as a share of the truth's."""
GREYISH = 0.05
"""Answers with a smaller share of the truth's mean chroma are nearly grey."""
HINT_COUNTS = (1, 3, 10, 50)
HINTED_PHOTOGRAPHS = 64
"""Numbers of hints, and of photographs, with which a validation measures what hints are worth."""
NEAR = 10.0
"""CIE76 color difference up to which an answer counts as right where confidence is calibrated."""
KNOTS = 16
"""Points of the curve that turns the share of the likeliest bin into confidence."""


@torch.no_grad()
def answers(generator: Generator, luma: Tensor, temperature: float, *, hints: Tensor | None = None) -> Tensor:
    """Predict ``(N, 2, S, S)`` chroma for ``(N, 1, S, S)`` luma in small batches, and bring it to the CPU.

    ``hints`` are ``(N, 3, S, S)``, for a generator that takes them.
    """
    generator.eval()
    device = next(generator.parameters()).device
    parts = []
    shown = [torch.split(planes, 32) for planes in (luma, hints) if planes is not None]
    for part, *guides in zip(*shown, strict=True):
        chroma = generator.decode(generator(part.to(device), *(guide.to(device) for guide in guides)).float(), temperature)
        if chroma.shape[2:] != part.shape[2:]:
            chroma = F.interpolate(chroma, part.shape[2:], mode="bilinear", align_corners=False)
        parts.append(chroma.cpu())
    return torch.cat(parts)


def validate(
    networks: Networks, sets: dict[str, tuple[Tensor, Tensor]], config: Config, stage: Stage, *, collapsed: bool
) -> dict[str, float]:
    """Score the averaged generator on sets of photographs, and the discriminator where it plays.

    Args:
        networks: what is trained.
        sets: luma and chroma by the prefix of their scores' names; the set without a prefix is the one that counts.
        config: what is trained.
        stage: which networks learn.
        collapsed: whether the discriminator's loss was near 0 in the last line of the log.

    Returns:
        What ``score`` gives of each set; with hints ``hint_gains``; ``held_accuracy`` where the discriminator plays;
        ``alarm_grey``, 1 if the answers are nearly grey, and ``alarm_collapse``, 1 if ``collapsed``.
    """
    scores = {
        prefix + name: value
        for prefix, held in sets.items()
        for name, value in score(networks.average, held, config.temperature).items()
    }
    held = sets[""]
    if config.hints:
        scores |= hint_gains(networks.average, held)
    if stage.kind != "generator":
        scores["held_accuracy"] = held_accuracy(networks.generator, networks.discriminator, held, config)
    scores["alarm_collapse"] = float(collapsed)
    scores["alarm_grey"] = float(scores["chroma"] < GREYISH)
    return scores


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


def hint_gains(generator: Generator, held: tuple[Tensor, Tensor]) -> dict[str, float]:
    """Measure what hints are worth on the first held photographs, after the protocol of Zhang et al. 2017, section 4.1.

    Random patches of 7 in 256 pixels show their mean chroma; what is compared is the expected chroma, at temperature 1.

    Returns:
        ``psnr``: mean PSNR of RGB without hints, in dB; ``gain_1`` to ``gain_50``: what so many hints add to it.
    """
    luma, chroma = (part[:HINTED_PHOTOGRAPHS] for part in held)
    scores = {"psnr": _psnr(luma, answers(generator, luma, 1.0), chroma)}
    for count in HINT_COUNTS:
        hints = torch.stack([hint_sampling.points(planes.numpy(), count, seed=index) for index, planes in enumerate(chroma)])
        scores[f"gain_{count}"] = _psnr(luma, answers(generator, luma, 1.0, hints=hints), chroma) - scores["psnr"]
    return scores


@torch.no_grad()
def held_accuracy(generator: Generator, discriminator: PatchGAN, held: tuple[Tensor, Tensor], config: Config) -> float:
    """Return the share of patches that a discriminator tells apart on held photographs, without noise or augmentation."""
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
    return float((_rgb(luma, answer) - _rgb(luma, truth)).abs().mean() * 100)


def _psnr(luma: Tensor, answer: Tensor, truth: Tensor) -> float:
    error = (_rgb(luma, answer) - _rgb(luma, truth)).square().mean((1, 2, 3))
    return float((-10 * error.clamp(min=1e-10).log10()).mean())


def _rgb(luma: Tensor, chroma: Tensor) -> Tensor:
    return torch.cat(color.ycbcr_to_rgb(luma, chroma[:, :1], chroma[:, 1:]), 1).clamp(0, 1)


@torch.no_grad()
def believed_ratios(generator: BinGenerator, luma: Tensor) -> Tensor:
    """Measure ``color.believed_ratio`` of the answer to each photograph, at ``TEMPERATURE``: ``(N, 1, 1, 1)``."""
    generator.eval()
    device = next(generator.parameters()).device
    lengths = torch.from_numpy(color.bin_lengths()).to(device)
    ratios = []
    for part in torch.split(luma, 32):
        share = torch.softmax(generator(part.to(device)).float() / TEMPERATURE, 1)
        ratios.append(color.believed_ratio(generator.mean(share), torch.einsum("nkhw,k->nhw", share, lengths)).cpu())
    return torch.cat(ratios)


def calibrate(
    generator: Generator, held: tuple[Tensor, Tensor], factor: Tensor | None = None
) -> tuple[tuple[float, float], ...]:
    """Find the temperature and the chroma gain of vividness 0, 1 and 2 on held photographs.

    0 is the expected chroma. 1 and 2 make it more vivid until the colorfulness (Hasler & Suesstrunk 2003) of all photographs
    together reaches the share of the truth's in ``COLORFULNESS``.

    ``factor`` is ``(N, 1, 1, 1)``: by how much the gain of each photograph differs from that of others (``Card.belief``).
    """
    luma, chroma = held
    factor = torch.ones(1, 1, 1, 1) if factor is None else factor
    rows = [(TEMPERATURE, 1.0)]
    target = colorfulness(luma, chroma)
    answer = answers(generator, luma, TEMPERATURE)
    for share in COLORFULNESS:
        low, high = 0.5, 4.0
        for _ in range(12):
            gain = (low + high) / 2
            reached = colorfulness(luma, color.enliven(answer, gain * factor, cast=CAST, faint=FAINT)) / target
            low, high = (gain, high) if reached < share else (low, gain)
        rows.append((TEMPERATURE, round((low + high) / 2, 3)))
    return tuple(rows)


def colorfulness(luma: Tensor, chroma: Tensor) -> float:
    """Average the colorfulness of photographs, brought inside the gamut (Hasler & Suesstrunk 2003), in units of 0..255."""
    values = []
    for plane, planes in zip(luma.numpy(), chroma.numpy(), strict=True):
        factor = color.headroom(plane[0], planes[0], planes[1], minimum=np.minimum, maximum=np.maximum)
        values.append(color.colorfulness(color.join(plane[0], planes * factor)))
    return float(np.mean(values))


@torch.no_grad()
def calibrate_confidence(
    generator: BinGenerator,
    held: tuple[Tensor, Tensor],
    rows: tuple[tuple[float, float], ...],
    factor: Tensor | None = None,
) -> tuple[tuple[tuple[float, float], ...], ...]:
    """Find, for each row of vividness, how often the answer lies near the truth where its likeliest bin has some share.

    Near is a CIE76 difference of at most 10 between the two, both at the photograph's own luma and at the network's scale.

    Returns:
        For each row pairs of the likeliest bin's share and the share of pixels that are near, both rising.
    """
    generator.eval()
    device = next(generator.parameters()).device
    logits = [generator(part.to(device)).float().cpu() for part in torch.split(held[0], 32)]
    small = [F.interpolate(part, logits[0].shape[2:], mode="area").numpy() for part in held]
    curves = []
    for vividness, (temperature, gain) in enumerate(rows):
        peaks, near = [], []
        shares = (share for part in logits for share in torch.softmax(part / temperature, 1))
        own = np.ones(len(held[0])) if factor is None or not vividness else factor.flatten().numpy()
        for share, luma, truth, differs in zip(shares, *small, own, strict=True):
            expected = generator.mean(share[None].to(device))[0].cpu().numpy()
            answer = color.enliven(expected, gain * differs, cast=CAST, faint=FAINT if vividness else 0.0)
            answer = answer * color.headroom(luma[0], *answer, minimum=np.minimum, maximum=np.maximum)
            ours, theirs = (color.lab(color.join(luma[0], chroma)) for chroma in (answer, truth))
            peaks.append(share.amax(0).numpy().ravel())
            near.append((np.square(ours - theirs).sum(0) <= NEAR**2).ravel())
        curves.append(_rising(np.concatenate(peaks), np.concatenate(near)))
    return tuple(curves)


def _rising(signal: NDArray[np.float32], hit: NDArray[np.bool_]) -> tuple[tuple[float, float], ...]:
    """Fit a rising curve to how often a signal comes with a hit: groups of equal size, pooled where they would fall."""
    blocks: list[tuple[float, float, int]] = []
    for group in np.array_split(np.argsort(signal, kind="stable"), KNOTS):
        blocks.append((float(signal[group].mean()), float(hit[group].mean()), len(group)))
        while len(blocks) > 1 and (blocks[-2][1] >= blocks[-1][1] or blocks[-2][0] >= blocks[-1][0]):
            (x, y, n), (u, v, m) = blocks.pop(), blocks.pop()
            blocks.append(((n * x + m * u) / (n + m), (n * y + m * v) / (n + m), n + m))
    return tuple((round(x, 5), round(y, 5)) for x, y, _ in blocks)
