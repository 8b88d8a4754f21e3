"""Read a JPEG as a photograph and write a photograph as a JPEG, from plane to plane where the file allows it."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

from photochrom.color import Plane
from photochrom.errors import OutputError, PhotoError
from photochrom.photo import planes
from photochrom.photo.codecs import jpeg_decode, jpeg_lossless, jpeg_segments, jpeg_xmp
from photochrom.photo.metadata import exif, icc, iptc
from photochrom.photo.metadata.xmp import as_utf8
from photochrom.photo.photo import LumaWay, Photo, refuse_large

PICTURES = 0xB001
"""The tag that says how many pictures a file holds (CIPA DC-007, 5.2.3.2)."""
GAIN_MAP = re.compile(rb"hdrgm:|HDRGainMap|urn:iso:std:iso:ts:21496:-1")
"""What a segment says of a picture that makes the main one brighter (ISO 21496-1, and before it Adobe's and Apple's)."""
FILM = re.compile(rb"(?:MotionPhoto|MicroVideo)\s*(?:=\s*[\"']|>)\s*1")
"""What XMP says of a film behind the picture."""


def read(data: bytes, max_pixels: int) -> Photo:
    """Read a JPEG of 8 bits a sample.

    Raises:
        PhotoError: it is damaged, deeper or larger than allowed.
        ValueError, OSError: a decoder's own, on damaged bytes.
    """
    data, header = jpeg_decode.in_order(data, jpeg_segments.parse(data))
    if header.bits > 8:
        raise PhotoError(f"{header.bits} bits a channel: at most 8 are read; convert it to 8 bits first")
    refuse_large(header.width, header.height, max_pixels=max_pixels)
    carried = jpeg_segments.carried(header.segments)
    space = jpeg_decode.color_space(data, header)
    coded = None
    alpha: Plane | None
    if space in ("CMYK", "YCCK"):
        inks, _ = jpeg_decode.decode(data, "CMYK", header=header)
        layout = "CMYK;I" if header.inverted else "CMYK"
        image = Image.frombytes("CMYK", (header.width, header.height), inks.tobytes(), "raw", layout)
        luma, alpha, thumbnail = planes.split(image, carried.icc)
    elif space != "Gray" and not icc.is_neutral(carried.icc):
        image = Image.fromarray(jpeg_decode.decode(data, "RGB", header=header)[0])
        luma, alpha, thumbnail = planes.split(image, carried.icc)
    else:
        # A small picture costs nearly as much as luma, since either reads all of the file's bits: a thread of its own hides it.
        with ThreadPoolExecutor(1) as pool:
            small = pool.submit(jpeg_decode.thumbnail, data, side=planes.THUMBNAIL_SIDE // 2) if space != "Gray" else None
            samples, data = jpeg_decode.decode(data, "GRAY", header=header)
            luma, alpha = samples[..., 0], None
            thumbnail = planes.thumbnail(Image.fromarray(small.result())) if small else None
        coded = None if jpeg_lossless.obstacle(header, space) else jpeg_lossless.Coded(data)
    return Photo(
        luma=luma,
        alpha=alpha,
        thumbnail=thumbnail,
        orientation=exif.orientation(carried.exif),
        format="JPEG",
        exif=exif.without_thumbnail(carried.exif),
        xmp=as_utf8(carried.xmp),
        icc=icc.for_color(carried.icc, {"Gray": "L", "CMYK": "CMYK", "YCCK": "CMYK"}.get(space, "RGB")),
        iptc=next((found for _, payload in carried.extras if (found := iptc.unwrap(payload))), None),
        dpi=carried.dpi,
        extras=carried.extras,
        coded=coded,
        quality=jpeg_segments.quality_of(header.luma_table),
        sampling=_sampling(header) if space == "YCbCr" else (2, 2),
        lossless=False,
        notes=_beside(data, header),
    )


def encode(
    photo: Photo,
    cb: Plane,
    cr: Plane,
    *,
    extras: tuple[tuple[bytes, bytes], ...] = (),
    luma: LumaWay | None = None,
    quick: bool = False,
) -> bytes:
    """Write a photograph as a JPEG with new colors, as fine as its source's; luma as told, or lossless where it can be.

    ``quick`` is for ``jpeg_lossless.encode``.

    Raises:
        OptionError: the planes do not fit.
        OutputError: the photograph is transparent in part, or carries more than a JPEG holds.
    """
    if photo.alpha is not None and photo.alpha.min() < 255:
        raise OutputError("the photograph is transparent in part, which JPEG cannot hold; choose PNG, WebP or TIFF")
    full = photo.luma.shape
    down, across = photo.sampling
    size = -(-full[0] // down), -(-full[1] // across)
    blue, red = (np.asarray(planes.fit(plane, size, full), np.uint8) for plane in (cb, cr))
    xmp, extras = jpeg_xmp.split(photo.xmp or b"", extras)
    carried = jpeg_segments.Carried(exif=photo.exif, xmp=xmp, icc=photo.icc, dpi=photo.dpi, extras=extras)
    segments = jpeg_segments.build(carried)
    if photo.coded is not None and luma != "encoded":
        return jpeg_lossless.encode(photo.coded, blue, red, segments=segments, quick=quick)
    return jpeg_segments.encode(photo.shown, blue, red, quality=photo.quality, segments=segments)


def _beside(data: bytes, header: jpeg_segments.Header) -> tuple[str, ...]:
    """Return what of the file is not read: further pictures, a gain map, a film, or anything else behind the picture."""
    texts = [body for kind, body in header.segments if kind in (jpeg_segments.APP1, jpeg_segments.APP2)]
    index = next((body[4:] for body in texts if body.startswith(b"MPF\0")), b"")
    (pictures,) = exif.numbers(exif.read(index), PICTURES)[:1] or (1,)
    trailer = jpeg_decode.behind(data, header)
    notes: tuple[str, ...] = ()
    if any(GAIN_MAP.search(body) for body in texts):
        notes += ("its gain map left out",)
    elif pictures > 1:
        notes += (f"the main of {pictures} pictures",)
    if any(FILM.search(body) for body in texts) or trailer[4:8] == b"ftyp":
        notes += ("the film behind it left out",)
    if trailer and not notes:
        what = "the picture" if trailer.lstrip(b"\0").startswith(jpeg_segments.START) else f"{len(trailer):,} bytes"
        notes += (f"{what} behind it left out",)
    return notes


def _sampling(header: jpeg_segments.Header) -> tuple[int, int]:
    """Return how many rows and columns of a YCbCr file share a sample of chroma; 4 count as 2."""
    across, down = (min(max(luma // max(chroma, 1), 1), 2) for luma, chroma in zip(*header.sampling[:2], strict=True))
    return down, across
