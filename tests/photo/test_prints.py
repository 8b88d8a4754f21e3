"""Prints are found in their margins, and photographs without one are left whole."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from photochrom.photo.prints import Box, find_prints, photograph_mask
from tests.support import testdata, toning

PAPERS = {"white": (250, 250, 250), "cream": (232, 218, 188), "blue": (170, 182, 205), "black": (4, 4, 4)}


def page(name: str, shape: tuple[int, int], boxes: list[Box], *, seed: int = 0) -> NDArray[np.uint8]:
    """Lay grey prints on paper that has a little grain."""
    rng = np.random.default_rng(seed)
    made = np.array(PAPERS[name]) + rng.normal(0, 1.5, (*shape, 3))
    for number, (top, left, bottom, right) in enumerate(boxes):
        made[top:bottom, left:right] = testdata.grey(bottom - top, right - left, seed=number)[..., None]
    return made.clip(0, 255).astype(np.uint8)


def assert_near(found: list[Box], wanted: list[Box], *, pixels: int = 3) -> None:
    assert len(found) == len(wanted)
    assert np.abs(np.array(sorted(found)) - np.array(sorted(wanted))).max() <= pixels


@pytest.mark.parametrize("name", PAPERS)
@pytest.mark.parametrize("margin", [10, 40])
def test_a_print_in_its_margin(name: str, margin: int) -> None:
    box = (margin, margin + 4, 180 - margin, 250 - margin)
    assert_near(find_prints(page(name, (180, 250), [box])), [box])


def test_several_prints_on_a_cream_page() -> None:
    boxes = [(12, 14, 80, 110), (14, 138, 82, 236), (104, 16, 168, 112), (106, 140, 170, 232)]
    assert_near(find_prints(page("cream", (184, 250), boxes)), boxes)


def test_a_print_with_a_white_edge_on_a_mount() -> None:
    made = page("blue", (190, 250), [])
    made[30:160, 40:210] = 245
    made[40:150, 50:200] = testdata.grey(110, 150)[..., None]
    assert_near(find_prints(made), [(40, 50, 150, 200)])


def test_a_target_beside_a_print_is_no_print() -> None:
    box = (15, 15, 165, 185)
    made = page("cream", (180, 240), [box])
    for row in range(15, 165, 15):
        made[row : row + 15, 195:215] = np.random.default_rng(row).integers(0, 256, 3)
    assert_near(find_prints(made), [box])


@pytest.mark.parametrize("shape", [(1, 1), (3, 250), (20, 20), (250, 256)])
def test_a_photograph_without_a_margin_is_whole(shape: tuple[int, int]) -> None:
    picture = testdata.scene(*shape)
    assert find_prints(picture) == [(0, 0, *shape)]
    assert photograph_mask(picture, (64, 64)) is None


def test_a_bright_sky_is_no_margin() -> None:
    picture = testdata.scene(180, 240)
    picture[:100] = (225, 235, 250)
    assert photograph_mask(picture, (90, 120)) is None


def test_a_white_ground_around_a_thing_is_no_margin() -> None:
    picture = np.full((200, 200, 3), 252, np.uint8)
    rows, columns = np.indices((200, 200)) - 100
    thing = np.abs(rows) + np.abs(columns) < 70
    picture[thing] = testdata.scene(200, 200)[thing]
    assert photograph_mask(picture, (100, 100)) is None


def test_the_mask_is_the_share_of_each_pixel_inside() -> None:
    made = page("white", (200, 200), [(50, 40, 150, 160)])
    mask = photograph_mask(made, (20, 10))
    assert mask is not None
    assert mask.dtype == np.float32
    assert mask[5:15, 2:8].min() >= 0.8
    assert mask[:4].max() == mask[16:].max() == mask[:, 0].max() == mask[:, 9].max() == 0
    assert mask.mean() == pytest.approx(0.3, abs=0.03)


def test_few_modern_photographs_lose_area() -> None:
    shards = [next(testdata.data(name).glob("test-*.tar")) for name in ("coco", "flickr8k")]
    lost = [toning.lost(picture) for picture in toning.photographs(shards, every=2)]
    assert len(lost) > 400
    assert np.mean(np.array(lost) > 0.02) <= 0.01
