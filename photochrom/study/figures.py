"""Draw charts as SVG for the report: what a training wrote down, and a forest of differences."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from photochrom.evaluation.metrics import Value

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colors, which the color-blind tell apart; the yellows are left out, too pale on white.
BLUE, GREEN, ORANGE, PURPLE, GREY, BLACK = "#0072B2", "#00795A", "#C24E00", "#A3407C", "#6B6B6B", "#222222"
PIXEL = 1 / 96
"""Inches."""
STYLE: dict[Any, Any] = {
    "font.size": 9.75, "axes.titlesize": 9.75, "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.labelsize": 9.75,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "#DDDDDD", "grid.linewidth": 0.75,
    "xtick.labelsize": 9.75, "ytick.labelsize": 9.75, "legend.fontsize": 9.75, "legend.frameon": False, "axes.edgecolor": GREY,
    "text.color": BLACK, "svg.fonttype": "none", "svg.hashsalt": "photochrom", "font.family": "sans-serif",
    "path.simplify_threshold": 0.5, "axes.formatter.useoffset": False,
}  # fmt: skip
"""Matplotlib's settings: text of 13 pixels that stays text, and the same bytes for the same chart."""
FONTS = "DejaVu Sans, Verdana, system-ui, sans-serif"
"""The first is the one that matplotlib measures."""
POINTS = 240
"""A line has at most so many points."""
ROW_PIXELS = 28


@dataclass(frozen=True)
class Line:
    """One curve; None leaves a gap. A line without a name stays out of the legend."""

    name: str
    x: Sequence[float | None]
    y: Sequence[float | None]
    color: str
    width: float = 1.5
    opacity: float = 1.0
    dashes: str = "-"


@dataclass(frozen=True)
class Moment:
    """A vertical line at a place of the x axis, with its name."""

    x: float
    name: str
    color: str


@dataclass(frozen=True)
class Chart:
    """One chart of curves over the training images seen."""

    title: str
    y_label: str
    lines: Sequence[Line]
    moments: Sequence[Moment] = ()
    y_range: tuple[float, float] | None = None
    """None: the range of the curves without the most extreme 1 % of points."""


@dataclass(frozen=True)
class Branch:
    """One row of a forest chart."""

    name: str
    photographs: Value
    """The value with its thick interval."""
    seeds: Value | None
    """With its thin, longer interval."""
    color: str
    note: str
    """Stands at the right."""


def smooth(values: Sequence[float | None], *, share: float = 0.15) -> list[float | None]:
    """Average each value with its neighbors over a share of the whole; gaps stay gaps and are not counted."""
    reach = max(1, round(len(values) * share / 2))
    result: list[float | None] = []
    for place, value in enumerate(values):
        near = [each for each in values[max(0, place - reach) : place + reach + 1] if each is not None]
        result.append(None if value is None else sum(near) / len(near))
    return result


def charts(title: str, parts: Sequence[Chart]) -> str:
    """Draw charts side by side, three to a row, as one SVG; ``title`` is its name for screen readers."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter

    rows = -(-len(parts) // 3)
    with rc_context(STYLE):
        figure = Figure(figsize=(1140 * PIXEL, 300 * rows * PIXEL))
        figure.subplots_adjust(left=0.055, right=0.99, top=1 - 0.09 / rows, bottom=0.17 / rows, wspace=0.24, hspace=0.38)
        grid = figure.subplots(rows, 3, squeeze=False).ravel()
        for axes, part in zip(grid, parts, strict=False):
            axes.set(title=part.title, xlabel="training images seen", ylabel=part.y_label)
            axes.xaxis.set_major_formatter(EngFormatter(sep=""))
            for line in part.lines:
                _draw_line(axes, line)
            for moment in part.moments:
                axes.axvline(moment.x, color=moment.color, linewidth=1.2, linestyle="--", label=moment.name)
            found = np.array([y for line in part.lines for y in line.y if y is not None], float)
            if part.y_range or found.size:
                axes.set_ylim(part.y_range or _span(found))
            if axes.get_legend_handles_labels()[1]:
                axes.legend(loc="best")
        for axes in grid[len(parts) :]:
            axes.set_axis_off()
        return _svg(figure, title)


def forest(title: str, branches: Sequence[Branch], *, x_label: str, better: str, worse: str) -> str:
    """Draw differences from a baseline with their intervals, one row each, around a line at 0.

    An interval that goes on beyond the chart ends in an arrow: one ruined training must not press all others together.

    Args:
        title: above the chart.
        branches: at least one.
        x_label: stands under the axis.
        better: stands above the left side.
        worse: stands above the right side.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    spans = [value for branch in branches for value in (branch.photographs, branch.seeds) if value]
    reach = sorted(max(abs(branch.photographs.low), abs(branch.photographs.high)) for branch in branches)
    bound = max(4 * reach[3 * (len(reach) - 1) // 4], 1e-6)
    low = max(min(0.0, *(value.low for value in spans)), -bound)
    high = min(max(0.0, *(value.high for value in spans)), bound)
    low, high = low - 0.05 * (high - low), high + 0.05 * (high - low)
    with rc_context(STYLE):
        figure = Figure(figsize=(1000 * PIXEL, (110 + ROW_PIXELS * len(branches)) * PIXEL), layout="constrained")
        axes = figure.subplots()
        axes.set(xlim=(low, high), ylim=(len(branches) - 0.5, -0.5), xlabel=x_label)
        axes.set_title(title, pad=22)
        axes.set_yticks(range(len(branches)), [branch.name for branch in branches])
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        axes.axvline(0, color=BLACK, linewidth=1.2)
        for text, color, side, way in ((f"\u2190 {better}", BLUE, "right", -8), (f"{worse} \u2192", ORANGE, "left", 8)):
            axes.annotate(
                text, (0, 1), (way, 3), color=color, ha=side, xycoords=axes.get_xaxis_transform(), textcoords="offset points"
            )
        for place, branch in enumerate(branches):
            for value, width in ((branch.seeds, 1.2), (branch.photographs, 4)):
                if value:
                    axes.hlines(place, max(value.low, low), min(value.high, high), color=branch.color, linewidth=width)
                    ends = [(low, "<")] * (value.low < low) + [(high, ">")] * (value.high > high)
                    for end, marker in ends:
                        axes.plot(end, place, marker=marker, color=branch.color, clip_on=False, gid="arrow")
            if low <= branch.photographs.value <= high:
                axes.plot(branch.photographs.value, place, "o", color=branch.color, markeredgecolor="white", gid="dot")
            axes.text(1.02, place, branch.note, va="center", transform=axes.get_yaxis_transform())
        return _svg(figure, title)


def _draw_line(axes: Axes, line: Line) -> None:
    step = max(1, len(line.x) // POINTS)
    pairs = list(zip(line.x, line.y, strict=True))
    pairs = pairs[::step] + (pairs[-1:] if (len(pairs) - 1) % step else [])
    if any(y is not None for _, y in pairs):
        x, y = (
            np.array(column, float) for column in zip(*pairs, strict=True)
        )  # a gap becomes nan, which matplotlib leaves out
        label = line.name or "_"
        axes.plot(x, y, line.dashes, color=line.color, linewidth=line.width, alpha=line.opacity, label=label)


def _span(values: np.ndarray) -> tuple[float, float]:
    """Choose the range of an axis: without the most extreme 1 % of the values, from 0 where that is near."""
    low, high = np.quantile(values, (0.01, 0.99))
    low = min(low, 0.0) if 0 < low < 0.5 * high else low
    room = 0.05 * (high - low) or 0.5
    return float(low - room * (low != 0)), float(high + room)


def _svg(figure: Any, title: str) -> str:
    """Write a figure as an SVG element, without the names and the metadata that would repeat in a page of many."""
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r' d="[^"]*"', lambda path: re.sub(r"(\.\d)\d+", r"\1", path[0]), text)
    text = re.sub(r' id="[a-zA-Z0-9.]+_\d+"', "", text).replace(' id="arrow"', ' class="arrow"')
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->\s*", "", text, flags=re.DOTALL).replace(' id="dot"', ' class="dot"')
    text = re.sub(r"\n\s*", "\n", re.sub(r"font-family: [^;]*; ", "", text))
    return text.replace("<svg", f'<svg role="img" aria-label="{escape(title)}" font-family="{FONTS}"', 1)
