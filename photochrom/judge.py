"""Judge whether a photograph is grey, toned, in color or blank, before any work goes into it.

A toned print (sepia, cyanotype, selenium, faded or yellowed) has one chroma for each luma: its colors lie on a curve. So the
curve is fitted, and what counts is how far the colors leave it. A tenth of the pixels may lie anywhere: stamps, scribbles and
borders are not held against a print. Noise and stains leave the curve too, stains in proportion to the tone; an allowance
covers both. A color photograph of a single hue, a dog on a lawn, can pass for a toned one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photochrom.color import split
from photochrom.photo import Photo

Kind = Literal["grey", "toned", "color", "blank"]

SIDE = 128
"""Longest side of the picture that is judged, in pixels: averaging takes out the noise of JPEG and film."""

CONTRAST = 12.0
"""Below this range of luma, of 255, there is nothing to see."""

TONE = 2.5
"""Below this mean chroma, of 255, a picture is grey."""

NOISE, STAINS = 3.0, 0.3
"""Allowance for leaving the curve: of 255, and as a share of the mean chroma.

Chosen for the smallest sum of both errors on 2,002 modern color photographs and 2,016 toned copies of some of them. On 2,000
others, 6.0 % of the color photographs pass for toned and 1.2 % of the toned copies for color. It is a balance: with shares of
0.27 and 0.33 these are 4.7 and 3.8 %, and 7.3 and 0.5 %. ``python -m tests.toning`` measures both.

A rule of six measures (how much of the distance is fine, how far it reaches, how wide colors spread), fitted to 1,332
photographs and their copies, erred in 1.8 and 2.3 % of others; but it called 8 of 51 real old photographs color, and this one
calls 2 at most. What tells made copies from colors is no guide to real ones.
"""

STEPS = 24
"""Supports of the tone curve, each the median of as many pixels."""


@dataclass(frozen=True)
class Judgement:
    """Say what a photograph is, and why."""

    kind: Kind
    figure: float
    """What the kind rests on: the range of luma if blank, the mean chroma if grey (both of 255); for toned and color, how far
    the colors leave the curve of one tone, in allowances: color from 1 on."""
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
    return judge_tone(light.ravel() * 255, chroma.reshape(2, -1) * 255)


def judge_tone(light: NDArray[np.float32], chroma: NDArray[np.float32]) -> Judgement:
    """Judge ``(N,)`` luma and ``(2, N)`` chroma of a small picture, in levels of 255 around 0: grey, toned or in color."""
    tone = float(np.hypot(*chroma).mean())
    away = np.hypot(*(chroma - _curve(light, chroma)))
    figure = _percentiles(away, 90)[0] / (NOISE + STAINS * tone)
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
    """Fit ``(2, N)`` chroma as a function of ``(N,)`` luma: medians over equal numbers of pixels, joined by lines."""
    order = np.argsort(light, kind="stable")
    groups = np.array_split(order, min(STEPS, len(order)))
    centers = [light[group].mean() for group in groups]
    return np.stack([np.interp(light, centers, [_percentiles(plane[group], 50)[0] for group in groups]) for plane in chroma])


def _small(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
    factor = math.ceil(max(array.shape[:2]) / SIDE)
    return np.asarray(Image.fromarray(array).reduce(factor)) if factor > 1 else array
