"""Test what one step of the network that ships minimizes."""

import pytest
import torch
from lightning.fabric import Fabric
from torch.nn import functional as F

from photochrom.training import config
from photochrom.training.data import dataset
from photochrom.training.losses import BinCrossEntropy
from photochrom.training.setup import set_up
from photochrom.training.step import step


def test_bins_and_the_error_of_their_mean_are_weighed_together(prepared, tmp_path):
    stage = {"kind": "generator", "images": 4}
    table = {"generator": "photochrom", "size": 32, "batch": 4, "positions": 64, "pretrained": False, "stages": [stage]}
    settings = config.from_table(table | {"bins_weight": 2.0, "l1_weight": 30.0, "temperature": 0.7})
    crops = dataset.Crops(dataset.index([prepared]), size=32, seed=0, smallest=1, stretch=0, aging=0)
    fabric = Fabric(accelerator="cpu", devices=1)
    networks, _, _ = set_up(fabric, settings, crops, tmp_path / "run")
    luma, chroma = (torch.stack(parts) for parts in zip(*(crops[i] for i in range(4)), strict=True))
    with torch.no_grad():
        logits, truth = networks.generator(luma), F.interpolate(chroma, (8, 8), mode="area")
        bins = BinCrossEntropy()(logits.movedim(1, -1), truth.movedim(1, -1))
        l1 = 255 * (networks.generator.decode(logits, 0.7) - truth).abs().mean()
    losses = step(fabric, networks, (luma, chroma), config=settings, stage=settings.stages[0])
    expected = {"bins": bins, "l1": l1, "generator": 2 * bins + 30 / 255 * l1}
    for name, value in expected.items():
        assert float(losses[name]) == pytest.approx(float(value), rel=1e-4), name
