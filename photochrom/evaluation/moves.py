"""Make short film from photographs: a camera that pans, zooms, cuts, fades, and film with grain. The truth is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, get_args

import cv2
import numpy as np

from photochrom import color
from photochrom.color import Picture
from photochrom.errors import OptionError

Move = Literal["pan", "zoom", "cuts", "fades", "grain"]
MOVES: tuple[Move, ...] = get_args(Move)

WINDOW = 0.72
"""Height and width of what the camera shows, as a share of the photograph's."""
CLOSEST = 0.6
"""The same, of the closest view of a zoom, as a share of that window."""
SIDE = 192
"""Short side of a frame in pixels."""
GRAIN = 0.05
"""Standard deviation of film grain in luma of [0, 1], at mid-grey."""
FADE = 0.25
"""Share of a scene that it takes to come out of black, and to go into it."""


def clip(photographs: Sequence[Picture], move: Move, *, frames: int = 48, seed: int = 0) -> Iterator[tuple[Picture, bool]]:
    """Film photographs.

    Args:
        photographs: ``(H, W, 3)`` uint8, of which pan, zoom and grain take the first, cuts and fades each for one scene.
        move: what the camera does; with "grain" it pans slowly, over grain that is new in each frame.
        frames: of the whole clip, at least 8 for each scene.
        seed: of the path and the grain.

    Yields:
        ``(h, w, 3)`` uint8 frames of ``SIDE`` pixels on the short side, and whether one starts a scene.

    Raises:
        OptionError: there are no photographs, or too few frames for them.
    """
    scenes = photographs if move in ("cuts", "fades") else photographs[:1]
    if not scenes or frames < 8 * len(scenes):
        raise OptionError(f"{frames} frames of {len(scenes)} photographs make no film: give 8 frames or more for each")
    height, width = scenes[0].shape[:2]
    scale = SIDE / min(height, width)
    size = round(width * scale), round(height * scale)
    random = np.random.default_rng((seed, MOVES.index(move)))
    for scene, photograph in enumerate(scenes):
        count = (scene + 1) * frames // len(scenes) - scene * frames // len(scenes)
        ends = random.random((2, 2))
        for index in range(count):
            along = index / (count - 1)
            place = ends[0] + (ends[1] - ends[0]) * along * (0.3 if move == "grain" else 1)
            near = WINDOW * (1 - (1 - CLOSEST) * along if move == "zoom" else 1)
            luma, chroma = color.split(_view(photograph, place, near, size))
            if move == "fades":
                light = min(1, along / FADE, (1 - along) / FADE)
                luma, chroma = luma * np.float32(light), chroma * np.float32(light)
            if move == "grain":
                strength = GRAIN * 4 * luma * (1 - luma)
                luma = (luma + strength * _grain(random, luma.shape)).clip(0, 1)
                chroma *= color.headroom(luma, *chroma, minimum=np.minimum, maximum=np.maximum)
            yield color.join(luma, chroma), index == 0


def _view(photograph: Picture, place: np.ndarray, share: float, size: tuple[int, int]) -> Picture:
    """Cut a window out of a photograph, with fractions of a pixel, and bring it to a size."""
    height, width = photograph.shape[:2]
    high, wide = height * share, width * share
    top, left = place * (height - high, width - wide)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    matrix = np.array([[wide / size[0], 0, left], [0, high / size[1], top]], np.float32)
    return np.asarray(cv2.warpAffine(photograph, matrix, size, flags=flags, borderMode=cv2.BORDER_REFLECT), np.uint8)


def _grain(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Make noise of deviation 1 whose grains are about two pixels wide."""
    noise = cv2.GaussianBlur(random.standard_normal(shape).astype(np.float32), (0, 0), 0.7, borderType=cv2.BORDER_REFLECT)
    return np.asarray(noise / noise.std(), np.float32)
