"""Read the pages of a TIFF as photographs, and write photographs as its pages."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import replace
from mmap import mmap

import numpy as np
from PIL import Image, TiffTags

from photochrom.color import Bytes, Plane
from photochrom.errors import OutputError, PhotoError, SizeError
from photochrom.photo import planes, vips
from photochrom.photo.codecs import pillow
from photochrom.photo.metadata import exif as exif_tags
from photochrom.photo.metadata import icc
from photochrom.photo.metadata.xmp import as_utf8
from photochrom.photo.photo import Compression, Photo, refuse_large

COMPRESSIONS = {1: "raw", 5: "tiff_lzw", 6: "jpeg", 7: "jpeg", 8: "tiff_adobe_deflate", 32946: "tiff_adobe_deflate"}
COMPRESSIONS |= {32773: "packbits", 50000: "zstd"}
"""The values of the tag that RGB admits, as Pillow names them; a source with another one (fax, for one) gets Deflate."""
NAMES: dict[Compression, str] = {"none": "raw", "lzw": "tiff_lzw", "deflate": "tiff_adobe_deflate", "jpeg": "jpeg"}
"""What Pillow calls those that may be asked for."""
DEEP = {"raw": "none", "tiff_lzw": "lzw", "packbits": "packbits"}
"""What libvips calls those that hold 16 bits; it writes Deflate for the others."""
FAX = frozenset({2, 3, 4})
FLOATS, SIGNED = 3, 2
RGB, YCBCR, LAB, SUBSAMPLING = 2, 6, 8, 530
MASK, ZSTD = 4, 50000
EXTRA, ALPHA = 338, (1, 2)
"""What further samples of a pixel are, and the values for associated and unassociated alpha."""
DNG, RAW = 50706, frozenset({32803, 34892})
"""The tag of Adobe's raw format, and the values of the photometric tag for the samples of a sensor."""


def read(data: bytes, max_pixels: int) -> Photo:
    """Read all pages of a TIFF: the first one is the photograph, the others are its ``pages``.

    Raises:
        PhotoError: a page is of a kind that is not read, or together they are too large.
        OSError, ValueError: it is damaged.
    """
    data = exif_tags.repaired(data)
    directories = exif_tags.every(data)
    if raw := is_raw(data, directories):
        raise PhotoError(raw)
    if not directories:
        raise PhotoError("a damaged TIFF: it has no directory; restore the file from a good copy")
    count, sizes = len(directories), [(_number(page, 256), _number(page, 257)) for page in directories]
    refuse_large(*max(sizes, key=math.prod), max_pixels=max_pixels)
    if (pixels := sum(map(math.prod, sizes))) > max_pixels:
        got = f"{count} pages of {pixels:,} pixels in all, over the limit of {max_pixels:,}"
        raise SizeError(f"{got}; raise it with --max-pixels if you trust the file")
    pages = []
    for index, directory in enumerate(directories):
        try:
            pages.append(_page(data, index, directory, max_pixels=max_pixels))
        except PhotoError as error:
            where = f"page {index + 1} of {count}: " if count > 1 else ""
            raise PhotoError(f"{where}{error}") from error
    return replace(pages[0], pages=tuple(pages[1:]))


def encode(pages: Sequence[tuple[Photo, Plane]], *, foreign: bool, quality: int | None = None) -> bytes:
    """Write photographs, each with its ``(H, W, 3 or 4)`` RGB of 8 or 16 bits, as the pages of one TIFF.

    Args:
        pages: the photographs and their samples.
        foreign: they come from another format, whose extras a TIFF cannot hold.
        quality: of JPEG inside, 1 to 100; by default the photograph's.

    Raises:
        OutputError: the pages exceed what the format holds.
        OSError, ValueError, struct.error: they cannot be written.
    """
    files = [
        exif_tags.splice(_pixels(photo, samples, quality), _tags(photo, () if foreign else photo.extras))
        for photo, samples in pages
    ]
    if sum(map(len, files)) >= 1 << 32:
        raise OutputError("the result would exceed the 4 gigabytes of a TIFF; choose another format, or split it")
    return files[0] if len(files) == 1 else exif_tags.join(files)


def _page(data: bytes, index: int, directory: exif_tags.Directory, *, max_pixels: int) -> Photo:
    bits = max(exif_tags.numbers(directory, exif_tags.BITS), default=1)
    if FLOATS in (kinds := exif_tags.numbers(directory, exif_tags.SAMPLE_FORMAT)):
        raise PhotoError(f"a TIFF of {bits}-bit floats, whose black and white are not said; convert it to 16 bits first")
    if SIGNED in kinds and _number(directory, exif_tags.PHOTOMETRIC) != LAB:
        raise PhotoError("a TIFF of signed numbers, whose black is not said; convert it to unsigned ones first")
    if bits > 16:
        raise PhotoError(f"{bits} bits a channel: at most 16 are read; convert it to 16 bits first")
    if _number(directory, 254) & MASK:
        raise PhotoError("a mask of another page, which has no colors; take it out of the file first")
    exif = exif_tags.block(exif_tags.carried(directory))
    blocks = exif_tags.block(exif_tags.others(directory))
    compression = _number(directory, exif_tags.COMPRESSION)
    profile = directory[exif_tags.ICC].data if exif_tags.ICC in directory else None
    space: str
    kind = _number(directory, exif_tags.PHOTOMETRIC)
    plain = kind == YCBCR and COMPRESSIONS.get(compression) != "jpeg"  # libvips takes these for RGB
    if plain and exif_tags.numbers(directory, SUBSAMPLING) not in ((), (1, 1)):
        raise PhotoError("a TIFF of subsampled YCbCr without JPEG compression is not read; convert it to RGB first")
    unread = sum(kind not in ALPHA for kind in exif_tags.numbers(directory, EXTRA))
    if 8 < bits < 16 or compression == ZSTD:
        luma, alpha, thumbnail, space = _by_pillow(data, index, bits, profile, max_pixels=max_pixels)
    else:
        own = {YCBCR: "YCbCr", LAB: "LAB"}[kind] if plain or (bits == 8 and kind == LAB) else ""
        stored = exif_tags.with_number(data, index, exif_tags.PHOTOMETRIC, RGB) if own else data
        samples, space = vips.load(stored, "tiff", page=index, max_pixels=max_pixels, strict=compression in FAX)
        channels = {"L": 1, "RGB": 3, "CMYK": 4, "LAB": 3}.get(space, 0)
        whole = samples.dtype in (np.uint8, np.uint16) or (space == "LAB" and samples.dtype == np.int16)
        if not whole or not channels or samples.shape[2] < channels:
            got = f"{samples.shape[2]} channels of {bits} bits"
            raise PhotoError(f"a TIFF of {got} is not read; convert it to grey, RGB or CMYK first")
        samples, unread = _without_extras(samples, channels, exif_tags.numbers(directory, EXTRA))
        if samples.dtype == np.uint8:
            luma, alpha, thumbnail = _eight(samples, own or space, profile)
            space = own or space
        else:
            luma, alpha, thumbnail = pillow.deep(samples, space, profile)
    return Photo(
        luma=luma,
        alpha=alpha,
        thumbnail=thumbnail,
        orientation=exif_tags.orientation(exif),
        format="TIFF",
        bits=bits,
        exif=exif,
        xmp=as_utf8(directory[exif_tags.XMP].data) if exif_tags.XMP in directory else None,
        icc=icc.for_color(profile, space),
        iptc=directory[exif_tags.IPTC].data if exif_tags.IPTC in directory else None,
        dpi=exif_tags.dpi(directory),
        extras=((b"tags", blocks),) if blocks else (),
        compression=COMPRESSIONS.get(compression, "tiff_adobe_deflate"),
        notes=(*dropped(unread), *exif_tags.left(directory)),
    )


def is_raw(data: bytes | mmap, directories: Sequence[exif_tags.Directory]) -> str | None:
    """Return the line that refuses camera raw, whose pages are previews of the photograph; None for any other TIFF."""
    every = [each for page in directories for each in (page, *exif_tags.copies(data, page))]
    dng = any(DNG in each for each in every)
    if not dng and data[8:10] != b"CR" and not any(set(exif_tags.numbers(each, exif_tags.PHOTOMETRIC)) & RAW for each in every):
        return None
    return f"camera raw{' (DNG)' if dng else ''} is not read; develop it with a raw converter to TIFF or JPEG first"


def names(extras: Sequence[tuple[bytes, bytes]]) -> list[str]:
    """List the tags among extras that only a TIFF holds, each by its name where it has one, or else by its number."""
    tags = {tag for _, block in extras for tag in exif_tags.read(block)} - exif_tags.PAGE - {exif_tags.IPTC}
    known = {tag: TiffTags.lookup(tag).name for tag in sorted(tags)}
    return [str(tag) if name == "unknown" else name for tag, name in known.items()]


def _without_extras(samples: Plane, channels: int, kinds: Sequence[int]) -> tuple[Plane, int]:
    """Leave out extra samples that are no alpha, such as infrared; a single channel without a stated kind is alpha."""
    count = samples.shape[2] - channels
    kinds = kinds or (2,) * (count == 1)
    alpha = next((channels + place for place, kind in enumerate(kinds[:count]) if kind in ALPHA), None)
    wanted = [*range(channels), *([] if alpha is None else [alpha])]
    return (samples if len(wanted) == samples.shape[2] else samples[..., wanted]), samples.shape[2] - len(wanted)


def dropped(count: int) -> tuple[str, ...]:
    """Return how many extra channels of a page are not read."""
    return (f"{count} extra channel{'s' if count > 1 else ''} (infrared, spot color or mask) left out",) if count else ()


def _eight(samples: Plane, space: str, profile: bytes | None) -> tuple[Plane, Plane | None, Bytes | None]:
    if space == "CMYK":
        luma, _, thumbnail = planes.split(Image.fromarray(np.ascontiguousarray(samples[..., :4]), "CMYK"), profile)
        return luma, np.ascontiguousarray(samples[..., 4]) if samples.shape[2] > 4 else None, thumbnail
    if space in (
        "YCbCr",
        "LAB",
    ):  # read as if they were RGB, since libvips does not know the first, and has other numbers for a*
        size = samples.shape[1::-1]
        image = Image.frombytes(space, size, np.ascontiguousarray(samples[..., :3]).tobytes(), "raw", space)
        luma, _, thumbnail = planes.split(image, profile)
        return luma, np.ascontiguousarray(samples[..., 3]) if samples.shape[2] > 3 else None, thumbnail
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[samples.shape[2]]
    return planes.split(Image.fromarray(samples[..., 0] if mode == "L" else samples, mode), profile)


def _by_pillow(
    data: bytes, index: int, bits: int, profile: bytes | None, *, max_pixels: int
) -> tuple[Plane, Plane | None, Bytes | None, str]:
    """Decode what libvips does not: Zstandard, and 12 bits in grey."""
    with pillow.opened(data, "TIFF", max_pixels=max_pixels) as image:
        image.seek(index)
        image.getexif().pop(exif_tags.ORIENTATION, None)
        orientation = image.tag_v2.get(exif_tags.ORIENTATION, 1)  # type: ignore[attr-defined]
        if image.mode == "I;16":
            white = (1 << bits) - 1
            luma = planes.stored(np.array(image), orientation)
            return ((luma.astype(np.uint32) * 65535 + white // 2) // white).astype(np.uint16), None, None, "L"
        if bits > 8:
            raise PhotoError(f"a TIFF of {bits} bits in this layout is not read; convert it to 16 bits first")
        mode = image.mode
        found = planes.split(image, profile)
        channels = None if found[2] is None else np.moveaxis(found[2], -1, 0)
        turned = [None if plane is None else planes.stored(plane, orientation) for plane in (found[1], channels)]
        thumbnail = None if turned[1] is None else np.ascontiguousarray(np.moveaxis(turned[1], 0, -1))
        return np.ascontiguousarray(planes.stored(found[0], orientation)), turned[0], thumbnail, mode


def _pixels(photo: Photo, samples: Plane, quality: int | None) -> bytes:
    if samples.dtype == np.uint16:
        return vips.tiff(samples, compression=DEEP.get(photo.compression, "deflate"))
    options: dict[str, object] = {"compression": photo.compression}
    if photo.compression in ("tiff_lzw", "tiff_adobe_deflate", "zstd"):
        options["tiffinfo"] = {317: 2}  # differences between neighbors: without them LZW enlarges a photograph
    if photo.compression == "jpeg":
        options["quality"] = quality or photo.quality
    buffer = io.BytesIO()
    Image.fromarray(samples).save(buffer, "TIFF", **options)
    return buffer.getvalue()


def _tags(photo: Photo, extras: tuple[tuple[bytes, bytes], ...]) -> exif_tags.Directory:
    tags = dict(exif_tags.carried(exif_tags.read(photo.exif or b"")))
    if photo.iptc:
        tags[exif_tags.IPTC] = exif_tags.Value(exif_tags.UNDEFINED, photo.iptc)
    for _, block in extras:
        tags.update(exif_tags.read(block))
    if photo.dpi and not exif_tags.RESOLUTION & set(tags):
        tags.update(exif_tags.resolution(*photo.dpi))
    if photo.xmp:
        tags[exif_tags.XMP] = exif_tags.Value(exif_tags.BYTES, photo.xmp)
    if photo.icc:
        tags[exif_tags.ICC] = exif_tags.Value(exif_tags.UNDEFINED, photo.icc)
    return tags


def _number(directory: exif_tags.Directory, tag: int) -> int:
    return (*exif_tags.numbers(directory, tag), 0)[0]
