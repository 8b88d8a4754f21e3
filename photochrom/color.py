"""Convert between RGB and full-range BT.601 Y'CbCr, define the chroma bins of the network, and compare colors.

The working space is JFIF's: ``Y in [0, 1]``, ``Cb, Cr in [-0.5, 0.5]`` (ITU-T T.871, section 7). Every function here is pure
and takes numpy arrays; those named so take torch tensors too, since they use only arithmetic and indexing.
CIE Lab, which published figures ask for, is used only to compare.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]
Floats = NDArray[np.floating[Any]]
"""float32 or float64."""
Double = NDArray[np.float64]
Bytes = NDArray[np.uint8]
Plane = NDArray[np.unsignedinteger[Any]]
"""uint8 or uint16."""
Picture = NDArray[np.uint8]
"""``(H, W, 3)`` RGB."""

KR, KG, KB = 0.299, 0.587, 0.114
"""Weights of red, green and blue in luma (ITU-R BT.601)."""

RED_CR = 2 * (1 - KR)
"""Red = Y + RED_CR * Cr."""
BLUE_CB = 2 * (1 - KB)
"""Blue = Y + BLUE_CB * Cb."""
GREEN_CB = -BLUE_CB * KB / KG
GREEN_CR = -RED_CR * KR / KG
"""Green = Y + GREEN_CB * Cb + GREEN_CR * Cr."""

BIN_STEP = 0.05
"""Distance of two neighboring chroma bins, in units of Cb and Cr."""
BINS = 323
"""The number of bins of ``bins()``, and so the length of a palette."""

LEAST_SQUARED_ERROR = 1 / 12
"""Floor of the mean squared error in `psnr`: what rounding to 8 bits costs by itself, so that the truth is no better known."""


# sRGB's primaries and D65 white in XYZ (IEC 61966-2-1), divided by the white's X, Y, Z: the sums of the rows, so that grey
# has a = b = 0 to rounding.
_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])
_XYZ_OVER_WHITE = (_XYZ / _XYZ.sum(1, keepdims=True)).astype(np.float32)
_WHITE_OVER_XYZ = np.linalg.inv(_XYZ / _XYZ.sum(1, keepdims=True)).astype(np.float32)
_LEVELS = np.arange(256) / 255
_LINEAR = np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4).astype(np.float32)

BELIEF_MOST = 2.0
"""By how much the gain of one photograph differs at most from that of others."""


def rgb_to_ycbcr(red: Any, green: Any, blue: Any) -> tuple[Any, Any, Any]:
    """Convert planes of RGB in [0, 1] to Y in [0, 1] and Cb, Cr in [-0.5, 0.5]; numpy or torch."""
    luma = KR * red + KG * green + KB * blue
    return luma, (blue - luma) / BLUE_CB, (red - luma) / RED_CR


def ycbcr_to_rgb(luma: Any, cb: Any, cr: Any) -> tuple[Any, Any, Any]:
    """Convert planes of Y in [0, 1] and Cb, Cr in [-0.5, 0.5] to RGB, unclipped; numpy or torch."""
    return luma + RED_CR * cr, luma + GREEN_CB * cb + GREEN_CR * cr, luma + BLUE_CB * cb


def split(rgb: NDArray[Any]) -> tuple[Float, Float]:
    """Split an ``(H, W, 3)`` uint8 picture into luma and chroma.

    Returns:
        ``(H, W)`` float32 luma in [0, 1] and ``(2, H, W)`` float32 chroma (Cb, Cr) in [-0.5, 0.5].
    """
    planes = np.moveaxis(rgb, -1, 0).astype(np.float32) / 255
    luma, cb, cr = rgb_to_ycbcr(*planes)
    return luma, np.stack([cb, cr])


def join(luma: NDArray[Any], chroma: NDArray[Any]) -> NDArray[np.uint8]:
    """Join ``(H, W)`` luma and ``(2, H, W)`` chroma into an ``(H, W, 3)`` uint8 picture, clipped to [0, 255]."""
    rgb = np.stack(ycbcr_to_rgb(luma, chroma[0], chroma[1]), -1)
    return np.clip(rgb * 255 + 0.5, 0, 255).astype(np.uint8)


def headroom(luma: Any, cb: Any, cr: Any, *, minimum: Any, maximum: Any) -> Any:
    """Find the largest factor in [0, 1] that brings chroma inside the RGB gamut at a luma, hue kept.

    Along the ray from grey through (Cb, Cr) each channel leaves [0, 1] once; the nearest exit bounds the factor.

    Args:
        luma: planes in [0, 1].
        cb: planes in [-0.5, 0.5].
        cr: planes in [-0.5, 0.5].
        minimum: the elementwise minimum of two planes: ``np.minimum`` or ``torch.minimum``.
        maximum: the elementwise maximum of two planes.
    """
    red, green, blue = ycbcr_to_rgb(0 * luma, cb, cr)
    top = maximum(maximum(red, green), blue)
    bottom = -minimum(minimum(red, green), blue)
    tiny = 1e-6 + 0 * luma
    up = (1 - luma) / maximum(top, tiny)
    down = luma / maximum(bottom, tiny)
    return minimum(minimum(up, down), 1 + 0 * luma)


def enliven(chroma: Any, gain: Any, *, cast: float, faint: float) -> Any:
    """Make the chroma of a photograph more vivid without a cast, and leave what is nearly grey grey.

    What differs from the photograph's mean is multiplied by the gain, the mean by ``1 + cast (gain - 1)``: among all changes of
    the same squared size that is about the one which adds most to colorfulness (Hasler & Suesstrunk 2003), where the mean
    counts 0.3. Then chroma of magnitude m is multiplied by ``m^4 / (m^4 + faint^4)``.

    Args:
        chroma: ``(..., 2, H, W)`` planes in [-0.5, 0.5], numpy or torch.
        gain: 1 leaves all as it is but what is faint; a number, or one for each photograph, ``(..., 1, 1, 1)``.
        cast: the share of the gain that the mean gets, in [0, 1].
        faint: the magnitude that is halved; 0 fades nothing.
    """
    mean = chroma.mean(axis=(-2, -1), keepdims=True)
    chroma = gain * chroma - (gain - 1) * (1 - cast) * mean
    strength = (chroma * chroma).sum(axis=-3, keepdims=True) ** 2
    return chroma * (strength / (strength + max(faint, 1e-6) ** 4))


def believed_ratio(chroma: Any, length: Any) -> Any:
    """Measure how much more color a network believes in than it can name.

    The mean of a distribution of chroma is shorter than its mean length, the more so the less sure the hue is. Old prints leave
    the hue open: the mean is pale, while the mean length is nearly what it is for modern photographs.

    Args:
        chroma: ``(..., 2, H, W)`` mean chroma, numpy or torch.
        length: ``(..., H, W)`` mean length of chroma (``bin_lengths``).

    Returns:
        ``(..., 1, 1, 1)`` ratio of the two averages over each photograph, at least 1 but for rounding; 1 where all is grey.
    """
    strength = ((chroma * chroma).sum(axis=-3, keepdims=True) ** 0.5).mean(axis=(-2, -1), keepdims=True)
    return (length[..., None, :, :].mean(axis=(-2, -1), keepdims=True) + 1e-4) / (strength + 1e-4)


def believed_factor(chroma: Float, length: Float, belief: float, vividness: float) -> Float:
    """Return by how much the gain of each photograph differs from that of others.

    Args:
        chroma: ``(N, 2, h, w)``, the mean of the distribution.
        length: ``(N, h, w)``, its mean length.
        belief: that of the card.
        vividness: from 0, where all gains are the same, to 1 and above.

    Returns:
        ``(N, 1, 1, 1)`` float32 between 1 / ``BELIEF_MOST`` and ``BELIEF_MOST``.
    """
    ratio = believed_ratio(chroma, length) / np.float32(belief)
    factor: Float = np.clip(ratio, 1 / BELIEF_MOST, BELIEF_MOST) ** np.float32(min(vividness, 1.0))
    return factor


def bin_lengths() -> Float:
    """Return the ``(323,)`` float32 length of the chroma of each bin."""
    lengths: Float = np.hypot(*bins().T).astype(np.float32)
    return lengths


def bins() -> Float:
    """List the centers of the 323 chroma bins that the sRGB gamut fills.

    The grid has a step of 0.05 in Cb and Cr; a bin counts when a color of the 33 x 33 x 33 lattice of RGB rounds to it (the
    construction of Zhang et al. 2016, section 2.2, which has 313 bins in ab).

    Returns:
        ``(323, 2)`` float32, sorted by Cb, then Cr.
    """
    index = _grid()
    return (index * BIN_STEP).astype(np.float32)


@lru_cache(maxsize=1)
def bin_table() -> NDArray[np.int64]:
    """Map every cell of the 21 x 21 grid to its bin, or to the nearest one where the cell lies outside the gamut.

    Returns:
        ``(21, 21)`` int64, indexed by ``round(Cb / 0.05) + 10`` and ``round(Cr / 0.05) + 10``.
    """
    index = _grid()
    cells = np.stack(np.meshgrid(np.arange(-10, 11), np.arange(-10, 11), indexing="ij"), -1)
    distance = ((cells[:, :, None] - index) ** 2).sum(-1)
    nearest: NDArray[np.int64] = distance.argmin(-1)
    return nearest


def palette(chroma: Float) -> Float:
    """Measure the share of each chroma bin in ``(2, H, W)`` chroma, averaged over 4 x 4 pixels (Zhang et al. 2017, sec. 3.4).

    Returns:
        ``(323,)`` float32 that sum to 1.
    """
    height, width = (max(side // 4 * 4, 1) for side in chroma.shape[1:])
    cell = 4 if min(height, width) >= 4 else 1
    small = chroma[:, : height // cell * cell, : width // cell * cell]
    small = small.reshape(2, height // cell, cell, width // cell, cell).mean((2, 4))
    index = np.clip(np.rint(small / BIN_STEP).astype(np.intp), -10, 10) + 10
    count = np.bincount(bin_table()[index[0], index[1]].ravel(), minlength=BINS)
    shares: Float = (count / count.sum()).astype(np.float32)
    return shares


@lru_cache(maxsize=1)
def _grid() -> NDArray[np.int64]:
    levels = np.linspace(0, 1, 33)
    red, green, blue = np.meshgrid(levels, levels, levels, indexing="ij")
    _, cb, cr = rgb_to_ycbcr(red.ravel(), green.ravel(), blue.ravel())
    rows, columns = np.rint(np.stack([cb, cr]) / BIN_STEP).astype(np.int64) + 10
    cells = np.unique(rows * 21 + columns)  # one number each: unique pairs take 30 ms, eight times as long
    return np.stack(np.divmod(cells, 21), 1) - 10


def disparity(truth: Picture, picture: Picture) -> tuple[float, float, float]:
    """Measure the mean absolute difference of red, green and blue, in percent of the full range of 255."""
    difference = np.maximum(truth, picture) - np.minimum(truth, picture)
    red, green, blue = difference.mean((0, 1), dtype=np.float64) / 255 * 100
    return float(red), float(green), float(blue)


def psnr(truth: Picture, picture: Picture) -> float:
    """Measure the peak signal-to-noise ratio over the RGB values, in dB: ``10 log10(255^2 / MSE)``.

    Two equal pictures would give infinity and spoil every mean; the MSE therefore counts as at least 1/12, the error of
    rounding to 8 bits, which makes 58.9 dB the most that a photograph can reach.
    """
    squared = np.square(truth.astype(np.float32) - picture).mean(dtype=np.float64)
    return 10 * math.log10(255**2 / max(float(squared), LEAST_SQUARED_ERROR))


def lab(picture: Picture) -> Floats:
    """Convert an ``(H, W, 3)`` uint8 sRGB picture to CIE Lab under D65, 2 degree observer.

    Returns:
        ``(3, H, W)`` float32: L in [0, 100], a and b within about [-110, 110].
    """
    return _linear_to_lab(_LINEAR[np.moveaxis(picture, -1, 0)])


def rgb_to_lab(rgb: Floats) -> Floats:
    """Convert ``(3, ...)`` planes of sRGB in [0, 1] to CIE Lab, as ``lab`` does for bytes."""
    return _linear_to_lab(np.where(rgb <= 0.04045, rgb / 12.92, ((np.maximum(rgb, 0.04045) + 0.055) / 1.055) ** 2.4))


def lightness(luma: Floats) -> Floats:
    """Give L* in [0, 100] of greys of sRGB values in [0, 1]."""
    found: Floats = rgb_to_lab(np.stack([luma] * 3))[0]
    return found


def lab_to_rgb(lab: Floats) -> Floats:
    """Convert ``(3, ...)`` planes of CIE Lab to sRGB, clipped to [0, 1]: the inverse of ``lab`` inside the gamut."""
    level = (lab[0] + 16) / 116
    curves = np.stack([level + lab[1] / 500, level, level - lab[2] / 200])
    relative = np.where(curves > 6 / 29, curves**3, (curves - 4 / 29) * (3 * (6 / 29) ** 2))
    linear = np.tensordot(_WHITE_OVER_XYZ, relative.astype(np.float32), 1).clip(0, 1)
    rgb: Floats = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return rgb


def _linear_to_lab(linear: Floats) -> Floats:
    x, y, z = _lab_curve(np.tensordot(_XYZ_OVER_WHITE, linear, 1))
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def _lab_curve(relative: Floats) -> Floats:
    epsilon = (6 / 29) ** 3
    return np.where(relative > epsilon, np.cbrt(relative), relative * ((29 / 6) ** 2 / 3) + 4 / 29)


def delta_e_2000(one: Floats, two: Floats) -> Floats:
    """Measure the CIEDE2000 color difference of every pixel.

    Sharma, Wu, Dalal 2005, "The CIEDE2000 color-difference formula: implementation notes", equations 2 to 22, with all
    parametric factors 1. Their special cases of a color without hue need no branch: the hue difference that they would
    change is multiplied by a chroma of 0.

    Args:
        one: ``(3, ...)`` Lab planes of floats.
        two: the same shape.

    Returns:
        ``(...)`` of the floats given, 0 where the colors are equal.
    """
    l1, a1, b1 = one
    l2, a2, b2 = two
    stretch = 1.5 - 0.5 * _chroma_weight((_length(a1, b1) + _length(a2, b2)) / 2)
    a1, a2 = a1 * stretch, a2 * stretch
    c1, c2 = _length(a1, b1), _length(a2, b2)
    h1, h2 = _hue(a1, b1), _hue(a2, b2)
    turn, hue = h2 - h1, (h1 + h2) / 2
    far = np.abs(turn) > np.pi
    turn = np.where(far, turn - np.copysign(2 * np.pi, turn).astype(turn.dtype), turn)
    hue = np.where(far, np.where(hue < np.pi, hue + np.pi, hue - np.pi), hue)

    lightness, chroma = (l1 + l2) / 2, (c1 + c2) / 2
    hue_weight = (
        1
        - 0.17 * np.cos(hue - math.radians(30))
        + 0.24 * np.cos(2 * hue)
        + 0.32 * np.cos(3 * hue + math.radians(6))
        - 0.20 * np.cos(4 * hue - math.radians(63))
    )
    middle = np.square(lightness - 50)
    by_lightness = (l2 - l1) / (1 + 0.015 * middle / np.sqrt(20 + middle))
    by_chroma = (c2 - c1) / (1 + 0.045 * chroma)
    by_hue = 2 * np.sqrt(c1 * c2) * np.sin(turn / 2) / (1 + 0.015 * chroma * hue_weight)
    blue = (np.degrees(hue) - 275) / 25
    rotation = -2 * _chroma_weight(chroma) * np.sin(math.radians(60) * np.exp(-np.square(blue)))
    squared = np.square(by_lightness) + np.square(by_chroma) + np.square(by_hue) + rotation * by_chroma * by_hue
    difference: Floats = np.sqrt(np.maximum(squared, 0))
    return difference


def _hue(a: Floats, b: Floats) -> Floats:
    hue = np.arctan2(b, a)
    return np.where(hue < 0, hue + 2 * np.pi, hue)


def _chroma_weight(chroma: Floats) -> Floats:
    # Multiplied out, since the power of a float array takes longer than the rest of the formula.
    cubed = chroma * chroma * chroma
    seventh = cubed * cubed * chroma
    weight: Floats = np.sqrt(seventh / (seventh + 25.0**7))
    return weight


def delta_e_1976(one: Floats, two: Floats) -> Floats:
    """Measure the CIE76 color difference, the distance in Lab, of every pixel of two ``(3, ...)`` Lab arrays."""
    difference: Floats = np.sqrt(np.square(one - two).sum(0))
    return difference


def ab_error(one: Floats, two: Floats) -> Floats:
    """Measure the Euclidean distance in the ab plane for every pixel of two ``(3, ...)`` Lab arrays."""
    return _length(one[1] - two[1], one[2] - two[2])


def _length(a: Floats, b: Floats) -> Floats:
    # Plain, since np.hypot guards against an overflow that Lab cannot reach and takes four times as long.
    length: Floats = np.sqrt(a * a + b * b)
    return length


def colorfulness(picture: Picture) -> float:
    """Measure the colorfulness of an ``(H, W, 3)`` uint8 picture: Hasler and Suesstrunk 2003, M^(3).

    ``sigma + 0.3 mu`` of the opponent colors ``rg = R - G`` and ``yb = (R + G) / 2 - B``, both signed; sigma is the root of the
    summed variances, mu the length of the mean vector. 0 for grey; their scale calls 33 moderately and 59 quite colorful.
    """
    red, green, blue = np.moveaxis(picture, -1, 0).astype(np.float32)
    opponents = np.stack([red - green, (red + green) / 2 - blue])
    spread = opponents.var((1, 2), dtype=np.float64).sum()
    mean = np.square(opponents.mean((1, 2), dtype=np.float64)).sum()
    return float(np.sqrt(spread) + 0.3 * np.sqrt(mean))
