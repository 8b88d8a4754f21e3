"""Read deep PNM and write PNM: a header in ASCII, then samples (the Netpbm project's formats P2, P3, P5 and P6)."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photochrom.errors import PhotoError
from photochrom.photo.photo import refuse_large

CHANNELS = {b"2": 1, b"3": 3, b"5": 1, b"6": 3}
_GAP = rb"(?:\s|#[^\n]*\n)+"
_HEADER = re.compile(rb"P([2356])" + _GAP + rb"(\d{1,9})" + _GAP + rb"(\d{1,9})" + _GAP + rb"(\d{1,5})(?:#[^\n]*\n)?\s")


def largest(data: bytes) -> int:
    """Read the value of white; 1 for bitmaps, 0 where there is no whole header."""
    head = _HEADER.match(data[:4096])
    return int(head[4]) if head else int(data[1:2] in b"14")


def read(data: bytes, *, max_pixels: int) -> NDArray[np.uint16]:
    """Read grey or RGB of more than 8 bits, widened so that white is 65535.

    Returns:
        ``(H, W, 1 or 3)`` uint16; the step from any depth to 16 bits can be undone without loss.

    Raises:
        PhotoError: the file is damaged, cut off, or too large.
    """
    head = _HEADER.match(data[:4096])
    if head is None or not 255 < int(head[4]) < 65536:
        raise PhotoError("a damaged PNM: its header is not whole; restore the file from a good copy")
    width, height, white, channels = int(head[2]), int(head[3]), int(head[4]), CHANNELS[head[1]]
    refuse_large(width, height, max_pixels=max_pixels)
    count = width * height * channels
    if head[1] in b"56":
        found: NDArray[Any] = np.frombuffer(data, ">u2", min(count, (len(data) - head.end()) // 2), head.end())
    else:
        found = np.array(data[head.end() :].split()[:count], np.int64)
    if not count or len(found) < count:
        raise PhotoError(f"a truncated PNM: {len(found)} of {count} samples; restore the file from a good copy")
    if found.max() > white or found.min() < 0:
        raise PhotoError(f"a damaged PNM: a sample is {found.max()}, beyond its white of {white}; restore the file")
    return ((found.astype(np.uint32) * 65535 + white // 2) // white).astype(np.uint16).reshape(height, width, channels)


def write(rgb: NDArray[Any]) -> bytes:
    """Write ``(H, W, 3)`` uint8 or uint16 RGB."""
    head = f"P6\n{rgb.shape[1]} {rgb.shape[0]}\n{np.iinfo(rgb.dtype).max}\n".encode("ascii")
    return head + (rgb.tobytes() if rgb.dtype == np.uint8 else rgb.astype(">u2").tobytes())
