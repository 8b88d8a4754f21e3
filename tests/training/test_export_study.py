from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from photochrom.colorizer.model import Model
from photochrom.training import checkpoint, config, loop, regularizers
from photochrom.training.export import TOLERANCE, export

TINY = {
    **config.to_table(config.load("plain")), "size": 32, "generator_width": 4, "discriminator_width": 4, "batch": 4,
    "validation_photographs": 4, "stages": [{"kind": "adversarial", "images": 8}],
}  # fmt: skip

ROWS = {
    "unet": {"generator_normalization": "instance"},
    "unet-rgb": {"noise_at_generation": True, "generator_dropout": 0.5, "discriminator": "patch8"},
    "encoder-decoder": {"skips": True, "spectral": "both", "discriminator": "global", "generator_normalization": "none"},
}


@pytest.mark.parametrize(("name", "settings"), ROWS.items())
def test_every_generator_of_the_study_ships(name, settings, prepared, tmp_path):
    loop.train(
        config.from_table(TINY | {"generator": name} | settings),
        [prepared],
        run=tmp_path / "run",
        compute=loop.Compute(accelerator="cpu"),
    )
    written = export(tmp_path / "run", tmp_path / "model.onnx")
    assert written.largest_difference <= TOLERANCE
    model = Model.load(tmp_path / "model.onnx")
    card = model.card
    assert (card.generator, card.size, card.stride, card.fixed) == (name, 32, 32, True)
    assert card.training["config"]["generator_width"] == 4
    luma = np.random.default_rng(0).random((3, 1, 32, 32), np.float32)
    answer = model.chroma(luma, vividness=0)
    assert answer.shape == (3, 2, 32, 32) and np.abs(answer).max() > 0
    assert np.array_equal(answer, model.chroma(luma, vividness=0))
    assert ("answers without" in card.training.get("noise_at_generation", "")) == (name == "unet-rgb")


def test_an_old_run_without_the_new_settings_goes_on_and_loads(prepared, tmp_path):
    run, settings = tmp_path / "run", config.from_table(TINY)
    loop.train(settings, [prepared], run=run, compute=loop.Compute(accelerator="cpu"))
    new = ("mirror", "patience", "r1", "augment", "spectral", "discriminator")
    table = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({key: value for key, value in table.items() if key not in new}))
    state = checkpoint.load(run / "newest.pt")
    for key in new:
        del state["config"][key]
    for key in ("stopped_early", "unimproved", "grey_validations", "lowest_generator_loss", "lowest_generator_images"):
        del state["progress"][key]
    checkpoint.save(run / "newest.pt", state)
    longer = config.from_table(TINY | {"stages": [{"kind": "adversarial", "images": 12}]})
    assert loop.train(longer, [prepared], run=run, compute=loop.Compute(accelerator="cpu")).images_seen == 12


def test_a_released_spectrum_answers_alike(prepared, tmp_path):
    settings = config.from_table(regularizers.apply(TINY, ["spectral-both"]))
    loop.train(settings, [prepared], run=tmp_path / "run", compute=loop.Compute(accelerator="cpu"))
    from photochrom.training.setup import generator_of

    generator = generator_of(settings, pretrained=False)
    generator.load_state_dict(checkpoint.load(tmp_path / "run" / "newest.pt")["average"])
    generator.eval()
    luma = torch.rand(2, 1, 32, 32)
    with torch.no_grad():
        before = generator(luma)
        regularizers.release_spectrum(generator)
        assert torch.equal(generator(luma), before)
