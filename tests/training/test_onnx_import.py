"""A training starts from a model file: what it answers is what the file answers."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

import photochrom
from photochrom import color
from photochrom.colorizer.model import BUNDLED, Model
from photochrom.errors import TrainingError
from photochrom.training import config, loop, setup
from photochrom.training.data import dataset
from photochrom.training.export import export, to_onnx
from photochrom.training.networks.generators import build
from photochrom.training.onnx_import import unfold

WEIGHTS = Model.load()
FILE = Path(photochrom.__path__[0]) / "colorizer" / "weights" / BUNDLED


def crops(prepared):
    return dataset.Crops(dataset.index([prepared]), size=64, seed=0, smallest=0.7, stretch=0.2, aging=0.0)


def test_the_generator_answers_as_the_file_does_with_hints_and_palettes(prepared):
    generator = build("photochrom", pretrained=True, attention=2)
    setup.calibrate_norms(generator, crops(prepared))
    about = unfold(generator, FILE)
    assert about["images_seen"] > 0
    generator.eval()
    random = np.random.default_rng(0)
    luma = random.random((2, 1, 128, 160)).astype(np.float32)
    hints = np.zeros((2, 3, 128, 160), np.float32)
    hints[:, :, 40:44, 60:64] = np.array([0.1, -0.2, 1], np.float32)[:, None, None]
    palette = np.full((2, len(color.bins())), 1 / 323, np.float32)
    for guides in ((), (hints, palette)):
        with torch.no_grad():
            ours = generator.decode(generator(*map(torch.from_numpy, (luma, *guides))), 1.0).numpy()
        theirs, _ = WEIGHTS.run(luma, 1.0, *guides)
        assert np.abs(ours - theirs).max() < 1e-3
        assert np.abs(theirs).max() > 0.01


def test_a_file_of_another_generator_is_refused(tmp_path):
    with pytest.raises(TrainingError, match="holds a generator of another form, without"):
        unfold(build("unet", pretrained=False), FILE)
    with pytest.raises(TrainingError, match="holds self-attention"):
        unfold(build("photochrom", pretrained=False), FILE)
    with pytest.raises(TrainingError, match="cannot start from"):
        unfold(build("unet", pretrained=False), tmp_path / "missing.onnx")


def test_frozen_blocks_stay_and_the_card_knows_the_file(prepared, tmp_path):
    table = {
        "generator": "photochrom", "attention": 2, "bins_weight": 1.0, "hints": 0.5, "repaints": 0.5, "size": 32, "batch": 4,
        "frozen": 3, "log_every": 4, "checkpoint_every": 4, "validate_every": 8, "validation_photographs": 4, "sample_every": 1000,
        "stages": [{"kind": "generator", "images": 8, "rate": 1e-2}],
    }  # fmt: skip
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        loop.train(
            config.from_table(table), [prepared], run=tmp_path / "run", compute=loop.Compute(accelerator="cpu"), init=FILE
        )
    finally:
        torch.set_num_threads(threads)
    done = export(tmp_path / "run", tmp_path / "model.onnx")
    assert done.card.training["init"]["images_seen"] == WEIGHTS.card.training["images_seen"]
    again, before = build("photochrom", pretrained=True, attention=2), build("photochrom", pretrained=True, attention=2)
    for network, path in ((again, tmp_path / "model.onnx"), (before, FILE)):
        torch.manual_seed(0)
        setup.calibrate_norms(network, crops(prepared))
        unfold(network, path)
    for index, (ours, theirs) in enumerate(zip(again.encoder.blocks, before.encoder.blocks, strict=True)):
        pairs = zip(ours.requires_grad_(False).parameters(), theirs.requires_grad_(False).parameters(), strict=True)
        largest = max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs)
        assert (largest < 1e-3) is (index < 3)


def test_a_file_with_attention_is_unfolded(tmp_path):
    torch.manual_seed(0)
    generator = build("photochrom", pretrained=True, attention=1).eval().requires_grad_(False)
    for parameter in generator.parameters():
        parameter.add_(0.01 * torch.randn_like(parameter))  # its layers start at zero
    path = tmp_path / "model.onnx"
    path.write_bytes(to_onnx(generator, dataclasses.replace(WEIGHTS.card, size=64)))
    other = build("photochrom", pretrained=True, attention=1).eval()
    unfold(other, path)
    luma = torch.rand(2, 1, 64, 96)
    with torch.no_grad():
        ours, theirs = (network.decode(network(luma), 1.0) for network in (other, generator))
    assert theirs.abs().max() > 0.005 and (ours - theirs).abs().max() < 1e-3
