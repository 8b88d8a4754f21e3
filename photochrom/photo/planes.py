"""Split pictures into luma, alpha and a thumbnail, put planes together as RGB, and turn them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photochrom.color import BLUE_CB, KB, KG, KR, RED_CR, Bytes, Plane
from photochrom.errors import OptionError, PhotoError
from photochrom.photo.metadata import icc

Size = tuple[int, int]
"""Height and width."""

THUMBNAIL_SIDE = 256
BAND_PIXELS = 1 << 19
"""Pixels that are worked on at once: few enough for the processor's cache."""

MODES = frozenset({"1", "L", "LA", "La", "P", "PA", "RGB", "RGBX", "RGBA", "RGBa", "CMYK", "YCbCr", "LAB", "HSV"})
"""Pillow's modes of 8 bits a channel, or one."""


def split(image: Image.Image, profile: bytes | None) -> tuple[Bytes, Bytes | None, Bytes | None]:
    """Split a Pillow image of 8 bits a channel into luma, alpha and a color thumbnail.

    Args:
        image: any of ``MODES``; ink and Lab, and RGB whose equal samples are not grey, go to sRGB by ``profile`` first.
        profile: the image's ICC profile.

    Returns:
        ``(H, W)`` uint8 luma; ``(H, W)`` uint8 alpha or None; ``(h, w, 3)`` uint8 RGB, at most 256 a side, or none where the
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


def thumbnail(image: Image.Image) -> Bytes:
    """Average a picture down to ``(h, w, 3)`` uint8 RGB of at most 256 pixels a side."""
    factor = math.ceil(max(image.size) / THUMBNAIL_SIDE)
    return np.array((image.reduce(factor) if factor > 1 else image).convert("RGB"))


def half(size: Size) -> Size:
    """Halve both sides, rounded up."""
    return (size[0] + 1) // 2, (size[1] + 1) // 2


def fit(plane: Plane, size: Size, full: Size, *, bits: int = 8) -> Plane:
    """Bring a plane of chroma to a size and depth.

    Args:
        plane: uint8 with 128, or uint16 with 32768, for no color; of the photograph's size or half of it, rounded up.
        size: what is wanted: the photograph's, each side of it whole or halved, rounded up.
        full: the photograph's size.
        bits: 8 or 16: what is wanted.

    Raises:
        OptionError: the plane has another shape or type.
    """
    if plane.dtype not in (np.uint8, np.uint16) or plane.shape not in (full, half(full)):
        raise OptionError(f"chroma is {plane.dtype} of shape {plane.shape}; give uint8 of shape {full} or {half(full)}")
    if bits == 8 and plane.dtype == np.uint16:
        plane = np.minimum((plane.astype(np.uint32) + 128) >> 8, 255).astype(np.uint8)
    if plane.shape != size:
        # Pillow reduces and enlarges 16 bits only as floats.
        image = Image.fromarray(plane if plane.dtype == np.uint8 else plane.astype(np.float32))
        if plane.shape != full:
            box = (0.0, 0.0, full[1] / 2, full[0] / 2)  # half a sample may lie outside an odd side
            image = image.resize((full[1], full[0]), Image.Resampling.BILINEAR, box=box)
        if size != full:
            image = image.reduce((-(-full[1] // size[1]), -(-full[0] // size[0])))
        plane = np.array(image) if plane.dtype == np.uint8 else np.rint(np.asarray(image)).astype(np.uint16)
    return np.left_shift(plane, 8, dtype=np.uint16) if bits > plane.dtype.itemsize * 8 else plane


def to_eight(plane: Plane) -> Bytes:
    """View samples of 16 bits as 8, rounded; those of 8 are given back as they are."""
    if plane.dtype == np.uint8:
        return np.asarray(plane, np.uint8)
    return ((plane.astype(np.uint32) * 255 + 32895) >> 16).astype(np.uint8)


def luma_of(rgb: Plane) -> Plane:
    """Return the luma of ``(H, W, 3)`` RGB.

    At 16 bits it is ``0.299 R + 0.587 G + 0.114 B`` in exact arithmetic, rounded, halves up; at 8 it is Pillow's ``L``, whose
    weights are the same to the fifth digit.
    """
    if rgb.dtype == np.uint8:
        return np.array(Image.fromarray(rgb).convert("L"))
    luma = np.empty(rgb.shape[:2], np.uint16)
    rows = max(1, BAND_PIXELS // rgb.shape[1])
    for top in range(0, rgb.shape[0], rows):
        band = rgb[top : top + rows].astype(np.uint32)
        luma[top : top + rows] = (299 * band[..., 0] + 587 * band[..., 1] + 114 * band[..., 2] + 500) // 1000
    return luma


def take(samples: Plane) -> tuple[Plane, Plane | None, Bytes | None]:
    """Split ``(H, W, C)`` samples into planes as ``split`` does a picture: 1 channel is grey, 3 are RGB, one more is alpha."""
    channels = samples.shape[2]
    alpha = np.ascontiguousarray(samples[..., -1]) if channels in (2, 4) else None
    if channels < 3:
        return np.ascontiguousarray(samples[..., 0]), alpha, None
    rgb = np.ascontiguousarray(samples[..., :3])
    return luma_of(rgb), alpha, thumbnail(Image.fromarray(to_eight(rgb)))


def to_rgb(luma: Plane, cb: Plane, cr: Plane) -> Plane:
    """Convert ``(H, W)`` planes of full-range Y'CbCr, uint8 or uint16, to ``(H, W, 3)`` RGB of exactly the same luma.

    Chroma of 16 bits beside luma of 8 saves one of two roundings.

    Red and blue are rounded and clipped first. Green, which weighs over a half, is solved from luma: ``0.299 R + 0.587 G +
    0.114 B`` then misses luma by at most 0.2935, half of green's weight. Rounding all three separately (ITU-T T.871, section 7)
    does not keep it, not even inside the gamut. Where green itself is out of range, red and blue move towards grey until it is
    not.
    """
    peak = np.iinfo(luma.dtype).max
    signed = np.int16 if peak == 255 else np.int32
    steps = np.iinfo(cb.dtype).max + 1
    levels = np.arange(steps, dtype=np.float32) / np.float32(steps / 256) - 128  # of chroma, in steps of 255
    red_of, blue_of = (np.rint(levels * (factor * (peak / 255))).astype(signed) for factor in (RED_CR, BLUE_CB))
    rgb = np.empty((*luma.shape, 3), luma.dtype)
    rows = max(1, BAND_PIXELS // luma.shape[1])
    for top in range(0, luma.shape[0], rows):
        band = slice(top, top + rows)
        light = luma[band].astype(signed)
        red = np.clip(light + red_of[cr[band]], 0, peak)
        blue = np.clip(light + blue_of[cb[band]], 0, peak)
        green = _green(light, red, blue)
        outside = np.flatnonzero((green < 0) | (green > peak))
        while len(outside):
            grey = light.ravel()[outside]
            parts = [
                grey + ((plane.ravel()[outside] - grey) * np.float32(0.8)).astype(signed)  # cut off, so that it ends at grey
                for plane in (red, blue)
            ]
            found = _green(grey, *parts)
            for plane, part in zip((red, blue, green), (*parts, found), strict=True):
                plane.ravel()[outside] = part
            outside = outside[(found < 0) | (found > peak)]
        rgb[band, :, 0], rgb[band, :, 1], rgb[band, :, 2] = red, green, blue
    return rgb


def _green(light: NDArray[Any], red: NDArray[Any], blue: NDArray[Any]) -> NDArray[Any]:
    exact = light * np.float32(1 / KG) - red * np.float32(KR / KG) - blue * np.float32(KB / KG)
    return np.asarray(np.rint(exact, out=exact).astype(light.dtype))


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
