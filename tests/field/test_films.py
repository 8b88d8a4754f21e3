"""Faults of film that people met, each by its kind: steady color, frames that are lost, streams, clocks."""

from __future__ import annotations

import io
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from photochrom.colorizer.colorizer import Colorizer
from photochrom.errors import OptionError
from photochrom.photo.planes import luma_of
from photochrom.video.colorize import FilmOptions, colorize_film
from tests.support import films
from tests.support.films import color
from tests.video.test_propagate import Network, run

FILES = Path(__file__).parent / "data"
"""Films of a few kB, made for this project."""

LIGHTS: dict[str, Any] = {
    "plain": lambda luma: luma,
    "dark": lambda luma: luma * 0.25,
    "night": lambda luma: (luma / 255) ** 4 * 255,
    "overexposed": lambda luma: luma * 2.2 + 20,
}


def chroma(path: Path) -> list[float]:
    """Return the mean chroma of each frame, of 255."""
    planes = [frame.reformat(format="yuv444p").to_ndarray()[1:].astype(float) - 128 for frame in films.decoded(path)]
    return [float(np.hypot(*pair).mean()) for pair in planes]


def jump(path: Path) -> float:
    return max(abs(one - two) for one, two in pairwise(chroma(path)))


def colored(source: Path, target: Path, **options: Any) -> None:
    """Color a film by the model in the package."""
    colorize_film(source, target, colorizer=Colorizer.load(threads=1), options=FilmOptions(codec="ffv1", **options))


def panned(path: Path, name: str, light: str) -> Path:
    """Pan over a photograph, from one side to the other."""
    luma = luma_of(np.ascontiguousarray(getattr(data, name)())).astype(np.float32)
    luma = cv2.resize(LIGHTS[light](luma).clip(0, 255).astype(np.uint8), (320, 200), interpolation=cv2.INTER_AREA)
    frames = [films.frame_of(np.ascontiguousarray(luma[30:174, 2 * step : 2 * step + 192]), "gray") for step in range(64)]
    return films.write(path, frames, codec="ffv1")


# 1. Frames that look like titles in the middle of a picture.


@pytest.mark.parametrize("light", LIGHTS)
@pytest.mark.parametrize("name", ["astronaut", "rocket"])
def test_color_does_not_jump_in_a_pan(tmp_path: Path, name: str, light: str) -> None:
    colored(panned(tmp_path / "in.mkv", name, light), tmp_path / "out.mkv")
    assert jump(tmp_path / "out.mkv") < 1.0
    assert np.mean(chroma(tmp_path / "out.mkv")) > 0.1


def test_a_plane_in_a_white_sky_is_one_shot_in_steady_color(tmp_path: Path) -> None:
    colored(FILES / "airplane-white-sky.mkv", tmp_path / "out.mkv")
    assert jump(tmp_path / "out.mkv") < 1.0
    assert min(chroma(tmp_path / "out.mkv")) > 0.5


# 2. Frames that are lost in silence.


def test_empty_packets_repeat_a_frame(tmp_path: Path) -> None:
    report = color(FILES / "silent-12-in-24.ogv", tmp_path / "out.mkv")
    assert (report.frames, report.problems) == (48, ())
    times = films.times(tmp_path / "out.mkv")
    assert [round(time * 24) for time in times] == list(range(48))


def test_frames_that_cannot_be_decoded_are_told_of(tmp_path: Path) -> None:
    source = films.grey_film(tmp_path / "in.ts", 60, options={"g": "20", "bf": "0", "preset": "veryfast", "flags": "+cgop"})
    content = source.read_bytes()
    source.write_bytes(content[len(content) // 3 // 188 * 188 :])
    report = color(source, tmp_path / "out.mkv")
    assert 0 < report.frames < 60
    assert len(report.problems) == 1


# 3. Streams of data.


@pytest.mark.parametrize("ending", ["mkv", "mp4", "mov"])
def test_data_that_a_container_does_not_hold_is_left_out_with_a_note(tmp_path: Path, ending: str) -> None:
    report = color(FILES / "dvd-navigation-pulldown.mpg", tmp_path / f"out.{ending}")
    assert report.frames == 47
    assert [note for note in report.notes if "stream 0 (data, dvd_nav_packet) is left out" in note]
    assert report.problems == ()


@pytest.mark.parametrize("ending", ["mov", "mp4", "mkv", "mxf", "avi"])
def test_timecode_is_kept_or_left_out_with_a_note(tmp_path: Path, ending: str) -> None:
    target = tmp_path / f"out.{ending}"
    report = color(FILES / "prores-timecode.mov", target, codec_options=())
    assert (report.frames, report.problems) == (12, ())
    with av.open(str(target)) as after:
        said = [after.metadata, *(stream.metadata for stream in after.streams)]
        assert [stream.type for stream in after.streams][:2] == ["video", "audio"]
    codes = {value for entries in said for key, value in entries.items() if key.lower() == "timecode"}
    assert codes == (set() if ending == "avi" else {"01:00:00:00"})
    left = [note for note in report.notes if "(timecode 01:00:00:00) is left out" in note]
    assert bool(left) == (ending == "avi")


def test_sound_that_would_become_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"mpegts holds no audio of the kind pcm_s24le \(stream 1\)"):
        color(FILES / "prores-timecode.mov", tmp_path / "out.ts", codec_options=())


# 4. Clocks that jump back.


@pytest.mark.parametrize("ending", ["mkv", "mp4", "ts"])
def test_joined_recordings_go_on(tmp_path: Path, ending: str) -> None:
    parts = [films.grey_film(tmp_path / f"{seed}.ts", 48, seed=seed, extras=True, sound_codec="mp2") for seed in (0, 1)]
    (tmp_path / "in.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
    target = tmp_path / f"out.{ending}"
    report = color(tmp_path / "in.ts", target)
    assert (report.frames, report.problems) == (96, ())
    assert any("its clock jumps back at 0:00:0" in note for note in report.notes)
    times = films.times(target)
    assert times == sorted(set(times))
    assert times[-1] - times[0] == pytest.approx(95 / 24, abs=0.05)
    sounds = [packet[0] for packet in films.packets(target, "audio")]
    assert sounds == sorted(set(sounds))
    before = [films.packets(part, "audio")[-1][0] - films.times(part)[-1] for part in parts]
    assert float(sounds[-1] - times[-1]) == pytest.approx(float(before[1]), abs=0.05)


# 6. Shape of the pixels.


@pytest.mark.parametrize(
    ("ending", "codec"),
    [
        *(("webm", None), ("mkv", "ffv1"), ("mkv", "libsvtav1"), ("mkv", "libvpx-vp9"), ("mkv", "libx264")),
        *(("mp4", "libsvtav1"), ("mp4", None), ("mov", "prores_ks"), ("ts", None), ("mxf", None), ("avi", None)),
    ],
)
def test_the_shape_of_pixels_is_kept(tmp_path: Path, ending: str, codec: str | None) -> None:
    target = tmp_path / f"out.{ending}"
    color(FILES / "anamorphic.mp4", target, codec=codec, codec_options=())
    with av.open(str(target)) as after:
        assert after.streams.video[0].sample_aspect_ratio == Fraction(32, 27)
        assert "title" not in {key.lower() for key in after.streams.video[0].metadata}
        assert len(list(after.decode(video=0))) == 24


def test_a_shape_that_cannot_be_kept_is_noted(tmp_path: Path) -> None:
    report = color(FILES / "anamorphic.mp4", tmp_path / "out.avi", codec="ffv1", codec_options=())
    assert "avi with ffv1 holds no pixel aspect: 32/27 is left out" in report.notes


def test_the_name_of_a_track_stays_beside_its_shape(tmp_path: Path) -> None:
    with av.open(str(FILES / "anamorphic.mp4")) as film, av.open(str(tmp_path / "in.mkv"), "w") as out:
        stream = out.add_stream_from_template(film.streams.video[0], opaque=True)
        stream.metadata["title"] = "Reel 3"
        for packet in film.demux(video=0):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    color(tmp_path / "in.mkv", tmp_path / "out.mkv", codec="ffv1", codec_options=())
    with av.open(str(tmp_path / "out.mkv")) as after:
        assert after.streams.video[0].metadata["title"] == "Reel 3"
        assert after.streams.video[0].sample_aspect_ratio == Fraction(32, 27)


# 8. Motion JPEG with EXIF.


@pytest.mark.parametrize(("orientation", "rotation"), [(1, 0), (6, -90), (3, 180), (8, 90)])
def test_motion_jpeg_with_exif(tmp_path: Path, orientation: int, rotation: int) -> None:
    with av.open(str(tmp_path / "in.avi"), "w") as out:
        stream: Any = out.add_stream("mjpeg", rate=24, width=96, height=64, pix_fmt="yuvj420p")
        for number, luma in enumerate(films.moving(4)):
            file, exif = io.BytesIO(), Image.Exif()
            exif[0x010F], exif[0x0112] = "Maker", orientation
            Image.fromarray(luma).convert("RGB").save(file, "JPEG", exif=exif)
            packet = av.Packet(file.getvalue())
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, number, number, Fraction(1, 24)
            out.mux_one(packet)
    assert color(tmp_path / "in.avi", tmp_path / "out.mkv").frames == 4
    assert films.decoded(tmp_path / "out.mkv")[0].rotation % 360 == rotation % 360


# 9. Streams without time stamps.


def test_a_raw_stream_has_the_rate_that_it_states(tmp_path: Path) -> None:
    report = color(FILES / "raw-24fps.h264", tmp_path / "out.mp4")
    assert report.frames == 48
    assert "it has no time stamps: it is timed at 24 frames a second" in report.notes
    assert films.times(tmp_path / "out.mp4") == [Fraction(number, 24) for number in range(48)]
    with av.open(str(tmp_path / "out.mp4")) as after:
        assert after.duration == 2 * av.time_base


# 13. An iris that opens.


def test_an_iris_that_opens_keeps_no_color_of_its_first_view() -> None:
    rows, columns = np.mgrid[:64, :96]
    view = (120 + 60 * np.sin(columns / 9) * np.cos(rows / 7)).astype(np.uint8)
    frames = [np.where(np.hypot(rows - 32, columns - 48) < 2 * step, view, 0).astype(np.uint8) for step in range(2, 66)]

    def wrong_at_first(luma: NDArray[Any], _: int) -> NDArray[Any]:
        return np.full((2, *luma.shape), 0.3 if (luma < 0.1).mean() > 0.5 else -0.1, np.float32)

    colors, _ = run(frames, Network(wrong_at_first))
    assert np.abs(np.asarray(colors[-1]) + 0.1).max() < 0.02
    assert np.abs(np.asarray(colors[40]) + 0.1).max() < 0.04
