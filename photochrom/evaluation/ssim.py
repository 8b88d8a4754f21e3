"""Measure how alike the structure of two pictures is: SSIM of Wang, Bovik, Sheikh, Simoncelli 2004."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from photochrom.color import Floats

SIDE, SIGMA = 11, 1.5
"""The Gaussian window, in pixels."""
FLOORS = (0.01 * 255) ** 2, (0.03 * 255) ** 2
"""C1 and C2, which keep the quotients of flat areas finite."""


def ssim(one: NDArray[np.uint8], two: NDArray[np.uint8]) -> float:
    """Measure the structural similarity, the mean over all whole windows and over red, green and blue.

    Wang et al. 2004, equation 13 with their constants, on each channel: on luma alone, which a colorizer keeps, it would be 1
    for every answer. A picture smaller than the window has one window of its own size.

    Args:
        one: ``(H, W, 3)`` uint8.
        two: the same shape.

    Returns:
        At most 1, which equal pictures reach.
    """
    x, y = (np.moveaxis(picture, -1, 0).astype(np.float32) for picture in (one, two))
    mean_x, mean_y = _blurred(x), _blurred(y)
    product = mean_x * mean_y
    squares = mean_x**2 + mean_y**2
    covariance = _blurred(x * y) - product
    variances = _blurred(x**2 + y**2) - squares
    c1, c2 = FLOORS
    return float(((2 * product + c1) * (2 * covariance + c2) / ((squares + c1) * (variances + c2))).mean(dtype=np.float64))


def _blurred(planes: Floats) -> Floats:
    """Weigh ``(C, H, W)`` planes by the window, at the positions where it lies inside."""
    for axis in (1, 2):
        side = min(SIDE, planes.shape[axis])
        weights = [math.exp(-(((place - (side - 1) / 2) / SIGMA) ** 2) / 2) for place in range(side)]
        length = planes.shape[axis] - side + 1
        parts = (planes.take(range(start, start + length), axis) * weight for start, weight in enumerate(weights))
        planes = sum(parts) / sum(weights)  # type: ignore[assignment]
    return planes
