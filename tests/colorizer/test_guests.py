"""Guest models: whatever a network takes and gives, a photograph gets the colors that its authors would show."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from photochrom.colorizer.adopt import adopt
from photochrom.colorizer.colorizer import Colorizer, Options
from photochrom.colorizer.file import color_file
from photochrom.colorizer.hints import Hint
from photochrom.colorizer.model import Model
from photochrom.errors import OptionError
from tests.support import guests
from tests.support.guests import MODELS, Made

ROUNDING = 2 / 255
"""Of chroma: half a level each of the chroma, of RGB and of the luma that the network is shown."""


@pytest.fixture(scope="module", params=MODELS)
def adopted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Made, Path]:
    folder = tmp_path_factory.mktemp("guest")
    made = MODELS[request.param]()
    adopt(guests.save(made, folder / "theirs.onnx"), folder / "ours.onnx")
    return made, folder / "ours.onnx"


def split(path: Path) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """The luma and the Cb and Cr of a file's RGB, in units of its range, by OpenCV and BT.601."""
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION)
    assert pixels is not None
    red, green, blue = np.moveaxis(pixels.astype(float) / np.iinfo(pixels.dtype).max, -1, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return luma, np.stack([(blue - luma) / 1.772, (red - luma) / 1.402])


def test_the_kind_is_recognized(adopted: tuple[Made, Path]) -> None:
    made, path = adopted
    card = Model.load(path).card
    assert card.guest is not None
    assert card.guest.kind == made.kind


@pytest.mark.parametrize("size", [(64, 64), (90, 131), (40, 30), (500, 211)])
def test_small_chroma_is_the_closed_form(adopted: tuple[Made, Path], size: tuple[int, int]) -> None:
    made, path = adopted
    luma = np.rint(255 * guests.ramp(*size)).astype(np.uint8)
    found = Colorizer.load(path).chroma(luma)
    np.testing.assert_allclose(found, made.chroma(luma / 255), atol=ROUNDING)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_photograph_is_colored_upright(adopted: tuple[Made, Path], orientation: int, tmp_path: Path) -> None:
    made, path = adopted
    stored = np.rint(255 * guests.ramp(70, 96)).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(tmp_path / "photo.png", exif=exif)
    color_file(tmp_path / "photo.png", tmp_path / "color.png", colorizer=Colorizer.load(path))
    np.testing.assert_allclose(split(tmp_path / "color.png")[1], made.chroma(stored / 255), atol=ROUNDING)


@pytest.mark.parametrize("depth", [8, 16])
def test_luma_stays_at_every_depth(adopted: tuple[Made, Path], depth: int, tmp_path: Path) -> None:
    made, path = adopted
    most = 2**depth - 1
    stored = np.rint(most * guests.ramp(60, 80)).astype(np.uint8 if depth == 8 else np.uint16)
    Image.fromarray(stored).save(tmp_path / "photo.png")
    color_file(tmp_path / "photo.png", tmp_path / "color.png", colorizer=Colorizer.load(path))
    luma, chroma = split(tmp_path / "color.png")
    np.testing.assert_allclose(luma, stored / most, atol=0.6 / most)
    np.testing.assert_allclose(chroma, made.chroma(stored / most), atol=ROUNDING)


def test_vividness_scales_its_chroma(adopted: tuple[Made, Path]) -> None:
    _, path = adopted
    model = Model.load(path)
    luma = guests.ramp(64, 64).astype(np.float32)[None, None]
    plain = model.chroma(luma)
    assert [gain for _, gain in model.card.vividness] == [0.6, 1, 1.4]
    for vividness, gain in ((0, 0.6), (0.5, 0.8), (2, 1.4)):
        np.testing.assert_allclose(model.chroma(luma, vividness=vividness), gain * plain, atol=1e-5)


def test_a_click_gives_a_point_its_color(adopted: tuple[Made, Path]) -> None:
    _, path = adopted
    luma = np.full((96, 128), 120, np.uint8)
    plain = Colorizer.load(path).chroma(luma)
    clicked = Colorizer.load(path, options=Options(hints=(Hint(40, 50, "#8a7020"),))).chroma(luma)
    wanted = np.array(Hint(40, 50, "#8a7020").chroma)
    np.testing.assert_allclose(clicked[:, 50, 40], wanted, atol=2 / 255)
    moved = np.hypot(*(clicked - plain))
    if Model.load(path).card.hints:
        return  # what the network itself makes of a point is its own affair
    assert moved[50, 43] > 0.5 * moved[50, 40], "the color spreads over what looks alike"
    assert moved[5, 120] < 0.1 * moved[50, 40], "and not over the whole photograph"


def test_a_network_that_takes_hints_is_shown_them(tmp_path: Path) -> None:
    adopt(guests.save(guests.siggraph17(), tmp_path / "theirs.onnx"), tmp_path / "ours.onnx")
    model = Model.load(tmp_path / "ours.onnx")
    assert model.card.hints
    luma = np.full((1, 1, 64, 64), 0.5, np.float32)
    hints = np.zeros((1, 3, 64, 64), np.float32)
    hints[0, :, 30, 20] = 0.06, 0.08, 1
    found = model.chroma(luma, hints=hints)
    np.testing.assert_allclose(found[0, :, 30, 20], [0.06, 0.08], atol=0.002)
    others = np.ones((64, 64), bool)
    others[30, 20] = False
    np.testing.assert_array_equal(found[0][:, others], model.chroma(luma)[0][:, others])


def test_palettes_and_shares_are_refused(tmp_path: Path) -> None:
    adopt(guests.save(guests.ddcolor(), tmp_path / "theirs.onnx"), tmp_path / "ours.onnx", kind="ddcolor")
    with pytest.raises(OptionError, match="the model 'theirs' has no palette"):
        Colorizer.load(tmp_path / "ours.onnx", options=Options(palette=(1.0, *[0.0] * 322)))
    with pytest.raises(OptionError, match="has no distribution"):
        Model.load(tmp_path / "ours.onnx").distribution(np.zeros((1, 1, 64, 64), np.float32))


def test_a_padded_photograph_keeps_its_shape(tmp_path: Path) -> None:
    (tmp_path / "card.toml").write_text('fit = "pad"\nstride = 4\n', "utf-8")
    made = guests.zhang(cells=4)
    adopt(guests.save(made, tmp_path / "theirs.onnx"), tmp_path / "ours.onnx", card=tmp_path / "card.toml")
    colorizer = Colorizer.load(tmp_path / "ours.onnx")
    assert colorizer.seen_size(100, 200) == (32, 64)
    assert colorizer.seen_size(200, 100) == (64, 32)
    for size in ((100, 200), (200, 100), (64, 64), (50, 200)):
        luma = np.rint(255 * guests.ramp(*size)).astype(np.uint8)
        np.testing.assert_allclose(colorizer.chroma(luma), made.chroma(luma / 255), atol=ROUNDING)
    low = colorizer.small_chroma(np.zeros((100, 200), np.uint8))
    assert low.shape == (2, 8, 16)


def test_many_photographs_at_once_get_the_same_answers(tmp_path: Path) -> None:
    adopt(guests.save(guests.ddcolor(), tmp_path / "theirs.onnx"), tmp_path / "ours.onnx")
    colorizer = Colorizer.load(tmp_path / "ours.onnx")
    lumas = [np.rint(255 * guests.ramp(60 + index, 80)).astype(np.uint8) for index in range(8)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(colorizer.small_chroma, lumas))
    for luma, found in zip(lumas, together, strict=True):
        np.testing.assert_array_equal(found, colorizer.small_chroma(luma))
