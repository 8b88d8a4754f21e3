"""Guide the network: colors that a person gives to points of a photograph, and the palette of another photograph."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from photochrom import color
from photochrom.color import Bytes, Float
from photochrom.colorizer.upsample import shrink, upsample_at
from photochrom.errors import OptionError, PhotoError
from photochrom.photo import convert
from photochrom.photo.photo import MAX_PIXELS
from photochrom.photo.toning import judge

PATCH = 3
"""Side of the patch that stands for a point, in pixels of what the network sees: small, for it must not cross an edge."""

ROUNDS = 8
"""Times at most that a point's neighborhood is moved until the point has its color."""
REACH_CELLS = 1.0
REACH_LUMA = 0.1
"""Standard deviations of that neighborhood, in cells of the network's chroma and in luma."""
COARSE_CELLS = 64
"""Short side of an answer, in cells, that the reaches below are meant for; in a finer answer they are longer in proportion, so
that a click reaches as far over the photograph."""
WIDE_CELLS = 3.0
WIDE_DOUBT = 0.3
"""Standard deviation, in cells, of the wider one that is moved before; and the variance of a point's own color in it, in units
of what the network's errors around have in common: the less of it, the more is believed."""


@dataclass(frozen=True)
class Hint:
    """Give a color to a point of a photograph."""

    __module__ = "photochrom"

    x: int
    """Column of the point, in pixels of the photograph as a viewer shows it, from 0 at the left."""
    y: int
    """Row of the point, from 0 at the top."""
    color: str
    """An sRGB color: ``#RRGGBB``, ``#RGB`` or a name of CSS such as ``orange``, kept as six digits. The photograph keeps its
    luma; only hue and chroma are taken."""

    def __post_init__(self) -> None:
        """Refuse what is no point or no color."""
        if self.x < 0 or self.y < 0:
            raise OptionError(f"invalid hint '{self.x},{self.y}={self.color}': expected X and Y of 0 or more")
        if not re.fullmatch(r"#[0-9a-fA-F]{6}", self.color):
            object.__setattr__(self, "color", _hexadecimal(self.color))

    @property
    def chroma(self) -> Float:
        """Cb and Cr of the color, ``(2,)`` float32 in [-0.5, 0.5]."""
        pixel = np.frombuffer(bytes.fromhex(self.color[1:]), np.uint8).reshape(1, 1, 3)
        return color.split(pixel)[1].reshape(2)


def parse(text: str) -> Hint:
    """Read a hint written as ``X,Y=COLOR``; raises OptionError if it is written otherwise."""
    found = re.fullmatch(r"\s*(\d+)\s*,\s*(\d+)\s*=\s*(#?\w+)\s*", text)
    if not found:
        expected = "expected X,Y=#RRGGBB or X,Y=NAME, in pixels of the photograph as a viewer shows it"
        raise OptionError(f"invalid hint '{text}': {expected}")
    return Hint(int(found[1]), int(found[2]), found[3])


def _hexadecimal(color: str) -> str:
    """Return a color as ``#rrggbb``; raises OptionError for what is no color."""
    from PIL import ImageColor

    try:
        if not re.fullmatch(r"#?\w+", color):
            raise ValueError("a function or a number with decimals")
        red, green, blue = ImageColor.getrgb(color)[:3]
    except ValueError as error:
        raise OptionError(f"invalid color '{color}': expected #RRGGBB, #RGB or a name of CSS, such as orange") from error
    return f"#{red:02x}{green:02x}{blue:02x}"


def load(path: Path) -> tuple[Hint, ...]:
    """Read a JSON file: a list of objects with ``x``, ``y`` and ``color``.

    Raises:
        OptionError: the file is missing, is no such list, or holds what is no hint.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise OptionError(f"cannot read the hints of '{path}': {reason}; expected a JSON list") from error
    expected = 'expected [{"x": 120, "y": 80, "color": "#c04030"}, ...]'
    if not isinstance(rows, list):
        raise OptionError(f"'{path}' holds no list of hints: {expected}")
    hints = []
    for index, row in enumerate(rows):
        if not (isinstance(row, dict) and row.keys() == {"x", "y", "color"} and type(row["x"]) is type(row["y"]) is int):
            raise OptionError(f"entry {index} of '{path}' is {json.dumps(row)}: {expected}")
        hints.append(Hint(row["x"], row["y"], str(row["color"])))
    return tuple(hints)


def draw(hints: Sequence[Hint], shape: tuple[int, int], seen: tuple[int, int]) -> Float:
    """Draw hints on what the network sees.

    Args:
        hints: points of the upright photograph; where two meet, the later one stays.
        shape: height and width of that photograph.
        seen: height and width of what the network sees.

    Returns:
        ``(3, h, w)`` float32: Cb, Cr and 1 in a patch around each point, 0 elsewhere.

    Raises:
        OptionError: a point lies outside the photograph.
    """
    planes = np.zeros((3, *seen), np.float32)
    for hint in hints:
        if hint.x >= shape[1] or hint.y >= shape[0]:
            where = f"the hint {hint.x},{hint.y} lies outside the photograph"
            raise OptionError(f"{where}: expected X below {shape[1]} and Y below {shape[0]}")
        row, column = (int((place + 0.5) * few / many) for place, few, many in zip((hint.y, hint.x), seen, shape, strict=True))
        top, left = (
            min(max(place - PATCH // 2, 0), max(side - PATCH, 0)) for place, side in zip((row, column), seen, strict=True)
        )
        planes[:, top : top + PATCH, left : left + PATCH] = np.append(hint.chroma, np.float32(1))[:, None, None]
    return planes


def stored_place(hint: Hint, shape: tuple[int, ...], orientation: int) -> tuple[int, int]:
    """Find the row and column of a hint in a photograph as stored, of height and width ``shape``: ``photo.upright`` undone."""
    height, width = shape if orientation < 5 else shape[::-1]
    row = height - 1 - hint.y if orientation in (3, 4, 7, 8) else hint.y
    column = width - 1 - hint.x if orientation in (2, 3, 6, 7) else hint.x
    return (row, column) if orientation < 5 else (column, row)


def settle(chroma: Float, luma: Bytes, hints: Sequence[Hint], *, orientation: int = 1) -> Float:
    """Move the network's answer until ``upsample`` gives every hinted point its color, as far as the point's luma allows it.

    What the points lack together is first believed of their wider surroundings (kriging: the posterior mean of a Gaussian
    process over place and luma, Rasmussen & Williams 2006, equation 2.23), then each point gets what it still lacks. Both are
    less for cells of another luma. The enlargement then has color stop at edges and keeps it inside the gamut, as ever.

    Args:
        chroma: ``(2, h, w)``, the network's answer, turned as stored.
        luma: ``(H, W)`` uint8, as stored.
        hints: points of the upright photograph, inside of it.
        orientation: EXIF's, 1 to 8.

    Returns:
        ``(2, h, w)`` float32 chroma in [-0.5, 0.5].
    """
    if not hints:
        return chroma
    rows, columns = np.array([stored_place(hint, luma.shape, orientation) for hint in hints]).T
    unit = luma[rows, columns].astype(np.float32) / 255
    wanted = np.stack([hint.chroma for hint in hints])
    wanted *= color.headroom(unit, *wanted.T, minimum=np.minimum, maximum=np.maximum)[:, None]
    cells = _cells(rows, columns, luma.shape, chroma.shape[1:])
    height, width = (min(few, many) for few, many in zip(chroma.shape[1:], luma.shape, strict=True))
    small = shrink(luma, height, width)
    grid = chroma.shape[1:]
    finer = max(min(grid) / COARSE_CELLS, 1.0)
    wide, narrow = (_near(rows, columns, luma.shape, small, grid, reach=finer * reach) for reach in (WIDE_CELLS, REACH_CELLS))
    for near, doubt in ((wide, WIDE_DOUBT), *[(narrow, 0.01)] * ROUNDS):
        found = upsample_at(chroma, luma, rows, columns, small=small).astype(np.float32)
        lack = wanted - (found - 128) / 255
        if np.abs(lack).max() < 1 / 255:
            break
        own = near.reshape(len(hints), -1)[:, cells].T
        weights = np.linalg.solve(own + doubt * np.eye(len(hints)), lack).astype(np.float32)
        chroma = np.clip(chroma + np.einsum("phw,pc->chw", near, weights), -0.5, 0.5)
    return chroma


def reference(source: Path | bytes, *, max_pixels: int = MAX_PIXELS) -> tuple[float, ...]:
    """Read the palette of a color photograph, a file or its contents, as ``Options`` takes it.

    Raises:
        PhotoError: it cannot be read, is too large, or has no color.
    """
    name = "the reference" if isinstance(source, bytes) else str(source)
    found = convert.read(source, max_pixels=max_pixels, name=name)
    if found.thumbnail is None or judge(found).kind in ("grey", "blank"):
        raise PhotoError("has no color that could lead; name a color photograph as reference", path=name)
    return tuple(color.palette(color.split(found.thumbnail)[1]).tolist())


def _cells(rows: NDArray[np.intp], columns: NDArray[np.intp], shape: Sequence[int], grid: Sequence[int]) -> NDArray[np.intp]:
    """Return the flat cell of a grid over a picture in which each pixel lies."""
    return (rows * grid[0] // shape[0]) * grid[1] + columns * grid[1] // shape[1]


def _near(
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    shape: Sequence[int],
    small: Float,
    grid: Sequence[int],
    *,
    reach: float,
) -> Float:
    """Return ``(P, h, w)`` weights of the cells around each pixel, by distance and by luma; 1 at the pixel's own."""
    height, width = small.shape
    low = (small / np.float32(255))[np.ix_(np.arange(grid[0]) * height // grid[0], np.arange(grid[1]) * width // grid[1])]
    cells = _cells(rows, columns, shape, grid)
    down, across = np.divmod(np.arange(grid[0] * grid[1]).reshape(grid), grid[1])
    distance = (down - (cells // grid[1])[:, None, None]) ** 2 + (across - (cells % grid[1])[:, None, None]) ** 2
    contrast = (low - low.ravel()[cells][:, None, None]) ** 2
    return np.exp(-distance / (2 * reach**2) - contrast / (2 * REACH_LUMA**2)).astype(np.float32)
