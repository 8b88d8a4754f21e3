"""Hold docs/results to what the presets ask for: every regularizer, data set, generator and seed has its rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from photochrom.evaluation.scores import GREY, MEAN_CHROMA
from photochrom.study import config, findings

RESULTS = Path(__file__).parents[2] / "docs" / "results"
DATA = {"flickr8k": Path("flickr8k"), "coco": Path("coco")}


NOT_RUN = {"norm-none-d"}
"""Rows of the presets that docs/results says have not been run yet."""


def rows_of(preset):
    return [json.loads(line) for line in (RESULTS / preset / "results.jsonl").read_text("utf-8").splitlines()]


@pytest.mark.parametrize("preset", ["regularizers", "architectures"])
def test_every_run_of_the_preset_stands_in_the_committed_results(preset):
    plan = config.load(preset, DATA)
    rows = rows_of(preset)
    found = [(row["run"], row["tested_on"]) for row in rows if row["status"] == "ok"]
    assert sorted(found) == sorted((run.name, test) for run in plan.runs for test in DATA if run.regularizer not in NOT_RUN)
    for row in rows:
        assert row["scores"]["disparity"]["low"] < row["scores"]["disparity"]["value"] < row["scores"]["disparity"]["high"]
        assert row["status"] == "baseline" or row["beats_grey"] == (row["skill"][GREY]["low"] > 0)
    for test in DATA:
        names = {row["run"] for row in rows if row["status"] == "baseline" and row["tested_on"] == test}
        assert names == {GREY, *(f"{MEAN_CHROMA} of {name}" for name in DATA)}
    said = (RESULTS / "README.md").read_text("utf-8")
    assert all(f"`{name}`; it has not been run yet" in said for name in NOT_RUN & set(plan.grid.regularizers))


@pytest.mark.parametrize(
    ("preset", "data"), [("regularizers", DATA), ("architectures", DATA), ("ablations", {"all": Path("all")})]
)
def test_the_figures_of_the_findings_are_those_of_the_results(preset, data):
    """Each line of the tables is the mean over the seeds of its rows, and grey stands where its disparity puts it."""
    plan = config.load(preset, data)
    means = {}
    for row in rows_of(preset):
        baseline = row["status"] == "baseline"
        name = f"*{row['run']}*" if baseline else f"{row['generator']} / {row['regularizer']}"
        means.setdefault((row["tested_on"], name, "" if baseline else row["data"]), []).append(row["scores"])
    text = (RESULTS / preset / "findings.md").read_text("utf-8")
    found = {}
    for part in text.split("Tested on ")[1:]:
        test, *lines = part.splitlines()
        for line in lines:
            cells = [cell.strip() for cell in line.split("|")[1:-1]]
            if len(cells) == 8 and cells[0] not in ("model", "---"):
                found[test.rstrip(":"), cells[0].split(" (no")[0], cells[1]] = cells
    assert found.keys() == means.keys()
    for key, cells in found.items():
        for cell, name, places in ((cells[3], "disparity", 3), (cells[4], "colorfulness_ratio", 2)):
            mean = sum(scores[name]["value"] for scores in means[key]) / len(means[key])
            assert float(cell) == pytest.approx(mean, abs=0.51 * 10**-places), (key, name)
        assert not cells[2] or int(cells[2]) == len(means[key])
    for test in data:
        order = [float(cells[3]) for (tested, *_), cells in found.items() if tested == test]
        assert order == sorted(order)
    assert "# " + plan.title in text and findings.PALE in text
    assert findings.confounded(plan, []) in text
    assert findings.training(rows_of(preset)) in text


@pytest.mark.parametrize("preset", ["regularizers", "architectures"])
def test_the_reports_hold_no_photograph_of_a_data_set(preset):
    report = (RESULTS / preset / "report.html").read_text("utf-8")
    assert "Photographs of no data set" in report and "Best and worst photographs" not in report


def test_the_ablations_are_all_there_and_the_page_on_the_release_says_what_they_say():
    plan = config.load("ablations", {"all": Path("all")})
    rows = {row["run"]: row for row in rows_of("ablations")}
    runs = {(row["regularizer"], row["seed"]): name for name, row in rows.items() if row["status"] == "ok"}
    assert runs.keys() == {(run.regularizer, run.seed) for run in plan.runs}
    page = (RESULTS / "release.md").read_text("utf-8")
    digits = {"disparity": 2, "psnr": 2, "auc": 2, "auc_rebalanced": 1, "colorfulness_ratio": 2}
    for name in ("grey", *runs.values()):
        (line,) = (line for line in page.splitlines() if line.startswith(f"| `{name}` |"))
        figures = [f"{rows[name]['scores'][key]['value']:.{places}f}" for key, places in digits.items()]
        assert [cell.strip() for cell in line.split("|")[3:-1]] == [*figures, f"{rows[name]['frechet']:.0f}"]
    assert "Photographs of no data set" in (RESULTS / "ablations" / "report.html").read_text("utf-8")
