from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from photochrom.errors import OptionError
from photochrom.evaluation.video_metrics import TRUTH, FilmScores, Watch, compare, divergence, histograms, visible, warp_error
from photochrom.photo.planes import luma_of
from tests.support.testdata import scene


def watched(frames: list[np.ndarray], recolor: Callable[[int, np.ndarray], np.ndarray], *, cuts: tuple[int, ...] = ()) -> dict:
    watch = Watch()
    for index, frame in enumerate(frames):
        watch.add(frame, {"ours": recolor(index, frame)}, luma=luma_of(frame), cut=index in cuts)
    return watch.rows()


def flickering(index: int, frame: np.ndarray) -> np.ndarray:
    return np.clip(frame + np.array([12, 0, -12]) * (index % 2), 0, 255).astype(np.uint8)


def test_divergence_is_that_of_scipy() -> None:
    one, two = (histograms(scene(60, 80, seed=seed)) for seed in (1, 2))
    np.testing.assert_allclose(one.sum(1), 1)
    expected = np.mean([jensenshannon(a, b) ** 2 for a, b in zip(one, two, strict=True)])
    assert divergence(one, two) == pytest.approx(expected, rel=1e-9)
    assert divergence(one, one) == 0
    apart = np.zeros((2, 3, 256))
    apart[0, :, 3] = apart[1, :, 200] = 1
    assert divergence(*apart) == pytest.approx(math.log(2)), "the most there is"


def test_still_film_has_no_divergence_and_no_warp_error() -> None:
    rows = watched([scene(64, 80)] * 6, lambda _, frame: frame)
    for row in rows.values():
        assert row.cdc == 0
        assert row.warp_error == pytest.approx(0, abs=1e-9)
        assert row.de2000 == 0


def test_flicker_shows_in_both_and_the_truth_stays_as_it_is() -> None:
    rows = watched([scene(64, 80)] * 8, flickering)
    assert rows[TRUTH].cdc == 0
    assert rows["ours"].cdc > 0.01
    # Red and blue differ by 12 of 255 between neighbors, but where they were clipped.
    assert rows["ours"].warp_error == pytest.approx(2 * (12 / 255) ** 2, rel=0.05)


def test_cdc_is_the_mean_over_gaps_of_the_mean_over_pairs() -> None:
    frames = [scene(48, 64, seed=seed) for seed in range(6)]
    shares = [histograms(frame) for frame in frames]
    expected = np.mean(
        [np.mean([divergence(shares[i], shares[i + gap]) for i in range(6 - gap)]) for gap in (1, 2, 4)],
    )
    assert watched(frames, lambda _, frame: frame)["ours"].cdc == pytest.approx(expected)


def test_pairs_across_a_cut_do_not_count() -> None:
    frames = [scene(48, 64, seed=1)] * 5 + [scene(48, 64, seed=2)] * 5
    assert watched(frames, lambda _, frame: frame, cuts=(5,))["ours"].cdc == 0
    assert watched(frames, lambda _, frame: frame)["ours"].cdc > 0.01


def test_a_move_is_followed_and_what_leaves_does_not_count() -> None:
    wide = scene(96, 160, seed=3)
    one, two = wide[:, :128], wide[:, 4:132]
    there = np.full((96, 128, 2), (-4, 0), np.float32)
    seen = visible(there, -there)
    assert not seen[:, :4].any()
    assert seen[:, 5:].all()
    assert warp_error(one, two, there, seen) == pytest.approx(0, abs=1e-9)
    assert warp_error(one, two, np.zeros_like(there), seen) > 0.001
    assert warp_error(one, two, there, np.zeros_like(seen)) == 0


def test_what_is_covered_is_not_seen() -> None:
    there = np.zeros((40, 40, 2), np.float32)
    back = there.copy()
    back[10:20, 10:20] = 6
    seen = visible(there, back)
    assert not seen[10:20, 10:20].any()
    assert seen[25:, 25:].all()


def test_a_clip_that_is_too_short_is_refused() -> None:
    with pytest.raises(OptionError, match="no scene of 5"):
        watched([scene(48, 64)] * 4, lambda _, frame: frame)
    with pytest.raises(OptionError, match="no scene of 5"):
        Watch().rows()


def row(cdc: float, psnr: float = 20) -> FilmScores:
    return FilmScores(psnr, 5, 30, 40, cdc, 0.001)


def test_comparison_is_to_the_truth_and_the_baseline() -> None:
    clips = [
        {"per frame": row(0.5), "ours": row(0.2, 21), TRUTH: row(0.1, 59)},
        {"per frame": row(0.3), "ours": row(0.2, 21.5), TRUTH: row(0.1, 59)},
    ]
    base, ours, truth = compare(clips, "per frame")
    assert (base.name, ours.name, truth.name) == ("per frame", "ours", TRUTH)
    assert ours.cdc_ratio.value == pytest.approx(2)
    assert base.cdc_ratio.value == pytest.approx(4)
    assert ours.excess is not None and ours.psnr_gain is not None
    assert ours.excess.value == pytest.approx(0.1 / 0.3), "a ratio of means, not a mean of ratios"
    assert ours.excess.low <= ours.excess.value <= ours.excess.high
    assert ours.psnr_gain.value == pytest.approx(1.25)
    assert base.excess is truth.excess is base.psnr_gain is None
    assert ours.colorfulness_ratio.value == pytest.approx(0.75)
    below = [clips[0], {"per frame": row(0.05), "ours": row(0.2), TRUTH: row(0.1)}]
    assert compare(below, "per frame")[1].excess is None, "the baseline has no excess to speak of"
    with pytest.raises(OptionError, match="'network'"):
        compare(clips, "network")
    with pytest.raises(OptionError, match="0 clips"):
        compare([], "per frame")
