from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from skimage import data

from photochrom.photo.planes import luma_of
from photochrom.video.temporal.frame_kind import kind_of


def title(*, ground: int = 20, ink: int = 230, grain: float = 6, points: int = 40, frame: bool = False) -> np.ndarray:
    """An intertitle of 1920: some lines, an uneven ground, grain."""
    image = Image.new("L", (640, 480), ground)
    draw = ImageDraw.Draw(image)
    for line, text in enumerate(("Many years later,", "in a house by the sea", "nobody remembered.")):
        draw.text((320, 120 + 80 * line), text, fill=ink, font=ImageFont.load_default(points), anchor="mt")
    if frame:
        draw.rectangle((20, 20, 620, 460), outline=ink, width=4)
    rows, columns = np.mgrid[-1:1:480j, -1:1:640j]
    uneven = np.asarray(image) * (1 - 0.1 * (rows**2 + columns**2)) + np.random.default_rng(0).normal(0, grain, (480, 640))
    return cv2.resize(uneven.clip(0, 255).astype(np.uint8), (160, 128), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize("points", [20, 40, 56])
@pytest.mark.parametrize("frame", [False, True])
def test_titles_are_known(points: int, frame: bool) -> None:
    assert kind_of(title(points=points, frame=frame)) == "title"


def test_dark_titles_on_white_and_fading_ones_are_known() -> None:
    assert kind_of(255 - title(ground=3, ink=230, grain=2)) == "title"
    for light in (0.3, 0.6):
        assert kind_of((title() * light).astype(np.uint8)) == "title"


def test_blank_frames_are_blank() -> None:
    for level in (0, 128, 255):
        assert kind_of(np.full((128, 160), level, np.uint8)) == "blank"


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket", "retina"])
def test_photographs_are_not(name: str) -> None:
    luma = luma_of(np.ascontiguousarray(getattr(data, name)()))
    assert kind_of(cv2.resize(luma, (160, 128), interpolation=cv2.INTER_AREA)) == "picture"
