from __future__ import annotations

from collections.abc import Iterable, Iterator

import cv2
import numpy as np
import pytest
from skimage import data

from photochrom.evaluation.video import clip
from photochrom.photo.planes import luma_of
from photochrom.video.temporal import Cuts, kind_of

PHOTOGRAPHS = [getattr(data, name)()[:300, :400] for name in ("astronaut", "chelsea", "coffee", "rocket")]


def frames(move: str, *, count: int = 24, which: slice = slice(None)) -> Iterator[np.ndarray]:
    for picture, _ in clip(PHOTOGRAPHS[which], move, frames=count):  # type: ignore[arg-type]
        yield cv2.resize(luma_of(picture), (160, 128), interpolation=cv2.INTER_AREA)


def found(film: Iterable[np.ndarray]) -> list[int]:
    cuts = Cuts()
    return [index for index, frame in enumerate(film) if cuts.push(frame, kind_of(frame))]


@pytest.mark.parametrize("move", ["pan", "zoom", "grain"])
def test_camera_moves_and_grain_are_no_cuts(move: str) -> None:
    for which in range(len(PHOTOGRAPHS)):
        assert found(frames(move, which=slice(which, which + 1))) == [0]


def test_every_cut_is_found_and_nothing_else() -> None:
    assert found(frames("cuts", count=40)) == [0, 10, 20, 30]


def test_a_cut_in_grain_is_found() -> None:
    film = [frame for which in range(4) for frame in frames("grain", count=8, which=slice(which, which + 1))]
    assert found(film) == [0, 8, 16, 24]


def test_scenes_that_fade_into_each_other_through_black_are_parted_there() -> None:
    starts = found(frames("fades", count=96))
    assert len(starts) == 4
    for start, scene in zip(starts, (0, 24, 48, 72), strict=True):
        assert 0 <= start - scene <= 3, "as soon as there is something to see"


def test_a_flash_a_dark_frame_and_a_torn_frame_part_no_scene() -> None:
    film = list(frames("pan", which=slice(1, 2)))
    film[6] = np.clip(film[6].astype(float) * 2.2 + 60, 0, 255).astype(np.uint8)
    film[7] = np.clip(film[7].astype(float) * 1.5 + 30, 0, 255).astype(np.uint8)
    film[12] = np.full_like(film[12], 255)
    film[17] = np.zeros_like(film[17])
    film[20] = (film[20] * 0.3).astype(np.uint8)
    assert found(film) == [0]


def test_a_scene_goes_on_after_the_light_is_switched() -> None:
    film = list(frames("pan", which=slice(0, 1)))
    film[10:] = [np.clip(frame * 0.45 + 10, 0, 255).astype(np.uint8) for frame in film[10:]]
    assert found(film) == [0]


def test_black_leader_belongs_to_the_first_scene() -> None:
    black = [np.zeros((128, 160), np.uint8)] * 5
    assert found([*black, *frames("pan", which=slice(2, 3))]) == [0]


def test_tiny_frames_are_taken() -> None:
    random = np.random.default_rng(0)
    film = [np.full((8, 12), 90, np.uint8), *random.integers(0, 255, (3, 8, 12)).astype(np.uint8)]
    assert found(film)[0] == 0
