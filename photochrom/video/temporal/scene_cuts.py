"""Find where a film's scenes begin.

Parts of a frame are looked for in the frames just before it, by normalized correlation: a fade, a flash or a flicker changes
only brightness and contrast, and a pan moves what stays alike. A scene begins if a frame is found in none of them.
"""

from __future__ import annotations

from collections import deque
from typing import final

import cv2
import numpy as np

from photochrom.color import Bytes
from photochrom.video.temporal.frame_kind import Kind

SIDE = 32
"""Short side of the frames that are compared, in pixels: grain is averaged out."""
PART = 16
"""Side of a part."""
REACH = 8
"""Pixels that a part may have moved."""
PAST = 2
"""Frames that a frame is looked for in: one that a flash or damage spoiled does not part a scene."""
ALIKE = 0.58
"""Mean correlation below which a frame is not found."""
NOISE = 4.0
"""Luma of 255: where less than this is left unlike, it may be noise, or a fade."""

BURNT = 0.15
"""A flash makes so much more of a frame white at least, as a share of it."""
FLASH_FRAMES = 3
"""It is over after so many frames: what is white for longer is a scene of its own."""


@final
class Cuts:
    """Find, frame by frame, where a new scene begins; memory is constant."""

    def __init__(self) -> None:
        self._past: deque[Bytes] | None = None
        self._flashes = 0

    def push(self, small: Bytes, kind: Kind) -> bool:
        """Take the next frame, ``(h, w)`` uint8 luma at the network's scale, and return whether a new scene starts with it.

        A blank frame starts none, unless it is the film's first; what follows is compared to what was seen before.
        """
        first = self._past is None
        if self._past is None:
            self._past = deque(maxlen=PAST)
        if kind == "blank":
            return first
        frame = _shrunk(small)
        starts, faint = bool(self._past), False
        for past in reversed(self._past):
            alike, unlike = _compare(frame, past)
            if alike >= ALIKE:
                starts = faint = False
                break
            faint = faint or unlike < NOISE
        flash = starts and self._flashes < FLASH_FRAMES and _burnt(frame) > _burnt(self._past[-1]) + BURNT
        self._flashes = self._flashes + 1 if flash else 0
        if faint or flash:
            return first  # too little to tell by: the frames to come are compared to those before this one
        if starts:
            self._past.clear()
        self._past.append(frame)
        return first or starts


def _shrunk(luma: Bytes) -> Bytes:
    """Scale ``(H, W)`` uint8 luma to the size at which frames are compared."""
    scale = SIDE / min(luma.shape)
    size = max(round(luma.shape[1] * scale), SIDE), max(round(luma.shape[0] * scale), SIDE)
    return np.asarray(cv2.resize(luma, size, interpolation=cv2.INTER_AREA), np.uint8)


def _burnt(frame: Bytes) -> float:
    return float((frame >= 250).mean())


def _compare(frame: Bytes, past: Bytes) -> tuple[float, float]:
    """Look for the parts of a frame in an earlier one, each not far from its place.

    Returns:
        The mean correlation of the parts, weighted by their contrast; and what is left unlike, in luma of 255.
    """
    height, width = frame.shape
    unlike, alike, weights = 0.0, 0.0, 1e-6
    for top in np.linspace(0, height - PART, max(round(height / PART), 2)).astype(int):
        for left in np.linspace(0, width - PART, max(round(width / PART), 2)).astype(int):
            part = frame[top : top + PART, left : left + PART]
            around = past[max(top - REACH, 0) : top + PART + REACH, max(left - REACH, 0) : left + PART + REACH]
            weight = float(part.std())
            if weight > 1:  # an even part correlates with anything
                best = min(max(float(cv2.matchTemplate(around, part, cv2.TM_CCOEFF_NORMED).max()), 0), 1)
                weights, alike = weights + weight, alike + weight * best
                unlike += weight * weight * (1 - best**2) ** 0.5
    return alike / weights, unlike / weights
