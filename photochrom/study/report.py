"""Write a study as one page of HTML that needs neither network nor scripts, for readers who do not know the code."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from photochrom.color import Picture
from photochrom.study import figures, findings, panels
from photochrom.study.config import Study
from photochrom.study.diagnostics import Columns, Numbers
from photochrom.study.figures import BLUE, GREEN, ORANGE, PURPLE, Branch, Chart, Line, Moment
from photochrom.study.figures import GREY as PALE
from photochrom.study.findings import MARKS, against_grey, star
from photochrom.study.results import Cell, Row, cells, rows
from photochrom.study.worker import RUNS
from photochrom.training.log import read_columns
from photochrom.version import __version__

REPORT = "report.html"

COLORS = {"better": BLUE, "worse": ORANGE, "unclear": PALE, "one seed": PURPLE, "baseline": PALE}
MEASURES = {
    "disparity_red": ("red %", 2), "disparity_green": ("green %", 2), "disparity_blue": ("blue %", 2), "psnr": ("PSNR dB", 2),
    "ssim": ("SSIM", 4), "de2000": ("dE2000", 2), "auc": ("AuC %", 2), "auc_rebalanced": ("AuC %, rebalanced", 2),
}  # fmt: skip
"""The further measures of the second table: their titles and decimal places."""


def write(study: Study, output: Path, *, pictures: Sequence[Picture] = ()) -> None:
    """Write ``report.html``, ``findings.md`` and ``figures/`` from what has been scored so far.

    Args:
        study: the study.
        output: its folder.
        pictures: ``(H, W, 3)`` uint8 RGB; shown in place of test photographs, which not everybody may publish.
    """
    table, results = cells(study, output), rows(study, output)
    charts = forests(study, table)
    config = study.runs[0].config
    page = (
        findings.templates(html=True)
        .get_template("report.html")
        .render(
            study=study,
            version=__version__,
            settings=json.dumps({name: getattr(config, name) for name in ("generator", "size", "batch", "images")}),
            made=findings.made(study, results),
            pale=findings.pale(table),
            confounded=findings.confounded(study, table),
            holm=findings.starred(table),
            cells=table,
            winners=sum(cell.beats_grey for cell in table),
            tests=findings.lines(study, table, results),
            measures=MEASURES,
            crossed=_crossed(study, table),
            forests=_by_test_set(study, charts),
            **_pictures(study, output, table, panels.Shown(study, tuple(pictures))),
            height=panels.HEIGHT_PIXELS,
            progress=_progress(study, output),
            health=_health(results),
            failures={row["run"]: row["reason"] for row in results if row["status"] == "failed"},
        )
    )
    files = {REPORT: page, findings.FINDINGS: findings.page(study, table, results)}
    files |= {f"figures/{name}.svg": chart for name, chart in charts.items()}
    for name, text in files.items():
        (output / name).parent.mkdir(exist_ok=True)
        part = output / f"{name}.part"
        part.write_text(text, encoding="utf-8")
        part.replace(output / name)


def _crossed(study: Study, table: Sequence[Cell]) -> tuple[list[str], list[tuple[str, str, list[Cell | None]]]]:
    """Return the head and the rows of the table of trained here, tested there."""
    known = {(cell.generator, cell.regularizer, cell.data, cell.tested_on): cell for cell in table}
    lines = [
        (f"{generator} / {regularizer}", data, [known.get((generator, regularizer, data, test)) for test in study.data])
        for generator, regularizer, data in dict.fromkeys(key[:3] for key in known)
    ]
    return [f"tested on {test}" for test in study.data], lines


def forests(study: Study, table: Sequence[Cell]) -> dict[str, str]:
    """Draw the differences from the baseline as SVG, by the data trained on and tested on: ``DATA-on-TEST``."""
    charts = {}
    for data in study.data:
        for test in study.data:
            found = [cell for cell in table if cell.data == data and cell.tested_on == test and cell.difference]
            if not found:
                continue
            found.sort(key=lambda cell: cell.difference.photographs.value if cell.difference else 0)
            several = len(study.grid.generators) > 1
            branches = [
                Branch(
                    f"{cell.generator} / {cell.regularizer}" if several else cell.regularizer,
                    cell.difference.photographs,
                    cell.difference.seeds,
                    COLORS[cell.mark],
                    f"{cell.difference.photographs.value:+.2f}  {MARKS[cell.mark]}{star(cell)}"
                    + ("" if cell.beats_grey else f"; {against_grey(cell)}"),
                )
                for cell in found
                if cell.difference
            ]
            title = f"Trained on {data}, tested on {test}: difference in disparity from the baseline"
            charts[f"{data}-on-{test}"] = figures.forest(
                title, branches, x_label="points of disparity (percent of the full range)", better="better", worse="worse"
            )
    return charts


def _by_test_set(study: Study, charts: Mapping[str, str]) -> dict[str, list[str]]:
    """Part the charts into those tested on their own data set and the others; empty where there are none."""
    own = [f"{data}-on-{data}" for data in study.data]
    parts = {
        "own": [charts[name] for name in own if name in charts],
        "other": [charts[name] for name in charts if name not in own],
    }
    return parts if charts else {}


def _pictures(study: Study, output: Path, table: Sequence[Cell], shown: panels.Shown) -> dict[str, Any]:
    runs = panels.first_runs(study, output)
    extremes = {}
    for test in study.data:
        own = [cell for cell in table if cell.tested_on == test]
        if own and not shown.own:
            best = min(own, key=lambda cell: cell.summary.disparity.value)
            title = (
                f"{test}: the model with the lowest disparity, {best.generator} / {best.regularizer}, trained on {best.data}"
            )
            extremes[title] = panels.extremes(study, output, runs[best.data, best.generator, best.regularizer], test)
    several = len(study.grid.regularizers) > 1
    return {
        "by_data": panels.by_training_data(study, output, shown),
        "by_regularizer": panels.by_regularizer(study, output, shown) if several else [],
        "extremes": extremes,
    }


def _progress(study: Study, output: Path) -> dict[str, dict[str, str]]:
    """Draw what each run wrote down, by generator and training data."""
    groups: dict[str, dict[str, str]] = {}
    for run in study.runs:
        folder = output / RUNS / run.name
        log, validation = read_columns(folder / "log.csv"), read_columns(folder / "validation.csv")
        if log.get("images_seen"):
            charts = figures.charts(f"Training of {run.name}", run_charts(log, validation))
            groups.setdefault(f"{run.generator}, trained on {run.data}", {})[run.name] = charts
    return groups


def run_charts(log: Columns, validation: Columns) -> list[Chart]:
    """Lay out what a run wrote down: losses, validation, the discriminator's accuracy and the norms of the gradients."""
    seen, tested = log["images_seen"], validation.get("images_seen", [])
    adversarial = [
        ("generator, adversarial part", seen, log["adversarial"], BLUE),
        ("discriminator, true", seen, log["real"], GREEN),
        ("discriminator, generated", seen, log["fake"], ORANGE),
    ]
    charts = [
        Chart("Adversarial losses", "loss", _raw_and_smooth(adversarial)),
        Chart("Whole loss of the generator", "loss", _raw_and_smooth([("generator", seen, log["generator"], BLUE)])),
    ]
    if tested:
        curves = [
            Line("model", tested, validation["disparity"], BLUE),
            Line("at 60 % of the true chroma", tested, validation["score"], PURPLE),
            Line("grey", tested, validation["grey"], PALE, dashes=":"),
        ]
        charts.append(Chart("Validation", "disparity %", curves, _moments(log, validation)))
    accuracy = [("in training", seen, log["accuracy"], BLUE)]
    accuracy += [("held-out pairs", tested, validation["held_accuracy"], ORANGE)] if tested else []
    charts.append(Chart("Share that the discriminator tells apart", "share", _raw_and_smooth(accuracy), y_range=(0, 1)))
    norms = [("generator", seen, log["grad_generator"], BLUE), ("discriminator", seen, log["grad_discriminator"], ORANGE)]
    charts.append(Chart("Norms of the gradients", "norm", _raw_and_smooth(norms)))
    return charts


def _raw_and_smooth(series: Sequence[tuple[str, Numbers, Numbers, str]]) -> list[Line]:
    raw = [Line("", x, values, color, 0.8, 0.5) for _, x, values, color in series]
    return raw + [Line(name, x, figures.smooth(values), color) for name, x, values, color in series]


def _moments(log: Columns, validation: Columns) -> list[Moment]:
    found = []
    for name, color, x, values in (
        ("kept", GREEN, validation["images_seen"], validation["score"]),
        ("lowest generator loss", ORANGE, log["images_seen"], log["generator"]),
    ):
        pairs = [(value, place) for place, value in zip(x, values, strict=True) if value is not None and place is not None]
        found += [Moment(min(pairs)[1], name, color)] if pairs else []
    return found


def _health(results: Sequence[Row]) -> dict[str, Row]:
    """Return the runs that are scored, with all that is to be said against them."""
    runs = {row["run"]: row for row in results if row["status"] == "ok" and row["tested_on"] == row["data"]}
    no_gain = ["No better than grey on the test photographs."]
    return {name: row | {"alarms": row["health"]["alarms"] + no_gain * (not row["beats_grey"])} for name, row in runs.items()}
