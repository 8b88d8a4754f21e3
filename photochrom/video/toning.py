"""Judge which frames of a film are in color, and which are grey or toned.

Chroma is averaged over several frames: noise and the rainbow of composite video are new in each frame, and color is not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, final

import cv2
import numpy as np
from numpy.typing import NDArray

from photochrom.color import Bytes, Float, Plane
from photochrom.photo.toning import SIDE, judge_tone
from photochrom.video.media.colorspace import Signal
from photochrom.video.temporal import Kind

AROUND = 4
"""Frames before and after a frame, of its scene, whose chroma is averaged with its own."""
SURE = 1.25
"""Within a scene a film turns from grey to color where the judgement is so sure of it, and back where it is so sure of that."""
FAINT = 1.5
"""Chroma that is less nearly everywhere, of 255, is noise."""
STRONG, OVERLAY = 48, 0.1
"""Chroma of 255 by which a subtitle differs from the frame's median, and share of the frame that it covers at most."""


@final
class Tint:
    """Judge, piece by piece, which frames of a film are in color."""

    def __init__(self, signal: Signal) -> None:
        self._signal = signal
        self._color = False
        self._begins = False
        self._past: deque[Float | None] = deque(maxlen=AROUND)

    def sample(self, chroma: tuple[Plane, Plane] | None, luma: Bytes) -> Float | None:
        """Shrink the chroma of a frame to what is judged, without its overlays.

        Args:
            chroma: planes as stored, of any size.
            luma: ``(H, W)`` uint8 of the same frame, of any size, turned as stored.

        Returns:
            ``(3, h, w)`` float32 of luma and chroma in levels of 255; none where all chroma is the same, whatever tone it is.
        """
        if chroma is None or all(plane.min() == plane.max() for plane in chroma):
            return None
        shrunk = min(SIDE / max(luma.shape), 1)
        size = tuple(max(1, round(side * shrunk)) for side in luma.shape[::-1])
        over = overlay(chroma, self._signal)
        if over is not None:
            chroma = tuple(np.where(over, _median(plane), plane).astype(plane.dtype) for plane in chroma)  # type: ignore[assignment]
        scale = np.float32(255 / self._signal.chroma_swing)
        planes = [(_shrunk(plane, size) - np.float32(self._signal.grey)) * scale for plane in chroma]
        return np.stack([_shrunk(luma, size), *planes])

    def judge(self, samples: Sequence[Float | None], kinds: Sequence[Kind], *, begins: bool) -> list[bool]:
        """Return for each frame of the next piece whether it is in color; a blank one is what the frame before it was.

        Args:
            samples: of each frame, by ``sample``.
            kinds: of each frame.
            begins: whether a scene begins with the piece; within one, only a clear case changes the answer.
        """
        if begins:
            self._past.clear()
            self._begins = True
        path = [*self._past, *samples]
        found = []
        for index, kind in enumerate(kinds, len(self._past)):
            sample = path[index]
            if sample is None:
                self._color = False
            elif kind != "blank":
                around = [each[1:] for each in path[max(index - AROUND, 0) : index + AROUND + 1] if each is not None]
                least = 1 / SURE if self._color else 1.0 if self._begins else SURE
                self._color = _figure(sample[0], np.mean(around, 0, dtype=np.float32)) >= least
                self._begins = False
            found.append(self._color)
        self._past.extend(samples)
        return found


def _figure(light: Float, chroma: Float) -> float:
    """Return how far a frame is in color, in allowances: color from 1 on, 0 if it is grey."""
    # Chroma of no more than noise is the most frequent case, and fitting a curve to it costs most.
    if float(np.percentile(np.hypot(*chroma), 90)) < FAINT:
        return 0.0
    judgement = judge_tone(light, chroma)
    return 0.0 if judgement.kind == "grey" else judgement.figure


def overlay(
    chroma: tuple[Plane, Plane], signal: Signal, *, beside: Sequence[tuple[Plane, Plane]] = ()
) -> NDArray[np.bool_] | None:
    """Find what was laid over a grey or toned frame in strong color, such as a yellow subtitle.

    Args:
        chroma: ``(h, w)`` planes as stored.
        signal: how they are to be read.
        beside: planes of the frames before and after, if any: an overlay is found in one of them too, as noise is not.

    Returns:
        ``(h, w)`` bool; none where there is nothing, or so much that it is the picture's own color.
    """
    least = STRONG * signal.chroma_swing / 255
    away = [cv2.absdiff(plane, np.full_like(plane, _median(plane))) for plane in chroma]
    found = cv2.max(away[0], away[1]) > least
    if not found.any() or found.mean() > OVERLAY:
        return None
    if beside:
        pairs = [[cv2.absdiff(*pair) for pair in zip(chroma, other, strict=True)] for other in beside]
        found &= np.any([cv2.max(blue, red) < least / 2 for blue, red in pairs], 0)
    return cv2.dilate(found.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)


def _median(plane: Plane) -> int:
    return int(np.median(plane[::8, ::8]))


def _shrunk(plane: NDArray[np.integer[Any]], size: tuple[int, ...]) -> Float:
    return cv2.resize(np.ascontiguousarray(plane), size, interpolation=cv2.INTER_AREA).astype(np.float32)
