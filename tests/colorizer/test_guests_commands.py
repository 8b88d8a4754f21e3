"""A guest in every command: colorize, folders, video, evaluate, sheet, replay and card.

PHOTOCHROM_GUESTS=FOLDER runs the last test on real files.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photochrom import color
from photochrom.cli import main
from photochrom.colorizer.contact_sheet import CAPTION_PIXELS, GAP_PIXELS, SEAM_PIXELS
from photochrom.colorizer.guests.kinds import KINDS
from photochrom.colorizer.model import Model
from photochrom.evaluation import scores
from tests.support import films, guests, testdata
from tests.support.guests import MODELS, Made

ROUNDING = 2 / 255
SIZE = (72, 96)


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    found = capsys.readouterr()
    return int(left.value.code or 0), found.out, found.err


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(ramp()).save("photo.png")
    return tmp_path


@pytest.fixture(params=["ddcolor, any size", "deoldify, bytes", "eccv16, shares", "siggraph17, hints"])
def made(request: pytest.FixtureRequest, folder: Path, capsys: pytest.CaptureFixture[str]) -> Made:
    found = MODELS[request.param]()
    guests.save(found, folder / "theirs.onnx")
    assert run(capsys, "adopt", "theirs.onnx", "-o", "ours.onnx")[0] == 0
    return found


def ramp() -> np.ndarray:
    return np.rint(255 * guests.ramp(*SIZE)).astype(np.uint8)


def close(path: str, made: Made, *, atol: float = ROUNDING) -> bool:
    """Whether a file's colors are the closed form's for the ramp."""
    red, green, blue = np.moveaxis(np.asarray(Image.open(path).convert("RGB")).astype(float) / 255, -1, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    found = np.stack([(blue - luma) / 1.772, (red - luma) / 1.402])
    return bool(np.abs(found - made.chroma(ramp() / 255)).max() <= atol)


def test_what_adopt_says(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "adopt", "theirs.onnx", "-o", "again.onnx")
    assert (code, err) == (0, "")
    assert out.startswith(f"again.onnx: theirs, {made.kind}: ")
    assert out.count("\n") == 1
    code, out, err = run(capsys, "adopt", "theirs.onnx", "-o", "again.onnx")
    assert (code, out) == (1, "")
    assert "again.onnx: exists already" in err
    code, out, _ = run(capsys, "card", "ours.onnx")
    found = json.loads(out)
    assert (found["guest"]["kind"], found["sha256"]) == (made.kind, Model.load("ours.onnx").hash)


def test_colorize_and_replay(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "colorize", "photo.png", "-o", "color.png", "--model", "ours.onnx")[0] == 0
    assert close("color.png", made)
    code, out, _ = run(capsys, "replay", "color.png", "-o", "again.png", "--model", "ours.onnx")
    assert (code, out) == (0, "again.png: the same bytes as color.png\n")
    assert Path("color.png").read_bytes() == Path("again.png").read_bytes()


def test_a_folder(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    Path("album").mkdir()
    for index in range(4):
        Image.fromarray(ramp()).save(f"album/{index}.png")
    Path("album/broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    code, _, err = run(capsys, "colorize", "album", "-o", "out", "--model", "ours.onnx", "-j", "3")
    assert code == 1
    assert "broken.png" in err
    assert all(close(f"out/{index}.png", made) for index in range(4))


def test_a_film(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    films.write(Path("in.mkv"), [films.frame_of(ramp(), "yuv420p")] * 6, options=dict(films.LOSSLESS))
    assert run(capsys, "video", "in.mkv", "-o", "out.mkv", "--model", "ours.onnx", "--codec-option", "qp=0")[0] == 0
    frames = films.decoded(Path("out.mkv"))
    assert len(frames) == 6
    halved = ramp().reshape(SIZE[0] // 2, 2, SIZE[1] // 2, 2).mean((1, 3))
    for frame in frames:
        luma, cb, cr = films.planes(frame)
        np.testing.assert_array_equal(luma, ramp())
        chroma = (np.stack([cb, cr]).astype(float) - 128) / 224
        unit = np.clip((halved - 16) / 219, 0, 1)
        np.testing.assert_allclose(chroma, made.chroma(unit), atol=0.02)


@pytest.fixture
def data(folder: Path) -> Path:
    pictures = {f"{seed}.png": testdata.encoded(testdata.scene(64, 80, seed=seed)) for seed in range(6)}
    testdata.shard(folder / "data" / "test-00.tar", pictures)
    return folder / "data"


def test_three_models_in_one_table(made: Made, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    others = guests.deoldify("unit") if made.kind != "deoldify" else guests.ddcolor()
    guests.save(others, Path("others.onnx"))
    assert run(capsys, "adopt", "others.onnx", "-o", "second.onnx")[0] == 0
    assert run(capsys, "adopt", "others.onnx", "-o", "third.onnx", "--card", card('name = "third"'))[0] == 0
    code, out, _ = run(capsys, "evaluate", "ours.onnx", "second.onnx", "third.onnx", "--data", data, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["model"] == "theirs, others, third"
    table = found["all"]
    assert list(table["scores"]) == ["theirs", "others", "third", scores.GREY, scores.MEAN_CHROMA]
    assert list(table["gain_percent"]) == ["others", "third", scores.GREY, scores.MEAN_CHROMA]
    assert table["scores"]["others"] == table["scores"]["third"], "the same network twice"
    for row in table["scores"].values():
        assert row["de2000"]["low"] <= row["de2000"]["value"] <= row["de2000"]["high"]
    _, out, _ = run(capsys, "evaluate", "ours.onnx", "second.onnx", "--data", data)
    assert "The error of theirs below each other's" in out
    assert out.count("theirs") >= 2


def card(text: str) -> str:
    Path("card.toml").write_text(text, "utf-8")
    return "card.toml"


def test_one_guest_is_scored_beside_our_mean_chroma(made: Made, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "evaluate", "ours.onnx", "--data", data, "--json")
    found = json.loads(out)["all"]["scores"]
    assert (code, list(found)) == (0, [scores.MODEL, scores.GREY, scores.MEAN_CHROMA])
    assert found[scores.MEAN_CHROMA]["colorfulness"]["value"] > 1, f"{made.kind} has no mean chroma of its own"


def test_what_takes_one_model_refuses_two(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for more in (("--protocol", "robustness"), ("--video", "clip.mp4")):
        code, _, err = run(capsys, "evaluate", "a.onnx", "b.onnx", "--data", data, *more)
        assert (code, err.count("\n")) == (2, 1)
        assert "--video and --protocol measure one model at a time" in err


def test_a_model_named_twice_is_refused(made: Made, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "evaluate", "ours.onnx", "ours.onnx", "--data", data)
    assert code == 2, made.kind
    assert "the model 'theirs' is named twice" in err


def test_two_models_of_one_name_are_told_apart(made: Made, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "adopt", "theirs.onnx", "-o", "vivid.onnx", "--card", card("vividness = [1, 2, 3]"))
    _, out, _ = run(capsys, "evaluate", "ours.onnx", "vivid.onnx", "--data", data, "--json")
    named = [f"theirs ({Model.load(name).hash[:12]})" for name in ("ours.onnx", "vivid.onnx")]
    assert list(json.loads(out)["all"]["scores"])[:2] == named, made.kind


def test_a_sheet_has_a_cell_for_each_model(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "adopt", "theirs.onnx", "-o", "vivid.onnx", "--card", card('name = "vivid"\nvividness = [1, 2, 3]'))
    models = ("--model", "ours.onnx", "--model", "vivid.onnx")
    assert run(capsys, "sheet", "photo.png", "-o", "sheet.jpg", "--height", SIZE[0], *models)[0] == 0
    page = np.asarray(Image.open("sheet.jpg")).astype(float)
    height, width = SIZE
    assert page.shape[:2] == (height + CAPTION_PIXELS + 2 * GAP_PIXELS, 3 * width + 2 * SEAM_PIXELS + 2 * GAP_PIXELS)
    cells = [
        page[GAP_PIXELS : GAP_PIXELS + height, GAP_PIXELS + index * (width + SEAM_PIXELS) :][:, :width] for index in range(3)
    ]
    strength = [np.abs(cell[..., 0] - cell[..., 2])[10:-10, 10:-10].mean() for cell in cells]
    assert strength[0] < 2, "grey"
    assert strength[2] > 1.5 * strength[1] > 6, f"{made.kind}, and {made.kind} twice as vivid"


def test_calibration_by_the_command(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    guests.save(guests.ddcolor(), Path("theirs.onnx"))
    code, out, _ = run(capsys, "adopt", "theirs.onnx", "-o", "ours.onnx", "--calibrate", data / "test-00.tar")
    gains = [gain for _, gain in Model.load("ours.onnx").card.vividness]
    assert code == 0
    assert f"chroma gains {', '.join(f'{gain:g}' for gain in gains)}; license Apache-2.0" in out
    assert gains[0] <= gains[1] < gains[2] != 1.4
    code, _, err = run(capsys, "adopt", "theirs.onnx", "-o", "grey.onnx", "--calibrate", "photo.png")
    assert code == 1
    assert "grey.onnx is written, but not calibrated: there is nothing to calibrate on" in err


REAL = sorted(Path(os.environ["PHOTOCHROM_GUESTS"]).glob("*.onnx")) if "PHOTOCHROM_GUESTS" in os.environ else []
"""Real ONNX files of any of the four kinds, whose names begin with the kind, such as ddcolor-tiny.onnx."""

if REAL:

    @pytest.mark.parametrize("path", REAL, ids=lambda path: path.name)
    def test_real_weights(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        kind = next(kind for kind in KINDS if path.name.startswith(kind))
        Image.open(testdata.golden("coffee")).convert("L").save("grey.png")
        assert run(capsys, "adopt", path, "-o", "real.onnx", "--as", kind)[0] == 0
        assert run(capsys, "colorize", "grey.png", "-o", "real.png", "--model", "real.onnx")[0] == 0
        found = Image.open("real.png").convert("RGB")
        lumas = [np.asarray(image.convert("L")).astype(int) for image in (found, Image.open("grey.png"))]
        assert np.abs(lumas[0] - lumas[1]).max() <= 1
        assert 2 < color.colorfulness(np.asarray(found)) < 100, "hardly any color, or far too much"
