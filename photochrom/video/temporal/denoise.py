"""Remove film grain from a frame before the network sees it: grain is new in each frame, and the picture is not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import cast

import cv2
import numpy as np

from photochrom.color import Bytes, Float
from photochrom.video.temporal.optical_flow import Link, sample

LEAST = 1e-6
"""Weight of a pixel that nothing speaks for."""
NOTICED, STRONG = 3.5, 5.5
"""Mean difference to a neighbor along the motion, in luma of 255: below the one nothing is averaged, from the other on all is.

Flow is never exact, so that averaging also blurs; films without grain measured 0.2 to 2.8.
"""


def clean(frames: Sequence[Bytes], links: Sequence[tuple[Link, Link]], index: int, *, reach: int) -> Bytes:
    """Average a frame with those around it along the motion, as far as that can be trusted.

    Args:
        frames: ``(h, w)`` uint8.
        links: of each frame to the next, and of the next to it, at half the frames' size.
        index: of the frame.
        reach: frames before and after it that are looked at.

    Returns:
        ``(h, w)`` uint8.
    """
    ways = [_along(frames, links, index, step=step, reach=reach) for step in (1, -1)]
    around = [found for way in ways for found in islice(way, 1)]  # only the neighbors show whether there is grain
    own = frames[index].astype(np.float32)
    grain = min((float(np.average(np.abs(own - moved), weights=weight)) for weight, moved in around), default=0.0)
    share = np.float32(min(max((grain - NOTICED) / (STRONG - NOTICED), 0), 1))
    if not share:
        return frames[index]
    total, weights = own, np.ones_like(own)
    for weight, moved in chain(around, *ways):
        total, weights = total + share * weight * moved, weights + share * weight
    return np.asarray(np.rint(total / weights).clip(0, 255), np.uint8)


def _along(
    frames: Sequence[Bytes], links: Sequence[tuple[Link, Link]], index: int, *, step: int, reach: int
) -> Iterator[tuple[Float, Float]]:
    """Move the frames after (step 1) or before (step -1) a frame onto it, with the weight that each pixel has then."""
    own = frames[index].astype(np.float32)
    size = own.shape[::-1]
    flow, trust, exposure = None, np.ones((), np.float32), 1.0
    for here in range(index + step, index + step * (reach + 1), step):
        if not 0 <= here < len(frames):
            return
        link = links[here - 1][0] if step == 1 else links[here][1]
        trust = trust * (link.trust if flow is None else sample(link.trust, flow))
        flow = link.flow if flow is None else flow + sample(link.flow, flow)
        exposure *= link.exposure
        weight = cast(Float, cv2.resize(trust, size, interpolation=cv2.INTER_LINEAR)) + np.float32(LEAST)
        there = cast(Float, cv2.resize(flow, size, interpolation=cv2.INTER_LINEAR)) * np.float32(size[0] / flow.shape[1])
        moved = sample(frames[here].astype(np.float32), there) * np.float32(exposure)
        yield weight, moved + np.float32(np.average(own - moved, weights=weight))
