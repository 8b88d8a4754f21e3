"""Read the header of a TIFF or PNG that can be worked on in bands of rows, and none of its pixels."""

from __future__ import annotations

import mmap
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, final

from photochrom.errors import PhotoError
from photochrom.photo.codecs import png, tiff
from photochrom.photo.metadata import exif as exif_tags
from photochrom.photo.metadata.xmp import as_utf8

COMPRESSIONS = {1: "none", 5: "lzw", 7: "jpeg", 8: "deflate", 32946: "deflate", 32773: "packbits"}
"""The values of TIFF's tag that libvips both reads and writes for RGB, as it names them."""
TILE_SIDE = 256
"""No tile is written larger: a row of them is in memory several times over."""

WIDEST = 1 << 16
"""No row is longer: several bands of rows are in memory."""

SUBFILE, MASK = 254, 4
"""What a page is to others, and the bit that says: a mask."""
WIDTH, HEIGHT, SAMPLES, EXTRA = 256, 257, 277, 338
TILE_WIDTH, TILE_HEIGHT = 322, 323
COLORS = {0: 1, 1: 1, 2: 3, 6: 3}
"""Channels besides alpha, by the value of the photometric tag: white is zero, black is zero, RGB, and Y'CbCr inside JPEG."""
PNG_KINDS = {0: (True, False), 2: (False, False), 4: (True, True), 6: (False, True)}
"""Whether a PNG is grey, and whether it has alpha, by its color type; a palette is neither."""
PNG_OTHER = frozenset({b"tRNS", b"acTL"})
"""Chunks of what is no plain picture: a color that is transparent, and animation."""


@final
@dataclass(frozen=True)
class Scan:
    """The header of a scan."""

    path: Path
    format: Literal["TIFF", "PNG"]
    width: int
    height: int
    bits: int
    """8 or 16, of each sample."""
    grey: bool
    alpha: bool
    exif: bytes | None
    """A TIFF block without a thumbnail."""
    xmp: bytes | None
    profile: bytes | None
    """The scan's own ICC profile."""
    compression: str = ""
    """Compression of a TIFF, as libvips names it."""
    tile: tuple[int, int] | None = None
    """Height and width of the tiles to write; None for strips."""
    page: int = 0
    """Its place in a TIFF."""
    pages: tuple[Scan, ...] = ()
    """The second and further pages of a TIFF."""
    share: float = 1.0
    """Share of the file's pixels that lie in this page."""
    directory: exif_tags.Directory | None = None
    """The directory of a TIFF's page."""
    chunks: tuple[png.Chunk, ...] = ()
    """Chunks of a PNG that its result keeps, besides EXIF, XMP and profile."""
    notes: tuple[str, ...] = ()
    """What of the file is not read."""


def read(path: Path, *, least: int) -> Scan | None:
    """Read the header of a scan; None for every other file, missing and damaged ones too.

    A scan is a TIFF, in one of ``COMPRESSIONS``, or a PNG without interlacing; grey or RGB of 8 or 16 bits, with or without
    alpha, and no wider than ``WIDEST``; and so is each further page of it, of whatever size.

    Args:
        path: any file.
        least: it has more pixels in all.
    """
    try:
        if not path.is_file():
            return None  # a named pipe would wait for its writer
        with path.open("rb") as file:
            start = file.read(24)
            tiffs = start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
            size = int.from_bytes(start[16:20]) * int.from_bytes(start[20:24])
            if not tiffs and not (start.startswith(png.SIGNATURE) and size > least):
                return None
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                if tiffs and (exif_tags.faults(data) or tiff.is_raw(data, exif_tags.every(data))):
                    return None
                found = _pages(path, exif_tags.every(data)) if tiffs else [_png(path, png.parse(data))]
    except (OSError, ValueError, IndexError, zlib.error, PhotoError):
        return None  # the reader of all other files says what is wrong
    scans = [scan for scan in found if scan and 0 < scan.width <= WIDEST and scan.height]
    pixels = sum(scan.width * scan.height for scan in scans)
    if len(scans) < max(len(found), 1) or pixels <= least:
        return None
    first, *others = (replace(scan, share=scan.width * scan.height / pixels) for scan in scans)
    return replace(first, pages=tuple(others))


def _pages(path: Path, directories: list[exif_tags.Directory]) -> list[Scan | None]:
    return [replace(scan, page=page) if (scan := _tiff(path, each)) else None for page, each in enumerate(directories)]


def _tiff(path: Path, directory: exif_tags.Directory) -> Scan | None:
    def number(tag: int, default: int = 0) -> int:
        return (*exif_tags.numbers(directory, tag), default)[0]

    photometric, samples = number(exif_tags.PHOTOMETRIC), number(SAMPLES)
    bits, extra = set(exif_tags.numbers(directory, exif_tags.BITS)), exif_tags.numbers(directory, EXTRA)
    compression = COMPRESSIONS.get(number(exif_tags.COMPRESSION, 1), "")
    colors = COLORS.get(photometric, 0) if photometric != 6 or compression == "jpeg" else 0
    sides = [number(tag, 16) for tag in (TILE_HEIGHT, TILE_WIDTH)]
    plain = (
        all(side and side % 16 == 0 for side in sides)
        and not number(SUBFILE) & MASK
        and set(exif_tags.numbers(directory, exif_tags.SAMPLE_FORMAT)) <= {1}
        and bits in ({8}, {16})
    )
    if compression == "jpeg" and extra:
        return None  # libvips would write it without its alpha
    if not (plain and compression and colors and (samples or 1) - colors == len(extra) and extra in ((), (0,), (2,))):
        return None
    profile, xmp = (value.data if (value := directory.get(tag)) else None for tag in (exif_tags.ICC, exif_tags.XMP))
    return Scan(
        path=path,
        format="TIFF",
        width=number(WIDTH),
        height=number(HEIGHT),
        bits=max(bits),
        grey=colors == 1,
        alpha=extra == (2,),
        exif=exif_tags.block(exif_tags.carried(directory)),
        xmp=as_utf8(xmp),
        profile=profile,
        compression=compression,
        tile=(min(sides[0], TILE_SIDE), min(sides[1], TILE_SIDE)) if TILE_WIDTH in directory else None,
        directory=directory,
        notes=(*tiff.dropped(extra.count(0)), *exif_tags.left(directory)),
    )


def _png(path: Path, chunks: list[png.Chunk]) -> Scan | None:
    header = chunks[0][1]
    bits, kind, interlaced = header[8], header[9], header[12]
    if bits not in (8, 16) or kind not in PNG_KINDS or interlaced or any(name in PNG_OTHER for name, _ in chunks):
        return None
    grey, alpha = PNG_KINDS[kind]
    return Scan(
        path=path,
        format="PNG",
        width=int.from_bytes(header[:4]),
        height=int.from_bytes(header[4:8]),
        bits=bits,
        grey=grey,
        alpha=alpha,
        exif=exif_tags.without_thumbnail(png.exif(chunks)),
        xmp=as_utf8(png.xmp(chunks)),
        profile=png.profile(chunks) or png.stated_profile(chunks),
        chunks=png.carried(chunks),
    )
