"""Train in bfloat16: where it is asked for, and where it is faster."""

from __future__ import annotations

import csv
import json

import pytest
import torch

from photochrom.training import checkpoint, config, launch, loop

UNET = {
    "generator": "unet",
    "generator_width": 8,
    "discriminator_width": 8,
    "size": 64,
    "batch": 4,
    "l1_weight": 100.0,
    "ema": 0.0,
    "log_every": 4,
    "validation_photographs": 4,
    "stages": [{"kind": "adversarial", "images": 8}],
}


def losses(run):
    with (run / "log.csv").open(newline="") as file:
        return [[float(row[name]) for name in ("generator", "l1", "real", "fake")] for row in csv.DictReader(file)]


def train(prepared, run, precision, *, devices=1):
    settings = config.from_table(UNET | {"precision": precision})
    loop.train(settings, [prepared], run=run, compute=loop.Compute(devices=devices, accelerator="cpu"))
    return losses(run)


def test_bfloat16_gives_the_losses_of_float32_within_a_hundredth_on_one_process_and_on_two(prepared, tmp_path):
    exact = train(prepared, tmp_path / "float32", "32-true")
    alone = train(prepared, tmp_path / "alone", "bf16-mixed")
    shared = train(prepared, tmp_path / "shared", "bf16-mixed", devices=2)
    assert alone != exact
    for found in (alone, shared):
        assert found == [pytest.approx(line, rel=0.01, abs=0.01) for line in exact]


@pytest.mark.parametrize(
    ("generator", "native", "precision"),
    [("unet", True, "bf16-mixed"), ("unet", False, "32-true"), ("photochrom", True, "bf16-decoder")],
)
def test_auto_takes_bfloat16_where_it_pays(monkeypatch, generator, native, precision):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: native)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    settings = config.load(generator, ["precision=auto"])
    assert launch.precision_of(settings, "cpu") == precision


@pytest.mark.parametrize(("native", "precision"), [(True, "bf16-mixed"), (False, "32-true")])
def test_the_run_keeps_what_auto_became(monkeypatch, prepared, tmp_path, native, precision):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: native)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    train(prepared, tmp_path / "run", "auto")
    assert json.loads((tmp_path / "run" / "config.json").read_text())["precision"] == precision
    assert checkpoint.load(tmp_path / "run" / "newest.pt")["config"]["precision"] == precision
