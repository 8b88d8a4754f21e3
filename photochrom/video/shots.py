"""Cut a film into pieces of one scene that fit into memory, and those into segments that are encoded on their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, final

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from photochrom.color import Bytes
from photochrom.colorizer.colorizer import Colorizer
from photochrom.errors import FilmError
from photochrom.photo import planes
from photochrom.photo.toning import SIDE, judge_tone
from photochrom.video.media.colorspace import Signal, guide
from photochrom.video.media.decode import Read, halved
from photochrom.video.media.encode import new_frame, own_format, put, writable
from photochrom.video.media.probe import Traits
from photochrom.video.temporal import Cuts, Kind, SceneKind, half, kind_of, small

PIECE_FRAMES, PIECE_BYTES = 72, 96_000_000
"""Most frames and most bytes of frames that are colored at once. Five pieces are in memory at most."""
SEGMENT_FRAMES, SEGMENT_LEAST = 240, 48
"""Frames after which a segment ends with its piece, and frames from which on it ends with a scene."""
SURE = 1.25
"""Within a scene a film turns from grey to color where ``judge`` is so sure of it, and back where it is so sure of that."""
FAINT = 1.5
"""Chroma that is less nearly everywhere, of 255, is noise."""


@dataclass(frozen=True, eq=False)
class Picture:
    """One frame on its way."""

    frame: av.VideoFrame
    """In the result's form: with its luma, and with its chroma where that is kept."""
    small: Bytes
    """``(h, w)`` uint8 luma of full range, upright, at the network's scale."""
    kind: Kind
    time: int
    length: int


@dataclass(eq=False)
class Piece:
    """Frames of one scene that follow on each other."""

    segment: int
    """Number of the segment that it belongs to."""
    first: int
    """Number of its first frame in the film."""
    begins: bool
    """Whether a scene begins with it."""
    kept: bool
    """Whether it was in color already."""
    ends: bool = False
    """Whether its segment ends with it."""
    pictures: list[Picture] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    """Share in [0, 1] of its color that each frame gets: 0 in titles."""


@final
class Tint:
    """Judge, frame by frame, whether a film is in color."""

    def __init__(self, signal: Signal) -> None:
        self._signal = signal
        self._color = False

    def push(self, frame: Read, luma: Bytes, kind: Kind, *, begins: bool) -> bool:
        """Take the next frame and say whether it is in color; a blank one is what the frame before it was.

        Args:
            frame: as stored.
            luma: ``(H, W)`` uint8 of full range, of any size, turned as stored.
            kind: of the frame.
            begins: whether a scene begins with it; within one, only a clear case changes the answer.
        """
        if frame.chroma is None or all(plane.min() == plane.max() for plane in frame.chroma):
            self._color = False  # whatever the one color is, it is a tone
            return False
        if kind == "blank":
            return self._color
        shrunk = SIDE / max(luma.shape)
        high, wide = (max(1, round(side * min(shrunk, 1))) for side in luma.shape)
        light = _shrunk(luma, high, wide)
        scale = np.float32(255 / self._signal.chroma_swing)
        chroma = np.stack([(_shrunk(plane, high, wide) - np.float32(self._signal.grey)) * scale for plane in frame.chroma])
        least = 1 / SURE if self._color else 1.0 if begins else SURE
        # Chroma of no more than noise is the most frequent case, and fitting a curve to it the dearest.
        noise = float(np.percentile(np.hypot(*chroma), 90)) < FAINT
        self._color = not noise and judge_tone(light, chroma).figure >= least
        return self._color


def cut(frames: Iterator[Read], traits: Traits, colorizer: Colorizer, *, step: int) -> Iterator[Piece]:
    """Cut a film's frames into pieces, the same whenever it is done.

    Args:
        frames: of ``reading.frames``.
        traits: of the film.
        colorizer: says at which scale the network sees, and what becomes of frames in color.
        step: 2 for chroma of half size, 1 for full.
    """
    cuts, scene, tint, signal = Cuts(), SceneKind(), Tint(traits.signal), traits.signal
    piece: Piece | None = None
    segment_frames = 0
    per_frame = traits.height * traits.width * (1 if signal.bits == 8 else 2) * (1 + 2 // step**2)
    most = max(1, min(PIECE_FRAMES, PIECE_BYTES // per_frame))
    for number, frame in enumerate(frames):
        whole = planes.to_eight(guide(frame.luma, signal))
        little = small(np.ascontiguousarray(planes.upright(whole, traits.orientation)), colorizer)
        kind = kind_of(little)
        begins = cuts.push(little, kind)
        kept = tint.push(frame, planes.stored(little, traits.orientation), kind, begins=begins)
        kept = kept and colorizer.options.on_color != "recolor"
        if kept and colorizer.options.on_color == "error":
            raise FilmError(f"frame {number} is in color already; on_color 'recolor' (--on-color recolor) colors it anew")
        if piece is None or begins or kept != piece.kept or len(piece.pictures) >= most:
            begins = begins or piece is None or kept != piece.kept
            if piece is not None:
                segment_frames += len(piece.pictures)
                piece.ends = segment_frames >= (SEGMENT_LEAST if begins else SEGMENT_FRAMES)
                segment_frames = 0 if piece.ends else segment_frames
                yield _settled(piece, scene)
            piece = Piece(0 if piece is None else piece.segment + piece.ends, number, begins, kept)
        piece.pictures.append(Picture(_begun(frame, traits, step=step, kept=kept), little, kind, frame.time, frame.length))
    if piece is not None:
        piece.ends = True
        yield _settled(piece, scene)


def _settled(piece: Piece, scene: SceneKind) -> Piece:
    """Decide how much color each frame of a piece gets."""
    frames, kinds = [half(picture.small) for picture in piece.pictures], [picture.kind for picture in piece.pictures]
    piece.shares = scene.shares(frames, kinds, begins=piece.begins)
    return piece


def _begun(frame: Read, traits: Traits, *, step: int, kept: bool) -> av.VideoFrame:
    """Begin the result's frame: its luma, and its chroma where that is kept.

    A frame that has the result's form already goes on as it is, with closed captions and all that is stated beside its pixels.
    """
    bits = traits.signal.bits
    if frame.frame.format.name == own_format(bits, step):
        return writable(frame.frame)
    begun = new_frame(traits, step)
    put(begun, 0, frame.luma, bits=bits)
    if kept and frame.chroma is not None:
        for number, plane in enumerate(frame.chroma, 1):
            put(begun, number, halved(plane, -(-traits.height // step), -(-traits.width // step)), bits=bits)
    return begun


def _shrunk(plane: NDArray[np.integer[Any]], high: int, wide: int) -> NDArray[np.float32]:
    return cv2.resize(np.ascontiguousarray(plane), (wide, high), interpolation=cv2.INTER_AREA).astype(np.float32)
