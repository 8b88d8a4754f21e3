"""The colorizers that people have: what each takes and gives, and how a file is recognized as one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from photochrom.color import Float
from photochrom.colorizer.guests import convert
from photochrom.colorizer.guests.spec import Guest, of_table

Kind = Literal["ddcolor", "deoldify", "eccv16", "siggraph17"]
KINDS: tuple[Kind, ...] = get_args(Kind)

IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the RGB values in [0, 1] of ImageNet's photographs, with which most encoders are trained."""

FAINTEST, STRONGEST = 1.5, 150.0
"""Largest |a| or |b| of an answer: below the first or above the second, the answer is not in units of Lab."""
LUMA_ERROR = 0.1
"""Mean error of luma up to which a picture is taken for one of the photograph shown."""
SURER = 2.0
"""Of two encodings that fit, one must fit so many times better."""


def _points() -> tuple[tuple[float, float], ...]:
    """List the 313 bins of ab, in the order of their release (Zhang et al. 2016, section 2.2, figure 3a): by a, then by b.

    In each row of a, from -90 to 100 in steps of 10, the bins that the sRGB gamut fills lie between two values of b.
    """
    lowest = (50, 20, 0, -20, -30, -40, -50, -50, -60, -70, -80, -80, -90, -100, -100, -110, -110, -110, -110, -90)
    highest = (90, 90, 90, 90, 100, 100, 100, 100, 100, 100, 90, 90, 90, 90, 80, 80, 80, 70, 70, 0)
    rows = zip(range(-90, 101, 10), lowest, highest, strict=True)
    return tuple((float(a), float(b)) for a, low, high in rows for b in range(low, high + 1, 10))


POINTS = _points()


@dataclass(frozen=True)
class Port:
    """An input or output of a graph."""

    name: str
    channels: int | None
    """None where the graph leaves it open."""
    side: int | None
    """Of the squares that it takes; None where it takes any size."""


@dataclass(frozen=True)
class Row:
    """One way in which a kind is exported."""

    kind: Kind
    takes: tuple[int, ...]
    """Channels of the inputs, in order."""
    gives: int
    """Channels of the output."""
    spec: dict[str, Any]
    """Fields of ``Guest``."""
    size: int = 256
    """Side or short side, in pixels, where the graph takes any."""
    stride: int = 32


TERMS: dict[Kind, tuple[str, str]] = {
    "ddcolor": ("Apache-2.0", "https://github.com/piddnad/DDColor"),
    "deoldify": ("MIT", "https://github.com/jantic/DeOldify"),
    "eccv16": ("BSD-2-Clause", "https://github.com/richzhang/colorization"),
    "siggraph17": ("BSD-2-Clause", "https://github.com/richzhang/colorization"),
}
"""License of each kind's release, and where it is."""

_LAB = {"shows": "lightness", "gives": "ab"}
_CENTERED = {"shows": "lightness", "mean": (50.0,), "deviation": (100.0,), "gives": "ab", "answer_factor": 110.0}

ROWS = (
    Row("ddcolor", (3,), 2, {"shows": "rgb", "gives": "ab"}, size=512),
    Row("deoldify", (3,), 3, {"shows": "rgb", "factor": 255.0, "gives": "rgb", "answer_factor": 1 / 255}),
    Row("deoldify", (3,), 3, {"shows": "rgb", "gives": "rgb"}),
    Row(
        "deoldify",
        (3,),
        3,
        {"shows": "rgb", "mean": IMAGENET_MEAN, "deviation": IMAGENET_DEVIATION, "gives": "rgb"}
        | {"answer_mean": IMAGENET_MEAN, "answer_deviation": IMAGENET_DEVIATION},
    ),
    Row("eccv16", (1,), 2, _LAB),
    Row("eccv16", (1,), 2, _CENTERED),
    Row("eccv16", (1,), 313, {"shows": "lightness", "gives": "shares", "points": POINTS}),
    Row("eccv16", (1,), 313, {"shows": "lightness", "gives": "logits", "points": POINTS}),
    Row("siggraph17", (1,), 2, _LAB),
    Row("siggraph17", (1,), 2, _CENTERED),
    Row("siggraph17", (1, 2, 1), 2, _LAB),
    Row("siggraph17", (1, 2, 1), 2, _CENTERED | {"hint_factor": 1 / 110}),
)

_TELLING: dict[Kind, str] = {"siggraph17": "model10.", "eccv16": "model8."}
"""What names of weights begin with in two kinds that may take and give the same; the first that is there tells."""


def candidates(inputs: Sequence[Port], outputs: Sequence[Port], tensors: frozenset[str]) -> list[tuple[Row, Port]]:
    """List the rows whose inputs and outputs a graph has, each with the output that is read."""
    found = [
        (row, output)
        for row in ROWS
        if [port.channels for port in inputs] == list(row.takes)
        for output in [port for port in outputs if port.channels in (row.gives, None)][:1]
    ]
    if {row.kind for row, _ in found} == _TELLING.keys():
        for kind, beginning in _TELLING.items():
            if any(name.startswith(beginning) for name in tensors):
                return [each for each in found if each[0].kind == kind]
    return found


def guest_of(row: Row, inputs: Sequence[Port], output: Port, changes: Mapping[str, Any]) -> Guest:
    """Make the guest of a row and a graph's names, with what a card changes of it; raises ValueError where it contradicts."""
    names: dict[str, Any] = {"image": inputs[0].name, "answer": output.name}
    if len(inputs) == 3:
        names |= {"hint_ab": inputs[1].name, "hint_mask": inputs[2].name}
    license, source = TERMS[row.kind]
    return of_table({"kind": row.kind, "license": license, "source": source} | names | row.spec | dict(changes))


def probe(side: int) -> Float:
    """Draw ``(side, side)`` luma in [0, 1] to try a network on: a ramp with squares, brighter and darker, on it."""
    ramp = np.linspace(0.15, 0.85, side, dtype=np.float32)
    tiles = np.indices((side, side)).sum(0) // max(side // 8, 1) % 2
    return np.asarray(ramp[None] + 0.2 * tiles - 0.1, np.float32)


def misfit(guest: Guest, answer: Float, luma: Float) -> float | None:
    """Measure how badly an answer about ``(H, W)`` luma fits what a guest's card says of it; None where it does not fit.

    A picture has the luma that was shown, a and b have the units of Lab, and shares of bins sum to 1.
    """
    if answer.ndim != 3 or answer.shape[0] not in convert.channels(guest) or not np.isfinite(answer).all():
        return None
    if guest.gives == "rgb":
        if answer.shape[1:] != luma.shape:
            return None
        error = float(np.abs(convert.luma_of(guest, answer) - luma).mean())
        return error if error < LUMA_ERROR else None
    if guest.gives == "ab":
        return 1.0 if FAINTEST < abs(guest.answer_factor) * float(np.abs(answer).max()) < STRONGEST else None
    shares = answer.min() >= 0 and bool(np.abs(answer.sum(0) - 1).max() < 0.01)
    return 1.0 if shares == (guest.gives == "shares") else None


def best(fits: Sequence[tuple[float, Row]]) -> Row | None:
    """Choose the row that fits best, or None where none does, or another does about as well."""
    ranked = sorted(fits, key=lambda each: each[0])
    if not ranked or (len(ranked) > 1 and ranked[1][0] < SURER * ranked[0][0]):
        return None
    return ranked[0][1]
