"""Put the scores of a study's runs together: one row a run and test set, and cells over seeds compared to their baselines."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from photochrom.evaluation import metrics
from photochrom.evaluation.metrics import Scores, Value
from photochrom.evaluation.scores import GREY, MEAN_CHROMA
from photochrom.study.config import Grid, Run, Study
from photochrom.study.worker import BASELINES, FAILED, RUNS, SCORES, read_scores, result, rounded

RESULTS = "results.jsonl"
LEVEL = 0.05
"""Chance of one false mark or more in a table."""

Row = dict[str, Any]
Mark = Literal["better", "worse", "unclear", "one seed", "baseline"]


@dataclass(frozen=True)
class Difference:
    """How far a cell's disparity lies from its baseline's, in points of a percent; below 0 is better."""

    baseline: str
    """The cell it is compared to: generator and regularizer."""
    photographs: Value
    """With the paired bootstrap interval over the photographs: what other photographs could change."""
    seeds: Value | None
    """With an interval that holds the spread over seeds too (Welch's t); None where a cell has one seed."""
    chance: float | None
    """How often chance makes a difference as large, corrected for the number of comparisons (Holm 1979)."""


@dataclass(frozen=True)
class Cell:
    """All seeds of one combination on one test set."""

    data: str
    generator: str
    regularizer: str
    tested_on: str
    seeds: tuple[int, ...]
    failed: tuple[int, ...]
    """Seeds whose run failed."""
    summary: metrics.Summary
    """Means over photographs and seeds."""
    skill: Value
    """Against grey, with an interval over photographs."""
    skill_mean_chroma: Value
    spread: float | None
    """Standard deviation of the disparity over seeds; None for one seed."""
    frechet: float
    beats_grey: bool
    """Its skill is above 0 beyond chance, over photographs and, with several, over seeds."""
    difference: Difference | None
    """None for the baseline of all."""
    mark: Mark


def write(study: Study, output: Path) -> None:
    """Write ``results.jsonl`` from what has been scored so far: baselines, then the runs in the order of the grid."""
    lines = [json.dumps(rounded(row), ensure_ascii=False, allow_nan=False) for row in rows(study, output)]
    part = output / f"{RESULTS}.part"
    part.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    part.replace(output / RESULTS)


def rows(study: Study, output: Path) -> list[Row]:
    """Return the rows of the results: each baseline and each run on every test set; a failed run with its reason."""
    found: list[Row] = []
    baselines = json.loads((output / BASELINES).read_text(encoding="utf-8"))
    for test, known in baselines["tests"].items():
        grey = read_scores(known["scores"][GREY])
        for name, values in known["scores"].items():
            head: Row = {"run": name, "status": "baseline", "data": name.removeprefix(f"{MEAN_CHROMA} of ")}
            head |= {"data": None} if name == GREY else {}
            found.append(head | {"tested_on": test} | result(read_scores(values), known["frechet"][name], {GREY: grey}))
    for run in study.runs:
        head = {"run": run.name, "status": "ok"}
        head |= {name: getattr(run, name) for name in ("data", "generator", "regularizer", "seed")}
        scored = output / RUNS / run.name / SCORES
        failed = output / RUNS / run.name / FAILED
        if scored.exists():
            table = json.loads(scored.read_text(encoding="utf-8"))
            for row in table["rows"]:
                found.append(head | {"tested_on": row["tested_on"]} | row | {"health": table["health"]})
        elif failed.exists():
            reason = json.loads(failed.read_text(encoding="utf-8"))["reason"]
            found += [head | {"status": "failed", "tested_on": test, "reason": reason} for test in study.data]
    return found


def photograph_scores(output: Path, run: Run, test: str) -> list[Scores] | None:
    """Read a run's scores of each photograph of a test set, or None where it has none."""
    path = output / RUNS / run.name / SCORES
    if not path.exists():
        return None
    return read_scores(json.loads(path.read_text(encoding="utf-8"))["scores"][test])


def baseline_scores(output: Path, test: str) -> dict[str, list[Scores]]:
    """Read the baselines' scores of each photograph of a test set, by the baselines' names."""
    table = json.loads((output / BASELINES).read_text(encoding="utf-8"))["tests"][test]["scores"]
    return {name: read_scores(values) for name, values in table.items()}


def cells(study: Study, output: Path) -> list[Cell]:
    """Compare every combination to its baseline on every test set; those without a finished run are left out.

    A cell is compared to the grid's first regularizer on the same generator and training data; with the first regularizer
    itself, to the grid's first generator. The marks of one test set are corrected together.
    """
    distances = {(row["run"], row["tested_on"]): row["frechet"] for row in rows(study, output) if "frechet" in row}
    found: list[Cell] = []
    for test in study.data:
        others = baseline_scores(output, test)
        scored: dict[tuple[str, str, str], dict[int, list[Scores]]] = {}
        lost: dict[tuple[str, str, str], list[int]] = {}
        for run in study.runs:
            key = run.data, run.generator, run.regularizer
            scores = photograph_scores(output, run, test)
            if scores:
                scored.setdefault(key, {})[run.seed] = scores
            elif (output / RUNS / run.name / FAILED).exists():
                lost.setdefault(key, []).append(run.seed)
        table = []
        for key, by_seed in scored.items():
            names = [
                run.name for run in study.runs if (run.data, run.generator, run.regularizer) == key and run.seed in by_seed
            ]
            base = _baseline(study.grid, key)
            table.append(
                _cell(
                    key, test, by_seed,
                    failed=tuple(lost.get(key, ())),
                    frechet=float(np.mean([distances[name, test] for name in names])),
                    grey=others[GREY],
                    mean_chroma=others[f"{MEAN_CHROMA} of {key[0]}"],
                    base=(base[1:], scored[base]) if base in scored else None,
                )
            )  # fmt: skip
        found += _marked(table)
    return found


def _baseline(grid: Grid, key: tuple[str, str, str]) -> tuple[str, str, str] | None:
    data, generator, regularizer = key
    if regularizer != grid.regularizers[0]:
        return data, generator, grid.regularizers[0]
    return (data, grid.generators[0], regularizer) if generator != grid.generators[0] else None


def _cell(
    key: tuple[str, str, str],
    test: str,
    by_seed: dict[int, list[Scores]],
    *,
    failed: tuple[int, ...],
    frechet: float,
    grey: list[Scores],
    mean_chroma: list[Scores],
    base: tuple[tuple[str, str], dict[int, list[Scores]]] | None,
) -> Cell:
    own = over_seeds(list(by_seed.values()))
    skill = metrics.skill(own, grey)
    disparities = _disparities(by_seed)
    above_grey = compare(disparities, np.array([[row.disparity for row in grey]]), fixed=True)
    return Cell(
        *key,
        tested_on=test,
        seeds=tuple(by_seed),
        failed=failed,
        summary=metrics.summarize(own),
        skill=skill,
        skill_mean_chroma=metrics.skill(own, mean_chroma),
        spread=float(disparities.mean(1).std(ddof=1)) if len(by_seed) > 1 else None,
        frechet=frechet,
        beats_grey=skill.low > 0 and (above_grey is None or above_grey[0].high < 0),
        difference=_difference(own, disparities, base) if base else None,
        mark="baseline" if base is None else "unclear",
    )


def _difference(
    own: list[Scores], disparities: NDArray[np.float64], base: tuple[tuple[str, str], dict[int, list[Scores]]]
) -> Difference:
    name, by_seed = base
    photographs = metrics.difference(own, over_seeds(list(by_seed.values()))).disparity
    seeds = compare(disparities, _disparities(by_seed))
    return Difference(" / ".join(name), photographs, *(seeds or (None, None)))


def _disparities(by_seed: dict[int, list[Scores]]) -> NDArray[np.float64]:
    return np.array([[row.disparity for row in scores] for scores in by_seed.values()])


def over_seeds(scores: Sequence[Sequence[Scores]]) -> list[Scores]:
    """Average the scores of each photograph over seeds."""
    return [Scores(*row) for row in np.mean([[list(vars(each).values()) for each in rows] for rows in scores], 0)]


def compare(one: NDArray[np.float64], two: NDArray[np.float64], *, fixed: bool = False) -> tuple[Value, float] | None:
    """Compare two methods, each trained with several seeds, on the same photographs.

    Two sources of chance add up in the error of the difference of the means: the photographs, paired, and the seeds of each.
    Their degrees of freedom are combined after Welch 1947 and Satterthwaite 1946.

    Args:
        one: ``(seeds, photographs)``.
        two: likewise; the seeds of both may differ in number.
        fixed: the second has no chance of its own: it is the same with every seed.

    Returns:
        ``one - two`` with a 95 % interval, and the two-sided chance of a difference as large; None where a method has one seed.
    """
    if len(one) < 2 or (len(two) < 2 and not fixed):
        return None
    paired = one.mean(0) - two.mean(0)
    sources = [(paired.var(ddof=1) / len(paired), len(paired) - 1)] if len(paired) > 1 else []
    sources += [(each.mean(1).var(ddof=1) / len(each), len(each) - 1) for each in (one, two) if len(each) > 1]
    variance = sum(part for part, _ in sources)
    value = float(paired.mean())
    if variance == 0:
        return Value(value, value, value), 1.0 if value == 0 else 0.0
    freedom = variance**2 / sum(part**2 / degrees for part, degrees in sources)
    error = math.sqrt(variance)
    reach = float(stats.t.ppf(1 - LEVEL / 2, freedom)) * error
    return Value(value, value - reach, value + reach), float(2 * stats.t.sf(abs(value) / error, freedom))


def holm(chances: Sequence[float]) -> list[float]:
    """Correct the chances of several comparisons made together (Holm 1979), so that they hold for all at once."""
    corrected = [0.0] * len(chances)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(chances)), key=lambda each: chances[each])):
        highest = max(highest, min(1.0, chances[place] * (len(chances) - rank)))
        corrected[place] = highest
    return corrected


def _marked(table: list[Cell]) -> list[Cell]:
    """Correct the chances of one test set's comparisons and mark the cells."""
    tested = [each for each in table if each.difference and each.difference.chance is not None]
    corrected = holm([each.difference.chance for each in tested if each.difference and each.difference.chance is not None])
    chances = {id(each): chance for each, chance in zip(tested, corrected, strict=True)}
    marked = []
    for each in table:
        if each.difference is None:
            marked.append(replace(each, mark="baseline"))
        elif id(each) not in chances:
            marked.append(replace(each, mark="one seed"))
        else:
            chance = chances[id(each)]
            value = each.difference.photographs.value
            mark: Mark = "unclear" if chance >= LEVEL else "better" if value < 0 else "worse"
            marked.append(replace(each, difference=replace(each.difference, chance=chance), mark=mark))
    return marked
