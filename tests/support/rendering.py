"""Tell how far a result looks from its source, each through its own profile: libvips decodes, littlecms renders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000

from photochrom.photo import convert, vips
from photochrom.photo.metadata import icc
from tests.support import testdata

ADOBE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))


def profiles() -> dict[str, bytes]:
    """Give RGB profiles by name; the last two are those that grey ones become."""
    p3, wide = (icc.of_primaries(number) for number in (12, 9))
    dots, flat = (
        icc.for_color(testdata.grey_profile(curve), "L") for curve in (testdata.dot_gain_curve(), testdata.gamma_curve(1.8))
    )
    assert p3 and wide and dots and flat
    adobe = icc._matrix_profile(b"\2\x10\0\0", testdata.gamma_curve(563 / 256), name="Adobe RGB", primaries=ADOBE)
    return {"Display P3": p3, "Rec. 2020": wide, "Adobe RGB": adobe, "dot gain": dots, "grey gamma 1.8": flat}


@dataclass(frozen=True)
class Space:
    """A space of a tone curve and primaries by its definition, in floating point: what conversions are measured by."""

    linear: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    matrix: NDArray[np.float64]

    def to_xyz(self, rgb: NDArray[np.float64]) -> NDArray[np.float64]:
        """Convert ``(3, N)`` samples in [0, 1] to XYZ relative to D50."""
        return self.matrix @ self.linear(rgb)

    def from_xyz(self, xyz: NDArray[np.float64]) -> NDArray[np.float64]:
        """Convert to samples, clipped to [0, 1]."""
        grid = np.linspace(0, 1, 1 << 16)
        return np.interp(np.linalg.solve(self.matrix, xyz), self.linear(grid), grid)


def srgb_light(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Undo the tone curve of sRGB (IEC 61966-2-1)."""
    return np.where(samples > 0.04045, ((samples + 0.055) / 1.055) ** 2.4, samples / 12.92)


SRGB = tuple(icc.SRGB_XYZ.values())
SPACES = {
    "sRGB": Space(srgb_light, np.array(SRGB).T),
    "Display P3": Space(srgb_light, np.array(icc.PRIMARIES[12][1]).T),
    "Rec. 2020": Space(srgb_light, np.array(icc.PRIMARIES[9][1]).T),
    "Adobe RGB": Space(lambda samples: samples ** (563 / 256), np.array(ADOBE).T),
    "dot gain": Space(
        lambda samples: np.interp(samples, np.linspace(0, 1, 256), np.linspace(0, 1, 256) ** 1.75 * 0.97 + 0.003),
        np.array(SRGB).T,
    ),
    "grey gamma 1.8": Space(lambda samples: samples**1.8, np.array(SRGB).T),
}
"""The spaces of ``profiles``, and sRGB."""


def decoded(content: bytes) -> tuple[NDArray[Any], bytes]:
    """Give the ``(H, W, 1 or 3)`` samples of a file without alpha, and its profile: sRGB's where it has none."""
    image = vips.library().Image.new_from_buffer(content, "")
    profile = image.get("icc-profile-data") if "icc-profile-data" in image.get_fields() else testdata.srgb_profile()
    samples = image.numpy().reshape(image.height, image.width, -1)
    return samples[..., : 1 if samples.shape[2] < 3 else 3], profile


def lab(samples: NDArray[Any], profile: bytes) -> NDArray[np.float64]:
    """Render ``(H, W, 1 or 3)`` samples through a profile, as ``(H, W, 3)`` Lab."""
    if samples.shape[2] == 1 and icc.space(profile) != "L":
        samples = np.repeat(samples, 3, 2)
    meaning = {1: ("b-w", "grey16"), 3: ("srgb", "rgb16")}[samples.shape[2]][samples.itemsize - 1]
    image = vips.library().Image.new_from_array(np.ascontiguousarray(samples)).copy(interpretation=meaning)
    image.set_type(vips.library().GValue.blob_type, "icc-profile-data", profile)
    return np.asarray(image.icc_import(embedded=True, pcs="lab", intent="relative").numpy(), np.float64)


def grey(samples: NDArray[Any]) -> NDArray[Any]:
    """Give the luma of ``(H, W, 1 or 3)`` samples, as one channel."""
    weights = np.array([1.0]) if samples.shape[2] == 1 else np.array([0.299, 0.587, 0.114])
    return np.rint(samples @ weights).astype(samples.dtype)[..., None]


def distance(before: bytes, after: bytes, *, luma: bool) -> float:
    """Measure the mean CIEDE2000 between two files, each through its own profile.

    Args:
        before: a file.
        after: another of its size.
        luma: compare their luma alone, as greys of their profiles.
    """
    first, second = (lab(grey(samples) if luma else samples, profile) for samples, profile in map(decoded, (before, after)))
    return float(deltaE_ciede2000(first, second).mean())


def in_own_colors(content: bytes) -> bytes:
    """Write a color photograph with the very colors that it has, by the writer that results are written with."""
    source = convert.read(content)
    rgb = decoded(content)[0].astype(np.float64)
    white = np.iinfo(source.luma.dtype).max
    luma = rgb @ np.array([0.299, 0.587, 0.114])
    planes = ((rgb[..., 2] - luma) / 1.772, (rgb[..., 0] - luma) / 1.402)
    cb, cr = (np.rint(np.clip(plane + (white + 1) // 2, 0, white)).astype(source.luma.dtype) for plane in planes)
    return convert.encode(source, cb, cr)


def right(source: bytes, result: bytes) -> float:
    """Tell how far a result is from looking right under its profile: mean CIEDE2000.

    Its luma is compared with the source's. Where the source has colors, it is written in these, and compared, as well: luma
    alone does not tell a space of other primaries, and the network's colors are not the source's.
    """
    found = distance(source, result, luma=True)
    samples, _ = decoded(source)
    colored = np.ptp(samples, -1).mean() > np.iinfo(samples.dtype).max / 50
    return max(found, distance(source, in_own_colors(source), luma=False)) if colored else found
