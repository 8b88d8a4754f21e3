"""Measure how steady the colors of film are, and how near to the true ones.

One definition of each measure, on ``(H, W, 3)`` uint8 frames. A `Watch` takes the frames of one clip, as colored in several
ways, one after the other (update); its rows, of any number of clips and processes, are put together as lists (merge), and
`compare` makes means with intervals over clips of them (compute). Pairs of frames that a cut parts are left out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from typing import final

import cv2
import numpy as np
from numpy.typing import NDArray

from photochrom.color import Bytes, Float, Picture, colorfulness, delta_e_2000, lab, psnr
from photochrom.errors import OptionError
from photochrom.evaluation import statistics
from photochrom.evaluation.metrics import Value, interval
from photochrom.video.temporal.optical_flow import sample, search

GAPS = (1, 2, 4)
"""Distances in frames that `divergence` is averaged over (Liu et al. 2021)."""
SCORED_EVERY = 7
"""Frames from one to the next that are compared to the truth: no multiple of a usual distance of frames that a network sees."""
TRUTH = "truth"
"""Name of the row of the true frames."""


@dataclass(frozen=True)
class FilmScores:
    """Hold the measures of one clip, colored in one way.

    Attributes:
        psnr: dB, mean over the frames compared.
        de2000: mean color difference.
        colorfulness: mean over the frames compared.
        colorfulness_true: of the true frames.
        cdc: color distribution consistency: the mean over `GAPS` of the mean `divergence`, in nats.
        warp_error: mean over pairs of frames, see `warp_error`.
    """

    psnr: float
    de2000: float
    colorfulness: float
    colorfulness_true: float
    cdc: float
    warp_error: float


def histograms(picture: Picture) -> NDArray[np.float64]:
    """Return the ``(3, 256)`` shares of the levels of each channel."""
    return np.stack([np.bincount(channel.ravel(), minlength=256) for channel in cv2.split(picture)]) / picture[..., 0].size


def divergence(one: NDArray[np.float64], two: NDArray[np.float64]) -> float:
    """Measure the Jensen-Shannon divergence of two ``(3, 256)`` histograms in nats, the mean of the channels.

    Liu et al. 2021, "Temporally consistent video colorization with deep feature propagation and self-regularization learning"
    (arXiv 2110.04562), equation of CDC.
    """
    middle = (one + two) / 2
    parts = [np.where(each > 0, each * np.log(np.maximum(each, 1e-300) / np.maximum(middle, 1e-300)), 0) for each in (one, two)]
    return float((parts[0] + parts[1]).sum(1).mean() / 2)


def visible(there: Float, back: Float) -> NDArray[np.bool_]:
    """Return which pixels of a frame are seen in another, and are at no border of motions: Ruder et al. 2016, section 4.2.

    Args:
        there: ``(H, W, 2)`` offsets in pixels from this frame to the other.
        back: the same from the other to this one.
    """
    returned = sample(back, there)
    length = np.square(there).sum(-1)
    missed = np.square(there + returned).sum(-1) > 0.01 * (length + np.square(returned).sum(-1)) + 0.5
    slope = sum(np.square(np.gradient(there, axis=axis)).sum(-1) for axis in (0, 1))
    height, width = length.shape
    x, y = there[..., 0] + np.arange(width), there[..., 1] + np.arange(height)[:, None]
    outside = (x < 0) | (y < 0) | (x > width - 1) | (y > height - 1)
    return np.asarray(~(missed | (slope > 0.01 * length + 0.002) | outside), np.bool_)


def warp_error(one: Picture, two: Picture, there: Float, seen: NDArray[np.bool_]) -> float:
    """Measure how a frame differs from the next one along the motion: Lai et al. 2018, equations of section 5.

    Args:
        one: a frame.
        two: the next.
        there: ``(H, W, 2)`` offsets from the one to the other.
        seen: which pixels count, see `visible`.

    Returns:
        The mean over these pixels of the squared distance of RGB in [0, 1]; 0 where none is seen.
    """
    moved = sample(two.astype(np.float32), there)
    squared = np.square((moved - one) / np.float32(255)).sum(-1)
    return float(squared[seen].mean(dtype=np.float64)) if seen.any() else 0.0


@final
class Watch:
    """Measure one clip as colored in several ways; memory does not grow with its length."""

    def __init__(self, *, every: int = SCORED_EVERY) -> None:
        """Start a clip; ``every`` is the distance of the frames that are compared to the truth."""
        self._every = every
        self._search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self._seen = 0
        self._past: deque[tuple[Bytes, dict[str, Picture], dict[str, NDArray[np.float64]]]] = deque(maxlen=max(GAPS))
        self._scores: dict[str, list[tuple[float, float, float, float]]] = {}
        self._divergence: dict[tuple[str, int], list[float]] = {}
        self._warp: dict[str, list[float]] = {}

    def add(self, truth: Picture, pictures: Mapping[str, Picture], *, luma: Bytes, cut: bool = False) -> None:
        """Take the next frame.

        Args:
            truth: the true frame.
            pictures: the frame as colored, by the way's name; the same names for each frame.
            luma: ``(H, W)`` uint8, in which motion is found.
            cut: whether a new scene starts here.

        Raises:
            OptionError: a picture has another size than the true one.
        """
        if any(picture.shape != truth.shape for picture in pictures.values()):
            got = ", ".join(f"{name} {picture.shape}" for name, picture in pictures.items())
            raise OptionError(f"a true frame of {truth.shape} cannot be compared to {got}: give all the same size")
        if cut:
            self._past.clear()
        named = {**pictures, TRUTH: truth}
        if self._seen % self._every == 0:
            colors, vivid = lab(truth), colorfulness(truth)
            for name, picture in named.items():
                error = float(delta_e_2000(colors, lab(picture)).mean(dtype=np.float64))
                row = (psnr(truth, picture), error, colorfulness(picture), vivid)
                self._scores.setdefault(name, []).append(row)
        shares = {name: histograms(picture) for name, picture in named.items()}
        for gap in GAPS:
            if gap <= len(self._past):
                for name, share in shares.items():
                    self._divergence.setdefault((name, gap), []).append(divergence(self._past[-gap][2][name], share))
        if self._past:
            before, past, _ = self._past[-1]
            there, back = search(self._search, before, luma), search(self._search, luma, before)
            seen = visible(there, back)
            for name, picture in named.items():
                self._warp.setdefault(name, []).append(warp_error(past[name], picture, there, seen))
        self._past.append((luma, named, shares))
        self._seen += 1

    def rows(self) -> dict[str, FilmScores]:
        """Return the measures of the clip by the way's name, `TRUTH` among them.

        Raises:
            OptionError: no scene had five frames.
        """
        if not all((name, gap) in self._divergence for name in self._scores for gap in GAPS) or not self._scores:
            raise OptionError(f"a clip of {self._seen} frames has no scene of {max(GAPS) + 1}: give a longer one")
        found = {}
        for name, scores in self._scores.items():
            near, error, vivid, true = np.mean(scores, 0).tolist()
            cdc = float(np.mean([np.mean(self._divergence[name, gap]) for gap in GAPS]))
            found[name] = FilmScores(near, error, vivid, true, cdc, float(np.mean(self._warp[name])))
        return found


@dataclass(frozen=True)
class Comparison:
    """Hold the means over clips of one way to color, and how they lie to the truth and to a baseline.

    Attributes:
        name: of the way.
        psnr, de2000, colorfulness_ratio, cdc, warp_error: means over clips; the ratio is one of means.
        cdc_ratio: its mean CDC over the truth's.
        excess: how far its mean CDC is above the truth's, as a share of how far the baseline is; none for these two, and where
            the baseline's is not surely above it (in every bootstrap draw).
        psnr_gain: PSNR above the baseline's in dB; none for the baseline and the truth.
    """

    name: str
    psnr: Value
    de2000: Value
    colorfulness_ratio: Value
    cdc: Value
    warp_error: Value
    cdc_ratio: Value
    excess: Value | None
    psnr_gain: Value | None


def compare(clips: Sequence[Mapping[str, FilmScores]], baseline: str) -> list[Comparison]:
    """Average over clips, with 95 % percentile bootstrap intervals, paired over the ways to color.

    Args:
        clips: the rows of each clip, with the same names, `TRUTH` among them.
        baseline: name of the way that ``excess`` and ``psnr_gain`` refer to.

    Raises:
        OptionError: there are no clips, or no such baseline.
    """
    if not clips or baseline not in clips[0]:
        raise OptionError(f"{len(clips)} clips cannot be compared to '{baseline}': give one at least, colored so")
    ways = {name: _means([rows[name] for rows in clips]) for name in clips[0]}
    true, base = ways[TRUTH], ways[baseline]
    above = base["cdc"] - true["cdc"]
    found = []
    for name, here in ways.items():
        other = name not in (baseline, TRUTH)
        found.append(
            Comparison(
                name,
                psnr=interval(here["psnr"]),
                de2000=interval(here["de2000"]),
                colorfulness_ratio=interval(here["colorfulness"] / np.maximum(here["colorfulness_true"], 1e-9)),
                cdc=interval(here["cdc"]),
                warp_error=interval(here["warp_error"]),
                cdc_ratio=interval(here["cdc"] / true["cdc"]),
                excess=interval((here["cdc"] - true["cdc"]) / above) if other and above.min() > 0 else None,
                psnr_gain=interval(here["psnr"] - base["psnr"]) if other else None,
            )
        )
    return found


def _means(rows: Sequence[FilmScores]) -> dict[str, NDArray[np.float64]]:
    """Return the mean of every measure over clips, then over each bootstrap draw."""
    columns = statistics.means(np.array([astuple(row) for row in rows])).T
    return dict(zip([field.name for field in fields(FilmScores)], columns, strict=True))
