"""Color the pieces of a film: steady chroma at the network's scale, brought to the size of each frame."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO

import numpy as np

from photochrom import planes
from photochrom.colorizer import Colorizer
from photochrom.errors import OptionError
from photochrom.hints import Hint, parse
from photochrom.model import takes_none
from photochrom.steady import Carried, Point, Steadiness, Trail, color_segment, half
from photochrom.upsample import upsample
from photochrom.video.encoding import put
from photochrom.video.pieces import Piece
from photochrom.video.reading import Traits, plane_of
from photochrom.video.signal import Samples, guide, stored


@dataclass(frozen=True)
class FrameHint:
    """Give a color to a point of one frame, which holds through its scene."""

    frame: int
    """Number of the frame, from 0."""
    hint: Hint
    """The point, in pixels of the frame as a viewer shows it."""


def parse_hint(text: str) -> FrameHint:
    """Read a hint written as ``FRAME:X,Y=#RRGGBB``; raises OptionError if it is written otherwise."""
    found = re.fullmatch(r"\s*(\d+)\s*:(.*)", text)
    if not found:
        raise OptionError(f"'{text}' is no hint of a film: expected FRAME:X,Y=#RRGGBB, frames counted from 0")
    return FrameHint(int(found[1]), parse(found[2]))


@dataclass(frozen=True)
class Coloring:
    """How a film is colored."""

    colorizer: Colorizer
    traits: Traits
    steadiness: Steadiness
    hints: tuple[FrameHint, ...]
    step: int
    """2 for chroma of half size, 1 for full."""

    def check(self) -> None:
        """Refuse hints that lie outside the film's frames, or that the model takes none of."""
        high, wide = self._upright()
        for given in self.hints:
            if given.hint.x >= wide or given.hint.y >= high:
                where = f"the hint {given.hint.x},{given.hint.y} lies outside the film"
                raise OptionError(f"{where}: expected X below {wide} and Y below {high}")
        if self.hints and not self.colorizer.model.card.hints:
            raise takes_none(self.colorizer.model.card.name, "hints")

    def look(self, pieces: Iterator[Piece], file: IO[bytes]) -> dict[int, tuple[Point, ...]]:
        """Follow the hinted points back to where their scenes begin.

        Args:
            pieces: of the whole film, of which those after the last hint are not taken.
            file: holds the frames of one scene meanwhile.

        Returns:
            By the number of a piece's first frame, where the points of hints that come later lie in its last picture.

        Raises:
            OptionError: the film ends before a hint's frame, or the frame is in color already and keeps that.
        """
        trail, found = Trail(file), dict[int, tuple[Point, ...]]()
        last = max((given.frame for given in self.hints), default=-1)
        count = 0
        for piece in pieces if self.hints else ():
            if piece.begins:
                found |= trail.back()
                trail.begin()
            hints = self._points(piece)
            if hints and piece.kept:
                what = f"frame {piece.first + min(hints)} is in color already, so that its hint does nothing"
                raise OptionError(f"{what}: leave it out, or color such frames anew (--on-color recolor)")
            for place, picture in enumerate(piece.pictures):
                if place in hints or picture.kind == "picture":
                    trail.add(half(picture.small), hints.get(place, ()))
            trail.end(piece.first)
            count = piece.first + len(piece.pictures)
            if count > last:
                break
        if count <= last:
            raise OptionError(f"a hint is of frame {last}, and the film has {count} frames: expected less than that")
        return found | trail.back()

    def color(
        self, pieces: Iterator[Piece], *, skip: int, before: Carried | None, later: Mapping[int, tuple[Point, ...]]
    ) -> Iterator[tuple[Piece, bytes]]:
        """Give each piece of the segments from ``skip`` on with its colors, and what the next segment takes over.

        Args:
            pieces: of the whole film.
            skip: how many segments are done; their pieces are given as they are.
            before: what the last of these left.
            later: what ``look`` found.
        """
        for piece in pieces:
            if piece.segment >= skip:
                before = None if piece.begins else before
                before = None if piece.kept else self._paint(piece, before, later.get(piece.first, ()))
            yield piece, before.to_bytes() if before and piece.ends else b""

    def _paint(self, piece: Piece, before: Carried | None, later: tuple[Point, ...]) -> Carried:
        lows, after = color_segment(
            [picture.small for picture in piece.pictures],
            [picture.kind for picture in piece.pictures],
            self.colorizer,
            knobs=self.steadiness,
            before=before,
            hints=self._points(piece),
            later=later,
        )
        signal = self.traits.signal
        for picture, low in zip(piece.pictures, lows, strict=True):
            found: tuple[Samples | int, ...] = (signal.grey, signal.grey)
            if low.any():
                luma = guide(plane_of(picture.frame.planes[0], signal.bits), signal)
                turned = np.ascontiguousarray(planes.stored(low, self.traits.orientation))
                found = stored(upsample(turned, luma, step=self.step), signal)
            for number, plane in enumerate(found, 1):
                put(picture.frame, number, plane, bits=signal.bits)
        return after

    def _upright(self) -> tuple[int, int]:
        """Give height and width of the film as a viewer shows it."""
        sides = self.traits.height, self.traits.width
        return sides if self.traits.orientation < 5 else (sides[1], sides[0])

    def _points(self, piece: Piece) -> dict[int, tuple[Point, ...]]:
        """Give the points hinted in a piece by the place of their frame in it, in pixels of the small frames."""
        found: dict[int, tuple[Point, ...]] = {}
        high, wide = self._upright()
        for frame, hint in ((given.frame - piece.first, given.hint) for given in self.hints):
            if 0 <= frame < len(piece.pictures):
                small = piece.pictures[frame].small.shape
                x, y = (hint.x + 0.5) * small[1] / wide - 0.5, (hint.y + 0.5) * small[0] / high - 0.5
                found[frame] = (*found.get(frame, ()), Point(x, y, hint.color))
        return found
