"""Score models on test photographs against two baselines: grey, and the mean chroma of the training photographs.

The truth is a photograph of a prepared shard, the input is its luma, the output is compared to the truth at
full size. The baselines stand in every table, since grey alone already reaches a disparity below 7 percent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photochrom import color
from photochrom.color import Picture
from photochrom.colorizer.colorizer import Colorizer, Options
from photochrom.colorizer.model import Model, told_apart
from photochrom.evaluation import metrics
from photochrom.evaluation.metrics import Predict, Scores, Summary, Value
from photochrom.training.data.shards import Split, members, shards

Measure = Literal["disparity", "de2000"]

MODEL, GREY, MEAN_CHROMA = "model", "grey", "mean chroma"
MEASURES: tuple[Measure, ...] = ("disparity", "de2000")
"""The errors that a gain is given for."""


@dataclass(frozen=True)
class Row:
    """Hold the scores of one way to color: each photograph's, in order, and their summary."""

    name: str
    summary: Summary
    scores: tuple[Scores, ...] = field(repr=False)


@dataclass(frozen=True)
class Gain:
    """Hold how far the model's error lies below a baseline's, or another model's, in percent of grey's."""

    baseline: str
    measure: Measure
    percent: Value


@dataclass(frozen=True)
class Table:
    """Hold the rows of one data set, and the model's gains if it is among them."""

    photographs: int
    rows: tuple[Row, ...]
    gains: tuple[Gain, ...]


@dataclass(frozen=True)
class Evaluation:
    """Hold the scores of one model, or of several side by side.

    Attributes:
        model: name of the model, or of all of them.
        split: "test" or "train".
        vividness: in [0, 2].
        data_sets: a table for each folder of shards.
        all: the table of all photographs together.
        subject: name of the row that the gains are of.
    """

    model: str
    split: Split
    vividness: float
    data_sets: dict[str, Table]
    all: Table
    subject: str = MODEL


def evaluate(
    model: Colorizer | Path | None,
    data: Path | Sequence[Path],
    *,
    others: Sequence[Colorizer | Path] = (),
    split: Split = "test",
    limit: int | None = None,
    vividness: float = 1.0,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Score a model as it ships, beside grey and the mean chroma of its training photographs, which its card holds.

    A guest's training photographs are unknown: their place is taken by those of the first model among the others that was
    trained here, or of the model in the package.

    Args:
        model: a loaded model, a model's file, or None for the model in the package.
        data: prepared folders or shards.
        others: further models, which get rows of their own; the gains are those of the first over each.
        split: which shards.
        limit: the most photographs of each data set, spread evenly over it.
        vividness: in [0, 2].
        progress: called with the photographs done and their total after each.

    Raises:
        ModelError: the model is missing, damaged or not one of ours.
        DataError: there are no such shards, or one cannot be read.
        OptionError: the vividness is out of range, the limit below 1, or one model is given twice.
    """
    options = Options(vividness=vividness)
    colorizers = [
        Colorizer(each.model, options) if isinstance(each, Colorizer) else Colorizer.load(each, options=options)
        for each in (model, *others)
    ]
    names = told_apart(*(each.model for each in colorizers)) if others else (MODEL,)
    own = next((each.model.card for each in colorizers if each.model.card.guest is None), None) or Model.load().card
    predictors: dict[str, Predict] = {name: each.paint for name, each in zip(names, colorizers, strict=True)}
    predictors |= {GREY: grey, MEAN_CHROMA: tint(*own.mean_chroma)}
    data_sets, together = compare(predictors, data, subject=names[0], split=split, limit=limit, progress=progress)
    title = ", ".join(names) if others else colorizers[0].model.card.name
    return Evaluation(title, split, vividness, data_sets, together, names[0])


def grey(luma: NDArray[np.uint8]) -> Picture:
    """Repeat ``(H, W)`` luma as an ``(H, W, 3)`` picture without color."""
    return np.repeat(luma[:, :, None], 3, axis=2)


def tint(cb: float, cr: float) -> Predict:
    """Make a `Predict` that lays one chroma in [-0.5, 0.5] over the whole luma, weaker where the gamut ends."""
    chroma = np.array([cb, cr], np.float32)[:, None, None]
    return lambda luma: lay(chroma, luma)


def lay(chroma: NDArray[np.float32], luma: NDArray[np.uint8]) -> Picture:
    """Lay ``(2, H, W)`` or ``(2, 1, 1)`` chroma in [-0.5, 0.5] over ``(H, W)`` luma, weaker where the gamut ends."""
    unit = luma.astype(np.float32) / 255
    factor = color.headroom(unit, *chroma, minimum=np.minimum, maximum=np.maximum)
    return color.join(unit, factor * chroma)


def compare(
    predictors: Mapping[str, Predict],
    data: Path | Sequence[Path],
    *,
    subject: str = MODEL,
    split: Split = "test",
    limit: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[dict[str, Table], Table]:
    """Score several ways to color on the same photographs.

    Args:
        predictors: by the name of their row; `GREY` must be one of them.
        data: prepared folders or shards.
        subject: the row, if there is one of that name, whose gains over every other are measured.
        split: which shards.
        limit: the most photographs of each data set, spread evenly over it.
        progress: called with the photographs done and their total after each.

    Returns:
        The table of each data set, and that of all.

    Raises:
        DataError: there are no such shards, or one cannot be read.
        OptionError: the limit is below 1, or a predictor gives a picture of another size.
    """
    listed = {name: members(paths, limit=limit) for name, paths in shards(data, split).items()}
    total = sum(map(len, listed.values()))
    done = 0
    scored: dict[str, dict[str, list[Scores]]] = {}
    for data_set, photographs in listed.items():
        scored[data_set] = {name: [] for name in predictors}
        weights = metrics.class_weights(member.read() for member in photographs)
        for member in photographs:
            truth = metrics.Truth.of(member.read(), weights)
            luma = luma_of(truth.picture)
            for name, predict in predictors.items():
                scored[data_set][name].append(metrics.score(truth, predict(luma)))
            done += 1
            if progress:
                progress(done, total)
    merged = {name: [row for rows in scored.values() for row in rows[name]] for name in predictors}
    return {data_set: _table(rows, subject) for data_set, rows in scored.items()}, _table(merged, subject)


def luma_of(picture: Picture) -> NDArray[np.uint8]:
    """Give the ``(H, W)`` uint8 luma of an ``(H, W, 3)`` uint8 picture, as a predictor is shown it."""
    return np.asarray(Image.fromarray(picture).convert("L"))


def _table(scores: Mapping[str, Sequence[Scores]], subject: str) -> Table:
    gains = [
        Gain(baseline, measure, metrics.gain(scores[subject], scores[baseline], grey=scores[GREY], measure=measure))
        for baseline in scores
        if subject in scores and baseline != subject
        for measure in MEASURES
    ]
    rows = [Row(name, metrics.summarize(each), tuple(each)) for name, each in scores.items()]
    return Table(len(scores[GREY]), tuple(rows), tuple(gains))


def to_json(evaluation: Evaluation) -> str:
    """Give an evaluation as one JSON object on one line, without the rows of single photographs."""

    def table(each: Table) -> dict[str, Any]:
        gains: dict[str, dict[str, Any]] = {}
        for gain in each.gains:
            gains.setdefault(gain.baseline, {})[gain.measure] = asdict(gain.percent)
        return {
            "photographs": each.photographs,
            "scores": {row.name: asdict(row.summary) for row in each.rows},
            "gain_percent": gains,
        }

    return json.dumps(
        {
            "model": evaluation.model,
            "split": evaluation.split,
            "vividness": evaluation.vividness,
            "data_sets": {name: table(each) for name, each in evaluation.data_sets.items()},
            "all": table(evaluation.all),
        },
        ensure_ascii=False,
        allow_nan=False,
    )


SCORE_COLUMNS = (
    "data set",
    "photographs",
    "colored by",
    "R %",
    "G %",
    "B %",
    "disparity %",
    "PSNR dB",
    "dE2000",
    "AuC %",
    "colorfulness",
    "of true",
)
GAIN_COLUMNS = ("data set", "less error than", "disparity", "dE2000")


def rows(evaluation: Evaluation) -> list[tuple[str, ...]]:
    """Give the cells of a printed table under `SCORE_COLUMNS`; the means to be judged carry their 95 % interval."""
    return [
        (
            name,
            str(table.photographs),
            row.name,
            f"{row.summary.disparity_red.value:.2f}",
            f"{row.summary.disparity_green.value:.2f}",
            f"{row.summary.disparity_blue.value:.2f}",
            cell(row.summary.disparity),
            cell(row.summary.psnr),
            cell(row.summary.de2000),
            cell(row.summary.auc),
            f"{row.summary.colorfulness.value:.1f}",
            cell(row.summary.colorfulness_ratio),
        )
        for name, table in _tables(evaluation)
        for row in table.rows
    ]


def gain_rows(evaluation: Evaluation) -> list[tuple[str, ...]]:
    """Give the cells of a printed table under `GAIN_COLUMNS`: the model's gains in percent of grey's error, with intervals."""
    return [
        (name, baseline, *(cell(gain.percent, " %") for gain in table.gains if gain.baseline == baseline))
        for name, table in _tables(evaluation)
        for baseline in dict.fromkeys(gain.baseline for gain in table.gains)
    ]


def _tables(evaluation: Evaluation) -> list[tuple[str, Table]]:
    alone = len(evaluation.data_sets) == 1
    return [*evaluation.data_sets.items(), *([] if alone else [("all", evaluation.all)])]


def cell(value: Value, unit: str = "") -> str:
    """Print a figure with its unit and its 95 % interval."""
    return f"{value.value:.2f}{unit} ({value.low:.2f} to {value.high:.2f})"
