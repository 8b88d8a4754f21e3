"""Read and write one photograph: its luma as stored, and all that travels with it.

Nothing here turns a picture: the orientation stays a tag, and ``upright`` and ``stored`` turn the planes of those who must
look at it. JPEG goes from plane to plane; the other formats go through RGB, whose grey equals the luma that was read.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from photochrom.color import Plane
from photochrom.errors import OptionError, OutputError, PhotochromError, PhotoError, one_line
from photochrom.files import contents
from photochrom.photo import planes
from photochrom.photo.codecs import avif, jpeg, jpeg_2000, jpeg_segments, pillow, png, tiff
from photochrom.photo.formats import FORMATS, Format, Kind, kind_of, unknown
from photochrom.photo.metadata import exif as exif_tags
from photochrom.photo.metadata import iptc
from photochrom.photo.photo import LOSSY_QUALITY, MAX_PIXELS, Photo
from photochrom.photo.target import DEEP, Target, decide, whole_xmp

READERS: dict[Kind, Callable[[bytes, int], Photo]] = {
    "JPEG": jpeg.read,
    "PNG": pillow.read_png,
    "WEBP": pillow.read_webp,
    "TIFF": tiff.read,
    "AVIF": avif.read,
    "BMP": pillow.read_bmp,
    "PNM": pillow.read_pnm,
    "GIF": pillow.read_gif,
    "HEIC": avif.read_heic,
    "JPEG 2000": jpeg_2000.read,
}


def read(source: Path | bytes, *, max_pixels: int = MAX_PIXELS, name: str = "") -> Photo:
    """Read a photograph of any of ``formats.Kind``, with up to 16 bits a channel.

    Args:
        source: a file, or its contents.
        max_pixels: refuse a larger picture before any of it is decoded.
        name: what errors call the photograph; by default the path.

    Raises:
        PhotoError: the file is missing, unreadable, damaged, cut off, too large, or of a kind that is not read.
    """
    name = name or ("photograph" if isinstance(source, bytes) else str(source))
    data = source if isinstance(source, bytes) else contents(source)
    kind = kind_of(data)
    try:
        if kind is None:
            raise PhotoError(unknown(data))
        return READERS[kind](data, max_pixels)
    except PhotoError as error:
        raise error.at(name) from error
    except UnidentifiedImageError as error:
        raise PhotoError(f"a {kind} whose header cannot be read; restore the file from a good copy", path=name) from error
    except Exception as error:  # decoders raise whatever comes on damaged bytes
        reason = one_line(error)
        if "truncated" in reason.lower():
            raise PhotoError(f"a truncated {kind} ({reason}); restore the file from a good copy", path=name) from error
        raise PhotoError(
            f"a {kind} that is damaged or of a rare kind ({reason}); convert it to PNG first", path=name
        ) from error


def packet(path: Path) -> bytes | None:
    """Read the XMP packet of a file that is written with one, and none of its pixels.

    Returns:
        None where there is no such file, it has no packet, or its header cannot be read.
    """
    return pillow.packet(path)


def from_array(array: NDArray[Any]) -> Photo:
    """Convert a uint8 or uint16 array to a photograph: ``(H, W)`` or ``(H, W, 1)`` grey, ``(H, W, 3)`` RGB, ``(H, W, 4)`` RGBA.

    Raises:
        PhotoError: the array has another shape or type.
    """
    shaped = array.ndim == 2 or (array.ndim == 3 and array.shape[-1] in (1, 3, 4))
    if array.dtype not in (np.uint8, np.uint16) or not shaped or 0 in array.shape:
        got = f"{array.dtype} of shape {array.shape}"
        raise PhotoError(f"an array of {got} is no photograph; give uint8 or uint16 of shape (H, W) or (H, W, 1, 3 or 4)")
    samples = array.astype(array.dtype.newbyteorder("="), copy=False)
    samples = samples if array.ndim == 3 else samples[..., None]
    luma, _, thumbnail = planes.take(samples[..., :3])
    alpha = np.ascontiguousarray(samples[..., 3]) if samples.shape[-1] == 4 else None
    return Photo(luma=luma, alpha=alpha, thumbnail=thumbnail, bits=8 * array.dtype.itemsize)


def from_pil(image: Image.Image) -> Photo:
    """Convert a Pillow image to a photograph, with the EXIF, XMP, ICC profile and resolution that it carries.

    Raises:
        PhotoError: the image has no pixels, samples beyond 16 bits, or a damaged file behind it.
    """
    try:
        image.load()
    except OSError as error:
        raise PhotoError(f"a Pillow image that cannot be loaded ({one_line(error)}); open another copy of its file") from error
    exif = image.info.get("exif")
    if not exif:  # an open TIFF has all its tags there, most about the file
        exif = exif_tags.block(exif_tags.carried(exif_tags.read(image.getexif().tobytes().removeprefix(jpeg_segments.EXIF))))
    known = {"MPO": "JPEG", "PPM": "PNM"}.get(image.format or "", image.format)
    photo = _deep(image, exif) if image.mode.startswith("I") else pillow.from_image(image, exif=exif)
    return replace(photo, format=next((name for name in FORMATS if name == known), None))


def _deep(image: Image.Image, exif: bytes | None) -> Photo:
    """Convert a grey Pillow image of 16 bits, which Pillow holds in mode I;16 or I."""
    samples = np.asarray(image)
    if samples.size == 0 or samples.min() < 0 or samples.max() > 65535:
        raise PhotoError(f"a Pillow image of mode {image.mode} without samples, or some beyond 0 to 65535: scale them first")
    photo = from_array(samples.astype(np.uint16))
    return replace(pillow.described(image, photo.luma, None, photo.thumbnail, mode="I;16", exif=exif), bits=16)


def encode(
    photo: Photo, cb: Plane, cr: Plane, target: Target | None = None, *, pages: Sequence[tuple[Plane, Plane]] = ()
) -> bytes:
    """Write a photograph with new colors, by default in its own format.

    Args:
        photo: the photograph; its luma is what is written, at 16 bits where it has them and the format holds them.
        cb: uint8 with 128, or uint16 with 32768, for no color; of the photograph's size or half of it, rounded up.
        cr: the same.
        target: what ``target.decide`` decided for the photograph; None decides without any option.
        pages: Cb and Cr of each of the photograph's further pages.

    Raises:
        OptionError: no format is known, or the planes do not fit.
        OutputError: the format cannot hold the picture.
    """
    target = target or decide(photo)
    if target.format not in FORMATS:
        raise OptionError(f"format is {target.format}; give one of {', '.join(FORMATS)}")
    if len(pages) != len(photo.pages):
        raise OptionError(f"chroma is given for {1 + len(pages)} pages of {1 + len(photo.pages)}: give it for each")
    if pages and target.format != "TIFF":
        raise OutputError(f"the photograph has {1 + len(pages)} pages, and {target.format} holds one; choose TIFF")
    foreign, photo = target.format != photo.format, target.applied(photo)
    if target.format == "JPEG":
        photo = shallow(photo)
        iptc_block = ((jpeg_segments.APP13, iptc.wrap(photo.iptc)),) if photo.iptc else ()
        extras = iptc_block if foreign else photo.extras
        photo = photo if target.quality is None else replace(photo, quality=target.quality)
        return jpeg.encode(photo, cb, cr, extras=extras, luma=target.luma, quick=target.quick)
    photo = replace(photo if target.format in DEEP else shallow(photo), xmp=whole_xmp(photo)[0])
    try:
        if target.format == "TIFF":
            every = zip((photo, *photo.pages), ((cb, cr), *pages), strict=True)
            drawn = [(page, _samples(page, *chroma)) for page, chroma in every]
            return tiff.encode(drawn, foreign=foreign, quality=target.quality)
        return _write(photo, _samples(photo, cb, cr), target.format, quality=target.quality)
    except (OSError, ValueError, struct.error) as error:
        if isinstance(error, PhotochromError):
            raise
        high, wide = photo.luma.shape
        got = f"{wide} x {high} pixels cannot be written as {target.format} ({one_line(error)})"
        raise OutputError(f"{got}; choose another format") from error


def shallow(photo: Photo) -> Photo:
    """Bring a photograph to 8 bits a channel, rounded."""
    alpha = None if photo.alpha is None else planes.to_eight(photo.alpha)
    return replace(photo, luma=photo.shown, alpha=alpha)


def to_array(photo: Photo, cb: Plane, cr: Plane) -> Plane:
    """Return the colored photograph as ``(H, W, 3)`` RGB of the type of its luma, not turned.

    Raises:
        OptionError: the planes do not fit.
    """
    size, bits = photo.luma.shape, 8 * max(plane.dtype.itemsize for plane in (photo.luma, cb, cr))
    return planes.to_rgb(photo.luma, *(planes.fit(plane, size, size, bits=bits) for plane in (cb, cr)))


def to_pil(photo: Photo, cb: Plane, cr: Plane) -> Image.Image:
    """Return the colored photograph as a Pillow image, RGB or RGBA of 8 bits, not turned; what it carries is in ``info``.

    Raises:
        OptionError: the planes do not fit.
    """
    image = Image.fromarray(_samples(shallow(photo), cb, cr))
    exif = jpeg_segments.EXIF + photo.exif if photo.exif else None
    carried = {"exif": exif, "xmp": photo.xmp, "icc_profile": photo.icc, "dpi": photo.dpi}
    image.info.update({key: value for key, value in carried.items() if value})
    return image


def _samples(photo: Photo, cb: Plane, cr: Plane) -> Plane:
    rgb = to_array(photo, cb, cr)
    return rgb if photo.alpha is None else np.concatenate([rgb, photo.alpha[..., None]], -1)


def _write(photo: Photo, samples: Plane, target: Format, *, quality: int | None) -> bytes:
    """Write ``(H, W, 3 or 4)`` RGB in any format but JPEG and TIFF."""
    if target in ("PNM", "BMP"):
        if photo.alpha is not None and photo.alpha.min() < np.iinfo(photo.alpha.dtype).max:
            raise OutputError(f"the photograph is transparent in part, which {target} cannot hold; choose PNG, WebP or TIFF")
        samples = np.ascontiguousarray(samples[..., :3])
    if target == "PNM":
        return pillow.write_pnm(samples)
    exif = exif_tags.with_resolution(photo.exif, photo.dpi)
    if target == "AVIF" and samples.dtype == np.uint16:
        return avif.write_deep(photo, samples, exif, quality=quality or LOSSY_QUALITY)
    options: dict[str, Any] = {}
    if target in ("WEBP", "AVIF"):
        carried = {"exif": exif, "xmp": photo.xmp, "icc_profile": photo.icc}
        options = {key: value for key, value in carried.items() if value}
    if target == "WEBP":
        lossless = photo.lossless and quality is None
        options |= {"lossless": True, "exact": True} if lossless else {"quality": quality or LOSSY_QUALITY}
    if target == "AVIF":
        options["quality"] = quality or LOSSY_QUALITY
        options["subsampling"] = {(1, 1): "4:4:4", (1, 2): "4:2:2"}.get(photo.avif_sampling, "4:2:0")
    if target == "BMP" and photo.dpi:
        options["dpi"] = photo.dpi
    if target == "PNG" and samples.dtype == np.uint16:
        data = png.write(samples)
    else:
        buffer = io.BytesIO()
        Image.fromarray(samples).save(buffer, target, **options)
        data = buffer.getvalue()
    if target != "PNG":
        return data
    extras = photo.extras if photo.format == "PNG" else ()
    return png.splice(data, png.build(extras, exif=photo.exif, xmp=photo.xmp, icc=photo.icc, dpi=photo.dpi))
