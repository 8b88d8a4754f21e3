"""Describe how a film stores color, and convert the network's chroma into that form.

The network's chroma is that of full-range BT.601. Its excess of red, green and blue over grey is
kept, and all three are moved alike until luma by the film's own matrix is what it was: as luma stays, that is the change of
matrix of ITU-T H.273, section 8.3, whose rows for Cb and Cr do not take luma in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from photochrom import color
from photochrom.color import Plane

BT709, UNSTATED, BT470BG, BT601, BT2020 = 1, 2, 5, 6, 9
"""Codes of matrices, which primaries share (ITU-T H.273, tables 2 and 4)."""

WEIGHTS = {
    BT709: (0.2126, 0.0722),
    4: (0.30, 0.11),
    BT470BG: (color.KR, color.KB),
    BT601: (color.KR, color.KB),
    7: (0.212, 0.087),
    BT2020: (0.2627, 0.0593),
}
"""Weights of red and blue in luma, by matrix (ITU-T H.273, table 4). Other matrices have no luma of that kind."""

UNIT = {1: 255.0, 2: 255.0 * 256}
"""What chroma of 1 is in the planes of ``upsample``, by bytes a sample; and no color is half of 256 or 65536."""


@dataclass(frozen=True)
class Signal:
    """How the samples of a film are to be read."""

    bits: int
    """Of a sample: 8 to 16."""
    full: bool
    """Whether black is 0, not 16 of 255."""
    matrix: int
    primaries: int
    transfer: int

    @property
    def black(self) -> float:
        """Return the level of black."""
        return 0.0 if self.full else 16.0 * (1 << (self.bits - 8))

    @property
    def swing(self) -> float:
        """Return the distance of white from black, in levels."""
        return float((1 << self.bits) - 1) if self.full else 219.0 * (1 << (self.bits - 8))

    @property
    def grey(self) -> int:
        """Return the level of chroma of grey."""
        return 1 << (self.bits - 1)

    @property
    def chroma_swing(self) -> float:
        """Return the distance of the two ends of chroma, in levels."""
        return float((1 << self.bits) - 1) if self.full else 224.0 * (1 << (self.bits - 8))


def assumed(width: int, height: int) -> int:
    """Return the matrix that players assume for a film that states none, by its size."""
    if width >= 1280 or height > 576:
        return BT709
    return BT470BG if height in (288, 576) else BT601


def conversion(matrix: int) -> NDArray[np.float64]:
    """Return the ``(2, 2)`` matrix from Cb and Cr of BT.601 to those of a matrix of ``WEIGHTS``, with luma kept."""
    red, blue = WEIGHTS[matrix]
    excess = np.array(
        [
            [0, color.RED_CR],
            [color.GREEN_CB, color.GREEN_CR],
            [color.BLUE_CB, 0],
        ]
    )
    moved = excess - np.array([red, 1 - red - blue, blue]) @ excess
    return np.stack([moved[2] / (2 * (1 - blue)), moved[0] / (2 * (1 - red))])


def guide(luma: Plane, signal: Signal) -> Plane:
    """Bring ``(H, W)`` luma as stored to full range: uint8 of a film of 8 bits, uint16 of others."""
    scale = 1 / signal.swing
    if signal.bits == 8:
        if signal.full:
            return luma
        levels = np.rint((np.arange(256) - signal.black) * (255 * scale)).clip(0, 255).astype(np.uint8)
        return cast(Plane, cv2.LUT(luma, levels))
    return cast(Plane, cv2.addWeighted(luma, 65535 * scale, luma, 0, -signal.black * 65535 * scale, dtype=cv2.CV_16U))


def stored(planes: tuple[Plane, Plane], signal: Signal) -> tuple[Plane, Plane]:
    """Turn Cb and Cr of ``upsample`` into the film's own levels, uint8 of 8 bits and uint16 of more."""
    size = planes[0].dtype.itemsize
    grey = 128.0 if size == 1 else 32768.0
    depth = cv2.CV_8U if signal.bits == 8 else cv2.CV_16U
    most = (1 << signal.bits) - 1
    found = []
    for row in conversion(signal.matrix) * (signal.chroma_swing / UNIT[size]):
        offset = signal.grey - grey * float(row.sum())
        plane = cv2.addWeighted(planes[0], float(row[0]), planes[1], float(row[1]), offset, dtype=depth)
        found.append(cast(Plane, np.minimum(plane, most) if most not in (255, 65535) else plane))
    return found[0], found[1]
