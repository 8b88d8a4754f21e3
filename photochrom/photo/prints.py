"""Find the photographs on a scan: a print inside its margin, on its mount, or several prints on a page of an album.

Paper is flat and reaches to the edge of the scan; a print stands on it as a rectangle. So pixels without a step to their
neighbors are grouped, as in the segmentation by flat zones of Serra and Salembier ("Connected operators and pyramids", 1993).
The first group that fills most of a line from an edge of the scan inward is paper, as far as it has that line's color. What
remains in one piece is a print where its sides are straight and paper lies before them. Where a sky fades into the mount, a
side is lost: there the first step in the average of whole lines counts, which is far finer than a step between pixels.

A print can have a margin of its own, so each one is searched again. A bright sky, a wall or a table does not pass: what stands
before it has no straight sides, or leaves the scan.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from photochrom.color import Bytes, Float

Box = tuple[int, int, int, int]
"""The first row and column of a part of a picture, and those after its last."""

OUTER = 0.08
"""Paper begins within this share of a side from the edge of the scan: a narrow strip of the scanner's bed may lie before it."""
LINE = 0.6
"""The share of a line that paper fills."""
STEPS = (4.0, 2.5, 14.0)
"""Differences in a square of 3 x 3 pixels up to which these are flat, of 255: at least the first; the second times the median
near the edges, for paper that is rough; and at most the third."""
PAPER = (16, 6, 6)
"""How far Y, Cr and Cb of paper are from those of its line at most, of 255."""
SMALLEST, LEAST = 0.15, 0.2
"""The shorter side of a print as a share of the picture's, and the area of all prints as a share of the picture's, at least."""
TURNED = 0.02
"""How far the paper around a print may reach into its box, which is not turned with it, as a share of its shorter side."""
INSIDE = 0.25
"""The area of a print without its own margin, as a share of it with that, at least."""
FULL = 0.6
"""The share of its box that a print fills at least; the rest is sky that was taken for paper."""
STRAIGHT, PARTLY = 0.9, 0.55
"""The share of a side of a print that is straight and has paper before it: of one side, and of three sides, at least."""
GAP, WIDEST, BORDER, KEPT = 0.92, 0.1, 3, 0.6
"""A print and what is too close to it are cut apart where this share of a line is of paper's color; if such lines are at most
this share of all (or it may be sky); between more lines than the edge of a print has; and if this share of all is kept."""
WHOLE = 0.75
"""Below this share, the side is searched for further out."""
FAINT, REACH = 2.5, 3
"""The step between the averages of lines that is a side, of 255, and the number of lines that are averaged before and after."""
LAYERS = 4
"""Margins in each other that are looked for: the scanner's bed, an album page, a mount, the print's own edge."""
_SQUARE = np.ones((3, 3), np.uint8)


def find_prints(picture: Bytes) -> list[Box]:
    """Find the photographs on a scan.

    Args:
        picture: ``(h, w, 3)`` uint8 RGB; best of 100 to 300 pixels a side.

    Returns:
        The box of each print, larger ones first; the whole picture if it has no margin.
    """
    return sorted(_inside(picture, LAYERS), key=lambda box: (box[0] - box[2]) * (box[3] - box[1]))


def photograph_mask(picture: Bytes, shape: tuple[int, int]) -> Float | None:
    """Say where a scan shows a photograph and where paper, a mount or a page: chroma is multiplied with it.

    Args:
        picture: ``(h, w, 3)`` uint8 RGB, as ``find_prints`` takes it.
        shape: height and width of the mask.

    Returns:
        A float32 mask of that shape: 1 in photographs, 0 outside, the share of a pixel at their edges. None if the whole
        picture is a photograph.
    """
    (high, wide), boxes = picture.shape[:2], find_prints(picture)
    if boxes == [(0, 0, high, wide)]:
        return None
    mask = np.zeros(shape, np.float32)
    for top, left, bottom, right in boxes:
        rows, columns = _covered(top / high, bottom / high, shape[0]), _covered(left / wide, right / wide, shape[1])
        mask = np.maximum(mask, np.outer(rows, columns))
    return mask


def _covered(begin: float, end: float, count: int) -> Float:
    """Return which share of each of ``count`` equal parts of [0, 1] lies between two places."""
    edges = np.arange(count + 1, dtype=np.float32)
    return (np.minimum(edges[1:], end * count) - np.maximum(edges[:-1], begin * count)).clip(0, 1).astype(np.float32)


def _inside(picture: Bytes, layers: int) -> list[Box]:
    high, wide = picture.shape[:2]
    nested = layers < LAYERS
    trim = max(2, round(TURNED * min(high, wide))) if nested else 0
    inner = np.ascontiguousarray(picture[trim : high - trim, trim : wide - trim])
    boxes = _boxes(inner) if layers and min(inner.shape[:2]) >= 24 else []
    area = sum((bottom - top) * (right - left) for top, left, bottom, right in boxes)
    if area < (INSIDE if nested else LEAST) * high * wide or (nested and len(boxes) > 1):
        return [(0, 0, high, wide)]
    found = []
    for box in boxes:
        top, left, bottom, right = (place + trim for place in box)
        part = picture[top:bottom, left:right]
        found += [(top + a, left + b, top + c, left + d) for a, b, c, d in _inside(part, layers - 1)]
    return found


def _boxes(picture: Bytes) -> list[Box]:
    """Find what stands on the outermost paper of a picture as rectangles."""
    soft = np.asarray(cv2.blur(picture, (3, 3)), np.uint8)
    found = _paper(picture, soft)
    if found is None:
        return []
    paper, alike = found
    rest = cv2.morphologyEx(1 - paper, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    _, labels, figures, _ = cv2.connectedComponentsWithStats(rest, connectivity=4)
    least = SMALLEST * min(rest.shape)
    boxes: list[Box] = []
    for label, (_, _, wide, high, area) in enumerate(figures.tolist()):
        if label == 0 or min(high, wide) < least or area < FULL * high * wide:
            continue
        piece = labels == label
        planes = [(_turned(piece, turn), _turned(paper, turn), _turned(soft, turn)) for turn in range(4)]
        sides, shares = zip(*(_side(*each) for each in planes), strict=True)
        if max(shares) >= STRAIGHT and sorted(shares)[1] >= PARTLY:
            top, left, bottom, right = sides[0], sides[2], rest.shape[0] - sides[1], rest.shape[1] - sides[3]
            for above, below in _cut(alike[top:bottom, left:right], least):
                part = alike[top + above : top + below, left:right]
                boxes += [(top + above, left + a, top + below, left + b) for a, b in _cut(part.T, least)]
    return boxes


def _cut(alike: Bytes, least: float) -> list[tuple[int, int]]:
    """Cut ``(h, w)`` between rows of paper, and leave out what is lower than ``least``: captions and targets beside a print."""
    printed = _runs(alike.mean(1, dtype=np.float32) < GAP * 255)
    ends = [(end, begin) for (_, end), (begin, _) in pairwise(printed) if begin - end <= WIDEST * len(alike)]
    places = [0, *(place for gap in ends for place in gap), len(alike)]
    parts = list(zip(places[::2], places[1::2], strict=True))
    kept = [(begin, end) for begin, end in parts if end - begin >= least]
    return kept if sum(end - begin for begin, end in kept) >= KEPT * len(alike) else [(0, len(alike))]


def _runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the first place of each run of true flags, and that after its last; runs of a few are left out."""
    changes = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8))).reshape(-1, 2)
    return [(begin, end) for begin, end in changes.tolist() if end - begin > BORDER]


def _turned(array: NDArray[Any], side: int) -> NDArray[Any]:
    """View ``(h, w, ...)`` so that its upper, lower, left or right side (0 to 3) is the upper one."""
    array = array if side < 2 else array.swapaxes(0, 1)
    return array[::-1] if side % 2 else array


def _paper(picture: Bytes, soft: Bytes) -> tuple[Bytes, Bytes] | None:
    """Mark the outermost paper of ``(h, w, 3)`` RGB and of the same blurred, and what has its color; or return none."""
    red, green, blue = cv2.split(cv2.subtract(cv2.dilate(soft, _SQUARE), cv2.erode(soft, _SQUARE)))
    steps = np.asarray(cv2.max(cv2.max(red, green), blue))
    outer = [max(3, round(OUTER * side)) for side in steps.shape]
    ring = np.concatenate([part.ravel() for turn in range(4) for part in [_turned(steps, turn)[: outer[turn // 2]]]])
    least, factor, most = STEPS
    limit = min(most, max(least, factor * float(np.partition(ring, len(ring) // 2)[len(ring) // 2])))
    count, labels = cv2.connectedComponents((steps <= limit).astype(np.uint8), connectivity=4)
    lines = [_first_line(_turned(labels, turn)[: outer[turn // 2]], count) for turn in range(4)]
    if not any(lines):
        return None
    colors, sharp = (np.asarray(cv2.cvtColor(each, cv2.COLOR_RGB2YCrCb)) for each in (soft, picture))
    paper, alike = np.zeros((2, *steps.shape), np.uint8)
    for turn, found in enumerate(lines):
        if found:
            row, label = found
            samples = _turned(colors, turn)[row][_turned(labels, turn)[row] == label]
            typical = np.partition(samples, len(samples) // 2, 0)[len(samples) // 2].astype(np.float64)
            far = np.array(PAPER)
            paper |= cv2.inRange(colors, typical - far, typical + far) & (labels == label)
            alike |= cv2.inRange(sharp, typical - 1.5 * far, typical + 1.5 * far)
    return np.asarray(cv2.dilate(paper, _SQUARE)), alike


def _first_line(labels: NDArray[np.int32], count: int) -> tuple[int, int] | None:
    """Return the first row that a flat group fills for the most part, and that group."""
    for row, line in enumerate(labels):
        sizes = np.bincount(line, minlength=count)
        sizes[0] = 0
        if sizes.max() >= LINE * len(line):
            return row, int(sizes.argmax())
    return None


def _side(piece: NDArray[np.bool_], paper: Bytes, soft: Bytes) -> tuple[int, float]:
    """Return the row at which a piece begins, and the share of it that is straight and has paper before it."""
    columns = np.flatnonzero(piece.any(0))
    first = piece[:, columns].argmax(0)
    width = round(2 + 0.02 * len(columns))
    around = np.ones(2 * width + 1)
    middle = int(np.convolve(np.bincount(first, minlength=len(around)), around, "same").argmax())
    straight = np.abs(first - middle) <= width
    edge = int(first[straight].min())
    before = (first > 0) & (paper[np.maximum(first - 2, 0), columns] > 0)
    share = float((straight & before).mean())
    if share < WHOLE and edge > 2 * REACH:
        edge = _faint_line(soft[:edge, columns].mean(1), edge)
    return edge, share


def _faint_line(lines: NDArray[np.float64], otherwise: int) -> int:
    """Return the first place at which the averages of lines, ``(n, 3)``, have a step."""
    sums = np.concatenate([np.zeros((1, 3)), lines]).cumsum(0)
    means = (sums[REACH:] - sums[:-REACH]) / REACH
    steps = np.abs(means[REACH:] - means[:-REACH]).max(-1)
    limit = max(FAINT, 4 * float(np.partition(steps, len(steps) // 2)[len(steps) // 2]))
    places = np.flatnonzero(steps >= limit)
    places = places[places >= REACH - 1]  # the edge of the scan is no side of a print
    if not len(places):
        return otherwise
    place = int(places[0])
    while place + 1 < len(steps) and steps[place + 1] > steps[place]:
        place += 1
    return place + REACH
