"""Say in plain sentences what a study found and how sure that is: ``findings.md``, every word of it from the scores."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from photochrom.evaluation.metrics import Value
from photochrom.evaluation.scores import GREY
from photochrom.study.config import Study
from photochrom.study.results import Cell, Row

FINDINGS = "findings.md"

MARKS = {
    "better": "\u25b2 better",
    "worse": "\u25bc worse",
    "unclear": "no clear difference",
    "one seed": "one seed: not judged",
    "baseline": "baseline",
}


def page(study: Study, table: Sequence[Cell], results: Sequence[Row]) -> str:
    """Write the page: what was run, what holds, what does not, how sure that is, and the tables.

    Args:
        study: the study.
        table: its cells, as ``results.cells`` gives them.
        results: its rows, as ``results.rows`` gives them.

    Returns:
        Markdown.
    """
    parts = [
        f"# {study.title}",
        study.question,
        _made(study, results),
        "## Against grey",
        _grey(study, table, results),
        "## Against the baseline",
        _changes(study, table),
        "## How sure this is",
        _surety(study, table),
        *(["## Trained on one data set, tested on another", _cross(study, table)] if len(study.data) > 1 else []),
        "## The training",
        _training(results),
        "## Tables",
        tables(table, study, results),
    ]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def tables(table: Sequence[Cell], study: Study, results: Sequence[Row]) -> str:
    """Write the scores as Markdown tables, one for each test set, sorted by disparity."""
    parts = []
    for test in study.data:
        lines = []
        for row in results:
            if row["status"] == "baseline" and row["tested_on"] == test:
                disparity, skill = row["scores"]["disparity"]["value"], Value(**row["skill"][GREY])
                lines.append((disparity, f"| *{row['run']}* | | | {disparity:.3f} | {interval(skill)} | | |"))
        for cell in table:
            if cell.tested_on == test:
                disparity = cell.summary.disparity.value
                gap = f"{cell.difference.photographs.value:+.3f}, {MARKS[cell.mark]}" if cell.difference else MARKS["baseline"]
                spread = "" if cell.spread is None else f"{cell.spread:.3f}"
                name = f"{cell.generator} / {cell.regularizer}" + ("" if cell.beats_grey else f" ({against_grey(cell)})")
                seeds = f"{len(cell.seeds)}" + (f" ({len(cell.failed)} failed)" if cell.failed else "")
                line = f"| {name} | {cell.data} | {seeds} | {disparity:.3f} | {interval(cell.skill)} | {spread} | {gap} |"
                lines.append((disparity, line))
        head = (
            "| model | trained on | seeds | disparity % | skill over grey (95 %) | spread over seeds | against its baseline |"
        )
        parts.append(
            f"Tested on {test}:\n\n{head}\n|---|---|---|---|---|---|---|\n"
            + "\n".join(text for _, text in sorted(lines))
            + "\n"
        )
    return "\n".join(parts)


def against_grey(cell: Cell) -> str:
    """Say of a combination that does not beat grey beyond chance whether it does so at all."""
    return "no better than grey" if cell.skill.value <= 0 else "not surely better than grey"


def interval(value: Value, places: int = 3) -> str:
    """Write a value with its 95 % interval."""
    return f"{value.value:.{places}f} ({value.low:.{places}f} to {value.high:.{places}f})"


def _made(study: Study, results: Sequence[Row]) -> str:
    config = study.runs[0].config
    done = len({row["run"] for row in results if row["status"] == "ok"})
    failed = len({row["run"] for row in results if row["status"] == "failed"})
    more = f", and {len(study.grid.more_baseline_seeds)} more seeds of the baseline" if study.grid.more_baseline_seeds else ""
    photographs = ", ".join(
        f"{next(row['photographs'] for row in results if row['tested_on'] == test)} of {test}" for test in study.data
    )
    return (
        f"{done} of {len(study.runs)} training runs are scored, {failed} failed: {_several(study.grid.data, 'data set')} x "
        f"{_several(study.grid.generators, 'generator')} x {_several(study.grid.regularizers, 'regularizer')} x "
        f"{_several(study.grid.seeds, 'seed')}{more}. Each run saw {config.images:,} crops of {config.size} px in batches of "
        f"{config.batch}; the first generator is {config.generator_width} channels wide. Test photographs: {photographs}. "
        f"Disparity is the mean difference of red, green and blue in percent of the full range; lower is better."
    )


def _grey(study: Study, table: Sequence[Cell], results: Sequence[Row]) -> str:
    lines = []
    for test in study.data:
        known = {
            row["run"]: row["scores"]["disparity"]["value"]
            for row in results
            if row["status"] == "baseline" and row["tested_on"] == test
        }
        cells = [cell for cell in table if cell.tested_on == test]
        winners = sorted((cell for cell in cells if cell.beats_grey), key=lambda cell: -cell.skill.value)
        named = ", ".join(f"{_name(cell)} trained on {cell.data} ({cell.skill.value:+.3f})" for cell in winners[:5])
        said = f"the best by skill: {named}" if winners else "no model is surely better than leaving the photographs grey"
        plain = ", ".join(f"{name} {value:.3f} %" for name, value in known.items())
        lines.append(f"- {test} ({plain}): {len(winners)} of {len(cells)} combinations beat grey beyond chance; {said}.")
    return "\n".join(lines)


def _changes(study: Study, table: Sequence[Cell]) -> str:
    own: dict[str, list[Cell]] = {}
    for cell in table:
        if cell.data == cell.tested_on and cell.difference:
            own.setdefault(_name(cell), []).append(cell)
    everywhere = len(study.grid.data)
    kinds: tuple[tuple[str, Callable[[Counter[str]], bool]], ...] = (
        ("Better on every data set", lambda marks: marks["better"] == everywhere),
        ("Better on some, worse on none", lambda marks: 0 < marks["better"] < everywhere and not marks["worse"]),
        ("Better on one and worse on another", lambda marks: bool(marks["better"] and marks["worse"])),
        ("Worse on some, better on none", lambda marks: 0 < marks["worse"] < everywhere and not marks["better"]),
        ("Worse on every data set", lambda marks: marks["worse"] == everywhere),
        ("No clear difference", lambda marks: not marks["better"] and not marks["worse"]),
    )
    text = ["Each tested on the test photographs of its own data set; points of disparity, 95 % over photographs and seeds."]
    for title, fits in kinds:
        found = [cells for cells in own.values() if fits(Counter(cell.mark for cell in cells))]
        found.sort(key=lambda cells: np.mean([cell.difference.photographs.value for cell in cells if cell.difference]))
        lines = "\n".join(f"- {_name(cells[0])}: {', '.join(map(_gap, cells))}" for cells in found)
        text.append(f"**{title}** ({len(found)})" + (f":\n\n{lines}" if lines else "."))
    return "\n\n".join(text)


def _surety(study: Study, table: Sequence[Cell]) -> str:
    spreads = [cell.spread for cell in table if cell.spread is not None and cell.data == cell.tested_on]
    reaches = [
        (cell.difference.seeds.high - cell.difference.seeds.low) / 2
        for cell in table
        if cell.difference and cell.difference.seeds and cell.data == cell.tested_on
    ]
    if not spreads or not reaches:
        return f"With {_several(study.grid.seeds, 'seed')} nothing can be said about luck: no difference is judged."
    comparisons = sum(cell.difference is not None and cell.tested_on == study.grid.data[0] for cell in table)
    return (
        f"The same training with another seed moves the disparity by {np.median(spreads):.2f} points (median deviation "
        f"over {_several(study.grid.seeds, 'seed')}; {min(spreads):.2f} to {max(spreads):.2f}). A difference is known to "
        f"\u00b1{np.median(reaches):.2f} points (median half of a 95 % interval over photographs and seeds); smaller ones are "
        f"beyond the reach of this study. A difference counts as clear if its chance, corrected for the {comparisons} "
        f'comparisons of a test set (Holm), is below 5 %: "no clear difference" does not mean "no effect".'
    )


def _cross(study: Study, table: Sequence[Cell]) -> str:
    known = {(_name(cell), cell.data, cell.tested_on): cell for cell in table}
    lines = []
    for test in study.data:
        for other in study.data:
            pairs = [
                (cell.summary.disparity.value, known[name, other, test].summary.disparity.value)
                for (name, data, tested), cell in known.items()
                if data == tested == test and other != test and (name, other, test) in known
            ]
            if pairs:
                gaps = [strange - own for own, strange in pairs]
                lines.append(
                    f"- On {test}, models trained on {other} lie {np.mean(gaps):+.3f} points of disparity from those trained "
                    f"on {test} itself (mean over {len(pairs)} combinations, {min(gaps):+.3f} to {max(gaps):+.3f}); those of "
                    f"{test} are better in {sum(gap > 0 for gap in gaps)} of {len(pairs)}."
                )
    return "\n".join(lines)


def _training(results: Sequence[Row]) -> str:
    runs = {row["run"]: row["health"] for row in results if row["status"] == "ok"}
    costs = [
        found["lowest_loss_score"] - found["best_score"]
        for found in runs.values()
        if found["lowest_loss_score"] is not None and found["best_score"] is not None
    ]
    alarms = Counter(re.split(r"[:\d]", alarm)[0].strip() for found in runs.values() for alarm in found["alarms"])
    lines = []
    if costs:
        lines.append(
            f"- The lowest generator loss would have kept another checkpoint than the best validation score in "
            f"{sum(cost > 0 for cost in costs)} of {len(costs)} runs, worse by {np.mean(costs):.2f} points of disparity on "
            f"average ({max(costs):.2f} at most), color scaled to 60 % of the true."
        )
    lines += [f"- {alarm} ...: {count} of {len(runs)} runs." for alarm, count in alarms.most_common()]
    return "\n".join(lines or ["No run wrote anything down."])


def _gap(cell: Cell) -> str:
    assert cell.difference is not None
    value = cell.difference.seeds or cell.difference.photographs
    return f"{cell.data} {value.value:+.2f} ({value.low:+.2f} to {value.high:+.2f})"


def _name(cell: Cell) -> str:
    return f"{cell.generator} / {cell.regularizer}"


def _several(things: Iterable[object], noun: str) -> str:
    count = len(list(things))
    return f"{count} {noun}{'s' if count != 1 else ''}"
