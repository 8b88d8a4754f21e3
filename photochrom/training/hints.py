"""Draw the hints that the generator sees in training: points of a photograph's true chroma, and its palette.

The recipe is that of Zhang et al. 2017 (Real-time user-guided image colorization with learned deep priors), sections 3.3 and
3.4. A hint depends on the numbers of the generator that is passed in alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from photochrom.hints import palette
from photochrom.model import BINS

Float = NDArray[np.float32]

LAST_POINT = 1 / 8
"""Probability that a point is the last one: the number of points is geometric."""
LARGEST = 9
"""Sides of the patches are uniform from 1 to this many pixels."""
EVERYTHING = 0.01
"""Share of the hinted crops that show all of their chroma, so that what is given is copied."""
CENTERED = 0.5
"""Share of the hinted crops whose points gather around the middle; those of the others lie anywhere."""
MEASURED = 7 / 256
"""Side of the patches that show what hints are worth, as a share of the picture's."""


@dataclass(frozen=True)
class Shown:
    """Say how often a crop shows what."""

    points: float
    """Share of the crops with points."""
    palettes: float
    """Share of the crops with their palette."""


def draw(chroma: Float, shown: Shown, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Draw what a crop shows of its ``(2, S, S)`` chroma: ``(3, S, S)`` hints and a ``(323,)`` palette, 0 where not shown."""
    hints = np.zeros((3, *chroma.shape[1:]), np.float32)
    if rng.random() < shown.points:
        if rng.random() < EVERYTHING:
            hints[:2], hints[2] = chroma, 1
        else:
            count = int(rng.geometric(LAST_POINT))
            sides = rng.integers(1, LARGEST + 1, count)
            centers = rng.normal(0.5, 0.25, (count, 2)) if rng.random() < CENTERED else rng.random((count, 2))
            reveal(hints, chroma, centers, sides)
    seen = palette(chroma) if rng.random() < shown.palettes else np.zeros(BINS, np.float32)
    return torch.from_numpy(hints), torch.from_numpy(seen)


def points(chroma: Float, count: int, *, seed: int) -> Tensor:
    """Give the ``(3, S, S)`` hints of a measurement: a number of patches of 7 in 256 pixels, anywhere, by a seed."""
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
