"""Decode a film frame by frame: luma as stored, chroma as stored, and the time of each."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, final

import av
import cv2
import numpy as np
from av.packet import Packet
from numpy.typing import NDArray

from photochrom.color import Plane
from photochrom.video.media.probe import PROGRESSIVE, Traits, decoded, opened, picture_stream
from photochrom.video.media.timestamps import Timing, clock

COUNTED = frozenset({"h264", "hevc", "av1", "vp9", "theora", "mjpeg", "prores", "dnxhd", "ffv1", "dvvideo", "mpeg2video"})
"""Codecs in which each packet of a progressive film shows one frame."""


@dataclass(frozen=True, eq=False)
class Read:
    """One frame of a film as stored."""

    frame: av.VideoFrame
    """In a form that has luma in a plane of its own."""
    luma: Plane
    """``(H, W)`` uint8 or uint16; lives as long as its frame."""
    chroma: tuple[Plane, Plane] | None
    """Planes of any size; none in a film without them."""
    time: int
    """Time stamp in units of ``Traits.time_base``."""
    length: int
    """How long it is shown, in the same; 0 where that is not stated."""


@dataclass(eq=False)
class Findings:
    """What is found while a film is decoded."""

    problems: list[str] = field(default_factory=list)
    """A line for all that could not be read."""
    notes: list[str] = field(default_factory=list)
    """What is to be known of the result."""
    shifts: list[Fraction] = field(default_factory=list)
    """For each jump of the clock back, the seconds by which all that follows was moved."""


def frames(path: Path, traits: Traits, findings: Findings) -> Iterator[Read]:
    """Decode a film from its first frame to the last that can be read.

    An empty packet repeats the frame before it.

    Args:
        path: the film.
        traits: of ``examine``.
        findings: gets what could not be read, and what is to be known.

    Raises:
        FilmError: the film can no longer be opened.
    """
    losses, held = Losses(traits), list[Read]()
    with opened(path) as container:
        stream = picture_stream(container, traits)
        stream.thread_type = "AUTO"
        timing = Timing(container, traits.index, traits.time_base, traits.rate)
        repeats, sent, shown = deque[int](), 0, 0
        aspect: Fraction | None = None

        def wanted(packet: Packet[av.VideoStream]) -> bool:
            nonlocal sent
            sent += not packet.is_discard
            return True

        def repeated(packet: Packet[av.VideoStream]) -> None:
            if (time := timing.of_packet(packet)) is not None:
                repeats.append(time)

        for frame in decoded(container, stream, losses.add, wanted, repeated):
            shown += 1
            if not same_form(frame, traits):
                losses.add(f"its picture changes to {frame.width} x {frame.height} {frame.format.name}: cut it in two there")
                losses.ended = True
                break
            jumps = len(timing.shifts)
            time = timing.of(frame)
            if time is None:
                losses.add("a frame has no time of its own, and was left out")
                continue
            if len(timing.shifts) > jumps:
                findings.notes.append(f"its clock jumps back at {_place(traits, time)}: what follows was moved to go on there")
            before, aspect = aspect, stream.codec_context.sample_aspect_ratio
            if before and aspect and before != aspect:
                findings.notes.append(f"its pixel aspect changes to {aspect} at {_place(traits, time)}: the first is kept")
            yield from _with_repeats(held, repeats, traits, until=time)
            held, losses.last = [_read(frame, traits, time, timing.length)], time
        yield from _with_repeats(held, repeats, traits, until=None)
        silent = sent - shown - losses.count
        if silent > 0 and not losses.ended and stream.codec_context.name in COUNTED and traits.fields <= PROGRESSIVE:
            losses.add(f"{silent:,} of its frames cannot be decoded")
        findings.shifts += timing.shifts
    findings.problems += losses.lines()


def _place(traits: Traits, time: int) -> str:
    return clock(float(time * traits.time_base))


def _with_repeats(held: list[Read], repeats: deque[int], traits: Traits, *, until: int | None) -> Iterator[Read]:
    """Yield the frame that waited, if there is one, and its repeats before a time; those of no frame are forgotten."""
    times = []
    while repeats and (until is None or repeats[0] < until):
        times.append(repeats.popleft())
    for read in held:
        # A frame that was handed on may be written to.
        copies = [_copied(read, traits, time) for time in times if time > read.time]
        yield read
        yield from copies


def _copied(read: Read, traits: Traits, time: int) -> Read:
    frame = av.VideoFrame(traits.width, traits.height, traits.planar)
    for plane, own in zip(frame.planes, read.frame.planes, strict=True):
        np.copyto(plane_of(plane, traits.signal.bits), plane_of(own, traits.signal.bits))
    return _read_planes(frame, traits, time, read.length)


def same_form(frame: av.VideoFrame, traits: Traits) -> bool:
    """Return whether a frame has the size and the pixel format of its film."""
    return (frame.width, frame.height, frame.format.name) == (traits.width, traits.height, traits.pixels)


@final
class Losses:
    """Count what could not be read of a film, for one line at the end."""

    def __init__(self, traits: Traits) -> None:
        self.last: int | None = None
        self.ended = False
        self.count = 0
        self._traits = traits
        self._first = ""

    def add(self, reason: str) -> None:
        """Count a loss; the reason of the first is kept."""
        if not self.count:
            self._first = f"{reason} (after {_place(self._traits, self.last or 0)})"
        self.count += 1

    def lines(self) -> list[str]:
        """Return the line, or nothing if nothing was lost."""
        if not self.count:
            return []
        more = f" and {self.count - 1:,} more of the kind" if self.count > 1 else ""
        what = "what comes after is left out" if self.ended else "what was readable is in the result"
        return [f"{self._first}{more}; {what}"]


def upright_frame(frame: av.VideoFrame, traits: Traits, *, short: int | None = None) -> NDArray[np.uint8]:
    """Return a decoded frame as a picture, ``(H, W, 3)`` uint8 RGB, turned as a viewer shows it.

    If its short side has more pixels than ``short``, it is brought down to so many.
    """
    from photochrom.photo.planes import upright

    scale = min(short / min(frame.width, frame.height), 1) if short else 1
    picture = frame.reformat(
        width=max(1, round(frame.width * scale)),
        height=max(1, round(frame.height * scale)),
        format="rgb24",
        src_colorspace=traits.signal.matrix if traits.planar == traits.pixels else None,
        src_color_range=2 if traits.signal.full else 1,
    ).to_ndarray()
    return np.ascontiguousarray(np.moveaxis(upright(np.moveaxis(picture, -1, 0), traits.orientation), 0, -1))


def _read(frame: av.VideoFrame, traits: Traits, time: int, length: int) -> Read:
    if traits.planar != traits.pixels or frame.planes[0].line_size < 0:
        computed = traits.signal.full and not traits.pixels.startswith(("yuv", "nv", "p0", "p2", "p4", "gray", "ya"))
        frame = frame.reformat(
            format=traits.planar,
            dst_colorspace=traits.signal.matrix if computed else None,
            src_color_range=2 if traits.signal.full else 1,
            dst_color_range=2 if traits.signal.full else 1,
        )
    return _read_planes(frame, traits, time, length)


def _read_planes(frame: av.VideoFrame, traits: Traits, time: int, length: int) -> Read:
    planes = [plane_of(plane, traits.signal.bits) for plane in frame.planes[:3]]
    return Read(frame, planes[0], (planes[1], planes[2]) if len(planes) == 3 else None, time, length)


def plane_of(plane: Any, bits: int) -> Plane:
    """View a plane of a frame as an array; writes go into the frame."""
    dtype = np.dtype(np.uint8) if bits == 8 else np.dtype("<u2")
    width = plane.line_size // dtype.itemsize
    rows: NDArray[Any] = np.frombuffer(plane, dtype)[: plane.height * width]
    return rows.reshape(plane.height, width)[:, : plane.width]


def halved(plane: Plane, height: int, width: int) -> Plane:
    """Average a plane of chroma of any size to the size of a result's."""
    if plane.shape == (height, width):
        return plane
    return np.asarray(cv2.resize(np.ascontiguousarray(plane), (width, height), interpolation=cv2.INTER_AREA))
