"""Write the pixel aspect into the head of a Matroska file, for which PyAV has no setting.

FFmpeg's writer takes it from a field of the stream that PyAV does not reach. So the name of the track is made longer by the
bytes that are needed, and these are moved to where the size of display is stored (RFC 9559, section 5.1.4.1.28), before the
file gets its own name.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from photochrom.errors import OutputError

CONTAINERS = frozenset({"matroska", "webm"})
PADDING = "~aspect~10"
"""Text that the name of a track ends with until its place is needed."""
HEAD = 1 << 20
"""Bytes from the begin within which it is looked for."""
TRACKS, NAME, VIDEO, CHECKSUM, VOID = (bytes.fromhex(digits) for digits in ("1654ae6b", "536e", "e0", "bf84", "ec"))
DISPLAY_WIDTH, DISPLAY_HEIGHT, DISPLAY_UNIT = (bytes.fromhex(digits) for digits in ("54b082", "54ba82", "54b2"))
"""Identifiers of elements, the first two with a size of 2 bytes."""
MOST = 126
"""Largest size of an element that is stored in one byte."""


def states_aspect(container: str, aspect: Fraction | None) -> bool:
    """Return whether a container is Matroska or WebM, and the pixels of a film are not square."""
    return container in CONTAINERS and aspect not in (None, 1)


def state_aspect(path: Path, width: int, height: int, aspect: Fraction) -> None:
    """State the pixel aspect in a file, the name of whose picture ends with ``PADDING``.

    Args:
        path: a whole file.
        width: of the picture in pixels.
        height: of the picture in pixels.
        aspect: width of a pixel by its height.

    Raises:
        OutputError: there is no place for it.
    """
    with path.open("r+b") as file:
        head = bytearray(file.read(HEAD))
        padding = head.find(PADDING.encode())
        name, tracks = head.rfind(NAME, 0, padding), head.rfind(TRACKS, 0, padding)
        end = padding + len(PADDING)
        video = next((at for at, begin, _ in _elements(head, end, len(head)) if head[at:begin].startswith(VIDEO)), -1)
        if min(padding, name, tracks, video) < 0 or not 0x80 <= head[video + 1] <= 0x80 + MOST - len(PADDING):
            raise OutputError(f"{path}: cannot store the pixel aspect {aspect}; write an .mp4")
        close = video + 2 + (head[video + 1] & 0x7F)
        for at, begin, after in _elements(head, video + 2, close):
            if head[at:begin].startswith(DISPLAY_UNIT):
                head[after - 1] = 0  # pixels
        across, down = display_size(width, height, aspect)
        head[close:close] = DISPLAY_WIDTH + across.to_bytes(2) + DISPLAY_HEIGHT + down.to_bytes(2)
        head[video + 1] += len(PADDING)
        head[name + 2] -= len(PADDING)
        if head[name + 2] == 0x80:
            head[name : name + 3] = VOID + b"\x81\0"
        del head[padding:end]
        begin, after = _content(head, tracks + len(TRACKS))
        if head[begin : begin + 2] == CHECKSUM:  # RFC 8794, section 11.3.1
            head[begin + 2 : begin + 6] = zlib.crc32(head[begin + 6 : after]).to_bytes(4, "little")
        file.seek(0)
        file.write(head)


def display_size(width: int, height: int, aspect: Fraction) -> tuple[int, int]:
    """Return the width and height of display in pixels, of exactly that shape where two bytes can state it."""
    shape = width * aspect / height
    if (width * aspect).denominator == 1 and width * aspect < 1 << 16:
        return int(width * aspect), height
    times = max(1, round(height / shape.denominator))
    if max(shape.numerator, shape.denominator) * times < 1 << 16:
        return shape.numerator * times, shape.denominator * times
    return round(width * aspect), height


def _elements(head: bytearray, place: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield where each element begins, where its content begins, and where it ends."""
    while place < end:
        begin, after = _content(head, place + 9 - head[place].bit_length())
        yield place, begin, after
        place = after


def _content(head: bytearray, place: int) -> tuple[int, int]:
    """Read the size of an element, and return where its content begins and ends."""
    length = 9 - head[place].bit_length()  # leading zeros of the first byte tell how long the size is
    size = int.from_bytes(head[place : place + length]) & ((1 << 7 * length) - 1)
    return place + length, place + length + size
