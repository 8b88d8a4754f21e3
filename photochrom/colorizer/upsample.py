"""Bring the network's low-resolution chroma to the size of a photograph, with its luma as the guide.

The answer is a bicubic enlargement of the chroma plus the luma detail that the enlargement lacks, scaled by the local slope of
chroma over luma::

    c(x) = up(c)(x) + up(a)(x) * (Y(x) - up(blur(Y_low))(x)),   a = |rho| cov(c, Y) / (var(Y) + NOISE^2)

The slope is the one of the fast guided filter (He & Sun 2015, arXiv 1505.00996, algorithm 2; He et al. 2010, equation 5) times
the local correlation, so that grain, and texture that color does not follow, leave no trace. Unlike the guided filter, this
keeps chroma as it is where luma says nothing. All distances are in chroma cells: no default depends on the picture's size.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast, final

import cv2
import numpy as np
from numpy.typing import NDArray

from photochrom import color
from photochrom.color import Bytes, Float, Plane
from photochrom.errors import OptionError

WINDOW = 0.8
"""Standard deviation of the window in which a slope is fitted, in chroma cells."""
BLUR = 0.6
"""Blur of the network's chroma that detail makes up for, in cells; more gives crisper color but trusts luma more."""
NOISE = 0.04
"""Standard deviation of luma, in [0, 1], below which it is taken for noise."""
CHROMA_NOISE = 0.003
"""The same for chroma, in [-0.5, 0.5]."""
REACH = 2
"""A color may come from this many cells away, and none outside the range found there is made."""
FINE = 4
"""Points of the fitted model a cell: bicubic up to there, then linear, which looks the same and costs a third."""

EXCESS = (color.BLUE_CB, color.RED_CR)
"""Chroma times these is how much blue and red exceed luma: the form in which the gamut is cheapest to hold."""

SPACING = 4
"""Detail is computed for one pixel in so many each way, and interpolated between: twice what a JPEG's own chroma has."""
POINTS = 10
"""As many of them lie across each cell at least; where cells are too small for it, the spacing is 2 or 1."""

BAND_PIXELS = 1 << 16
"""Output pixels that a thread works on at once, or twice as many where most planes are computed at a larger spacing: its
temporary planes then stay in the processor's cache."""
THREADS = 4
"""More do not pay: memory is the limit."""
THREAD_PIXELS = 1 << 20
"""Output pixels from which on threads pay: a smaller picture costs a fifth more processor time with them."""


def upsample(chroma: NDArray[np.floating], luma: Plane, *, step: int) -> tuple[Plane, Plane]:
    """Enlarge chroma to planes of the photograph's size or half of it, guided by its luma.

    Color stops where luma has its edge, and stays inside the RGB gamut with its hue kept. At half size that holds for every
    color that a triangle filter (weights 3/4 and 1/4, as JPEG decoders have) makes of the planes.

    Args:
        chroma: ``(2, h, w)`` Cb, Cr in [-0.5, 0.5], of any size; it covers the whole picture.
        luma: ``(H, W)`` uint8 or uint16.
        step: 1 for planes of full size, 2 for half size (rounded up).

    Returns:
        Cb and Cr, each ``(ceil(H / step), ceil(W / step))`` of luma's type; 128, of uint16 32768, is no color.

    Raises:
        OptionError: the step, a shape, a type or a value is not as said above.
    """
    _check(chroma, luma, step=step)
    enlarged = _Enlarged(chroma, luma, step=step)
    height, width = enlarged.height, enlarged.width
    result = np.empty((2, height, width), luma.dtype)
    pixels = BAND_PIXELS if enlarged.spacing == 1 else 2 * BAND_PIXELS
    band = max(1, pixels // width // SPACING) * SPACING

    def work(top: int) -> None:
        rows = slice(top, min(top + band, height))
        enlarged.fill(rows, result[:, rows])

    tops = range(0, height, band)
    if height * width < THREAD_PIXELS:
        for top in tops:
            work(top)
    else:
        with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool:
            list(pool.map(work, tops))
    return result[0], result[1]


def upsample_at(
    chroma: NDArray[np.floating], luma: Plane, rows: NDArray[np.intp], columns: NDArray[np.intp], *, small: Float | None = None
) -> Plane:
    """Compute what ``upsample`` gives at some pixels, at full size and to the last bit, without enlarging the rest.

    Args:
        chroma: as for ``upsample``.
        luma: as for ``upsample``.
        rows: ``(P,)`` rows of the pixels.
        columns: ``(P,)`` columns of the pixels.
        small: ``shrink(luma, ...)`` at the size of the chroma, where it is at hand: for one photograph it is always the same.

    Returns:
        ``(P, 2)`` Cb and Cr of luma's type.

    Raises:
        OptionError: as ``upsample`` does.
    """
    _check(chroma, luma, step=1)
    enlarged = _Enlarged(chroma, luma, step=1, small=small)
    found = np.empty((len(rows), 2), luma.dtype)
    tops = rows // SPACING * SPACING
    for top in np.unique(tops):
        band = np.empty((2, min(SPACING, enlarged.height - top), enlarged.width), luma.dtype)
        enlarged.fill(slice(int(top), int(top) + band.shape[1]), band)
        here = np.flatnonzero(tops == top)
        found[here] = band[:, rows[here] - top, columns[here]].T
    return found


@final
class _Enlarged:
    """Hold the model of one photograph's chroma, from which any rows can be computed."""

    def __init__(self, chroma: NDArray[np.floating], luma: Plane, *, step: int, small: Float | None = None) -> None:
        self._luma, self._step = luma, step
        self.height, self.width = (-(-side // step) for side in luma.shape)
        rows, columns = min(chroma.shape[1], self.height), min(chroma.shape[2], self.width)
        low = [_area(plane.astype(np.float32), rows, columns) for plane in chroma]
        self.spacing = max(1, spaced(chroma.shape[1:], luma.shape) // step)
        coarse = -(-self.height // self.spacing)
        small = shrink(luma, rows, columns) if small is None else small
        model = _fit(low, small, coarse, -(-self.width // self.spacing))
        # The columns are left to each band of rows.
        self._model = np.array([[_resize(part, coarse, part.shape[1]) for part in parts] for parts in model])

    def fill(self, rows: slice, out: Plane) -> None:
        """Compute some rows of Cb and Cr into ``(2, n, W)``; the first row is a multiple of ``SPACING``."""
        luma, step, spacing = self._luma, self._step, self.spacing
        first = max(rows.start - spacing, 0)  # one more point above and below: bands join without a seam
        around = luma[step * first : step * (rows.stop + spacing)]
        planes = excess(self._model[:, :, first // spacing :], around, width=self.width, step=step, spacing=spacing)
        blue, red = (plane[rows.start - first :][: rows.stop - rows.start] for plane in planes)
        factor = headroom(blue, red, *_extremes(luma, rows, step=step))
        for plane, scale, filled in zip((blue, red), EXCESS, out, strict=True):
            np.multiply(plane, factor, out=plane)
            # A hair less than 128: a uniform plane that lies on a tie must not flicker. No value is below 0.
            if luma.dtype == np.uint8:
                filled[:] = cv2.convertScaleAbs(plane, alpha=1 / scale, beta=127.998)
            else:
                filled[:] = plane * np.float32(256 / scale) + np.float32(32768.5)  # cut off: no sample is near 0 or 65535


Model = Float
"""``(2, 4, h, w)``: for blue and red, offset, slope, lower and upper bound of their excess over luma."""


def fit(chroma: NDArray[np.floating], luma: Bytes) -> Model:
    """Fit what ``upsample`` does to a small picture, for a larger one that is worked through in bands of rows.

    Args:
        chroma: ``(2, h, w)`` Cb, Cr in [-0.5, 0.5], of any size; it covers the whole picture.
        luma: ``(H, W)`` uint8, the small picture, of no fewer pixels a side than the chroma.

    Raises:
        OptionError: a shape, a type or a value is not as said above.
    """
    _check(chroma, luma, step=1)
    rows, columns = (min(cells, side) for cells, side in zip(chroma.shape[1:], luma.shape, strict=True))
    low = [_area(plane.astype(np.float32), rows, columns) for plane in chroma]
    return _fit(low, shrink(luma, rows, columns), *luma.shape)


def stretched(model: Model, rows: slice, height: int) -> Model:
    """Interpolate some of ``height`` rows of a model, whose columns stay as few as they are."""
    known = model.shape[2]
    place = ((np.arange(rows.start, rows.stop) + 0.5) * (known / height) - 0.5).clip(0, known - 1)
    above = np.minimum(place.astype(np.intp), known - 1)
    below = np.minimum(above + 1, known - 1)
    weight = (place - above).astype(np.float32)[:, None]
    return cast(Model, model[:, :, above] * (1 - weight) + model[:, :, below] * weight)


def spaced(cells: tuple[int, ...], size: tuple[int, ...]) -> int:
    """Return how many pixels apart, a power of two up to ``SPACING``, detail is computed for some cells in some pixels."""
    spacing = 1
    while spacing < SPACING and all(2 * spacing * POINTS * some <= side for some, side in zip(cells, size, strict=True)):
        spacing *= 2
    return spacing


def excess(model: Model, luma: Plane, *, width: int, step: int = 1, spacing: int = 1) -> tuple[Float, Float]:
    """Find how much blue and red exceed luma in a band of rows, not yet held in the gamut.

    Args:
        model: of ``stretched``, from the band's first row on.
        luma: ``(n, W)`` uint8 or uint16, the band. Where the picture goes on above or below, the outermost ``spacing`` rows of
            the answer are not exact.
        width: of the answer for all columns that the model covers, which may reach beyond the band's.
        step: pixels a side for one sample of the answer.
        spacing: samples a side of which one is computed, the others interpolated.

    Returns:
        Blue and red less luma, each ``(n / step, W / step)`` float32, rounded up, in levels of 255.
    """
    guide, factor = luma, step * spacing
    while factor > 1:
        guide, factor = _halved(guide), factor // 2
    guide = _levels(guide)
    blue, red = (_apply(parts[:, : len(guide)], guide, -(-width // spacing)) for parts in model)
    if spacing > 1:
        high, wide = (-(-side // step) for side in luma.shape)
        blue, red = (_resize(plane, spacing * len(plane), spacing * plane.shape[1])[:high, :wide] for plane in (blue, red))
    return blue, red


def shrink(luma: Plane, height: int, width: int) -> Float:
    """Average luma over the cells of a grid that covers it, at hardly more than the cost of reading it.

    Args:
        luma: ``(H, W)`` uint8 or uint16.
        height: rows of the grid, in [1, H].
        width: columns of the grid, in [1, W].

    Returns:
        ``(height, width)`` float32 in [0, 255].
    """
    rows, columns = (float(side) for side in luma.shape)
    # cv2 halves forty times faster than it averages over cells of any other size.
    while rows >= 4 * height and columns >= 4 * width:
        luma = _halved(luma)
        rows, columns = rows / 2, columns / 2
    return _area(_levels(luma).astype(np.float32), height, width, rows=rows, columns=columns)


def _halved(luma: Plane) -> Plane:
    """Average squares of 2 x 2 pixels, an odd last row or column twice."""
    odd = luma.shape[0] % 2, luma.shape[1] % 2
    if any(odd):
        luma = cast(Plane, cv2.copyMakeBorder(luma, 0, odd[0], 0, odd[1], cv2.BORDER_REPLICATE))
    return cast(Plane, cv2.resize(luma, (luma.shape[1] // 2, luma.shape[0] // 2), interpolation=cv2.INTER_AREA))


def _levels(luma: Plane) -> NDArray[Any]:
    """Return luma in levels of 255: uint8 as it is, uint16 as float32."""
    return luma if luma.dtype == np.uint8 else luma * np.float32(1 / 257)


def _check(chroma: NDArray[Any], luma: NDArray[Any], *, step: int) -> None:
    if step not in (1, 2):
        raise OptionError(f"step is {step!r}, expected 1 (full-size chroma) or 2 (half-size)")
    if luma.ndim != 2 or luma.dtype not in (np.uint8, np.uint16) or not luma.size:
        raise OptionError(f"luma is {luma.dtype} of shape {luma.shape}, expected uint8 or uint16 (H, W): pass grey alone")
    if chroma.ndim != 3 or chroma.shape[0] != 2 or not chroma.size:
        raise OptionError(f"chroma has the shape {chroma.shape}, expected (2, h, w): pass one photograph's Cb and Cr")
    if not np.isfinite(chroma).all():
        raise OptionError("chroma holds NaN or infinity, expected numbers in [-0.5, 0.5]: check the model that made it")


def _area(plane: Float, height: int, width: int, *, rows: float = 0, columns: float = 0) -> Float:
    """Average the first ``rows`` and ``columns`` pixels (may be fractions; 0: all) over a grid of cells."""
    if plane.shape == (height, width) and (rows or height) == height and (columns or width) == width:
        return plane
    if (rows or plane.shape[0]) == plane.shape[0] >= height and (columns or plane.shape[1]) == plane.shape[1] >= width:
        return cast(Float, cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA))
    down = _average(plane, height, rows or plane.shape[0])
    return np.ascontiguousarray(_average(down.T, width, columns or plane.shape[1]).T, np.float32)


def _average(plane: NDArray[Any], cells: int, length: float) -> NDArray[Any]:
    """Average the first ``length`` rows over cells of equal height, as differences of sums from the top.

    A product of matrices would do it in one line, but its library's threads wait for each other on a busy machine.
    """
    edges = np.linspace(0, length, cells + 1)
    whole = np.minimum(edges.astype(np.intp), len(plane) - 1)
    above = np.cumsum(plane, axis=0, dtype=np.float64)[whole] - plane[whole]
    sums = above + (edges - whole)[:, None] * plane[whole]
    return cast(NDArray[Any], np.diff(sums, axis=0) * (cells / length))


def _fit(chroma: list[Float], luma: Float, height: int, width: int) -> Model:
    """Fit ``excess = offset + slope * Y``, between bounds, to chroma in [-0.5, 0.5] and luma in [0, 255] of one low resolution.

    Returns:
        The model in levels of 255, with ``FINE`` points a cell.
    """
    rows, columns = luma.shape
    fine = min(FINE * rows, height), min(FINE * columns, width)
    smooth = _resize(_blur(luma, BLUR), *fine, cv2.INTER_CUBIC)
    near = np.ones((2 * REACH + 1, 2 * REACH + 1), np.uint8)
    model = []
    for plane, slope, scale in zip(chroma, _slopes(chroma, luma * np.float32(1 / 255)), EXCESS, strict=True):
        excess = plane * np.float32(255 * scale)
        slope_fine = _resize(slope * np.float32(scale), *fine)
        offset = _resize(excess, *fine, cv2.INTER_CUBIC) - slope_fine * smooth
        bounds = [_resize(cast(Float, morph(excess, near)), *fine) for morph in (cv2.erode, cv2.dilate)]
        model.append([offset, slope_fine, *bounds])
    return np.array(model)


def _slopes(chroma: list[Float], luma: Float) -> list[Float]:
    """Return the slope of each chroma plane over luma around each cell, weakened where they correlate little."""
    center = _blur(luma, WINDOW)
    variance = np.maximum(_blur(luma * luma, WINDOW) - center * center, 0) + NOISE**2
    spread = np.full_like(luma, CHROMA_NOISE**2)
    shared = np.zeros_like(luma)
    slopes = []
    for plane in chroma:
        mean = _blur(plane, WINDOW)
        covariance = _blur(plane * luma, WINDOW) - mean * center
        spread += np.maximum(_blur(plane * plane, WINDOW) - mean * mean, 0)
        shared += covariance * covariance
        slopes.append(covariance / variance)
    correlation = np.sqrt(shared / (variance * spread))
    return [cast(Float, slope * correlation) for slope in slopes]


def _blur(plane: Float, deviation: float) -> Float:
    return cast(Float, cv2.GaussianBlur(plane, (5, 5), deviation, borderType=cv2.BORDER_REFLECT))


def _resize(plane: Float, height: int, width: int, kind: int = cv2.INTER_LINEAR) -> Float:
    return cast(Float, cv2.resize(plane, (width, height), interpolation=kind))


def _extremes(luma: Plane, rows: slice, *, step: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the darkest and brightest luma that each color of some output rows can meet, in levels of 255."""
    if step == 1:
        band = _levels(luma[rows])
        return band, band
    height, width = luma.shape
    top, bottom = 2 * rows.start - 1, 2 * rows.stop + 1
    # One pixel around the band, an odd last row or column twice: sample i meets the pixels 2i - 1 to 2i + 2.
    above, below = max(-top, 0), max(bottom - height, 0)
    padded = cv2.copyMakeBorder(luma[max(top, 0) : bottom], above, below, 1, 1 + width % 2, cv2.BORDER_REPLICATE)
    return _levels(_extreme(padded, np.minimum)), _levels(_extreme(padded, np.maximum))


def _extreme(padded: NDArray[Any], pick: np.ufunc) -> NDArray[Any]:
    """Reduce each 4 x 4 pixels, every 2 pixels, to the minimum or maximum: ``(2 n + 2, 2 m + 2)`` to ``(n, m)``."""
    pairs = pick(padded[::2], padded[1::2])
    fours = pick(pairs[:-1], pairs[1:])
    # Splitting as if even and odd columns were channels is ten times faster than a stride.
    pairs = pick(*cv2.split(fours.reshape(len(fours), -1, 2)))
    return cast(NDArray[Any], pick(pairs[:, :-1], pairs[:, 1:]))


def _apply(parts: Model, guide: NDArray[Any], width: int) -> Float:
    """Evaluate the model of one color at the guide's pixels, the first of ``width`` columns, in levels around 0."""
    rows, columns = guide.shape
    plane, slope, lower, upper = (_resize(part, rows, width)[:, :columns] for part in parts)
    np.multiply(slope, guide, out=slope)
    np.add(plane, slope, out=plane)
    # Not np.clip, which takes four times as long with arrays for bounds.
    np.maximum(plane, lower, out=plane)
    return np.minimum(plane, upper, out=plane)


def headroom(blue: Float, red: Float, dark: NDArray[Any], bright: NDArray[Any]) -> Float:
    """Find the factor of ``color.headroom`` that suits two lumas at once, from the excess over luma, in levels of 255."""
    green = cv2.addWeighted(blue, -color.KB / color.KG, red, -color.KR / color.KG, 0)
    most = np.maximum(np.maximum(blue, red), green)
    least = np.minimum(np.minimum(blue, red), green)
    # The excesses average to 0, so most >= 0 >= least but for rounding.
    up = (255 - bright) / np.add(most, 1e-3, out=most)
    down = dark / np.subtract(1e-3, least, out=least)
    return cast(Float, cv2.threshold(np.minimum(up, down, out=up), 1, 0, cv2.THRESH_TRUNC)[1])
