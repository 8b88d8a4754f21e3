"""Hold the bundled model's answers to pictures that a person has looked at; `python tests/test_golden.py` writes them again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photochrom import Colorizer

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/golden"
PHOTOS = sorted((ROOT / "examples/photos").iterdir())
SIDE = 96


@pytest.fixture(scope="module")
def colorizer() -> Colorizer:
    return Colorizer.load()


def answer(colorizer: Colorizer, photo: Path) -> Image.Image:
    with Image.open(photo) as image:
        picture = Image.fromarray(colorizer.paint(np.asarray(image.convert("L"))))
    picture.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    return picture


@pytest.mark.parametrize("photo", PHOTOS, ids=lambda photo: photo.name)
def test_the_colors_are_those_that_were_looked_at(colorizer, photo):
    with Image.open(GOLDEN / f"{photo.stem}.png") as golden:
        expected = np.asarray(golden.convert("RGB")).astype(int)
    difference = np.abs(np.asarray(answer(colorizer, photo)).astype(int) - expected)
    histogram = np.bincount(difference.ravel(), minlength=8)[:8]
    assert difference.mean() < 0.5 and np.percentile(difference, 99) <= 3, (
        f"histogram of |difference|: {histogram.tolist()} ..."
    )


def test_the_colors_are_colors(colorizer):
    for photo in PHOTOS:
        rgb = np.asarray(answer(colorizer, photo)).astype(int)
        assert (rgb.max(2) - rgb.min(2)).mean() > 8, f"{photo.name} came back grey"


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    loaded = Colorizer.load()
    for path in PHOTOS:
        answer(loaded, path).save(GOLDEN / f"{path.stem}.png", optimize=True)
