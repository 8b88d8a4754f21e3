"""Read what the boxes of an AVIF or HEIC say of its pixels.

ISO 14496-12 (8.11 for the places of pictures) and 23008-12; AV1-ISOBMFF, 2.3; ISO 14496-15, 8.3.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from photochrom.errors import PhotoError

HEADER_BYTES = 1 << 16
"""The properties of a still picture lie before its pixels."""
BRIGHT = {16: "PQ", 18: "HLG"}
"""Transfer characteristics of high dynamic range (ITU-T H.273, table 3)."""


@dataclass(frozen=True)
class Coding:
    """How an AVIF or HEIC stores its pixels."""

    bits: int = 8
    sampling: tuple[int, int] = (2, 2)
    """Rows and columns that share a sample of chroma; both for a grey one."""
    primaries: int = 2
    """As ITU-T H.273 numbers them: 1 is sRGB, 2 unknown, 9 Rec. 2020, 12 Display P3."""


def coding(data: bytes) -> Coding:
    """Read the coding of the first picture; what is not said is taken for a plain one.

    Raises:
        PhotoError: the picture has a high dynamic range.
    """
    head = data[:HEADER_BYTES]
    bits, sampling, primaries = 8, (2, 2), 2
    place = head.find(b"av1C") + 6
    if 6 <= place < len(head):
        high, twelve, mono, x, y = (head[place] >> bit & 1 for bit in (6, 5, 4, 3, 2))
        bits, sampling = 8 + 2 * high + 2 * (high and twelve), (1 + (mono | y), 1 + (mono | x))
    place = head.find(b"hvcC") + 4
    if 4 <= place < len(head) - 18:
        bits = 8 + (head[place + 17] & 7)
    place = head.find(b"colrnclx") + 8
    if 8 <= place <= len(head) - 4:
        primaries, transfer = struct.unpack_from(">HH", head, place)
        if transfer in BRIGHT:
            raise PhotoError(f"high dynamic range ({BRIGHT[transfer]}) is not read; give the photograph as sRGB first")
    return Coding(bits, sampling, primaries)


def start(data: bytes) -> int:
    """Tell where the coded data of the main picture begin, by the boxes pitm and iloc; 0 where that is not said.

    Args:
        data: a file of any kind, however damaged.
    """
    head = data[:HEADER_BYTES]
    main, place = head.find(b"pitm") + 4, head.find(b"iloc") + 4
    if main < 4 or place < 4 or len(head) < max(main, place) + 10:
        return 0
    wanted = int.from_bytes(head[main + 4 : main + (8 if head[main] else 6)])
    version, sizes = head[place], int.from_bytes(head[place + 4 : place + 6])
    of_offset, of_length, of_base, of_index = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    wide, place = 2 if version < 2 else 4, place + 6

    def take(count: int) -> int:
        nonlocal place
        place += count
        return int.from_bytes(head[place - count : place])

    of_index *= bool(version)
    for _ in range(take(wide)):
        item, method, _, base, extents = take(wide), take(2) & 15 if version else 0, take(2), take(of_base), take(2)
        if item == wanted:
            return 0 if method else base + int.from_bytes(head[place + of_index :][:of_offset])
        place += extents * (of_index + of_offset + of_length)
        if place >= len(head):
            break
    return 0
