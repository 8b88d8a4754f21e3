"""Draw the hints that the generator sees in training: points of a photograph's true chroma, and its palette.

The recipe follows Zhang et al. 2017 (Real-time user-guided image colorization with learned deep priors), sections 3.3 and
3.4. A hint depends only on the numbers of the generator that is passed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from photochrom import color
from photochrom.color import BINS, Float, palette

LAST_POINT = 1 / 8
"""Probability that a point is the last one: the number of points is geometric."""
LARGEST = 9
"""Sides of the patches are uniform from 1 to this many pixels."""
EVERYTHING = 0.01
"""Share of the hinted crops that show all of their chroma, so that what is given is copied."""
CENTERED = 0.5
"""Share of the hinted crops whose points gather around the middle; the points of the others lie anywhere."""
REPAINTED, ALIKE, STRENGTH = (0.05, 0.3), (0.05, 0.3), (0.05, 0.35)
"""Of a repainted crop: how far the color reaches, in sides; how far luma may differ; and how strong the color is."""
MEASURED = 7 / 256
"""Side of the patches that show what hints are worth, as a share of the picture's."""


@dataclass(frozen=True)
class Shown:
    """Say how often a crop shows what."""

    points: float
    """Share of the crops with points."""
    palettes: float
    """Share of the crops with their palette."""
    repaints: float = 0.0
    """Share of the crops with points that are repainted around one of them."""


def draw(luma: Float, chroma: Float, shown: Shown, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Draw what a crop shows of its colors.

    Args:
        luma: ``(S, S)`` float32 in [0, 1].
        chroma: ``(2, S, S)`` float32 in [-0.5, 0.5].
        shown: how often what is shown.
        rng: decides.

    Returns:
        The crop's chroma, which may have been repainted; ``(3, S, S)`` hints and a ``(323,)`` palette of it, 0 where not shown.
    """
    hints = np.zeros((3, *chroma.shape[1:]), np.float32)
    if rng.random() < shown.points:
        if rng.random() < EVERYTHING:
            hints[:2], hints[2] = chroma, 1
        else:
            count = int(rng.geometric(LAST_POINT))
            sides = rng.integers(1, LARGEST + 1, count)
            centers = rng.normal(0.5, 0.25, (count, 2)) if rng.random() < CENTERED else rng.random((count, 2))
            if shown.repaints and rng.random() < shown.repaints:
                chroma = repaint(luma, chroma, centers[0], rng)
                single = rng.random() < 0.5
                centers, sides = (centers[:1], sides[:1]) if single else (centers, sides)
            reveal(hints, chroma, centers, sides)
    seen = palette(chroma) if rng.random() < shown.palettes else np.zeros(BINS, np.float32)
    return torch.from_numpy(chroma), torch.from_numpy(hints), torch.from_numpy(seen)


def repaint(luma: Float, chroma: Float, center: NDArray[np.float64], rng: np.random.Generator) -> Float:
    """Return the surroundings of a point a color of any hue, less with distance and where luma differs from the point's.

    A network that sees only truth learns that a color in one corner says something of the whole picture; from these crops it
    learns that a color which suits nothing is a wish for its own surroundings.

    Args:
        luma: ``(S, S)`` float32 in [0, 1].
        chroma: ``(2, S, S)`` float32 in [-0.5, 0.5].
        center: row and column of the point in units of the picture.
        rng: decides color and reach.

    Returns:
        ``(2, S, S)`` float32 chroma, as much inside the gamut as the crop's own.
    """
    rows, columns = (np.arange(side, dtype=np.float32) / side for side in luma.shape)
    row, column = np.clip(center, 0, 1 - 1e-6)
    own = luma[int(row * luma.shape[0]), int(column * luma.shape[1])]
    apart = (rows[:, None] - np.float32(row)) ** 2 + (columns - np.float32(column)) ** 2
    reach, contrast = rng.uniform(*REPAINTED), rng.uniform(*ALIKE)
    share = np.exp(-apart / (2 * reach**2) - (luma - own) ** 2 / (2 * contrast**2))
    hue, strength = rng.uniform(0, 2 * np.pi), rng.uniform(*STRENGTH)
    blue, red = strength * np.cos(hue), strength * np.sin(hue)
    factor = color.headroom(luma, blue, red, minimum=np.minimum, maximum=np.maximum)
    wish = np.stack([blue * factor, red * factor])
    painted: Float = (chroma + share * (wish - chroma)).astype(np.float32)
    return painted


def points(chroma: Float, count: int, *, seed: int) -> Tensor:
    """Return the ``(3, S, S)`` hints of a measurement: a number of patches of 7 in 256 pixels, anywhere, by a seed."""
    hints = np.zeros((3, *chroma.shape[1:]), np.float32)
    side = max(1, round(MEASURED * chroma.shape[1]))
    reveal(hints, chroma, np.random.default_rng((seed, 3)).random((count, 2)), [side] * count)
    return torch.from_numpy(hints)


def reveal(hints: Float, chroma: Float, centers: NDArray[np.float64], sides: Sequence[int] | NDArray[np.int64]) -> None:
    """Fill patches of ``(3, S, S)`` hints, in place, with the mean of the chroma that they cover.

    Args:
        hints: Cb, Cr and 1 where there is a hint.
        chroma: ``(2, S, S)``, the truth.
        centers: ``(P, 2)`` rows and columns in units of the picture; those outside move to its rim.
        sides: pixels.
    """
    height, width = chroma.shape[1:]
    for (row, column), side in zip(centers, sides, strict=True):
        top = int(np.clip(row * height - side / 2 + 0.5, 0, height - side))
        left = int(np.clip(column * width - side / 2 + 0.5, 0, width - side))
        patch = (slice(None), slice(top, top + side), slice(left, left + side))
        hints[patch] = np.append(chroma[patch].mean((1, 2)), np.float32(1))[:, None, None]
