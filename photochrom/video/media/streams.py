"""Create the streams of a result: its picture, and copies of the other streams of the source."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from photochrom.errors import OptionError
from photochrom.video.media import matroska, probe
from photochrom.video.media.encode import configured
from photochrom.video.media.probe import Traits, opened

NEGATIVE = frozenset({"mp4", "mov"})
"""Containers that hold time stamps below 0."""
FINEST = 1_000_000
"""Units a second from which on mp4 and mov choose their own: they have 32 bits for how long a frame lasts."""
TIMECODED = frozenset({"mov", "mp4", "mxf", "matroska", "webm"})
"""Containers whose writer stores the timecode that the picture's metadata state."""

HELD = {
    "mpegts": {
        "audio": {"aac", "aac_latm", "mp1", "mp2", "mp3", "ac3", "eac3", "dts", "truehd", "opus", "s302m", "pcm_bluray"},
        "subtitle": {"dvb_subtitle", "dvb_teletext", "hdmv_pgs_subtitle", "hdmv_text_subtitle"},
    }
}
"""Codecs of sound and subtitles that a container has a name for, where its writer takes others as data without one."""
COVERS = {"mjpeg": ("jpg", "image/jpeg"), "png": ("png", "image/png"), "bmp": ("bmp", "image/bmp"), "gif": ("gif", "image/gif")}
"""Ending and kind of a cover picture by FFmpeg's name of its codec."""

STALE = ("BPS", "DURATION", "NUMBER_OF_", "_STATISTICS", "ENCODER", "encoder")
"""Beginnings of entries that describe the encoded picture that is replaced."""
COMMON = {
    *("title", "artist", "album_artist", "composer", "album", "date", "comment", "genre", "copyright", "grouping", "lyrics"),
    *("description", "synopsis", "show", "episode_id", "network", "keywords", "creation_time", "encoder"),
    *("major_brand", "minor_version", "compatible_brands"),
}
"""Entries that mp4 holds in their common form."""


@dataclass(frozen=True)
class Made:
    """Settings by which the picture of a result is encoded."""

    codec: str
    options: Mapping[str, str]
    threads: int
    container: str
    credit: str
    """What the result says of its colors."""
    dropped: frozenset[int]
    """Numbers of streams of the source that are left out."""


def check_dropped(source: Path, traits: Traits, dropped: Sequence[int]) -> None:
    """Refuse to leave out the picture, or a stream that is not there; raises OptionError."""
    with opened(source) as container:
        there = ", ".join(f"{stream.index} ({stream.type})" for stream in container.streams)
        for number in dropped:
            if number == traits.index:
                raise OptionError(f"stream {number} is the picture that is colored: --drop expects another of {there}")
            if not 0 <= number < len(container.streams):
                raise OptionError(f"there is no stream {number} to leave out: --drop expects one of {there}")


def lay_out(
    source: av.container.InputContainer, output: av.container.OutputContainer, traits: Traits, made: Made
) -> tuple[av.VideoStream, dict[int, Any]]:
    """Add the streams of a result.

    Args:
        source: the film.
        output: the result, to which nothing has been written.
        traits: of the film.
        made: how the picture is encoded.

    Returns:
        The picture, and the streams that are copied by their number in the source.

    Raises:
        OptionError: the container does not hold a stream.
    """
    copies: dict[int, Any] = {}
    picture: av.VideoStream | None = None
    for stream in source.streams:
        if stream.index == traits.index:
            picture = _picture(output, source, traits, made)
            continue
        if stream.index in made.dropped or _rewritten(stream, made.container):
            continue
        if probe.is_cover(stream) and made.container == "matroska":
            output.add_attachment(*_cover(source, stream))  # it would become a film of one frame
            continue
        if probe.is_cover(stream) and (made.container != "mp4" or tagged(source, made)):
            what = "no cover picture" + (" beside metadata of uncommon names" if made.container == "mp4" else "")
            raise OptionError(
                f"{made.container} holds {what} (stream {stream.index}): write an .mkv, or leave it out (--drop {stream.index})"
            )
        try:
            if _foreign(stream, made.container):
                raise ValueError(_kind(stream))
            copy = output.add_stream_from_template(stream, opaque=True)
        except (ValueError, av.error.FFmpegError) as error:
            what = f"{made.container} holds no {stream.type} of the kind {_kind(stream)} (stream {stream.index})"
            other = "a file of the source's kind" if made.container in ("matroska", "webm") else "an .mkv"
            raise OptionError(f"{what}: write {other}, or leave it out (--drop {stream.index})") from error
        copy.metadata.update(stream.metadata)
        copy.disposition = stream.disposition
        if stream.type != "attachment":
            copies[stream.index] = copy
    assert picture is not None
    output.metadata.update(metadata(source, made))
    output.set_chapters(source.chapters())
    return picture, copies


def unheld(source: av.container.InputContainer, traits: Traits, made: Made) -> dict[int, str]:
    """Find the data streams that a container does not hold by trying each with the picture; return a note for each."""
    found = {}
    for stream in source.streams:
        if stream.type not in ("data", "unknown") or stream.index in made.dropped or _rewritten(stream, made.container):
            continue
        code = stream.metadata.get("timecode")
        try:
            if code:
                raise ValueError(code)  # a count of frames that only some readers know
            with av.open(io.BytesIO(), "w", format=made.container) as trial:
                _picture(trial, source, traits, made)
                trial.add_stream_from_template(stream, opaque=True)
                trial.start_encoding()
        except (ValueError, OSError, av.error.FFmpegError):
            what = f"timecode {code}" if code else f"{stream.type}, {_kind(stream)}"
            found[stream.index] = f"stream {stream.index} ({what}) is left out: {made.container} does not hold it"
    return found


def _foreign(stream: Any, container: str) -> bool:
    """Return whether a container would hold a stream only as data that nobody can read."""
    return container in HELD and stream.type in HELD[container] and _kind(stream) not in HELD[container][stream.type]


def _rewritten(stream: Any, container: str) -> bool:
    """Return whether a stream is one that the container's writer makes itself: of chapters, or of the timecode."""
    if stream.type != "data":
        return False
    chapters = container in NEGATIVE and stream.discard == av.stream.Discard.all
    return chapters or ("timecode" in stream.metadata and container in TIMECODED)


def _kind(stream: Any) -> str:
    return getattr(stream.codec_context, "name", None) or getattr(stream, "name", None) or "unknown"


def _cover(source: av.container.InputContainer, stream: Any) -> tuple[str, str, bytes]:
    """Return name, kind and content of a cover picture."""
    said = {key.lower(): value for key, value in stream.metadata.items()}
    ending, kind = COVERS.get(stream.codec_context.name, ("bin", "application/octet-stream"))
    with opened(Path(source.name)) as again:
        content = next((bytes(packet) for packet in again.demux(again.streams[stream.index]) if packet.size), b"")
    return said.get("filename", f"cover.{ending}"), said.get("mimetype", kind), content


def tagged(source: av.container.InputContainer, made: Made) -> bool:
    """Return whether the metadata have names that mp4 and mov hold only in a form of their own."""
    return made.container in NEGATIVE and not COMMON.issuperset(key.lower() for key in metadata(source, made))


def fits(traits: Traits) -> bool:
    """Return whether mp4 and mov hold the film's own unit of time."""
    return traits.time_base.denominator <= FINEST


def _picture(
    output: av.container.OutputContainer, source: av.container.InputContainer, traits: Traits, made: Made
) -> av.VideoStream:
    stream = source.streams[traits.index]
    try:
        picture: Any = output.add_stream(made.codec, rate=traits.rate, options=dict(made.options))
    except ValueError as error:
        raise OptionError(
            f"{made.container} does not hold video by {made.codec}: choose another codec, or write an .mkv"
        ) from error
    header = bool(int(picture.codec_context.flags) & int(av.codec.context.Flags.global_header))
    configured(picture.codec_context, made.codec, traits, made.options, threads=made.threads, header=header)
    picture.metadata.update({key: value for key, value in stream.metadata.items() if not key.startswith(STALE)})
    codes = [other.metadata["timecode"] for other in source.streams if other.type == "data" and "timecode" in other.metadata]
    if codes and "timecode" not in picture.metadata:
        picture.metadata["timecode"] = codes[0]
    if matroska.states_aspect(made.container, traits.aspect):
        picture.metadata["title"] = picture.metadata.get("title", "") + matroska.PADDING
    picture.disposition = stream.disposition
    if made.container in NEGATIVE and fits(traits):
        picture.time_base = traits.time_base
    if traits.turn is not None:
        picture.set_display_matrix(traits.turn)
    return picture  # type: ignore[no-any-return]


def metadata(source: av.container.InputContainer, made: Made) -> dict[str, str]:
    """Return the metadata of the result: those of the source, and whose guess its colors are."""
    found = {key: value for key, value in source.metadata.items() if key not in ("encoder", "ENCODER")}
    name = next((key for key in found if key.lower() == "comment"), "comment")
    found[name] = "\n".join(filter(None, [found.get(name), made.credit]))
    return found
