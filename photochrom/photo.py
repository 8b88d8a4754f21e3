"""Read and write one photograph: its luma as stored, and all that travels with it.

Nothing here turns a picture: the orientation stays a tag, and ``upright`` and ``stored`` turn the planes of those who must
look at it. JPEG goes from plane to plane; the other formats go through RGB, whose grey equals the luma that was read.
"""

from __future__ import annotations

import io
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from photochrom import icc, jpeg, planes, png, tiff
from photochrom.errors import OptionError, OutputError, PhotoError, one_line
from photochrom.files import FORMATS, SUFFIXES, Format, contents, kind_of, same_file, save, unknown
from photochrom.planes import stored, upright

__all__ = [
    "FORMATS",
    "MAX_PIXELS",
    "SUFFIXES",
    "Format",
    "Photo",
    "chroma_step",
    "encode",
    "from_array",
    "from_pil",
    "read",
    "same_file",
    "save",
    "stored",
    "to_array",
    "to_pil",
    "upright",
]

Plane = NDArray[np.uint8]

MAX_PIXELS = 200_000_000
"""Larger pictures are refused unless asked for: a small file can claim to be any size."""

WEBP_QUALITY = 90
"""For lossy sources, whose own quality the file does not state: fine enough to add no visible loss, still a WebP's size."""

TIFF_COMPRESSIONS = frozenset({"raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd", "jpeg"})
"""What both Pillow writes and RGB admits; a source with another one (fax, for one) gets Deflate."""

_bomb_lock = threading.Lock()


@dataclass(frozen=True, kw_only=True, eq=False)
class Photo:
    """A photograph as stored in its file, without its colors."""

    luma: Plane
    """``(H, W)`` uint8, not turned."""
    alpha: Plane | None = None
    """``(H, W)`` uint8, 255 = opaque."""
    thumbnail: Plane | None = None
    """``(h, w, 3)`` uint8 RGB of at most 256 pixels a side, not turned; none where the source has one channel."""
    orientation: int = 1
    """EXIF's, 1 to 8: how a viewer turns the stored pixels."""
    format: Format | None = None
    """The source's; none for an array."""
    exif: bytes | None = None
    """A TIFF block without a thumbnail."""
    xmp: bytes | None = None
    icc: bytes | None = None
    """A profile for RGB; none means sRGB."""
    dpi: tuple[float, float] | None = None
    extras: tuple[tuple[bytes, bytes], ...] = ()
    """What only the source's own format can carry: segments of JPEG, chunks of PNG, blocks of TIFF."""
    quality: int = jpeg.KEEPING
    """Of a JPEG made from it: 1 to 100."""
    lossless: bool = True
    """Whether a WebP made from it keeps every pixel."""
    compression: str = "tiff_lzw"
    """Of a TIFF made from it, as Pillow names it."""


def read(source: Path | bytes, *, max_pixels: int = MAX_PIXELS, name: str = "") -> Photo:
    """Read a JPEG, PNG, WebP or TIFF of 8 bits a channel.

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
    readers: dict[Format, Callable[[bytes, int], Photo]]
    readers = {"JPEG": _read_jpeg, "PNG": _read_png, "WEBP": _read_webp, "TIFF": _read_tiff}
    try:
        if kind is None:
            raise PhotoError(unknown(data))
        return readers[kind](data, max_pixels)
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
    """Take an ``(H, W)`` or ``(H, W, 3)`` uint8 array as a photograph.

    Raises:
        PhotoError: the array has another shape or type.
    """
    color = array.ndim == 3 and array.shape[-1] == 3
    if array.dtype != np.uint8 or not (array.ndim == 2 or color) or 0 in array.shape:
        got = f"{array.dtype} of shape {array.shape}"
        raise PhotoError(f"an array of {got} is no photograph; give uint8 of shape (H, W) or (H, W, 3)")
    if not color:
        return Photo(luma=np.ascontiguousarray(array))
    luma, _, thumbnail = planes.split(Image.fromarray(np.ascontiguousarray(array)), None)
    return Photo(luma=luma, thumbnail=thumbnail)


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
        exif = tiff.block(tiff.carried(tiff.read(image.getexif().tobytes().removeprefix(jpeg.EXIF))))
    known = {"MPO": "JPEG"}.get(image.format or "", image.format)
    return _photo(image, format=next((name for name in FORMATS if name == known), None), exif=exif)


def chroma_step(photo: Photo, format: Format | None = None) -> int:
    """Tell how many pixels share a sample of chroma in the file to be written: 2 each way in JPEG, 1 elsewhere."""
    return 2 if (format or photo.format) == "JPEG" else 1


def encode(photo: Photo, cb: Plane, cr: Plane, *, format: Format | None = None) -> bytes:
    """Write a photograph with new colors, by default in its own format.

    Args:
        photo: the photograph; its luma is what is written.
        cb: uint8, 128 = no color; of the photograph's size or half of it, rounded up.
        cr: the same.
        format: another format than the source's.

    Raises:
        OptionError: no format is known, or the planes do not fit.
        OutputError: the format cannot hold the picture.
    """
    target = format or photo.format
    if target not in FORMATS:
        raise OptionError(f"format is {target}; give one of {', '.join(FORMATS)}")
    extras = photo.extras if target == photo.format else ()
    if target == "JPEG":
        return _encode_jpeg(photo, cb, cr, extras)
    options: dict[str, Any] = {}
    if target == "WEBP":
        carried = {"exif": photo.exif, "xmp": photo.xmp, "icc_profile": photo.icc}
        options = {key: value for key, value in carried.items() if value}
        options |= {"lossless": True, "exact": True} if photo.lossless else {"quality": WEBP_QUALITY}
    if target == "TIFF":
        options["compression"] = photo.compression
        if photo.compression in ("tiff_lzw", "tiff_adobe_deflate", "zstd"):
            options["tiffinfo"] = {317: 2}  # differences between neighbors: without them LZW enlarges a photograph
        if photo.compression == "jpeg":
            options["quality"] = photo.quality
    image, buffer = _picture(photo, cb, cr), io.BytesIO()
    try:
        image.save(buffer, target, **options)
    except (OSError, ValueError, struct.error) as error:
        got = f"{image.width} x {image.height} pixels cannot be written as {target} ({one_line(error)})"
        raise OutputError(f"{got}; choose another format") from error
    data = buffer.getvalue()
    if target == "PNG":
        return png.splice(data, png.build(extras, exif=photo.exif, xmp=photo.xmp, icc=photo.icc, dpi=photo.dpi))
    return tiff.splice(data, _tags(photo, extras)) if target == "TIFF" else data


def to_array(photo: Photo, cb: Plane, cr: Plane) -> Plane:
    """Give the colored photograph as ``(H, W, 3)`` uint8 RGB, not turned.

    Raises:
        OptionError: the planes do not fit.
    """
    size = photo.luma.shape
    return planes.to_rgb(photo.luma, *(planes.fit(plane, size, size) for plane in (cb, cr)))


def to_pil(photo: Photo, cb: Plane, cr: Plane) -> Image.Image:
    """Give the colored photograph as a Pillow image, RGB or RGBA, not turned; what it carries is in ``info``.

    Raises:
        OptionError: the planes do not fit.
    """
    image = _picture(photo, cb, cr)
    exif = jpeg.EXIF + photo.exif if photo.exif else None
    carried = {"exif": exif, "xmp": photo.xmp, "icc_profile": photo.icc, "dpi": photo.dpi}
    image.info.update({key: value for key, value in carried.items() if value})
    return image


def _read_jpeg(data: bytes, max_pixels: int) -> Photo:
    header = jpeg.parse(data)
    _refuse_deep(header.bits)
    _refuse_large(header.width, header.height, max_pixels=max_pixels)
    carried = jpeg.carried(header.segments)
    space = jpeg.color_space(data)
    alpha: Plane | None
    if space in ("CMYK", "YCCK"):
        inks = jpeg.decode(data, "CMYK", header=header)
        layout = "CMYK;I" if header.inverted else "CMYK"
        image = Image.frombytes("CMYK", (header.width, header.height), inks.tobytes(), "raw", layout)
        luma, alpha, thumbnail = planes.split(image, carried.icc)
    elif space != "Gray" and not icc.is_neutral(carried.icc):
        image = Image.fromarray(jpeg.decode(data, "RGB", header=header))
        luma, alpha, thumbnail = planes.split(image, carried.icc)
    else:
        # A small picture costs nearly as much as luma, since either reads all of the file's bits: a thread of its own hides it.
        with ThreadPoolExecutor(1) as pool:
            small = pool.submit(jpeg.thumbnail, data, side=planes.THUMBNAIL_SIDE // 2) if space != "Gray" else None
            luma, alpha = jpeg.decode(data, "GRAY", header=header)[..., 0], None
            thumbnail = planes.thumbnail(Image.fromarray(small.result())) if small else None
    return Photo(
        luma=luma,
        alpha=alpha,
        thumbnail=thumbnail,
        orientation=tiff.orientation(carried.exif),
        format="JPEG",
        exif=tiff.without_thumbnail(carried.exif),
        xmp=carried.xmp,
        icc=icc.for_color(carried.icc, "CMYK" if space in ("CMYK", "YCCK") else "RGB"),
        dpi=carried.dpi,
        extras=carried.extras,
        quality=jpeg.quality_of(header.luma_table),
        lossless=False,
    )


def _read_png(data: bytes, max_pixels: int) -> Photo:
    chunks = png.parse(data)
    if any(kind == b"acTL" for kind, _ in chunks):
        raise PhotoError("an animated PNG; give its frames one by one")
    with _opened(data, "PNG", bits=png.bits(chunks), max_pixels=max_pixels) as image:
        photo = _photo(image, format="PNG", exif=image.info.get("exif"))
    return replace(photo, extras=png.carried(chunks))


def _read_webp(data: bytes, max_pixels: int) -> Photo:
    with _opened(data, "WEBP", bits=8, max_pixels=max_pixels) as image:
        if getattr(image, "n_frames", 1) > 1:
            raise PhotoError("an animated WebP; give its frames one by one")
        photo = _photo(image, format="WEBP", exif=image.info.get("exif"))
    kinds, position = set(), 12
    while position + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, position)
        kinds.add(kind)
        position += 8 + length + length % 2
    return replace(photo, lossless=b"VP8L" in kinds)


def _read_tiff(data: bytes, max_pixels: int) -> Photo:
    directory = tiff.read(data)
    with _opened(data, "TIFF", bits=max(tiff.numbers(directory, tiff.BITS), default=1), max_pixels=max_pixels) as image:
        if (pages := getattr(image, "n_frames", 1)) > 1:
            raise PhotoError(f"a TIFF of {pages} pages; give its pages one by one")
        compression = {"tiff_jpeg": "jpeg"}.get(name := str(image.info.get("compression", "raw")), name)
        photo = _photo(image, format="TIFF", exif=tiff.block(tiff.carried(directory)))
    # Pillow turns a TIFF as it loads it, and no other format.
    channels = None if photo.thumbnail is None else np.moveaxis(photo.thumbnail, -1, 0)
    luma, alpha, turned = (
        None if plane is None else np.ascontiguousarray(stored(plane, photo.orientation))
        for plane in (photo.luma, photo.alpha, channels)
    )
    assert luma is not None
    blocks = tiff.block(tiff.carried(directory, tiff.BLOCKS))
    return replace(
        photo,
        luma=luma,
        alpha=alpha,
        thumbnail=None if turned is None else np.moveaxis(turned, 0, -1),
        compression=compression if compression in TIFF_COMPRESSIONS else "tiff_adobe_deflate",
        extras=((b"tags", blocks),) if blocks else (),
    )


@contextmanager
def _opened(data: bytes, kind: Format, *, bits: int, max_pixels: int) -> Iterator[Image.Image]:
    _refuse_deep(bits)
    with _bomb_lock:
        # Pillow's own limit is lower than ours and cannot be given to one call; it is lifted while a header is read.
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            image = Image.open(io.BytesIO(data), formats=(kind,))
        finally:
            Image.MAX_IMAGE_PIXELS = limit
    with image:
        _refuse_large(image.width, image.height, max_pixels=max_pixels)
        yield image


def _refuse_deep(bits: int) -> None:
    if bits > 8:
        raise PhotoError(f"{bits} bits a channel, of which 8 at most are read; convert it to 8 bits first")


def _refuse_large(width: int, height: int, *, max_pixels: int) -> None:
    if width * height > max_pixels:
        got = f"{width} x {height} = {width * height:,} pixels, over the limit of {max_pixels:,}"
        raise PhotoError(f"{got}; raise it with --max-pixels if you trust the file")


def _photo(image: Image.Image, *, format: Format | None, exif: bytes | None) -> Photo:
    profile = image.info.get("icc_profile") or None
    luma, alpha, thumbnail = planes.split(image, profile)
    exif = exif.removeprefix(jpeg.EXIF) if exif else None
    dpi = tuple(float(value) for value in image.info.get("dpi", ()))
    return Photo(
        luma=luma,
        alpha=alpha,
        thumbnail=thumbnail,
        orientation=tiff.orientation(exif),
        format=format,
        exif=tiff.without_thumbnail(exif),
        xmp=image.info.get("xmp") or None,
        icc=icc.for_color(profile, image.mode),
        dpi=(dpi[0], dpi[1]) if len(dpi) == 2 and all(0 < value < 1e6 for value in dpi) else None,
    )


def _encode_jpeg(photo: Photo, cb: Plane, cr: Plane, extras: tuple[tuple[bytes, bytes], ...]) -> bytes:
    if photo.alpha is not None and photo.alpha.min() < 255:
        raise OutputError("the photograph is transparent in part, which JPEG cannot hold; choose PNG, WebP or TIFF")
    full = photo.luma.shape
    cb, cr = (planes.fit(plane, planes.half(full), full) for plane in (cb, cr))
    carried = jpeg.Carried(exif=photo.exif, xmp=photo.xmp, icc=photo.icc, dpi=photo.dpi, extras=extras)
    return jpeg.encode(photo.luma, cb, cr, quality=photo.quality, segments=jpeg.build(carried))


def _picture(photo: Photo, cb: Plane, cr: Plane) -> Image.Image:
    image = Image.fromarray(to_array(photo, cb, cr))
    if photo.alpha is not None:
        image.putalpha(Image.fromarray(photo.alpha))
    return image


def _tags(photo: Photo, extras: tuple[tuple[bytes, bytes], ...]) -> tiff.Directory:
    tags = dict(tiff.carried(tiff.read(photo.exif or b"")))
    for _, block in extras:
        tags.update(tiff.read(block))
    if photo.dpi and not tiff.RESOLUTION & set(tags):
        tags.update(tiff.resolution(*photo.dpi))
    if photo.xmp:
        tags[tiff.XMP] = tiff.Value(tiff.BYTES, photo.xmp)
    if photo.icc:
        tags[tiff.ICC] = tiff.Value(tiff.UNDEFINED, photo.icc)
    return tags
