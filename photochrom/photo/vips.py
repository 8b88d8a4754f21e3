"""Call the parts of libvips that Pillow lacks: TIFF of every kind, and 16 bits a channel in color.

libvips is loaded when a file needs it, not before: that takes longer than reading a small JPEG.
"""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from photochrom.errors import one_line
from photochrom.photo.photo import refuse_large

if TYPE_CHECKING:
    import pyvips

Loader = Literal["tiff", "png", "heif", "jpeg"]
SPACES = {"b-w": "L", "grey16": "L", "srgb": "RGB", "rgb16": "RGB", "rgb": "RGB", "cmyk": "CMYK", "labs": "LAB", "lab": "LAB"}
"""What libvips calls a meaning of samples, and what Pillow does."""
KEPT = {"exif": 1, "xmp": 2, "icc-profile": 8}
"""Its flags of what to write besides pixels."""


def load(data: bytes, loader: Loader, *, max_pixels: int, page: int = 0, strict: bool = False) -> tuple[NDArray[Any], str]:
    """Decode one page of a file, not turned by its orientation but for HEIF, where that is part of decoding.

    Args:
        data: the file.
        loader: its format.
        max_pixels: refuse a larger picture before it is decoded.
        page: from 0 on.
        strict: fail on what libtiff only warns of, which for faxes is a damaged line.

    Returns:
        ``(H, W, C)`` samples, and their space as Pillow names it: ``L``, ``RGB``, ``CMYK`` or ``LAB``, or nothing for another.

    Raises:
        PhotoError: it is too large.
        OSError: it is damaged, or of a kind that libvips does not read.
    """
    vips = library()
    options: dict[str, Any] = {"fail_on": "warning" if strict else "error", "access": "sequential"}
    if loader in ("tiff", "heif"):
        options["page"] = page
    try:
        image = getattr(vips.Image, f"{loader}load_buffer")(data, **options)
        refuse_large(image.width, image.height, max_pixels=max_pixels)
        samples = np.asarray(image.numpy())
    except vips.Error as error:
        raise OSError(reason(error)) from error
    return samples.reshape(image.height, image.width, image.bands), SPACES.get(image.interpretation, "")


def to_srgb(samples: NDArray[Any], space: str, profile: bytes | None) -> NDArray[np.uint16]:
    """Convert ``(H, W, C)`` uint16 ink or RGB, or int16 Lab, to ``(H, W, 3)`` uint16 sRGB.

    Args:
        samples: of ``load``, without alpha.
        space: ``CMYK``, ``LAB`` or ``RGB``.
        profile: of ink or RGB; ink without one is taken for ``(1 - ink) (1 - black)``.

    Raises:
        OSError: the profile cannot be applied.
    """
    vips = library()
    if space == "CMYK" and profile is None:
        light = 65535 - samples.astype(np.uint32)
        return ((light[..., :3] * light[..., 3:] + 32767) // 65535).astype(np.uint16)
    try:
        meaning = {"CMYK": "cmyk", "LAB": "labs", "RGB": "rgb16"}[space]
        image = vips.Image.new_from_array(samples).copy(interpretation=meaning)
        if profile is None:
            image = image.colourspace("rgb16")
        else:
            image.set_type(vips.GValue.blob_type, "icc-profile-data", profile)
            how = {"embedded": True, "intent": "relative", "black_point_compensation": True}
            image = image.icc_transform("srgb", depth=16, **how)
        return np.asarray(image.numpy(), np.uint16)
    except vips.Error as error:
        raise OSError(reason(error)) from error


def convert(rgb: NDArray[np.uint16], *, source: bytes | None = None, target: bytes | None = None) -> NDArray[np.uint16]:
    """Convert ``(H, W, 3)`` RGB from one RGB profile to another through CIE Lab, relative to the medium's white.

    Args:
        rgb: samples under the first profile.
        source: the first profile; None is sRGB, and so is a damaged one.
        target: the second profile; None is sRGB.

    Raises:
        OSError: a profile cannot be applied.
    """
    vips = library()
    how = {"pcs": "lab", "intent": "relative"}
    try:
        image = vips.Image.new_from_array(np.ascontiguousarray(rgb)).copy(interpretation="rgb16")
        if source:
            image.set_type(vips.GValue.blob_type, "icc-profile-data", source)
        image = image.icc_import(embedded=source is not None, input_profile="srgb", **how).copy()
        if target:
            image.set_type(vips.GValue.blob_type, "icc-profile-data", target)
        to = {} if target else {"output_profile": "srgb"}
        return np.asarray(image.icc_export(depth=16, **how, **to).numpy(), np.uint16)
    except vips.Error as error:
        raise OSError(reason(error)) from error


def tiff(samples: NDArray[Any], *, compression: str) -> bytes:
    """Write ``(H, W, 3 or 4)`` uint16 RGB as a TIFF that carries nothing else.

    Raises:
        OSError: libvips cannot.
    """
    vips = library()
    try:
        predictor = "horizontal" if compression in ("lzw", "deflate") else "none"
        return bytes(_image(samples).tiffsave_buffer(compression=compression, predictor=predictor, keep="none"))
    except vips.Error as error:
        raise OSError(reason(error)) from error


def avif(samples: NDArray[Any], *, bits: int, quality: int, subsampled: bool, carried: dict[str, bytes]) -> bytes:
    """Write ``(H, W, 3 or 4)`` uint16 RGB as an AVIF of 10 or 12 bits.

    Args:
        samples: upright: AVIF's own way to turn a picture is not written.
        bits: 10 or 12.
        quality: 1 to 100.
        subsampled: store chroma at half size.
        carried: ``exif``, ``xmp`` and ``icc-profile`` blocks.

    Raises:
        OSError: libvips cannot.
    """
    vips = library()
    try:
        image = _image(samples)
        for name, block in carried.items():
            image.set_type(vips.GValue.blob_type, f"{name}-data", block)
        chroma = "on" if subsampled else "off"
        keep = sum(KEPT[name] for name in carried)  # without it libvips makes up an EXIF block
        return bytes(image.heifsave_buffer(compression="av1", bitdepth=bits, Q=quality, subsample_mode=chroma, keep=keep))
    except vips.Error as error:
        raise OSError(reason(error)) from error


def save_enlarged(grey: NDArray[np.uint8], size: tuple[int, int], path: Path) -> None:
    """Write an ``(h, w)`` picture enlarged to ``size`` (height, width) as a PNG, without holding that in memory.

    Raises:
        OSError: it cannot be written.
    """
    vips = library()
    try:
        image = vips.Image.new_from_array(np.ascontiguousarray(grey))
        image = image.resize(size[1] / grey.shape[1], vscale=size[0] / grey.shape[0], kernel="linear")
        with path.open("wb") as file:
            image.pngsave_target(vips.Target.new_to_descriptor(file.fileno()), keep="none")
    except vips.Error as error:
        raise OSError(reason(error)) from error


@cache
def library() -> Any:
    """Load libvips, told to keep no files in memory and no warnings on the terminal."""
    import pyvips

    pyvips.cache_set_max(0)  # a cached operation would hold its file
    logging.getLogger("pyvips").addHandler(logging.NullHandler())
    return pyvips


def _image(samples: NDArray[Any]) -> pyvips.Image:
    return library().Image.new_from_array(samples).copy(interpretation="rgb16")


def reason(error: Exception) -> str:
    """Return the first fault that libvips names, as one line."""
    detail = str(getattr(error, "detail", "")) or str(error)
    lines = [line for line in detail.splitlines() if line.strip()]
    return one_line(ValueError(lines[0] if lines else str(error)))
