"""Measure what hints are worth, and whether stated confidence holds, on test photographs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from photochrom import metrics
from photochrom.colorizer import Colorizer
from photochrom.evaluate import luma_of
from photochrom.hints import Hint
from photochrom.metrics import Picture, Scores, Truth, Value
from photochrom.shards import Member, Split, members, shards

PUBLISHED = {1: 0.9, 3: 2.3, 10: 4.0, 50: 6.0}
"""Gains in PSNR of RGB, in dB, with so many hints over none, that Zhang et al. 2017 reach on 1000 photographs of ImageNet."""
PATCH = 7 / 256
"""Side of the patch whose mean color is revealed, as a share of the short side (theirs: 7 in 256 pixels)."""
NEAR = 10.0
"""CIE76 color difference up to which a color counts as right."""
STEPS = 10
"""Steps of confidence in a reliability curve."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class HintRow:
    """Hold what a number of hints adds to the PSNR in dB, beside the published gain; none for no hints."""

    hints: int
    psnr: Value
    gain: Value
    published: float | None


@dataclass(frozen=True)
class ReliabilityRow:
    """Hold, for pixels of like confidence, the mean that was stated, the share that was right, and how many they are."""

    stated: float
    right: float
    share: float


def hint_gains(
    colorizer: Colorizer,
    data: Path | Sequence[Path],
    *,
    split: Split = "test",
    limit: int | None = None,
    progress: Progress | None = None,
) -> tuple[HintRow, ...]:
    """Measure what hints are worth after the protocol of Zhang et al. 2017: random patches show their mean color.

    Hints go the way that a person's go; those of a smaller number are among those of a larger one.

    Args:
        colorizer: a model that was trained with hints; at vividness 0, as PSNR asks for.
        data: prepared folders or shards.
        split: which shards.
        limit: the most photographs of each data set, spread evenly over it.
        progress: called with the photographs done and their total after each.

    Raises:
        OptionError: the model takes no hints.
        DataError: there are no such shards, or one cannot be read.
    """
    counts = (0, *PUBLISHED)
    scores: dict[int, list[Scores]] = {count: [] for count in counts}
    for index, picture in enumerate(_pictures(data, split=split, limit=limit, progress=progress)):
        truth, luma = Truth.of(picture), luma_of(picture)
        points = _points(picture, max(counts), seed=index)
        for count in counts:
            hinted = Colorizer(colorizer.model, replace(colorizer.options, hints=points[:count]))
            scores[count].append(metrics.score(truth, hinted.paint(luma)))
    return tuple(
        HintRow(
            count,
            metrics.summarize(scores[count]).psnr,
            metrics.difference(scores[count], scores[0]).psnr,
            PUBLISHED.get(count),
        )
        for count in counts
    )


def reliability(
    colorizer: Colorizer,
    data: Path | Sequence[Path],
    *,
    split: Split = "test",
    limit: int | None = None,
    progress: Progress | None = None,
) -> tuple[ReliabilityRow, ...]:
    """Compare stated confidence with the share of pixels whose color lies within 10 dE (CIE76) of the truth.

    Args:
        colorizer: a model that states confidence.
        data: prepared folders or shards.
        split: which shards.
        limit: the most photographs of each data set, spread evenly over it.
        progress: called with the photographs done and their total after each.

    Returns:
        A row for each tenth of confidence that was stated at all, rising.

    Raises:
        OptionError: the model states no confidence.
        DataError: there are no such shards, or one cannot be read.
    """
    pixels, stated, right = np.zeros((3, STEPS))
    for picture in _pictures(data, split=split, limit=limit, progress=progress):
        luma = luma_of(picture)
        sure = colorizer.confidence(luma) / 255
        error = np.square(metrics.lab(colorizer.paint(luma)) - metrics.lab(picture)).sum(0)
        step = np.minimum((sure * STEPS).astype(np.intp), STEPS - 1).ravel()
        pixels += np.bincount(step, minlength=STEPS)
        stated += np.bincount(step, sure.ravel(), STEPS)
        right += np.bincount(step, (error <= NEAR**2).ravel(), STEPS)
    return tuple(
        ReliabilityRow(float(s / n), float(r / n), float(n / pixels.sum()))
        for s, r, n in zip(stated, right, pixels, strict=True)
        if n
    )


HINT_COLUMNS = ("hints", "PSNR dB", "gain dB", "Zhang et al. 2017")
RELIABILITY_COLUMNS = ("stated %", "within 10 dE %", "share of the pixels %")


def hint_cells(rows: Sequence[HintRow]) -> list[tuple[str, ...]]:
    """Give the cells of a printed table under `HINT_COLUMNS`, with 95 % intervals."""

    def cell(value: Value) -> str:
        return f"{value.value:.2f} ({value.low:.2f} to {value.high:.2f})"

    return [
        (str(row.hints), cell(row.psnr), cell(row.gain) if row.hints else "", f"+{row.published}" if row.published else "")
        for row in rows
    ]


def reliability_cells(rows: Sequence[ReliabilityRow]) -> list[tuple[str, ...]]:
    """Give the cells of a printed table under `RELIABILITY_COLUMNS`."""
    return [(f"{100 * row.stated:.1f}", f"{100 * row.right:.1f}", f"{100 * row.share:.1f}") for row in rows]


def to_json(name: str, rows: Sequence[HintRow] | Sequence[ReliabilityRow]) -> str:
    """Give the rows of a protocol as one JSON object on one line."""
    return json.dumps({"protocol": name, "rows": [asdict(row) for row in rows]}, allow_nan=False)


def _pictures(data: Path | Sequence[Path], *, split: Split, limit: int | None, progress: Progress | None) -> Iterator[Picture]:
    found: list[Member] = [member for paths in shards(data, split).values() for member in members(paths, limit=limit)]
    for done, member in enumerate(found, 1):
        yield member.read()
        if progress:
            progress(done, len(found))


def _points(picture: NDArray[np.uint8], count: int, *, seed: int) -> tuple[Hint, ...]:
    """Choose points anywhere and read the mean color of the patch around each."""
    height, width, _ = picture.shape
    side = max(1, round(PATCH * min(height, width)))
    places = np.random.default_rng((seed, 3)).random((count, 2))
    hints = []
    for row, column in (places * (height - side + 1, width - side + 1)).astype(int):
        red, green, blue = np.rint(picture[row : row + side, column : column + side].mean((0, 1))).astype(int)
        hints.append(Hint(int(column) + side // 2, int(row) + side // 2, f"#{red:02x}{green:02x}{blue:02x}"))
    return tuple(hints)
