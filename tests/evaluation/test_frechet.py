from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import linalg
from torchmetrics.image import fid

from photochrom.errors import ConfigError
from photochrom.evaluation import features
from photochrom.evaluation.features import frechet_distance
from tests.support.testdata import picture


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(0)
    whole = [picture(name) for name in ("astronaut", "chelsea", "coffee", "rocket")]
    cuts = []
    for index in range(12):
        top, left = (int(rng.integers(0, side - 130)) for side in whole[index % 4].shape[:2])
        cuts.append(whole[index % 4][top : top + 128, left : left + 120 + index])
    return cuts


def test_it_is_the_distance_of_two_normal_distributions(pictures):
    grey = [np.repeat(each.mean(2, keepdims=True).astype(np.uint8), 3, 2) for each in pictures]
    network = features.Lite0Features()
    one, two = (network(features.squares(each, 128)).double().numpy() for each in (pictures, grey))
    assert one.shape == (12, 320)
    root = linalg.sqrtm(np.cov(one.T) @ np.cov(two.T) + 1e-9 * np.eye(320)).real
    expected = np.square(one.mean(0) - two.mean(0)).sum() + np.trace(np.cov(one.T) + np.cov(two.T) - 2 * root)
    assert frechet_distance(pictures, grey) == pytest.approx(expected, rel=1e-3)


def test_equal_sets_have_none_and_more_color_is_nearer(pictures):
    half = [(each // 2 + each.mean(2, keepdims=True).astype(np.uint8) // 2) for each in pictures]
    grey = [np.repeat(each.mean(2, keepdims=True).astype(np.uint8), 3, 2) for each in pictures]
    same = frechet_distance(pictures, pictures[::-1])
    assert same < 0.01 * frechet_distance(pictures, half)
    assert frechet_distance(pictures, half) < frechet_distance(pictures, grey)


def test_the_network_is_frozen_and_that_of_imagenet():
    network = features.Lite0Features()
    assert not any(parameter.requires_grad for parameter in network.parameters()) and not network.training
    assert network.encoder.stem.weight.abs().sum() > 1 and network(torch.rand(2, 3, 64, 64)).shape == (2, 320)


def test_what_cannot_be_compared_is_refused(pictures, monkeypatch):
    with pytest.raises(ConfigError, match="1 and 12 pictures"):
        frechet_distance(pictures[:1], pictures)

    def missing(**_):
        raise ModuleNotFoundError("No module named 'torch_fidelity'")

    monkeypatch.setattr(fid, "FrechetInceptionDistance", missing)
    with pytest.raises(ConfigError, match=r"No module named 'torch_fidelity'.*use efficientnet-lite0"):
        frechet_distance(pictures, pictures, features="inception")
