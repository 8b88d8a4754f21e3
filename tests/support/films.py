"""Make the films that the tests share, and take films apart."""

from __future__ import annotations

import hashlib
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.codec.context import Flags
from av.filter import Graph
from av.packet import Packet
from numpy.typing import NDArray

from photochrom.colorizer.colorizer import Colorizer, Options
from photochrom.colorizer.model import Model
from photochrom.video.colorize import FilmOptions, Report, colorize_film
from tests.support import models, testdata

LOSSLESS = (("qp", "0"), ("preset", "ultrafast"))
"""Options by which libx264 keeps every sample, of 8 bits and of 10."""


def colorizer(**options: Any) -> Colorizer:
    """Give a network of three operators, which makes color out of luma."""
    return Colorizer(Model(models.content(json.dumps(models.table())), source="small.onnx", threads=1), Options(**options))


def color(source: Path, target: Path, *, coloring: dict[str, Any] | None = None, **options: Any) -> Report:
    """Color a film with that network, without loss unless codec options say otherwise."""
    codec_options, progress = options.pop("codec_options", LOSSLESS), options.pop("progress", None)
    return colorize_film(
        source,
        target,
        colorizer=colorizer(**coloring or {}),
        options=FilmOptions(codec_options=codec_options, **options),
        progress=progress,
    )


def moving(count: int, height: int = 64, width: int = 96, *, seed: int = 0) -> list[NDArray[np.uint8]]:
    """Pan over a grey picture, a pixel a frame."""
    whole = testdata.grey(height, width + count, seed=seed)
    return [np.ascontiguousarray(whole[:, index : index + width]) for index in range(count)]


def frame_of(luma: NDArray[Any], pixels: str, chroma: tuple[NDArray[Any], NDArray[Any]] | None = None) -> av.VideoFrame:
    """Make a frame of planes: luma as it is, and chroma, or none."""
    frame = av.VideoFrame(luma.shape[1], luma.shape[0], pixels)
    bits = frame.format.components[0].bits
    kind = np.dtype("u1" if bits == 8 else "<u2")
    for number, plane in enumerate(frame.planes):
        view = np.frombuffer(plane, kind).reshape(plane.height, -1)[:, : plane.width]
        view[:] = luma if number == 0 else chroma[number - 1] if chroma else 1 << (bits - 1)
    return frame


def write(
    path: Path,
    frames: list[av.VideoFrame],
    *,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    times: list[int] | None = None,
    time_base: Fraction = Fraction(1, 24),
    tags: dict[str, int] | None = None,
    rotation: int = 0,
    extras: bool = False,
    metadata: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    fields: str = "",
    sound_codec: str = "aac",
) -> Path:
    """Write frames as a film, with sound, subtitles, chapters and, where the container holds one, an attachment if asked.

    With fields, ``tff`` or ``bff``, it is encoded as interlaced.
    """
    with av.open(str(path), "w", container_options=container_options or {}) as out:
        stream: Any = out.add_stream(
            codec, rate=24, options={"qp": "0"} if codec == "libx264" and options is None else options or {}
        )
        stream.width, stream.height, stream.pix_fmt = frames[0].width, frames[0].height, frames[0].format.name
        stream.time_base = stream.codec_context.time_base = time_base
        if fields:
            both = Flags.interlaced_dct | Flags.interlaced_me
            stream.codec_context.flags = int(stream.codec_context.flags) | int(both)
        for name, value in (tags or {}).items():
            setattr(stream.codec_context, name, value)
        if rotation:
            stream.set_display_rotation(rotation)
        out.metadata.update(metadata or {"title": "A walk"})
        sound: Any = out.add_stream("libopus" if path.suffix == ".webm" else sound_codec, rate=48_000) if extras else None
        subtitles: Any = None
        if extras and path.suffix in (".mkv", ".mp4"):
            kind = "mov_text" if path.suffix == ".mp4" else "subrip"
            subtitles = out.add_mux_stream(kind, time_base=Fraction(1, 1000))
            subtitles.metadata["language"] = "eng"
        if extras:
            chapter = {"id": 1, "start": 0, "end": 500, "time_base": Fraction(1, 1000), "metadata": {"title": "The park"}}
            out.set_chapters([chapter])
        if extras and path.suffix == ".mkv":
            out.add_attachment("note.txt", "text/plain", b"found in the attic")
        for number, frame in enumerate(frames):
            frame.pts, frame.time_base = times[number] if times else number, time_base
            out.mux(stream.encode(filtered(frame, "setfield", fields)[0] if fields else frame))
        out.mux(stream.encode(None))
        if sound:
            length = sum(1 for _ in frames) * 2000
            for start in range(0, length, 960):
                samples = np.sin(np.arange(start, start + 960) / 20).astype(np.float32)[None]
                piece = av.AudioFrame.from_ndarray(np.repeat(samples, 2, 0), "fltp", "stereo")
                piece.pts, piece.sample_rate, piece.time_base = start, 48_000, Fraction(1, 48_000)
                out.mux(sound.encode(piece))
            out.mux(sound.encode(None))
        if subtitles:
            packet = Packet(b"\0\5Hello" if path.suffix == ".mp4" else b"Hello")
            packet.stream, packet.time_base, packet.pts, packet.dts, packet.duration = (
                subtitles,
                Fraction(1, 1000),
                100,
                100,
                400,
            )
            out.mux(packet)
    return path


def grey_film(path: Path, count: int = 24, *, seed: int = 0, **more: Any) -> Path:
    """Write a grey film of limited range and 8 bits."""
    return write(path, [frame_of(luma, "yuv420p") for luma in moving(count, seed=seed)], **more)


def filtered(frame: av.VideoFrame, name: str, argument: str) -> list[av.VideoFrame]:
    """Give what a filter of FFmpeg's makes of a frame: it, or nothing."""
    graph = Graph()
    begin = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base)
    graph.link_nodes(begin, graph.add(name, argument), graph.add("buffersink")).configure()
    graph.vpush(frame)
    try:
        return [graph.vpull()]
    except BlockingIOError:
        return []


def decoded(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def planes(frame: av.VideoFrame) -> list[NDArray[Any]]:
    kind = np.dtype("u1" if frame.format.components[0].bits == 8 else "<u2")
    return [np.frombuffer(plane, kind).reshape(plane.height, -1)[:, : plane.width].copy() for plane in frame.planes]


def packets(path: Path, kind: str) -> list[tuple[Fraction, Fraction, str]]:
    """Give time, length and hash of all packets of a kind of stream."""
    with av.open(str(path)) as container:
        streams = [stream for stream in container.streams if stream.type == kind]
        return [
            (
                packet.pts * packet.time_base,
                (packet.duration or 0) * packet.time_base,
                hashlib.sha256(bytes(packet)).hexdigest(),
            )
            for packet in (container.demux(*streams) if streams else [])
            if packet.size
        ]


def times(path: Path) -> list[Fraction]:
    return [frame.pts * frame.time_base for frame in decoded(path)]


def readable(path: Path) -> list[av.VideoFrame]:
    """Decode what can be decoded of a damaged film."""
    found: list[av.VideoFrame] = []
    with av.open(str(path)) as container:
        packets = container.demux(video=0)
        while True:
            try:
                packet = next(packets, None)
            except av.error.FFmpegError:
                packet = None
            try:
                found += container.streams.video[0].decode(packet if packet is not None and packet.size else None)
            except av.error.EOFError:
                return found
            except av.error.FFmpegError:
                pass
            if packet is None or not packet.size:
                return found
