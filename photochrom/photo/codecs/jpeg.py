"""Read a JPEG as a photograph and write a photograph as a JPEG, from plane to plane where the file allows it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

from photochrom.color import Plane
from photochrom.errors import OutputError, PhotoError
from photochrom.photo import planes
from photochrom.photo.codecs import jpeg_lossless, jpeg_segments, jpeg_xmp
from photochrom.photo.metadata import exif, icc, iptc
from photochrom.photo.photo import LumaWay, Photo, refuse_large


def read(data: bytes, max_pixels: int) -> Photo:
    """Read a JPEG of 8 bits a sample.

    Raises:
        PhotoError: it is damaged, deeper or larger than allowed.
        ValueError, OSError: a decoder's own, on damaged bytes.
    """
    header = jpeg_segments.parse(data)
    if header.bits > 8:
        raise PhotoError(f"{header.bits} bits a channel, of which 8 at most are read; convert it to 8 bits first")
    refuse_large(header.width, header.height, max_pixels=max_pixels)
    carried = jpeg_segments.carried(header.segments)
    space = jpeg_segments.color_space(data)
    coded = None
    alpha: Plane | None
    if space in ("CMYK", "YCCK"):
        inks, _ = jpeg_segments.decode(data, "CMYK", header=header)
        layout = "CMYK;I" if header.inverted else "CMYK"
        image = Image.frombytes("CMYK", (header.width, header.height), inks.tobytes(), "raw", layout)
        luma, alpha, thumbnail = planes.split(image, carried.icc)
    elif space != "Gray" and not icc.is_neutral(carried.icc):
        image = Image.fromarray(jpeg_segments.decode(data, "RGB", header=header)[0])
        luma, alpha, thumbnail = planes.split(image, carried.icc)
    else:
        # A small picture costs nearly as much as luma, since either reads all of the file's bits: a thread of its own hides it.
        with ThreadPoolExecutor(1) as pool:
            small = pool.submit(jpeg_segments.thumbnail, data, side=planes.THUMBNAIL_SIDE // 2) if space != "Gray" else None
            samples, data = jpeg_segments.decode(data, "GRAY", header=header)
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
        xmp=carried.xmp,
        icc=icc.for_color(carried.icc, "CMYK" if space in ("CMYK", "YCCK") else "RGB"),
        iptc=next((found for _, payload in carried.extras if (found := iptc.unwrap(payload))), None),
        dpi=carried.dpi,
        extras=carried.extras,
        coded=coded,
        quality=jpeg_segments.quality_of(header.luma_table),
        sampling=_sampling(header) if space == "YCbCr" else (2, 2),
        lossless=False,
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

    ``quick`` is for ``dct.encode``.

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


def _sampling(header: jpeg_segments.Header) -> tuple[int, int]:
    """Tell how many rows and columns of a YCbCr file share a sample of chroma; 4 count as 2."""
    across, down = (min(max(luma // max(chroma, 1), 1), 2) for luma, chroma in zip(*header.sampling[:2], strict=True))
    return down, across
