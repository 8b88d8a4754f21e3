"""Do one job of a study in a process of its own: score the baselines, or train, export and score one run.

``python -m photochrom.study.worker JOB`` with the job as JSON. The process ends when its standard input does, so it never
outlives a study that was killed and never writes into a folder that the study, run again, has taken up.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from photochrom import color
from photochrom.color import Floats
from photochrom.colorizer.colorizer import Colorizer, Options
from photochrom.errors import PhotochromError, one_line
from photochrom.evaluation import metrics
from photochrom.evaluation import scores as evaluate
from photochrom.evaluation.metrics import Predict, Scores, Truth
from photochrom.evaluation.scores import GREY, MEAN_CHROMA
from photochrom.study import diagnostics
from photochrom.study.config import Run, Test
from photochrom.training.data.shards import Member, members, shards

Accelerator = Literal["auto", "cpu", "cuda", "mps"]

BASELINES, SCORES, FAILED, MODEL, STUDY = "baselines.json", "scores.json", "failed.json", "model.onnx", "study.json"
TABLES, RUNS, LOGS = "tables", "runs", "logs"
"""Files and folders of a study."""

MEAN_OF = 1000
"""The mean chroma of a data set is measured on at most so many training photographs."""
PLACES = 9
"""Significant digits of what is written."""


@dataclass(frozen=True)
class Job:
    """What a worker is given."""

    study: Path
    run: str
    """Name of the run; empty = score the baselines."""
    data: dict[str, Path]
    test: Test
    accelerator: Accelerator
    workers: int

    def to_json(self) -> str:
        """Write the job for the worker's command line."""
        table = asdict(self) | {"study": str(self.study), "data": {name: str(path) for name, path in self.data.items()}}
        return json.dumps(table)

    @classmethod
    def from_json(cls, text: str) -> Job:
        """Read what ``to_json`` wrote."""
        table = json.loads(text)
        table |= {"study": Path(table["study"]), "test": Test(**table["test"])}
        return cls(**table | {"data": {name: Path(path) for name, path in table["data"].items()}})


def score_baselines(job: Job) -> None:
    """Score grey and the mean chroma of each training set on every test set, once for all runs, into ``baselines.json``."""
    means = {name: _mean_chroma(path) for name, path in job.data.items()}
    predictors: dict[str, Predict] = {GREY: evaluate.grey}
    predictors |= {f"{MEAN_CHROMA} of {name}": evaluate.tint(*mean) for name, mean in means.items()}
    tests: dict[str, Any] = {}
    for name, path in job.data.items():
        photographs = test_photographs(path, job.test.limit)
        weights = metrics.class_weights(member.read() for member in photographs)
        scored = {row: _score(photographs, weights, predict, job.test) for row, predict in predictors.items()}
        tests[name] = {
            "photographs": [member.name for member in photographs],
            "weights": weights.tolist(),
            "scores": {row: [list(vars(each).values()) for each in scores] for row, (scores, _) in scored.items()},
            "frechet": {row: distance for row, (_, distance) in scored.items()},
        }
    write_json(job.study / BASELINES, {"mean_chroma": means, "tests": tests})


def train_and_score(job: Job, run: Run) -> None:
    """Train a run or finish its training, export it, and score it on every test set into ``scores.json``."""
    from photochrom.training.export import export
    from photochrom.training.loop import Compute, train

    folder = job.study / RUNS / run.name
    compute = Compute(accelerator=job.accelerator, workers=job.workers)
    train(run.config, [job.data[run.data]], run=folder, compute=compute)
    export(folder, folder / MODEL, name=run.name)
    colorizer = Colorizer.load(folder / MODEL, options=Options(vividness=job.test.vividness), threads=1)
    baselines = json.loads((job.study / BASELINES).read_text(encoding="utf-8"))
    rows, scores = [], {}
    for name, path in job.data.items():
        known = baselines["tests"][name]
        photographs = test_photographs(path, job.test.limit)
        found, distance = _score(photographs, np.array(known["weights"]), colorizer.paint, job.test)
        others = {row: read_scores(values) for row, values in known["scores"].items()}
        against = {GREY: others[GREY], MEAN_CHROMA: others[f"{MEAN_CHROMA} of {run.data}"]}
        rows.append(result(found, distance, against) | {"tested_on": name})
        scores[name] = [list(vars(each).values()) for each in found]
    write_json(folder / SCORES, {"rows": rows, "health": diagnostics.examine(folder), "scores": scores})


def result(scores: Sequence[Scores], frechet: float, against: Mapping[str, Sequence[Scores]]) -> dict[str, Any]:
    """Sum up the scores of one way to color on one test set.

    Args:
        scores: one for each photograph.
        frechet: the Frechet distance.
        against: the scores of baselines by their names; ``grey`` decides whether the row beats grey.

    Returns:
        Means with 95 % intervals over the photographs; the skill against each baseline.
    """
    skill = {name: metrics.skill(scores, rows) for name, rows in against.items()}
    return {
        "photographs": len(scores),
        "scores": asdict(metrics.summarize(scores)),
        "skill": {name: asdict(value) for name, value in skill.items()},
        "beats_grey": skill[GREY].low > 0,
        "frechet": frechet,
    }


def read_scores(rows: Sequence[Sequence[float]]) -> list[Scores]:
    """Read rows of numbers, as ``scores.json`` and ``baselines.json`` hold them."""
    return [Scores(*row) for row in rows]


def test_photographs(data: Path, limit: int) -> list[Member]:
    """List the test photographs of a prepared folder that a study takes; raises DataError if there are none."""
    found = [path for paths in shards(data, "test").values() for path in paths]
    return members(found, limit=limit or None)


def write_json(path: Path, table: Any) -> None:
    """Write JSON beside its target and rename it; numbers keep nine significant digits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(rounded(table), ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    part.replace(path)


def rounded(value: Any) -> Any:
    """Round every float inside to nine significant digits: more would be noise, and differ between machines."""
    if isinstance(value, float):
        return float(f"{value:.{PLACES}g}")
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list | tuple) else value


def _score(photographs: Sequence[Member], weights: Floats, predict: Predict, test: Test) -> tuple[list[Scores], float]:
    from photochrom.evaluation.features import frechet_distance

    truths, pictures, scores = [], [], []
    for member in photographs:
        truth = Truth.of(member.read(), weights)
        picture = predict(evaluate.luma_of(truth.picture))
        scores.append(metrics.score(truth, picture))
        truths.append(truth.picture)
        pictures.append(picture)
    return scores, frechet_distance(truths, pictures, features=test.frechet) if len(truths) > 1 else 0.0


def _mean_chroma(data: Path) -> tuple[float, float]:
    found = [path for paths in shards(data, "train").values() for path in paths]
    means = [color.split(member.read())[1].mean((1, 2), dtype=np.float64) for member in members(found, limit=MEAN_OF)]
    cb, cr = np.mean(means, 0)
    return float(cb), float(cr)


def _end_with_the_study() -> None:
    while os.read(sys.stdin.fileno(), 1):  # not sys.stdin.read(): its lock would stop the interpreter from leaving
        pass
    os._exit(1)


def main() -> None:
    """Do the job of the command line; leave with 1 and one line on standard error if it cannot be done."""
    threading.Thread(target=_end_with_the_study, daemon=True).start()
    job = Job.from_json(sys.argv[1])
    try:
        if not job.run:
            score_baselines(job)
            return
        from photochrom.training.config import from_table

        plan = json.loads((job.study / STUDY).read_text(encoding="utf-8"))["runs"]
        (row,) = (row for row in plan if row["name"] == job.run)
        settings = tomllib.loads((job.study / TABLES / f"{job.run}.toml").read_text(encoding="utf-8"))
        train_and_score(job, Run(**row, config=from_table(settings, where=job.run)))
    except PhotochromError as error:
        sys.exit(one_line(error))


if __name__ == "__main__":
    main()
