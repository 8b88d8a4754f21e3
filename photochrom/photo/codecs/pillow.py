"""Read the formats that Pillow decodes as photographs, read and write PNM, and take a Pillow image for a photograph."""

from __future__ import annotations

import io
import re
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photochrom.color import Bytes, Plane
from photochrom.errors import PhotoError
from photochrom.photo import planes, vips
from photochrom.photo.codecs import jpeg_segments, png
from photochrom.photo.formats import FORMATS, Kind, kind_of
from photochrom.photo.metadata import exif as exif_tags
from photochrom.photo.metadata import icc
from photochrom.photo.metadata.xmp import as_utf8
from photochrom.photo.photo import Photo, refuse_large

NAMES = {"PNM": "PPM", "JPEG 2000": "JPEG2000"}
"""What Pillow calls some formats."""

GIF_PROFILE = b"\x21\xff\x0bICCRGBG1012"
"""How the extension of a GIF begins that holds an ICC profile."""
_GAP = rb"(?:\s|#[^\n]*\n)+"
PNM_HEADER = re.compile(rb"P([2356])" + _GAP + rb"(\d{1,9})" + _GAP + rb"(\d{1,9})" + _GAP + rb"(\d{1,5})(?:#[^\n]*\n)?\s")
"""The header of a PGM or PPM: number, width, height and white (the Netpbm project's formats P2, P3, P5 and P6)."""
PBM_HEADER = re.compile(rb"P(4)" + _GAP + rb"(\d{1,9})" + _GAP + rb"(\d{1,9})\s")
"""The header of a PBM, which has no white."""

_bomb_lock = threading.Lock()


def read_png(data: bytes, max_pixels: int) -> Photo:
    """Read a PNG of 1 to 16 bits; 16 go through libvips, since Pillow would cut their colors to 8.

    Raises:
        PhotoError: it is animated, or too large.
        OSError, ValueError: it is damaged.
    """
    data, damaged = png.sound(data)
    chunks = png.parse(data)
    stated = png.stated_profile(chunks)
    if any(kind == b"acTL" for kind, _ in chunks):
        raise PhotoError("an animated PNG; give its frames one by one")
    exif = png.exif(chunks)
    with opened(data, "PNG", max_pixels=max_pixels) as image:
        if (bits := png.bits(chunks)) == 16:
            image.info.setdefault("xmp", png.readable_xmp(chunks))  # Pillow has not read what stands behind the pixels
            profile = image.info.get("icc_profile") or None
            samples, _ = vips.load(data, "png", max_pixels=max_pixels)
            mode = "L" if samples.shape[2] < 3 else "RGB"
            photo = described(image, *deep(samples, mode, profile), mode=mode, exif=exif)
        else:
            photo = from_image(image, exif=exif)
    notes: tuple[str, ...] = (f"damaged parts ({', '.join(damaged)}) left out",) if damaged else ()
    notes += ("what follows the picture left out",) if png.behind(data) else ()
    return replace(
        photo, format="PNG", bits=bits, extras=png.carried(chunks), iptc=png.iptc(chunks), icc=photo.icc or stated, notes=notes
    )


def read_webp(data: bytes, max_pixels: int) -> Photo:
    """Read a WebP.

    Raises:
        PhotoError: it is animated, or too large.
        OSError, ValueError: it is damaged.
    """
    with opened(data, "WEBP", max_pixels=max_pixels) as image:
        if getattr(image, "n_frames", 1) > 1:
            raise PhotoError("an animated WebP; give its frames one by one")
        photo = from_image(image, exif=image.info.get("exif"))
    behind = data[8 + int.from_bytes(data[4:8], "little") :].strip(b"\0")
    notes = (f"{len(behind):,} bytes behind it left out",) if behind else ()
    return replace(photo, format="WEBP", lossless=_lossless_webp(data), notes=notes)


def _lossless_webp(data: bytes) -> bool:
    """Return whether one of the chunks of a WebP file holds a lossless picture (RFC 9649, section 2.6)."""
    position = 12
    while position + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, position)
        if kind == b"VP8L":
            return True
        position += 8 + length + length % 2
    return False


def read_gif(data: bytes, max_pixels: int) -> Photo:
    """Read the first frame of a GIF, and note how many there are.

    Raises:
        PhotoError: it is too large.
        OSError, ValueError: it is damaged.
    """
    with opened(data, "GIF", max_pixels=max_pixels) as image:
        frames = getattr(image, "n_frames", 1)
        image.seek(0)
        image.info["icc_profile"] = _gif_profile(data)
        photo = from_image(image, exif=None)
    return replace(photo, format="GIF", notes=(f"the first of {frames} frames",) if frames > 1 else ())


def _gif_profile(data: bytes) -> bytes | None:
    """Join the blocks of the extension that holds an ICC profile (ICC.1, annex B)."""
    place, profile = data.find(GIF_PROFILE) + len(GIF_PROFILE), b""
    while len(GIF_PROFILE) <= place < len(data) and data[place]:
        profile += data[place + 1 : place + 1 + data[place]]
        place += 1 + data[place]
    return profile or None


def read_bmp(data: bytes, max_pixels: int) -> Photo:
    """Read a BMP; raises as the others do."""
    with opened(data, "BMP", max_pixels=max_pixels) as image:
        image.info["icc_profile"] = _bmp_profile(data)
        return replace(from_image(image, exif=None), format="BMP")


def _bmp_profile(data: bytes) -> bytes | None:
    """Find the profile that a header of version 5 embeds (BITMAPV5HEADER of Windows GDI)."""
    if len(data) < 138 or struct.unpack_from("<I", data, 14)[0] < 124 or data[70:74] != b"DEBM":
        return None
    place, size = struct.unpack_from("<II", data, 126)
    return data[14 + place : 14 + place + size] or None


def read_pnm(data: bytes, max_pixels: int) -> Photo:
    """Read a PBM, PGM or PPM of 1 to 16 bits; raises as the others do."""
    head = PNM_HEADER.match(data[:4096])
    white = int(head[4]) if head else int(data[1:2] in b"14")
    if not 0 < white <= 255:
        luma, alpha, thumbnail = planes.take(_deep_pnm(data, head, max_pixels=max_pixels))
        photo = Photo(luma=luma, alpha=alpha, thumbnail=thumbnail, bits=white.bit_length())
    else:
        with opened(data, "PNM", max_pixels=max_pixels) as image:
            photo = from_image(image, exif=None)
    count = _pnm_pictures(data)
    return replace(photo, format="PNM", notes=(f"the first of {count} pictures",) if count > 1 else ())


def _deep_pnm(data: bytes, head: re.Match[bytes] | None, *, max_pixels: int) -> NDArray[np.uint16]:
    """Read ``(H, W, 1 or 3)`` samples of more than 8 bits, widened so that white is 65535, which loses nothing."""
    if head is None or not 255 < int(head[4]) < 65536:
        raise PhotoError("a damaged PNM: its header is not whole; restore the file from a good copy")
    width, height, white, channels = int(head[2]), int(head[3]), int(head[4]), 3 if head[1] in b"36" else 1
    refuse_large(width, height, max_pixels=max_pixels)
    count = width * height * channels
    if head[1] in b"56":
        found: NDArray[Any] = np.frombuffer(data, ">u2", min(count, (len(data) - head.end()) // 2), head.end())
    else:
        found = np.array(data[head.end() :].split()[:count], np.int64)
    if not count or len(found) < count:
        raise PhotoError(f"a truncated PNM: {len(found)} of {count} samples; restore the file from a good copy")
    if found.max() > white or found.min() < 0:
        raise PhotoError(f"a damaged PNM: a sample is {found.max()}, beyond its white of {white}; restore the file")
    if white < 65535:
        found = (found.astype(np.uint32) * 65535 + white // 2) // white
    return found.astype(np.uint16).reshape(height, width, channels)


def _pnm_pictures(data: bytes) -> int:
    """Count the pictures of a file, one behind the other; a file of text holds one."""
    count = position = 0
    while head := PBM_HEADER.match(data, position) or PNM_HEADER.match(data, position):
        width, height = int(head[2]), int(head[3])
        if head[1] in b"23":
            break
        row = -(-width // 8) if head[1] == b"4" else width * (3 if head[1] == b"6" else 1) * (2 if int(head[4]) > 255 else 1)
        count, position = count + 1, head.end() + row * height
        while data[position : position + 1].isspace():
            position += 1
    return max(count, 1)


def write_pnm(rgb: NDArray[Any]) -> bytes:
    """Write ``(H, W, 3)`` uint8 or uint16 RGB as a PPM."""
    head = f"P6\n{rgb.shape[1]} {rgb.shape[0]}\n{np.iinfo(rgb.dtype).max}\n".encode("ascii")
    return head + (rgb.tobytes() if rgb.dtype == np.uint8 else rgb.astype(">u2").tobytes())


def deep(samples: Plane, mode: str, profile: bytes | None) -> tuple[Plane, Plane | None, Bytes | None]:
    """Split ``(H, W, C)`` uint16 samples into planes; ink and Lab, and RGB whose equal samples are not grey, go to sRGB first.

    Raises:
        OSError: the conversion fails.
    """
    channels = {"L": 1, "RGB": 3, "CMYK": 4, "LAB": 3}[mode]
    if mode in ("CMYK", "LAB") or not icc.is_neutral(profile):
        fits = profile is not None and icc.space(profile) == mode
        converted = vips.to_srgb(np.ascontiguousarray(samples[..., :channels]), mode, profile if fits else None)
        samples = np.concatenate([converted, samples[..., channels:].view(np.uint16)], -1)
    return planes.take(samples)


@contextmanager
def opened(data: bytes, kind: Kind, *, max_pixels: int) -> Iterator[Image.Image]:
    """Open a file with Pillow, whose own limit of pixels is replaced by ours.

    Raises:
        PhotoError: it is too large.
        OSError, ValueError: it is damaged.
    """
    with _header(io.BytesIO(data), kind) as image:
        refuse_large(image.width, image.height, max_pixels=max_pixels)
        yield image


def packet(path: Path) -> bytes | None:
    """Read the XMP packet of a file that is written with one, and none of its pixels.

    Returns:
        None where there is no such file, it has no packet, or its header cannot be read.
    """
    try:
        if not path.is_file():
            return None  # a named pipe would wait for its writer
        with path.open("rb") as file:
            kind = kind_of(file.read(256))
            if kind not in FORMATS:
                return None
            file.seek(0)
            with _header(file, kind) as image:
                return as_utf8(image.info.get("xmp"))
    except Exception:  # Pillow raises whatever comes on damaged bytes
        return None


def _header(file: IO[bytes], kind: Kind) -> Image.Image:
    with _bomb_lock:
        # Pillow's own limit is lower than ours and cannot be given to one call; it is lifted while a header is read.
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(file, formats=(NAMES.get(kind, kind),))
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def from_image(image: Image.Image, *, exif: bytes | None) -> Photo:
    """Convert a Pillow image of 8 bits a channel to a photograph of no format.

    Raises:
        PhotoError: the image has more bits, or no pixels.
        OSError, ValueError: the file behind it is damaged.
    """
    return described(image, *planes.split(image, image.info.get("icc_profile") or None), mode=image.mode, exif=exif)


def described(
    image: Image.Image, luma: Plane, alpha: Plane | None, thumbnail: Bytes | None, *, mode: str, exif: bytes | None
) -> Photo:
    """Combine planes with what a Pillow image carries; the mode says whether its profile still fits."""
    exif = exif.removeprefix(jpeg_segments.EXIF) if exif else None
    dpi = tuple(float(value) for value in image.info.get("dpi", ()))
    return Photo(
        luma=luma,
        alpha=alpha,
        thumbnail=thumbnail,
        orientation=exif_tags.orientation(exif),
        exif=exif_tags.without_thumbnail(exif),
        xmp=as_utf8(image.info.get("xmp")),
        icc=icc.for_color(image.info.get("icc_profile") or None, mode),
        dpi=(dpi[0], dpi[1]) if len(dpi) == 2 and all(0 < value < 1e6 for value in dpi) else None,
    )
