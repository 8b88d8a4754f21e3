"""A model file: its card, its answers between the rows of vividness, and what is no model of ours."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from photochrom.colorizer import model as models
from photochrom.colorizer.model import BUNDLED, CARD_FORMAT, Model
from photochrom.errors import ModelError, OptionError
from tests.support.models import CARD, content, table


@pytest.fixture
def model() -> Model:
    return Model(content(json.dumps(table())), source="small.onnx")


def test_a_card_comes_back(model: Model) -> None:
    assert model.card == CARD
    curves = (((0.1, 0.2), (0.5, 0.9)),) * 3
    full = table(hints=True, palettes=True, confidence=curves)
    assert Model(content(json.dumps(full)), source="full.onnx").card == dataclasses.replace(
        CARD, hints=True, palettes=True, confidence=curves
    )


def test_a_card_of_the_first_format_has_neither_hints_nor_confidence() -> None:
    old = {key: value for key, value in table(format=1).items() if key not in ("hints", "palettes", "confidence")}
    model = Model(content(json.dumps(old)), source="old.onnx")
    assert model.card == CARD
    assert model.answer(np.zeros((1, 1, 64, 64), np.float32))[1] is None


def test_the_hash_is_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "small.onnx"
    path.write_bytes(data := content(json.dumps(table())))
    assert Model.load(path).hash == Model.load(str(path)).hash == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    ("vividness", "temperature", "gain"), [(0, 1, 1), (0.5, 0.75, 1.25), (1, 0.5, 1.5), (1.5, 0.375, 2.25), (2, 0.25, 3)]
)
def test_vividness_is_interpolated(model: Model, vividness: float, temperature: float, gain: float) -> None:
    assert model.decoding(vividness) == pytest.approx((temperature, gain))
    luma = np.full((2, 1, 64, 96), 0.5, np.float32)
    chroma = model.chroma(luma, vividness=vividness)
    assert (chroma.shape, chroma.dtype) == ((2, 2, 16, 24), np.float32)
    assert np.allclose(chroma, min(0.25 * temperature * gain, 0.5))


@pytest.mark.parametrize("vividness", [-0.01, 2.01, float("nan"), float("inf")])
def test_vividness_out_of_range(model: Model, vividness: float) -> None:
    with pytest.raises(OptionError, match=r"vividness is .*: expected 0 .* to 2"):
        model.chroma(np.zeros((1, 1, 64, 64), np.float32), vividness=vividness)


def test_chroma_stays_in_range() -> None:
    rows = ((1.0, 9.0),) * 3
    loud = Model(content(json.dumps(table(vividness=rows))), source="loud.onnx")
    assert loud.chroma(np.ones((1, 1, 64, 64), np.float32)).max() == 0.5


def test_a_network_without_temperature() -> None:
    plain = Model(content(json.dumps(table()), takes_temperature=False), source="plain.onnx")
    assert plain.chroma(np.full((1, 1, 64, 64), 0.5, np.float32)).max() == pytest.approx(0.25 * 1.5)


def test_doubles_and_slices_are_taken(model: Model) -> None:
    luma = np.random.default_rng(0).random((1, 1, 64, 128))
    assert np.allclose(model.chroma(luma[..., ::2]), model.chroma(luma[..., ::2].astype(np.float32).copy()))


@pytest.mark.parametrize(
    "card",
    [
        "",
        "no JSON",
        "[]",
        "7",
        "{}",
        json.dumps(table(format=CARD_FORMAT + 1)),
        json.dumps(table(format=None)),
        json.dumps(table(size=None)),
        json.dumps(table(size=0)),
        json.dumps(table(stride=-32)),
        json.dumps(table(unknown=1)),
        json.dumps(table(vividness=[])),
        json.dumps(table(vividness=[[1, 1]])),
        json.dumps(table(vividness=[[1, 1, 1]] * 3)),
        json.dumps(table(vividness=7)),
        json.dumps(table(mean_chroma=[0])),
        json.dumps(table(format=0)),
        json.dumps(table(confidence=[[[0.1, 0.2]]])),
        json.dumps(table(confidence=[[], [], []])),
        json.dumps(table(confidence=[[0.1, 0.2]] * 3)),
    ],
)
def test_a_damaged_card(card: str) -> None:
    with pytest.raises(ModelError, match=r"mine\.onnx.*; (export the model again|update photochrom)$") as caught:
        Model(content(card), source="mine.onnx")
    assert "\n" not in str(caught.value)


def test_what_is_no_model_of_ours(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"'other\.onnx' is an ONNX file, but not one of Photochrom's"):
        Model(content(None), source="other.onnx")
    for data in (b"", b"Dear Sir,", np.random.default_rng(0).bytes(5000), content(json.dumps(table()))[:100]):
        with pytest.raises(ModelError, match=r"'bad\.onnx'.*expected a file of `photochrom export`") as caught:
            Model(data, source="bad.onnx")
        assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match=r"none\.onnx': No such file or directory; expected a file"):
        Model.load(tmp_path / "none.onnx")
    with pytest.raises(ModelError, match="Is a directory"):
        Model.load(tmp_path)


def test_the_bundled_model_says_where_it_comes_from() -> None:
    path = Path(models.__file__).parent / "weights" / BUNDLED
    assert path.stat().st_size <= 16_000_000
    card = Model.load().card
    assert Model.load().hash == hashlib.sha256(path.read_bytes()).hexdigest()
    assert card.training.keys() >= {"config", "data", "seed", "commit", "images_seen", "hours", "versions"}
    assert not card.fixed
    assert [gain for _, gain in card.vividness] == sorted(gain for _, gain in card.vividness)
