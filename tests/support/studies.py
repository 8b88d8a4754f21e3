"""Make studies of synthetic scores, without training anything."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from photochrom.evaluation.metrics import Scores
from photochrom.study import config, runner, worker
from photochrom.study.config import Run, Study
from photochrom.study.worker import BASELINES, MODEL, RUNS, SCORES

TABLE = {
    "title": "A study <of> nothing",
    "question": "Does it & hold?",
    "base": {
        "l1_weight": 100.0, "generator_width": 4, "generator_dropout": 0.0, "discriminator_width": 4, "size": 32, "batch": 4,
        "log_every": 4, "checkpoint_every": 4, "validate_every": 8, "validation_photographs": 4, "sample_every": 10**9,
        "stop_on": "none", "stages": [{"kind": "adversarial", "images": 16, "rate": 2e-4}],
    },
    "grid": {"generators": ["unet"], "regularizers": ["none", "spectral-d"], "seeds": [0, 1, 2]},
    "test": {"limit": 4},
}  # fmt: skip
WEIGHTS = Path(worker.__file__).parents[1] / "colorizer" / "weights" / "photochrom.onnx"


def study(data: dict[str, Path], **grid: object) -> Study:
    table = json.loads(json.dumps(TABLE))
    table["grid"] |= grid
    return config.from_tables(table, data)


def scores(disparities: np.ndarray) -> list[Scores]:
    """Give scores whose disparities are these, the rest plausible."""
    return [Scores(d, d, d, d, 30 - d, 0.95, 2 * d, 90 - d, 80 - d, 20, 40) for d in disparities.tolist()]


def score_all(plan: Study, output: Path, disparity: Callable[[Run, str], np.ndarray | None], *, photographs: int = 40) -> None:
    """Fill a study's folder with scores: grey has a disparity of about 6; a run without an answer stays without."""
    runner.claim(plan, output)
    rng = np.random.default_rng(0)
    grey = {test: 6 + rng.normal(0, 1, photographs) for test in plan.data}
    tests = {}
    for test in plan.data:
        rows = {"grey": scores(grey[test])} | {f"mean chroma of {name}": scores(grey[test] - 0.1) for name in plan.data}
        tests[test] = {
            "scores": {name: [list(vars(each).values()) for each in table] for name, table in rows.items()},
            "frechet": dict.fromkeys(rows, 5.0),
        }
    worker.write_json(output / BASELINES, {"tests": tests})
    for run in plan.runs:
        folder, found, table = output / RUNS / run.name, {}, []
        for test in plan.data:
            answer = disparity(run, test)
            if answer is None:
                break
            found[test] = scores(grey[test] + answer)
            against = {"grey": scores(grey[test]), "mean chroma": scores(grey[test] - 0.1)}
            table.append({"tested_on": test} | worker.result(found[test], 4.0, against))
        else:
            health = {
                "images_seen": 16, "best_images": 8, "best_score": 5.5, "lowest_loss_images": 16, "lowest_loss_score": 5.9,
                "accuracy": 0.99, "held_accuracy": 0.6, "chroma": 0.5, "alarms": ["The discriminator won."],
            }  # fmt: skip
            values = {test: [list(vars(each).values()) for each in rows] for test, rows in found.items()}
            worker.write_json(folder / SCORES, {"rows": table, "health": health, "scores": values})
            shutil.copy(WEIGHTS, folder / MODEL)
            (folder / "log.csv").write_text(LOG)
            (folder / "validation.csv").write_text(VALIDATION)


LOG = (
    "images_seen,stage,rate,generator,bins,l1,perceptual,adversarial,real,fake,accuracy,grad_generator,grad_discriminator\n"
    + "".join(
        f"{4 * i},adversarial,0.1,{9 - i},,12,,{1 + i / 9},{0.7 - i / 9},0.5,{0.5 + i / 20},{i + 1},2\n" for i in range(1, 6)
    )
)
VALIDATION = "images_seen,score,disparity,grey,chroma,held_accuracy\n8,5.5,5.7,6,0.5,0.6\n16,5.9,5.8,6,0.6,0.55\n"
