"""Say what a study found and how sure that is: the rows of its tables, and ``findings.md``, all from the scores."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader

from photochrom.evaluation.metrics import Value
from photochrom.evaluation.scores import GREY
from photochrom.study.config import Study
from photochrom.study.diagnostics import ALARMS
from photochrom.study.results import Cell, Mark, Row

FINDINGS = "findings.md"

MARKS: dict[Mark, str] = {
    "better": "\u25b2 better",
    "worse": "\u25bc worse",
    "unclear": "no clear difference",
    "one seed": "one seed: not judged",
    "baseline": "baseline",
}
STAR = "\u2020"
HOLM = (
    STAR
    + " The interval leaves 0 out, and yet the difference is not called clear. The interval counts this comparison only; of "
    "{count} comparisons in a table, one in twenty would leave 0 out by chance. Holm's correction asks for more: a chance "
    "below 5 % that any mark of the table is false."
)
"""What the star says."""
PALE = (
    "Colorfulness is given as a share of the photographs' own (Hasler and Suesstrunk 2003): 1 is as colorful as they are, 0 is "
    "grey. Disparity punishes a wrong color more than a missing one, so a pale answer wins a table by disparity. Read the two "
    "together: a model with less disparity and much less colorfulness has learned to color less, not to color better."
)


@dataclass(frozen=True)
class Line:
    """One row of the tables of a test set: a combination of the grid, or a baseline that is no model."""

    name: str
    data: str
    """What it was trained on; empty for grey."""
    scores: Mapping[str, float]
    """Means by the names of ``Summary``."""
    skill: Value
    """Against grey."""
    frechet: float
    cell: Cell | None = None
    """None for a baseline that is no model."""

    @property
    def note(self) -> str:
        """Say of a combination that does not beat grey beyond chance whether it does so at all; else nothing."""
        return against_grey(self.cell) if self.cell and not self.cell.beats_grey else ""

    @property
    def verdict(self) -> str:
        """Say how it compares to its baseline."""
        if self.cell is None:
            return ""
        difference = self.cell.difference
        return (
            f"{difference.photographs.value:+.3f}, {MARKS[self.cell.mark]}{star(self.cell)}"
            if difference
            else MARKS["baseline"]
        )


def lines(study: Study, table: Sequence[Cell], results: Sequence[Row]) -> dict[str, list[Line]]:
    """Return the rows of the tables by test set, sorted by disparity."""
    found: dict[str, list[Line]] = {}
    for test in study.data:
        rows = [row for row in results if row["status"] == "baseline" and row["tested_on"] == test]
        cells = [cell for cell in table if cell.tested_on == test]
        known = [
            Line(
                row["run"],
                row["data"] or "",
                {name: value["value"] for name, value in row["scores"].items()},
                Value(**row["skill"][GREY]),
                row["frechet"],
            )
            for row in rows
        ]
        for cell in cells:
            scores = {field.name: getattr(cell.summary, field.name).value for field in dataclasses.fields(cell.summary)}
            known.append(Line(_name(cell), cell.data, scores, cell.skill, cell.frechet, cell))
        found[test] = sorted(known, key=lambda line: line.scores["disparity"])
    return found


def page(study: Study, table: Sequence[Cell], results: Sequence[Row]) -> str:
    """Write the page: what was run, what holds, what does not, how sure that is, and the tables.

    Args:
        study: the study.
        table: its cells, as ``results.cells`` gives them.
        results: its rows, as ``results.rows`` gives them.

    Returns:
        Markdown.
    """
    sections = {
        "Against grey": _grey(study, table, results),
        "Against the baseline": _changes(study, table),
        "How sure this is": _surety(study, table),
        **({"Trained on one data set, tested on another": _cross(study, table)} if len(study.data) > 1 else {}),
        "The training": training(results),
        "Tables": tables(table, study, results),
    }
    return (
        templates(html=False)
        .get_template("findings.md")
        .render(study=study, made=made(study, results), sections=sections)
        .strip()
        + "\n"
    )


def tables(table: Sequence[Cell], study: Study, results: Sequence[Row]) -> str:
    """Write the scores as Markdown tables, one for each test set, sorted by disparity."""
    template = templates(html=False).get_template("tables.md")
    return template.render(tests=lines(study, table, results), pale=PALE, holm=starred(table)).strip()


def templates(*, html: bool) -> Environment:
    """Load the templates of the study's pages."""
    found = Environment(
        loader=PackageLoader("photochrom.study"),
        autoescape=html,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    found.filters |= {"interval": interval, "number": number, "percent": percent}
    return found


def against_grey(cell: Cell) -> str:
    """Say of a combination that does not beat grey beyond chance whether it does so at all."""
    return "no better than grey" if cell.skill.value <= 0 else "not surely better than grey"


def interval(value: Value, places: int = 3) -> str:
    """Write a value with its 95 % interval."""
    return f"{value.value:.{places}f} ({value.low:.{places}f} to {value.high:.{places}f})"


def number(value: float | None, places: int = 3) -> str:
    """Write a number, or nothing for None."""
    return "" if value is None else f"{value:,.{places}f}"


def percent(value: float | None) -> str:
    """Write a share in percent, or nothing for None."""
    return "" if value is None else f"{100 * value:.0f} %"


def star(cell: Cell) -> str:
    """Mark a difference that is not clear although its interval leaves 0 out."""
    seeds = cell.difference.seeds if cell.difference else None
    return STAR if cell.mark == "unclear" and seeds and not seeds.low <= 0 <= seeds.high else ""


def starred(table: Sequence[Cell]) -> str:
    """Explain the star where a table has one; else nothing."""
    counts = Counter(cell.tested_on for cell in table if cell.difference)
    return HOLM.format(count=max(counts.values())) if any(map(star, table)) else ""


def made(study: Study, results: Sequence[Row]) -> str:
    """Say what was run and tested."""
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
        ("No clear difference", lambda marks: not (marks["better"] or marks["worse"] or marks["one seed"])),
        ("Not judged: one seed", lambda marks: bool(marks["one seed"] and not marks["better"] and not marks["worse"])),
    )
    text = [
        "Each tested on the test photographs of its own data set: points of disparity, 95 % over photographs and seeds, and "
        "after them the colorfulness.",
        *filter(None, [confounded(study, table)]),
    ]
    for title, fits in kinds:
        found = [cells for cells in own.values() if fits(Counter(cell.mark for cell in cells))]
        found.sort(key=lambda cells: np.mean([cell.difference.photographs.value for cell in cells if cell.difference]))
        listed = "\n".join(f"- {_name(cells[0])}: {'; '.join(map(_gap, cells))}" for cells in found)
        text.append(f"**{title}** ({len(found)})" + (f":\n\n{listed}" if listed else "."))
    stars = any(star(cell) for cells in own.values() for cell in cells)
    return "\n\n".join([*text, *[starred(table)] * stars, pale(table)])


def pale(table: Sequence[Cell]) -> str:
    """Say what colorfulness means, and how colorful the better combinations are beside their baselines."""
    known = {(f"{cell.generator} / {cell.regularizer}", cell.data, cell.tested_on): cell for cell in table}
    pairs = [
        (cell.summary.colorfulness_ratio.value, known[cell.difference.baseline, cell.data, cell.tested_on].summary)
        for cell in table
        if cell.difference and cell.mark == "better"
    ]
    if not pairs:
        return PALE
    theirs = [summary.colorfulness_ratio.value for _, summary in pairs]
    ours = [value for value, _ in pairs]
    return (
        f"{PALE} Here the combinations that are better have a colorfulness of {min(ours):.2f} to {max(ours):.2f}, and the "
        f"baselines that they are compared to {min(theirs):.2f} to {max(theirs):.2f}."
    )


def confounded(study: Study, table: Sequence[Cell]) -> str:
    """Name the regularizers that also take the discriminator's normalization away, and the one that takes only that away."""
    name = "discriminator_normalization"
    first: dict[str, Any] = {}
    changes: dict[str, set[str]] = {}
    for run in study.runs:
        config = dataclasses.asdict(run.config)
        if run.regularizer == study.grid.regularizers[0]:
            first.setdefault(run.generator, config)
    for run in study.runs:
        base, config = first[run.generator], dataclasses.asdict(run.config)
        changed = {key for key, value in config.items() if key != "seed" and value != base[key]}
        if name in changed and config[name] == "none":
            changes.setdefault(run.regularizer, changed)
    both = [key for key, changed in changes.items() if changed - {name, "generator_normalization"}]
    if not both:
        return ""
    base_norm = next(iter(first.values()))[name]
    text = f"These regularizers also take the discriminator's {base_norm} norm away: {', '.join(both)}. Their differences are "
    text += "of both changes together."
    controls = [key for key, changed in changes.items() if changed == {name}]
    if not controls:
        return f"{text} No row of this study takes only the norm away."
    if any(cell.regularizer == controls[0] for cell in table):
        return f"{text} The row {controls[0]} takes only the norm away: compare them with it."
    return f"{text} The control {controls[0]}, which takes only the norm away, has not been run yet."


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


def training(results: Sequence[Row]) -> str:
    """Say how the trainings went: which checkpoint was kept, and the alarms."""
    runs = {row["run"]: row["health"] for row in results if row["status"] == "ok"}
    costs = [
        found["lowest_loss_score"] - found["best_score"]
        for found in runs.values()
        if found["lowest_loss_score"] is not None and found["best_score"] is not None
    ]
    listed = []
    if costs:
        listed.append(
            f"- The lowest generator loss would have kept another checkpoint than the best validation score in "
            f"{sum(cost > 0 for cost in costs)} of {len(costs)} runs, worse by {np.mean(costs):.2f} points of disparity on "
            f"average ({max(costs):.2f} at most), color scaled to 60 % of the true."
        )
    for start, said in ALARMS.items():
        count = sum(any(alarm.startswith(start) for alarm in found["alarms"]) for found in runs.values())
        if count:
            listed.append(f"- In {count} of {len(runs)} runs {said}.")
    return "\n".join(listed or ["No run wrote anything down."])


def _gap(cell: Cell) -> str:
    assert cell.difference is not None
    value = cell.difference.seeds or cell.difference.photographs
    colorfulness = cell.summary.colorfulness_ratio.value
    return f"{cell.data} {value.value:+.2f} ({value.low:+.2f} to {value.high:+.2f}){star(cell)}, {colorfulness:.2f}"


def _name(cell: Cell) -> str:
    return f"{cell.generator} / {cell.regularizer}"


def _several(things: Iterable[object], noun: str) -> str:
    count = len(list(things))
    return f"{count} {noun}{'s' if count != 1 else ''}"
