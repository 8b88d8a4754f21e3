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
from photochrom.photo import planes, vips
from photochrom.photo.codecs import jpeg as jpeg_codec
from photochrom.photo.codecs import jpeg_segments, jpeg_xmp, pillow, png, pnm
from photochrom.photo.codecs import tiff as tiff_codec
from photochrom.photo.formats import FORMATS, SUBSTITUTES, Format, Kind, kind_of, unknown
from photochrom.photo.metadata import exif as exif_tags
from photochrom.photo.metadata import iptc
from photochrom.photo.photo import MAX_PIXELS, SAMPLINGS, Compression, LumaChoice, LumaWay, Photo, Subsampling
from photochrom.photo.planes import upright

READERS: dict[Kind, Callable[[bytes, int], Photo]] = {
    "JPEG": jpeg_codec.read,
    "PNG": pillow.read_png,
    "WEBP": pillow.read_webp,
    "TIFF": tiff_codec.read,
    "AVIF": pillow.read_avif,
    "BMP": pillow.read_bmp,
    "PNM": pillow.read_pnm,
    "GIF": pillow.read_gif,
    "HEIC": pillow.read_heic,
    "JPEG 2000": pillow.read_jpeg_2000,
}
BARE = frozenset({"BMP", "PNM"})
"""Formats that carry pixels and, a BMP, their resolution."""
NAMED = 5
"""Texts of a PNG that are named where they are left out."""
DEEP = frozenset({"PNG", "TIFF", "AVIF", "PNM"})
"""Formats that are written with more than 8 bits."""


def read(source: Path | bytes, *, max_pixels: int = MAX_PIXELS, name: str = "") -> Photo:
    """Read a photograph of any of ``files.Kind``, with up to 16 bits a channel.

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
        raise PhotoError(f"{name}: {error}") from error
    except UnidentifiedImageError as error:
        raise PhotoError(f"{name}: a {kind} whose header cannot be read; restore the file from a good copy") from error
    except Exception as error:  # decoders raise whatever comes on damaged bytes
        reason = one_line(error)
        if "truncated" in reason.lower():
            raise PhotoError(f"{name}: a truncated {kind} ({reason}); restore the file from a good copy") from error
        raise PhotoError(f"{name}: a {kind} that is damaged or of a rare kind ({reason}); convert it to PNG first") from error


def from_array(array: NDArray[Any]) -> Photo:
    """Take an ``(H, W)`` or ``(H, W, 3)`` uint8 or uint16 array as a photograph.

    Raises:
        PhotoError: the array has another shape or type.
    """
    color = array.ndim == 3 and array.shape[-1] == 3
    if array.dtype not in (np.uint8, np.uint16) or not (array.ndim == 2 or color) or 0 in array.shape:
        got = f"{array.dtype} of shape {array.shape}"
        raise PhotoError(f"an array of {got} is no photograph; give uint8 or uint16 of shape (H, W) or (H, W, 3)")
    samples = array.astype(array.dtype.newbyteorder("="), copy=False)
    luma, _, thumbnail = planes.take(samples if color else samples[..., None])
    return Photo(luma=luma, thumbnail=thumbnail, bits=8 * array.dtype.itemsize)


def from_pil(image: Image.Image) -> Photo:
    """Take a Pillow image as a photograph, with the EXIF, XMP, ICC profile and resolution that it carries.

    Raises:
        PhotoError: the image has more than 8 bits a channel, no pixels, or a damaged file behind it.
    """
    try:
        image.load()
    except OSError as error:
        raise PhotoError(f"a Pillow image that cannot be loaded ({one_line(error)}); open another copy of its file") from error
    exif = image.info.get("exif")
    if not exif:  # an open TIFF has all its tags there, of which most describe the file
        exif = exif_tags.block(exif_tags.carried(exif_tags.read(image.getexif().tobytes().removeprefix(jpeg_segments.EXIF))))
    known = {"MPO": "JPEG", "PPM": "PNM"}.get(image.format or "", image.format)
    return replace(pillow.from_image(image, exif=exif), format=next((name for name in FORMATS if name == known), None))


def target_of(photo: Photo, format: Format | None = None) -> Format | None:
    """Tell the format to be written: the one asked for, or the source's own, or what stands for one that is read only."""
    return format or SUBSTITUTES.get(photo.format or "JPEG") or next((own for own in FORMATS if own == photo.format), None)


def notes(photo: Photo, format: Format | None = None) -> tuple[str, ...]:
    """Say what the result lacks of the source: what was not read of it, and what the format to be written does not hold."""
    target = target_of(photo, format)
    found = photo.notes
    if photo.format in SUBSTITUTES and format is None:
        found += (f"{photo.format} is read only, so {target} is written",)
    if photo.bits > 8 and target is not None and target not in DEEP:
        found += (f"8 of {photo.bits} bits a channel, {target} holds no more",)
    if target in ("PNG", "TIFF", "WEBP", "AVIF") and not _whole_xmp(photo)[1]:
        found += ("the main part of its XMP, the extended one is missing or damaged",)
    left = [name for name, block in (("EXIF", photo.exif), ("XMP", photo.xmp), ("the profile", photo.icc)) if block]
    left = left if target in BARE else []
    left += ["IPTC"] if photo.iptc and target not in (None, "JPEG", "TIFF") else []
    left += ["the resolution"] if photo.dpi and target == "PNM" else []
    if photo.format == "PNG" and target not in (None, "PNG") and (texts := png.texts(photo.extras)):
        left.append(f"its texts ({', '.join(texts[:NAMED])}{', ...' if len(texts) > NAMED else ''})")
    left += ["the record of the run"] if target in BARE else []
    if left:
        them = "it" if len(left) == 1 and not left[0].startswith("its texts") else "them"
        found += (f"{' and '.join(filter(None, (', '.join(left[:-1]), left[-1])))} left out, {target} has no place for {them}",)
    return found


def asked(
    photo: Photo,
    format: Format | None = None,
    *,
    subsampling: Subsampling | None = None,
    compression: Compression | None = None,
) -> Photo:
    """Give a photograph, and its pages, that are written with another subsampling or compression than the source's.

    Args:
        photo: the photograph.
        format: another format than the source's.
        subsampling: of chroma in a JPEG or AVIF.
        compression: of a TIFF.

    Raises:
        OutputError: the format cannot hold this photograph so.
    """
    target = target_of(photo, format)
    if subsampling is not None:
        if subsampling == "422" and target == "AVIF" and photo.bits > 8:
            raise OutputError("an AVIF of more than 8 bits is written with subsampling 444 or 420: choose one of them")
        photo = replace(photo, sampling=SAMPLINGS[subsampling], avif_sampling=SAMPLINGS[subsampling])
    if compression is None or target != "TIFF":
        return photo
    for page in (photo, *photo.pages):
        if compression == "jpeg" and (page.bits > 8 or page.alpha is not None):
            what = f"{page.bits} bits a channel" if page.bits > 8 else "transparency"
            raise OutputError(f"JPEG inside a TIFF does not keep {what}; choose compression deflate (--compression deflate)")
    pages = (replace(page, compression=tiff_codec.NAMES[compression]) for page in photo.pages)
    return replace(photo, compression=tiff_codec.NAMES[compression], pages=tuple(pages))


def chroma_step(photo: Photo, format: Format | None = None) -> int:
    """Tell how fine chroma is needed for the file to be written: 2 for half its size, as in most JPEGs, else 1."""
    return 2 if target_of(photo, format) == "JPEG" and photo.sampling == (2, 2) else 1


def luma_way(
    photo: Photo, format: Format | None = None, *, asked: LumaChoice | None = None, quality: int | None = None
) -> LumaWay | None:
    """Tell how the luma of a photograph is written.

    Left open, it is lossless from a grey or YCbCr JPEG to a JPEG, and encoded otherwise. Fast is lossless where luma has scans
    of its own in the file, as in every grey one: they are copied byte for byte.

    Args:
        photo: the photograph.
        format: another format than the source's.
        asked: what is asked for, if anything is.
        quality: what is asked for, 1 to 100, for which luma is encoded anew.

    Returns:
        None for any format but JPEG, which takes luma as it is.

    Raises:
        PhotoError: lossless is asked for and cannot be.
    """
    target = target_of(photo, format)
    coded = photo.coded if target == "JPEG" and asked != "encoded" and quality is None else None
    way: LumaWay = "lossless" if coded and (asked != "fast" or coded.own) else "encoded"
    if asked == "lossless" and way == "encoded":
        got = f"this is {photo.format or 'an array'} to {target or 'an array'}" + (" of a quality" if quality else "")
        if photo.format == target == "JPEG" and quality is None:
            got = "this one is RGB or CMYK, coded by arithmetic, read by its profile, or needs jpeglib, which is not installed"
        raise PhotoError(f"luma can be lossless only from a grey or YCbCr JPEG to a JPEG, and {got}; drop luma (--luma)")
    return way if target == "JPEG" else None


def encode(
    photo: Photo,
    cb: Plane,
    cr: Plane,
    *,
    format: Format | None = None,
    luma: LumaChoice | None = None,
    quality: int | None = None,
    pages: Sequence[tuple[Plane, Plane]] = (),
) -> bytes:
    """Write a photograph with new colors, by default in its own format.

    Args:
        photo: the photograph; its luma is what is written, at 16 bits where it has them and the format holds them.
        cb: uint8 with 128, or uint16 with 32768, for no color; of the photograph's size or half of it, rounded up.
        cr: the same.
        format: another format than the source's.
        luma: how luma gets into a JPEG; by default as ``luma_way`` says.
        quality: of a JPEG, WebP, AVIF, or TIFF with JPEG inside, 1 to 100; a WebP is lossy then. By default as the source's,
            where that can be told.
        pages: Cb and Cr of each of the photograph's further pages.

    Raises:
        OptionError: no format is known, or the planes do not fit.
        PhotoError: luma cannot be written as asked.
        OutputError: the format cannot hold the picture.
    """
    target = target_of(photo, format)
    if target not in FORMATS:
        raise OptionError(f"format is {target}; give one of {', '.join(FORMATS)}")
    if len(pages) != len(photo.pages):
        raise OptionError(f"chroma is given for {1 + len(pages)} pages of {1 + len(photo.pages)}: give it for each")
    if pages and target != "TIFF":
        raise OutputError(f"the photograph has {1 + len(pages)} pages, of which {target} holds one; choose TIFF")
    foreign = target != photo.format
    if target == "JPEG":
        photo = shallow(photo)
        iptc_block = ((jpeg_segments.APP13, iptc.wrap(photo.iptc)),) if photo.iptc else ()
        extras = iptc_block if foreign else photo.extras
        way = luma_way(photo, format, asked=luma, quality=quality)
        photo = photo if quality is None else replace(photo, quality=quality)
        return jpeg_codec.encode(photo, cb, cr, extras=extras, luma=way, quick=luma == "fast")
    photo = replace(photo if target in DEEP else shallow(photo), xmp=_whole_xmp(photo)[0])
    try:
        if target == "TIFF":
            every = zip((photo, *photo.pages), ((cb, cr), *pages), strict=True)
            drawn = [(page, _samples(page, *chroma)) for page, chroma in every]
            return tiff_codec.encode(drawn, foreign=foreign, quality=quality)
        return _write(photo, _samples(photo, cb, cr), target, quality=quality)
    except (OSError, ValueError, struct.error) as error:
        if isinstance(error, PhotochromError):
            raise
        high, wide = photo.luma.shape
        got = f"{wide} x {high} pixels cannot be written as {target} ({one_line(error)})"
        raise OutputError(f"{got}; choose another format") from error


def _whole_xmp(photo: Photo) -> tuple[bytes | None, bool]:
    """Put the XMP of a JPEG's segments together, and tell whether that is all of it."""
    if photo.xmp is None or photo.format != "JPEG":
        return photo.xmp, True
    try:
        return jpeg_xmp.joined(photo.xmp, photo.extras), True
    except ValueError:
        return photo.xmp, False


def shallow(photo: Photo) -> Photo:
    """Bring a photograph to 8 bits a channel, rounded."""
    alpha = None if photo.alpha is None else planes.to_eight(photo.alpha)
    return replace(photo, luma=photo.shown, alpha=alpha)


def to_array(photo: Photo, cb: Plane, cr: Plane) -> Plane:
    """Give the colored photograph as ``(H, W, 3)`` RGB of the type of its luma, not turned.

    Raises:
        OptionError: the planes do not fit.
    """
    size, bits = photo.luma.shape, 8 * max(plane.dtype.itemsize for plane in (photo.luma, cb, cr))
    return planes.to_rgb(photo.luma, *(planes.fit(plane, size, size, bits=bits) for plane in (cb, cr)))


def to_pil(photo: Photo, cb: Plane, cr: Plane) -> Image.Image:
    """Give the colored photograph as a Pillow image, RGB or RGBA of 8 bits, not turned; what it carries is in ``info``.

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
        return pnm.write(samples)
    exif = exif_tags.with_resolution(photo.exif, photo.dpi)
    if target == "AVIF" and samples.dtype == np.uint16:
        return _deep_avif(photo, samples, exif, quality=quality or photo.avif_quality)
    options: dict[str, Any] = {}
    if target in ("WEBP", "AVIF"):
        carried = {"exif": exif, "xmp": photo.xmp, "icc_profile": photo.icc}
        options = {key: value for key, value in carried.items() if value}
    if target == "WEBP":
        lossless = photo.lossless and quality is None
        options |= {"lossless": True, "exact": True} if lossless else {"quality": quality or photo.webp_quality}
    if target == "AVIF":
        options["quality"] = quality or photo.avif_quality
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


def _deep_avif(photo: Photo, samples: Plane, exif: bytes | None, *, quality: int) -> bytes:
    """Write an AVIF of 10 or 12 bits, its pixels upright: libvips writes no turn."""
    turned = np.ascontiguousarray(np.moveaxis(upright(np.moveaxis(samples, -1, 0), photo.orientation), 0, -1))
    carried = {"exif": exif_tags.as_upright(exif), "xmp": photo.xmp, "icc-profile": photo.icc}
    blocks = {name: block for name, block in carried.items() if block}
    bits = 10 if photo.bits == 10 else 12
    return vips.avif(turned, bits=bits, quality=quality, subsampled=photo.avif_sampling != (1, 1), carried=blocks)
