"""Read and write the chunks of PNG, so that a photograph keeps what its file says besides pixels (W3C PNG, third edition)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from mmap import mmap
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from photochrom.errors import PhotoError
from photochrom.photo.metadata import icc
from photochrom.photo.metadata import iptc as iptc_records

Chunk = tuple[bytes, bytes]
"""The type of a chunk (four bytes) and its data."""

SIGNATURE = b"\x89PNG\r\n\x1a\n"
XMP = b"XML:com.adobe.xmp\0"
RAW = (b"Raw profile type exif\0", b"Raw profile type APP1\0")
"""Beginnings of texts that hold an EXIF block, which is written as a chunk of its own."""
SRGB_GAMMA, GAMMA_STEP = 45455, 1000
"""What gAMA says of sRGB, in steps of 1 / 100,000; values as near as the second count as the same."""
LONGEST = 1 << 24
"""Most bytes of a compressed block besides pixels."""
TEXTS = frozenset({b"tEXt", b"zTXt", b"iTXt"})
CARRIED = TEXTS | {b"cHRM", b"gAMA", b"sRGB", b"cICP", b"pHYs", b"tIME"}


def parse(data: bytes | mmap) -> list[Chunk]:
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
        if kind == b"IEND":
            break
    if not chunks or chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 13:
        raise PhotoError("a damaged PNG: its header breaks off; restore the file from a good copy")
    return chunks


def bits(chunks: list[Chunk]) -> int:
    """Read the bits per sample from IHDR."""
    return chunks[0][1][8]


def carried(chunks: Iterable[Chunk]) -> tuple[Chunk, ...]:
    """Pick the chunks that stay true for the color picture; profile, EXIF and XMP travel by themselves."""
    return tuple((kind, data) for kind, data in chunks if kind in CARRIED and not data.startswith((XMP, *RAW)))


def texts(chunks: Iterable[Chunk]) -> list[str]:
    """List the texts among chunks, each by its keyword, such as Author, once and in their order."""
    found = (data.partition(b"\0")[0].decode("latin-1") for kind, data in chunks if kind in TEXTS)
    return list(dict.fromkeys("".join(filter(str.isprintable, name)) for name in found))


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


def sound(data: bytes) -> tuple[bytes, list[str]]:
    """Remove damaged chunks that no pixel depends on, as other decoders do.

    Returns:
        The file, as it is where no such chunk is damaged; and the types of those taken out.
    """
    position, kept, damaged = len(SIGNATURE), 0, list[str]()
    parts: list[bytes] = []
    while position + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if kind[0] & 32 and end <= len(data):  # no pixel depends on it
            right = zlib.crc32(data[position + 4 : end - 4]) == int.from_bytes(data[end - 4 : end])
            if not right or (kind == b"pHYs" and length != 9):
                damaged.append(kind.decode("latin-1"))
                parts.append(data[kept:position])
                kept = end
        position = end
    return (b"".join([*parts, data[kept:]]), damaged) if damaged else (data, [])


def behind(data: bytes) -> bytes:
    """Return what stands behind the last chunk, without zeros around it."""
    position = len(SIGNATURE)
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        position += 12 + length
        if kind == b"IEND":
            break
    return data[position:].strip(b"\0")


def exif(chunks: Iterable[Chunk]) -> bytes | None:
    """Find the EXIF block, wherever it stands, in its own chunk or as older programs wrote it, as text."""
    chunks = list(chunks)
    own = next((data for kind, data in chunks if kind == b"eXIf"), None)
    found = own or _raw_profile(chunks, b"exif") or _raw_profile(chunks, b"APP1")
    return found.removeprefix(b"Exif\0\0") if found and not found.startswith(b"http") else None


def iptc(chunks: Iterable[Chunk]) -> bytes | None:
    """Find the records of IPTC, which ImageMagick writes as text."""
    found = _raw_profile(chunks, b"iptc")
    return iptc_records.unwrap(found if found.startswith(iptc_records.HEAD) else iptc_records.HEAD + found) if found else None


def _raw_profile(chunks: Iterable[Chunk], name: bytes) -> bytes | None:
    """Read a block that ImageMagick wrote as hexadecimal text; None where it is missing or damaged."""
    keyword = b"Raw profile type " + name + b"\0"
    for kind, data in chunks:
        if kind in (b"tEXt", b"zTXt") and data.startswith(keyword):
            try:
                text = _inflated(data[len(keyword) + 1 :]) if kind == b"zTXt" else data[len(keyword) :]
                return bytes.fromhex("".join(text.decode("ascii").split()[2:]))  # past its name and its length
            except (ValueError, zlib.error):
                return None
    return None


def stated_profile(chunks: Iterable[Chunk]) -> bytes | None:
    """Make a profile of what the chunks cICP and gAMA say of the color space; None for sRGB, or where a profile is embedded.

    Raises:
        PhotoError: the picture has a high dynamic range.
    """
    found = dict(reversed([*chunks]))
    primaries, transfer = (*found.get(b"cICP", b"")[:2], 0, 0)[:2]
    if transfer in icc.BRIGHT:
        raise PhotoError(f"high dynamic range ({icc.BRIGHT[transfer]}) is not read; give the photograph as sRGB first")
    if b"iCCP" in found:
        return None
    if b"cICP" in found:
        return icc.of_primaries(primaries)
    gamma = int.from_bytes(found.get(b"gAMA", b"")[:4])
    return (
        None
        if b"sRGB" in found or abs(gamma - SRGB_GAMMA) < GAMMA_STEP or not 0 < gamma < 10**6
        else icc.of_gamma(10**5 / gamma)
    )


def xmp(chunks: Iterable[Chunk]) -> bytes | None:
    """Find the XMP packet; raises zlib.error or ValueError where it is damaged, or larger than ``LONGEST``."""
    for kind, data in chunks:
        if kind == b"iTXt" and data.startswith(XMP):
            text = data[len(XMP) + 2 :].split(b"\0", 2)[2]  # past the flags, a language and a translation
            return _inflated(text) if data[len(XMP)] else text
    return None


def readable_xmp(chunks: Iterable[Chunk]) -> bytes | None:
    """Find the XMP packet, unless it is damaged."""
    try:
        return xmp(chunks)
    except (ValueError, IndexError, zlib.error):
        return None


def profile(chunks: Iterable[Chunk]) -> bytes | None:
    """Find the ICC profile; raises zlib.error or ValueError where it is damaged, or larger than ``LONGEST``."""
    data = next((data for kind, data in chunks if kind == b"iCCP"), None)
    return _inflated(data.partition(b"\0")[2][1:]) if data else None


def header(width: int, height: int, *, bits: int, channels: int) -> bytes:
    """Return the data of IHDR for RGB, or RGB and alpha."""
    return struct.pack(">IIBBBBB", width, height, bits, {3: 2, 4: 6}[channels], 0, 0, 0)


def deflated(rgb: NDArray[Any]) -> tuple[bytes, bytes]:
    """Filter a band of ``(h, W, 3 or 4)`` uint8 or uint16 RGB, and deflate it so that others can precede and follow it.

    The first row is stored as its differences from left to right (filter type 1), others as those from the row above (2).
    """
    step = rgb.shape[2] * rgb.itemsize
    rows = np.ascontiguousarray(rgb).astype(rgb.dtype.newbyteorder(">"), copy=False).view(np.uint8).reshape(len(rgb), -1)
    filtered = np.empty((len(rows), 1 + rows.shape[1]), np.uint8)
    filtered[0, 0], filtered[1:, 0] = 1, 2
    filtered[0, 1:] = rows[0]
    filtered[0, 1 + step :] -= rows[0, :-step]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    packer = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    plain = filtered.tobytes()
    return plain, packer.compress(plain) + packer.flush(zlib.Z_FULL_FLUSH)


def pieces(
    header: bytes, chunks: Iterable[Chunk], bands: Iterable[tuple[bytes | memoryview, bytes | memoryview]]
) -> Iterator[bytes]:
    """Lay out a file, piece by piece, from bands as ``deflated`` gives them, in their order."""
    yield SIGNATURE + _framed([(b"IHDR", header), *chunks, (b"IDAT", b"\x78\x9c")])  # which begins a stream of zlib
    check = 1
    for filtered, packed in bands:
        check = zlib.adler32(filtered, check)
        yield _framed([(b"IDAT", bytes(packed))])
    yield _framed([(b"IDAT", b"\x03\0" + check.to_bytes(4)), (b"IEND", b"")])  # an empty last block, and the checksum


def write(rgb: NDArray[np.uint16]) -> bytes:
    """Write ``(H, W, 3 or 4)`` uint16 RGB; raises ValueError where OpenCV cannot."""
    swap = cv2.COLOR_RGB2BGR if rgb.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
    written, data = cv2.imencode(".png", cv2.cvtColor(rgb, swap))
    if not written:
        raise ValueError("OpenCV cannot write it")
    return data.tobytes()


def splice(data: bytes, chunks: Iterable[Chunk]) -> bytes:
    """Insert chunks behind the header of a PNG."""
    header = len(SIGNATURE) + 25
    return b"".join([data[:header], _framed(chunks), data[header:]])


def _inflated(data: bytes) -> bytes:
    packer = zlib.decompressobj()
    found = packer.decompress(data, LONGEST)
    if not packer.eof:
        raise ValueError("a chunk breaks off, or is too large")
    return found


def _framed(chunks: Iterable[Chunk]) -> bytes:
    return b"".join(
        struct.pack(">I4s", len(body), kind) + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
