from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import cv2
import numpy as np
import pytest

from photochrom import color
from photochrom.colorizer.colorizer import Colorizer, Options
from photochrom.colorizer.model import Card
from photochrom.errors import OptionError
from photochrom.video.temporal import Carried, Point, SceneKind, Steadiness, color_segment, half, kind_of, small
from tests.support.testdata import pan, scene, texture

SIZE = 64
Answer = Callable[[np.ndarray, int], np.ndarray]
"""Chroma ``(2, h, w)`` for luma ``(h, w)`` in [0, 1], and how often the network was asked before."""


class Network:
    """A network whose answer is known; it keeps what it was shown."""

    card = Card("known", "none", SIZE, 4, False, ((1, 1), (1, 1), (1, 1)), (0, 0), {}, hints=True)

    def __init__(self, answer: Answer, sure: Answer | None = None) -> None:
        self.seen: list[np.ndarray] = []
        self.hints: list[np.ndarray | None] = []
        self._answer, self._sure = answer, sure

    def answer(self, luma: np.ndarray, *, vividness: float, hints: np.ndarray | None, palette: None) -> tuple:
        assert palette is None
        assert vividness == 1
        asked = len(self.seen)
        self.seen.append(luma[0, 0])
        self.hints.append(None if hints is None else hints[0])
        little = cv2.resize(luma[0, 0], (luma.shape[3] // 4, luma.shape[2] // 4), interpolation=cv2.INTER_AREA)
        return self._answer(little, asked)[None], None if self._sure is None else self._sure(little, asked)[None]

    @property
    def colorizer(self) -> Colorizer:
        return Colorizer(self, Options())  # type: ignore[arg-type]


def constant(luma: np.ndarray, _: int) -> np.ndarray:
    return np.full((2, *luma.shape), 0.1, np.float32)


def unsteady(luma: np.ndarray, asked: int) -> np.ndarray:
    """The truth, 0.1, with an error that is another in each frame."""
    return np.float32(0.1) + np.random.default_rng(asked).normal(0, 0.05, (2, 1, 1)).astype(np.float32) + np.zeros_like(luma)


def by_luma(luma: np.ndarray, _: int) -> np.ndarray:
    return np.stack([luma - 0.5, 0.5 - luma]) * np.float32(0.4)


def run(frames: list[np.ndarray], network: Network, *, before: Carried | None = None, hints: dict | None = None, **knobs: int):
    shares = SceneKind().shares([half(frame) for frame in frames], [kind_of(frame) for frame in frames], begins=before is None)
    return color_segment(frames, shares, network.colorizer, knobs=Steadiness(**knobs), before=before, hints=hints or {})


def steps(colors: list[np.ndarray]) -> np.ndarray:
    return np.array([np.abs(one - two).mean() for one, two in pairwise(colors)])


def test_the_network_sees_a_frame_now_and_then() -> None:
    network = Network(constant)
    colors, _ = run(pan(25), network, every=8)
    assert len(network.seen) == 4, "frames 0, 8, 16 and 24"
    assert len(colors) == 25
    assert {color.shape for color in colors} == {(2, SIZE // 4, 24)}
    assert all(color.dtype == np.float32 for color in colors)
    np.testing.assert_allclose(colors, 0.1, atol=1e-3)


def test_an_unsteady_network_becomes_steady() -> None:
    frames = pan(48)
    colors, _ = run(frames, Network(unsteady))
    network = Network(unsteady)
    single = [network.colorizer.small_chroma(frame) for frame in frames]
    assert steps(colors).mean() < 0.05 * steps(single).mean()
    assert steps(colors).max() < 0.01
    assert np.abs(np.array(colors) - 0.1).mean() < 0.5 * np.abs(np.array(single) - 0.1).mean(), "an average is nearer"


def test_colors_move_with_what_they_belong_to() -> None:
    frames = pan(33, step=1.3)
    colors, _ = run(frames, Network(by_luma), every=8)
    wanted = [Network(by_luma).colorizer.small_chroma(frame) for frame in frames]
    spread = np.std(wanted)
    assert np.abs(np.array(colors) - wanted).mean() < 0.25 * spread
    still = np.array([colors[0]] * len(frames))
    assert np.abs(still - wanted).mean() > 0.6 * spread, "or standing still would have done"


def test_what_the_network_sees_late_is_there_from_the_start() -> None:
    late = Network(lambda luma, asked: constant(luma, asked) * (asked > 0))
    colors, _ = run(pan(41), late)
    # One of six answers is grey. The first frame is nearest to it and still has most of the color of the others.
    assert all(color.mean() > 0.06 for color in colors)
    assert steps(colors).max() < 0.01


def test_a_sure_answer_counts_more() -> None:
    def answer(luma: np.ndarray, asked: int) -> np.ndarray:
        return constant(luma, asked) * (1 if asked % 2 else -1)

    def sure(luma: np.ndarray, asked: int) -> np.ndarray:
        return np.full_like(luma, 0.9 if asked % 2 else 0.1)

    colors, _ = run(pan(48), Network(answer, sure))
    assert np.mean(colors) > 0.05
    assert abs(np.mean(run(pan(48), Network(answer))[0])) < 0.03


def test_every_second_frame_that_the_network_sees_is_without_grain() -> None:
    frames, random = pan(33), np.random.default_rng(3)
    grainy = [np.clip(frame + random.normal(0, 12, frame.shape), 0, 255).astype(np.uint8) for frame in frames]
    network = Network(constant)
    run(grainy, network, every=8)
    left = [float(np.abs(seen * 255 - frames[8 * index]).mean()) for index, seen in enumerate(network.seen)]
    assert max(left[::2]) < 0.75 * min(left[1::2]), left


def test_an_object_has_its_color_from_the_first_frame_and_leaves_none_behind() -> None:
    ground = (texture(SIZE, 96, seed=5) * 0.3 + 40).astype(np.uint8)
    ball = (texture(20, 20, seed=6) * 0.2 + 200).astype(np.uint8)
    frames = []
    for index in range(33):
        frame = ground.copy()
        left = 2 * index
        frame[20:40, left : left + 20] = ball[:, : 96 - left]
        frames.append(frame)
    colors, _ = run(frames, Network(lambda luma, _: np.stack([(luma > 0.55) * 0.2, luma * 0]).astype(np.float32)))
    for index in (4, 12, 20, 28):
        inside = colors[index][0, 6:9, index // 2 + 1 : index // 2 + 4]
        behind = colors[index][0, 6:9, max(index // 2 - 3, 0) : max(index // 2 - 1, 1)]
        assert inside.mean() > 0.15, index
        assert index < 8 or behind.mean() < 0.04, index


def test_black_frames_and_flashes_are_grey_and_colors_go_on_after_them() -> None:
    frames = pan(24)
    frames[10], frames[11], frames[12] = (np.full((SIZE, 96), level, np.uint8) for level in (0, 250, 10))
    network = Network(unsteady)
    colors, _ = run(frames, network)
    for index, each in enumerate(colors):
        assert each.any() != (index in (10, 11, 12)), index
    assert np.abs(colors[9] - colors[13]).mean() < 0.01, "the scene is the same on both sides"
    assert min(float(seen.std()) for seen in network.seen) > 0.02, "none of them was shown to the network"


def test_a_segment_of_blank_frames_hands_on_what_it_got() -> None:
    blank = [np.zeros((SIZE, 96), np.uint8)] * 3
    colors, nothing = run(blank, Network(constant))
    assert not np.any(colors)
    _, carried = run(pan(9), Network(constant))
    assert run(blank, Network(constant), before=carried)[1] is carried
    np.testing.assert_allclose(run(pan(9), Network(constant), before=nothing)[0], 0.1, atol=1e-3)


def test_a_fade_takes_the_colors_with_it() -> None:
    frames = [(frame * light).astype(np.uint8) for frame, light in zip(pan(33), np.linspace(0.15, 1, 33), strict=True)]
    colors, _ = run(frames, Network(constant))
    assert colors[-1].mean() > 0.09
    assert 0.01 < colors[0].mean() < 0.04


def test_the_next_segment_goes_on_where_this_one_ended() -> None:
    frames = pan(60)
    first, carried = run(frames[:30], Network(constant))
    second, _ = run(frames[30:], Network(lambda luma, asked: -constant(luma, asked)), before=carried, ramp=16)
    assert np.abs(second[0] - first[-1]).mean() < 0.02
    assert second[-1].mean() < -0.02, "but follows its own network in the end"
    assert steps(second).mean() < 0.02
    alone, _ = run(frames[30:], Network(lambda luma, asked: -constant(luma, asked)))
    np.testing.assert_allclose(alone[0], -0.1, atol=3e-3)


def test_what_is_carried_survives_as_bytes_and_results_are_the_same_again() -> None:
    frames = pan(40)
    hints = {3: (Point(50, 30, "#c04030"),)}
    colors, carried = run(frames[:20], Network(unsteady), hints=hints)
    again, twice = run(frames[:20], Network(unsteady), hints=hints)
    np.testing.assert_array_equal(colors, again)
    assert carried.to_bytes() == twice.to_bytes()
    read = Carried.from_bytes(carried.to_bytes())
    assert read.points == carried.points != ()
    one, two = (run(frames[20:], Network(unsteady), before=before)[0] for before in (carried, read))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_damaged_bytes_are_refused(damage: bytes | None) -> None:
    whole = run(pan(3), Network(constant))[1].to_bytes()
    with pytest.raises(OptionError, match="cannot be read"):
        Carried.from_bytes(whole[: len(whole) // 2] if damage is None else damage)


def places(network: Network) -> list[tuple[float, float]]:
    """The middle of the hinted patch in each frame that the network was shown, x and y; none is (-1, -1)."""
    found = []
    for hints in network.hints:
        rows, columns = (np.zeros(0), np.zeros(0)) if hints is None else np.nonzero(hints[2])
        found.append((float(columns.mean()), float(rows.mean())) if len(rows) else (-1.0, -1.0))
    return found


def test_a_hint_is_carried_to_the_other_frames_of_its_scene() -> None:
    network = Network(constant)
    frames = pan(50, step=2, height=2 * SIZE)
    _, carried = run(frames[:33], network, hints={16: (Point(100, 60, "#c04030"),)})
    asked = places(network)
    # The network sees frames at half their size: what is at column 50 in frame 16 is at 66 in frame 0 and at 34 in frame 32.
    for (x, y), wanted in zip(asked, (66, 58, 50, 42, 34), strict=True):
        assert x == pytest.approx(wanted, abs=1.6)
        assert y == pytest.approx(30, abs=1.6)
    following = Network(constant)
    run(frames[33:], following, before=carried)
    assert places(following)[0][0] == pytest.approx(33, abs=2.1)
    assert places(following)[-1] == pytest.approx((17, 30), abs=3.1)


def test_a_hinted_point_has_its_color_in_every_frame() -> None:
    frames = pan(33, step=2, height=2 * SIZE)
    colors, _ = run(frames, Network(lambda luma, asked: constant(luma, asked) * 0), hints={16: (Point(100, 60, "#c04030"),)})
    wanted = color.split(np.array([[[0xC0, 0x40, 0x30]]], np.uint8))[1].reshape(2)
    for index in (0, 5, 16, 21, 32):
        column = 50 + 16 - index
        found = colors[index][:, 7, column // 4]
        assert found @ wanted > 0.3 * wanted @ wanted, index
        assert np.abs(colors[index][:, :, 0]).max() < 0.02, "and only there"


def test_a_hint_that_is_not_there_and_bad_knobs_are_refused() -> None:
    with pytest.raises(OptionError, match="hints at"):
        run(pan(4), Network(constant), hints={4: (Point(1, 1, "#c04030"),)})
    with pytest.raises(OptionError, match="outside"):
        run(pan(4), Network(constant), hints={1: (Point(500, 1, "#c04030"),)})
    with pytest.raises(OptionError, match="0 frames"):
        run([], Network(constant))
    with pytest.raises(OptionError, match="every 0"):
        Steadiness(every=0)
    with pytest.raises(OptionError, match="memory 1"):
        Steadiness(memory=1)


def test_small_frames_are_what_the_network_sees() -> None:
    colorizer = Network(constant).colorizer
    little = small(scene(480, 640)[..., 0], colorizer)
    assert little.shape == colorizer.seen_size(480, 640) == (64, 84)
    assert colorizer.seen_size(*little.shape) == little.shape
