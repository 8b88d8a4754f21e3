"""Measure how near a colorized photograph comes to the true one, and how sure a mean over photographs is.

One definition of each measure, on ``(H, W, 3)`` uint8 pictures. `score` turns one photograph into a row (update), rows of any
number of processes are put together with ``+`` (merge), and `summarize`, `gain` and `difference` make means with intervals of
them (compute). A mean is always one over photographs, each of the same weight whatever its size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from photochrom.color import Floats, Picture, ab_error, colorfulness, delta_e_2000, disparity, lab, psnr
from photochrom.errors import OptionError
from photochrom.evaluation import statistics

Predict = Callable[[NDArray[np.uint8]], Picture]
"""What is measured: it turns ``(H, W)`` uint8 luma into an ``(H, W, 3)`` uint8 RGB picture."""


AUC_THRESHOLDS = 150.0
"""Largest ab error that the curve of `auc` sweeps to (Zhang et al. 2016, section 3.1)."""

CLASS_STEP, CLASSES, CLASS_BLUR = 10, 27, 5
"""The color classes of `class_weights`: side of a square of the ab plane, squares a side, sigma of their smoothing."""

SSIM_SIDE, SSIM_SIGMA = 11, 1.5
"""The Gaussian window, in pixels."""
SSIM_FLOORS = (0.01 * 255) ** 2, (0.03 * 255) ** 2
"""C1 and C2, which keep the quotients of flat areas finite."""

LOWER, UPPER = 2.5, 97.5
"""Percentiles that bound a 95 % interval."""


@dataclass(frozen=True)
class Scores:
    """Hold the measures of one photograph.

    Attributes:
        disparity_red, disparity_green, disparity_blue: mean absolute difference in percent of the full range.
        disparity: mean of the three.
        psnr: dB, see `psnr`.
        ssim: see `photochrom.evaluation.ssim`.
        de2000: mean color difference, see `delta_e_2000`.
        auc: percent, see `auc`.
        auc_rebalanced: percent; its mean over photographs weighs all color classes alike, see `class_weights`.
        colorfulness: of the colorized picture, see `colorfulness`.
        colorfulness_true: of the true picture.
    """

    disparity_red: float
    disparity_green: float
    disparity_blue: float
    disparity: float
    psnr: float
    ssim: float
    de2000: float
    auc: float
    auc_rebalanced: float
    colorfulness: float
    colorfulness_true: float


@dataclass(frozen=True)
class Value:
    """Hold a figure over photographs with its 95 % interval, `low` to `high`."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Summary:
    """Hold the means of `Scores` over photographs, and the ratio of the mean colorfulness to the truth's."""

    disparity_red: Value
    disparity_green: Value
    disparity_blue: Value
    disparity: Value
    psnr: Value
    ssim: Value
    de2000: Value
    auc: Value
    auc_rebalanced: Value
    colorfulness: Value
    colorfulness_true: Value
    colorfulness_ratio: Value


@dataclass(frozen=True)
class Truth:
    """Hold a true picture with what every comparison to it needs again: its Lab planes, weights of its pixels, colorfulness."""

    picture: Picture
    lab: Floats
    weights: Floats | None
    colorfulness: float

    @classmethod
    def of(cls, picture: Picture, weights: Floats | None = None) -> Truth:
        """Prepare an ``(H, W, 3)`` uint8 picture for comparisons, with the `class_weights` of its data set if there are any."""
        colors = lab(picture)
        return cls(picture, colors, None if weights is None else weights[_classes(colors)], colorfulness(picture))


def score(truth: Truth, picture: Picture) -> Scores:
    """Measure one colorized photograph against the true one.

    Args:
        truth: the true photograph.
        picture: ``(H, W, 3)`` uint8 RGB of the same size; OptionError is raised for another.
    """
    if picture.shape != truth.picture.shape or picture.dtype != np.uint8:
        raise OptionError(
            f"a picture of {picture.shape} {picture.dtype} cannot be compared to a true one of {truth.picture.shape} uint8; "
            "give both the same size and 8 bits a channel"
        )
    red, green, blue = disparity(truth.picture, picture)
    colors = lab(picture)
    error = ab_error(truth.lab, colors)
    return Scores(
        disparity_red=red,
        disparity_green=green,
        disparity_blue=blue,
        disparity=(red + green + blue) / 3,
        psnr=psnr(truth.picture, picture),
        ssim=ssim(truth.picture, picture),
        de2000=float(delta_e_2000(truth.lab, colors).mean(dtype=np.float64)),
        auc=auc(error),
        auc_rebalanced=auc(error, truth.weights),
        colorfulness=colorfulness(picture),
        colorfulness_true=truth.colorfulness,
    )


def auc(error: Floats, weights: Floats | None = None) -> float:
    """Measure the area under the cumulative error curve, raw, in percent: Zhang et al. 2016, section 3.1.

    The curve gives the share of pixels with an ab error within a threshold that runs from 0 to 150; the area is divided by
    150. A pixel of error e counts from threshold e on, over a length of ``150 - e``: the area is the mean of that, no steps.

    Args:
        error: ab errors of any shape, see `ab_error`.
        weights: of the pixels; None = all 1. They need not have a mean of 1 here, but over a whole data set.
    """
    right = 1 - np.minimum(error, AUC_THRESHOLDS) / AUC_THRESHOLDS
    return 100 * float((right if weights is None else right * weights).mean(dtype=np.float64))


def class_weights(pictures: Iterable[Picture]) -> Floats:
    """Weigh color classes so that each counts the same in a data set, however rare: Zhang et al. 2016, equation 4, lambda 0.

    A class is a square of 10 x 10 in ab. Its weight is one over its share, smoothed by a Gaussian of sigma 5; the mean weight
    of the pixels given is 1.

    Args:
        pictures: true photographs, ``(H, W, 3)`` uint8; each counts the same whatever its size.

    Returns:
        ``(729,)`` float64, for `Truth.of`.
    """
    share = np.zeros(CLASSES**2)
    for picture in pictures:
        count = np.bincount(_classes(lab(picture)).ravel(), minlength=CLASSES**2)
        share += count / count.sum()
    share /= share.sum()
    squared = np.square(np.subtract.outer(np.arange(CLASSES), np.arange(CLASSES)) * CLASS_STEP / CLASS_BLUR)
    blur = np.exp(-squared / 2)
    smooth = (blur @ share.reshape(CLASSES, CLASSES) @ blur).ravel()
    weights: Floats = 1 / np.maximum(smooth, smooth[share > 0].min())
    weights /= share @ weights
    return weights


def _classes(colors: Floats) -> NDArray[np.intp]:
    a, b = np.rint(colors[1:] / CLASS_STEP).astype(np.intp) + CLASSES // 2
    return np.asarray(a.clip(0, CLASSES - 1) * CLASSES + b.clip(0, CLASSES - 1), np.intp)


def summarize(scores: Sequence[Scores]) -> Summary:
    """Return the mean of every measure over photographs, with 95 % percentile bootstrap intervals over the photographs.

    Args:
        scores: one row a photograph, at least one.

    Raises:
        OptionError: there are no rows.
    """
    return Summary(**{name: interval(means) for name, means in _means(scores).items()})


def difference(one: Sequence[Scores], two: Sequence[Scores]) -> Summary:
    """Return how far `one` lies above `two` in every measure, with paired bootstrap intervals.

    Args:
        one: the rows of one model.
        two: the rows of another on the same photographs in the same order.

    Raises:
        OptionError: there are no rows, or not as many of one as of two.
    """
    _check_pairs(one, two)
    other = _means(two)
    return Summary(**{name: interval(means - other[name]) for name, means in _means(one).items()})


def gain(
    scores: Sequence[Scores], baseline: Sequence[Scores], *, grey: Sequence[Scores], measure: Literal["disparity", "de2000"]
) -> Value:
    """Return how far the error of `scores` lies below that of `baseline`, in percent of grey's, with a paired interval.

    Args:
        scores: the rows of a model.
        baseline: the rows of a baseline on the same photographs in the same order.
        grey: the rows of grey pictures; they give the unit, so that gains over several baselines can be compared.
        measure: the error.

    Raises:
        OptionError: there are no rows, or not as many of each.
    """
    _check_pairs(scores, baseline)
    _check_pairs(scores, grey)
    below = _means(baseline)[measure] - _means(scores)[measure]
    return interval(100 * _over(below, _means(grey)[measure]))


def skill(scores: Sequence[Scores], baseline: Sequence[Scores]) -> Value:
    """Return the skill in disparity, ``1 - d / d(baseline)``: 1 = truth, 0 = baseline; paired; raises as `gain` does."""
    percent = gain(scores, baseline, grey=baseline, measure="disparity")
    return Value(percent.value / 100, percent.low / 100, percent.high / 100)


def _check_pairs(one: Sequence[Scores], two: Sequence[Scores]) -> None:
    if len(one) != len(two):
        raise OptionError(f"{len(one)} and {len(two)} rows cannot be paired; score the same photographs with both")


def _means(scores: Sequence[Scores]) -> dict[str, NDArray[np.float64]]:
    """Return the mean of every measure over all photographs, then over each bootstrap draw: ``(1 + draws,)`` float64."""
    if not scores:
        raise OptionError("no photograph was scored; give at least one")
    means = statistics.means(np.array([astuple(row) for row in scores]))
    columns = dict(zip([field.name for field in fields(Scores)], means.T, strict=True))
    return columns | {"colorfulness_ratio": _over(columns["colorfulness"], columns["colorfulness_true"])}


def _over(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    # Photographs that are all grey have nothing to be measured by: nothing of nothing is 0, not an error.
    return part / np.maximum(whole, 1e-9)


def interval(means: NDArray[np.float64]) -> Value:
    """Make a figure of what ``bootstrap.means`` gave of it: the figure itself, then that of each draw."""
    low, high = np.percentile(means[1:], (LOWER, UPPER))
    return Value(float(means[0]), float(low), float(high))


def ssim(one: NDArray[np.uint8], two: NDArray[np.uint8]) -> float:
    """Measure the structural similarity, the mean over all whole windows and over red, green and blue.

    Wang et al. 2004, equation 13 with their constants, on each channel: on luma alone, which a colorizer keeps, it would be 1
    for every answer. A picture smaller than the window has one window of its own size.

    Args:
        one: ``(H, W, 3)`` uint8.
        two: the same shape.

    Returns:
        At most 1, which equal pictures reach.
    """
    x, y = (np.moveaxis(picture, -1, 0).astype(np.float32) for picture in (one, two))
    mean_x, mean_y = _blurred(x), _blurred(y)
    product = mean_x * mean_y
    squares = mean_x**2 + mean_y**2
    covariance = _blurred(x * y) - product
    variances = _blurred(x**2 + y**2) - squares
    c1, c2 = SSIM_FLOORS
    return float(((2 * product + c1) * (2 * covariance + c2) / ((squares + c1) * (variances + c2))).mean(dtype=np.float64))


def _blurred(planes: Floats) -> Floats:
    """Weigh ``(C, H, W)`` planes by the window, at the positions where it lies inside."""
    for axis in (1, 2):
        side = min(SSIM_SIDE, planes.shape[axis])
        weights = [math.exp(-(((place - (side - 1) / 2) / SSIM_SIGMA) ** 2) / 2) for place in range(side)]
        length = planes.shape[axis] - side + 1
        parts = (planes.take(range(start, start + length), axis) * weight for start, weight in enumerate(weights))
        planes = sum(parts) / sum(weights)  # type: ignore[assignment]
    return planes
