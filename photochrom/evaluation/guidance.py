"""Measure what hints are worth, how far a click reaches, and whether stated confidence holds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from photochrom import color
from photochrom.color import Picture
from photochrom.colorizer.colorizer import Colorizer
from photochrom.colorizer.hints import Hint
from photochrom.colorizer.model import takes_none
from photochrom.evaluation import metrics, statistics
from photochrom.evaluation.protocols import Figure, Measured, Photographs
from photochrom.evaluation.scores import luma_of

COUNTS = (0, 1, 3, 10, 50)
"""Hints of each row."""
PATCH = 7 / 256
"""Side of the patch whose mean color is revealed, as a share of the short side (theirs: 7 in 256 pixels)."""
STRONG = ("#c03028", "#2858c0", "#28a040", "#d0b028")
"""Colors of clicks that hardly ever suit a corner, one after the other."""
INSET = 1 / 16
"""Distance of a click in a corner from the sides, as a share of each."""
FAR = 1 / 4
"""Sides of the far corner, as shares of the photograph's."""
NEAR = 10.0
"""CIE76 color difference up to which a color counts as right."""
STEPS = 10
"""Steps of confidence in a reliability curve."""


def hints(colorizer: Colorizer, photographs: Photographs) -> Measured:
    """Measure what hints are worth after the protocol of Zhang et al. 2017: random patches show their mean color.

    Hints go the way that a person's go; those of a smaller number are among those of a larger one. PSNR is of vividness 0, the
    far corner of vividness 1.

    Raises:
        OptionError: the model takes no hints, or the limit is below 1.
        DataError: there are no such shards, or one cannot be read.
    """
    if not colorizer.model.card.clickable:
        raise takes_none(colorizer.model.card.name, "hints")
    rows = []
    for index, picture in enumerate(photographs):
        luma = luma_of(picture)
        points = _points(picture, max(COUNTS), seed=index)
        options = [replace(colorizer.options, vividness=0.0, hints=points[:count]) for count in COUNTS]
        psnr = [color.psnr(picture, Colorizer(colorizer.model, each).paint(luma)) for each in options]
        rows.append([*psnr, *_moved(colorizer, picture, index)])
    *psnrs, near, far, near_strong, far_strong = statistics.means(np.array(rows)).T
    figures = {
        str(count): Figure(metrics.interval(psnr), metrics.interval(psnr - psnrs[0]) if count else None)
        for count, psnr in zip(COUNTS, psnrs, strict=True)
    }
    figures["step"] = Figure(metrics.interval(min(np.diff(psnrs, axis=0), key=lambda step: step[0])))
    figures["far"] = Figure(metrics.interval(far), about=f"at the click {near[0]:.2f}")
    figures["strong"] = Figure(metrics.interval(far_strong), about=f"at the click {near_strong[0]:.2f}")
    return Measured("hints", len(rows), figures)


def confidence(colorizer: Colorizer, photographs: Photographs) -> Measured:
    """Compare stated confidence with the share of pixels whose color lies within 10 dE (CIE76) of the truth.

    A figure for each tenth of confidence that was stated at all, in percent, and the mean distance of stated and right.

    Raises:
        OptionError: the model states no confidence, or the limit is below 1.
        DataError: there are no such shards, or one cannot be read.
    """
    rows = []
    for picture in photographs:
        luma = luma_of(picture)
        sure = colorizer.confidence(luma) / 255
        near = color.delta_e_1976(color.lab(colorizer.paint(luma)), color.lab(picture)) <= NEAR
        tenths = np.minimum((sure * STEPS).astype(np.intp), STEPS - 1).ravel()
        counts = [np.bincount(tenths, weights, STEPS) for weights in (None, sure.ravel(), near.ravel())]
        rows.append(np.concatenate(counts) / near.size)
    means = statistics.means(np.array(rows)).reshape(-1, 3, STEPS)
    share, stated, right = 100 * np.moveaxis(means, 1, 0)
    figures = {}
    for step in np.flatnonzero(share[0]):
        # A draw may hold no photograph with such pixels: it then says nothing of them.
        drawn = share[:, step] > 0
        said, were = (100 * each[drawn, step] / share[drawn, step] for each in (stated, right))
        figures[str(step)] = Figure(
            metrics.interval(were), metrics.interval(were - said), about=f"{share[0, step]:.1f} % of the pixels"
        )
    figures["gap"] = Figure(metrics.interval(np.abs(right - stated).sum(1)))
    return Measured("confidence", len(rows), figures)


def _points(picture: Picture, count: int, *, seed: int) -> tuple[Hint, ...]:
    """Choose points anywhere, and give each the color of the photograph there."""
    side = _side(picture)
    room = [length - side + 1 for length in picture.shape[:2]]
    corners = (np.random.default_rng((seed, 3)).random((count, 2)) * room).astype(int)
    return tuple(_true(picture, int(row) + side // 2, int(column) + side // 2) for row, column in corners)


def _true(picture: Picture, row: int, column: int) -> Hint:
    """Return the point the mean color of the patch around it."""
    side = _side(picture)
    top, left = (max(0, place - side // 2) for place in (row, column))
    red, green, blue = np.rint(picture[top : top + side, left : left + side].mean((0, 1))).astype(int)
    return Hint(column, row, f"#{red:02x}{green:02x}{blue:02x}")


def _side(picture: Picture) -> int:
    side: int = max(1, round(PATCH * min(picture.shape[:2])))
    return side


def _moved(colorizer: Colorizer, picture: Picture, index: int) -> list[float]:
    """Click in a corner, and give the mean CIE76 by which the corner at the click and the opposite one move.

    The corners take turns, and so do the strong colors.

    Returns:
        At the click and opposite to it: two for a click of the true color, two for one of a strong color.
    """
    luma = luma_of(picture)
    bottom, right = divmod(index % 4, 2)
    row, column = (int(side * (1 - INSET if end else INSET)) for side, end in zip(luma.shape, (bottom, right), strict=True))
    high, wide = (max(1, round(side * FAR)) for side in luma.shape)
    options = replace(colorizer.options, vividness=1.0)
    automatic = color.lab(Colorizer(colorizer.model, options).paint(luma))
    moved = []
    for click in (_true(picture, row, column), Hint(column, row, STRONG[index // 4 % len(STRONG)])):
        answer = color.lab(Colorizer(colorizer.model, replace(options, hints=(click,))).paint(luma))
        change = color.delta_e_1976(automatic, answer)[:: -1 if bottom else 1, :: -1 if right else 1]
        moved += [float(change[:high, :wide].mean()), float(change[-high:, -wide:].mean())]
    return moved
