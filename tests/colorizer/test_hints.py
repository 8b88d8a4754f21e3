"""Hints: how they are written, where they are drawn, that a hinted point has its color, and what a model without hints says."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import color as reference
from skimage import data

from photochrom import color
from photochrom.color import BINS
from photochrom.colorizer import file, hints
from photochrom.colorizer.colorizer import Colorizer, Options
from photochrom.colorizer.hints import Hint
from photochrom.colorizer.model import BUNDLED, Model
from photochrom.colorizer.upsample import upsample
from photochrom.errors import OptionError, PhotoError
from photochrom.photo import convert, photo
from photochrom.photo.planes import stored as stored_planes
from photochrom.photo.planes import upright
from tests.support import testdata
from tests.support.models import POINTER, pointer, run


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(pointer(), source="pointer.onnx")


def luma(name: str) -> np.ndarray:
    return np.asarray(Image.fromarray(getattr(data, name)()).convert("L"))


def difference(one: np.ndarray, two: np.ndarray) -> float:
    """Measure CIE76 between two RGB colors of 0 to 255, with scikit-image."""
    first, second = (reference.rgb2lab(np.asarray(each, float).reshape(1, 1, 3) / 255) for each in (one, two))
    return float(np.linalg.norm(first - second))


def test_a_hint_is_read_as_it_is_written() -> None:
    assert hints.parse("120,80=#C04030") == Hint(120, 80, "#C04030")
    assert hints.parse(" 0 , 7 = #00ff7f ") == Hint(0, 7, "#00ff7f")
    assert hints.parse("1,2=#f80") == Hint(1, 2, "#ff8800") and hints.parse("1,2=orange") == Hint(1, 2, "#ffa500")
    red, green, blue = 0xC0 / 255, 0x40 / 255, 0x30 / 255
    assert np.allclose(Hint(0, 0, "#C04030").chroma, color.rgb_to_ycbcr(red, green, blue)[1:], atol=1e-6)


@pytest.mark.parametrize(
    "text", ["", "1,2", "1,2=reddish", "1,2=#12345", "1,2=#1234567", "-1,2=#123456", "1.5,2=#123456", "1;2=#123456"]
)
def test_what_is_no_hint(text: str) -> None:
    with pytest.raises(OptionError, match=r"expected (X,Y=)?#RRGGBB") as caught:
        hints.parse(text)
    assert "\n" not in str(caught.value)


def test_hints_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "hints.json"
    path.write_text('[{"x": 120, "y": 80, "color": "#c04030"}, {"x": 0, "y": 0, "color": "#FFFFFF"}]')
    assert hints.load(path) == (Hint(120, 80, "#c04030"), Hint(0, 0, "#FFFFFF"))
    for bad in ("", "{}", "7", '[{"x": 1}]', '[{"x": 1.5, "y": 2, "color": "#123456"}]', '[{"x": 1, "y": 2, "color": "reddish"}]',
                '[{"x": true, "y": 2, "color": "#123456"}]', '[[1, 2, "#123456"]]'):  # fmt: skip
        path.write_text(bad)
        with pytest.raises(OptionError, match=r"expected"):
            hints.load(path)
    with pytest.raises(OptionError, match=r"none\.json': No such file"):
        hints.load(tmp_path / "none.json")


def test_a_hint_is_drawn_where_the_network_sees_it() -> None:
    planes = hints.draw([Hint(300, 100, "#c04030"), Hint(0, 0, "#4030c0")], (200, 400), (64, 128))
    rows, columns = planes[2].nonzero()
    assert (planes.shape, planes[2].sum()) == ((3, 64, 128), 18)
    assert {(31, 95), (33, 97), (32, 96), (0, 0), (2, 2)} <= set(zip(rows.tolist(), columns.tolist(), strict=True))
    assert np.allclose(planes[:2, 32, 96], Hint(0, 0, "#c04030").chroma)
    assert not planes[:, planes[2] == 0].any()
    for x, y in ((400, 0), (0, 200)):
        with pytest.raises(OptionError, match=r"lies outside the photograph: expected X below 400 and Y below 200"):
            hints.draw([Hint(x, y, "#c04030")], (200, 400), (64, 128))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_point_of_the_upright_photograph_is_found_in_the_stored_one(orientation: int) -> None:
    stored = np.arange(5 * 7).reshape(5, 7)
    shown = upright(stored, orientation)
    for y, x in np.ndindex(*shown.shape):
        assert stored[hints.stored_place(Hint(x, y, "#000000"), stored.shape, orientation)] == shown[y, x]


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea", "rocket"])
@pytest.mark.parametrize("count", [1, 12])
def test_a_hinted_point_has_its_color(name: str, count: int) -> None:
    """Whatever the network answered: here random colors. The truth at the point is what is asked for."""
    truth, grey = getattr(data, name)(), luma(name)
    rng = np.random.default_rng(count)
    chroma = ((rng.random((2, 32, 40)) - 0.5) * 0.2).astype(np.float32)
    places = [(int(rng.integers(grey.shape[1])), int(rng.integers(grey.shape[0]))) for _ in range(count)]
    points = [Hint(x, y, "#{:02x}{:02x}{:02x}".format(*truth[y, x])) for x, y in places]
    planes = upsample(hints.settle(chroma, grey, points), grey, step=1)
    painted = convert.to_array(photo.Photo(luma=grey), *planes)
    errors = [difference(painted[y, x], truth[y, x]) for x, y in places]
    assert max(errors) < 3
    before = convert.to_array(photo.Photo(luma=grey), *upsample(chroma, grey, step=1))
    assert max(difference(before[y, x], truth[y, x]) for x, y in places) > 10
    # Far from the points nothing changes by more than one level of chroma, which is 1.8 levels of blue.
    far = np.ones(grey.shape, bool)
    for x, y in places:
        far[max(0, y - 150) : y + 150, max(0, x - 150) : x + 150] = False
    if far.any():
        assert np.abs(painted.astype(int) - before)[far].max() <= 2


def test_points_that_contradict_each_other_do_no_harm() -> None:
    grey = luma("coffee")
    points = [Hint(200, 200, "#ff0000"), Hint(200, 200, "#0000ff"), Hint(201, 200, "#00ff00")]
    settled = hints.settle(np.zeros((2, 32, 48), np.float32), grey, points)
    assert np.isfinite(settled).all() and np.abs(settled).max() <= 0.5


@pytest.mark.parametrize("vividness", [0.0, 1.0, 1.7])
@pytest.mark.parametrize("orientation", [1, 6, 7])
def test_the_product_gives_a_click_its_color(model: Model, vividness: float, orientation: int) -> None:
    truth, grey = data.coffee(), luma("coffee")
    stored = np.ascontiguousarray(stored_planes(grey, orientation))
    x, y = 150, 290
    wanted = "#{:02x}{:02x}{:02x}".format(*truth[y, x])
    options = Options(vividness=vividness, hints=(Hint(x, y, wanted),))
    taken = photo.Photo(luma=stored, orientation=orientation)
    result = Colorizer(model, options).colorize(taken)
    assert result.chroma is not None and result.confidence is not None
    painted = upright(np.moveaxis(convert.to_array(taken, *result.chroma), -1, 0), orientation)
    assert difference(painted[:, y, x], truth[y, x]) < 3
    assert result.confidence.shape == ((16, 24) if orientation == 1 else (24, 16))


def test_hints_reach_the_network_less_vivid_by_the_gain(model: Model) -> None:
    planes = np.zeros((1, 3, 64, 64), np.float32)
    planes[:, :, 8:12, 8:12] = np.array([0.12, -0.06, 1], np.float32)[:, None, None]
    grey = np.full((1, 1, 64, 64), 0.5, np.float32)
    for vividness in (0, 0.5, 1, 2):
        answer = model.chroma(grey, vividness=vividness, hints=planes)
        assert np.allclose(answer[0, :, 2, 2], (0.12, -0.06), atol=1e-6)
        assert not answer[0, :, 3:].any()


def test_a_palette_leads_to_its_colors_at_any_vividness(model: Model) -> None:
    palette = color.palette(np.full((2, 16, 16), 0.15, np.float32) * np.array([1, -1], np.float32)[:, None, None])
    assert palette.sum() == pytest.approx(1) and palette.max() == 1
    grey = np.full((1, 1, 64, 64), 0.5, np.float32)
    for vividness, near in ((0, 0.001), (1, 0.04), (2, 0.06)):  # the bins are 0.05 apart, times the gain
        answer = model.chroma(grey, vividness=vividness, palette=palette[None])
        assert np.abs(answer[0, :, 0, 0] - (0.15, -0.15)).max() <= near


def test_a_palette_is_the_share_of_each_bin() -> None:
    chroma = np.zeros((2, 40, 44), np.float32)
    chroma[0, :, :11] = 0.2
    palette = color.palette(chroma)
    bins = color.bins()
    assert palette[np.abs(bins).sum(1) < 1e-6] == pytest.approx(0.75, abs=0.07)
    assert palette @ bins == pytest.approx(chroma.mean((1, 2)), abs=0.012)
    assert color.palette(chroma[:, :3, :2]).sum() == pytest.approx(1)


def test_confidence_is_read_from_the_curves(model: Model) -> None:
    grey = np.full((1, 1, 64, 96), 0.5, np.float32)
    for vividness, expected in ((0, 0.5), (1, 0.35), (2, 0.25), (0.5, 0.425), (1.5, 0.3)):
        _, found = model.answer(grey, vividness=vividness)
        assert found is not None and (found.shape, found.dtype) == ((1, 16, 24), np.float32)
        assert np.allclose(found, expected)


def test_a_map_of_confidence_is_upright_and_of_full_size(model: Model, tmp_path: Path) -> None:
    half = np.zeros((90, 120), np.uint8)
    half[:, 60:] = 255
    result = Colorizer(model, Options(vividness=0)).colorize(photo.Photo(luma=half, orientation=6))
    file.save_confidence(result, tmp_path / "map.png")
    found = np.asarray(testdata.opened((tmp_path / "map.png").read_bytes()))
    assert (found.shape, found.dtype) == ((120, 90), np.uint8)
    assert found[:40].max() <= round(0.3 * 255) and found[80:].min() >= round(0.7 * 255)


def test_a_model_without_hints_refuses_them() -> None:
    bundled = Path(hints.__file__).parent / "weights" / BUNDLED
    plain = Model(pointer(dataclasses.replace(POINTER, hints=False, palettes=False, confidence=())), source="plain.onnx")
    assert bundled.exists()
    palette = (1.0, *[0.0] * (BINS - 1))
    for options, what in ((Options(hints=(Hint(0, 0, "#123456"),)), "hints"), (Options(palette=palette), "palette")):
        with pytest.raises(OptionError, match=f"the model 'pointer' has no {what}: leave that out"):
            Colorizer(plain, options)
    with pytest.raises(OptionError, match="has no confidence"):
        Colorizer(plain, Options()).confidence(np.zeros((64, 64), np.uint8))
    with pytest.raises(OptionError, match="has no palette"):
        plain.chroma(np.zeros((1, 1, 64, 64), np.float32), palette=np.ones((1, BINS), np.float32))
    assert plain.answer(np.zeros((1, 1, 64, 64), np.float32))[1] is None


def test_options_refuse_what_is_no_palette() -> None:
    for palette in ((1.0,), (0.5,) * BINS, (-1.0, 2.0, *[0.0] * (BINS - 2))):
        with pytest.raises(OptionError, match="palette has"):
            Options(palette=palette)


@pytest.fixture
def pointer_file(tmp_path: Path) -> str:
    path = tmp_path / "pointer.onnx"
    path.write_bytes(pointer())
    return str(path)


def test_the_command_line_takes_hints_and_draws_confidence(
    pointer_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    truth = data.coffee()
    Path("grey.png").write_bytes(testdata.file(luma("coffee"), "PNG"))
    wanted = ["#{:02x}{:02x}{:02x}".format(*truth[y, x]) for x, y in ((150, 290), (500, 60))]
    Path("more.json").write_text(json.dumps([{"x": 500, "y": 60, "color": wanted[1]}]))
    code = run("colorize", "grey.png", "-o", "out.png", "--model", pointer_file, "--hint", f"150,290={wanted[0]}",
               "--hints", "more.json", "--confidence", "map.png")  # fmt: skip
    assert not code, capsys.readouterr().err
    out = np.asarray(Image.open("out.png").convert("RGB"))
    assert difference(out[290, 150], truth[290, 150]) < 3
    assert difference(out[60, 500], truth[60, 500]) < 3
    with Image.open("map.png") as drawn:
        assert (drawn.mode, drawn.size) == ("L", (600, 400))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--hint", "5,5"), "expected X,Y=#RRGGBB"),
        (("--hint", "5000,5=#123456"), "lies outside the photograph"),
        (("--hints", "none.json"), "No such file"),
        (("--confidence", "map.jpg"), "to a PNG"),
        (("--reference", "grey.png"), "has no color that could lead"),
        (("other.png", "--hint", "5,5=#123456"), "for one photograph"),
    ],
)
def test_misuse_has_one_line(
    arguments: tuple[str, ...],
    said: str,
    pointer_file: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = Path(pointer_file).parent
    monkeypatch.chdir(folder)
    for name in ("grey.png", "other.png"):
        Path(name).write_bytes(testdata.file(testdata.grey(60, 80), "PNG"))
    assert run("colorize", "grey.png", *arguments, "--model", pointer_file) in (2, 3)
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert not list(folder.glob("*.color.*"))


def test_a_reference_leads(pointer_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("grey.png").write_bytes(testdata.file(testdata.grey(60, 80), "PNG"))
    blue = np.full((64, 64, 3), (60, 90, 200), np.uint8) + testdata.grey(64, 64)[..., None] // 16
    Path("blue.png").write_bytes(testdata.file(blue, "PNG"))
    assert not run("colorize", "grey.png", "--reference", "blue.png", "--model", pointer_file)
    red, _, bright = np.asarray(Image.open("grey.color.png").convert("RGB")).astype(int).mean((0, 1))
    assert bright > red + 40


def test_bytes_go_the_same_way(model: Model) -> None:
    grey = testdata.grey(60, 80)
    options = Options(hints=(Hint(40, 30, "#c04030"),), format=None)
    found = file.colorize(testdata.file(grey, "PNG"), colorizer=Colorizer(model, options))
    red, _, blue = np.asarray(Image.open(io.BytesIO(found)).convert("RGB")).astype(int)[30, 40]
    assert red > blue + 20


def test_a_photograph_that_cannot_be_read_is_no_reference(tmp_path: Path) -> None:
    with pytest.raises(PhotoError):
        hints.reference(tmp_path / "none.jpg")


def test_what_many_points_lack_together_is_believed_of_what_lies_between_them() -> None:
    """A uniform error of the network, seen at points in a grid, is undone between them too; at an edge of luma it stops."""
    grey = np.full((256, 320), 100, np.uint8)
    grey[:, 160:] = 220
    chroma = np.zeros((2, 32, 40), np.float32)
    points = [Hint(x, y, "#b05a50") for y in range(24, 256, 48) for x in range(16, 150, 48)]
    wanted = points[0].chroma
    settled = hints.settle(chroma, grey, points)
    middle = settled[:, 6, 5]  # half way between four points
    assert np.dot(middle, wanted) > 0.6 * np.dot(wanted, wanted)
    assert np.abs(settled[:, :, 22:]).max() < 0.02
