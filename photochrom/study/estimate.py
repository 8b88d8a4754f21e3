"""Estimate how long a study will take, from its own finished runs or from a short training of each generator."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from photochrom.errors import TrainingError
from photochrom.study.config import Run, Study, to_toml
from photochrom.study.runner import Options, reason_of, state
from photochrom.study.worker import RUNS, test_photographs
from photochrom.training.log import read_columns

PROBE_STEPS = 4
SCORING_SECONDS = 0.03
"""Coloring and scoring one small photograph on one core."""
EXPORT_SECONDS = 12.0


@dataclass(frozen=True)
class Speed:
    """How fast a generator trains here."""

    images_per_second: float
    start_seconds: float
    """Before the first step: loading, statistics of the data."""
    source: str
    """``runs`` of this study, or a ``probe`` of a few steps just now."""


@dataclass(frozen=True)
class Estimate:
    """What is left of a study."""

    speeds: dict[str, Speed]
    """By generator."""
    seconds: dict[str, float]
    """By run; those that are done or failed are not there."""
    total_seconds: float
    """With the jobs asked for, as if each had a core of its own."""


def estimate(study: Study, output: Path, options: Options, *, say: Callable[[str], None] | None = None) -> Estimate:
    """Estimate the time that a study still takes.

    It takes the first run of each generator for all: a regularizer that costs time (a gradient penalty, say) is not seen
    unless a finished run of the study shows it.

    Args:
        study: what is to be run.
        output: the folder of the study.
        options: how it is to be run.
        say: called with a sentence before each generator is tried, which takes a while.

    Raises:
        TrainingError: the probe of a generator fails.
        DataError: a data set has no test photographs.
    """
    left = [each for each in study.runs if state(output, each) == "left"]
    tested = sum(len(test_photographs(path, study.test.limit)) for path in study.data.values())
    speeds: dict[str, Speed] = {}
    for each in left:
        if each.generator not in speeds:
            found = _from_runs(study, output, each.generator)
            if not found and say:
                say(f"trying {PROBE_STEPS} training steps of the generator {each.generator}, to estimate the time")
            speeds[each.generator] = found or _probe(study, each, options)
    seconds = {}
    for each in left:
        speed = speeds[each.generator]
        training = each.config.images / speed.images_per_second
        seconds[each.name] = speed.start_seconds + training + EXPORT_SECONDS + tested * SCORING_SECONDS
    busy = [0.0] * options.jobs
    for value in seconds.values():
        busy[busy.index(min(busy))] += value
    return Estimate(speeds, seconds, max(busy))


def _from_runs(study: Study, output: Path, generator: str) -> Speed | None:
    values: list[float] = []
    for each in study.runs:
        if each.generator == generator:
            lines = read_columns(output / RUNS / each.name / "log.csv").get("images_per_second", [])
            values += [value for value in lines if value]
    return Speed(float(np.median(values)), 15.0, "runs") if len(values) >= PROBE_STEPS else None


def _probe(study: Study, run: Run, options: Options) -> Speed:
    """Train a few steps of a run's last stage with one thread, in a folder that goes away."""
    config = run.config
    stage = dataclasses.replace(config.stages[-1], images=PROBE_STEPS * config.batch, warmup=0)
    never = 10**9
    short = dataclasses.replace(
        config, stages=(stage,), log_every=config.batch, checkpoint_every=never, validate_every=never, sample_every=never,
        validation_photographs=1,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        table, folder, log = (Path(scratch) / name for name in ("probe.toml", "run", "log.txt"))
        table.write_text(to_toml(short), encoding="utf-8")
        command = [sys.executable, "-m", "photochrom", "train", str(table), "--data", str(study.data[run.data])]
        command += ["-o", str(folder), "--accelerator", options.accelerator, "--workers", str(options.workers)]
        begun = time.monotonic()
        with log.open("wb") as file:
            done = subprocess.run(
                command,
                stdout=file,
                stderr=file,
                stdin=subprocess.DEVNULL,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
                check=False,
            )
        whole = time.monotonic() - begun
        if done.returncode:
            raise TrainingError(f"the generator {run.generator} cannot be tried: {reason_of(done.returncode, log)}")
        lines = [value for value in read_columns(folder / "log.csv")["images_per_second"] if value]
    speed = float(np.median(lines[1:] or lines))
    return Speed(speed, max(0.0, whole - PROBE_STEPS * config.batch / speed), "probe")
