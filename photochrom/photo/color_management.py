"""Carry chroma that was predicted for sRGB into the space of a photograph's ICC profile.

The network has seen only sRGB. So it is shown the luma that looks the same in sRGB, and its colors are converted. libvips
converts with littlecms through CIE Lab in floating point, relative to the medium's white.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photochrom import color
from photochrom.color import Bytes, Float
from photochrom.photo import vips

SAME = 0.5 / 255
"""A space whose samples differ from sRGB's by less, on average over all colors, counts as sRGB."""


def as_srgb(luma: Bytes, profile: bytes | None) -> Bytes:
    """Return ``(H, W)`` uint8 luma as it would be stored in sRGB, to look the same."""
    table = _table(profile)
    return luma if table is None else np.take(table, luma)


def is_srgb(profile: bytes | None) -> bool:
    """Return whether colors of sRGB are written under a profile as they are.

    That also holds for a damaged profile, and for one that only describes a device and has no way back into its space.
    """
    return _table(profile) is None


def into(profile: bytes | None, chroma: Float, luma: Bytes) -> Float:
    """Convert chroma so that the colors look under a profile as they would in sRGB.

    Args:
        profile: an RGB profile; None means sRGB.
        chroma: ``(2, h, w)`` Cb, Cr in [-0.5, 0.5] of sRGB.
        luma: ``(H, W)`` uint8 luma of sRGB, of any size: of ``as_srgb``.

    Returns:
        ``(2, h, w)`` Cb, Cr in [-0.5, 0.5] of the profile's samples.
    """
    if profile is None or is_srgb(profile):
        return chroma
    high, wide = chroma.shape[1:]
    small = Image.fromarray(luma).resize((wide, high), Image.Resampling.BOX, reducing_gap=2.0)
    light = np.asarray(small, np.float64) / 255
    cb, cr = chroma.astype(np.float64)
    factor = color.headroom(light, cb, cr, minimum=np.minimum, maximum=np.maximum)
    rgb = np.stack(color.ycbcr_to_rgb(light, factor * cb, factor * cr), -1)
    found = vips.convert(_sixteen(rgb), target=profile) / np.float64(65535)
    _, *planes = color.rgb_to_ycbcr(*np.moveaxis(found, -1, 0))
    return np.stack(planes).astype(np.float32)


@lru_cache(maxsize=8)
def _table(profile: bytes | None) -> Bytes | None:
    """Return what each of the 256 greys of a profile is in sRGB; None where colors of sRGB are written as they are."""
    if profile is None:
        return None
    greys = np.repeat(np.linspace(0, 1, 256)[:, None], 3, 1)
    steps = np.linspace(0, 1, 6)
    colors = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)
    given = np.concatenate([greys, colors])
    try:
        found = vips.convert(_sixteen(given)[None], source=profile)[0] / np.float64(65535)
        vips.convert(np.zeros((1, 1, 3), np.uint16), target=profile)
    except OSError:
        return None
    if np.abs(found - given).mean() < SAME:
        return None
    return np.asarray(np.rint(found[:256, 1] * 255), np.uint8)


def _sixteen(rgb: NDArray[np.float64]) -> NDArray[np.uint16]:
    return np.asarray(np.rint(rgb.clip(0, 1) * 65535), np.uint16)
