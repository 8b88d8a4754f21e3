"""Grey, toned, color or blank: on made pictures with known answers, and on real old photographs where they are at hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from photochrom.photo import convert
from photochrom.photo.toning import _percentiles, judge, judge_picture
from tests.support import testdata, toning


def toned(luma: NDArray[np.uint8], cb: float, cr: float) -> NDArray[np.uint8]:
    """Tone a picture as a print: most in the middle, none in black and white; with the noise of JPEG."""
    light = luma.astype(float)
    strength = np.sin(np.pi * light / 255)
    planes = (light + 1.402 * cr * strength, light - (0.344 * cb + 0.714 * cr) * strength, light + 1.772 * cb * strength)
    noise = np.random.default_rng(3).normal(0, 1.5, (*luma.shape, 3))
    return np.clip(np.stack(planes, -1) + noise, 0, 255).astype(np.uint8)


def kind(picture: NDArray[np.uint8], quality: int = 75) -> str:
    return judge(convert.read(testdata.file(picture, "JPEG", {"quality": quality}))).kind


def test_one_channel_is_grey_by_itself() -> None:
    found = judge(convert.from_array(testdata.grey(60, 80)))
    assert (found.kind, found.figure) == ("grey", 0)


def test_grey_stored_in_three_channels_is_grey() -> None:
    assert kind(np.repeat(testdata.grey(200, 300)[..., None], 3, 2), quality=60) == "grey"


@pytest.mark.parametrize(
    ("name", "cb", "cr"), [("sepia", -24, 13), ("cyanotype", 40, -30), ("selenium", 6, 8), ("faded", -18, -4)]
)
def test_tones_are_toned(name: str, cb: float, cr: float) -> None:
    assert kind(toned(testdata.grey(200, 300), cb, cr)) == "toned", name


def test_a_stamp_on_a_print_changes_nothing() -> None:
    picture = toned(testdata.grey(200, 300), -24, 13)
    picture[10:50, 10:60] = (200, 20, 30)  # 3 % of it
    assert kind(picture) == "toned"


def test_a_color_photograph_is_color() -> None:
    found = judge(convert.from_array(testdata.scene(200, 300)))
    assert found.kind == "color"
    assert found.figure >= 1
    assert "\n" not in found.reason


def test_a_pale_color_photograph_is_color() -> None:
    scene = testdata.scene(200, 300).astype(float)
    light = scene.mean(-1, keepdims=True)
    assert kind((light + (scene - light) * 0.5).astype(np.uint8)) == "color"


@pytest.mark.parametrize("level", [0, 128, 255])
def test_an_empty_page_is_blank(level: int) -> None:
    rng = np.random.default_rng(0)
    page = np.clip(rng.normal(level, 2, (600, 800)), 0, 255).astype(np.uint8)
    assert judge(convert.from_array(page)).kind == "blank"


@pytest.mark.parametrize(("shape", "tone"), [((1, 300), "toned"), ((300, 1), "toned"), ((2, 2), "toned"), ((8, 200), "toned")])
def test_tiny_pictures_are_judged(shape: tuple[int, int], tone: str) -> None:
    """Grey is grey, sepia is toned, and one pixel is blank, whatever the shape."""
    luma = np.linspace(20, 230, shape[0] * shape[1]).reshape(shape).astype(np.uint8)
    grey = np.repeat(luma[..., None], 3, 2)
    assert judge_picture(luma, grey).kind == "grey"
    sepia = np.stack([luma, luma * 0.8, luma * 0.5], -1).astype(np.uint8)
    assert judge_picture(luma, sepia).kind == tone
    assert judge_picture(luma[:1, :1], grey[:1, :1]).kind == "blank"


def test_old_photographs_are_not_called_color() -> None:
    kinds = [judge(convert.read(path)).kind for path in testdata.old()]
    assert len(kinds) > 40
    assert kinds.count("color") + kinds.count("blank") <= 1, kinds


def test_few_modern_photographs_pass_for_old_ones() -> None:
    shards = [next(testdata.data(name).glob("test-*.tar")) for name in ("coco", "flickr8k")]
    wrong = [toning.kind_of(picture) != "color" for picture in toning.photographs(shards, every=2)]
    assert len(wrong) > 400
    assert np.mean(wrong) <= 0.02


def test_few_toned_copies_pass_for_color() -> None:
    """All figures are in ``tests.support.toning``; this is a sample of 20 photographs."""
    shards = [next(testdata.data(name).glob("test-*.tar")) for name in ("coco", "flickr8k")]
    wrong = toning.errors(toning.photographs(shards, every=50))
    assert np.mean([wrong[setting] for setting in toning.SETTINGS]) <= 0.06, wrong
    assert max(wrong["bare"], wrong["mount"], wrong["target"]) <= 0.05, wrong


def test_a_faded_print_on_a_mount_is_toned() -> None:
    picture = toned(testdata.grey(200, 300), -24, 13).astype(float)
    faded = np.linspace(0.4, 1, 300)[None, :, None]
    picture = faded * picture + (1 - faded) * picture.mean(-1, keepdims=True)
    mounted = np.full((240, 340, 3), (176, 182, 190), np.uint8)
    mounted[20:220, 20:320] = picture
    assert kind(mounted) == "toned"


def test_a_few_red_jackets_in_the_snow_are_color() -> None:
    """Nearly all of it has one tone, and what has another is small."""
    picture = toned(testdata.grey(200, 300), 14, -9)
    for row in range(20, 200, 45):
        for column in range(15, 300, 50):
            picture[row : row + 10, column : column + 8] = (150, 60, 50)
    assert kind(picture) == "color"


MOUNTS = {"blue": (176, 186, 205), "green": (196, 212, 190), "cream": (236, 222, 190), "black": (22, 22, 24)}


def mount(picture: NDArray[np.uint8], name: str, margin: int = 40) -> NDArray[np.uint8]:
    high, wide = picture.shape[:2]
    page = np.full((high + 2 * margin, wide + 2 * margin, 3), MOUNTS[name], np.uint8)
    page[margin : margin + high, margin : margin + wide] = picture
    return page


@pytest.mark.parametrize("name", MOUNTS)
def test_a_mount_is_not_the_photograph(name: str) -> None:
    assert kind(mount(toned(testdata.grey(400, 600), -24, 13), name)) == "toned"
    assert kind(mount(testdata.scene(400, 600), name)) == "color"


def test_a_target_beside_a_print_is_not_the_photograph() -> None:
    page = mount(np.repeat(testdata.grey(400, 600)[..., None], 3, 2), "cream", 100)
    for index, color in enumerate([(180, 30, 40), (40, 140, 60), (30, 60, 170), (220, 200, 30), (200, 60, 150)]):
        page[530:580, 150 + 60 * index : 210 + 60 * index] = color
    assert kind(page) == "grey"


def test_a_red_stamp_on_a_grey_photograph_is_not_its_color() -> None:
    picture = np.repeat(testdata.grey(600, 800)[..., None], 3, 2)
    picture[430:510, 560:674] = (190, 30, 40)  # 1.9 % of it
    assert kind(picture) == "grey"


def test_a_page_of_an_album_is_what_its_prints_are() -> None:
    page = np.full((700, 1000, 3), MOUNTS["green"], np.uint8)
    for seed, (top, left) in enumerate([(40, 50), (40, 530), (370, 50), (370, 530)]):
        page[top : top + 290, left : left + 420] = toned(testdata.grey(290, 420, seed=seed), -24, 13)
    assert kind(page) == "toned"
    for seed, (top, left) in enumerate([(40, 50), (40, 530), (370, 50)]):
        page[top : top + 290, left : left + 420] = testdata.scene(290, 420, seed=seed)
    assert kind(page) == "color"


@pytest.mark.parametrize("count", [1, 2, 7, 1000])
def test_percentiles_are_those_of_numpy(count: int) -> None:
    values = np.random.default_rng(count).normal(0, 40, count).astype(np.float32)
    assert _percentiles(values, 1, 50, 90, 99) == pytest.approx(np.percentile(values, (1, 50, 90, 99)), rel=1e-5)
