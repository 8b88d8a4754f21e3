"""Variants: other colors that the network holds possible are clicked on; answers that differ too little are no variants."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photochrom import color
from photochrom.color import BINS
from photochrom.colorizer import variants as different
from photochrom.colorizer.colorizer import Answer, Colorizer, Options
from photochrom.colorizer.hints import Hint
from photochrom.colorizer.model import Model
from photochrom.errors import OptionError
from photochrom.photo import photo
from tests.support import testdata
from tests.support.models import pointer, run


def variants(colorizer: Colorizer, taken: photo.Photo, count: int) -> tuple[tuple[Hint, ...], ...]:
    return tuple(variant.hints for variant in different.variants(colorizer, taken, count))


GREY = photo.Photo(luma=np.full((128, 192), 120, np.uint8))
RED, BLUE, GREEN = (-0.05, 0.2), (0.2, -0.05), (-0.1, -0.15)


def answer(share: np.ndarray) -> Answer:
    return Answer(np.einsum("khw,kc->chw", share, color.bins()), None, share)


def bin_of(chroma: tuple[float, float]) -> int:
    return int(np.square(color.bins() - np.array(chroma)).sum(1).argmin())


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    """A network to which the left half is likely red, may be blue or green, until it is told; and the right half is grey."""

    def look(self: Colorizer, _: photo.Photo, *, share: bool = True) -> Answer:
        assert share
        likely = np.zeros((BINS, 16, 24), np.float32)
        likely[bin_of((0, 0)), :, 12:] = 1
        for chroma, much in ((RED, 0.75), (BLUE, 0.17), (GREEN, 0.08)):
            likely[bin_of(chroma), :, :12] = much
        if self.options.hints:
            _, gain = self.model.decoding(self.options.vividness)
            likely[:, :, :12] = 0
            likely[bin_of(tuple(self.options.hints[-1].chroma / gain)), :, :12] = 0.9
            likely[bin_of((0, 0)), :, :12] = 0.1
        return answer(likely)

    monkeypatch.setattr(Colorizer, "look", look)
    return Model(pointer(), source="pointer.onnx")


def test_each_other_color_is_a_variant_and_the_automatic_answer_comes_first(model: Model) -> None:
    found = variants(Colorizer(model, Options(vividness=0)), GREY, 5)
    assert len(found) == 3 and found[0] == ()
    for hints, chroma in zip(found[1:], (BLUE, GREEN), strict=True):
        (hint,) = hints
        assert hint.x < 96 and np.abs(hint.chroma - chroma).max() < 0.02
    assert variants(Colorizer(model, Options(vividness=0)), GREY, 2) == found[:2]
    assert variants(Colorizer(model, Options(vividness=0)), GREY, 1) == ((),)


def test_clicks_are_as_vivid_as_the_answer(model: Model) -> None:
    found = variants(Colorizer(model, Options(vividness=1)), GREY, 2)  # where the answer is 1.5 times the network's
    assert np.hypot(*found[1][0].chroma) > 1.2 * np.hypot(*BLUE)


def test_hints_that_are_given_stay(model: Model) -> None:
    given = Hint(10, 10, "#c04030")
    found = variants(Colorizer(model, Options(vividness=0, hints=(given,))), GREY, 4)
    assert all(hints[0] == given for hints in found)


def test_where_all_is_certain_there_is_one_answer(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    share = np.zeros((BINS, 16, 24), np.float32)
    share[bin_of(BLUE)] = 1
    monkeypatch.setattr(Colorizer, "look", lambda *_, **__: answer(share.copy()))
    assert variants(Colorizer(model, Options()), GREY, 4) == ((),)


@pytest.mark.parametrize("count", [0, -1, 9])
def test_a_count_out_of_range(model: Model, count: int) -> None:
    with pytest.raises(OptionError, match="expected 1 to 8"):
        variants(Colorizer(model, Options()), GREY, count)


@pytest.mark.usefixtures("model")
def test_the_command_writes_each(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pointer.onnx").write_bytes(pointer())
    Path("grey.png").write_bytes(testdata.file(testdata.grey(128, 192), "PNG"))
    assert not run("colorize", "grey.png", "--variants", "3", "--model", "pointer.onnx"), capsys.readouterr().err
    lines = capsys.readouterr().out.splitlines()
    names = ["grey.color.png", "grey-2.color.png", "grey-3.color.png"]
    assert [line.split()[2] for line in lines] == names
    assert "--hint" not in lines[0] and "--hint " in lines[2]
    pictures = [np.asarray(Image.open(name).convert("RGB")) for name in names]
    assert all(not np.array_equal(pictures[one], pictures[two]) for one, two in ((0, 1), (0, 2), (1, 2)))


def test_a_model_without_bins_has_no_variants(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pointer.onnx").write_bytes(pointer())
    Path("grey.png").write_bytes(testdata.file(testdata.grey(128, 192), "PNG"))
    assert run("colorize", "grey.png", "--variants", "3", "--model", "pointer.onnx") == 2
    assert "has no distribution" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.color*"))
