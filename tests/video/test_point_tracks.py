from __future__ import annotations

import io
from itertools import pairwise

import numpy as np
import pytest

from photochrom.video.temporal import Point, Trail, half
from photochrom.video.temporal.optical_flow import Motion
from photochrom.video.temporal.point_tracks import track
from tests.support.testdata import pan

RED, GREEN = "#c04030", "#30a040"


def trail_of(frames: list[np.ndarray], points: dict[int, tuple[Point, ...]], *, part: int) -> Trail:
    """Walk through a scene in parts that are named by their first frame."""
    trail = Trail(io.BytesIO())
    trail.begin()
    for index, frame in enumerate(frames):
        trail.add(half(frame), points.get(index, ()))
        if index % part == part - 1:
            trail.end(index + 1 - part)
    return trail


def test_points_are_followed_back_to_where_their_scene_begins() -> None:
    frames = pan(60, step=0.9, height=128)
    found = trail_of(frames, {55: (Point(100, 60, RED),)}, part=10).back()
    assert list(found) == [40, 30, 20, 10, 0], "the parts before its own"
    for first, points in found.items():
        assert len(points) == 1
        distance = 55 - (first + 9)
        assert points[0].x == pytest.approx(100 + 0.9 * distance, abs=0.6)
        assert points[0].y == pytest.approx(60, abs=1)
        assert (points[0].color, points[0].away) == (RED, distance)


def test_each_point_goes_back_from_its_own_frame() -> None:
    frames = pan(40, step=0.5, height=128)
    found = trail_of(frames, {35: (Point(60, 60, RED),), 15: (Point(80, 40, GREEN),)}, part=10).back()
    assert [point.color for point in found[20]] == [RED]
    assert [point.color for point in found[0]] == [RED, GREEN], "the nearer is drawn last"


def test_a_point_that_comes_into_view_has_no_place_before() -> None:
    frames = pan(60, step=2, height=128)
    found = trail_of(frames, {55: (Point(180, 60, RED),)}, part=10).back()
    # At the right edge, column 191, it is 5.5 frames before.
    assert not set(found) & {30, 20, 10, 0}


def test_a_new_scene_forgets_the_one_before() -> None:
    trail = trail_of(pan(20, height=128), {15: (Point(60, 60, RED),)}, part=5)
    trail.begin()
    assert trail.back() == {}
    for frame in pan(10, height=96):
        trail.add(half(frame), ())
    trail.end(20)
    assert trail.back() == {}


def test_a_slow_point_is_not_held_by_rounding() -> None:
    frames = pan(121, step=0.06, height=128)
    motion = Motion(*half(frames[0]).shape)
    point = Point(100, 60, RED)
    for start in range(0, 120, 4):
        halves = [half(frame) for frame in frames[start : start + 5]]
        (point,) = track({0: (point,)}, halves, [motion.links(*pair) for pair in pairwise(halves)])[-1]
    assert point.x == pytest.approx(100 - 0.06 * 120, abs=0.6)
    assert point.away == 120
