"""The exported file answers as torch does, says where it comes from, and is the same bytes each time."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from photochrom.cli import main
from photochrom.colorizer.colorizer import Colorizer, Options
from photochrom.colorizer.model import CARD_KEY, Model
from photochrom.errors import DataError, TrainingError
from photochrom.training import checkpoint, config, export, loop, setup, validate
from photochrom.training.data import dataset
from photochrom.training.networks.generators import build
from photochrom.version import __version__

TINY = config.from_table(
    {
        "generator": "photochrom",
        "bins_weight": 1.0,
        "size": 64,
        "batch": 4,
        "positions": 64,
        "checkpoint_every": 8,
        "validate_every": 8,
        "validation_photographs": 4,
        "seed": 3,
        "stages": [{"kind": "generator", "images": 8, "warmup": 8}],
    }
)
ROWS = ((1.0, 1.0), (0.6, 1.4), (0.6, 2.1))
"""Vividness as a trained model has it: eight images leave a model so grey that its gains, and its rounding, are large."""


@pytest.fixture(scope="module", autouse=True)
def rows() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(validate, "calibrate", lambda *_: ROWS)
        yield


@pytest.fixture(scope="module")
def run(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "small"
    loop.train(TINY, [prepared], run=folder, compute=loop.Compute(accelerator="cpu"))
    return folder


@pytest.fixture(scope="module")
def done(run: Path) -> export.Export:
    return export.export(run, run.parent / "exported" / "small.onnx")


def test_torch_and_onnx_agree(run: Path, done: export.Export) -> None:
    """Independent of the proof in the export itself: other sizes, other temperatures, onnxruntime directly."""
    generator = build("photochrom", pretrained=False)
    generator.load_state_dict(checkpoint.load(run / "newest.pt")["average"])
    generator.eval()
    session = onnxruntime.InferenceSession(str(done.path), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    for shape in ((1, 1, 64, 64), (3, 1, 96, 160), (2, 1, 128, 32)):
        luma = rng.random(shape).astype(np.float32)
        for temperature in (1.0, 0.38):
            with torch.no_grad():
                expected = generator.decode(generator(torch.from_numpy(luma)), temperature).numpy()
            (found,) = session.run(["chroma"], {"luma": luma, "temperature": np.array(temperature, np.float32)})
            assert found.shape == (shape[0], 2, shape[2] // 4, shape[3] // 4)
            assert np.abs(found - expected).max() <= export.TOLERANCE
            assert np.abs(found).max() <= 0.5
    assert 0 <= done.largest_difference <= export.TOLERANCE


def test_the_file_is_one_that_others_read(done: export.Export) -> None:
    graph = onnx.load(str(done.path))
    onnx.checker.check_model(graph, full_check=True)
    assert graph.ir_version <= 10
    assert {item.domain: item.version <= 18 for item in graph.opset_import} == {"": True}
    assert [item.name for item in graph.graph.input] == ["luma", "temperature"]
    assert [item.name for item in graph.graph.output] == ["chroma", "peak", "share"]
    assert not any(tensor.data_location for tensor in graph.graph.initializer)  # one file, nothing beside it
    assert [item.key for item in graph.metadata_props] == [CARD_KEY]
    assert [path.name for path in done.path.parent.iterdir()] == ["small.onnx"]


def test_no_path_of_this_machine_is_in_the_file(done: export.Export) -> None:
    content = done.path.read_bytes()
    assert str(Path(export.__file__).parents[2]).encode() not in content
    assert str(done.path.parent).encode() not in content


def test_the_size_is_stated_honestly(done: export.Export, run: Path) -> None:
    assert done.bytes == done.path.stat().st_size
    weights = sum(value.numel() for value in checkpoint.load(run / "newest.pt")["average"].values())
    assert 2 * weights <= done.bytes * 1.05 <= 2.6 * weights  # two bytes a weight, and the graph
    assert done.bytes <= 16_000_000


def test_the_card_says_where_the_model_comes_from(done: export.Export, prepared: Path) -> None:
    card = Model.load(done.path).card
    assert card == done.card
    assert (card.name, card.generator, card.size, card.fixed) == ("small", "photochrom", 64, False)
    assert card.stride == 32
    assert len(card.vividness) == 3
    assert all(-0.5 <= value <= 0.5 for value in card.mean_chroma)
    training = card.training
    assert (card.hints, card.palettes, len(card.confidence)) == (False, False, 3)
    assert training["config"] == config.to_table(TINY)
    teach, aside = dataset.set_aside(dataset.index([prepared]), TINY.validation_photographs)
    assert training["data"] == {"sets": [prepared.name], "photographs": len(teach)}
    assert len(teach) + len(aside) == 48
    assert (training["seed"], training["images_seen"]) == (3, 8)
    assert training["hours"] >= 0
    assert len(training["commit"]) >= 4
    assert training["trained_by"] == [training["commit"]]
    assert training["versions"] == {"photochrom": __version__, "torch": torch.__version__, "onnx": onnx.__version__}


def test_the_product_takes_it(done: export.Export) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (90, 70)).astype(np.uint8)
    colorizer = Colorizer.load(done.path, options=Options(vividness=2))
    assert colorizer.paint(picture).shape == (90, 70, 3)


def test_the_same_run_gives_the_same_bytes_and_the_command_prints_the_proof(
    run: Path, done: export.Export, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as left:
        main(["export", str(run), "-o", "x.onnx"])
    assert not left.value.code
    assert Path("x.onnx").read_bytes() == done.path.read_bytes()
    proof = f"largest difference between torch and ONNX {done.largest_difference:.2g}"
    assert capsys.readouterr().out == f"x.onnx: {done.bytes / 1e6:.1f} MB; {proof}\n"


def test_what_is_not_proven_is_not_written(
    run: Path, done: export.Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "to_onnx", lambda *_: done.path.read_bytes())
    other = dataclasses.replace(done, path=tmp_path / "x.onnx")
    with monkeypatch.context() as patch:
        patch.setattr(export, "largest_difference", lambda *_: 0.5)
        with pytest.raises(
            TrainingError, match=r"torch and ONNX differ by 0\.5: expected at most 0\.0039; nothing was written"
        ):
            export.export(run, other.path)
    assert not list(tmp_path.iterdir())
    assert export.export(run, other.path).path == other.path


def test_a_difference_is_noticed(run: Path, done: export.Export) -> None:
    generator = build("photochrom", pretrained=False)
    generator.load_state_dict(checkpoint.load(run / "newest.pt")["average"])
    generator.eval()
    luma = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    model = Model.load(done.path)
    assert export.largest_difference(generator, model, luma) <= export.TOLERANCE
    with torch.no_grad():
        next(generator.parameters()).mul_(2)
    assert export.largest_difference(generator, model, luma) > export.TOLERANCE


def test_what_cannot_be_exported(run: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="has no checkpoint: expected a folder of `photochrom train`"):
        export.export(tmp_path, tmp_path / "x.onnx")
    with pytest.raises(DataError, match="photochrom prepare"):
        export.export(run, tmp_path / "x.onnx", data=[tmp_path / "moved"])
    assert not list(tmp_path.iterdir())


def test_a_network_that_takes_hints(done: export.Export) -> None:
    torch.manual_seed(0)
    generator = build("photochrom", pretrained=False).eval().requires_grad_(False)
    generator.head.weight.normal_(std=0.3)
    for name, parameter in generator.named_parameters():
        if name.startswith(setup.LATER):
            parameter.normal_(std=0.05)
    card = dataclasses.replace(done.card, hints=True, palettes=True, faint=0.0)  # its answers are faint
    content = export.to_onnx(generator, card)
    assert len(content) <= 16_000_000
    graph = onnx.load_from_string(content)
    assert [item.name for item in graph.graph.input] == ["luma", "temperature", "hints", "palette"]
    model = Model(content, source="hints.onnx")
    luma, mask = torch.rand(2, 1, 64, 96), (torch.rand(2, 1, 64, 96) < 0.1).float()
    assert export.largest_difference(generator, model, luma) <= export.TOLERANCE
    hints = torch.cat([(torch.rand(2, 2, 64, 96) - 0.5) * mask, mask], 1)
    palette = torch.rand(2, 323).softmax(1)
    for guides in ((), (hints,), (None, palette), (hints, palette)):
        expected = generator(luma, *guides)
        chroma, peak = model.run(luma.numpy(), 0.6, *(None if each is None else each.numpy() for each in guides))
        assert np.abs(chroma - generator.decode(expected, 0.6).numpy()).max() <= export.TOLERANCE
        assert peak is not None and np.abs(peak[:, 0] - (expected / 0.6).softmax(1).amax(1).numpy()).max() <= 0.01
    answers = [model.chroma(luma.numpy(), hints=each) for each in (None, hints.numpy(), 0 * hints.numpy())]
    assert np.abs(answers[0] - answers[1]).max() > 0.002 and np.allclose(answers[0], answers[2], atol=1e-6)


def test_a_network_of_fixed_squares(done: export.Export) -> None:
    """The U-Net has 41.8 million weights, so it is exported once, as it is born."""
    torch.manual_seed(0)
    generator = build("unet", pretrained=False).eval().requires_grad_(False)
    assert sum(each.numel() for each in generator.parameters()) == pytest.approx(41.8e6, rel=1e-3)
    card = dataclasses.replace(done.card, generator="unet", size=128, stride=generator.stride, fixed=True)
    content = export.to_onnx(generator, card)
    assert 83e6 < len(content) < 85e6  # two bytes a weight
    graph = onnx.load_from_string(content)
    assert graph.ir_version <= 10
    assert all(item.version <= 18 for item in graph.opset_import)
    model = Model(content, source="unet.onnx")
    assert model.card == card
    luma = torch.rand(2, 1, 128, 128, generator=torch.Generator().manual_seed(0))
    assert export.largest_difference(generator, model, luma) <= export.TOLERANCE
    colorizer = Colorizer(model, Options())
    for shape in ((90, 70), (1, 300), (200, 128)):
        assert colorizer.chroma(np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)).shape == (2, *shape)
