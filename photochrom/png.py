"""Read and write the chunks of PNG, so that a photograph keeps what its file says besides pixels (W3C PNG, third edition)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photochrom.errors import PhotoError

Chunk = tuple[bytes, bytes]
"""The type of a chunk (four bytes) and its data."""

SIGNATURE = b"\x89PNG\r\n\x1a\n"
XMP = b"XML:com.adobe.xmp\0"
CARRIED = frozenset({b"cHRM", b"gAMA", b"sRGB", b"cICP", b"pHYs", b"tIME", b"tEXt", b"zTXt", b"iTXt"})


def parse(data: bytes) -> list[Chunk]:
    """List all chunks, those of pixels without their data.

    Raises:
        PhotoError: the file does not begin with a whole IHDR.
    """
    chunks: list[Chunk] = []
    position = len(SIGNATURE)
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        chunks.append((kind, b"" if kind in (b"IDAT", b"fdAT") else data[position + 8 : position + 8 + length]))
        position += 12 + length
    if not chunks or chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 13:
        raise PhotoError("a damaged PNG: its header breaks off; restore the file from a good copy")
    return chunks


def bits(chunks: list[Chunk]) -> int:
    """Read the bits per sample from IHDR."""
    return chunks[0][1][8]


def carried(chunks: Iterable[Chunk]) -> tuple[Chunk, ...]:
    """Pick the chunks that stay true for the color picture; profile, EXIF and XMP travel by themselves."""
    return tuple((kind, data) for kind, data in chunks if kind in CARRIED and not data.startswith(XMP))


def build(
    extras: Iterable[Chunk], *, exif: bytes | None, xmp: bytes | None, icc: bytes | None, dpi: tuple[float, float] | None
) -> list[Chunk]:
    """Lay out chunks in an order that is legal before the pixels: color, the source's own, resolution, EXIF, XMP."""
    chunks = [(kind, data) for kind, data in extras if not (icc and kind == b"sRGB")]  # a file has one of the two
    if icc:
        chunks.insert(0, (b"iCCP", b"ICC profile\0\0" + zlib.compress(icc)))
    if dpi and not any(kind == b"pHYs" for kind, _ in chunks):
        chunks.append((b"pHYs", struct.pack(">IIB", *(round(value / 0.0254) for value in dpi), 1)))
    if exif:
        chunks.append((b"eXIf", exif))
    if xmp:
        chunks.append((b"iTXt", XMP + b"\0\0\0\0" + xmp))
    return chunks


def write(rgb: NDArray[Any]) -> bytes:
    """Write ``(H, W, 3 or 4)`` uint16 RGB, each row as its difference from the one above (filter type 2)."""
    height, width, channels = rgb.shape
    rows = np.ascontiguousarray(rgb).astype(">u2").view(np.uint8).reshape(height, -1)
    packer = zlib.compressobj(6)
    parts, above = [], np.zeros(rows.shape[1], np.uint8)
    for row in rows:
        parts.append(packer.compress(b"\2" + (row - above).tobytes()))
        above = row
    parts.append(packer.flush())
    header = struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[channels], 0, 0, 0)
    return SIGNATURE + _framed([(b"IHDR", header), (b"IDAT", b"".join(parts)), (b"IEND", b"")])


def splice(data: bytes, chunks: Iterable[Chunk]) -> bytes:
    """Put chunks behind the header of a PNG."""
    header = len(SIGNATURE) + 25
    return b"".join([data[:header], _framed(chunks), data[header:]])


def _framed(chunks: Iterable[Chunk]) -> bytes:
    return b"".join(
        struct.pack(">I4s", len(body), kind) + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
