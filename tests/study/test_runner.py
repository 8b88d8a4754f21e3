from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from photochrom import cli
from photochrom.errors import ConfigError, TrainingError
from photochrom.study import config as experiments
from photochrom.study import results, runner
from photochrom.study.runner import Options
from photochrom.study.worker import RUNS, SCORES
from tests.support import studies
from tests.support.studies import TABLE, score_all, study

ROOT = Path(studies.__file__).parents[2]
FAKE = (sys.executable, str(ROOT / "tests" / "support" / "fake_worker.py"))


@pytest.fixture
def fake(monkeypatch, tmp_path):
    """Studies run the stand-in; gives two data sets."""
    data = {"hills": tmp_path / "hills", "lakes": tmp_path / "lakes"}
    made = tmp_path / "made"
    score_all(study(data, regularizers=["none"], seeds=[0]), made, lambda *_: np.linspace(-1, 0, 10), photographs=10)
    shutil.copy(made / RUNS / "hills-unet-none-s0" / SCORES, made)
    monkeypatch.setattr(runner, "WORKER", FAKE)
    monkeypatch.setenv("FAKE_FILES", str(made))
    return data


def lines(output: Path) -> list[dict]:
    return [json.loads(line) for line in (output / results.RESULTS).read_text().splitlines()]


def test_jobs_and_order_change_nothing(fake, tmp_path):
    plan = study(fake)
    said = []
    runner.run(plan, tmp_path / "one", progress=lambda *what: said.append(what[:2]))
    runner.run(plan, tmp_path / "three", options=Options(jobs=3))
    assert said == [(done, 12) for done in range(1, 13)]
    assert (tmp_path / "one" / results.RESULTS).read_bytes() == (tmp_path / "three" / results.RESULTS).read_bytes()
    assert [row["run"] for row in lines(tmp_path / "one")[6::2]] == [run.name for run in plan.runs]
    assert not [row for row in lines(tmp_path / "one") if any("second" in key for key in row)], "no clock in the results"
    assert len((tmp_path / "one" / runner.TIMES).read_text().splitlines()) == 12


def test_failures_are_rows_and_are_run_again_only_when_asked(fake, tmp_path):
    plan = study(fake, regularizers=["none"], seeds=[0, 3, 4])
    runner.run(plan, tmp_path / "out", options=Options(jobs=2))
    reasons = {row["run"]: row["reason"] for row in lines(tmp_path / "out") if row["status"] == "failed"}
    assert reasons == {
        f"{name}-unet-none-s{seed}": reason.format(f"runs/{name}-unet-none-s3")
        for name in ("hills", "lakes")
        for seed, reason in ((3, "the loss is nan; the last good checkpoint is '{}/newest.pt'"), (4, "ended by signal 9"))
    }
    said = []
    runner.run(plan, tmp_path / "out", progress=lambda *what: said.append(what))
    assert said == []
    runner.run(plan, tmp_path / "out", options=Options(retry=True), progress=lambda *what: said.append(what))
    assert len(said) == 4


def test_killed_in_the_middle_and_run_again_it_gives_the_results_of_an_uninterrupted_study(fake, tmp_path):
    plan = study(fake, seeds=[0, 1, 3])
    runner.run(plan, tmp_path / "whole")
    code = (
        "import sys; from pathlib import Path; from tests.support.studies import study; from photochrom.study import runner\n"
        "runner.WORKER = tuple(sys.argv[1:3]); root = Path(sys.argv[3])\n"
        "data = {name: root / name for name in ('hills', 'lakes')}\n"
        "runner.run(study(data, seeds=[0, 1, 3]), root / 'cut')"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", code, *FAKE, str(tmp_path)], env=environment)
    waiting = tmp_path / "cut" / RUNS / "hills-unet-spectral-d-s1" / "steps"
    deadline = time.monotonic() + 60
    while not waiting.exists() and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    # The worker ends with its study: nothing writes into the run's folder any more.
    time.sleep(0.3)
    kept = waiting.read_text()
    time.sleep(0.2)
    assert waiting.read_text() == kept and len(kept) < 4, "a worker outlived its study"
    assert not (waiting.parent / SCORES).exists()
    finished = (tmp_path / "cut" / RUNS / "hills-unet-none-s0" / SCORES).stat().st_mtime_ns
    runner.run(plan, tmp_path / "cut")
    assert (tmp_path / "cut" / results.RESULTS).read_bytes() == (tmp_path / "whole" / results.RESULTS).read_bytes()
    assert (tmp_path / "cut" / RUNS / "hills-unet-none-s0" / SCORES).stat().st_mtime_ns == finished, "a finished run stays"


def test_an_interrupt_ends_the_workers_and_fails_no_run(fake, tmp_path):
    def interrupt(*_):
        raise KeyboardInterrupt

    plan = study(fake)
    with pytest.raises(KeyboardInterrupt):
        runner.run(plan, tmp_path / "out", options=Options(jobs=2), progress=interrupt)
    states = [runner.state(tmp_path / "out", run) for run in plan.runs]
    assert states.count("done") >= 1 and "failed" not in states


def test_a_folder_of_another_study_is_refused_and_more_runs_are_welcome(fake, tmp_path):
    out = tmp_path / "out"
    runner.run(study(fake, seeds=[0]), out)
    runner.run(study(fake, seeds=[0, 1]), out)
    assert len(lines(out)) == 6 + 8 * 2
    table = json.loads(json.dumps(TABLE))
    table["base"]["batch"] = 8
    with pytest.raises(ConfigError, match="holds the run hills-unet-none-s0 with other settings"):
        runner.run(experiments.from_tables(table, fake), out)
    with pytest.raises(ConfigError, match="holds a study with test"):
        runner.run(experiments.from_tables(TABLE | {"test": {"limit": 5}}, fake), out)
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "a.txt").write_text("dear")
    with pytest.raises(ConfigError, match="not empty"):
        runner.run(study(fake), tmp_path / "letters")


def test_without_data_it_ends_at_once_with_the_reason(tmp_path):
    with pytest.raises(TrainingError, match=r"baselines cannot be scored: .*no folder named train"):
        runner.run(study({"hills": tmp_path / "nowhere"}), tmp_path / "out")


def run_cli(*words: str) -> int:
    with pytest.raises(SystemExit) as left:
        cli.main(["study", *words])
    return int(left.value.code)


def test_a_real_study_killed_and_run_again(prepared, tmp_path, capsys):
    """The real worker, one run, killed while it trains: the same results, a report, and a dry run of what is left."""
    config = tmp_path / "study.toml"
    config.write_text(
        'title = "Real"\n[base]\nl1_weight = 100.0\ngenerator_width = 4\ngenerator_dropout = 0.0\ndiscriminator_width = 4\n'
        "size = 32\nbatch = 4\nlog_every = 4\ncheckpoint_every = 4\nvalidate_every = 16\nvalidation_photographs = 4\n"
        'sample_every = 1000000\nstop_on = "none"\n[[base.stages]]\nkind = "adversarial"\nimages = 48\nrate = 2e-4\n'
        '[grid]\ngenerators = ["unet"]\n[test]\nlimit = 4\n'
    )
    words = [str(config), "--data", f"set={prepared}", "--accelerator", "cpu", "-o"]
    assert run_cli(*words, str(tmp_path / "whole"), "--dry-run") == 0
    said, doing = capsys.readouterr()
    assert "dry run of 'Real': 1 runs; nothing is written" in doing
    assert "trying 4 training steps of the generator unet, to estimate the time" in doing
    assert "set-unet-none-s0  48 images" in said and "1 of 1 runs left: about" in said and "images/s by a few steps" in said
    assert not (tmp_path / "whole").exists()
    assert run_cli(*words, str(tmp_path / "whole")) == 0
    said = capsys.readouterr().out
    assert "| unet / none" in said and "1 runs, 0 failed" in said
    page = (tmp_path / "whole" / "report.html").read_text("utf-8")
    assert "set-unet-none-s0" in page and page.count("<svg") == 1 and page.count(">Validation</text>") == 1

    shutil.copytree(tmp_path / "whole", tmp_path / "cut", ignore=shutil.ignore_patterns(RUNS, "results.jsonl"))
    process = subprocess.Popen(
        [sys.executable, "-m", "photochrom", "study", *words, str(tmp_path / "cut")], stderr=subprocess.DEVNULL
    )
    log = tmp_path / "cut" / RUNS / "set-unet-none-s0" / "log.csv"
    deadline = time.monotonic() + 120
    while not (log.exists() and len(log.read_text().splitlines()) >= 4) and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (log.parent / SCORES).exists()
    assert run_cli(*words, str(tmp_path / "cut")) == 0
    assert (tmp_path / "cut" / "results.jsonl").read_bytes() == (tmp_path / "whole" / "results.jsonl").read_bytes()
    assert run_cli(*words, str(tmp_path / "cut"), "--dry-run") == 0
    assert "set-unet-none-s0  48 images  done" in capsys.readouterr().out


def test_the_command_says_what_is_wrong(tmp_path, capsys):
    assert run_cli("smoke", "-o", str(tmp_path / "o"), "--data", "hills") == 2
    assert "--data hills: expected NAME=FOLDER" in capsys.readouterr().err
    assert run_cli("smoek", "-o", str(tmp_path / "o"), "--data", "a=b") == 1
    assert "no study 'smoek'" in capsys.readouterr().err
    assert run_cli("smoke", "-o", str(tmp_path / "o"), "--data", "a=b", "a=c") == 2
    assert "names 'a' twice" in capsys.readouterr().err
    assert run_cli("smoke", "-o", str(tmp_path / "o"), "--data", "a=b", "--jobs", "0") == 2
    assert "jobs is 0" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def test_settings_that_came_after_a_run_have_their_defaults_in_it(tmp_path):
    data = {name: tmp_path / name for name in ("hills", "lakes")}
    plan = study(data)
    runner.claim(plan, tmp_path / "out")
    for table in (tmp_path / "out" / runner.TABLES).iterdir():
        lines = [line for line in table.read_text().splitlines(keepends=True) if not line.startswith(("hints ", "palettes "))]
        table.write_text("".join(lines))
    runner.claim(plan, tmp_path / "out")
    table.write_text(table.read_text().replace("l1_weight = 100.0", "l1_weight = 99.0"))
    with pytest.raises(ConfigError, match="other settings"):
        runner.claim(plan, tmp_path / "out")
