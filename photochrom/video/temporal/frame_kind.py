"""Recognize frames without colors to find: blank ones and titles, thin light strokes on even dark ground or dark on white.

Strokes do not suffice for a title: twigs before a sky are thin too. So the ground has to be nearly black or white.
"""

from __future__ import annotations

from typing import Literal, cast

import cv2
import numpy as np

from photochrom.color import Bytes
from photochrom.photo.toning import CONTRAST, judge_picture

Kind = Literal["picture", "title", "blank"]

DARK, WHITE = 60, 210
"""Luma that the ground of a title is at most, or at least."""
GROUND = 0.6
"""Share of the frame that is its ground."""
EVEN, STROKE = 0.15, 0.3
"""How far from the ground's luma the ground is at most, and strokes are at least, as a share of the brightest stroke's."""
THICK = 0.06
"""Width that no stroke has, as a share of the short side."""
REST = 0.003
"""Share of the frame that may be neither thin strokes nor ground: dirt, a seal in a corner."""
EDGE = 0.01
"""Share of the frame that may be strokes which touch its edge, such as scratches. A window or the sky at the edge has more."""


def kind_of(frame: Bytes) -> Kind:
    """Return whether ``(h, w)`` uint8 luma, small and upright, is a picture, a title or blank."""
    if judge_picture(frame, None).kind == "blank":
        return "blank"
    ground = float(np.median(frame))
    if DARK < ground < WHITE:
        return "picture"
    smooth = cast(Bytes, cv2.blur(frame, (3, 3), borderType=cv2.BORDER_REFLECT)).astype(np.float32)
    reach = float(np.percentile((smooth - ground) * (1 if ground <= DARK else -1), 99.5))
    if reach < CONTRAST or float((np.abs(smooth - ground) <= max(EVEN * reach, 4)).mean()) < GROUND:
        return "picture"
    # Smoothed letters would run into each other.
    strokes = (np.abs(frame - np.float32(ground)) > max(STROKE * reach, 8)).astype(np.uint8)
    side = max(round(THICK * min(frame.shape)), 3)
    thick = cv2.morphologyEx(strokes, cv2.MORPH_OPEN, np.ones((side, side), np.uint8))
    if float(thick.mean()) > REST:
        return "picture"
    _, parts = cv2.connectedComponents(strokes)
    at_edge = np.unique(np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]]))
    return "picture" if float(np.isin(parts, at_edge[at_edge > 0]).mean()) > EDGE else "title"
