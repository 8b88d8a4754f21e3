"""Read AVIF and HEIC, and write AVIF of more than 8 bits.

The boxes of both are those of ISO 14496-12; AV1-ISOBMFF, 2.3, and ISO 14496-15, 8.3, say how the pixels are coded.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from photochrom.color import Plane
from photochrom.errors import PhotoError
from photochrom.photo import vips
from photochrom.photo.codecs import jpeg_segments, pillow
from photochrom.photo.metadata import exif as exif_tags
from photochrom.photo.metadata import icc
from photochrom.photo.photo import Photo, refuse_large
from photochrom.photo.planes import upright

HEADER_BYTES = 1 << 16
"""The properties of a still picture lie before its pixels."""

GAIN_MAP = b"tmap"
"""The type of an item that makes the main picture brighter (ISO 21496-1)."""


@dataclass(frozen=True)
class Coding:
    """Hold how an AVIF or HEIC stores its pixels."""

    bits: int = 8
    sampling: tuple[int, int] = (2, 2)
    """Rows and columns that share a sample of chroma; (2, 2) for a grey picture."""
    mono: bool = False
    """Whether there is only luma."""
    primaries: int = 2
    """As ITU-T H.273 numbers them: 1 is sRGB, 2 unknown, 9 Rec. 2020, 12 Display P3."""


def coding(data: bytes) -> Coding:
    """Read the coding of the first picture; a property that is missing gets the default of ``Coding``.

    Raises:
        PhotoError: the picture has a high dynamic range.
    """
    head = data[:HEADER_BYTES]
    bits, sampling, mono, primaries = 8, (2, 2), 0, 2
    place = head.find(b"av1C") + 6
    if 6 <= place < len(head):
        high, twelve, mono, x, y = (head[place] >> bit & 1 for bit in (6, 5, 4, 3, 2))
        bits, sampling = 8 + 2 * high + 2 * (high and twelve), (1 + (mono | y), 1 + (mono | x))
    place = head.find(b"hvcC") + 4
    if 4 <= place < len(head) - 18:
        bits = 8 + (head[place + 17] & 7)
    place = head.find(b"colrnclx") + 8
    if 8 <= place <= len(head) - 4:
        primaries, transfer = struct.unpack_from(">HH", head, place)
        if transfer in icc.BRIGHT:
            raise PhotoError(f"high dynamic range ({icc.BRIGHT[transfer]}) is not read; give the photograph as sRGB first")
    return Coding(bits, sampling, bool(mono), primaries)


def read(data: bytes, max_pixels: int) -> Photo:
    """Read an AVIF; 10 and 12 bits go through libvips, since Pillow would cut them to 8.

    Raises:
        PhotoError: it is animated, of high dynamic range, or too large.
        OSError, ValueError: it is damaged.
    """
    found = coding(data)
    with pillow.opened(data, "AVIF", max_pixels=max_pixels) as image:
        if getattr(image, "n_frames", 1) > 1:
            raise PhotoError("an animated AVIF; give its frames one by one")
        exif = image.info.get("exif")
        if found.bits > 8:
            samples, _ = vips.load(data, "heif", max_pixels=max_pixels)
            profile = image.info.get("icc_profile") or None
            mode = "L" if samples.shape[2] < 3 else "RGB"
            planes = pillow.deep(_widened(samples, found.bits), mode, profile)
            photo = pillow.described(image, *planes, mode=mode, exif=exif)
            photo = replace(photo, orientation=1, exif=exif_tags.as_upright(photo.exif))  # libvips has turned it
        else:
            photo = pillow.from_image(_grey(image) if found.mono else image, exif=exif)
    profile = photo.icc or icc.of_primaries(found.primaries)
    notes = _beside(data)
    photo = replace(photo, format="AVIF", bits=found.bits, icc=profile, lossless=False, notes=notes)
    return replace(photo, avif_sampling=found.sampling)


def read_heic(data: bytes, max_pixels: int) -> Photo:
    """Read the main picture of a HEIC, turned as its file says.

    Raises:
        PhotoError: the library for it is not installed; the picture is of high dynamic range, or too large.
        OSError, ValueError: it is damaged.
    """
    try:
        import pi_heif
    except ImportError as error:
        raise PhotoError("a HEIC, whose library is missing; pip install 'photochrom[heic]', or convert it first") from error
    found = coding(data)
    file = pi_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False)
    refuse_large(*file.size, max_pixels=max_pixels)
    mode, channels = file.mode.partition(";")[0], len(file.mode.partition(";")[0])
    itemsize = 2 if ";" in file.mode else 1
    rows = np.frombuffer(file.data, np.uint8).reshape(file.size[1], -1)[:, : file.size[0] * channels * itemsize]
    # The library has turned the picture as the file says, and has set the orientation of its EXIF right.
    image = Image.new("RGB" if channels > 2 else "L", (1, 1))
    image.info |= {"icc_profile": file.info.get("icc_profile"), "xmp": file.info.get("xmp")}
    exif = exif_tags.as_upright((file.info.get("exif") or b"").removeprefix(jpeg_segments.EXIF) or None)
    if itemsize == 1:
        picture = Image.frombytes(mode, file.size, rows.tobytes())
        picture.info |= image.info
        photo = pillow.from_image(picture, exif=exif)
    else:
        samples = np.ascontiguousarray(rows).view(np.uint16).reshape(*file.size[::-1], channels)
        grey = "RGB" if channels > 2 else "L"
        photo = pillow.described(image, *pillow.deep(samples, grey, image.info["icc_profile"]), mode=grey, exif=exif)
    profile = photo.icc or icc.of_primaries(found.primaries)
    notes: tuple[str, ...] = (f"the main of {len(file)} pictures",) if len(file) > 1 else ()
    notes += _beside(data)
    if any("gainmap" in name.lower() for name in file.info.get("aux") or {}):
        notes += ("its gain map left out",)
    if file.info.get("depth_images"):
        notes += ("its depth map left out",)
    return replace(photo, format="HEIC", bits=found.bits, icc=profile, lossless=False, notes=notes)


def write_deep(photo: Photo, samples: Plane, exif: bytes | None, *, quality: int) -> bytes:
    """Write ``(H, W, 3 or 4)`` uint16 RGB as an AVIF of 10 or 12 bits, its pixels upright, since libvips writes no turn.

    Args:
        photo: what is written beside the samples.
        samples: as stored, not upright.
        exif: an EXIF block.
        quality: 1 to 100.

    Raises:
        OSError: libvips cannot write it.
    """
    turned = np.ascontiguousarray(np.moveaxis(upright(np.moveaxis(samples, -1, 0), photo.orientation), 0, -1))
    carried = {"exif": exif_tags.as_upright(exif), "xmp": photo.xmp, "icc-profile": photo.icc}
    blocks = {name: block for name, block in carried.items() if block}
    bits = 10 if photo.bits == 10 else 12
    return vips.avif(turned, bits=bits, quality=quality, subsampled=photo.avif_sampling != (1, 1), carried=blocks)


def _beside(data: bytes) -> tuple[str, ...]:
    """Return what of a file is not read: a gain map, and the film of a motion photograph in a box of its own."""
    notes: tuple[str, ...] = ("its gain map left out",) if GAIN_MAP in data[:HEADER_BYTES] else ()
    position = 0
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        if kind == b"mpvd":
            return (*notes, "the film behind it left out")
        if length == 1 and position + 16 <= len(data):
            (length,) = struct.unpack_from(">Q", data, position + 8)
        position += length if length >= 8 else len(data)
    return notes


def _grey(image: Image.Image) -> Image.Image:
    """Turn the equal channels that Pillow makes of a grey picture into one, so that a grey profile fits it."""
    grey = image.convert("LA" if image.has_transparency_data else "L")
    grey.info |= image.info
    return grey


def _widened(samples: Plane, bits: int) -> Plane:
    """Turn samples that libvips shifted up to 16 bits into samples whose white is 65535, without loss."""
    white = (1 << bits) - 1
    return (((samples.astype(np.uint32) >> (16 - bits)) * 65535 + white // 2) // white).astype(np.uint16)
