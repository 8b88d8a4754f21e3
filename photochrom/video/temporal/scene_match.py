"""Tell whether two frames that lie seconds apart may be of one scene, for those who see only a few frames of a film.

In between the camera may have gone far, so that `Cuts` would take them for strangers. Corners are looked for again by what
is around them (ORB, Rublee et al. 2011, "ORB: an efficient alternative to SIFT or SURF", ICCV), wherever they went, as long as
they went together: moved, turned and enlarged as one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from photochrom.color import Bytes
from photochrom.video.temporal.scene_cuts import shrunk, similarity

SIDE = 180
"""Short side of the frames in which corners are looked for, in pixels."""
CORNERS = 300
"""Most corners of a frame."""
EDGE, FAST = 8, 8
"""Pixels of the border that are left out, and contrast of a corner in luma of 255."""
AROUND = 15
"""Side of what a corner is known by, in pixels."""
OFF = 3.0
"""Pixels that a corner may lie from where the others say."""
TOGETHER = 10
"""Corners that went together at least: of 1,440 pairs of different photographs none had so many."""
ALIKE = 0.65
"""Frames with few corners are alike from this mean correlation on, which is more than `Cuts` asks of neighbors."""


@dataclass(frozen=True, eq=False)
class Look:
    """Hold what a frame is known by."""

    tiny: Bytes
    """``(h, w)`` uint8, as `Cuts` compares them."""
    places: NDArray[np.float32]
    """``(N, 2)`` columns and rows of its corners."""
    marks: NDArray[np.uint8] | None
    """``(N, 32)``: what is around them; none where there are none."""


def look(luma: Bytes) -> Look:
    """Take in a frame, ``(H, W)`` uint8."""
    scale = SIDE / min(luma.shape)
    size = max(round(luma.shape[1] * scale), SIDE), max(round(luma.shape[0] * scale), SIDE)
    frame = cv2.resize(luma, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    finder: Any = cv2.ORB.create(CORNERS, edgeThreshold=EDGE, patchSize=AROUND, fastThreshold=FAST)
    corners, marks = finder.detectAndCompute(frame, None)
    return Look(shrunk(luma), np.array([corner.pt for corner in corners], np.float32).reshape(-1, 2), marks)


def alike(one: Look, two: Look) -> bool:
    """Say whether two frames of one film may be of one scene."""
    return _together(one, two) >= TOGETHER or similarity(one.tiny, two.tiny) >= ALIKE


def _together(one: Look, two: Look) -> int:
    """Count the corners of a frame that another has too, in the same arrangement."""
    if one.marks is None or two.marks is None:
        return 0
    pairs: Any = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True).match(one.marks, two.marks)
    if len(pairs) < TOGETHER:
        return 0
    here = one.places[[pair.queryIdx for pair in pairs]]
    there = two.places[[pair.trainIdx for pair in pairs]]
    found, kept = cv2.estimateAffinePartial2D(here, there, ransacReprojThreshold=OFF)
    return 0 if found is None else int(np.count_nonzero(kept))
