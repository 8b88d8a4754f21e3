from __future__ import annotations

import numpy as np
import pytest

from photochrom import color
from photochrom.errors import OptionError
from photochrom.evaluation.video import MOVE_SIDE, MOVES, Move, clip
from tests.support.testdata import picture

PHOTOGRAPHS = [picture("astronaut")[:200, :300], picture("coffee")[:300, :200]]


def film(move: Move, *, count: int = 16, seed: int = 0) -> tuple[np.ndarray, list[bool]]:
    frames, starts = zip(*clip(PHOTOGRAPHS, move, frames=count, seed=seed), strict=True)
    return np.stack(frames), list(starts)


@pytest.mark.parametrize("move", MOVES)
def test_every_move_is_a_film_of_its_own_and_the_same_again(move: Move) -> None:
    frames, starts = film(move)
    assert frames.shape == (16, MOVE_SIDE, MOVE_SIDE * 3 // 2, 3)
    assert frames.dtype == np.uint8
    assert starts == [index in ((0, 8) if move in ("cuts", "fades") else (0,)) for index in range(16)]
    changes = np.abs(np.diff(frames.astype(int), axis=0)).max((1, 2, 3))
    assert all(change > 0 for index, change in enumerate(changes) if index != 7), "something moves; 7 and 8 may both be black"
    np.testing.assert_array_equal(frames, film(move)[0])
    assert (frames != film(move, seed=1)[0]).any()


def test_fades_come_out_of_black_and_go_into_it() -> None:
    frames, _ = film("fades", count=32)
    brightness = frames.mean((1, 2, 3))
    assert brightness[[0, 15, 16, 31]].max() < 1
    assert brightness[8] > 30


def test_grain_is_new_in_each_frame_and_has_no_color() -> None:
    still = [np.full((200, 300, 3), (140, 120, 100), np.uint8)]
    frames = [frame for frame, _ in clip(still, "grain", frames=8)]
    luma, chroma = zip(*map(color.split, frames), strict=True)
    assert 0.03 < np.std(luma[0]) < 0.07
    assert abs(np.corrcoef(luma[0].ravel(), luma[1].ravel())[0, 1]) < 0.05
    assert np.std(chroma[0], axis=(1, 2)).max() < 0.004


def test_no_photographs_or_too_few_frames_are_refused() -> None:
    with pytest.raises(OptionError, match="0 photographs"):
        list(clip([], "pan"))
    with pytest.raises(OptionError, match="12 frames of 2"):
        list(clip(PHOTOGRAPHS, "cuts", frames=12))
