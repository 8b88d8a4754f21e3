"""Hints of a film hold through their scene, from cut to cut, whatever pieces it is colored in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import films
import numpy as np
import pytest
from films import LOSSLESS

from photochrom import color
from photochrom.colorizer import Colorizer
from photochrom.errors import OptionError
from photochrom.video import film, pieces
from photochrom.video.coloring import parse_hint
from photochrom.video.film import FilmOptions, colorize_film

SCENE, HEIGHT, WIDTH = 20, 128, 192
COLOR = "#2040E0"


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make many segments of a short film."""
    for name, value in {"PIECE_FRAMES": 4, "SEGMENT_FRAMES": 8, "SEGMENT_LEAST": 4}.items():
        monkeypatch.setattr(pieces, name, value)


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


def run(source: Path, target: Path, colorizer: Colorizer, *hints: str, **more: Any) -> list[np.ndarray]:
    """Color the film and give the chroma of its frames, ``(2, H, W)`` around 0."""
    options = FilmOptions(codec_options=LOSSLESS, hints=tuple(map(parse_hint, hints)))
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
    monkeypatch.setattr(film, "TemporaryFile", None)
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
    with pytest.raises(OptionError, match="a hint is of frame 6, and the film has 6 frames"):
        run(source, tmp_path / "out.mkv", colorizer, f"6:5,5={COLOR}")
    assert [path.name for path in tmp_path.iterdir()] == ["in.mkv"]
