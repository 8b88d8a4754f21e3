"""Draw a contact sheet of a film's scenes without decoding all of it."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from photochrom.color import Bytes
from photochrom.colorizer.colorizer import Colorizer
from photochrom.colorizer.contact_sheet import lay_out
from photochrom.errors import FilmError, OptionError
from photochrom.photo.planes import luma_of
from photochrom.photo.toning import judge_picture
from photochrom.video.media import decode, probe
from photochrom.video.media.probe import Traits
from photochrom.video.media.timestamps import Timing, clock
from photochrom.video.temporal import Cuts, Kind, kind_of, small

WHOLE_FRAMES = 1_500
"""A film of at most so many frames is decoded whole; of a longer one, key frames are."""
KEYS = 400
"""Key frames that are decoded at most."""
PIXELS = 1_000_000_000
"""Pixels that are decoded at most in either case, but for a few key frames that there have to be."""
SHORT = 256
"""Rows or columns of the pictures that are kept, the fewer of the two."""
QUALITY = (cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
"""Of the JPEG as which they wait, so that they take no room."""


@dataclass(frozen=True, eq=False)
class Moment:
    """One picture of a preview."""

    frame: int
    """Its number in the film, from 0, as hints name it."""
    seconds: float
    """Time from the film's first frame."""
    picture: NDArray[np.uint8]
    """``(H, W, 3)`` uint8 RGB, upright, ``SHORT`` pixels on the short side at most."""


def sheet_of(moments: Sequence[Moment], colorizer: Colorizer, *, height: int = 256, columns: int = 2) -> bytes:
    """Draw moments of a film in grey and in color, each with its number and time; what is in color keeps its own.

    Args:
        moments: of ``scenes``.
        colorizer: how to color.
        height: pixels of a picture.
        columns: moments beside each other.

    Returns:
        A JPEG file.

    Raises:
        OutputError: the sheet is too large for JPEG.
    """
    captions = [f"frame {moment.frame}, {clock(moment.seconds)}" for moment in moments]
    waiting = iter(moments)

    def paint(luma: Bytes) -> Bytes:
        picture = next(waiting).picture
        kept = colorizer.options.on_color != "recolor" and judge_picture(luma, picture).kind == "color"
        return picture if kept else colorizer.paint(luma)

    return lay_out([moment.picture for moment in moments], paint, height=height, columns=columns, captions=captions)


def scenes(source: Path, count: int, *, colorizer: Colorizer) -> list[Moment]:
    """Find moments of a film that show its scenes.

    The middle of each scene is shown; where there are more scenes than asked for, those that lie evenly over them; where there
    are fewer, further moments of the longest. Blank and title frames are shown only where there is nothing else.

    Args:
        source: the film.
        count: the most moments, 1 or more; there are fewer where no more frames were looked at.
        colorizer: says at which scale a scene is looked at.

    Raises:
        OptionError: count is below 1.
        FilmError: the film cannot be read.
    """
    if count < 1:
        raise OptionError(f"invalid number of scenes {count}: expected 1 or more")
    traits = probe.examine(source)
    area = traits.width * traits.height
    with probe.opened(source) as container:
        if traits.frames is not None and traits.frames <= min(WHOLE_FRAMES, PIXELS // area):
            found = list(_judged(_all(container, traits), colorizer, traits))
        else:
            keys = _Keys(traits, max(4 * count, min(KEYS, PIXELS // area)), size=source.stat().st_size)
            found = list(_judged(keys.frames(container), colorizer, traits))
            found = [keys.numbered(glance) for glance in found]
    if not found:
        raise FilmError(f"{source}: no frame can be read; restore it from a good copy")
    return [_moment(glance, traits, found[0].time) for glance in chosen(found, count)]


@dataclass(frozen=True)
class Glance:
    """A frame that was looked at."""

    number: int
    """In the film, from 0."""
    time: int
    """Time stamp in units of ``Traits.time_base``."""
    kind: Kind
    begins: bool
    """Whether a scene begins with it."""
    coded: bytes
    """Its picture as JPEG."""


def chosen(glances: Sequence[Glance], count: int) -> list[Glance]:
    """Choose at most so many, one of each scene first, in their order."""
    parted: list[list[Glance]] = []
    for glance in glances:
        if glance.begins or not parted:
            parted.append([])
        parted[-1].append(glance)
    ends = [scene[0].time for scene in parted[1:]] + [glances[-1].time]
    worth: list[tuple[list[Glance], int]] = []
    for kinds in ({"picture"}, {"picture", "title"}, {"picture", "title", "blank"}):
        shown = [[glance for glance in scene if glance.kind in kinds] for scene in parted]
        worth = [(pictures, end - scene[0].time) for pictures, scene, end in zip(shown, parted, ends, strict=True) if pictures]
        if worth:
            break
    worth = [worth[index * len(worth) // count] for index in range(count)] if count < len(worth) else worth
    shares = [1] * len(worth)
    while sum(shares) < count:
        more = [place for place, (pictures, _) in enumerate(worth) if shares[place] < len(pictures)]
        if not more:
            break
        shares[max(more, key=lambda place: worth[place][1] / shares[place])] += 1
    return [
        pictures[(2 * index + 1) * len(pictures) // (2 * share)]
        for (pictures, _), share in zip(worth, shares, strict=True)
        for index in range(share)
    ]


@final
class _Keys:
    """Decode key frames spread over a film, and collect the times of all its frames without decoding them."""

    def __init__(self, traits: Traits, most: int, *, size: int) -> None:
        """Spread so many key frames at most over the film's length, or over its bytes where that is not known."""
        self._traits = traits
        self._step = (traits.seconds or size) / most
        self._left = most
        self._counted = False
        self._due: float | None = None
        self._times = array("q")
        self._fed: deque[int] = deque()

    def frames(self, container: av.container.InputContainer) -> Iterator[tuple[int, int, av.VideoFrame]]:
        stream = probe.picture_stream(container, self._traits)
        stream.thread_type = "AUTO"
        counted = self._counted = container.format.name == "avi"
        for frame in probe.decoded(container, stream, lambda _: None, self._wanted):
            fed = self._fed.popleft() if self._fed else 0
            yield 0, fed if counted or frame.pts is None else frame.pts, frame

    def numbered(self, glance: Glance) -> Glance:
        """Count the frames before one, which is known when all have gone by."""
        known = np.unique(np.frombuffer(self._times, np.int64))
        number = np.searchsorted(known, glance.time) - np.searchsorted(known, self._times[0])
        return Glance(int(number), glance.time, glance.kind, glance.begins, glance.coded)

    def _wanted(self, packet: Any) -> bool:
        traits, times = self._traits, self._times
        if packet.is_discard or not (times or packet.is_keyframe):  # neither is shown
            return False
        step = max(1, round(1 / (traits.rate * traits.time_base)))
        stated = (packet.dts,) if self._counted else (packet.pts, packet.dts)
        time = next((at for at in stated if at is not None), times[-1] + step if times else 0)
        times.append(time)
        place = float(time * traits.time_base) if traits.seconds else packet.pos or 0
        if not packet.is_keyframe or not self._left or (self._due is not None and place < self._due):
            return False
        self._due = max(place if self._due is None else self._due, place - self._step) + self._step
        self._left -= 1
        self._fed.append(time)
        return True


def _all(container: av.container.InputContainer, traits: Traits) -> Iterator[tuple[int, int, av.VideoFrame]]:
    """Yield all frames with their numbers and times, as ``decode.frames`` counts them."""
    stream = probe.picture_stream(container, traits)
    stream.thread_type = "AUTO"
    timing, number = Timing(container, traits.index, traits.time_base, traits.rate), 0
    for frame in probe.decoded(container, stream, lambda _: None):
        time = timing.of(frame)
        if time is not None:
            yield number, time, frame
            number += 1


def _judged(frames: Iterator[tuple[int, int, av.VideoFrame]], colorizer: Colorizer, traits: Traits) -> Iterator[Glance]:
    """Look at frames, neighbors or seconds apart, up to where the picture changes its form."""
    cuts = Cuts()
    for number, time, frame in frames:
        if not decode.same_form(frame, traits):
            return
        picture = decode.upright_frame(frame, traits, short=SHORT)
        little = small(luma_of(picture), colorizer)
        kind = kind_of(little)
        coded = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), QUALITY)[1].tobytes()
        yield Glance(number, time, kind, cuts.push(little, kind), coded)


def _moment(glance: Glance, traits: Traits, begin: int) -> Moment:
    picture = cv2.imdecode(np.frombuffer(glance.coded, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert picture is not None
    seconds = float((glance.time - begin) * traits.time_base)
    return Moment(glance.number, seconds, np.asarray(picture, np.uint8))
