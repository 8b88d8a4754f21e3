"""Color the pieces of a film: steady chroma at the network's scale, enlarged to the size of each frame."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

import numpy as np

from photochrom.color import Plane
from photochrom.colorizer.colorizer import Colorizer
from photochrom.colorizer.hints import Hint, parse
from photochrom.colorizer.model import takes_none
from photochrom.colorizer.upsample import upsample
from photochrom.errors import OptionError
from photochrom.photo import planes
from photochrom.video.media.colorspace import guide, stored
from photochrom.video.media.decode import plane_of
from photochrom.video.media.encode import put
from photochrom.video.media.probe import Traits
from photochrom.video.shots import Piece
from photochrom.video.temporal import Carried, Point, Steadiness, Trail, color_segment, half
from photochrom.video.toning import overlay


@dataclass(frozen=True)
class FrameHint:
    """A color for a point of one frame, which holds through its scene."""

    frame: int
    """Number of the frame, from 0."""
    hint: Hint
    """The point, in pixels of the frame as a viewer shows it."""


def parse_hint(text: str) -> FrameHint:
    """Read a hint written as ``FRAME:X,Y=#RRGGBB``; raises OptionError if it is written otherwise."""
    found = re.fullmatch(r"\s*(\d+)\s*:(.*)", text)
    if not found:
        raise OptionError(f"invalid hint '{text}': expected FRAME:X,Y=#RRGGBB, frames counted from 0")
    return FrameHint(int(found[1]), parse(found[2]))


@dataclass(frozen=True)
class FrameReference:
    """A photograph's palette for one scene."""

    frame: int
    """Number of any frame of the scene, from 0."""
    palette: tuple[float, ...]
    """Share of each chroma bin in the photograph (``photochrom.colorizer.hints.reference``)."""


def parse_reference(text: str) -> tuple[int | None, Path]:
    """Read ``FRAME:PHOTO`` or ``PHOTO``, which has no frame; a photograph whose own name begins so is ``./12:name.jpg``."""
    found = re.fullmatch(r"(\d+):(.+)", text, re.DOTALL)
    return (int(found[1]), Path(found[2])) if found else (None, Path(text))


@dataclass(frozen=True)
class Looked:
    """What a first pass over a film finds."""

    later: Mapping[int, tuple[Point, ...]] = field(default_factory=dict)
    """By the number of a piece's first frame, where the points of hints that come later lie in its last picture."""
    leads: Mapping[int, int] = field(default_factory=dict)
    """By the number of a scene's first frame, which of the references leads it."""


@dataclass(frozen=True)
class Coloring:
    """How a film is colored."""

    colorizer: Colorizer
    traits: Traits
    steadiness: Steadiness
    hints: tuple[FrameHint, ...]
    references: tuple[FrameReference, ...]
    step: int
    """2 for chroma of half size, 1 for full."""

    def check(self) -> None:
        """Refuse hints that lie outside the film's frames, or that the model takes none of."""
        high, wide = self._upright()
        for given in self.hints:
            if given.hint.x >= wide or given.hint.y >= high:
                where = f"the hint {given.hint.x},{given.hint.y} lies outside the film"
                raise OptionError(f"{where}: expected X below {wide} and Y below {high}")
        card = self.colorizer.model.card
        for what, told, taken in (("hints", self.hints, card.clickable), ("palette", self.references, card.palettes)):
            if told and not taken:
                raise takes_none(card.name, what)

    def look(self, pieces: Iterator[Piece], file: IO[bytes]) -> Looked:
        """Follow the hinted points back to where their scenes begin, and find the scenes that references lead.

        Args:
            pieces: of the whole film; those after the last hint and reference are not read.
            file: holds the frames of one scene meanwhile, if there are hints.

        Raises:
            OptionError: the film ends before a hint's or a reference's frame, the frame is in color already and keeps that, or
                two references are of one scene.
        """
        trail, found, leads = Trail(file), dict[int, tuple[Point, ...]](), dict[int, int]()
        last = max([given.frame for given in self.hints] + [given.frame for given in self.references], default=-1)
        count = scene = 0
        for piece in pieces if last >= 0 else ():
            if piece.begins:
                scene = piece.first
                if self.hints:
                    found |= trail.back()
                    trail.begin()
            hints = self._points(piece)
            if hints:
                _refuse_color(piece, piece.first + min(hints), "hint")
            count = piece.first + len(piece.pictures)
            for index, reference in enumerate(self.references):
                if piece.first <= reference.frame < count:
                    _refuse_color(piece, reference.frame, "reference")
                    if scene in leads:
                        two = f"frames {self.references[leads[scene]].frame} and {reference.frame} are of one scene"
                        raise OptionError(f"{two}, which takes one reference: leave one of the two out")
                    leads[scene] = index
            for place, picture in enumerate(piece.pictures):
                if self.hints and (place in hints or piece.shares[place] > 0):
                    trail.add(half(picture.small), hints.get(place, ()))
            trail.end(piece.first)
            if count > last:
                break
        if count <= last:
            what = "hint" if any(given.frame == last for given in self.hints) else "reference"
            raise OptionError(
                f"a {what} is for frame {last}, but the film has {count} frames: expected a number from 0 to {count - 1}"
            )
        return Looked(found | trail.back() if self.hints else {}, leads)

    def color(
        self, pieces: Iterator[Piece], *, skip: int, before: Carried | None, looked: Looked
    ) -> Iterator[tuple[Piece, bytes]]:
        """Yield each piece of the segments from ``skip`` on with its colors, and what the next segment takes over.

        Args:
            pieces: of the whole film.
            skip: how many segments are done; their pieces are given as they are.
            before: what the last of these left.
            looked: what ``look`` found.
        """
        colorizer = self.colorizer
        for piece in pieces:
            if piece.begins:
                colorizer = self._led(looked.leads.get(piece.first))
            if piece.segment >= skip:
                before = None if piece.begins else before
                before = None if piece.kept else self._paint(piece, colorizer, before, looked.later.get(piece.first, ()))
            yield piece, before.to_bytes() if before and piece.ends else b""

    def _led(self, reference: int | None) -> Colorizer:
        if reference is None:
            return self.colorizer
        options = replace(self.colorizer.options, palette=self.references[reference].palette)
        return Colorizer(self.colorizer.model, options)

    def _paint(self, piece: Piece, colorizer: Colorizer, before: Carried | None, later: tuple[Point, ...]) -> Carried:
        frames = [picture.frame for picture in piece.pictures]
        lows, after = color_segment(
            [picture.small for picture in piece.pictures],
            piece.shares,
            colorizer,
            knobs=self.steadiness,
            before=before,
            hints=self._points(piece),
            later=later,
        )
        signal = self.traits.signal
        owns = [(plane_of(frame.planes[1], signal.bits), plane_of(frame.planes[2], signal.bits)) for frame in frames]
        beside = [owns[max(index - 1, 0) : index] + owns[index + 1 : index + 2] for index in range(len(owns))]
        overs = [overlay(own, signal, beside=others) for own, others in zip(owns, beside, strict=True)]
        for picture, low, own, over in zip(piece.pictures, lows, owns, overs, strict=True):
            found: tuple[Plane | int, ...] = (signal.grey, signal.grey)
            if low.any():
                luma = guide(plane_of(picture.frame.planes[0], signal.bits), signal)
                turned = np.ascontiguousarray(planes.stored(low, self.traits.orientation))
                found = stored(upsample(turned, luma, step=self.step), signal)
            for number, plane in enumerate(found, 1):
                put(picture.frame, number, plane if over is None else np.where(over, own[number - 1], plane), bits=signal.bits)
        return after

    def _upright(self) -> tuple[int, int]:
        """Return the height and width of the film as a viewer shows it."""
        sides = self.traits.height, self.traits.width
        return sides if self.traits.orientation < 5 else (sides[1], sides[0])

    def _points(self, piece: Piece) -> dict[int, tuple[Point, ...]]:
        """Return the hinted points of a piece, by the place of their frame in it, in pixels of the small frames."""
        found: dict[int, tuple[Point, ...]] = {}
        high, wide = self._upright()
        for frame, hint in ((given.frame - piece.first, given.hint) for given in self.hints):
            if 0 <= frame < len(piece.pictures):
                small = piece.pictures[frame].small.shape
                x, y = (hint.x + 0.5) * small[1] / wide - 0.5, (hint.y + 0.5) * small[0] / high - 0.5
                found[frame] = (*found.get(frame, ()), Point(x, y, hint.color))
        return found


def _refuse_color(piece: Piece, frame: int, what: str) -> None:
    if piece.kept:
        reason = f"frame {frame} is in color already, so that its {what} does nothing"
        raise OptionError(f"{reason}: leave it out, or color such frames again (--on-color recolor)")
