"""Find several plausible, clearly different ways to color a photograph.

A variant is a few hints, as a person would give them: where the network's distribution holds another color than the answers so
far, that color is clicked on, and the network colors the rest to go with it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from photochrom import color
from photochrom.color import Float
from photochrom.colorizer.colorizer import Answer, Colorizer
from photochrom.colorizer.hints import Hint
from photochrom.errors import OptionError
from photochrom.photo.photo import Photo
from photochrom.photo.planes import upright

MOST = 8
"""Variants that can be asked for."""
OTHER = 0.1
"""Chroma at this distance from a color, in units of Cb and Cr, is another color."""
TRIES = 4
"""Colors tried for each variant that is asked for."""
AREA = 0.02
"""Share of the picture that must change its color between any two variants."""


@dataclass(frozen=True, eq=False)
class Variant:
    """One way to color a photograph."""

    hints: tuple[Hint, ...]
    """The hints that lead to it, those of the options among them, in pixels of the photograph as a viewer shows it."""
    answer: Answer


def variants(colorizer: Colorizer, photo: Photo, count: int) -> tuple[Variant, ...]:
    """Find clearly different answers: first the automatic one, then those that the network is surest of.

    Args:
        colorizer: a model that was trained with hints; hints of its options are part of every variant.
        photo: the photograph; it is not judged here.
        count: variants at most, 1 to 8.

    Returns:
        Fewer than ``count`` variants where the network sees no other color. In any two, at least 2 % of the picture differ by
        0.1 or more in chroma.

    Raises:
        OptionError: the count is out of range, or the model takes no hints or states no distribution.
    """
    if not 1 <= count <= MOST:
        raise OptionError(f"{count} variants are asked for: expected 1 to {MOST}")
    given, (_, gain) = colorizer.options.hints, colorizer.model.decoding(colorizer.options.vividness)
    bins = color.bins()
    automatic, possible = _look(colorizer, photo)
    found = [(_sureness(possible), Variant(given, automatic), _mean(possible))]
    possible = np.where(_near(found[0][2]), 0, possible)
    for _ in range(TRIES * count):
        weight = possible.sum((1, 2))
        chosen = int(weight.argmax())
        if len(found) == count or not weight[chosen]:
            break
        hints = (*given, _click(possible[chosen], bins[chosen] * np.float32(gain), photo))
        answer, share = _look(Colorizer(colorizer.model, replace(colorizer.options, hints=hints)), photo)
        mean = _mean(share)
        if all((np.hypot(*(mean - earlier)) >= OTHER).mean() >= AREA for _, _, earlier in found):
            found.append((_sureness(share), Variant(hints, answer), mean))
            possible[_near(mean)] = 0
        possible[np.square(bins - bins[chosen]).sum(1) < OTHER**2] = 0
    first, *others = found
    return tuple(variant for _, variant, _ in [first, *sorted(others, key=lambda each: -each[0])])


def _look(colorizer: Colorizer, photo: Photo) -> tuple[Answer, Float]:
    answer = colorizer.look(photo, share=True)
    assert answer.share is not None
    return replace(answer, share=None), answer.share


def _mean(share: Float) -> Float:
    mean: Float = np.einsum("khw,kc->chw", share, color.bins())
    return mean


def _sureness(share: Float) -> float:
    return float(share.max(0).mean())


def _near(chroma: Float) -> NDArray[np.bool_]:
    """Return which bins are the color of each cell: ``(323, h, w)`` for ``(2, h, w)`` chroma."""
    bins = color.bins()[:, :, None, None]
    near: NDArray[np.bool_] = np.square(bins - chroma).sum(1) < OTHER**2
    return near


def _click(likely: Float, chroma: Float, photo: Photo) -> Hint:
    """Give a color to the point around which it is the likeliest."""
    smooth = np.lib.stride_tricks.sliding_window_view(np.pad(likely, 1), (3, 3)).sum((2, 3))
    row, column = np.unravel_index(int(np.argmax(smooth)), smooth.shape)
    luma = upright(photo.shown, photo.orientation)
    y, x = (int((place + 0.5) * many / few) for place, many, few in zip((row, column), luma.shape, smooth.shape, strict=True))
    unit = np.float32(luma[y, x]) / 255
    wanted = chroma * color.headroom(unit, *chroma, minimum=np.minimum, maximum=np.maximum)
    red, green, blue = color.join(np.full((1, 1), unit), wanted[:, None, None])[0, 0]
    return Hint(x * photo.reduced, y * photo.reduced, f"#{red:02x}{green:02x}{blue:02x}")
