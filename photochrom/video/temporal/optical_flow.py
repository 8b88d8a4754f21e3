"""Follow motion between small luma planes, and carry what belongs to their pixels along it.

Flow is dense inverse search (Kroeger et al. 2016, arXiv 1603.03590), as OpenCV computes it. A pixel is trusted where
the flow to the other frame and the flow back cancel (Sundaram et al. 2010, section 3.2), and luma is the same at both ends but
for the exposure.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import cast, final

import cv2
import numpy as np

from photochrom.color import Bytes, Float

FINEST = 1
"""Flow is found on planes halved so many times, and enlarged: going on to the last pixel takes long and adds nothing."""
SLACK, SHARE = 0.5, 0.01
"""Squared pixels that a flow and the one back may miss each other by: at least, and as a share of their squared lengths."""
GRAIN = 30.0
"""Luma of 255 by which the two ends of a flow may differ without much doubt, as grain makes them."""
ALIKE = 0.9
"""Correlation from which two frames are taken for the same picture under another exposure."""
EVEN, AROUND = 1.5, 7
"""Standard deviation of luma, of 255, around a pixel, below which nothing is drawn there, and side of what is around it."""
SMALLEST = 24
"""Shortest side that flow is found on, in pixels: the method's pyramid needs so many. In smaller frames nothing moves."""


@dataclass(frozen=True)
class Link:
    """Map of the pixels of one frame to another."""

    flow: Float
    """``(h, w, 2)`` offsets in pixels, x before y: pixel p of this frame is at p + offset in the other."""
    trust: Float
    """``(h, w)`` in [0, 1]."""
    exposure: float
    """Contrast of this frame divided by the other frame's where both show the same: the factor for its chroma."""


@final
class Motion:
    """Find flow between frames of one size; keeps buffers, so one thread uses it at a time."""

    def __init__(self, height: int, width: int) -> None:
        self._search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._search.setFinestScale(FINEST)
        self._still = min(height, width) < SMALLEST

    def links(self, one: Bytes, two: Bytes) -> tuple[Link, Link]:
        """Link a frame to another, and the other to it."""
        if self._still:
            flows = [np.zeros((*one.shape, 2), np.float32) for _ in range(2)]
        else:
            equal = _evened(two, one)
            flows = [search(self._search, *pair) for pair in ((one, equal), (equal, one))]
        ends = one.astype(np.float32), two.astype(np.float32)
        even = [_even(end) for end in ends]
        on = _returns(flows[0], flows[1], np.minimum(even[0], sample(even[1], flows[0])))
        back = _returns(flows[1], flows[0], np.minimum(even[1], sample(even[0], flows[1])))
        moved = sample(ends[1], flows[0]), sample(ends[0], flows[1])
        # What is moved is interpolated and has less contrast: a ratio to it alone is too large, and would add up over frames.
        exposure = (_contrast(ends[0], moved[0], on) / _contrast(ends[1], moved[1], back)) ** 0.5
        on *= _alike(ends[0], moved[0], on, exposure)
        back *= _alike(ends[1], moved[1], back, 1 / exposure)
        return Link(flows[0], on, exposure), Link(flows[1], back, 1 / exposure)


def search(method: cv2.DISOpticalFlow, here: Bytes, there: Bytes) -> Float:
    """Find where the pixels of ``(h, w)`` uint8 luma are in another: ``(h, w, 2)`` float32 offsets, x before y."""
    return np.asarray(method.calc(here, there, np.zeros((*here.shape, 2), np.float32)), np.float32)


def _evened(frame: Bytes, other: Bytes) -> Bytes:
    """Return a frame with the mean and contrast of another: the search mistakes a change of light for motion."""
    (mean, deviation), (wanted, spread) = ((float(v[0, 0]) for v in cv2.meanStdDev(plane)) for plane in (frame, other))
    gain = spread / max(deviation, 1.0)
    return np.asarray((frame * np.float32(gain) + np.float32(wanted - gain * mean)).clip(0, 255), np.uint8)


def sample(planes: Float, flow: Float) -> Float:
    """Fetch ``(h, w)`` or ``(h, w, c)`` values from where a flow points, linearly; beyond the frame its edge goes on."""
    x, y = _places(flow)
    return cast(Float, cv2.remap(planes, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


@lru_cache(maxsize=4)
def _grid(height: int, width: int) -> tuple[Float, Float]:
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return columns, rows


def _places(flow: Float) -> tuple[Float, Float]:
    columns, rows = _grid(flow.shape[0], flow.shape[1])
    return flow[..., 0] + columns, flow[..., 1] + rows


def _squared(flow: Float) -> Float:
    # A sum over an axis of two takes ten times as long.
    return cast(Float, np.square(flow[..., 0]) + np.square(flow[..., 1]))


def _even(luma: Float) -> Float:
    """Return where luma is even, so that a wrong flow does no harm: ``(h, w)`` from 1 to 0."""
    mean, square = (cv2.blur(plane, (AROUND, AROUND)) for plane in (luma, np.square(luma)))
    return np.exp((np.square(mean) - square).clip(max=0) / np.float32(EVEN**2))


def _returns(there: Float, back: Float, even: Float) -> Float:
    """Return how well a flow and the one back cancel: ``(h, w)`` from 1 to 0, and 0 where the flow leaves the frame."""
    returned = sample(back, there)
    missed = _squared(there + returned)
    length = _squared(there) + _squared(returned)
    (x, y), (height, width) = _places(there), there.shape[:2]
    trust = np.maximum(np.exp(-missed / (SLACK + SHARE * length), dtype=np.float32), even)
    trust[(x <= -1) | (y <= -1) | (x >= width) | (y >= height)] = 0
    return trust


def _contrast(here: Float, moved: Float, trust: Float) -> float:
    """Find the contrast of a frame over that of another moved onto it; 1 where they do not show the same."""
    total = float(trust.sum()) + 1e-6
    one, two = (plane - np.float32(np.vdot(plane, trust) / total) for plane in (here, moved))
    trusted = one * trust, two * trust
    spreads = [float(np.vdot(*pair)) + 1e-6 for pair in zip(trusted, (one, two), strict=True)]
    shared = float(np.vdot(trusted[0], two))
    # Not a regression's slope, which grain draws to 0.
    return (spreads[0] / spreads[1]) ** 0.5 if shared > ALIKE * (spreads[0] * spreads[1]) ** 0.5 else 1.0


def _alike(here: Float, moved: Float, trust: Float, exposure: float) -> Float:
    """Return how well luma agrees with what is moved there, apart from exposure: ``(h, w)`` from 1 to 0."""
    lack = here - np.float32(exposure) * moved
    lack -= np.float32(np.vdot(lack, trust) / (float(trust.sum()) + 1e-6))
    return cast(Float, np.exp(np.square(lack) * np.float32(-0.5 / GRAIN**2)))
