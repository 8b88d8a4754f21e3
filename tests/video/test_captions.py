"""Closed captions inside the picture's own stream: CEA-708 data in messages of H.264 (ATSC A/53, part 4)."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
from av.packet import Packet

from photochrom.video.colorize import FilmOptions, colorize_film
from tests.support import films

COUNT = 24
SEI, SLICES = 6, (1, 5)
"""Kinds of parts of a picture in H.264."""


def message(caption: bytes) -> bytes:
    """Make a part of a picture that holds two bytes of line 21 as user data; none of them must look like a start code."""
    data = b"\xb5\x00\x31GA94\x03" + b"\x41\xff\xfc" + caption + b"\xff"
    return b"\0\0\0\1" + bytes([SEI, 4, len(data)]) + data + b"\x80"


def captioned(path: Path, pixels: str = "yuv420p") -> None:
    """Write a film with a caption for each frame."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24, width=96, height=64, pix_fmt=pixels)
        frames = [films.frame_of(luma, pixels) for luma in films.moving(COUNT)]
        for number, frame in enumerate(frames):
            frame.pts = number
        for packet in [each for frame in [*frames, None] for each in stream.encode(frame)]:
            assert packet.pts is not None
            data, at = bytes(packet), 0
            while data[at : at + 3] != b"\0\0\1" or data[at + 3] & 31 not in SLICES:
                at += 1
            at -= data[at - 1] == 0
            number = round(packet.pts * packet.time_base * 24)
            told = Packet(data[:at] + message(bytes([0x20 + number, 0x61])) + data[at:])
            told.pts, told.dts, told.time_base, told.stream = packet.pts, packet.dts, packet.time_base, stream
            told.is_keyframe = packet.is_keyframe
            container.mux_one(told)


def captions(path: Path) -> list[bytes | None]:
    """Give the captions of each frame."""
    with av.open(str(path)) as container:
        found = [frame.side_data.get("A53_CC") for frame in container.decode(video=0)]
        return [None if each is None else bytes(each) for each in found]


@pytest.mark.parametrize(("codec", "ending"), [("libx264", ".mkv"), ("libx264", ".mp4"), ("mpeg2video", ".ts")])
def test_captions_come_through(tmp_path: Path, codec: str, ending: str) -> None:
    source, result = tmp_path / "film.ts", tmp_path / f"color{ending}"
    captioned(source)
    report = colorize_film(source, result, colorizer=films.colorizer(), options=FilmOptions(codec=codec))
    assert captions(result) == captions(source) == [bytes([0xFC, 0x20 + number, 0x61]) for number in range(COUNT)]
    assert not any("captions" in note for note in report.notes)


@pytest.mark.parametrize(("codec", "pixels"), [("ffv1", "yuv420p"), ("libx264", "yuv422p")])
def test_a_note_says_where_captions_are_left_out(tmp_path: Path, codec: str, pixels: str) -> None:
    source, result = tmp_path / "film.ts", tmp_path / "color.mkv"
    captioned(source, pixels)
    report = colorize_film(source, result, colorizer=films.colorizer(), options=FilmOptions(codec=codec))
    assert captions(result) == [None] * COUNT
    assert any("captions" in note for note in report.notes)
