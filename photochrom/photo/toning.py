"""Judge whether a photograph is grey, toned, in color or blank, before any work goes into it.

A toned print (sepia, cyanotype, selenium, faded or yellowed) has one chroma for each luma: its colors lie on a curve. So the
curve is fitted, and what counts is how far the colors leave it. Three things beside color make them leave it, and each is told
by its shape. Grain and JPEG's noise are finer than things are: they are averaged out. Fading, stains and the mount around a
print are wider, and soft: the average of a neighborhood is taken away. And what ages a print moves it between brown and blue,
where things have all hues: what lies on that line counts half. A tenth of the pixels may lie anywhere: stamps, scribbles and
borders are not held against a print. A color photograph of a single hue can pass for a toned one.
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

Kind = Literal["grey", "toned", "color", "blank"]

SIDE = 128
"""Longest side of the picture that is judged, in pixels: averaging takes out the noise of JPEG and film."""

CONTRAST = 12.0
"""Below this range of luma, of 255, there is nothing to see."""

TONE = 2.5
"""Below this mean chroma, of 255, a picture is grey."""

THING, NEIGHBORHOOD = 5, 19
"""Sides of the squares, in pixels of the picture that is judged, whose averages are compared."""

AGING = (-0.85, 0.53)
"""The direction, in Cb and Cr, in which prints brown, fade and stain."""
AGED = 0.5
"""What leaves the curve in that direction, or against it, counts so much."""

NOISE, SHARE = 1.1, 0.04
"""Allowance for leaving the curve: of 255, and as a share of the mean chroma.

The form of the rule was found on a sixth of the photographs that train, toned copies of some of them and all 51 real old
ones; the numbers were chosen on half of each. Of the other 10,031 modern photographs 1.8 % pass for toned or grey, and of the
950 that test, which had no part in it, 1.8 %; of the toned copies 0.5 % pass for color, and of the real old photographs one,
a faint brown print on a blue mount. The distance from the curve alone, as noise or stain could make it, had 5.9, 4.2 and 2.8
%, and none. ``python -m tests.support.toning`` measures samples of these.
"""

STEPS = 24
"""Supports of the tone curve, each the median of as many pixels."""


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
    light, chroma = split(_small(picture))
    return judge_tone(light * 255, chroma * 255)


def judge_tone(light: NDArray[np.float32], chroma: NDArray[np.float32]) -> Judgement:
    """Judge ``(h, w)`` luma and ``(2, h, w)`` chroma of a small picture, in levels of 255 around 0: grey, toned or in color."""
    tone = float(np.hypot(*chroma).mean())
    away = (chroma - _curve(light, chroma)).astype(np.float32)
    (x, y), length = AGING, math.hypot(*AGING)
    along, across = (away[0] * x + away[1] * y) * (AGED / length), (away[1] * x - away[0] * y) / length
    leaving = np.hypot(*(_blurred(plane, THING) - _blurred(plane, NEIGHBORHOOD) for plane in (along, across)))
    figure = _percentiles(leaving, 90)[0] / (NOISE + SHARE * tone)
    if figure >= 1:
        return Judgement("color", figure, f"its colors differ at equal luma, {figure:.2f} times what a tone allows")
    if tone < TONE:
        return Judgement("grey", tone, f"its mean chroma is {tone:.1f} of 255")
    return Judgement("toned", figure, f"its colors follow luma, {figure:.2f} of what a tone allows")


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
