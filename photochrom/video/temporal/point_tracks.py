"""Follow the points that were given a color along the motion: through a segment, and back through the frames before it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import IO, final

import cv2
import numpy as np

from photochrom.color import Bytes
from photochrom.colorizer.hints import Hint
from photochrom.video.temporal.optical_flow import Link, Motion

LOST = 0.2
"""Trust below which a point is taken to have gone out of sight; it does not come back."""
AROUND, NEAR = 9, 1.0
"""Side of what is looked for around a point, and how far from where the flow points; in pixels of the links."""


@dataclass(frozen=True)
class Point:
    """Position of a hint's point in one frame."""

    x: float
    """Column in pixels of a small frame, whose middles are whole numbers."""
    y: float
    """Row, the same."""
    color: str
    """An sRGB color as ``#RRGGBB``."""
    away: int = 0
    """Frames between this one and the hint's own."""

    @property
    def hint(self) -> Hint:
        """The same for the network."""
        return Hint(max(round(self.x), 0), max(round(self.y), 0), self.color)


def track(
    places: Mapping[int, tuple[Point, ...]], frames: Sequence[Bytes], links: Sequence[tuple[Link, Link]]
) -> list[tuple[Point, ...]]:
    """Carry points from some frames to all others.

    Args:
        places: points by the index of their frame.
        frames: ``(h, w)`` uint8 at half the network's scale.
        links: of each frame to the next, and of the next to it.

    Returns:
        The points of each frame; where two meet, the one whose own frame is nearer comes later, and stays.
    """
    found: list[list[Point]] = [[] for _ in frames]
    for index, points in places.items():
        for point in points:
            found[index].append(point)
            for step in (1, -1):
                here, moved = index, point
                while 0 <= here + step < len(found):
                    link = links[here][0] if step == 1 else links[here - 1][1]
                    after = move(moved, link, frames[here], frames[here + step])
                    if after is None:
                        break
                    moved, here = after, here + step
                    found[here].append(moved)
    return [nearest_last(each) for each in found]


def nearest_last(points: Iterable[Point]) -> tuple[Point, ...]:
    """Return the points of a frame in the order in which they are drawn."""
    return tuple(sorted(points, key=lambda point: -point.away))


def move(point: Point, link: Link, here: Bytes, there: Bytes) -> Point | None:
    """Move a point along the link of its frame to another, of half the network's scale; none where it goes out of sight.

    Flow is off by a tenth of a pixel, always to the same side: over a scene that would add up. So the point's surroundings are
    looked for near where the flow points, by the method of Lucas and Kanade (1981).
    """
    height, width = link.trust.shape
    x, y = (point.x + 0.5) / 2 - 0.5, (point.y + 0.5) / 2 - 0.5
    row, column = min(max(round(y), 0), height - 1), min(max(round(x), 0), width - 1)
    if link.trust[row, column] < LOST:
        return None
    guess = np.array([[[x, y]]], np.float32) + link.flow[row, column]
    flags = cv2.OPTFLOW_USE_INITIAL_FLOW
    found, known, _ = cv2.calcOpticalFlowPyrLK(
        here, there, np.array([[[x, y]]], np.float32), guess.copy(), winSize=(AROUND, AROUND), maxLevel=0, flags=flags
    )
    place = found if known[0, 0] and np.abs(found - guess).max() <= NEAR else guess
    x, y = float(place[0, 0, 0]), float(place[0, 0, 1])
    if not (0 <= x <= width - 1 and 0 <= y <= height - 1):
        return None
    return replace(point, x=2 * x + 0.5, y=2 * y + 0.5, away=point.away + 1)


@final
class Trail:
    """Keep the frames of a scene in a file, and follow points back through them; memory does not grow with their number."""

    def __init__(self, file: IO[bytes]) -> None:
        """Start with an empty file that can be written and read."""
        self._file = file
        self._shape = (0, 0)
        self._count = 0
        self._ends: dict[int, int] = {}
        self._points: dict[int, tuple[Point, ...]] = {}

    def begin(self) -> None:
        """Begin a scene: what was kept of the one before is forgotten."""
        self._file.seek(0)
        self._count, self._ends, self._points = 0, {}, {}

    def add(self, frame: Bytes, points: tuple[Point, ...]) -> None:
        """Add the next frame, ``(h, w)`` uint8 at half the network's scale, and the points that are given in it."""
        self._file.write(frame.tobytes())
        self._shape = frame.shape
        if points:
            self._points[self._count] = points
        self._count += 1

    def end(self, name: int) -> None:
        """End a part of the scene here, under the name that ``back`` returns for it."""
        if self._count:
            self._ends.setdefault(self._count - 1, name)  # a part without frames ends where the one before did

    def back(self) -> dict[int, tuple[Point, ...]]:
        """Follow the points back to where the scene begins.

        Returns:
            Where they are in the last frame of each part before their own, by its name; a part where none is in sight has none.
        """
        found: dict[int, tuple[Point, ...]] = {}
        motion, points, later = Motion(*self._shape), tuple[Point, ...](), np.zeros(self._shape, np.uint8)
        for index in range(max(self._points, default=-1), -1, -1):
            frame = self._frame(index)
            if points:
                link = motion.links(frame, later)[1]
                points = tuple(moved for point in points if (moved := move(point, link, later, frame)) is not None)
                if points and index in self._ends:
                    found[self._ends[index]] = nearest_last(points)
            points, later = (*points, *self._points.get(index, ())), frame
        return found

    def _frame(self, index: int) -> Bytes:
        size = self._shape[0] * self._shape[1]
        self._file.seek(index * size)
        return np.frombuffer(self._file.read(size), np.uint8).reshape(self._shape)
