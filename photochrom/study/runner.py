"""Run a study: its runs in processes of their own, several at once, each going on where it was."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import final

from photochrom.errors import ConfigError, OptionError, OutputError, TrainingError, one_line
from photochrom.study import results
from photochrom.study.config import Run, Study, to_toml
from photochrom.study.worker import BASELINES, FAILED, LOGS, RUNS, SCORES, STUDY, TABLES, Accelerator, Job, write_json
from photochrom.training.config import from_table

TIMES = "times.jsonl"
POLL_SECONDS = 0.1
WORKER = (sys.executable, "-m", "photochrom.study.worker")


@dataclass(frozen=True)
class Options:
    """How to run a study; nothing here changes its results."""

    jobs: int = 1
    """Runs at once; each computes with one thread."""
    accelerator: Accelerator = "auto"
    """Kind of device."""
    workers: int = 0
    """Processes of each run that decode photographs."""
    retry: bool = False
    """Run again what failed before."""

    def __post_init__(self) -> None:
        if self.jobs < 1 or self.workers < 0:
            raise OptionError(f"jobs is {self.jobs} and workers is {self.workers}: expected 1 or more, and 0 or more")


Progress = Callable[[int, int, str], None]
"""Called with the runs that are done, their total and what has just happened."""


def run(study: Study, output: Path, *, options: Options | None = None, progress: Progress | None = None) -> None:
    """Do what a study still lacks, and keep ``results.jsonl`` up to date.

    The folder gets ``study.json``, ``tables/NAME.toml`` and ``runs/NAME`` for each run (a folder of ``photochrom train`` with
    ``model.onnx`` and ``scores.json``, or ``failed.json``), ``logs/NAME.txt``, ``baselines.json``, ``results.jsonl`` and
    ``times.jsonl``. Whenever it is stopped, the same call goes on; a run that fails is a row of the results.

    Args:
        study: what to run.
        output: the folder of the study.
        options: None = the defaults.
        progress: called whenever a run ends.

    Raises:
        ConfigError: the folder holds another study.
        OutputError: it cannot be written.
        TrainingError: the baselines could not be scored.
    """
    options = options or Options()
    try:
        claim(study, output)
        job = Job(output.resolve(), "", study.data, study.test, options.accelerator, options.workers)
        if not (output / BASELINES).exists():
            with _Pool(1) as pool:
                pool.start(job, output / LOGS / "baselines.txt")
                if reason := pool.wait()[1]:
                    raise TrainingError(f"the baselines cannot be scored: {reason}")
        _run_all(study, output, job, options, progress)
        results.write(study, output)
    except OSError as error:
        raise OutputError(f"cannot write the study '{output}': {one_line(error)}; choose another folder") from error


def _run_all(study: Study, output: Path, job: Job, options: Options, progress: Progress | None) -> None:
    left = [each for each in study.runs if state(output, each) == "left" or (options.retry and state(output, each) == "failed")]
    done, total = len(study.runs) - len(left), len(study.runs)
    with _Pool(options.jobs) as pool:
        while left or pool.running:
            while left and len(pool.running) < options.jobs:
                each = left.pop(0)
                (output / RUNS / each.name / FAILED).unlink(missing_ok=True)
                pool.start(dataclasses.replace(job, run=each.name), output / LOGS / f"{each.name}.txt")
            name, reason, seconds = pool.wait()
            if reason:
                write_json(output / RUNS / name / FAILED, {"reason": plain(reason, output)})
            with (output / TIMES).open("a", encoding="utf-8") as file:
                file.write(json.dumps({"run": name, "seconds": round(seconds, 1), "failed": bool(reason)}) + "\n")
            results.write(study, output)
            done += 1
            if progress:
                progress(done, total, f"{name}: {reason or 'done'}")


def state(output: Path, each: Run) -> str:
    """Return whether a run is ``done``, ``failed`` or still ``left``."""
    folder = output / RUNS / each.name
    return "done" if (folder / SCORES).exists() else "failed" if (folder / FAILED).exists() else "left"


def plain(reason: str, output: Path) -> str:
    """Take the study's own folder out of a message, so that it reads the same wherever the study lies."""
    return reason.replace(f"{output.resolve()}/", "").replace(f"{output}/", "")


def claim(study: Study, output: Path) -> None:
    """Make the study's folder, or check that it belongs to this study; runs may be added to it.

    Raises:
        ConfigError: the folder holds something else, or runs of other settings.
    """
    plan = {
        "title": study.title,
        "question": study.question,
        "data": {name: str(path.resolve()) for name, path in study.data.items()},
        "test": dataclasses.asdict(study.test),
        "runs": [
            {key: getattr(each, key) for key in ("name", "data", "generator", "regularizer", "seed")} for each in study.runs
        ],
    }
    path = output / STUDY
    if path.exists():
        old = json.loads(path.read_text(encoding="utf-8"))
        for key in ("data", "test"):
            if list(old[key]) != list(plan[key]) or (key == "test" and old[key] != plan[key]):
                raise ConfigError(f"'{output}' holds a study with {key} {old[key]}, not {plan[key]}; choose another folder")
    elif output.exists() and any(output.iterdir()):
        raise ConfigError(f"'{output}' is not empty and holds no study; choose another folder")
    for each in study.runs:
        table = output / TABLES / f"{each.name}.toml"
        # Not by their text: settings that came after a run have their defaults in it.
        if table.exists() and from_table(tomllib.loads(table.read_text(encoding="utf-8")), where=str(table)) != each.config:
            raise ConfigError(f"'{output}' holds the run {each.name} with other settings; choose another folder")
    for each in study.runs:
        table = output / TABLES / f"{each.name}.toml"
        table.parent.mkdir(parents=True, exist_ok=True)
        part = table.with_suffix(".part")
        part.write_text(to_toml(each.config), encoding="utf-8")
        part.replace(table)
    write_json(path, plan)


@final
class _Pool:
    """Worker processes; leaving it ends those that still run, at once and without harm."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.running: dict[str, tuple[subprocess.Popen[bytes], Path, float]] = {}

    def __enter__(self) -> _Pool:
        return self

    def __exit__(self, *problem: object) -> None:
        for process, _, _ in self.running.values():
            process.kill()
            process.wait()

    def start(self, job: Job, log: Path) -> None:
        """Start a worker; what it says goes to the end of a log file."""
        log.parent.mkdir(parents=True, exist_ok=True)
        environment = os.environ | {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
        command = [*WORKER, job.to_json()]
        with log.open("ab") as file:
            file.write(b"\n")
            # A session of its own: only the study gets Ctrl-C, so no run fails because of it.
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=file, stderr=file, env=environment, start_new_session=True
            )
        self.running[job.run] = process, log, time.monotonic()

    def wait(self) -> tuple[str, str, float]:
        """Wait for the first worker to end; gives its run, why it failed or nothing, and its seconds."""
        while True:
            for name, (process, log, begun) in self.running.items():
                code = process.poll()
                if code is not None:
                    del self.running[name]
                    return name, reason_of(code, log), time.monotonic() - begun
            time.sleep(POLL_SECONDS)


def reason_of(code: int, log: Path) -> str:
    """Say why a worker failed: the last line that it wrote, or the signal that ended it; nothing if it did not fail."""
    if code == 0:
        return ""
    if code < 0:
        return f"ended by signal {-code}"
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return re.sub(r"^[\w.]+\.(\w+: )", r"\1", lines[-1]) if lines else f"ended with exit code {code}"
