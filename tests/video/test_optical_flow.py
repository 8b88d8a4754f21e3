from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest

from photochrom.video.temporal.denoise import clean
from photochrom.video.temporal.optical_flow import Motion, sample
from tests.support.testdata import grey


def moved(picture: np.ndarray, x: float, y: float) -> np.ndarray:
    """The middle of a picture, seen by a camera that is that far to the right and below."""
    matrix = np.array([[1, 0, 20 + x], [0, 1, 20 + y]], np.float32)
    return cv2.warpAffine(picture, matrix, (80, 64), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)


@pytest.fixture
def picture() -> np.ndarray:
    return cv2.GaussianBlur(grey(104, 120, seed=2), (0, 0), 1.5)


def test_a_camera_move_is_found_both_ways(picture: np.ndarray) -> None:
    on, back = Motion(64, 80).links(moved(picture, 0, 0), moved(picture, 3, -2))
    inner = np.s_[10:-10, 10:-10]
    np.testing.assert_allclose(np.median(on.flow[inner], (0, 1)), (-3, 2), atol=0.2)
    np.testing.assert_allclose(np.median(back.flow[inner], (0, 1)), (3, -2), atol=0.2)
    for link in (on, back):
        assert np.median(link.trust[inner]) > 0.9
        assert link.trust.min() >= 0
        assert link.trust.max() <= 1
        assert link.exposure == pytest.approx(1, abs=0.02)
    assert on.trust[:, :2].mean() < 0.3, "has left the frame"


def test_what_is_covered_is_not_trusted(picture: np.ndarray) -> None:
    one = two = moved(picture, 0, 0)
    two = two.copy()
    two[20:40, 30:50] = 255 - two[20:40, 30:50]
    on, back = Motion(64, 80).links(one, two)
    for link in (on, back):
        assert link.trust[24:36, 34:46].mean() < 0.5
        assert link.trust[45:, :25].mean() > 0.9


def test_exposure_is_told_from_motion_and_does_not_add_up(picture: np.ndarray) -> None:
    motion = Motion(64, 80)
    half = (moved(picture, 1, 0) * 0.5 + 20).astype(np.uint8)
    on, back = motion.links(moved(picture, 0, 0), half)
    assert on.exposure == pytest.approx(2, rel=0.05)
    assert back.exposure == pytest.approx(0.5, rel=0.05)
    assert np.median(on.trust[10:-10, 10:-10]) > 0.8
    random = np.random.default_rng(0)
    film = [
        np.clip(moved(picture, 0.5 * index, 0) + random.normal(0, 8, (64, 80)), 0, 255).astype(np.uint8) for index in range(31)
    ]
    total = np.prod([motion.links(one, two)[1].exposure for one, two in pairwise(film)])
    assert total == pytest.approx(1, abs=0.1)


def test_exposure_of_unlike_frames_is_left_alone(picture: np.ndarray) -> None:
    on, _ = Motion(64, 80).links(moved(picture, 0, 0), cv2.GaussianBlur(grey(64, 80, seed=9), (0, 0), 1.5))
    assert on.exposure == pytest.approx(1, abs=0.3)
    assert on.trust.mean() < 0.5


def test_sampling_follows_the_flow() -> None:
    plane = np.arange(48, dtype=np.float32).reshape(6, 8)
    flow = np.zeros((6, 8, 2), np.float32)
    flow[..., 0], flow[..., 1] = 1, 2
    np.testing.assert_allclose(sample(plane, flow)[:4, :7], plane[2:, 1:])
    np.testing.assert_allclose(sample(np.dstack([plane, -plane]), flow)[:4, :7, 1], -plane[2:, 1:])


def test_tiny_frames_stay_as_they_are() -> None:
    on, back = Motion(8, 10).links(*np.random.default_rng(0).integers(0, 255, (2, 8, 10)).astype(np.uint8))
    assert not on.flow.any()
    assert not back.flow.any()


def film(picture: np.ndarray, *, grain: float, count: int = 9) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """A slow pan at twice the links' size, without and with grain."""
    random = np.random.default_rng(1)
    large = cv2.resize(picture, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    matrix = np.array([[1, 0, 40], [0, 1, 40]], np.float32)
    pure, grainy = [], []
    for index in range(count):
        matrix[0, 2] = 40 + index
        pure.append(cv2.warpAffine(large, matrix, (160, 128), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP))
        grainy.append(np.clip(pure[-1] + random.normal(0, grain, (128, 160)), 0, 255).astype(np.uint8))
    return pure, grainy


def links(frames: list[np.ndarray]) -> list:
    motion, halves = Motion(64, 80), [cv2.resize(frame, (80, 64), interpolation=cv2.INTER_AREA) for frame in frames]
    return [motion.links(*pair) for pair in pairwise(halves)]


def test_grain_is_averaged_away_along_the_motion(picture: np.ndarray) -> None:
    pure, grainy = film(picture, grain=12)
    cleaned = clean(grainy, links(grainy), 4, reach=3)
    inner = np.s_[16:-16, 16:-16]
    left, before = (np.std((each.astype(float) - pure[4])[inner]) for each in (cleaned, grainy[4]))
    assert left < 0.6 * before


def test_a_film_without_grain_and_a_frame_alone_are_not_touched(picture: np.ndarray) -> None:
    pure, grainy = film(picture, grain=12)
    np.testing.assert_array_equal(clean(pure, links(pure), 4, reach=3), pure[4])
    np.testing.assert_array_equal(clean(grainy[:1], [], 0, reach=3), grainy[0])
    np.testing.assert_array_equal(clean(grainy, links(grainy), 4, reach=0), grainy[4])
