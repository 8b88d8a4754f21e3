"""Faults of film that people met, each by its kind: what is in color, subtitles, names, encoders, notes, options."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from photochrom.cli import main
from photochrom.errors import OptionError
from photochrom.photo.planes import luma_of
from tests.support import films, models
from tests.support.films import color

FILES = Path(__file__).parent / "data"


def view(count: int) -> list[NDArray[np.uint8]]:
    """Pan over a photograph, as luma of limited range."""
    luma = cv2.resize(luma_of(np.ascontiguousarray(data.astronaut())), (320, 320), interpolation=cv2.INTER_AREA)
    return [(luma[60:204, step : step + 256] * 0.85 + 16).astype(np.uint8) for step in range(count)]


def halved(plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(plane, (128, 72), interpolation=cv2.INTER_AREA), np.uint8)


def command(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert isinstance(left.value.code, int)
    return left.value.code


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("small.onnx").write_bytes(models.content(json.dumps(models.table())))
    return tmp_path


# 5. Noise that passes for color, and color that is kept.


def test_faint_noise_is_no_color(tmp_path: Path) -> None:
    assert color(FILES / "grey-with-faint-chroma-noise.mkv", tmp_path / "out.mkv").kept == 0


def test_the_rainbow_of_composite_video_is_no_color(tmp_path: Path) -> None:
    frames = []
    for number, luma in enumerate(view(48)):
        fine = (luma.astype(float) - cv2.blur(luma, (5, 5)))[::2, ::2]
        phase = number * np.pi + np.add.outer(np.arange(72), np.arange(128)) * 0.35
        blue, red = (np.clip(128 + fine * way(phase), 0, 255).astype(np.uint8) for way in (np.cos, np.sin))
        frames.append(films.frame_of(luma, "yuv420p", (blue, red)))
    source = films.write(tmp_path / "in.mkv", frames, codec="ffv1")
    assert color(source, tmp_path / "out.mkv").kept == 0


@pytest.mark.usefixtures("folder")
def test_a_film_in_color_says_that_it_is_kept_and_its_preview_shows_it(capsys: pytest.CaptureFixture[str]) -> None:
    picture = cv2.resize(np.ascontiguousarray(data.astronaut()), (320, 320))[60:204]
    own = [av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[:, step : step + 256]), "rgb24") for step in range(24)]
    films.write(Path("in.mkv"), [frame.reformat(format="yuv420p") for frame in own])
    quick = ("--codec-option", "qp=0", "--model", "small.onnx", "--overwrite")
    assert command("video", "in.mkv", "-o", "out.mkv", *quick) == 0
    said = "24 of 24 frames are in color already and keep their color; --on-color recolor colors them again"
    assert capsys.readouterr().out == f"in.mkv -> out.mkv\nin.mkv: {said}\n"
    assert command("video", "in.mkv", "--preview", "1", "--model", "small.onnx") == 0
    with Image.open("in.preview.jpg") as sheet:
        page = np.asarray(sheet.convert("RGB")).astype(int)
    width = round(256 / 144 * 256)
    cells = [page[10:266, 10 + number * (width + 4) :][:, : width - 8] for number in (1, 2)]
    assert np.abs(cells[0] - cells[1]).mean() < 12, "colored as it is"
    assert np.ptp(cells[0], axis=2).mean() > 20


# 7. A subtitle in color.


def test_a_yellow_subtitle_keeps_its_color_and_takes_none_from_the_scene(tmp_path: Path) -> None:
    frames, inside = [], np.zeros((72, 128), bool)
    for number, luma in enumerate(view(48)):
        blue, red = np.full_like(luma, 128), np.full_like(luma, 128)
        if 16 <= number < 40:
            for plane, level in ((luma, 200), (blue, 30), (red, 145)):
                cv2.putText(plane, "Where is the train?", (20, 120), cv2.FONT_HERSHEY_SIMPLEX, 0.6, level, 2)
            inside = halved(blue) < 60
        frames.append(films.frame_of(luma, "yuv420p", (halved(blue), halved(red))))
    source = films.write(tmp_path / "in.mkv", frames, codec="ffv1")
    assert color(source, tmp_path / "out.mkv").kept == 0
    after = [films.planes(frame)[1].astype(int) for frame in films.decoded(tmp_path / "out.mkv")]
    before = [films.planes(frame)[1].astype(int) for frame in films.decoded(source)]
    assert np.abs(after[30] - before[30])[inside].max() <= 1, "the subtitle keeps its color"
    outside = ~cv2.dilate(inside.astype(np.uint8), np.ones((9, 9), np.uint8)).astype(bool)
    spread = [float(np.abs(plane[outside] - 128).mean()) for plane in after]
    assert min(spread) > 2
    assert np.abs(np.diff(spread)).max() < 1, "the scene has one color, with a subtitle and without"


# 10. Names with a colon.


def test_names_with_a_colon(folder: Path) -> None:
    films.grey_film(Path("plain.mkv"), 3).rename("12:30 file:walk.mkv")
    assert command("video", "12:30 file:walk.mkv", "-o", "12:30 pipe:color.mkv", "--model", "small.onnx") == 0
    assert len(films.decoded(folder / "12:30 pipe:color.mkv")) == 3


# 11. Encoders of studios.


@pytest.mark.parametrize(("codec", "ending"), [("prores_ks", "mov"), ("prores_ks", "mxf"), ("dnxhd", "mov"), ("dnxhd", "mxf")])
@pytest.mark.parametrize("pixels", ["yuv420p", "yuvj420p", "yuv420p10le"])
def test_encoders_for_editing(tmp_path: Path, codec: str, ending: str, pixels: str) -> None:
    deep = 4 if "10" in pixels else 1
    lumas = [cv2.resize(luma, (1280, 720), interpolation=cv2.INTER_CUBIC).astype(np.uint16) * deep for luma in view(2)]
    source = films.write(tmp_path / "in.mkv", [films.frame_of(luma, pixels) for luma in lumas])
    report = color(source, tmp_path / f"out.{ending}", codec=codec, codec_options=())
    assert any("stores limited range" in note for note in report.notes) == (pixels == "yuvj420p")
    for one, two in zip(films.decoded(source), films.decoded(tmp_path / f"out.{ending}"), strict=True):
        assert two.format.name == "yuv422p10le"
        luma = films.planes(one)[0] / deep
        wanted = 16 + luma * 219 / 255 if "j" in pixels else luma
        assert np.abs(films.planes(two)[0] / 4 - wanted).mean() < 2
        assert np.ptp(films.planes(two)[1].astype(int)) > 40


# 12. What changes, or begins late.


def test_a_film_that_begins_late_says_so(tmp_path: Path) -> None:
    source = films.grey_film(tmp_path / "in.mkv", 6, times=[652 * 24 + number for number in range(6)])
    report = color(source, tmp_path / "out.mkv")
    assert "it begins at 0:10:52.0, as its time stamps say" in report.notes
    assert films.times(tmp_path / "out.mkv")[0] == 652


def joined(target: Path, parts: list[list[av.VideoFrame]], aspects: list[Fraction]) -> Path:
    """Write parts that are encoded on their own one after the other, as a stream of H.264 in packets of a transport stream."""
    with av.open(str(target), "w") as out:
        stream: Any = out.add_stream("libx264", rate=24, width=parts[0][0].width, height=parts[0][0].height)
        number = 0
        for frames, aspect in zip(parts, aspects, strict=True):
            encoder: Any = av.CodecContext.create("libx264", "w")
            encoder.width, encoder.height, encoder.pix_fmt = frames[0].width, frames[0].height, "yuv420p"
            encoder.time_base, encoder.framerate, encoder.sample_aspect_ratio = Fraction(1, 24), Fraction(24), aspect
            encoder.options = {"bf": "0", "preset": "ultrafast", "qp": "0"}
            for frame in frames:
                frame.pts, frame.time_base = number, Fraction(1, 24)
                number += 1
            for packet in [each for frame in [*frames, None] for each in encoder.encode(frame)]:
                packet.stream = stream
                out.mux_one(packet)
    return target


def test_an_aspect_that_changes_is_noted(tmp_path: Path) -> None:
    lumas = films.moving(24)
    parts = [[films.frame_of(luma, "yuv420p") for luma in lumas[:12]], [films.frame_of(luma, "yuv420p") for luma in lumas[12:]]]
    source = joined(tmp_path / "in.ts", parts, [Fraction(16, 15), Fraction(64, 45)])
    report = color(source, tmp_path / "out.mkv")
    assert report.frames == 24
    assert any(note.startswith("its pixel aspect changes to 64/45 at ") for note in report.notes)
    with av.open(str(tmp_path / "out.mkv")) as after:
        assert after.streams.video[0].sample_aspect_ratio == Fraction(16, 15)


def test_a_size_that_changes_is_a_problem_with_a_line(tmp_path: Path) -> None:
    parts = [[films.frame_of(luma, "yuv420p") for luma in films.moving(12, *size)] for size in ((64, 96), (96, 128))]
    report = color(joined(tmp_path / "in.ts", parts, [Fraction(1), Fraction(1)]), tmp_path / "out.mkv")
    assert report.frames == 12
    assert [problem[:43] for problem in report.problems] == ["its picture changes to 128 x 96 yuv420p: cu"]


# 15. Streams that are left out.


def test_dropping_the_picture_or_nothing_is_refused(tmp_path: Path) -> None:
    source = films.grey_film(tmp_path / "in.mkv", 3, extras=True)
    there = r"0 \(video\), 1 \(audio\), 2 \(subtitle\), 3 \(attachment\)"
    with pytest.raises(OptionError, match=rf"stream 0 is the picture that is colored: --drop expects another of {there}"):
        color(source, tmp_path / "out.mkv", dropped=(0,))
    for number in (4, -1):
        with pytest.raises(OptionError, match=rf"there is no stream {number} to leave out: --drop expects one of {there}"):
            color(source, tmp_path / "out.mkv", dropped=(number,))
    assert [path.name for path in tmp_path.iterdir()] == ["in.mkv"]
