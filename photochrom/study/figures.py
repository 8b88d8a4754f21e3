"""Draw charts as SVG that any browser shows without scripts: lines over a training, and a forest of differences.

Written here rather than with a plotting library: two kinds of chart are all that the report needs, text stays text, and a
study of a hundred runs stays a page of a few megabytes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from photochrom.evaluation.metrics import Value

# Okabe and Ito's colors, which the color-blind tell apart; the yellows are left out, too pale on white.
BLUE, GREEN, ORANGE, PURPLE, GREY, BLACK = "#0072B2", "#00795A", "#C24E00", "#A3407C", "#6B6B6B", "#222222"
FONT_PIXELS = 13
CHARACTER_PIXELS = 7.2
"""Mean width of a character."""
POINTS = 240
"""A line has at most so many points."""


@dataclass(frozen=True)
class Line:
    """One curve; None leaves a gap. A name of nothing keeps it out of the legend."""

    name: str
    x: Sequence[float | None]
    y: Sequence[float | None]
    color: str
    width: float = 2.0
    opacity: float = 1.0
    dashes: str = ""


@dataclass(frozen=True)
class Moment:
    """A vertical line at a place of the x axis, with its name."""

    x: float
    name: str
    color: str


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


def ticks(low: float, high: float, *, count: int = 5) -> list[float]:
    """Choose round numbers, steps of 1, 2 or 5 times a power of ten, from at most ``low`` to at least ``high``."""
    if high - low < 1e-12:
        low, high = low - 0.5, high + 0.5
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(each * power for each in (1, 2, 5, 10) if each * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [place * step for place in range(first, last + 1)]


def figure(value: float) -> str:
    """Write a number on an axis: short, thousands as k."""
    if abs(value) >= 10_000:
        return f"{value / 1000:g}k"
    return f"{0.0 if abs(value) < 1e-12 else value:.4g}"


def lines(
    title: str,
    curves: Sequence[Line],
    *,
    y_label: str,
    x_label: str = "training images seen",
    moments: Sequence[Moment] = (),
    y_range: tuple[float, float] | None = None,
    width: int = 366,
) -> str:
    """Draw curves over a common x axis.

    Args:
        title: above the chart, and its name for readers of the screen.
        curves: at least one with a point; those without any are left out.
        y_label: stands over the y axis.
        x_label: stands under the x axis.
        moments: vertical lines.
        y_range: limits of the y axis; None takes those of the curves, without the most extreme 1 % of points.
        width: pixels.
    """
    drawn = [curve for curve in curves if any(y is not None for y in curve.y)]
    xs = [x for curve in drawn for x in curve.x if x is not None] or [0.0, 1.0]
    ys = sorted(y for curve in drawn for y in curve.y if y is not None) or [0.0, 1.0]
    edge = len(ys) // 100
    low, high = y_range or (min(ys[edge], 0.0) if ys[edge] > 0 and ys[edge] < 0.5 * ys[-1 - edge] else ys[edge], ys[-1 - edge])
    x_ticks, y_ticks = ticks(min(0.0, *xs), max(xs), count=4), ticks(low, high)
    named = [curve for curve in drawn if curve.name] + [Line(m.name, [], [], m.color, 1.5, 1, "5 4") for m in moments]
    legend_rows = _legend_rows([curve.name for curve in named], width)
    left, top, bottom, height = 62, 50 + 20 * max(1, len(legend_rows)), 46, 190
    right = width - 16

    def px(x: float) -> float:
        return left + (x - x_ticks[0]) / (x_ticks[-1] - x_ticks[0]) * (right - left)

    def py(y: float) -> float:
        share = (y - y_ticks[0]) / (y_ticks[-1] - y_ticks[0])
        return top + height - min(1.0, max(0.0, share)) * height

    parts = [_text(12, 18, title, bold=True)]
    place = iter(named)
    for row, names in enumerate(legend_rows):
        start = 12
        for _ in names:
            curve = next(place)
            parts.append(_path([(start, 34 + 20 * row), (start + 22, 34 + 20 * row)], curve))
            parts.append(_text(start + 28, 38 + 20 * row, curve.name))
            start += 28 + round(CHARACTER_PIXELS * len(curve.name)) + 16
    parts.append(_text(left - 50, top - 12, y_label, color=GREY))
    for y in y_ticks:
        parts.append(f'<line x1="{left}" x2="{right}" y1="{py(y):.1f}" y2="{py(y):.1f}" stroke="#DDDDDD"/>')
        parts.append(_text(left - 8, py(y) + 4, figure(y), anchor="end"))
    for x in x_ticks:
        parts.append(f'<line x1="{px(x):.1f}" x2="{px(x):.1f}" y1="{top + height}" y2="{top + height + 5}" stroke="{GREY}"/>')
        parts.append(_text(px(x), top + height + 20, figure(x), anchor="middle"))
    parts.append(_text((left + right) / 2, top + height + 38, x_label, anchor="middle", color=GREY))
    for moment in moments:
        ends = [(px(moment.x), float(top)), (px(moment.x), float(top + height))]
        parts.append(_path(ends, Line("", [], [], moment.color, 1.5, 1, "5 4")))
    for curve in drawn:
        for stretch in _stretches(curve):
            parts.append(_path([(px(x), py(y)) for x, y in stretch], curve))
    return _svg(title, width, top + height + bottom, parts)


def forest(title: str, branches: Sequence[Branch], *, x_label: str, better: str, worse: str, width: int = 960) -> str:
    """Draw differences from a baseline with their intervals, one row each, around a line at 0.

    Args:
        title: above the chart.
        branches: at least one.
        x_label: stands under the axis.
        better: stands above the left side.
        worse: stands above the right side.
        width: pixels.
    """
    left = 30 + round(CHARACTER_PIXELS * max(len(branch.name) for branch in branches))
    right = width - 24 - round(CHARACTER_PIXELS * max(len(branch.note) for branch in branches))
    spans = [value for branch in branches for value in (branch.photographs, branch.seeds) if value]
    points = [0.0] + [branch.photographs.value for branch in branches] + [end for v in spans for end in (v.low, v.high)]
    # One ruined training, or an endless interval of two seeds, must not press all others together: it is cut, with an arrow.
    reach = sorted(max(abs(branch.photographs.low), abs(branch.photographs.high)) for branch in branches)
    bound = max(4 * reach[3 * (len(reach) - 1) // 4], 1e-6)
    x_ticks = ticks(max(min(points), -bound), min(max(points), bound), count=6)
    top, row = 66, 28
    height = row * len(branches)

    def px(x: float) -> float:
        share = (x - x_ticks[0]) / (x_ticks[-1] - x_ticks[0])
        return left + min(1.0, max(0.0, share)) * (right - left)

    def arrows(value: Value, y: float, color: str) -> list[str]:
        ends = [(px(value.low), -1, value.low < x_ticks[0]), (px(value.high), 1, value.high > x_ticks[-1])]
        return [
            f'<path d="M{x - 7 * way:.1f} {y - 5} L{x:.1f} {y} L{x - 7 * way:.1f} {y + 5}" fill="none" stroke="{color}"/>'
            for x, way, beyond in ends
            if beyond
        ]

    parts = [_text(12, 18, title, bold=True)]
    parts.append(_text(px(0) - 12, 44, f"\u2190 {better}", anchor="end", color=BLUE))
    parts.append(_text(px(0) + 12, 44, f"{worse} \u2192", color=ORANGE))
    for x in x_ticks:
        zero = abs(x) < 1e-12
        parts.append(
            f'<line x1="{px(x):.1f}" x2="{px(x):.1f}" y1="{top - 10}" y2="{top + height}" '
            f'stroke="{BLACK if zero else "#DDDDDD"}" stroke-width="{1.5 if zero else 1}"/>'
        )
        parts.append(_text(px(x), top + height + 18, figure(x), anchor="middle"))
    parts.append(_text((left + right) / 2, top + height + 38, x_label, anchor="middle", color=GREY))
    for index, branch in enumerate(branches):
        y = top + row * index + row / 2
        parts.append(_text(left - 12, y + 4, branch.name, anchor="end"))
        for value, thickness in ((branch.seeds, 1.5), (branch.photographs, 5)):
            if value:
                ends = [(px(value.low), y), (px(value.high), y)]
                parts.append(_path(ends, Line("", [], [], branch.color, thickness, 1)))
                parts += arrows(value, y, branch.color)
        parts.append(f'<circle cx="{px(branch.photographs.value):.1f}" cy="{y}" r="6" fill="{branch.color}" stroke="white"/>')
        parts.append(_text(right + 12, y + 4, branch.note))
    return _svg(title, width, top + height + 50, parts)


def _svg(title: str, width: int, height: float, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:.0f}" width="{width}" height="{height:.0f}" '
        f'role="img" aria-label="{escape(title)}" font-family="system-ui, sans-serif" font-size="{FONT_PIXELS}">'
        f"{''.join(parts)}</svg>"
    )


def _text(x: float, y: float, text: str, *, anchor: str = "start", bold: bool = False, color: str = BLACK) -> str:
    weight = ' font-weight="600"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{color}"{weight}>{escape(text)}</text>'


def _path(points: Sequence[tuple[float, float]], line: Line) -> str:
    way = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dashes = f' stroke-dasharray="{line.dashes}"' if line.dashes else ""
    return (
        f'<polyline points="{way}" fill="none" stroke="{line.color}" stroke-width="{line.width:g}" '
        f'stroke-opacity="{line.opacity:g}"{dashes} stroke-linejoin="round"/>'
    )


def _stretches(curve: Line) -> list[list[tuple[float, float]]]:
    """Cut a curve at its gaps, and thin it out to ``POINTS``."""
    pairs = list(zip(curve.x, curve.y, strict=True))
    step = max(1, len(pairs) // POINTS)
    found: list[list[tuple[float, float]]] = [[]]
    for x, y in pairs[::step] + (pairs[-1:] if (len(pairs) - 1) % step else []):
        if x is None or y is None:
            found.append([])
        else:
            found[-1].append((x, y))
    return [stretch * 2 if len(stretch) == 1 else stretch for stretch in found if stretch]


def _legend_rows(names: Sequence[str], width: int) -> list[list[str]]:
    rows: list[list[str]] = []
    room = 0.0
    for name in names:
        need = 44 + CHARACTER_PIXELS * len(name)
        if not rows or need > room:
            rows.append([])
            room = width - 24.0
        rows[-1].append(name)
        room -= need
    return rows
