"""Judge whether a photograph is grey, toned, in color or blank, before any work goes into it.

First the photograph is found: mounts, album pages, captions and color targets beside it are not judged (``prints``).

A toned print (sepia, cyanotype, selenium, faded or yellowed) has one chroma for each luma: its colors lie on a curve. So the
curve is fitted, and what counts is how far the colors leave it. Four things beside color make them leave it, and each has a
shape of its own. Grain and JPEG's noise are finer than things are: they are averaged out. Fading and stains are wider, and
soft: the average of a neighborhood is taken away, with strong colors cut down, or a small red thing would turn its
surroundings green. What ages a print moves it between brown and blue, where things have all hues: what lies on that line
counts half. And a stamp is strong and in one place: if nearly all that leaves the curve clearly lies in a small box, the box
is left out. A tenth of the other pixels may lie anywhere. A color photograph of a single hue, or with its only color in one
small place, can pass for a toned one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photochrom.color import split
from photochrom.photo.photo import Photo
from photochrom.photo.prints import Box, find_prints

Kind = Literal["grey", "toned", "color", "blank"]

SIDE = 128
"""Longest side of the picture that is judged, in pixels: averaging takes out the noise of JPEG and film."""

CONTRAST = 12.0
"""Below this range of luma, of 255, there is nothing to see."""

TONE = 2.5
"""Below this mean chroma, of 255, a picture is grey."""

THING, NEIGHBORHOOD = 3, 19
"""Sides of the squares, in pixels of the picture that is judged, whose averages are compared."""
STRONG = 8.0
"""What leaves the curve by more, of 255, weighs no more than this in the average of a neighborhood."""

AGING = (-0.85, 0.53)
"""The direction, in Cb and Cr, in which prints brown, fade and stain."""
AGED = 0.5
"""What leaves the curve in that direction, or against it, counts so much."""

MARK, MARK_CORE, MARK_EDGE = 0.08, 0.8, 3
"""A stamp or seal: the largest share of a print that it takes, the share of its columns' and rows' strength by which its box is
found, and the pixels around that which are left out too."""

NOISE, SHARE = 1.23, 0.045
"""Allowance for leaving the curve: of 255, and as a share of the mean chroma.

The numbers here were chosen on 2,930 modern photographs, of those that train and of ``elsewhere/val``, on 1,680 prints made of
280 others that train, and on the 51 real old photographs. ``python -m tests.support.toning`` measures them on others.
"""

STEPS = 12
"""Supports of the tone curve, each the median of as many pixels: more, and a stamp could fill the pixels of one of them."""

INSIDE, FEWEST = 0.05, 3
"""A print that has a margin is judged without its edge: this share of its shorter side, and pixels, at least."""
SECOND = 1 / 3
"""Prints of less than this share of the largest one's area are not judged: captions and targets may look like prints."""


@dataclass(frozen=True)
class Judgement:
    """Say what a photograph is, and why."""

    kind: Kind
    figure: float
    """What the kind rests on: the range of luma if blank, the mean chroma if grey (both of 255); for toned and color, how far
    the colors of things leave the curve of one tone, in allowances: color from 1 on."""
    reason: str


def judge(photo: Photo) -> Judgement:
    """Judge a photograph that was read."""
    return judge_picture(photo.shown, photo.thumbnail)


def judge_picture(luma: NDArray[np.uint8], picture: NDArray[np.uint8] | None) -> Judgement:
    """Judge luma and, where there is one, a picture of the same in color.

    Args:
        luma: ``(H, W)`` uint8.
        picture: ``(h, w, 3)`` uint8 RGB of any size; none for a source of one channel.
    """
    low, high = _percentiles(_small(luma), 1, 99)
    contrast = high - low
    if contrast < CONTRAST:
        return Judgement("blank", contrast, f"its luma covers {contrast:.0f} of 255 levels")
    if picture is None:
        return Judgement("grey", 0.0, "it has one channel")
    boxes = find_prints(picture)
    if len(boxes) == 1 and boxes[0] == (0, 0, *picture.shape[:2]):
        return _judged(_small(picture))
    areas = [(bottom - top) * (right - left) for top, left, bottom, right in boxes]
    found = [
        (_judged(_small(_inner(picture, box))), area)
        for box, area in zip(boxes, areas, strict=True)
        if area >= SECOND * areas[0]
    ]
    # A page is what the prints of half of its area are, or more than that.
    found.sort(key=lambda each: (each[0].kind == "color", each[0].figure), reverse=True)
    covered = np.cumsum([area for _, area in found])
    return found[int(np.searchsorted(covered, covered[-1] / 2))][0]


def _judged(picture: NDArray[np.uint8]) -> Judgement:
    light, chroma = split(picture)
    return judge_tone(light * 255, chroma * 255)


def _inner(picture: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    top, left, bottom, right = box
    edge = max(FEWEST, round(INSIDE * min(bottom - top, right - left)))
    return np.ascontiguousarray(picture[top + edge : bottom - edge, left + edge : right - edge])


def judge_tone(light: NDArray[np.float32], chroma: NDArray[np.float32]) -> Judgement:
    """Judge ``(h, w)`` luma and ``(2, h, w)`` chroma of a small picture, in levels of 255 around 0: grey, toned or in color."""
    away = (chroma - _curve(light, chroma)).astype(np.float32)
    strength = np.hypot(*chroma)
    mark = _mark(away, 2 * (NOISE + SHARE * float(strength.mean())))
    if mark is not None:
        away[:, mark[0], mark[1]] = 0
        strength[mark] = _percentiles(strength, 50)[0]
    tone = float(strength.mean())
    (x, y), length = AGING, math.hypot(*AGING)
    along, across = (away[0] * x + away[1] * y) * (AGED / length), (away[1] * x - away[0] * y) / length
    leaving = np.hypot(
        *(_blurred(plane, THING) - _blurred(plane.clip(-STRONG, STRONG), NEIGHBORHOOD) for plane in (along, across))
    )
    figure = _percentiles(leaving, 90)[0] / (NOISE + SHARE * tone)
    if figure >= 1:
        return Judgement("color", figure, f"its colors differ at equal luma, {figure:.2f} times what a tone allows")
    if tone < TONE:
        return Judgement("grey", tone, f"its mean chroma is {tone:.1f} of 255")
    return Judgement("toned", figure, f"its colors follow luma, {figure:.2f} of what a tone allows")


def _mark(away: NDArray[np.float32], least: float) -> tuple[slice, slice] | None:
    """Find the rows and columns in which nearly all lies that leaves the curve clearly, if they are few."""
    strength = np.maximum(np.hypot(_blurred(away[0], 3), _blurred(away[1], 3)) - least, 0) ** 1.5
    total, ends = float(strength.sum()), (0.5 - MARK_CORE / 2, 0.5 + MARK_CORE / 2)
    if total == 0:
        return None
    (top, bottom), (left, right) = (
        np.searchsorted(strength.sum(axis).cumsum(), [share * total for share in ends]).tolist() for axis in (1, 0)
    )
    if (bottom + 1 - top) * (right + 1 - left) > MARK * strength.size:
        return None
    return (
        slice(max(0, top - MARK_EDGE), bottom + 1 + MARK_EDGE),
        slice(max(0, left - MARK_EDGE), right + 1 + MARK_EDGE),
    )


def _percentiles(values: NDArray[Any], *percents: float) -> list[float]:
    """Give what ``np.percentile`` does; that, and ``np.median``, load a part of numpy that takes longer than all judging."""
    ordered = np.sort(values, axis=None, kind="stable")  # for samples of 8 bits by far the fastest
    places = np.array(percents) / 100 * (len(ordered) - 1)
    return [float(value) for value in np.interp(places, np.arange(len(ordered)), ordered)]


def _curve(light: NDArray[np.float32], chroma: NDArray[np.float32]) -> NDArray[np.float64]:
    """Fit ``(2, h, w)`` chroma as a function of ``(h, w)`` luma: medians over equal numbers of pixels, joined by lines."""
    light, planes = light.ravel(), chroma.reshape(2, -1)
    order = np.argsort(light, kind="stable")
    groups = np.array_split(order, min(STEPS, len(order)))
    centers = [light[group].mean() for group in groups]
    fitted = [np.interp(light, centers, [_percentiles(plane[group], 50)[0] for group in groups]) for plane in planes]
    return np.stack(fitted).reshape(chroma.shape)


def _blurred(plane: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    return np.asarray(cv2.blur(plane, (side, side)), np.float32)


def _small(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
    factor = math.ceil(max(array.shape[:2]) / SIDE)
    return np.asarray(Image.fromarray(array).reduce(factor)) if factor > 1 else array
