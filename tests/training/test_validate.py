"""Test the scores and the vividness that a generator gets, on generators whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from photochrom import color
from photochrom.training import validate
from photochrom.training.validate import CAST, FAINT


class Known(nn.Module):
    """Answer with the chroma that a photograph's luma stands for, times the temperature."""

    def __init__(self, strength: float = 1.0) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.tensor(strength))

    def forward(self, luma):
        return self.strength * known(luma)

    def decode(self, prediction, temperature):
        return prediction * temperature


def known(luma):
    """Make chroma of luma, so that a generator can know it: two waves, and another mean in each photograph."""
    mean = luma.mean((2, 3), keepdim=True)
    return torch.cat([0.05 * torch.sin(20 * luma) + 0.04 * mean, 0.04 * torch.cos(15 * luma)], 1)


@pytest.fixture
def luma():
    return 0.3 + 0.4 * torch.rand(40, 1, 16, 16, generator=torch.Generator().manual_seed(0))  # more than one small batch


def test_the_gains_of_vividness_are_found(luma, monkeypatch):
    truth = color.enliven(known(luma), 2.0, cast=CAST, faint=FAINT)
    half = validate.colorfulness(luma, color.enliven(known(luma), 1.5, cast=CAST, faint=FAINT))
    monkeypatch.setattr(validate, "COLORFULNESS", (half / validate.colorfulness(luma, truth), 1.0))
    rows = validate.calibrate(Known(), (luma, truth))
    assert [temperature for temperature, _ in rows] == [1, 1, 1], "vividness is a gain, not a temperature"
    assert [gain for _, gain in rows] == pytest.approx([1, 1.5, 2], abs=0.01)


def test_the_shipped_shares_of_colorfulness_are_reached(luma):
    truth = 1.3 * known(luma)
    (_, plain), *others = validate.calibrate(Known(0.8), (luma, truth))
    assert plain == 1
    for (_, gain), share in zip(others, (0.74, 1.02), strict=True):
        answer = color.enliven(0.8 * known(luma), gain, cast=CAST, faint=FAINT)
        reached = np.mean([color.colorfulness(color.join(y[0].numpy(), c.numpy())) for y, c in zip(luma, answer, strict=True)])
        whole = np.mean([color.colorfulness(color.join(y[0].numpy(), c.numpy())) for y, c in zip(luma, truth, strict=True)])
        assert reached / whole == pytest.approx(share, abs=0.01)


def test_a_grey_answer_gets_the_largest_gain_and_a_vivid_one_the_smallest(luma):
    assert [gain for _, gain in validate.calibrate(Known(0.0), (luma, known(luma)))] == pytest.approx([1, 4, 4], abs=0.01)
    assert [gain for _, gain in validate.calibrate(Known(4.0), (luma, 0.2 * known(luma)))] == pytest.approx(
        [1, 0.5, 0.5], abs=0.01
    )


def test_a_score_does_not_depend_on_how_vivid_the_answer_is(luma):
    truth = known(luma)
    dull, vivid = (validate.score(Known(strength), (luma, truth), 1.0) for strength in (0.3, 1.0))
    assert dull["score"] == pytest.approx(vivid["score"], rel=1e-4)
    assert (dull["chroma"], vivid["chroma"]) == pytest.approx((0.3, 1.0), rel=1e-4)
    assert vivid["disparity"] == pytest.approx(0, abs=1e-4) and dull["grey"] == vivid["grey"] > dull["disparity"] > 0
    assert dull["disparity"] == pytest.approx(0.7 * dull["grey"], rel=1e-3), "seven tenths of the color is missing"
    assert validate.score(Known(0.5), (luma, truth), 2.0)["disparity"] == pytest.approx(0, abs=1e-4), "at the temperature"
