from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from photochrom.errors import OptionError
from photochrom.study import results
from photochrom.study.runner import FAILED
from photochrom.study.worker import RUNS, write_json
from tests.support.studies import score_all, scores, study

DATA = {"hills": Path("a"), "lakes": Path("b")}


def cell(cells, regularizer, data="hills", tested_on="hills"):
    (found,) = (c for c in cells if (c.regularizer, c.data, c.tested_on) == (regularizer, data, tested_on))
    return found


def noise(run, test, size):
    return np.random.default_rng([run.seed, len(run.regularizer), len(run.data), len(test)]).normal(0, size, 40)


def test_a_clear_difference_is_marked_and_luck_is_not(tmp_path):
    shift = {"none": -1.0, "spectral-d": -1.6, "r1": -0.4, "ema": -1.0}
    plan = study(DATA, regularizers=list(shift))
    score_all(plan, tmp_path, lambda run, test: shift[run.regularizer] + 0.03 * run.seed + noise(run, test, 0.2))
    cells = results.cells(plan, tmp_path)
    assert len(cells) == 4 * 2 * 2
    assert {name: cell(cells, name).mark for name in shift} == {
        "none": "baseline", "spectral-d": "better", "r1": "worse", "ema": "unclear",
    }  # fmt: skip
    better = cell(cells, "spectral-d").difference
    assert better.photographs.value == pytest.approx(-0.6, abs=0.1)
    assert better.seeds.low < better.photographs.low and better.photographs.high < better.seeds.high < 0
    assert better.baseline == "unet / none"
    assert cell(cells, "none").seeds == (0, 1, 2) and cell(cells, "none").beats_grey
    assert cell(cells, "none").spread == pytest.approx(0.03, abs=0.05)


def test_a_spread_over_seeds_takes_the_mark_away(tmp_path):
    plan = study(DATA)
    score_all(
        plan,
        tmp_path,
        lambda run, test: (-0.6 if run.regularizer != "none" else 0) + [-1, 1, 0][run.seed] + noise(run, test, 0.1),
    )
    found = cell(results.cells(plan, tmp_path), "spectral-d")
    assert found.difference.photographs.high < 0, "over photographs alone it would be a difference"
    assert found.difference.seeds.high > 0
    assert found.mark == "unclear"
    assert not found.beats_grey, "the skill is above 0 on these photographs, but the seeds go both ways"


def test_one_seed_is_never_marked(tmp_path):
    plan = study(DATA, seeds=[0])
    score_all(plan, tmp_path, lambda run, test: (-3.0 if run.regularizer != "none" else 0) + noise(run, test, 0.1))
    found = cell(results.cells(plan, tmp_path), "spectral-d")
    assert (found.mark, found.difference.seeds, found.spread) == ("one seed", None, None)


def test_the_first_regularizer_is_compared_to_the_first_generator(tmp_path):
    plan = study(DATA, generators=["unet", "encoder-decoder"])
    score_all(plan, tmp_path, lambda run, test: (1.0 if run.generator == "encoder-decoder" else 0.0) + noise(run, test, 0.1))
    bases = {(c.generator, c.regularizer): c.difference and c.difference.baseline for c in results.cells(plan, tmp_path)}
    assert bases == {
        ("unet", "none"): None,
        ("unet", "spectral-d"): "unet / none",
        ("encoder-decoder", "none"): "unet / none",
        ("encoder-decoder", "spectral-d"): "encoder-decoder / none",
    }


def test_many_comparisons_are_counted_together():
    assert results.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert results.holm([0.5, 0.9]) == [1, 1]
    assert results.holm([]) == []


def test_without_chance_of_photographs_a_comparison_is_that_of_welch():
    one, two = np.array([5.0, 5.3, 5.1]), np.array([5.6, 5.9, 6.1, 5.5])
    value, chance = results.compare(np.repeat(one[:, None], 10, 1), np.repeat(two[:, None], 10, 1))
    expected = stats.ttest_ind(one, two, equal_var=False)
    assert chance == pytest.approx(expected.pvalue, rel=1e-3)
    interval = expected.confidence_interval()
    assert (value.low, value.high) == pytest.approx((interval.low, interval.high), rel=1e-3)


def test_false_marks_are_as_rare_as_promised():
    random = np.random.default_rng(1)
    chances = []
    for _ in range(400):
        photographs = random.normal(0, 1, 30)
        one, two = (photographs + random.normal(0, 0.2, (3, 1)) + random.normal(0, 0.3, (3, 30)) for _ in range(2))
        chances.append(results.compare(one, two)[1])
    assert 0.01 < np.mean(np.array(chances) < 0.05) < 0.08


def test_results_have_baselines_runs_and_failures(tmp_path):
    plan = study(DATA)
    score_all(plan, tmp_path, lambda run, test: None if run.name == "hills-unet-none-s1" else noise(run, test, 0.1) - 1)
    write_json(tmp_path / RUNS / "hills-unet-none-s1" / FAILED, {"reason": "the loss 'l1' is nan"})
    results.write(plan, tmp_path)
    rows = [json.loads(line) for line in (tmp_path / results.RESULTS).read_text().splitlines()]
    assert [row["run"] for row in rows[:3]] == ["grey", "mean chroma of hills", "mean chroma of lakes"]
    assert len(rows) == 2 * 3 + len(plan.runs) * 2
    failed = [row for row in rows if row["status"] == "failed"]
    assert [row["tested_on"] for row in failed] == ["hills", "lakes"]
    assert all(row["reason"] == "the loss 'l1' is nan" and row["seed"] == 1 for row in failed)
    good = next(row for row in rows if row["status"] == "ok")
    assert good["beats_grey"] and good["skill"]["grey"]["value"] == pytest.approx(1 / 6, abs=0.05)
    assert set(good["skill"]) == {"grey", "mean chroma"}
    assert {"ssim", "auc_rebalanced", "disparity_red"} <= good["scores"].keys()
    found = cell(results.cells(plan, tmp_path), "none")
    assert (found.seeds, found.failed) == ((0, 2), (1,))


def test_scores_over_seeds_are_means_by_photograph():
    found = results.over_seeds([scores(np.array([1.0, 2.0])), scores(np.array([3.0, 4.0]))])
    assert [row.disparity for row in found] == [2, 3]
    with pytest.raises((OptionError, ValueError)):
        results.over_seeds([scores(np.array([1.0])), scores(np.array([1.0, 2.0]))])
    assert math.isclose(found[0].de2000, 4)
