"""Carry chroma that was predicted for sRGB into the space of a photograph's ICC profile.

The network has seen sRGB alone. So it is shown the luma that looks the same in sRGB, and its colors are converted: through
linear light and the connection space for a profile of matrix and curves (ICC.1, F.3), by littlecms, in 8 bits, for a table.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

from photochrom import color
from photochrom.color import Bytes, Double, Float
from photochrom.photo.metadata import icc

STEPS = 4096
"""Of a tabulated tone curve: finer than 8 bits where the curve is steepest."""
SAME = 0.5 / 255
"""A space whose curve and colors differ from sRGB's by less counts as sRGB."""


@dataclass(frozen=True, eq=False)
class Space:
    """A space of matrix and curves."""

    linear: Double
    """``(3, STEPS)`` light in [0, 1], increasing, of each channel at equal steps of its samples."""
    matrix: Double
    """``(3, 3)`` from light to XYZ of the connection space."""

    def to_xyz(self, rgb: Double) -> Double:
        """Convert ``(3, N)`` samples in [0, 1]."""
        grid = np.linspace(0, 1, STEPS)
        light = np.stack([np.interp(plane, grid, curve) for plane, curve in zip(rgb, self.linear, strict=True)])
        return np.asarray(self.matrix @ light)

    def from_xyz(self, xyz: Double) -> Double:
        """Convert to ``(3, N)`` samples, clipped to [0, 1]."""
        light = np.linalg.solve(self.matrix, xyz)
        grid = np.linspace(0, 1, STEPS)
        return np.stack([np.interp(plane, curve, grid) for plane, curve in zip(light, self.linear, strict=True)])


def as_srgb(luma: Bytes, profile: bytes | None) -> Bytes:
    """Give ``(H, W)`` uint8 luma as it would be stored in sRGB, to look the same."""
    convert = _conversions(profile)
    if convert is None:
        return luma
    grey = np.repeat(np.linspace(0, 1, 256)[None], 3, 0)
    table = np.rint(convert[0](grey)[1] * 255).clip(0, 255).astype(np.uint8)
    return np.take(table, luma)


def is_srgb(profile: bytes | None) -> bool:
    """Tell whether colors of sRGB are written under a profile as they are."""
    return _conversions(profile) is None


def into(profile: bytes | None, chroma: Float, luma: Bytes) -> Float:
    """Convert chroma so that the colors look under a profile as they would in sRGB.

    Args:
        profile: an RGB profile; none means sRGB.
        chroma: ``(2, h, w)`` Cb, Cr in [-0.5, 0.5] of sRGB.
        luma: ``(H, W)`` uint8 luma of sRGB, of any size: of ``as_srgb``.

    Returns:
        ``(2, h, w)`` Cb, Cr in [-0.5, 0.5] of the profile's samples.
    """
    convert = _conversions(profile)
    if convert is None:
        return chroma
    high, wide = chroma.shape[1:]
    small = Image.fromarray(luma).resize((wide, high), Image.Resampling.BOX, reducing_gap=2.0)
    light = np.asarray(small, np.float64).ravel() / 255
    cb, cr = chroma.reshape(2, -1).astype(np.float64)
    factor = color.headroom(light, cb, cr, minimum=np.minimum, maximum=np.maximum)
    found = convert[1](np.stack(color.ycbcr_to_rgb(light, factor * cb, factor * cr)))
    _, *planes = color.rgb_to_ycbcr(*found)
    return np.stack(planes).reshape(chroma.shape).astype(np.float32)


Convert = Callable[[Double], Double]
"""From ``(3, N)`` samples in [0, 1] to as many."""


@lru_cache(maxsize=8)
def _conversions(profile: bytes | None) -> tuple[Convert, Convert] | None:
    """Give the ways to sRGB and from it; none for sRGB, and for profiles that cannot be applied or not be written to."""
    if profile is None:
        return None
    found = read(profile)
    if found is None:
        return _by_littlecms(profile)
    srgb = _srgb()
    near = np.abs(srgb.linear - found.linear).max() < 0.004 and np.abs(srgb.matrix - found.matrix).max() < 0.004
    if near:
        return None
    return (lambda rgb: srgb.from_xyz(found.to_xyz(rgb))), (lambda rgb: found.from_xyz(srgb.to_xyz(rgb)))


def read(profile: bytes) -> Space | None:
    """Read a profile of matrix and curves; none for one with tables, and for a damaged one."""
    if icc.space(profile) != "RGB" or profile[20:24] != b"XYZ " or b"A2B0" in (tags := icc.tags(profile)):
        return None
    try:
        columns = [np.array(struct.unpack_from(">3i", tags[name], 8)) / 65536 for name in icc.SRGB_XYZ]
        matrix = np.stack(columns, 1)
        linear = np.stack([_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC")])
    except (KeyError, ValueError, struct.error):
        return None
    usable = abs(np.linalg.det(matrix)) > 1e-4 and np.isfinite(linear).all() and (np.diff(linear) >= 0).all()
    return Space(linear, matrix) if usable and (linear[:, -1] > 0.5).all() else None


def _curve(tag: bytes) -> Double:
    """Tabulate a tone curve (ICC.1, 10.6 and 10.18).

    Raises:
        ValueError, struct.error: it is damaged.
    """
    grid = np.linspace(0, 1, STEPS)
    if tag[:4] == b"curv":
        (count,) = struct.unpack_from(">I", tag, 8)
        if count == 0:
            return grid
        values = np.frombuffer(tag, ">u2", count, 12).astype(np.float64)
        if count == 1:
            return np.asarray(grid ** (values[0] / 256))
        return np.interp(grid, np.linspace(0, 1, count), values / 65535)
    if tag[:4] != b"para":
        raise ValueError("no tone curve")
    (kind,) = struct.unpack_from(">H", tag, 8)
    count = (1, 3, 4, 5, 7)[kind] if kind < 5 else 0
    numbers = [value / 65536 for value in struct.unpack_from(f">{count}i", tag, 12)]
    g, a, b, c, d, e, f = numbers + [0.0] * (7 - count)
    if kind == 0:
        return np.asarray(grid**g)
    power = np.maximum(a * grid + b, 0) ** g
    if kind in (1, 2):
        return np.asarray(np.where(grid >= -b / a, power + c, c)) if a else grid
    return np.asarray(np.where(grid >= d, power + e, c * grid + f))


@lru_cache(maxsize=1)
def _srgb() -> Space:
    grid = np.linspace(0, 1, STEPS)
    curve = np.where(grid > 0.04045, ((grid + 0.055) / 1.055) ** 2.4, grid / 12.92)
    return Space(np.stack([curve] * 3), np.stack([np.array(column) for column in icc.SRGB_XYZ.values()], 1))


def _by_littlecms(profile: bytes) -> tuple[Convert, Convert] | None:
    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        ways = [
            ImageCms.buildTransform(*pair, "RGB", "RGB", ImageCms.Intent.RELATIVE_COLORIMETRIC)
            for pair in ((own, srgb), (srgb, own))
        ]
    except icc.DAMAGED:
        return None  # it only describes a device: nobody can write colors in its space

    def convert(rgb: Double, way: ImageCms.ImageCmsTransform) -> Double:
        picture = Image.fromarray(np.ascontiguousarray(np.rint(rgb.T[None] * 255).clip(0, 255).astype(np.uint8)))
        found = ImageCms.applyTransform(picture, way)
        assert found is not None
        return np.asarray(np.asarray(found)[0].T / 255, np.float64)

    return (lambda rgb: convert(rgb, ways[0])), (lambda rgb: convert(rgb, ways[1]))
