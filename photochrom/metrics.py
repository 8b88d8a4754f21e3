"""Measure how near a colorized photograph comes to the true one, and how sure a mean over photographs is.

One definition of each measure, on ``(H, W, 3)`` uint8 pictures. `score` turns one photograph into a row (update), rows of any
number of processes are put together with ``+`` (merge), and `summarize`, `gain` and `difference` make means with intervals of
them (compute). A mean is always one over photographs, each of the same weight whatever its size. CIE Lab, which the published
figures ask for, appears in this module alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from photochrom import bootstrap
from photochrom.errors import OptionError
from photochrom.ssim import ssim

Picture = NDArray[np.uint8]
Predict = Callable[[NDArray[np.uint8]], Picture]
"""What is measured: it turns ``(H, W)`` uint8 luma into an ``(H, W, 3)`` uint8 RGB picture."""

Float = NDArray[np.floating[Any]]

LEAST_SQUARED_ERROR = 1 / 12
"""Floor of the mean squared error in `psnr`: what rounding to 8 bits costs by itself, so that the truth is no better known."""

AUC_THRESHOLDS = 150.0
"""Largest ab error that the curve of `auc` sweeps to (Zhang et al. 2016, section 3.1)."""

CLASS_STEP, CLASSES, CLASS_BLUR = 10, 27, 5
"""The color classes of `class_weights`: side of a square of the ab plane, squares a side, sigma of their smoothing."""

LOWER, UPPER = 2.5, 97.5
"""Percentiles that bound a 95 % interval."""

# sRGB's primaries and D65 white in XYZ (IEC 61966-2-1), divided by the white's X, Y, Z: the sums of the rows, so that grey
# has a = b = 0 to rounding.
_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])
_XYZ_OVER_WHITE = (_XYZ / _XYZ.sum(1, keepdims=True)).astype(np.float32)
_LEVELS = np.arange(256) / 255
_LINEAR = np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4).astype(np.float32)


@dataclass(frozen=True)
class Scores:
    """Hold the measures of one photograph.

    Attributes:
        disparity_red, disparity_green, disparity_blue: mean absolute difference in percent of the full range.
        disparity: mean of the three.
        psnr: dB, see `psnr`.
        ssim: see `photochrom.ssim`.
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
    lab: Float
    weights: Float | None
    colorfulness: float

    @classmethod
    def of(cls, picture: Picture, weights: Float | None = None) -> Truth:
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


def disparity(truth: Picture, picture: Picture) -> tuple[float, float, float]:
    """Measure the mean absolute difference of red, green and blue, in percent of the full range of 255."""
    difference = np.maximum(truth, picture) - np.minimum(truth, picture)
    red, green, blue = difference.mean((0, 1), dtype=np.float64) / 255 * 100
    return float(red), float(green), float(blue)


def psnr(truth: Picture, picture: Picture) -> float:
    """Measure the peak signal-to-noise ratio over the RGB values, in dB: ``10 log10(255^2 / MSE)``.

    Two equal pictures would give infinity and spoil every mean; the MSE therefore counts as at least 1/12, the error of
    rounding to 8 bits, which makes 58.9 dB the most that a photograph can reach.
    """
    squared = np.square(truth.astype(np.float32) - picture).mean(dtype=np.float64)
    return 10 * math.log10(255**2 / max(float(squared), LEAST_SQUARED_ERROR))


def lab(picture: Picture) -> Float:
    """Convert an ``(H, W, 3)`` uint8 sRGB picture to CIE Lab under D65, 2 degree observer.

    Returns:
        ``(3, H, W)`` float32: L in [0, 100], a and b within about [-110, 110].
    """
    linear = _LINEAR[np.moveaxis(picture, -1, 0)]
    x, y, z = _lab_curve(np.tensordot(_XYZ_OVER_WHITE, linear, 1))
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def _lab_curve(relative: Float) -> Float:
    epsilon = (6 / 29) ** 3
    return np.where(relative > epsilon, np.cbrt(relative), relative * ((29 / 6) ** 2 / 3) + 4 / 29)


def delta_e_2000(one: Float, two: Float) -> Float:
    """Measure the CIEDE2000 color difference of every pixel.

    Sharma, Wu, Dalal 2005, "The CIEDE2000 color-difference formula: implementation notes", equations 2 to 22, with all
    parametric factors 1. Their special cases of a color without hue need no branch: the hue difference that they would
    change is multiplied by a chroma of 0.

    Args:
        one: ``(3, ...)`` Lab planes of floats.
        two: the same shape.

    Returns:
        ``(...)`` of the floats given, 0 where the colors are equal.
    """
    l1, a1, b1 = one
    l2, a2, b2 = two
    stretch = 1.5 - 0.5 * _chroma_weight((_length(a1, b1) + _length(a2, b2)) / 2)
    a1, a2 = a1 * stretch, a2 * stretch
    c1, c2 = _length(a1, b1), _length(a2, b2)
    h1, h2 = _hue(a1, b1), _hue(a2, b2)
    turn, hue = h2 - h1, (h1 + h2) / 2
    far = np.abs(turn) > np.pi
    turn = np.where(far, turn - np.copysign(2 * np.pi, turn).astype(turn.dtype), turn)
    hue = np.where(far, np.where(hue < np.pi, hue + np.pi, hue - np.pi), hue)

    lightness, chroma = (l1 + l2) / 2, (c1 + c2) / 2
    hue_weight = (
        1
        - 0.17 * np.cos(hue - math.radians(30))
        + 0.24 * np.cos(2 * hue)
        + 0.32 * np.cos(3 * hue + math.radians(6))
        - 0.20 * np.cos(4 * hue - math.radians(63))
    )
    middle = np.square(lightness - 50)
    by_lightness = (l2 - l1) / (1 + 0.015 * middle / np.sqrt(20 + middle))
    by_chroma = (c2 - c1) / (1 + 0.045 * chroma)
    by_hue = 2 * np.sqrt(c1 * c2) * np.sin(turn / 2) / (1 + 0.015 * chroma * hue_weight)
    blue = (np.degrees(hue) - 275) / 25
    rotation = -2 * _chroma_weight(chroma) * np.sin(math.radians(60) * np.exp(-np.square(blue)))
    squared = np.square(by_lightness) + np.square(by_chroma) + np.square(by_hue) + rotation * by_chroma * by_hue
    difference: Float = np.sqrt(np.maximum(squared, 0))
    return difference


def _hue(a: Float, b: Float) -> Float:
    hue = np.arctan2(b, a)
    return np.where(hue < 0, hue + 2 * np.pi, hue)


def _chroma_weight(chroma: Float) -> Float:
    # Multiplied out, since the power of a float array takes longer than the rest of the formula.
    cubed = chroma * chroma * chroma
    seventh = cubed * cubed * chroma
    weight: Float = np.sqrt(seventh / (seventh + 25.0**7))
    return weight


def delta_e_1976(one: Float, two: Float) -> Float:
    """Measure the CIE76 color difference, the distance in Lab, of every pixel of two ``(3, ...)`` Lab arrays."""
    difference: Float = np.sqrt(np.square(one - two).sum(0))
    return difference


def ab_error(one: Float, two: Float) -> Float:
    """Measure the Euclidean distance in the ab plane for every pixel of two ``(3, ...)`` Lab arrays."""
    return _length(one[1] - two[1], one[2] - two[2])


def _length(a: Float, b: Float) -> Float:
    # Plain, since np.hypot guards against an overflow that Lab cannot reach and takes four times as long.
    length: Float = np.sqrt(a * a + b * b)
    return length


def auc(error: Float, weights: Float | None = None) -> float:
    """Measure the area under the cumulative error curve, raw, in percent: Zhang et al. 2016, section 3.1.

    The curve gives the share of pixels with an ab error within a threshold that runs from 0 to 150; the area is divided by
    150. A pixel of error e counts from threshold e on, over a length of ``150 - e``: the area is the mean of that, no steps.

    Args:
        error: ab errors of any shape, see `ab_error`.
        weights: of the pixels; None = all 1. They need not have a mean of 1 here, but over a whole data set.
    """
    right = 1 - np.minimum(error, AUC_THRESHOLDS) / AUC_THRESHOLDS
    return 100 * float((right if weights is None else right * weights).mean(dtype=np.float64))


def class_weights(pictures: Iterable[Picture]) -> Float:
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
    weights: Float = 1 / np.maximum(smooth, smooth[share > 0].min())
    weights /= share @ weights
    return weights


def _classes(colors: Float) -> NDArray[np.intp]:
    a, b = np.rint(colors[1:] / CLASS_STEP).astype(np.intp) + CLASSES // 2
    return np.asarray(a.clip(0, CLASSES - 1) * CLASSES + b.clip(0, CLASSES - 1), np.intp)


def colorfulness(picture: Picture) -> float:
    """Measure the colorfulness of an ``(H, W, 3)`` uint8 picture: Hasler and Suesstrunk 2003, M^(3).

    ``sigma + 0.3 mu`` of the opponent colors ``rg = R - G`` and ``yb = (R + G) / 2 - B``, both signed; sigma is the root of the
    summed variances, mu the length of the mean vector. 0 for grey; their scale calls 33 moderately and 59 quite colorful.
    """
    red, green, blue = np.moveaxis(picture, -1, 0).astype(np.float32)
    opponents = np.stack([red - green, (red + green) / 2 - blue])
    spread = opponents.var((1, 2), dtype=np.float64).sum()
    mean = np.square(opponents.mean((1, 2), dtype=np.float64)).sum()
    return float(np.sqrt(spread) + 0.3 * np.sqrt(mean))


def summarize(scores: Sequence[Scores]) -> Summary:
    """Give the mean of every measure over photographs, with 95 % percentile bootstrap intervals over the photographs.

    Args:
        scores: one row a photograph, at least one.

    Raises:
        OptionError: there are no rows.
    """
    return Summary(**{name: interval(means) for name, means in _means(scores).items()})


def difference(one: Sequence[Scores], two: Sequence[Scores]) -> Summary:
    """Give how far `one` lies above `two` in every measure, with paired bootstrap intervals.

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
    """Give how far the error of `scores` lies below that of `baseline`, in percent of grey's, with a paired interval.

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
    """Give the skill in disparity, ``1 - d / d(baseline)``: 1 = the truth, 0 = the baseline; paired; raises as `gain` does."""
    percent = gain(scores, baseline, grey=baseline, measure="disparity")
    return Value(percent.value / 100, percent.low / 100, percent.high / 100)


def _check_pairs(one: Sequence[Scores], two: Sequence[Scores]) -> None:
    if len(one) != len(two):
        raise OptionError(f"{len(one)} and {len(two)} rows cannot be paired; score the same photographs with both")


def _means(scores: Sequence[Scores]) -> dict[str, NDArray[np.float64]]:
    """Give the mean of every measure over all photographs, then over each bootstrap draw: ``(1 + draws,)`` float64."""
    if not scores:
        raise OptionError("no photograph was scored; give at least one")
    means = bootstrap.means(np.array([astuple(row) for row in scores]))
    columns = dict(zip([field.name for field in fields(Scores)], means.T, strict=True))
    return columns | {"colorfulness_ratio": _over(columns["colorfulness"], columns["colorfulness_true"])}


def _over(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    # Photographs that are all grey have nothing to be measured by: nothing of nothing is 0, not an error.
    return part / np.maximum(whole, 1e-9)


def interval(means: NDArray[np.float64]) -> Value:
    """Make a figure of what ``bootstrap.means`` gave of it: the figure itself, then that of each draw."""
    low, high = np.percentile(means[1:], (LOWER, UPPER))
    return Value(float(means[0]), float(low), float(high))
