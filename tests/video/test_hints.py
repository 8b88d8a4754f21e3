"""Hints and references of a film hold through their scene, from cut to cut, whatever pieces it is colored in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from photochrom import color
from photochrom.cli import main
from photochrom.colorizer.colorizer import Colorizer
from photochrom.errors import OptionError
from photochrom.video import colorize, shots
from photochrom.video.coloring import FrameReference, parse_hint, parse_reference
from photochrom.video.colorize import FilmOptions, colorize_film
from tests.support import films
from tests.support.films import LOSSLESS

SCENE, HEIGHT, WIDTH = 20, 128, 192
COLOR = "#2040E0"


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make many segments of a short film."""
    for name, value in {"PIECE_FRAMES": 4, "SEGMENT_FRAMES": 8, "SEGMENT_LEAST": 4}.items():
        monkeypatch.setattr(shots, name, value)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of three scenes, in each of which the camera goes a pixel to the right with every frame."""
    scenes = [films.moving(SCENE, HEIGHT, WIDTH, seed=seed) for seed in (1, 2, 3)]
    scenes[1] = [255 - luma for luma in scenes[1]]
    frames = [films.frame_of(luma, "yuv420p") for scene in scenes for luma in scene]
    return films.write(tmp_path_factory.mktemp("film") / "in.mkv", frames)


@pytest.fixture(scope="module")
def colorizer() -> Colorizer:
    return Colorizer.load(threads=1)


def leading() -> tuple[float, ...]:
    """The palette of a photograph that is all blue."""
    return tuple(color.palette(color.split(np.full((8, 8, 3), (40, 70, 200), np.uint8))[1]).tolist())


def run(source: Path, target: Path, colorizer: Colorizer, *hints: str, lead: Any = (), **more: Any) -> list[np.ndarray]:
    """Color the film and give the chroma of its frames, ``(2, H, W)`` around 0."""
    references = tuple(FrameReference(frame, leading()) for frame in lead)
    options = FilmOptions(codec_options=LOSSLESS, hints=tuple(map(parse_hint, hints)), references=references)
    colorize_film(source, target, colorizer=colorizer, options=options, **more)
    return [np.stack(films.planes(frame)[1:]).astype(int) - 128 for frame in films.decoded(target)]


@pytest.mark.parametrize("frame", [SCENE, SCENE + 9, 2 * SCENE - 1])
def test_a_hint_holds_from_cut_to_cut(tmp_path: Path, source: Path, colorizer: Colorizer, frame: int) -> None:
    x, y = 100, 60
    plain = run(source, tmp_path / "plain.mkv", colorizer)
    hinted = run(source, tmp_path / "out.mkv", colorizer, f"{frame}:{x},{y}={COLOR}")
    wanted = color.split(np.array([[list(bytes.fromhex(COLOR[1:]))]], np.uint8))[1].reshape(2)
    for index, (one, two) in enumerate(zip(plain, hinted, strict=True)):
        if SCENE <= index < 2 * SCENE:
            column = x + frame - index
            change = (two - one)[:, y // 2 - 2 : y // 2 + 3, column // 2 - 2 : column // 2 + 3].mean((1, 2))
            assert change @ wanted / np.hypot(*wanted) > 12, index
        else:
            np.testing.assert_array_equal(one, two, err_msg=f"frame {index} is of another scene")


def test_a_run_that_was_broken_off_makes_the_same_of_hints(
    tmp_path: Path, source: Path, colorizer: Colorizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hint = f"{2 * SCENE - 1}:100,60={COLOR}"
    run(source, tmp_path / "whole.mkv", colorizer, hint)

    def stop(done: int, _: int | None) -> None:
        if done == SCENE + 13:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(source, tmp_path / "out.mkv", colorizer, hint, progress=stop)
    # What the first look found was noted.
    monkeypatch.setattr(colorize, "TemporaryFile", None)
    run(source, tmp_path / "out.mkv", colorizer, hint)
    assert (tmp_path / "out.mkv").read_bytes() == (tmp_path / "whole.mkv").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mkv", "whole.mkv"]


def test_a_hint_that_would_do_nothing_is_refused_before_the_work(tmp_path: Path, colorizer: Colorizer) -> None:
    spots = [
        np.kron(np.random.default_rng(seed).integers(60, 196, (8, 12)), np.ones((8, 8))).astype(np.uint8) for seed in (1, 2)
    ]
    frames = [films.frame_of(luma, "yuv420p", (spots[0], spots[1])) for luma in films.moving(6, HEIGHT, WIDTH)]
    source = films.write(tmp_path / "in.mkv", frames)
    with pytest.raises(OptionError, match="frame 2 is in color already, so that its hint does nothing"):
        run(source, tmp_path / "out.mkv", colorizer, f"2:5,5={COLOR}")
    with pytest.raises(OptionError, match="a hint is for frame 6, but the film has 6 frames: expected a number from 0 to 5"):
        run(source, tmp_path / "out.mkv", colorizer, f"6:5,5={COLOR}")
    assert [path.name for path in tmp_path.iterdir()] == ["in.mkv"]


@pytest.mark.parametrize("frame", [SCENE + 9, 2 * SCENE - 1])
def test_a_reference_leads_its_scene_from_cut_to_cut(tmp_path: Path, source: Path, colorizer: Colorizer, frame: int) -> None:
    plain = run(source, tmp_path / "plain.mkv", colorizer)
    led = run(source, tmp_path / "out.mkv", colorizer, lead=[frame])
    for index, (one, two) in enumerate(zip(plain, led, strict=True)):
        if SCENE <= index < 2 * SCENE:
            assert (two - one)[0].mean() > 3, f"frame {index} is no bluer"
        else:
            np.testing.assert_array_equal(one, two, err_msg=f"frame {index} is of another scene")


def test_a_reference_of_a_scene_goes_before_that_of_the_film(tmp_path: Path, source: Path, colorizer: Colorizer) -> None:
    shares = color.palette(color.split(np.full((8, 8, 3), (200, 90, 30), np.uint8))[1])
    warm = Colorizer(colorizer.model, replace(colorizer.options, palette=tuple(shares.tolist())))
    whole = run(source, tmp_path / "whole.mkv", warm)
    mixed = run(source, tmp_path / "mixed.mkv", warm, lead=[3])
    assert all((two - one)[0].mean() > 6 for one, two in zip(whole[:SCENE], mixed, strict=False))
    np.testing.assert_array_equal(mixed[SCENE:], whole[SCENE:])


def test_a_run_that_was_broken_off_makes_the_same_of_references(
    tmp_path: Path, source: Path, colorizer: Colorizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(source, tmp_path / "whole.mkv", colorizer, lead=[2 * SCENE - 1])

    def stop(done: int, _: int | None) -> None:
        if done == SCENE + 13:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(source, tmp_path / "out.mkv", colorizer, lead=[2 * SCENE - 1], progress=stop)
    monkeypatch.setattr(colorize, "TemporaryFile", None)  # what the first look found was noted
    run(source, tmp_path / "out.mkv", colorizer, lead=[2 * SCENE - 1])
    assert (tmp_path / "out.mkv").read_bytes() == (tmp_path / "whole.mkv").read_bytes()


def test_a_reference_that_cannot_lead_is_refused_before_the_work(tmp_path: Path, source: Path, colorizer: Colorizer) -> None:
    target = tmp_path / "out.mkv"
    with pytest.raises(OptionError, match="frames 25 and 30 are of one scene, which takes one reference"):
        run(source, target, colorizer, lead=[25, 30])
    with pytest.raises(OptionError, match="a reference is for frame 60, but the film has 60 frames"):
        run(source, target, colorizer, lead=[2, 60])
    with pytest.raises(OptionError, match="has no palette"):
        run(source, target, films.colorizer(), lead=[2])
    assert list(tmp_path.iterdir()) == []


def test_a_reference_names_a_frame_or_none() -> None:
    assert parse_reference("12:a.jpg") == (12, Path("a.jpg"))
    assert parse_reference("12:/x/3:b.jpg") == (12, Path("/x/3:b.jpg"))
    for text in ("a.jpg", "./12:a.jpg", "12:", "C:/a.jpg", "a12:b.jpg"):
        assert parse_reference(text) == (None, Path(text))


def test_the_command_takes_references_of_scenes(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    sea = np.random.default_rng(0).integers((0, 60, 160), (60, 120, 256), (64, 64, 3)).astype(np.uint8)
    for name in ("sea.png", "12:sea.png"):
        Image.fromarray(sea).save(name)

    def command(*arguments: str) -> int | str | None:
        with pytest.raises(SystemExit) as left:
            main(["video", str(source), "-o", "out.mkv", "--overwrite", *arguments])
        return left.value.code

    def chroma(*arguments: str) -> list[np.ndarray]:
        assert command("--crf", "0", "--preset", "ultrafast", *arguments) == 0
        return [films.planes(frame)[1].astype(int) for frame in films.decoded(Path("out.mkv"))]

    plain, scene = chroma(), chroma("--reference", "25:sea.png")
    with films.av.open("out.mkv") as result:
        assert "vividness 1, references: 1, from" in next(
            value for key, value in result.metadata.items() if key.lower() == "comment"
        )
    whole = chroma("--reference", "./12:sea.png")
    bluer = [[after.mean() - before.mean() > 3 for before, after in zip(plain, way, strict=True)] for way in (scene, whole)]
    assert bluer[0] == [SCENE <= index < 2 * SCENE for index in range(3 * SCENE)]
    assert all(bluer[1])
    capsys.readouterr()
    assert command("--reference", "sea.png", "--reference", "./12:sea.png") == 2
    assert "sea.png and 12:sea.png would both lead the whole film: name one" in capsys.readouterr().err
    assert command("--preview", "3", "--reference", "25:sea.png") == 2
    assert "--preview takes only a reference for the whole film" in capsys.readouterr().err
