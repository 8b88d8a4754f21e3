"""Read the formats that Pillow decodes as photographs, and take a Pillow image for one."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from photochrom.color import Bytes, Plane
from photochrom.errors import PhotoError
from photochrom.photo import planes, vips
from photochrom.photo.codecs import av1, heif, jpeg_segments, png, pnm, webp
from photochrom.photo.formats import FORMATS, Kind, kind_of
from photochrom.photo.metadata import exif as exif_tags
from photochrom.photo.metadata import icc
from photochrom.photo.photo import LOSSY_QUALITY, Photo, refuse_large

NAMES = {"PNM": "PPM", "JPEG 2000": "JPEG2000"}
"""What Pillow calls some formats."""

_bomb_lock = threading.Lock()


def read_png(data: bytes, max_pixels: int) -> Photo:
    """Read a PNG of 1 to 16 bits; 16 go through libvips, since Pillow would cut their colors to 8.

    Raises:
        PhotoError: it is animated, or too large.
        OSError, ValueError: it is damaged.
    """
    chunks = png.parse(data)
    if any(kind == b"acTL" for kind, _ in chunks):
        raise PhotoError("an animated PNG; give its frames one by one")
    with opened(data, "PNG", max_pixels=max_pixels) as image:
        if (bits := png.bits(chunks)) == 16:
            exif, profile = image.info.get("exif"), image.info.get("icc_profile") or None
            samples, _ = vips.load(data, "png", max_pixels=max_pixels)
            mode = "L" if samples.shape[2] < 3 else "RGB"
            photo = described(image, *deep(samples, mode, profile), mode=mode, exif=exif)
        else:
            photo = from_image(image, exif=image.info.get("exif"))
    return replace(photo, format="PNG", bits=bits, extras=png.carried(chunks))


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
    chunks = webp.chunks(data)
    quality = webp.quality_of(chunks[b"VP8 "]) if b"VP8 " in chunks else 0
    followed = quality if quality in webp.FOLLOWED else LOSSY_QUALITY
    return replace(photo, format="WEBP", lossless=b"VP8L" in chunks, webp_quality=followed)


def read_gif(data: bytes, max_pixels: int) -> Photo:
    """Read the first frame of a GIF, and note how many there are.

    Raises:
        PhotoError: it is too large.
        OSError, ValueError: it is damaged.
    """
    with opened(data, "GIF", max_pixels=max_pixels) as image:
        frames = getattr(image, "n_frames", 1)
        image.seek(0)
        photo = from_image(image, exif=None)
    return replace(photo, format="GIF", notes=(f"the first of {frames} frames",) if frames > 1 else ())


def read_bmp(data: bytes, max_pixels: int) -> Photo:
    """Read a BMP; raises as the others do."""
    with opened(data, "BMP", max_pixels=max_pixels) as image:
        return replace(from_image(image, exif=None), format="BMP")


def read_pnm(data: bytes, max_pixels: int) -> Photo:
    """Read a PBM, PGM or PPM of 1 to 16 bits; raises as the others do."""
    if not 0 < (white := pnm.largest(data)) <= 255:
        luma, alpha, thumbnail = planes.take(pnm.read(data, max_pixels=max_pixels))
        photo = Photo(luma=luma, alpha=alpha, thumbnail=thumbnail, bits=white.bit_length())
    else:
        with opened(data, "PNM", max_pixels=max_pixels) as image:
            photo = from_image(image, exif=None)
    return replace(photo, format="PNM")


def read_jpeg_2000(data: bytes, max_pixels: int) -> Photo:
    """Read a JPEG 2000 of 8 bits a channel, or of 16 in grey.

    Raises:
        PhotoError: it has more than 8 bits in color, or is too large.
        OSError, ValueError: it is damaged.
    """
    # The size of the picture (marker SIZ): after 38 bytes the number of channels, then depth and sampling of each.
    place = data.find(b"\xff\x4f\xff\x51") + 4 + 36
    channels = int.from_bytes(data[place : place + 2])
    bits = 1 + max((depth & 127 for depth in data[place + 2 : place + 2 + 3 * channels : 3]), default=0)
    with opened(data, "JPEG 2000", max_pixels=max_pixels) as image:
        exif = image.info.get("exif")
        if bits <= 8:
            return replace(from_image(image, exif=exif), format="JPEG 2000")
        image.load()
        if image.mode != "I;16":
            raise PhotoError(f"{bits} bits a channel in color, of which 8 at most are read; convert it to a 16-bit TIFF first")
        samples = np.array(image)
        white = max((1 << bits) - 1, int(samples.max(initial=0)))  # Pillow may have widened the samples already
        samples = ((samples.astype(np.uint32) * 65535 + white // 2) // white).astype(np.uint16)
        photo = described(image, samples, None, None, mode="L", exif=exif)
    return replace(photo, format="JPEG 2000", bits=bits)


def read_avif(data: bytes, max_pixels: int) -> Photo:
    """Read an AVIF; 10 and 12 bits go through libvips, since Pillow would cut them to 8.

    Raises:
        PhotoError: it is animated, of high dynamic range, or too large.
        OSError, ValueError: it is damaged.
    """
    coding = heif.coding(data)
    with opened(data, "AVIF", max_pixels=max_pixels) as image:
        if getattr(image, "n_frames", 1) > 1:
            raise PhotoError("an animated AVIF; give its frames one by one")
        exif = image.info.get("exif")
        if coding.bits > 8:
            samples, _ = vips.load(data, "heif", max_pixels=max_pixels)
            profile = image.info.get("icc_profile") or None
            photo = described(image, *deep(widened(samples, coding.bits), "RGB", profile), mode="RGB", exif=exif)
            photo = replace(photo, orientation=1, exif=exif_tags.as_upright(photo.exif))  # libvips has turned it
        else:
            photo = from_image(image, exif=exif)
    profile, quality = photo.icc or icc.of_primaries(coding.primaries), av1.quality_of(data) or LOSSY_QUALITY
    photo = replace(photo, format="AVIF", bits=coding.bits, icc=profile, lossless=False)
    return replace(photo, avif_sampling=coding.sampling, avif_quality=quality)


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
    coding = heif.coding(data)
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
        photo = from_image(picture, exif=exif)
    else:
        samples = np.ascontiguousarray(rows).view(np.uint16).reshape(*file.size[::-1], channels)
        grey = "RGB" if channels > 2 else "L"
        photo = described(image, *deep(samples, grey, image.info["icc_profile"]), mode=grey, exif=exif)
    profile = photo.icc or icc.of_primaries(coding.primaries)
    notes = (f"the main of {len(file)} pictures",) if len(file) > 1 else ()
    return replace(photo, format="HEIC", bits=coding.bits, icc=profile, lossless=False, notes=notes)


def widened(samples: Plane, bits: int) -> Plane:
    """Turn samples that libvips shifted up to 16 bits into ones whose white is 65535, without loss."""
    white = (1 << bits) - 1
    return (((samples.astype(np.uint32) >> (16 - bits)) * 65535 + white // 2) // white).astype(np.uint16)


def deep(samples: Plane, mode: str, profile: bytes | None) -> tuple[Plane, Plane | None, Bytes | None]:
    """Take ``(H, W, C)`` uint16 samples apart; ink and Lab, and RGB whose equal samples are not grey, go to sRGB first.

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
                return image.info.get("xmp") or None
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
    """Take a Pillow image of 8 bits a channel as a photograph of no format.

    Raises:
        PhotoError: the image has more bits, or no pixels.
        OSError, ValueError: the file behind it is damaged.
    """
    return described(image, *planes.split(image, image.info.get("icc_profile") or None), mode=image.mode, exif=exif)


def described(
    image: Image.Image, luma: Plane, alpha: Plane | None, thumbnail: Bytes | None, *, mode: str, exif: bytes | None
) -> Photo:
    """Put planes together with what a Pillow image carries; the mode says whether its profile still fits."""
    exif = exif.removeprefix(jpeg_segments.EXIF) if exif else None
    dpi = tuple(float(value) for value in image.info.get("dpi", ()))
    return Photo(
        luma=luma,
        alpha=alpha,
        thumbnail=thumbnail,
        orientation=exif_tags.orientation(exif),
        exif=exif_tags.without_thumbnail(exif),
        xmp=image.info.get("xmp") or None,
        icc=icc.for_color(image.info.get("icc_profile") or None, mode),
        dpi=(dpi[0], dpi[1]) if len(dpi) == 2 and all(0 < value < 1e6 for value in dpi) else None,
    )
