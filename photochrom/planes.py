"""Take pictures apart into luma, alpha and a thumbnail, put planes together as RGB, and turn them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photochrom import icc
from photochrom.color import BLUE_CB, KB, KG, KR, RED_CR
from photochrom.errors import OptionError, PhotoError

Plane = NDArray[np.uint8]
Size = tuple[int, int]
"""Height and width."""

THUMBNAIL_SIDE = 256
BAND_PIXELS = 1 << 19
"""Pixels that are worked on at once: bounds memory, and keeps what is worked on in the processor's cache."""

MODES = frozenset({"1", "L", "LA", "La", "P", "PA", "RGB", "RGBX", "RGBA", "RGBa", "CMYK", "YCbCr", "LAB", "HSV"})
"""Pillow's modes of 8 bits a channel, or one."""


def split(image: Image.Image, profile: bytes | None) -> tuple[Plane, Plane | None, Plane | None]:
    """Split a Pillow image of 8 bits a channel into luma, alpha and a color thumbnail.

    Args:
        image: any of ``MODES``; ink and Lab, and RGB whose equal samples are not grey, go to sRGB by ``profile`` first.
        profile: the image's ICC profile.

    Returns:
        ``(H, W)`` uint8 luma; ``(H, W)`` uint8 alpha or none; ``(h, w, 3)`` uint8 RGB, at most 256 a side, or none where the
        image has one channel.

    Raises:
        PhotoError: the image has another mode, or no pixels.
    """
    if image.mode not in MODES or 0 in image.size:
        got = f"{image.width} x {image.height} samples of mode {image.mode}"
        raise PhotoError(f"{got} are not read; convert the picture to 8 bits a channel first")
    alpha = None
    if image.has_transparency_data:
        grey = image.mode in ("1", "L", "LA", "La")
        image = image.convert("LA" if grey else "RGBA")
        alpha = np.array(image.getchannel("A"))
        image = image.convert("L" if grey else "RGB")
    if image.mode in ("1", "L"):
        return np.array(image.convert("L")), alpha, None
    if image.mode in ("P", "RGBX"):
        image = image.convert("RGB")
    if image.mode in ("CMYK", "LAB") or not icc.is_neutral(profile):
        image = icc.to_srgb(image, profile)
    return np.array(image.convert("L")), alpha, thumbnail(image)


def thumbnail(image: Image.Image) -> Plane:
    """Average a picture down to ``(h, w, 3)`` uint8 RGB of at most 256 pixels a side."""
    factor = math.ceil(max(image.size) / THUMBNAIL_SIDE)
    return np.array((image.reduce(factor) if factor > 1 else image).convert("RGB"))


def half(size: Size) -> Size:
    """Halve both sides, rounded up."""
    return (size[0] + 1) // 2, (size[1] + 1) // 2


def fit(plane: Plane, size: Size, full: Size) -> Plane:
    """Bring a plane of chroma to a size.

    Args:
        plane: uint8, of the photograph's size or half of it, rounded up.
        size: one of these two: what is wanted.
        full: the photograph's size.

    Raises:
        OptionError: the plane has another shape or type.
    """
    if plane.dtype != np.uint8 or plane.shape not in (full, half(full)):
        raise OptionError(f"chroma is {plane.dtype} of shape {plane.shape}; give uint8 of shape {full} or {half(full)}")
    if plane.shape == size:
        return plane
    image = Image.fromarray(plane)
    if size == half(full):
        return np.array(image.reduce(2))
    box = (0.0, 0.0, full[1] / 2, full[0] / 2)  # half a sample may lie outside an odd side
    return np.array(image.resize((full[1], full[0]), Image.Resampling.BILINEAR, box=box))


def to_rgb(luma: Plane, cb: Plane, cr: Plane) -> Plane:
    """Convert ``(H, W)`` uint8 planes of full-range Y'CbCr to ``(H, W, 3)`` uint8 RGB of the same luma.

    Red and blue are rounded and clipped first; green, which weighs over a half, is solved from luma. ``0.299 R + 0.587 G +
    0.114 B`` then rounds to luma wherever green is in range. Inside the gamut so does rounding all three alone (ITU-T T.871,
    section 7), but where red or blue clip it does not: with random chroma of deviation 10, 9.0 % of the pixels miss their luma
    that way, 2.8 % this way. (Pillow's tables miss by one on nearly half of all, inside the gamut too.)
    """
    offsets = np.arange(256, dtype=np.float32) - 128
    red_of, blue_of = (np.rint(offsets * factor).astype(np.int16) for factor in (RED_CR, BLUE_CB))
    rgb = np.empty((*luma.shape, 3), np.uint8)
    rows = max(1, BAND_PIXELS // luma.shape[1])
    for top in range(0, luma.shape[0], rows):
        band = slice(top, top + rows)
        light = luma[band].astype(np.int16)
        red = np.clip(light + red_of[cr[band]], 0, 255)
        blue = np.clip(light + blue_of[cb[band]], 0, 255)
        green = light * np.float32(1 / KG) - red * np.float32(KR / KG) - blue * np.float32(KB / KG)
        rgb[band, :, 0], rgb[band, :, 2] = red, blue
        rgb[band, :, 1] = np.clip(np.rint(green), 0, 255)
    return rgb


def upright(array: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn ``(..., H, W)`` stored samples as a viewer does, by EXIF's orientation of 1 to 8; a view, not a copy."""
    if orientation >= 5:
        array = array.swapaxes(-1, -2)
    if orientation in (2, 3, 6, 7):
        array = array[..., ::-1]
    return array[..., ::-1, :] if orientation in (3, 4, 7, 8) else array


def stored(array: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn ``(..., H, W)`` upright samples back to how the file stores them: the inverse of ``upright``."""
    return upright(array, {6: 8, 8: 6}.get(orientation, orientation))  # the other turns undo themselves
