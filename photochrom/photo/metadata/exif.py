"""Read and write the directories of TIFF, in which EXIF is stored too (TIFF 6.0, section 2; BigTIFF).

Pillow writes the pixels of a TIFF; this module moves the tags, as bytes: text keeps its encoding, fractions their terms, and
the EXIF and GPS directories go along, which Pillow leaves out of a compressed file.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from mmap import mmap

import numpy as np

COMPRESSION, PHOTOMETRIC, SAMPLE_FORMAT, IPTC = 259, 262, 339, 33723
BITS, ORIENTATION, XMP, ICC = 258, 274, 700, 34675
PLACES = frozenset({273, 324})
"""Where strips and tiles lie in the file."""
PAGE = frozenset({254, 297})
"""What a page is among others: a reduced copy, a mask; its number."""
COPIES = 330
"""Where smaller copies of a page lie."""
RESOLUTION = frozenset({282, 283, 296})
DIRECTORIES = frozenset({34665, 34853, 40965})
"""EXIF, GPS and, inside EXIF, interoperability."""

CARRIED = frozenset({269, 270, 271, 272, 285, 305, 306, 315, 316, 33432, ORIENTATION, *RESOLUTION, *DIRECTORIES})
"""Tags that describe the photograph: names, devices, dates, rights; the others describe the layout of one file."""

BLOCKS = frozenset({33723, 34377})
"""IPTC's and Photoshop's blocks, which only a TIFF stores as tags."""
LAYERS, INNER = 37724, 13
"""Photoshop's layers, and the type of a value that leads to a directory."""
LAYOUT = frozenset(
    {*range(255, 267), 273, *range(277, 282), 284, 288, 289, *range(290, 294), 301, 317, *range(320, 329), COPIES}
    | {*range(332, 348), *range(512, 533), 559, XMP, ICC, LAYERS, 50706, *range(32995, 33000), 34016}
)
"""Tags of how the pixels of one file are stored, and others that do not hold for another file."""

VALID = {
    254: (range(8), 0),
    263: (range(1, 4), 1),
    266: (range(1, 3), 1),
    ORIENTATION: (range(1, 9), 1),
    278: (range(1, 1 << 32), 65535),
    284: (range(1, 3), 1),
    296: (range(1, 4), 1),
    SAMPLE_FORMAT: (range(1, 7), 1),
}
"""The values that some tags may have, and the value that takes the place of any other, as most decoders have it."""

BYTES, SHORT, LONG, FRACTION, UNDEFINED, LONG8 = 1, 3, 4, 5, 7, 16
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of one value, by its type."""

_ORDERS = {b"II*\0": ("<", False), b"MM\0*": (">", False), b"II+\0": ("<", True), b"MM\0+": (">", True)}


@dataclass(frozen=True)
class Value:
    """The value of one tag: raw bytes in little-endian order, or a directory of its own."""

    kind: int
    data: bytes
    directory: Directory = field(default_factory=dict)


Directory = Mapping[int, Value]


def read(data: bytes | mmap) -> Directory:
    """Read the first directory of a TIFF or of an EXIF block; what reaches past the end is left out."""
    order, big = _ORDERS.get(data[:4], ("", False))
    if not order or len(data) < 16:
        return {}
    (start,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    return _read(data, start, order=order, big=big)


def every(data: bytes | mmap) -> list[Directory]:
    """Read the directory of each page of a TIFF, up to a link that leads outside the file or back."""
    order, big = _ORDERS.get(data[:4], ("", False))
    return [_read(data, start, order=order, big=big) for start in _starts(data)]


def join(files: Sequence[bytes]) -> bytes:
    """Make one little-endian TIFF with the pages of several that have one page each.

    Raises:
        struct.error: together they exceed four gigabytes.
    """
    body, link = bytearray(b"II*\0\0\0\0\0"), 4
    for data in files:
        shift = len(body)
        directory = dict(read(data))
        for tag in PLACES & set(directory):
            moved = [offset + shift for offset in numbers(directory, tag)]
            directory[tag] = Value(LONG, struct.pack(f"<{len(moved)}I", *moved))
        body += data + b"\0" * (len(data) % 2)
        struct.pack_into("<I", body, link, len(body))
        link = len(body) + 2 + 12 * len(directory)
        body += _write(directory, len(body), order="<")
        body += b"\0" * (len(body) % 2)
    return bytes(body)


def _starts(data: bytes | mmap) -> list[int]:
    order, big = _ORDERS.get(data[:4], ("", False))
    number, entry, word = ("Q", 20, "Q") if big else ("H", 12, "I")
    link, seen = 8 if big else 4, dict[int, None]()
    while order and link + struct.calcsize("<" + word) <= len(data):
        (start,) = struct.unpack_from(order + word, data, link)
        if start in seen or not 0 < start <= len(data) - struct.calcsize("<" + number):
            break
        seen[start] = None
        (count,) = struct.unpack_from(order + number, data, start)
        link = start + struct.calcsize("<" + number) + entry * count
    return list(seen)


def block(directory: Directory) -> bytes | None:
    """Write a directory as a block of its own, a TIFF without pixels, which is what EXIF is; None for no tags."""
    return b"II*\0\x08\0\0\0" + _write(directory, 8, order="<") if directory else None


def numbers(directory: Directory, tag: int) -> tuple[int, ...]:
    """Return the numbers of an unsigned tag; None where it is missing or of another type."""
    value = directory.get(tag)
    width = {BYTES: "u1", SHORT: "<u2", LONG: "<u4", LONG8: "<u8"}.get(value.kind) if value else None
    return tuple(np.frombuffer(value.data, width).tolist()) if value and width else ()


def resolution(x: float, y: float) -> Directory:
    """Make the three tags that state a resolution in dots per inch."""
    fractions = (Value(FRACTION, struct.pack("<II", round(dpi * 1000), 1000)) for dpi in (x, y))
    return dict(zip(sorted(RESOLUTION), (*fractions, Value(SHORT, b"\2\0")), strict=True))


def dpi(directory: Directory) -> tuple[float, float] | None:
    """Read the resolution in dots per inch; None where it is missing or has no unit."""
    unit = {2: 1.0, 3: 2.54}.get((*numbers(directory, 296), 2)[0])
    terms = [struct.unpack_from("<II", directory[tag].data) for tag in (282, 283) if _fraction(directory.get(tag))]
    if unit is None or len(terms) < 2:
        return None
    x, y = (above / below * unit if below else 0.0 for above, below in terms)
    return (x, y) if all(0 < dots < 1e6 for dots in (x, y)) else None


def with_resolution(exif: bytes | None, dots: tuple[float, float] | None) -> bytes | None:
    """Add a resolution to an EXIF block that has none, unless it holds a maker's notes, whose absolute offsets would break."""
    directory = read(exif or b"")
    notes = 34665 in directory and 37500 in directory[34665].directory
    return exif if dots is None or notes or RESOLUTION & set(directory) else block({**directory, **resolution(*dots)})


def as_upright(exif: bytes | None) -> bytes | None:
    """Set the orientation of an EXIF block to upright, in place."""
    order, _ = _ORDERS.get((exif or b"")[:4], ("", False))
    if exif is None or not order or orientation(exif) == 1:
        return exif
    (start,) = struct.unpack_from(order + "I", exif, 4)
    (count,) = struct.unpack_from(order + "H", exif, start)
    changed = bytearray(exif)
    for place in range(start + 2, start + 2 + 12 * count, 12):
        if struct.unpack_from(order + "H", exif, place)[0] == ORIENTATION:
            struct.pack_into(order + "H", changed, place + 8, 1)
    return bytes(changed)


def carried(directory: Directory, tags: frozenset[int] = CARRIED) -> Directory:
    """Keep some of the tags, by default those that describe the photograph."""
    return {tag: value for tag, value in directory.items() if tag in tags}


def others(directory: Directory) -> Directory:
    """Keep the tags that only a TIFF holds, such as places on a map, pages and private tags."""
    return {tag: value for tag, value in directory.items() if tag not in LAYOUT | CARRIED and value.kind != INNER}


def kept(directory: Directory) -> Directory:
    """Keep the tags that a TIFF made from another keeps; its profile is written by itself."""
    return {**carried(directory, CARRIED | {XMP}), **others(directory)}


def left(directory: Directory) -> tuple[str, ...]:
    """Return what of a page is not kept, even in a TIFF, since it would stay grey or point to nowhere."""
    found: tuple[str, ...] = ("the smaller copies inside it left out",) if COPIES in directory else ()
    found += ("its layers left out",) if LAYERS in directory else ()
    inner = [str(tag) for tag, value in directory.items() if value.kind == INNER and tag not in LAYOUT | DIRECTORIES]
    return (*found, f"its directories {', '.join(inner)} left out") if inner else found


def copies(data: bytes | mmap, directory: Directory) -> list[Directory]:
    """Read the directories inside a page (SubIFDs): other sizes of the picture, or in camera raw the picture itself."""
    order, big = _ORDERS.get(data[:4], ("", False))
    value = directory.get(COPIES)
    starts = numbers({COPIES: Value(LONG, value.data)}, COPIES) if value and value.kind in (LONG, INNER) else ()
    return [_read(data, start, order=order, big=big) for start in starts[:64]]


def faults(data: bytes | mmap) -> list[tuple[int, bytes]]:
    """Find the values of a TIFF that the standard does not have, of tags that decoders do without.

    Returns:
        Where each value stands, and the bytes that take its place.
    """
    order, big = _ORDERS.get(data[:4], ("", False))
    number, entry, word = ("Q", "HHQ", 8) if big else ("H", "HHI", 4)
    first, step = struct.calcsize("<" + number), struct.calcsize("<" + entry) + word
    found = []
    for start in _starts(data):
        (count,) = struct.unpack_from(order + number, data, start)
        end = min(start + first + step * count, len(data) - step + 1)
        for position in range(start + first, end, step):
            tag, kind, length = struct.unpack_from(order + entry, data, position)
            if tag not in VALID or kind not in (SHORT, LONG):
                continue
            unit, place = order + {SHORT: "H", LONG: "I"}[kind], position + step - word
            if SIZES[kind] * length > word:
                (place,) = struct.unpack_from(order + ("Q" if big else "I"), data, place)
            for at in range(place, min(place + SIZES[kind] * min(length, 16), len(data) - 3), SIZES[kind]):
                values, usual = VALID[tag]
                if struct.unpack_from(unit, data, at)[0] not in values:
                    found.append((at, struct.pack(unit, usual)))
    return found


def with_number(data: bytes, page: int, tag: int, number: int) -> bytes:
    """Change a tag of one unsigned number in the directory of a page, in place."""
    order, big = _ORDERS[data[:4]]
    count, entry, word = ("Q", "HHQ", 8) if big else ("H", "HHI", 4)
    start = _starts(data)[page]
    step, changed = struct.calcsize("<" + entry) + word, bytearray(data)
    (entries,) = struct.unpack_from(order + count, data, start)
    first = start + struct.calcsize("<" + count)
    for position in range(first, min(first + step * entries, len(data) - step + 1), step):
        name, kind, _ = struct.unpack_from(order + entry, data, position)
        if name == tag:
            struct.pack_into(order + {SHORT: "H"}.get(kind, "I"), changed, position + step - word, number)
    return bytes(changed)


def repaired(data: bytes) -> bytes:
    """Set right what ``faults`` finds; a file without any is returned as it is."""
    if not (found := faults(data)):
        return data
    changed = bytearray(data)
    for place, value in found:
        changed[place : place + len(value)] = value
    return bytes(changed)


def splice(data: bytes, extra: Directory) -> bytes:
    """Add tags to a TIFF: a new directory behind its end takes the place of the first one."""
    order, _ = _ORDERS[data[:4]]
    base = len(data) + len(data) % 2
    directory = _write({**read(data), **extra}, base, order=order)
    return b"".join([data[:4], struct.pack(order + "I", base), data[8:], b"\0" * (base - len(data)), directory])


def orientation(exif: bytes | None) -> int:
    """Read the orientation, 1 to 8; 1 where there is none or the block is damaged."""
    found = numbers(read(exif or b""), ORIENTATION)
    return found[0] if len(found) == 1 and 1 <= found[0] <= 8 else 1


def without_thumbnail(exif: bytes | None) -> bytes | None:
    """Unlink the thumbnail of an EXIF block, which would stay grey beside a color picture.

    It is the second directory, and the link to it the four bytes behind the first. Nothing else is touched, so every
    absolute offset stays true, those in a maker's private notes too.
    """
    order, _ = _ORDERS.get((exif or b"")[:4], ("", False))
    if exif is None or not order or len(exif) < 16:
        return exif
    (start,) = struct.unpack_from(order + "I", exif, 4)
    if start + 2 > len(exif):
        return exif
    (count,) = struct.unpack_from(order + "H", exif, start)
    link = start + 2 + 12 * count
    return exif[:link] + b"\0\0\0\0" + exif[link + 4 :] if link + 4 <= len(exif) else exif


def _fraction(value: Value | None) -> bool:
    return value is not None and value.kind == FRACTION and len(value.data) == 8


def _read(data: bytes | mmap, start: int, *, order: str, big: bool, depth: int = 0) -> Directory:
    number, entry, word = ("Q", "HHQ", 8) if big else ("H", "HHI", 4)
    head, step = struct.calcsize("<" + number), struct.calcsize("<" + entry) + word
    if start + head > len(data):
        return {}
    count = min(struct.unpack_from(order + number, data, start)[0], 65535, (len(data) - start - head) // step)
    directory: dict[int, Value] = {}
    for position in range(start + head, start + head + step * count, step):
        tag, kind, length = struct.unpack_from(order + entry, data, position)
        size = SIZES.get(kind, 0) * length
        place = position + step - word
        nested = tag in DIRECTORIES and tag not in directory and depth < 2  # a damaged file may point to itself
        if nested or size > word:
            (place,) = struct.unpack_from(order + ("Q" if big else "I"), data, place)
        if nested and (inner := _read(data, place, order=order, big=big, depth=depth + 1)):
            directory[tag] = Value(LONG, b"", inner)
        elif tag not in DIRECTORIES and size and place + size <= len(data):
            directory[tag] = Value(kind, _swapped(data[place : place + size], kind, order=order))
    return directory


def head(pages: Sequence[Directory], base: int) -> tuple[bytes, bytes]:
    """Write the first 16 bytes of a TIFF, and its directories from an even offset on; a BigTIFF where 4 GiB are passed."""
    big = base + sum(len(_write(page, 0, order="<")) + 1 for page in pages) >= 1 << 32
    count, entry, word = ("Q", 20, "Q") if big else ("H", 12, "I")
    body = bytearray()
    for number, page in enumerate(pages, 1):
        place = base + len(body)
        body += _write(page, place, order="<", big=big)
        body += b"\0" * (len(body) % 2)
        if number < len(pages):
            link = place - base + struct.calcsize("<" + count) + entry * len(page)
            struct.pack_into("<" + word, body, link, base + len(body))
    start = b"II+\0\x08\0\0\0" + struct.pack("<Q", base) if big else b"II*\0" + struct.pack("<I", base) + b"\0" * 8
    return start, bytes(body)


def _write(directory: Directory, base: int, *, order: str, big: bool = False) -> bytes:
    """Lay out a directory for the offset ``base``: its entries, no link to another, then all values that no entry holds."""
    number, word = ("Q", "Q") if big else ("H", "I")
    room = struct.calcsize("<" + word)
    entries, tail = [], b""
    behind = base + struct.calcsize("<" + number) + (4 + 2 * room) * len(directory) + room
    for tag, value in sorted(directory.items()):
        if value.directory:
            data, kind, count = struct.pack(order + word, behind + len(tail)), LONG8 if big else LONG, 1
            tail += _write(value.directory, behind + len(tail), order=order, big=big)
        else:
            data, kind, count = _swapped(value.data, value.kind, order=order), value.kind, len(value.data) // SIZES[value.kind]
            if len(data) > room:
                data, tail = struct.pack(order + word, behind + len(tail)), tail + data
        entries.append(struct.pack(order + "HH" + word, tag, kind, count) + data.ljust(room, b"\0"))
        tail += b"\0" * (len(tail) % 2)
    return struct.pack(order + number, len(entries)) + b"".join(entries) + b"\0" * room + tail


def _swapped(data: bytes, kind: int, *, order: str) -> bytes:
    """Turn the bytes of each number around where the file is big-endian; a fraction is two numbers."""
    unit = 4 if kind in (FRACTION, 10) else SIZES[kind]
    return data if order == "<" or unit == 1 else np.frombuffer(data, f"<u{unit}").byteswap().tobytes()
