"""Measure how little a model's answer changes where the input is turned, mirrored, resized, or far from square."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photochrom import color
from photochrom.color import Bytes, Picture
from photochrom.colorizer.colorizer import Colorizer
from photochrom.evaluation import metrics, statistics
from photochrom.evaluation.protocols import Figure, Measured, Photographs
from photochrom.evaluation.scores import lay, luma_of

SCALES = (0.5, 2, 4)
ASPECT = 6
"""Long sides to short ones of the longest pictures."""


def robustness(colorizer: Colorizer, photographs: Photographs) -> Measured:
    """Compare the answers for changed inputs, changed back, with those for the inputs as they were.

    The goals of the protocol ``robustness``, in CIE76; each figure says its CIEDE2000 too.

    Args:
        colorizer: the model, at the vividness to be measured.
        photographs: those to measure on.

    Raises:
        DataError: there are no such shards, or one cannot be read.
        OptionError: the limit is below 1.
    """
    ways = _ways(colorizer)
    rows = []
    for picture in photographs:
        luma = luma_of(picture)
        usual = color.lab(colorizer.paint(luma))
        changed = [color.lab(way(luma)) for way in ways.values()]
        rows.append([measure(usual, lab).mean() for measure in (color.delta_e_1976, color.delta_e_2000) for lab in changed])
    found = np.array(rows)
    means = statistics.means(found[:, : len(ways)])
    return Measured(
        "robustness",
        len(rows),
        {
            key: Figure(metrics.interval(column), about=f"CIEDE2000 {other:.2f}")
            for key, column, other in zip(ways, means.T, found[:, len(ways) :].mean(0), strict=True)
        },
    )


def _ways(colorizer: Colorizer) -> dict[str, Callable[[Bytes], Picture]]:
    """Return the ways to color ``(H, W)`` luma that should make no difference, by their keys in ``GOALS``."""

    def resized(scale: float) -> Callable[[Bytes], Picture]:
        def way(luma: Bytes) -> Picture:
            size = tuple(round(side * scale) for side in luma.shape)
            chroma = colorizer.chroma(_resize(luma, size))
            return lay(np.stack([_resize(plane, luma.shape) for plane in chroma]), luma)

        return way

    def long(axis: int) -> Callable[[Bytes], Picture]:
        def way(luma: Bytes) -> Picture:
            more = max(0, ASPECT * luma.shape[1 - axis] - luma.shape[axis])
            before = more // 2
            margins = [(0, 0), (0, 0)]
            margins[axis] = (before, more - before)
            answer = colorizer.paint(np.pad(luma, margins, "symmetric"))
            return answer.take(range(before, before + luma.shape[axis]), axis)

        return way

    return {
        "turned": lambda luma: np.rot90(colorizer.paint(np.ascontiguousarray(np.rot90(luma))), -1),
        "mirrored": lambda luma: colorizer.paint(np.ascontiguousarray(luma[:, ::-1]))[:, ::-1],
        **{f"{scale:g}": resized(scale) for scale in SCALES},
        "wide": long(1),
        "tall": long(0),
    }


def _resize(plane: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    height, width = shape
    return np.asarray(Image.fromarray(plane).resize((width, height), Image.Resampling.BICUBIC))
