"""A preview shows the scenes of a film, each once, and says which frames it shows."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage import data

from photochrom.cli import main
from photochrom.errors import FilmError
from photochrom.evaluation.video import clip
from photochrom.photo.planes import luma_of
from photochrom.video import preview
from photochrom.video.media import decode as reading
from photochrom.video.media import probe
from tests.support import films, models

SIZE = (120, 160)


def scene(name: str, count: int) -> list[np.ndarray]:
    """A pan over a photograph that comes with scikit-image."""
    film = clip([getattr(data, name)()[:300, :400]], "pan", frames=count)
    return [cv2.resize(luma_of(picture), SIZE[::-1], interpolation=cv2.INTER_AREA) for picture, _ in film]


def title(text: str) -> np.ndarray:
    page = np.full(SIZE, 20, np.uint8)
    cv2.putText(page, text, (20, 70), cv2.FONT_HERSHEY_SIMPLEX, 1, 230, 1)
    return page


def write(path: Path, lumas: list[np.ndarray], **more: object) -> Path:
    options = {"preset": "veryfast", "qp": "16", "g": "24"}
    return films.write(path, [films.frame_of(luma, "yuv420p") for luma in lumas], options=options, **more)


def shown(source: Path, count: int) -> list[int]:
    return [moment.frame for moment in preview.scenes(source, count, colorizer=films.colorizer())]


UNEQUAL = [*scene("astronaut", 200), *scene("chelsea", 12), *scene("coffee", 12)]


def which(frames: list[int]) -> list[int]:
    """Say of which scene each frame is."""
    return [int(np.searchsorted([200, 212], frame, "right")) for frame in frames]


@pytest.mark.parametrize("whole", [1_500, 10], ids=["all frames", "key frames"])
def test_each_scene_is_shown_once_however_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: int) -> None:
    monkeypatch.setattr(preview, "WHOLE_FRAMES", whole)
    source = write(tmp_path / "in.mkv", UNEQUAL)
    assert which(shown(source, 3)) == [0, 1, 2]
    assert which(shown(source, 2)) == [0, 1], "spread evenly over scenes"
    frames = shown(source, 6)
    assert which(frames) == [0, 0, 0, 0, 1, 2], "the longest is shown more than once"
    assert len(set(frames)) == 6
    assert max(np.diff([0, *frames[:4], 200])) < 90, "and all of it"


def test_of_many_scenes_every_other_one_is_shown(tmp_path: Path) -> None:
    names = ("astronaut", "chelsea", "coffee", "rocket")
    lumas = [luma for number in range(12) for luma in scene(names[number % 4], 8)]
    assert [frame // 8 for frame in shown(write(tmp_path / "in.mkv", lumas), 6)] == [0, 2, 4, 6, 8, 10]


@pytest.mark.parametrize("whole", [1_500, 10], ids=["all frames", "key frames"])
def test_titles_and_black_are_left_out_unless_there_is_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: int
) -> None:
    monkeypatch.setattr(preview, "WHOLE_FRAMES", whole)
    black, card = [np.full(SIZE, 16, np.uint8)] * 30, [title("THE END")] * 30
    film = [*black, *card, *scene("chelsea", 30), *black, *card, *scene("coffee", 30), *card]
    assert [frame // 30 for frame in shown(write(tmp_path / "in.mkv", film), 2)] == [2, 5]
    assert {frame // 30 for frame in shown(write(tmp_path / "in.mkv", film), 4)} == {2, 5}
    assert shown(write(tmp_path / "in.mkv", [*black, *card]), 1)[0] // 30 == 1
    assert len(shown(write(tmp_path / "in.mkv", black), 1)) == 1


@pytest.mark.parametrize("container", ["mkv", "mp4", "avi", "ts", "mov"])
@pytest.mark.parametrize("whole", [1_500, 10], ids=["all frames", "key frames"])
def test_the_numbers_are_those_of_the_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, container: str, whole: int
) -> None:
    monkeypatch.setattr(preview, "WHOLE_FRAMES", whole)
    steps = np.random.default_rng(0).integers(20, 90, 100)
    varies = {"times": np.cumsum(steps).tolist(), "time_base": Fraction(1, 1000)} if container == "mkv" else {}
    source = write(tmp_path / f"in.{container}", scene("astronaut", 100), **varies)
    traits, frames = probe.examine(source), films.decoded(source)
    times = [read.time * traits.time_base for read in reading.frames(source, traits, reading.Findings())]
    for moment in preview.scenes(source, 4, colorizer=films.colorizer()):
        assert moment.seconds == pytest.approx(float(times[moment.frame] - times[0]), abs=1e-3)
        wanted = reading.upright_frame(frames[moment.frame], traits, short=120)
        off = [np.abs(reading.upright_frame(frame, traits, short=120).astype(int) - moment.picture).mean() for frame in frames]
        assert np.argmin(off) == moment.frame, "another frame is more like it"
        assert np.abs(wanted.astype(int) - moment.picture).mean() < 2


def test_it_decodes_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write(tmp_path / "in.mkv", scene("astronaut", 240))
    decode, count = probe.decoded, 0

    def counted(*arguments):
        nonlocal count
        for frame in decode(*arguments):
            count += 1
            yield frame

    monkeypatch.setattr(probe, "decoded", counted)
    for name, value in {"WHOLE_FRAMES": 100, "KEYS": 4}.items():
        monkeypatch.setattr(preview, name, value)
    assert shown(source, 1) == [120]
    assert count == 1 + 4, "one to examine it, and four key frames of ten"
    assert [frame % 24 for frame in shown(source, 10)] == [0] * 10


def test_a_film_without_times_or_with_one_key_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write(tmp_path / "in.h264", scene("astronaut", 100))
    frames = shown(source, 3)
    assert len(set(frames)) == 3
    assert {frame % 24 for frame in frames} == {0}, "spread over its bytes"
    monkeypatch.setattr(preview, "WHOLE_FRAMES", 10)
    films.grey_film(tmp_path / "in.mkv", 60)
    assert shown(tmp_path / "in.mkv", 3) == [0]


def test_a_turned_film_is_shown_upright_and_a_broken_one_as_far_as_it_goes(tmp_path: Path) -> None:
    films.grey_film(tmp_path / "turned.mp4", 4, rotation=90)
    turned = preview.scenes(tmp_path / "turned.mp4", 2, colorizer=films.colorizer())
    assert [moment.picture.shape for moment in turned] == [(96, 64, 3)] * 2
    source = write(tmp_path / "in.mkv", UNEQUAL)
    content = source.read_bytes()
    source.write_bytes(content[: len(content) // 2])
    assert set(which(shown(source, 3))) == {0}
    source.write_bytes(content[:1000])
    with pytest.raises(FilmError, match="one frame can be read"):
        shown(source, 3)


def test_the_command_writes_a_sheet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.onnx").write_bytes(models.content(json.dumps(models.table())))
    write(Path("in.mkv"), UNEQUAL)
    for more, said in (([], "in.mkv -> in.preview.jpg\n"), (["--quiet"], ""), (["--json"], None)):
        with pytest.raises(SystemExit) as left:
            main(["video", "in.mkv", "--preview", "3", "--model", "small.onnx", "--overwrite", *more])
        assert left.value.code == 0
        out, err = capsys.readouterr()
        assert err == ""
        assert said in (out, None)
    assert json.loads(out) == {"source": "in.mkv", "output": "in.preview.jpg", "frames": [100, 206, 218]}
    with Image.open("in.preview.jpg") as sheet:
        page = np.asarray(sheet.convert("L")).astype(int)
    pictures = [luma_of(moment.picture) for moment in preview.scenes(Path("in.mkv"), 3, colorizer=films.colorizer())]
    height, width = 256, round(256 / SIZE[0] * SIZE[1])
    for picture, (top, left) in zip(pictures, ((10, 10), (10, 2 * width + 22), (296, 10)), strict=True):
        cell = page[top : top + height, left : left + width]
        assert np.abs(cell - cv2.resize(picture, (width, height), interpolation=cv2.INTER_CUBIC)).mean() < 4
        caption = page[top + height : top + height + 20, left : left + width]
        assert np.ptp(caption) > 100, "the number of the frame"
