"""The colorizer: what the network sees, what it answers, and that nothing else decides."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import data

from photochrom.colorizer.colorizer import LONGEST, Colorizer, Options
from photochrom.colorizer.model import Model
from photochrom.errors import OptionError, PhotoError
from photochrom.photo import convert, formats, photo, planes
from tests.support import testdata


@pytest.fixture(scope="module")
def colorizer() -> Colorizer:
    return Colorizer.load()


def luma(name: str) -> np.ndarray:
    """Give the luma of a photograph that comes with scikit-image."""
    return np.array(Image.fromarray(getattr(data, name)()).convert("L"))


def strength(chroma: np.ndarray) -> float:
    """Mean chroma of planes of (2, H, W)."""
    return float(np.hypot(*chroma).mean())


class Watched:
    """A model that notes what it is shown."""

    def __init__(self, model: Model, **card: Any) -> None:
        self.card = dataclasses.replace(model.card, **card)
        self.seen: list[np.ndarray] = []

    def answer(self, luma: np.ndarray, *, vividness: float, hints: None, palette: None) -> tuple[np.ndarray, None]:
        assert 0 <= vividness <= 2 and hints is palette is None
        self.seen.append(luma)
        count, _, height, width = luma.shape
        return np.full((count, 2, height // 4, width // 4), 0.1, np.float32), None


def watched(colorizer: Colorizer, **card: Any) -> tuple[Colorizer, list[np.ndarray]]:
    model = Watched(colorizer.model, **card)
    return Colorizer(model, Options()), model.seen  # type: ignore[arg-type]


SIZES = [(1, 1), (3, 50), (1, 900), (900, 1), (2, 2), (64, 384), (384, 64), (31, 33), (128, 128), (129, 200), (300, 217)]


@pytest.mark.parametrize("size", SIZES)
def test_planes_of_every_size(colorizer: Colorizer, size: tuple[int, int]) -> None:
    height, width = size
    grey = testdata.grey(*size)
    chroma = colorizer.chroma(grey)
    assert (chroma.shape, chroma.dtype) == ((2, height, width), np.float32)
    assert np.abs(chroma).max() <= 0.5
    result = colorizer.colorize(photo.Photo(luma=grey, format="JPEG"))
    assert result.chroma is not None
    assert all(plane.shape == ((height + 1) // 2, (width + 1) // 2) for plane in result.chroma)
    for kind in formats.FORMATS:
        read = convert.read(testdata.file(grey, kind, {"lossless": True} if kind == "WEBP" else {}))
        result = colorizer.colorize(read)
        assert result.chroma is not None
        assert testdata.opened(convert.encode(read, *result.chroma)).size == (width, height)


@pytest.mark.parametrize("size", SIZES)
def test_the_network_sees_what_it_was_trained_on(colorizer: Colorizer, size: tuple[int, int]) -> None:
    small, seen = watched(colorizer)
    card = small.model.card
    small.chroma(testdata.grey(*size))
    (shown,) = seen
    _, _, height, width = shown.shape
    assert (shown.shape[:2], shown.dtype) == ((1, 1), np.float32)
    assert min(height, width) == card.size
    assert height % card.stride == width % card.stride == 0
    ratio = size[1] / size[0]
    if max(ratio, 1 / ratio) <= LONGEST:
        assert width / height == pytest.approx(ratio, rel=card.stride / card.size)
    assert max(height, width) <= LONGEST * card.size
    assert 0 <= shown.min() <= shown.max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (100, 300), (128, 128), (500, 70)])
def test_a_fixed_network_sees_squares(colorizer: Colorizer, size: tuple[int, int]) -> None:
    fixed, seen = watched(colorizer, fixed=True)
    assert fixed.chroma(testdata.grey(*size)).shape == (2, *size)
    assert seen[0].shape == (1, 1, 128, 128)


def test_the_network_sees_all_of_the_picture(colorizer: Colorizer) -> None:
    small, seen = watched(colorizer)
    picture = luma("astronaut")
    small.chroma(picture)
    expected = np.asarray(Image.fromarray(picture).resize((128, 128), Image.Resampling.BOX)) / 255
    assert np.abs(seen[0][0, 0] - expected).max() < 0.01


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_network_sees_the_picture_upright(colorizer: Colorizer, orientation: int) -> None:
    picture = luma("coffee")[:, :560]  # 400 x 560
    stored = np.ascontiguousarray(planes.stored(picture, orientation))
    small, seen = watched(colorizer)
    small.small_chroma(stored, orientation=orientation)
    small.small_chroma(picture)
    assert np.allclose(*seen, atol=1e-5)
    expected = np.stack(colorizer.colorize(photo.Photo(luma=picture)).chroma or ())
    turned = colorizer.colorize(photo.Photo(luma=stored, orientation=orientation)).chroma
    found = planes.upright(np.stack(turned or ()), orientation)
    assert np.abs(found.astype(int) - expected).max() <= 2


def test_a_file_turned_by_its_tag_gets_the_colors_of_the_upright_one(colorizer: Colorizer) -> None:
    picture = luma("coffee")[:, :560]
    upright = convert.read(testdata.file(picture, "PNG"))
    stored = np.ascontiguousarray(planes.stored(picture, 6))
    turned = convert.read(testdata.file(stored, "PNG", {"exif": testdata.exif(6)}))
    assert turned.orientation == 6
    found = [convert.to_array(each, *(colorizer.colorize(each).chroma or ())) for each in (upright, turned)]  # type: ignore[arg-type]
    back = np.moveaxis(planes.upright(np.moveaxis(found[1], -1, 0), 6), 0, -1)
    assert np.abs(back.astype(int) - found[0]).max() <= 6
    assert np.abs(back.astype(int) - found[0]).mean() <= 0.2


def test_many_at_once_equal_one_at_a_time(colorizer: Colorizer) -> None:
    stack = np.stack([testdata.grey(90, 130, seed=seed) for seed in range(3)])
    together = colorizer.chroma(stack)
    assert together.shape == (3, 2, 90, 130)
    for one, plane in zip(together, stack, strict=True):
        assert np.array_equal(one, colorizer.chroma(plane))


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((4, 4), np.float32),
        np.zeros(4, np.uint8),
        np.zeros((1, 1, 4, 4), np.uint8),
        np.zeros((0, 4, 4), np.uint8),
        np.zeros((0, 4), np.uint8),
    ],
)
def test_other_luma_is_refused(colorizer: Colorizer, bad: np.ndarray) -> None:
    with pytest.raises(OptionError, match=r"expected uint8 of shape \(H, W\) or \(N, H, W\)"):
        colorizer.chroma(bad)


def test_threads_share_a_colorizer(colorizer: Colorizer) -> None:
    pictures = [testdata.grey(60 + 5 * seed, 90, seed=seed) for seed in range(8)]
    expected = [colorizer.chroma(picture) for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(colorizer.chroma, pictures * 3))
    assert all(np.array_equal(one, expected[index % 8]) for index, one in enumerate(found))


def test_vividness_makes_vivid(colorizer: Colorizer) -> None:
    names = ("astronaut", "coffee", "chelsea")
    figures = []
    for vividness in (0, 1, 2):
        other = Colorizer(colorizer.model, Options(vividness=vividness))
        figures.append(np.mean([strength(other.chroma(luma(name))) for name in names]))
    assert figures == sorted(set(figures))


def test_what_is_in_color_already(colorizer: Colorizer) -> None:
    colored = convert.from_array(data.astronaut())
    result = colorizer.colorize(colored)
    assert result.chroma is None
    assert result.judgement.kind == "color"
    with pytest.raises(PhotoError, match="is in color already"):
        Colorizer(colorizer.model, Options(on_color="error")).colorize(colored)
    result = Colorizer(colorizer.model, Options(on_color="recolor")).colorize(colored)
    assert result.chroma is not None
    for option in ("skip", "recolor", "error"):
        grey = Colorizer(colorizer.model, Options(on_color=option)).colorize(convert.from_array(luma("astronaut")))  # type: ignore[arg-type]
        assert grey.chroma is not None
        assert all(np.array_equal(one, other) for one, other in zip(grey.chroma, result.chroma, strict=True))


@pytest.mark.parametrize(
    ("source", "target", "step"),
    [("JPEG", None, 2), ("JPEG", "PNG", 1), ("PNG", "JPEG", 2), ("TIFF", None, 1), (None, None, 1)],
)
def test_chroma_has_the_size_that_the_format_stores(colorizer: Colorizer, source: Any, target: Any, step: int) -> None:
    grey = photo.Photo(luma=testdata.grey(41, 60), format=source)
    chroma = Colorizer(colorizer.model, Options(format=target)).colorize(grey).chroma
    assert chroma is not None
    assert chroma[0].shape == chroma[1].shape == (-(-41 // step), -(-60 // step))


def test_paint_lays_color_over_luma(colorizer: Colorizer) -> None:
    grey = luma("astronaut")
    painted = colorizer.paint(grey)
    assert (painted.shape, painted.dtype) == ((*grey.shape, 3), np.uint8)
    assert np.abs(np.asarray(Image.fromarray(painted).convert("L")).astype(int) - grey).max() <= 1


@pytest.mark.parametrize("make", [Colorizer.load, lambda: Colorizer.load(None, threads=1)])
def test_the_same_photograph_gets_the_same_colors(colorizer: Colorizer, make: Callable[[], Colorizer]) -> None:
    grey = luma("coffee")
    assert np.abs(make().chroma(grey) - colorizer.chroma(grey)).max() <= 1.01 / 255


def test_the_result_says_how_luma_is_written(colorizer: Colorizer) -> None:
    grey = convert.read(testdata.file(testdata.grey(40, 60), "JPEG"))
    assert colorizer.colorize(grey).luma == "lossless"
    assert Colorizer(colorizer.model, Options(luma="fast")).colorize(grey).luma == "lossless"
    assert Colorizer(colorizer.model, Options(luma="encoded")).colorize(grey).luma == "encoded"
    assert Colorizer(colorizer.model, Options(format="PNG")).colorize(grey).luma is None
    with pytest.raises(PhotoError, match="luma can be lossless only from a grey or YCbCr JPEG"):
        Colorizer(colorizer.model, Options(luma="lossless")).colorize(convert.read(testdata.file(testdata.grey(40, 60), "PNG")))


def test_paper_around_a_print_gets_no_color() -> None:
    page = np.full((300, 400), 250, np.uint8)
    page[60:240, 80:320] = testdata.grey(180, 240)
    low = Colorizer.load(threads=1).colorize(convert.from_array(page)).low
    assert low is not None
    high, wide = low.shape[1:]
    inside = low[:, high // 4 : high * 3 // 4, wide // 4 : wide * 3 // 4]
    assert np.abs(inside).max() > 0.02
    rim = np.ones((high, wide), bool)
    rim[high // 6 : high - high // 6, wide // 6 : wide - wide // 6] = False
    assert np.abs(low[:, rim]).max() == 0
