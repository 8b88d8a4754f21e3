"""Find the quality of a lossy WebP from the quantizer in the header of its frame (RFC 6386, sections 7, 9 and 19.2)."""

from __future__ import annotations

import struct
from functools import cache

FOLLOWED = range(85, 101)
"""Qualities of sources that a result repeats. There, libwebp's steps at the source's own quality bring luma nearer to it than
those at 90, by 0 to 2 dB from 85 to 89 and by 7 to 8 from 95 on; below 85 they lose up to 5 dB. Of four photographs, in color
and in grey; the files are 0.9 to 1.1 times as large as the source."""
SPREAD = 0.9 * 50 / 100 / 128 * 127
"""By how much, in an exponent, libwebp makes the steps of its first segment coarser, at the strength that it has by default."""
FRAME = 10
"""Bytes of a key frame before what is coded bit by bit: a tag, a start code and two sizes."""


def chunks(data: bytes) -> dict[bytes, bytes]:
    """Give the first chunk of each kind in a WebP file by its name."""
    found: dict[bytes, bytes] = {}
    position = 12
    while position + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, position)
        found.setdefault(kind, data[position + 8 : position + 8 + length])
        position += 8 + length + length % 2
    return found


def quality_of(frame: bytes) -> int:
    """Tell at which quality, 0 to 100, libwebp would have written a frame; it is sure of its own and near for other encoders.

    Args:
        frame: what a chunk ``VP8`` holds; one that is cut off is read as if zeros followed.
    """
    coarsest = _quantizer(frame)
    return max((quality for quality in range(101) if _coarsest(quality) >= coarsest), default=0)


@cache
def _coarsest(quality: int) -> int:
    """Give the quantizer, 0 to 127, that libwebp writes for a quality into the header, that of its first segment."""
    share = quality / 100
    compression = share * 2 / 3 if share < 0.75 else 2 * share - 1
    return int(127 * (1 - compression ** ((1 + SPREAD) / 3)))


def _quantizer(frame: bytes) -> int:
    """Read the quantizer of the frame, past all that stands before it."""
    bits = _Bits(frame[FRAME:])
    bits.number(2)  # color space, clamping
    if bits.number(1):  # segments
        has_map, has_steps = bits.number(1), bits.number(1)
        if has_steps:
            bits.number(1)
            bits.options([8] * 4 + [7] * 4)
        if has_map:
            bits.options([8] * 3)
    bits.number(10)  # the filter, its level and sharpness
    if bits.number(1) and bits.number(1):  # adjustments of the filter
        bits.options([7] * 8)
    bits.number(2)  # partitions
    return bits.number(7)


class _Bits:
    """Decode bits of even odds, as sections 7.3 and 8 of the RFC code them."""

    def __init__(self, data: bytes) -> None:
        self._rest = iter(data)
        self._value = next(self._rest, 0) << 8 | next(self._rest, 0)
        self._range, self._shifted = 255, 0

    def number(self, bits: int) -> int:
        """Read an unsigned number."""
        number = 0
        for _ in range(bits):
            split = 1 + ((self._range - 1) >> 1)
            one = self._value >= split << 8
            self._value -= (split << 8) * one
            self._range = self._range - split if one else split
            number = number << 1 | one
            while self._range < 128:
                self._value, self._range, self._shifted = self._value << 1, self._range << 1, self._shifted + 1
                if self._shifted % 8 == 0:
                    self._value |= next(self._rest, 0)
        return number

    def options(self, sizes: list[int]) -> None:
        """Pass over numbers of so many bits, their signs included, each of which a bit says is there."""
        for size in sizes:
            if self.number(1):
                self.number(size)
