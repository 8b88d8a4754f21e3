"""Open a film and describe its picture: size, color space, fields, turn, rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.filter import Graph
from av.packet import Packet

from photochrom.errors import FilmError, one_line
from photochrom.video.media.colorspace import BT709, BT2020, UNSTATED, WEIGHTS, Signal, assumed
from photochrom.video.media.timestamps import clock

RATE = Fraction(25)
"""Frames a second where a film states none that can be."""

NO_TIMES = 0x80
"""FFmpeg's flag of a format without time stamps, such as a raw stream of H.264."""
LATE_S = 1.0
"""A film that begins so many seconds after 0 gets a note."""

PROGRESSIVE, TOP_FIRST, BOTTOM_FIRST = 1, 2, 3
"""FFmpeg's numbers of a film without fields, and of an interlaced one by the field that is shown first."""

TURNS = {
    (1, 0, 0, 1): 1,
    (-1, 0, 0, 1): 2,
    (-1, 0, 0, -1): 3,
    (1, 0, 0, -1): 4,
    (0, 1, 1, 0): 5,
    (0, 1, -1, 0): 6,
    (0, -1, -1, 0): 7,
    (0, -1, 1, 0): 8,
}
"""EXIF's orientation by where a display matrix sends the stored x and y axes."""


@dataclass(frozen=True)
class Traits:
    """What a film's picture is, and its result's has to be."""

    index: int
    """Of the stream."""
    width: int
    height: int
    signal: Signal
    pixels: str
    """Pixel format of its frames, as FFmpeg names it."""
    planar: str
    """Pixel format that they are brought to, which has luma in a plane of its own; the same where they have it."""
    aspect: Fraction | None
    """Width of a pixel by its height; none where that is not stated."""
    rate: Fraction
    """Frames a second, on average."""
    time_base: Fraction
    """Unit of its time stamps in seconds."""
    fields: int
    """Order of the fields as FFmpeg counts it: ``TOP_FIRST`` or ``BOTTOM_FIRST``; 0 and 1 are of a film that has none."""
    turn: tuple[int, ...] | None
    """The display matrix."""
    orientation: int
    """The same as EXIF's 1 to 8; 1 where it is no quarter turn."""
    frames: int | None
    """How many there should be, where that is stated or can be told."""
    seconds: float | None
    """Length that the container states."""
    captions: bool = False
    """Whether there are closed captions inside the picture's own stream."""
    notes: tuple[str, ...] = ()
    """What of the source is not kept, or is to be known."""


def address(path: Path) -> str:
    """Return a path as FFmpeg takes it: absolute, or a colon in it would end the name of a protocol."""
    return str(path.absolute())


def opened(path: Path, *, parsed: bool = True) -> av.container.InputContainer:
    """Open a film only for reading.

    Args:
        path: the film.
        parsed: whether packets are frames; else they are as the container holds them, each with a flag if it is not whole.

    Raises:
        FilmError: it is missing, unreadable or no film.
    """
    if path.is_dir():
        raise FilmError(f"{path}: is a folder; give one film")
    try:
        # Attachments and titles may hold what is no text in UTF-8; that must not keep a film from being read.
        options = {} if parsed else {"fflags": "noparse"}
        return av.open(address(path), "r", metadata_errors="replace", options=options)
    except (OSError, av.error.FFmpegError) as error:
        reason = getattr(error, "strerror", None) or one_line(error)
        raise FilmError(
            f"{path}: cannot be read as a film ({reason}); check the path, or restore it from a good copy"
        ) from error


def examine(path: Path) -> Traits:
    """Describe a film's picture from its head and first frame.

    Raises:
        FilmError: it cannot be read, has no picture, or one whose luma cannot be kept.
    """
    with opened(path) as container:
        stream = _picture(container, path)
        stream.thread_type = "AUTO"
        problems: list[str] = []
        frame = next(decoded(container, stream, problems.append), None)
        if frame is None:
            raise FilmError(f"{path}: not one frame can be read ({problems[0] if problems else 'it has none'}); restore it")
        signal, planar = _signal(frame, stream, path)
        turn = _turn(frame)
        context, notes = stream.codec_context, []
        rates = [stream.average_rate, stream.guessed_rate]
        untimed = bool(int(container.format.flags) & NO_TIMES)
        if untimed or context.name in ("mpeg1video", "mpeg2video"):  # of a raw stream FFmpeg takes the average to be 25
            rates.reverse()
        rate = Fraction(next((rate for rate in rates if rate and 1 <= rate <= 300), RATE))
        unit = Fraction(stream.time_base or Fraction(1, 90_000))
        if untimed:
            notes.append(f"it has no time stamps: it is timed at {float(rate):.6g} frames a second")
            unit = 1 / (2 * rate)  # a field
        seconds = container.duration / av.time_base if container.duration else None
        begin = float((frame.pts or 0) * Fraction(stream.time_base or 0))
        if begin >= LATE_S:
            notes.append(f"it begins at {clock(begin)}, as its time stamps say")
        fields = _fields(frame, context.field_order)
        if fields > 1:
            notes.append("it is interlaced: the fields stay woven as they are")
        if planar != frame.format.name and frame.format.is_rgb | frame.format.has_palette:
            notes.append(f"it is stored as {frame.format.name}, not as luma and chroma: its luma was computed")
        if any(component.is_alpha for component in frame.format.components):
            notes.append("its transparency is left out")
        if len([other for other in container.streams.video if not is_cover(other)]) > 1:
            notes.append("it has several pictures: the first is in color, the others are copied")
        return Traits(
            index=stream.index,
            width=frame.width,
            height=frame.height,
            signal=signal,
            pixels=frame.format.name,
            planar=planar,
            aspect=stream.sample_aspect_ratio or None,
            rate=rate,
            time_base=unit,
            fields=fields,
            turn=turn,
            orientation=orientation(turn),
            frames=stream.frames or (math.ceil(seconds * rate) if seconds else None),
            seconds=seconds,
            captions=_captioned(frame),
            notes=tuple(notes),
        )


def orientation(turn: tuple[int, ...] | None) -> int:
    """Return EXIF's orientation of a display matrix; 1 for none, and for other than quarter turns."""
    if turn is None:
        return 1
    unit = 1 << 16
    return TURNS.get(tuple(round(turn[place] / unit) for place in (0, 1, 3, 4)), 1)  # type: ignore[arg-type]


def _picture(container: av.container.InputContainer, path: Path) -> av.VideoStream:
    """Find the stream that is the film: the first that is no cover picture."""
    for stream in container.streams.video:
        if not is_cover(stream):
            return stream
    raise FilmError(f"{path}: has no video stream; give a film")


def is_cover(stream: Any) -> bool:
    """Return whether a stream is a cover picture rather than a film."""
    return bool(int(stream.disposition) & int(av.stream.Disposition.attached_pic))


def picture_stream(container: av.container.InputContainer, traits: Traits) -> av.VideoStream:
    """Return the picture's stream of an examined film."""
    return next(stream for stream in container.streams.video if stream.index == traits.index)


def decoded(
    container: av.container.InputContainer,
    stream: av.VideoStream,
    lost: Callable[[str], None],
    wanted: Callable[[Packet[av.VideoStream]], bool] | None = None,
    repeated: Callable[[Packet[av.VideoStream]], None] | None = None,
) -> Iterator[av.VideoFrame]:
    """Decode what can be decoded.

    Args:
        container: the film.
        stream: its picture.
        lost: gets the reason for each packet that cannot be decoded.
        wanted: says of each packet whether it is decoded; without it, all are.
        repeated: gets each empty packet, which repeats the frame before it.
    """
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except (av.error.FFmpegError, OSError) as error:
            lost(f"the file cannot be read on: {reason(error)}")
            packet = None
        if packet is not None and not packet.size and (packet.pts, packet.dts) != (None, None):
            if repeated:
                repeated(packet)
            continue
        if wanted and packet is not None and packet.size and not wanted(packet):
            continue
        try:
            yield from stream.decode(packet if packet is not None and packet.size else None)
        except av.error.EOFError:
            return
        except av.error.FFmpegError as error:
            lost(f"damaged: {reason(error)}")
        if packet is None or not packet.size:
            return


def reason(error: Exception) -> str:
    """Return the reason of an error of FFmpeg or the system."""
    return str(getattr(error, "strerror", None) or one_line(error))


def _fields(frame: av.VideoFrame, stated: int) -> int:
    """Return the order of fields: that of the frame if it has one, else the stated one."""
    if not frame.interlaced_frame:
        return {4: BOTTOM_FIRST, 5: TOP_FIRST}.get(stated, stated)  # of fields that are coded and shown in opposite orders
    graph = Graph()
    begin = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 25))
    top = graph.add("select", r"eq(interlace_type\,TOPFIRST)")
    graph.link_nodes(begin, top, graph.add("buffersink")).configure()
    graph.vpush(frame)
    try:
        graph.vpull()
    except BlockingIOError:  # it was not let through
        return BOTTOM_FIRST
    return TOP_FIRST


def _captioned(frame: av.VideoFrame) -> bool:
    try:
        return "A53_CC" in frame.side_data
    except ValueError:  # it has data of a kind that PyAV has no name for, such as EXIF
        return False


def _turn(frame: av.VideoFrame) -> tuple[int, ...] | None:
    try:
        found: Any = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:
        if not frame.rotation:
            return None
        turn = math.radians(frame.rotation)
        unit, cosine, sine = 1 << 16, round(math.cos(turn)), round(math.sin(turn))
        return (cosine * unit, -sine * unit, 0, sine * unit, cosine * unit, 0, 0, 0, 1 << 30)
    return None if found is None else tuple(int(number) for number in np.frombuffer(bytes(found), "<i4"))


def _signal(frame: av.VideoFrame, stream: av.VideoStream, path: Path) -> tuple[Signal, str]:
    """Find how a film stores color, and the pixel format in which its luma is a plane."""
    form, context = frame.format, stream.codec_context
    name, bits = form.name, form.components[0].bits
    if not 1 <= bits <= 16:
        raise FilmError(f"{path}: is stored as {name}, whose luma has {bits} bits; convert it to 16 or fewer first")
    computed = form.is_rgb or form.has_palette or form.is_bit_stream or name.startswith("xyz")
    if computed:
        bits = 8 if bits <= 8 else 10 if bits <= 10 else 12 if bits <= 12 else 16
        grey = form.is_bit_stream or name.startswith(("mono", "gray"))
        return Signal(bits, True, assumed(0, 480), assumed(0, 480), 13), _named("gray" if grey else "yuv444p", bits)
    matrix = frame.colorspace if frame.colorspace not in (0, UNSTATED) else assumed(frame.width, frame.height)
    if matrix not in WEIGHTS:
        raise FilmError(f"{path}: its color matrix is number {matrix} of H.273, which has no plain luma; convert it to BT.709")
    primaries = context.color_primaries
    if primaries == UNSTATED:
        primaries = matrix if matrix in (BT709, 5, 6, 7, BT2020) else UNSTATED
    stated = context.color_range or frame.color_range
    # FFmpeg takes grey formats for full range where nothing is stated.
    full = stated == 2 or name.startswith("yuvj") or (stated == 0 and name.startswith(("gray", "ya")))
    return Signal(bits, full, matrix, primaries, context.color_trc), _planar(form)


def _named(base: str, bits: int) -> str:
    return base if bits == 8 else f"{base}{bits}le"


def _planar(form: av.VideoFormat) -> str:
    """Name the pixel format of the same samples that has luma in a plane of its own, in this machine's byte order."""
    name, bits = form.name, form.components[0].bits
    if name.startswith(("gray", "ya")):
        return _named("gray", bits)
    if name.startswith("yuv") and form.is_planar and not form.is_big_endian:
        return name
    # A format of 64 x 64 pixels tells how many of them share a sample of chroma.
    chroma = next(part for part in av.VideoFormat(name, 64, 64).components if part.is_chroma)
    return _named({(64, 64): "yuv444p", (32, 64): "yuv422p"}.get((chroma.width, chroma.height), "yuv420p"), bits)
