"""Find the quality of an AVIF from the quantizer in the header of its picture (AV1 bitstream specification, 5.3, 5.5 and 5.9).

Only the short header of still pictures is read, which the encoders of AVIF write, in a file with one picture and no grid.
"""

from __future__ import annotations

import io
from bisect import bisect_left
from collections.abc import Iterator
from functools import cache

from PIL import Image

from photochrom.photo.codecs import heif

FOLLOWED = range(85, 101)
"""Qualities of sources that a result repeats. There, the steps of the source's own quality bring luma nearer to it than those
at 90, by 3 to 6 dB at 85 and 7 to 10 from 96 on, in each of 28 photographs, 18 of them in color; at 80 in 21 to 25. The files
are 0.9 to 1.35 times as large as the source."""
SEQUENCE, HEADERS = 1, (3, 6)
"""Types of the units in which AV1 is coded: what holds for all pictures, and the header of one, alone or before its tiles."""
HEAD = 64
"""Bytes that hold all of a header that is read here."""
TILE_SIDE, TILE_AREA, TILES = 4096, 4096 * 2304, 64
"""Samples of a tile, and tiles of a row or column, at most."""


class _Bits:
    """Read unsigned numbers bit by bit; past the end all are zero."""

    def __init__(self, data: bytes) -> None:
        self._bits, self._place = "".join(f"{byte:08b}" for byte in data[:HEAD]), 0

    def number(self, bits: int = 1) -> int:
        found = self._bits[self._place : self._place + bits].ljust(bits, "0")
        self._place += bits
        return int(found or "0", 2)

    def ones(self, most: int) -> int:
        """Count ones up to the zero that ends them, or up to the most that there can be."""
        return next((count for count in range(most) if not self.number()), most)


def quality_of(data: bytes) -> int | None:
    """Tell at which of ``FOLLOWED`` the encoder writes the quantizer of an AVIF; none where that is coarser, or not found."""
    found = quantizer(data)
    if found is None or found > _written(FOLLOWED[0]):
        return None
    return FOLLOWED[min(bisect_left(FOLLOWED, -found, key=lambda quality: -_written(quality)), len(FOLLOWED) - 1)]


@cache
def _written(quality: int) -> int:
    # Asked of the encoder itself, so that the two can never disagree; libheif, which writes more than 8 bits, has the same.
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "AVIF", quality=quality)
    return quantizer(buffer.getvalue()) or 0


def quantizer(data: bytes) -> int | None:
    """Read the quantizer of a file of any kind, however damaged.

    Returns:
        ``base_q_idx`` of an AVIF, from 0, the finest, to 255; none where it cannot be told.
    """
    start, sequence = heif.start(data), b""
    for kind, unit in _units(data[start : start + heif.HEADER_BYTES] if start else b""):
        if kind == SEQUENCE:
            sequence = unit
        elif kind in HEADERS and sequence:
            return _of_still(_Bits(sequence), _Bits(unit))
    return None


def _units(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Go through coded data: the type of each unit that states its length, and what it holds."""
    place = 0
    while place < len(data) and data[place] & 0x83 == 2:
        kind, place = data[place] >> 3, place + 1 + (data[place] >> 2 & 1)
        length = shift = 0
        for byte in data[place : place + 8]:
            length, shift, place = length | (byte & 127) << shift, shift + 7, place + 1
            if byte < 128:
                break
        yield kind, data[place : place + length]
        place += length


def _of_still(sequence: _Bits, frame: _Bits) -> int | None:
    """Read both headers up to the quantizer, in the order in which they lie there."""
    sequence.number(3)  # profile
    if sequence.number(2) != 3:
        return None  # no still picture with a short header
    sequence.number(5)  # level
    bits = [1 + sequence.number(4) for _ in range(2)]
    width, height = (1 + sequence.number(count) for count in bits)
    block = 6 + sequence.number()  # log2 of a superblock's side
    sequence.number(2)  # filters
    if sequence.number():
        return None  # it may be stretched
    frame.number()  # of probabilities
    screen = frame.number()
    frame.number(screen)  # whole steps
    frame.number(32 * frame.number())  # the size to show
    frame.number(screen)  # copies
    if not frame.number():
        return None  # tiles of unequal sizes
    across, down = (-(-(side + 7 >> 3 << 3) >> block) for side in (width, height))
    least = _log(across, TILE_SIDE >> block)
    columns = least + frame.ones(_log(min(across, TILES)) - least)
    least = max(max(least, _log(across * down, TILE_AREA >> 2 * block)) - columns, 0)
    rows = least + frame.ones(_log(min(down, TILES)) - least)
    if columns or rows:
        frame.number(columns + rows + 2)
    return frame.number(8)


def _log(whole: int, part: int = 1) -> int:
    """Tell how often a part must be doubled to be no less than the whole."""
    return max(-(-whole // part) - 1, 0).bit_length()
