from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from skimage import data

from photochrom.evaluation.video import clip
from photochrom.photo.planes import luma_of
from photochrom.video.temporal import alike, look

PHOTOGRAPHS = [getattr(data, name)()[:300, :400] for name in ("astronaut", "chelsea", "coffee", "rocket", "cat")]


@pytest.mark.parametrize("move", ["pan", "zoom", "grain"])
@pytest.mark.parametrize("photograph", PHOTOGRAPHS[:3], ids=["astronaut", "chelsea", "coffee"])
def test_frames_of_a_scene_are_alike_seconds_apart(photograph: np.ndarray, move: str) -> None:
    film = [look(luma_of(picture)) for picture, _ in clip([photograph], move, frames=48)]  # type: ignore[arg-type]
    assert all(alike(one, two) for one, two in zip(film[::12], film[12::12], strict=False))


def test_different_photographs_are_not_alike() -> None:
    looks = [look(luma_of(photograph)) for photograph in PHOTOGRAPHS[:4]]
    assert not any(alike(one, two) for one, two in combinations(looks, 2))


def test_what_has_no_corners_is_compared_by_correlation() -> None:
    slope = np.tile(np.linspace(20, 220, 160), (120, 1)).astype(np.uint8)
    assert look(slope).marks is None
    assert alike(look(slope), look(slope))
    assert not alike(look(slope), look(np.ascontiguousarray(np.tile(np.linspace(20, 220, 120), (160, 1)).T.astype(np.uint8))))
    assert not alike(look(np.full((9, 12), 90, np.uint8)), look(luma_of(PHOTOGRAPHS[0])))
