"""Cut a film into pieces of one scene that fit into memory, and those into segments that are encoded on their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import av
import numpy as np

from photochrom.color import Bytes, Float
from photochrom.colorizer.colorizer import Colorizer
from photochrom.errors import FilmError
from photochrom.photo import planes
from photochrom.video.media.colorspace import guide
from photochrom.video.media.decode import Read, halved
from photochrom.video.media.encode import new_frame, own_format, put, writable
from photochrom.video.media.probe import Traits
from photochrom.video.temporal import Cuts, Kind, SceneKind, half, kind_of, small
from photochrom.video.toning import Tint

PIECE_FRAMES, PIECE_BYTES = 72, 80_000_000
"""Most frames and most bytes of frames that are colored at once. Six pieces are in memory at most."""
SEGMENT_FRAMES, SEGMENT_LEAST = 240, 48
"""Frames after which a segment ends with its piece, and frames from which on it ends with a scene."""


@dataclass(frozen=True, eq=False)
class Picture:
    """One frame on its way."""

    frame: av.VideoFrame
    """In the result's form, with its own luma and chroma."""
    small: Bytes
    """``(h, w)`` uint8 luma of full range, upright, at the network's scale."""
    kind: Kind
    time: int
    length: int
    tint: Float | None
    """What ``Tint.sample`` makes of the frame."""


@dataclass(eq=False)
class Piece:
    """Frames of one scene that follow on each other."""

    first: int
    """Number of its first frame in the film."""
    begins: bool
    """Whether a scene begins with it."""
    kept: bool = False
    """Whether it was in color already."""
    segment: int = 0
    """Number of the segment that it belongs to."""
    ends: bool = False
    """Whether its segment ends with it."""
    pictures: list[Picture] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    """Share in [0, 1] of its color that each frame gets: 0 in titles."""


def cut(frames: Iterator[Read], traits: Traits, colorizer: Colorizer, *, step: int) -> Iterator[Piece]:
    """Cut a film's frames into pieces, the same whenever it is done.

    Args:
        frames: of ``decode.frames``.
        traits: of the film.
        colorizer: says at which scale the network sees, and what becomes of frames in color.
        step: 2 for chroma of half size, 1 for full.

    Raises:
        FilmError: a frame is in color already, and ``on_color`` is "error".
    """
    scene, waiting, frames_in_segment = SceneKind(), None, 0
    for piece in _split(_collected(frames, traits, colorizer, step=step), traits, colorizer):
        if waiting is not None:
            frames_in_segment += len(waiting.pictures)
            waiting.ends = frames_in_segment >= (SEGMENT_LEAST if piece.begins else SEGMENT_FRAMES)
            frames_in_segment = 0 if waiting.ends else frames_in_segment
            piece.segment = waiting.segment + waiting.ends
            yield _settled(waiting, scene)
        waiting = piece
    if waiting is not None:
        waiting.ends = True
        yield _settled(waiting, scene)


def _collected(frames: Iterator[Read], traits: Traits, colorizer: Colorizer, *, step: int) -> Iterator[Piece]:
    """Collect the frames of a film scene by scene, in pieces that fit into memory."""
    cuts, tint, signal = Cuts(), Tint(traits.signal), traits.signal
    per_frame = traits.height * traits.width * (1 if signal.bits == 8 else 2) * (1 + 2 // step**2)
    most = max(1, min(PIECE_FRAMES, PIECE_BYTES // per_frame))
    piece: Piece | None = None
    for number, frame in enumerate(frames):
        whole = planes.to_eight(guide(frame.luma, signal))
        little = small(np.ascontiguousarray(planes.upright(whole, traits.orientation)), colorizer)
        kind = kind_of(little)
        begins = cuts.push(little, kind)
        if piece is None or begins or len(piece.pictures) >= most:
            if piece is not None:
                yield piece
            piece = Piece(number, begins or piece is None)
        sample = tint.sample(frame.chroma, planes.stored(little, traits.orientation))
        piece.pictures.append(Picture(_begun(frame, traits, step=step), little, kind, frame.time, frame.length, sample))
    if piece is not None:
        yield piece


def _split(pieces: Iterator[Piece], traits: Traits, colorizer: Colorizer) -> Iterator[Piece]:
    """Split pieces where a film turns from grey to color, or back."""
    tint, before, on_color = Tint(traits.signal), False, colorizer.options.on_color
    for piece in pieces:
        kinds = [picture.kind for picture in piece.pictures]
        found = tint.judge([picture.tint for picture in piece.pictures], kinds, begins=piece.begins)
        if on_color == "error" and True in found:
            number = piece.first + found.index(True)
            raise FilmError(f"frame {number} is in color already; on_color 'recolor' (--on-color recolor) colors it again")
        kept = [each and on_color != "recolor" for each in found]
        first = 0
        for place in range(1, len(kept) + 1):
            if place == len(kept) or kept[place] != kept[first]:
                begins = piece.begins if first == 0 and kept[0] == before else True
                yield Piece(piece.first + first, begins, kept[first], pictures=piece.pictures[first:place])
                before, first = kept[first], place


def _settled(piece: Piece, scene: SceneKind) -> Piece:
    """Decide how much color each frame of a piece gets."""
    frames, kinds = [half(picture.small) for picture in piece.pictures], [picture.kind for picture in piece.pictures]
    piece.shares = scene.shares(frames, kinds, begins=piece.begins)
    return piece


def _begun(frame: Read, traits: Traits, *, step: int) -> av.VideoFrame:
    """Begin the result's frame, with the luma and chroma of the source.

    A frame that has the result's form already goes on as it is, with closed captions and all that is stated beside its pixels.
    """
    bits = traits.signal.bits
    if frame.frame.format.name == own_format(bits, step):
        return writable(frame.frame)
    begun = new_frame(traits, step)
    put(begun, 0, frame.luma, bits=bits)
    for number in (1, 2):
        plane = traits.signal.grey if frame.chroma is None else frame.chroma[number - 1]
        if not isinstance(plane, int):
            plane = halved(plane, -(-traits.height // step), -(-traits.width // step))
        put(begun, number, plane, bits=bits)
    return begun
