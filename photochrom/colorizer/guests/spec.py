"""Describe a guest: what its network is shown, and what its answer means."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

Shows = Literal["luma", "lightness", "rgb"]
Gives = Literal["ab", "rgb", "cbcr", "shares", "logits"]
Order = Literal["RGB", "BGR"]
Fit = Literal["squeeze", "pad"]

CHANNELS: dict[Shows, int] = {"luma": 1, "lightness": 1, "rgb": 3}
"""Channels of what a network is shown."""


@dataclass(frozen=True)
class Guest:
    """What goes in and out of a network that was trained elsewhere.

    A value v of the photograph enters as ``(factor * v - mean) / deviation``; a value w of the answer means
    ``answer_factor * (answer_deviation * w + answer_mean)``. Means and deviations are one number, or one for each channel in
    the network's own order.
    """

    image: str
    """Name of the graph's input that takes the photograph, ``(1, C, H, W)``."""
    answer: str
    """Name of the graph's output that is read, ``(1, C, h, w)``."""
    shows: Shows
    """What the input holds: "luma" in [0, 1], "lightness" (L* of CIE Lab, in [0, 100]), or "rgb", which is luma three times."""
    gives: Gives
    """What the answer holds: "ab" of CIE Lab; an "rgb" picture in [0, 1]; "cbcr" of full-range BT.601 in [-0.5, 0.5], with or
    without luma before them; the "shares" of bins of ab, or their "logits"."""
    kind: str = "own"
    """A kind that ``photochrom adopt`` knows, or "own" for one that a card describes."""
    license: str = ""
    """Terms of the weights."""
    source: str = ""
    """Where the weights come from."""
    sha256: str = ""
    """SHA-256 of the file before it got its card, as 64 hexadecimal digits."""
    factor: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    deviation: tuple[float, ...] = (1.0,)
    order: Order = "RGB"
    """Order of an input's three channels: all are grey, so that it matters only to their means and deviations."""
    fit: Fit = "squeeze"
    """How a photograph fills the square of a network that takes only squares: squeezed, or with its edge repeated."""
    answer_factor: float = 1.0
    answer_mean: tuple[float, ...] = (0.0,)
    answer_deviation: tuple[float, ...] = (1.0,)
    answer_order: Order = "RGB"
    """Order of a picture's three channels."""
    points: tuple[tuple[float, float], ...] = ()
    """The a and b of each bin."""
    hint_ab: str = ""
    """Name of the input that takes hints, ``(1, 2, H, W)``: a and b at points whose color is given, 0 elsewhere."""
    hint_mask: str = ""
    """Name of the input that says where, ``(1, 1, H, W)``: 1 at those points, 0 elsewhere."""
    hint_factor: float = 1.0
    """What a and b of a hint are multiplied by."""
    hint_offset: float = 0.0
    """What is subtracted from the mask."""

    def __post_init__(self) -> None:
        """Refuse what contradicts itself, with ValueError."""
        shown = CHANNELS[self.shows]
        for name, values, sizes in (
            ("mean", self.mean, {1, shown}),
            ("deviation", self.deviation, {1, shown}),
            ("answer_mean", self.answer_mean, {1, 2, 3}),
            ("answer_deviation", self.answer_deviation, {1, 2, 3}),
        ):
            if len(values) not in sizes:
                raise ValueError(f"{name} has {len(values)} numbers: expected one, or one for each channel")
        if 0 in (self.factor, self.answer_factor, self.hint_factor, *self.deviation, *self.answer_deviation):
            raise ValueError("a factor or a deviation is 0: expected another number")
        if bool(self.points) != (self.gives in ("shares", "logits")):
            raise ValueError(
                f"{len(self.points)} points of bins are given for an answer of {self.gives}: expected them for bins only"
            )
        if bool(self.hint_ab) != bool(self.hint_mask):
            raise ValueError("hint_ab and hint_mask belong together: give both, or none")


OF_A_GUEST: dict[str, Any] = typing.get_type_hints(Guest)
"""The type of each field of a guest."""
OF_A_CARD: dict[str, Any] = {
    "name": str,
    "size": int,
    "stride": int,
    "temperature": float,
    "vividness": tuple[float, ...],
}
"""The further keys of a card that a person writes, and their types."""


def of_table(table: Mapping[str, Any]) -> Guest:
    """Make a guest of a table as it lies in a card; raises ValueError where it is not one."""
    read = checked(table, OF_A_GUEST)
    missing = [name for name in ("image", "answer", "shows", "gives") if name not in read]
    if missing:
        raise ValueError(f"{', '.join(missing)} of a guest model is missing")
    return Guest(**read)


def checked(table: Mapping[str, Any], kinds: Mapping[str, Any]) -> dict[str, Any]:
    """Check the keys and values of a table against types, and make its lists tuples; raises ValueError."""
    found = {}
    for key, value in table.items():
        if key not in kinds:
            close = difflib.get_close_matches(key, kinds, n=3, cutoff=0.5) or sorted(kinds)
            raise ValueError(f"there is no key '{key}': expected one such as {', '.join(close)}")
        found[key] = _value(key, value, kinds[key])
    return found


def _value(key: str, value: object, kind: Any) -> object:
    origin = get_origin(kind)
    if origin is Literal:
        if value not in get_args(kind):
            raise ValueError(f"{key} is {value!r}: expected one of {', '.join(get_args(kind))}")
        return value
    if origin is tuple:
        inner = get_args(kind)
        if not isinstance(value, list | tuple) or (inner[-1] is not Ellipsis and len(value) != len(inner)):
            raise ValueError(f"{key} is {value!r}: expected a list of {'numbers' if inner[-1] is Ellipsis else len(inner)}")
        return tuple(_value(key, each, inner[0]) for each in value)
    if kind is float and type(value) in (int, float):
        return float(value)  # type: ignore[arg-type]
    if type(value) is not kind:
        raise ValueError(f"{key} is {value!r}: expected {'a text' if kind is str else 'a number'}")
    return value
