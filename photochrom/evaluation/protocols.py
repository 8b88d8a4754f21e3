"""Hold what a protocol measured, and print it beside what it must reach and what others published."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from photochrom.color import Picture
from photochrom.colorizer.colorizer import Colorizer
from photochrom.evaluation import metrics, scores
from photochrom.evaluation.goals import GOALS, SOURCES, Goal, Protocol
from photochrom.evaluation.metrics import Value
from photochrom.evaluation.scores import GREY, cell
from photochrom.training.data.shards import Split, members, shards

Verdict = Literal["reached", "missed", "not measured", "too few photographs", ""]


@dataclass(frozen=True)
class Photographs:
    """Say which photographs are measured."""

    data: Path | Sequence[Path]
    """Prepared folders or shards."""
    split: Split = "test"
    limit: int | None = None
    """The most of each data set, spread evenly over it."""
    progress: Callable[[int, int], None] | None = None
    """Called with the photographs done and their total after each."""

    def __iter__(self) -> Iterator[Picture]:
        """Read them one by one, ``(H, W, 3)`` uint8.

        Raises:
            DataError: there are no such shards, or one cannot be read.
            OptionError: the limit is below 1.
        """
        found = [member for paths in shards(self.data, self.split).values() for member in members(paths, limit=self.limit)]
        for done, member in enumerate(found, 1):
            yield member.read()
            if self.progress:
                self.progress(done, len(found))


@dataclass(frozen=True)
class Figure:
    """Hold what was measured of one goal."""

    value: Value
    gain: Value | None = None
    """How far the figure lies above that of the protocol's baseline; of an error, below it."""
    about: str = ""
    """What else is to be known of it."""


@dataclass(frozen=True)
class Measured:
    """Hold what a protocol measured, by the keys of ``GOALS``."""

    protocol: Protocol
    photographs: int
    figures: Mapping[str, Figure]
    lacks: str = ""
    """Why nothing was measured, if so."""


def verdict(measured: Measured, key: str) -> Verdict:
    """Say whether a figure is what it must be: its mean, whatever the interval; empty where nothing is required."""
    goal, figure = GOALS[measured.protocol][key], measured.figures.get(key)
    if goal.least is None and goal.most is None:
        return ""
    if figure is None:
        return "not measured"
    if measured.photographs < goal.photographs:
        return "too few photographs"
    found = (figure.gain or figure.value).value
    reached = (goal.least is None or found >= goal.least) and (goal.most is None or found <= goal.most)
    return "reached" if reached else "missed"


def columns(protocol: Protocol) -> tuple[str, ...]:
    """Return the heads of a printed table."""
    over = SOURCES[protocol].over
    return ("measure", "ours", *([f"over {over}"] if over else []), "required", "", "published")


def cells(measured: Measured) -> list[tuple[str, ...]]:
    """Return the cells of a printed table under ``columns``; a goal without a figure has a row only where one is required."""
    over = bool(SOURCES[measured.protocol].over)
    rows = []
    for key, goal in GOALS[measured.protocol].items():
        figure, judged = measured.figures.get(key), verdict(measured, key)
        if figure is None and not judged:
            continue
        measure = f"{goal.measure} ({figure.about})" if figure and figure.about else goal.measure
        value = cell(figure.value, goal.unit) if figure else ""
        gain = cell(figure.gain, goal.gain) if figure and figure.gain else ""
        rows.append((measure, value, *([gain] if over else []), _required(goal), judged, goal.published))
    return rows


def title(measured: Measured, *, model: str, split: Split) -> str:
    """Return the line above a printed table."""
    return f"{SOURCES[measured.protocol].title}: {model}, {measured.photographs} {split} photographs"


def notes(measured: Measured) -> str:
    """Return the text below a printed table: where the protocol comes from, what it does, and why it was not measured."""
    text = SOURCES[measured.protocol].text
    return f"{text} Not measured: {measured.lacks}." if measured.lacks else text


def markdown(protocols: Sequence[Measured], *, model: str, split: Split) -> str:
    """Return a section of Markdown for each protocol, for a model card."""
    sections = []
    for measured in protocols:
        head = columns(measured.protocol)
        lines = [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *cells(measured))]
        sections.append("\n".join([f"### {title(measured, model=model, split=split)}", "", *lines, "", notes(measured), ""]))
    return "\n".join(sections)


def to_json(protocols: Sequence[Measured], *, model: str, split: Split) -> str:
    """Return what was measured as one JSON object on one line."""
    tables = [
        {
            "protocol": measured.protocol,
            "photographs": measured.photographs,
            "lacks": measured.lacks,
            "source": SOURCES[measured.protocol].text,
            "rows": {
                key: {
                    "goal": asdict(goal),
                    "figure": asdict(measured.figures[key]) if key in measured.figures else None,
                    "verdict": verdict(measured, key),
                }
                for key, goal in GOALS[measured.protocol].items()
            },
        }
        for measured in protocols
    ]
    return json.dumps({"model": model, "split": split, "protocols": tables}, ensure_ascii=False, allow_nan=False)


def _required(goal: Goal) -> str:
    unit = goal.gain or goal.unit
    if goal.least is not None:
        return f"at least {goal.least:g}{unit}"
    return "" if goal.most is None else f"at most {goal.most:g}{unit}"


MEASURES = ("disparity", "psnr", "auc", "auc_rebalanced")


def frontier(colorizer: Colorizer, photographs: Photographs) -> Measured:
    """Score vividness 0, 1 and 2 beside grey: the goals of the protocol ``frontier``.

    Raises:
        DataError: there are no such shards, or one cannot be read.
        OptionError: the limit is below 1.
    """
    ways = {str(end): Colorizer(colorizer.model, replace(colorizer.options, vividness=float(end))).paint for end in range(3)}
    _, table = scores.compare(
        {GREY: scores.grey, **ways},
        photographs.data,
        split=photographs.split,
        limit=photographs.limit,
        progress=photographs.progress,
    )
    grey, *rows = table.rows
    figures = {f"{GREY}.{measure}": Figure(getattr(grey.summary, measure)) for measure in MEASURES}
    for row in rows:
        above = metrics.difference(row.scores, grey.scores)
        gains = {"disparity": metrics.gain(row.scores, grey.scores, grey=grey.scores, measure="disparity")}
        for measure in MEASURES:
            gain = gains.get(measure) or getattr(above, measure)
            figures[f"{row.name}.{measure}"] = Figure(getattr(row.summary, measure), gain)
        figures[f"{row.name}.colorfulness_ratio"] = Figure(row.summary.colorfulness_ratio)
    return Measured("frontier", table.photographs, figures)
