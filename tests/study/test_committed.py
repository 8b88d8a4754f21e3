"""Hold docs/results to what the presets ask for: every regularizer, data set, generator and seed has its rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from photochrom.evaluation.scores import GREY, MEAN_CHROMA
from photochrom.study import config

RESULTS = Path(__file__).parents[2] / "docs" / "results"
DATA = {"flickr8k": Path("flickr8k"), "coco": Path("coco")}


@pytest.mark.parametrize("preset", ["regularizers", "architectures"])
def test_every_run_of_the_preset_stands_in_the_committed_results(preset):
    plan = config.load(preset, DATA)
    rows = [json.loads(line) for line in (RESULTS / preset / "results.jsonl").read_text("utf-8").splitlines()]
    found = {
        (row["data"], row["generator"], row["regularizer"], row["seed"], row["tested_on"])
        for row in rows
        if row["status"] == "ok"
    }
    wanted = {(run.data, run.generator, run.regularizer, run.seed, test) for run in plan.runs for test in DATA}
    assert found == wanted
    for row in rows:
        assert row["scores"]["disparity"]["low"] < row["scores"]["disparity"]["value"] < row["scores"]["disparity"]["high"]
        assert row["status"] == "baseline" or row["beats_grey"] == (row["skill"][GREY]["low"] > 0)
    for test in DATA:
        names = {row["run"] for row in rows if row["status"] == "baseline" and row["tested_on"] == test}
        assert names == {GREY, *(f"{MEAN_CHROMA} of {name}" for name in DATA)}


@pytest.mark.parametrize("preset", ["regularizers", "architectures"])
def test_the_findings_name_every_row_and_hold_no_photograph_of_a_data_set(preset):
    plan = config.load(preset, DATA)
    findings = (RESULTS / preset / "findings.md").read_text("utf-8")
    for run in plan.runs:
        assert f"{run.generator} / {run.regularizer}" in findings
    assert "# " + plan.title in findings and "*grey*" in findings
    report = (RESULTS / preset / "report.html").read_text("utf-8")
    assert "Photographs of no data set" in report and "Best and worst photographs" not in report


def test_the_ablations_are_all_there_and_the_page_on_the_release_says_what_they_say():
    plan = config.load("ablations", {"all": Path("all")})
    rows = {
        row["run"]: row for row in map(json.loads, (RESULTS / "ablations" / "results.jsonl").read_text("utf-8").splitlines())
    }
    runs = {(row["regularizer"], row["seed"]): name for name, row in rows.items() if row["status"] == "ok"}
    assert runs.keys() == {(run.regularizer, run.seed) for run in plan.runs}
    page = (RESULTS / "release.md").read_text("utf-8")
    digits = {"disparity": 2, "psnr": 2, "auc": 2, "auc_rebalanced": 1, "colorfulness_ratio": 2}
    for name in ("grey", *runs.values()):
        (line,) = (line for line in page.splitlines() if line.startswith(f"| `{name}` |"))
        figures = [f"{rows[name]['scores'][key]['value']:.{places}f}" for key, places in digits.items()]
        assert [cell.strip() for cell in line.split("|")[3:-1]] == [*figures, f"{rows[name]['frechet']:.0f}"]
    assert "Photographs of no data set" in (RESULTS / "ablations" / "report.html").read_text("utf-8")
