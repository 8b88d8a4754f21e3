"""Write a study as one page of HTML that needs neither network nor scripts, for readers who do not know the code."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from photochrom.color import Picture
from photochrom.evaluation.metrics import Value
from photochrom.evaluation.scores import GREY
from photochrom.study import figures, findings, panels, prose
from photochrom.study.config import Study
from photochrom.study.diagnostics import Columns, Numbers
from photochrom.study.figures import BLUE, GREEN, ORANGE, PURPLE, Branch, Line, Moment
from photochrom.study.figures import GREY as PALE
from photochrom.study.findings import MARKS, against_grey, interval
from photochrom.study.results import Cell, Row, cells, rows
from photochrom.study.worker import RUNS
from photochrom.training.log import read_columns
from photochrom.version import __version__

REPORT = "report.html"

COLORS = {"better": BLUE, "worse": ORANGE, "unclear": PALE, "one seed": PURPLE, "baseline": PALE}


def write(study: Study, output: Path, *, pictures: Sequence[Picture] = ()) -> None:
    """Write ``report.html``, ``findings.md`` and ``figures/`` from what has been scored so far.

    Args:
        study: the study.
        output: its folder.
        pictures: ``(H, W, 3)`` uint8 RGB; shown in place of test photographs, which not everybody may publish.
    """
    table, results = cells(study, output), rows(study, output)
    charts = forests(study, table)
    parts = [
        _opening(study, table, results),
        _summary(study, table, results),
        _cross(study, table),
        _forests(study, charts),
        _pictures(study, output, table, panels.Shown(study, tuple(pictures))),
        _progress(study, output),
        _health(results),
        _failures(results),
        _making(study),
    ]
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(study.title)}</title><style>{prose.STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )
    files = {REPORT: page, findings.FINDINGS: findings.page(study, table, results)}
    files |= {f"figures/{name}.svg": chart for name, chart in charts.items()}
    for name, text in files.items():
        (output / name).parent.mkdir(exist_ok=True)
        part = output / f"{name}.part"
        part.write_text(text, encoding="utf-8")
        part.replace(output / name)


def _opening(study: Study, table: Sequence[Cell], results: Sequence[Row]) -> str:
    failed = len({row["run"] for row in results if row["status"] == "failed"})
    done = len({row["run"] for row in results if row["status"] == "ok"})
    good = [cell for cell in table if cell.beats_grey]
    counts = ", ".join(f"{next(r['photographs'] for r in results if r['tested_on'] == t)} of {escape(t)}" for t in study.data)
    more = f", and {len(study.grid.more_baseline_seeds)} more seeds of the baseline" if study.grid.more_baseline_seeds else ""
    return f"""<h1>{escape(study.title)}</h1><p>{escape(study.question)}</p>
<p><b>{done} of {len(study.runs)} training runs</b> are scored here, {failed} failed: {len(study.grid.data)} data sets
({escape(", ".join(study.grid.data))}) x {len(study.grid.generators)} generators ({escape(", ".join(study.grid.generators))})
x {len(study.grid.regularizers)} regularizers x {len(study.grid.seeds)} seeds{more}. Every model colored the same test
photographs, {counts}, also those of the data sets that it was not trained on.
{len(good)} of {len(table)} combinations of model and test set beat plain grey beyond chance.</p>
{prose.WORDS}"""


MEASURES = {
    "disparity_red": ("red %", 2), "disparity_green": ("green %", 2), "disparity_blue": ("blue %", 2), "psnr": ("PSNR dB", 2),
    "ssim": ("SSIM", 4), "de2000": ("dE2000", 2), "auc": ("AuC %", 2), "auc_rebalanced": ("AuC %, rebalanced", 2),
    "colorfulness_ratio": ("colorfulness of true", 2),
}  # fmt: skip
"""The further measures of the second table: their titles and decimal places."""


def _summary(study: Study, table: Sequence[Cell], results: Sequence[Row]) -> str:
    parts = [prose.SUMMARY]
    head = (
        "<th>model<th class=left>trained on<th>seeds<th>disparity %<th>spread over seeds<th>skill over grey<th>over mean chroma"
    )
    head += "<th class=left>against its baseline"
    more = "<th>model<th class=left>trained on" + "".join(f"<th>{title}" for title, _ in MEASURES.values()) + "<th>Frechet"
    for test in study.data:
        lines = [(cell.summary.disparity.value, *_cell_lines(cell)) for cell in table if cell.tested_on == test]
        base = [row for row in results if row["status"] == "baseline" and row["tested_on"] == test]
        lines += [(row["scores"]["disparity"]["value"], *_baseline_lines(row)) for row in base]
        lines.sort(key=lambda line: line[0])
        for title, columns, place in ((f"Tested on {test}", head, 1), (f"Further measures, tested on {test}", more, 2)):
            rows_ = "".join(str(line[place]) for line in lines)
            parts.append(f"<h3>{escape(title)}</h3><div class=wide><table><tr>{columns}</tr>{rows_}</table></div>")
    parts.append(prose.MEASURES.format(features=escape(study.test.frechet)))
    return "".join(parts)


def _cell_lines(cell: Cell) -> tuple[str, str]:
    """Give a combination's lines of the first and of the second table."""
    lost = f" <span class=fail>({len(cell.failed)} failed)</span>" if cell.failed else ""
    grey = "" if cell.beats_grey else f" <span class=worse>{against_grey(cell)}</span>"
    spread = "" if cell.spread is None else f"{cell.spread:.3f}"
    name = f"<tr class={'good' if cell.beats_grey else 'bad'}><td>{escape(cell.generator)} / {escape(cell.regularizer)}"
    data = f"<td class=left>{escape(cell.data)}"
    more = "".join(f"<td>{getattr(cell.summary, key).value:.{places}f}" for key, (_, places) in MEASURES.items())
    return (
        f"{name}{grey}{data}<td>{len(cell.seeds)}{lost}<td>{cell.summary.disparity.value:.3f}<td>{spread}"
        f"<td>{interval(cell.skill)}<td>{cell.skill_mean_chroma.value:.3f}<td class=left>{_verdict(cell)}</tr>",
        f"{name}{data}{more}<td>{cell.frechet:.1f}</tr>",
    )


def _baseline_lines(row: Row) -> tuple[str, str]:
    scores = row["scores"]
    name = f"<tr class=base><td>{escape(row['run'])}<td class=left>{escape(row['data'] or 'nothing')}"
    more = "".join(f"<td>{scores[key]['value']:.{places}f}" for key, (_, places) in MEASURES.items())
    skill = interval(Value(**row["skill"][GREY]))
    return (
        f"{name}<td><td>{scores['disparity']['value']:.3f}<td><td>{skill}<td><td class=left>no model</tr>",
        f"{name}{more}<td>{row['frechet']:.1f}</tr>",
    )


def _verdict(cell: Cell) -> str:
    if cell.difference is None:
        return MARKS["baseline"]
    kind = f" class={cell.mark}" if cell.mark in ("better", "worse") else ""
    return f"<span{kind}>{MARKS[cell.mark]}</span>, {cell.difference.photographs.value:+.3f} points"


def _cross(study: Study, table: Sequence[Cell]) -> str:
    if len(study.data) < 2:
        return ""
    parts = [prose.CROSS, "<div class=wide><table><tr><th>model<th class=left>trained on"]
    parts += [f"<th>tested on {escape(test)}" for test in study.data]
    known = {(cell.generator, cell.regularizer, cell.data, cell.tested_on): cell for cell in table}
    for generator, regularizer, data in dict.fromkeys(key[:3] for key in known):
        found = [known.get((generator, regularizer, data, test)) for test in study.data]
        line = "".join(f"<td>{interval(cell.skill) if cell else ''}" for cell in found)
        parts.append(f"<tr><td>{escape(generator)} / {escape(regularizer)}<td class=left>{escape(data)}{line}</tr>")
    return "".join(parts) + "</table></div>"


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
                    f"{cell.difference.photographs.value:+.2f}  {MARKS[cell.mark]}"
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


def _forests(study: Study, charts: Mapping[str, str]) -> str:
    if not charts:
        return ""
    own = "".join(charts.get(f"{data}-on-{data}", "") for data in study.data)
    other = [chart for name, chart in charts.items() if name not in {f"{data}-on-{data}" for data in study.data}]
    rest = f"<details><summary>Tested on the other data sets</summary>{''.join(other)}</details>" if other else ""
    return f"{prose.FORESTS}{own}{rest}"


def _pictures(study: Study, output: Path, table: Sequence[Cell], shown: panels.Shown) -> str:
    runs = panels.first_runs(study, output)
    parts = [prose.PICTURES, f"<h3>By training data</h3>{panels.by_training_data(study, output, shown)}"]
    if len(study.grid.regularizers) > 1:
        parts.append(
            f"<h3>One column a regularizer, trained on the same data set</h3>{panels.by_regularizer(study, output, shown)}"
        )
    if shown.own:
        return "".join(parts)
    parts.append("<h3>Best and worst photographs</h3>")
    for test in study.data:
        own = [cell for cell in table if cell.tested_on == test]
        if own:
            best = min(own, key=lambda cell: cell.summary.disparity.value)
            name = f"{best.generator} / {best.regularizer}, trained on {best.data}"
            found = panels.extremes(study, output, runs[best.data, best.generator, best.regularizer], test)
            parts.append(f"<h4>{escape(test)}: the model with the lowest disparity, {escape(name)}</h4>{found}")
    return "".join(parts)


def _progress(study: Study, output: Path) -> str:
    parts = [prose.PROGRESS]
    groups: dict[str, list[str]] = {}
    for run in study.runs:
        folder = output / RUNS / run.name
        log, validation = read_columns(folder / "log.csv"), read_columns(folder / "validation.csv")
        if log.get("images_seen"):
            charts = "".join(run_charts(log, validation))
            groups.setdefault(f"{run.generator}, trained on {run.data}", []).append(
                f"<h4>{escape(run.name)}</h4><div class=charts>{charts}</div>"
            )
    for place, (name, blocks) in enumerate(groups.items()):
        first = " open" if place == 0 and len(blocks) <= 8 else ""
        parts.append(f"<details{first}><summary>{escape(name)}: {len(blocks)} runs</summary>{''.join(blocks)}</details>")
    return "".join(parts)


def run_charts(log: Columns, validation: Columns) -> list[str]:
    """Draw what a run wrote down: losses, validation, the discriminator's accuracy and the norms of the gradients."""
    seen, tested = log["images_seen"], validation.get("images_seen", [])
    adversarial = [
        ("generator, adversarial part", seen, log["adversarial"], BLUE),
        ("discriminator, true", seen, log["real"], GREEN),
        ("discriminator, generated", seen, log["fake"], ORANGE),
    ]
    charts = [
        _raw_and_smooth("Adversarial losses", adversarial, "loss"),
        _raw_and_smooth("Whole loss of the generator", [("generator", seen, log["generator"], BLUE)], "loss"),
    ]
    if tested:
        curves = [
            Line("model", tested, validation["disparity"], BLUE),
            Line("at 60 % of the true chroma", tested, validation["score"], PURPLE),
            Line("grey", tested, validation["grey"], PALE, 2, 1, "2 3"),
        ]
        charts.append(figures.lines("Validation", curves, y_label="disparity %", moments=_moments(log, validation)))
    accuracy = [("in training", seen, log["accuracy"], BLUE)]
    accuracy += [("held-out pairs", tested, validation["held_accuracy"], ORANGE)] if tested else []
    charts.append(_raw_and_smooth("Share that the discriminator tells apart", accuracy, "share", (0, 1)))
    norms = [("generator", seen, log["grad_generator"], BLUE), ("discriminator", seen, log["grad_discriminator"], ORANGE)]
    charts.append(_raw_and_smooth("Norms of the gradients", norms, "norm"))
    return charts


def _raw_and_smooth(
    title: str, series: Sequence[tuple[str, Numbers, Numbers, str]], y_label: str, y_range: tuple[float, float] | None = None
) -> str:
    raw = [Line("", x, values, color, 1, 0.5) for _, x, values, color in series]
    bold = [Line(name, x, figures.smooth(values), color) for name, x, values, color in series]
    return figures.lines(title, [*raw, *bold], y_label=y_label, y_range=y_range)


def _moments(log: Columns, validation: Columns) -> list[Moment]:
    found = []
    for name, color, x, values in (
        ("kept", GREEN, validation["images_seen"], validation["score"]),
        ("lowest generator loss", ORANGE, log["images_seen"], log["generator"]),
    ):
        pairs = [(value, place) for place, value in zip(x, values, strict=True) if value is not None and place is not None]
        found += [Moment(min(pairs)[1], name, color)] if pairs else []
    return found


def _health(results: Sequence[Row]) -> str:
    runs = {row["run"]: row for row in results if row["status"] == "ok" and row["tested_on"] == row["data"]}
    lines = []
    for name, row in runs.items():
        found = row["health"]
        alarms = list(found["alarms"]) + ([] if row["beats_grey"] else ["No better than grey on the test photographs."])
        cells_ = (
            _percent(found["accuracy"]), _percent(found["held_accuracy"]), _percent(found["chroma"]),
            _number(found["best_images"], 0), _number(found["best_score"], 3),
            _number(found["lowest_loss_images"], 0), _number(found["lowest_loss_score"], 3),
        )  # fmt: skip
        said = " ".join(f"<span class=worse>{escape(alarm)}</span>" for alarm in alarms) or "none"
        lines.append(
            f"<tr><td>{escape(name)}" + "".join(f"<td>{cell}" for cell in cells_) + f"<td class='left free'>{said}</tr>"
        )
    head = "<th>run<th>told apart in training<th>held out<th>chroma of true<th>kept at images<th>score"
    head += "<th>lowest loss at images<th>score there<th class=left>alarms"
    return f"{prose.HEALTH}<div class=wide><table><tr>{head}</tr>{''.join(lines)}</table></div>"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.0f} %"


def _number(value: float | None, places: int) -> str:
    return "" if value is None else f"{value:,.{places}f}"


def _failures(results: Sequence[Row]) -> str:
    failed = {row["run"]: row["reason"] for row in results if row["status"] == "failed"}
    if not failed:
        return ""
    lines = "".join(f"<tr><td>{escape(name)}<td class='left free'>{escape(reason)}</tr>" for name, reason in failed.items())
    return f"<h2>Runs that failed</h2><table><tr><th>run<th class=left>reason</tr>{lines}</table>"


def _making(study: Study) -> str:
    config = study.runs[0].config
    settings = json.dumps({"generator": config.generator, "size": config.size, "batch": config.batch, "images": config.images})
    return prose.MAKING.format(version=__version__, settings=escape(settings), vividness=study.test.vividness)
