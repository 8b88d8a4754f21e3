"""Convert between RGB and full-range BT.601 Y'CbCr, and define the chroma bins of the network.

The working space is JFIF's: ``Y in [0, 1]``, ``Cb, Cr in [-0.5, 0.5]`` (ITU-T T.871, section 7). Every function here is pure
and takes numpy arrays; those named so take torch tensors too, since they use arithmetic and indexing alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]

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


def enliven(chroma: Any, gain: float, *, cast: float, faint: float) -> Any:
    """Make the chroma of a photograph more vivid without a cast, and leave what is nearly grey grey.

    What differs from the photograph's mean is multiplied by the gain, the mean by ``1 + cast (gain - 1)``: among all changes of
    the same squared size that is about the one which adds most to colorfulness (Hasler & Suesstrunk 2003), where the mean
    counts 0.3. Then chroma of magnitude m is multiplied by ``m^4 / (m^4 + faint^4)``.

    Args:
        chroma: ``(..., 2, H, W)`` planes in [-0.5, 0.5], numpy or torch.
        gain: 1 leaves all as it is but what is faint.
        cast: the share of the gain that the mean gets, in [0, 1].
        faint: the magnitude that is halved; 0 fades nothing.
    """
    mean = chroma.mean(axis=(-2, -1), keepdims=True)
    chroma = gain * chroma - (gain - 1) * (1 - cast) * mean
    strength = (chroma * chroma).sum(axis=-3, keepdims=True) ** 2
    return chroma * (strength / (strength + max(faint, 1e-6) ** 4))


def bins() -> Float:
    """List the centers of the 323 chroma bins that the sRGB gamut fills.

    The grid has a step of 0.05 in Cb and Cr; a bin counts when a color of the 33 x 33 x 33 lattice of RGB rounds to it (the
    construction of Zhang et al. 2016, section 2.2, which has 313 bins in ab).

    Returns:
        ``(323, 2)`` float32, sorted by Cb, then Cr.
    """
    index = _grid()
    return (index * BIN_STEP).astype(np.float32)


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


def _grid() -> NDArray[np.int64]:
    levels = np.linspace(0, 1, 33)
    red, green, blue = np.meshgrid(levels, levels, levels, indexing="ij")
    _, cb, cr = rgb_to_ycbcr(red.ravel(), green.ravel(), blue.ravel())
    return np.unique(np.rint(np.stack([cb, cr], 1) / BIN_STEP).astype(np.int64), axis=0)
