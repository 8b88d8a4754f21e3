"""Assemble a film from encoded segments and, packet by packet, the other streams of the source."""

from __future__ import annotations

import errno
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any, final

import av
from av.packet import Packet

from photochrom.errors import OptionError, OutputError
from photochrom.video.media import matroska, probe
from photochrom.video.media.encode import LIMITED, SHAPED, Encoder, captioned, chroma_step, fielded, new_frame, put
from photochrom.video.media.probe import Traits, opened
from photochrom.video.media.streams import FINEST, NEGATIVE, Made, fits, lay_out, tagged, unheld
from photochrom.video.media.timestamps import BACK_S, packet_time
from photochrom.video.resume import Chunk, Segment, Work

CONTAINERS = {
    **dict.fromkeys((".mp4", ".m4v"), "mp4"),
    ".mov": "mov",
    **dict.fromkeys((".mkv", ".mk3d"), "matroska"),
    ".webm": "webm",
    **dict.fromkeys((".ts", ".mts", ".m2ts"), "mpegts"),
    ".avi": "avi",
    ".mxf": "mxf",
}
"""FFmpeg's name of a container by the ending of a file's name."""

CLOCKED = frozenset({"avi", "mpegts", "mxf"})
"""Containers that do not hold time stamps as they are."""
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS})
"""Numbers of errors that are the disk's, not the container's."""

TRIED = 32
"""Packets of sound and subtitles with which a container is tried."""


def encoder(made: Made, traits: Traits) -> Encoder:
    """Open the encoder of one segment; raises OptionError if it refuses."""
    header = av.format.Flags.global_header in av.format.Flags(av.ContainerFormat(made.container, "w").flags)
    return Encoder(made.codec, traits, made.options, threads=made.threads, header=header)


def container_of(target: Path) -> str:
    """Return FFmpeg's name of the container that a file's ending names; raises OptionError if films are not written to it."""
    found = CONTAINERS.get(target.suffix.lower())
    if found is None:
        raise OptionError(f"'{target}' does not name a container for film: expected one of {', '.join(CONTAINERS)}")
    return found


def check(source: Path, draft: Path, *, traits: Traits, made: Made) -> tuple[Made, list[str]]:
    """Try whether the encoder and the container take the film, with a grey frame and the first packets of sound.

    Returns:
        How the result is made without the data streams that the container does not hold; and notes on these.

    Raises:
        OptionError: the encoder or the container refuses.
        OutputError: the draft cannot be written.
        FilmError: the source can no longer be opened.
    """
    trial = encoder(made, traits)
    frame = new_frame(traits, chroma_step(made.codec, traits))
    for number in range(len(frame.planes)):
        put(frame, number, traits.signal.grey, bits=traits.signal.bits)
    try:
        with opened(source) as container:
            left = unheld(container, traits, made)
            made = replace(made, dropped=made.dropped | set(left))
            with _created(draft, container, made, begin=Fraction(0)) as output:
                picture, copies = lay_out(container, output, traits, made)
                _begin(output, made)
                begin = container.streams[traits.index].start_time or 0
                for chunk in (*trial.encode(frame), *trial.finish()):  # some containers refuse no sooner
                    output.mux_one(_packet(chunk, picture, traits, pts=begin, dts=begin))
                for packet in islice(_others(container, copies, []), TRIED):
                    packet.stream = copies[packet.stream.index]
                    output.mux_one(packet)
    except av.error.FFmpegError as error:
        raise _failed(draft, made, error) from error
    draft.unlink()
    return made, list(left.values())


def assemble(
    source: Path, draft: Path, *, traits: Traits, made: Made, work: Work, done: Sequence[Segment], shifts: Sequence[Fraction]
) -> list[str]:
    """Write the result.

    Args:
        source: the film.
        draft: the file to write.
        traits: of the film.
        made: how it was encoded.
        work: holds the segments.
        done: the segments.
        shifts: for each jump of the source's clock back, the seconds by which all that follows is moved.

    Returns:
        What of the source could not be read.

    Raises:
        OptionError: the container does not take a stream.
        OutputError: it cannot be written.
        FilmError: the source cannot be opened any more.
    """
    problems: list[str] = []
    begin = work.chunks(0)[0].times[0] * traits.time_base
    try:
        with opened(source) as container, _created(draft, container, made, begin=begin) as output:
            picture, copies = lay_out(container, output, traits, made)
            _begin(output, made)
            encoded = bytes(picture.codec_context.extradata or b"").hex()
            if any(segment.extradata != encoded for segment in done):
                raise OutputError(
                    f"{made.codec} changes its parameters between segments, which cannot be joined: choose another codec"
                )
            ours = _packets(traits, work, done, picture)
            if made.container == "avi":
                ours = _counted(ours, traits)
            waiting = next(ours, None)
            for packet in _others(container, copies, problems, shifts):
                at = packet_time(packet)
                while waiting is not None and (at is None or (packet_time(waiting) or 0) <= at):
                    output.mux_one(waiting)
                    waiting = next(ours, None)
                packet.stream = copies[packet.stream.index]
                output.mux_one(packet)
            while waiting is not None:
                output.mux_one(waiting)
                waiting = next(ours, None)
    except av.error.FFmpegError as error:
        raise _failed(draft, made, error) from error
    if traits.aspect and matroska.states_aspect(made.container, traits.aspect):
        matroska.state_aspect(draft, traits.width, traits.height, traits.aspect)
    return problems


def remarks(traits: Traits, made: Made) -> list[str]:
    """Return notes on what is not kept as it is: time stamps, pixel aspect, range, fields, captions."""
    container, notes = made.container, []
    if container in ("matroska", "webm") and (traits.time_base * 1000).denominator != 1:
        notes.append(f"{container} counts milliseconds: time stamps are rounded to them")
    elif container in NEGATIVE and not fits(traits):
        notes.append(f"{container} counts no unit as short as {traits.time_base} s: time stamps are rounded")
    elif container in CLOCKED:
        notes.append(f"{container} has a clock of its own: time stamps are moved or rounded")
    if made.codec == "mjpeg" and not traits.signal.full:
        notes.append("JPEG has full range, and the film has not: players that do not know FFmpeg's mark for it show it flat")
    if container == "avi" and traits.aspect not in (None, 1) and made.codec not in SHAPED:
        notes.append(f"avi with {made.codec} holds no pixel aspect: {traits.aspect} is left out")
    if traits.signal.full and made.codec in LIMITED:
        notes.append(f"{made.codec} stores limited range: luma is converted to it")
    if traits.fields > 1 and not fielded(made.codec, traits):
        notes.append(f"{made.codec} does not code its fields as such: the result is marked progressive")
    if traits.captions and not captioned(made.codec, traits):
        notes.append("closed captions inside the picture are left out: libx264 and mpeg2video keep those of films in 4:2:0")
    return notes


def _created(draft: Path, source: av.container.InputContainer, made: Made, *, begin: Fraction) -> av.container.OutputContainer:
    # Without a random number, and the time of day, in it, a film that is made again is the same file.
    options = {"fflags": "+bitexact"}
    if made.container in ("matroska", "webm"):
        options["avoid_negative_ts"] = "disabled"  # it is the time of decoding that may be negative, which is not stored there
    if made.container == "avi" and source.start_time:
        options["output_ts_offset"] = f"{-source.start_time}us"  # it would be filled with empty frames from 0 on
    if made.container in NEGATIVE and begin.denominator <= FINEST:
        options["movie_timescale"] = str(math.lcm(1000, begin.denominator))  # units a second of when the picture begins
    if tagged(source, made):
        options["movflags"] = "use_metadata_tags"
    try:
        return av.open(probe.address(draft), "w", format=made.container, container_options=options)
    except (OSError, av.error.FFmpegError) as error:
        raise OutputError(f"{draft.parent}: cannot be written ({probe.reason(error)}); choose another place") from error


def _begin(output: av.container.OutputContainer, made: Made) -> None:
    try:
        output.start_encoding()
    except (ValueError, av.error.FFmpegError) as error:
        if isinstance(error, OSError):
            raise
        raise _refused(made, error) from error


def _failed(draft: Path, made: Made, error: av.error.FFmpegError) -> OptionError | OutputError:
    """Return the error for a full or broken disk, or for a container that refuses."""
    if error.errno in FULL:
        return OutputError(f"{draft.parent}: cannot be written ({probe.reason(error)}); choose another place")
    return _refused(made, error)


def _refused(made: Made, error: Exception) -> OptionError:
    what = f"{made.container} does not take these streams, the picture by {made.codec} ({probe.reason(error)})"
    return OptionError(f"{what}: write an .mkv, choose another codec (--codec), or drop some (--drop)")


def _packets(traits: Traits, work: Work, done: Sequence[Segment], stream: av.VideoStream) -> Iterator[Packet[Any]]:
    """Yield the packets of all segments with their times.

    A packet is decoded at the time of the frame that is shown ``delay`` frames before the one of its own place in the file:
    never after its own frame is shown, and later than the packet before it.
    """
    delay = max((segment.delay for segment in done), default=0)
    step = max(1, round(1 / (traits.rate * traits.time_base)))
    tail: list[int] | None = None
    for number in range(len(done)):
        index, chunks = work.chunks(number)
        if tail is None:
            tail = [index.times[0] - (delay - place) * step for place in range(delay)]
        decoded = tail + list(index.times)
        tail = decoded[len(decoded) - delay :]
        for dts, chunk in zip(decoded, chunks, strict=False):
            packet = _packet(chunk, stream, traits, pts=index.times[chunk.place], dts=dts)
            packet.duration = index.lengths[chunk.place]
            yield packet


def _counted(packets: Iterator[Packet[Any]], traits: Traits) -> Iterator[Packet[Any]]:
    """Time packets in whole frames, each later than the one before it, which is all that AVI holds."""
    last: int | None = None
    for packet in packets:
        shown, decoded = (round((at or 0) * traits.time_base * traits.rate) for at in (packet.pts, packet.dts))
        last = decoded if last is None else max(decoded, last + 1)
        packet.time_base = 1 / traits.rate
        packet.pts, packet.dts, packet.duration = max(shown, last), last, 1
        yield packet


def _packet(chunk: Chunk, stream: av.VideoStream, traits: Traits, *, pts: int, dts: int) -> Packet[Any]:
    packet: Packet[Any] = Packet(chunk.data)
    packet.stream = stream
    packet.time_base = traits.time_base
    packet.pts, packet.dts = pts, dts
    packet.is_keyframe = chunk.key
    return packet


def _others(
    container: av.container.InputContainer, copies: Mapping[int, Any], problems: list[str], shifts: Sequence[Fraction] = ()
) -> Iterator[Packet[Any]]:
    """Read what is copied, as far as that can be read; where the clock jumps back, what follows is moved as the picture is."""
    streams = [stream for stream in container.streams if stream.index in copies]
    if not streams:
        return
    clocks = {stream.index: _Clock(shifts) for stream in streams}
    packets = container.demux(*streams)
    while True:
        try:
            packet = next(packets, None)
        except (OSError, av.error.FFmpegError) as error:
            problems.append(f"its sound or subtitles cannot be read to their end ({probe.reason(error)})")
            return
        if packet is None:
            return
        if packet.size:
            clocks[packet.stream.index].move(packet)
            yield packet


@final
class _Clock:
    """Move the packets of one stream where the clock of its film jumps back."""

    def __init__(self, shifts: Sequence[Fraction]) -> None:
        self._shifts = list(shifts)
        self._shift = Fraction(0)
        self._before: Fraction | None = None
        self._last: int | None = None

    def move(self, packet: Packet[Any]) -> None:
        at = packet_time(packet)
        if at is None or not (self._shifts or self._shift):
            return
        if self._shifts and self._before is not None and self._before - at > BACK_S:
            self._shift = self._shifts.pop(0)
        self._before = at
        moved = round(self._shift / packet.time_base)
        if packet.dts is not None and moved:
            dts = packet.dts + moved
            packet.dts = dts if self._last is None else max(dts, self._last + 1)
        if packet.pts is not None and moved:
            packet.pts = max(packet.pts + moved, packet.dts if packet.dts is not None else packet.pts + moved)
        self._last = packet.dts
