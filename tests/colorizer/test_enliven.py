"""What vividness does to the network's chroma: more color at the same error, no cast, and grey stays grey."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from skimage import data

from photochrom import color
from photochrom.colorizer.model import Card, Model


def chroma(seed: int = 0) -> np.ndarray:
    return ((np.random.default_rng(seed).random((2, 24, 32)) - 0.4) * 0.3).astype(np.float32)


def test_a_gain_of_1_changes_nothing_but_what_is_faint() -> None:
    planes = chroma()
    assert np.allclose(color.enliven(planes, 1.0, cast=0.3, faint=0.0), planes, atol=1e-7)
    faint = np.full((2, 4, 4), 0.01 / np.sqrt(2), np.float32)
    assert np.allclose(color.enliven(faint, 1.0, cast=0.3, faint=0.01), faint / 2)
    strong = 10 * faint
    assert np.allclose(color.enliven(strong, 1.0, cast=0.3, faint=0.01), strong, rtol=2e-4)
    assert not color.enliven(np.zeros((2, 4, 4), np.float32), 2.0, cast=0.3, faint=0.0).any()


@pytest.mark.parametrize(("cast", "share"), [(1.0, 2.0), (0.5, 1.5), (0.0, 1.0)])
def test_the_mean_gets_its_share_of_the_gain_and_the_rest_all_of_it(cast: float, share: float) -> None:
    planes = chroma()
    found = color.enliven(planes, 2.0, cast=cast, faint=0.0)
    mean, before = found.mean((1, 2)), planes.mean((1, 2))
    assert np.allclose(mean, share * before, rtol=1e-4)
    assert np.allclose(found - mean[:, None, None], 2 * (planes - before[:, None, None]), atol=1e-6)


def test_torch_and_numpy_agree_and_each_photograph_has_its_own_mean() -> None:
    batch = np.stack([chroma(0), chroma(1) + np.float32(0.1)])
    ours = color.enliven(batch, 1.5, cast=0.5, faint=0.0125)
    assert ours.dtype == np.float32
    assert np.allclose(ours, color.enliven(torch.from_numpy(batch), 1.5, cast=0.5, faint=0.0125).numpy(), atol=1e-6)
    assert np.allclose(ours[1], color.enliven(batch[1], 1.5, cast=0.5, faint=0.0125), atol=1e-6)


@pytest.mark.parametrize("name", ["coffee", "chelsea", "astronaut"])
def test_the_same_colorfulness_costs_less_change_than_a_plain_gain(name: str) -> None:
    luma, planes = color.split(getattr(data, name)()[::4, ::4])
    dull = planes * np.float32(0.5)

    def reached(change: np.ndarray) -> float:
        return color.colorfulness(color.join(luma, dull + change))

    plain = 0.5 * dull
    low, high = 1.0, 3.0
    for _ in range(20):
        gain = (low + high) / 2
        change = color.enliven(dull, gain, cast=0.5, faint=0.0) - dull
        low, high = (gain, high) if reached(change) < reached(plain) else (low, gain)
    assert np.square(change).sum() < 0.97 * np.square(plain).sum()


def test_a_model_fades_what_is_faint_from_vividness_1_on_and_an_older_card_not_at_all() -> None:
    model = Model.load()
    luma = np.full((1, 1, 128, 128), 0.5, np.float32) + np.linspace(0, 0.2, 128, dtype=np.float32)
    answers = []
    for faint in (0.0, 0.1):
        model.card = dataclasses.replace(model.card, faint=faint, cast=1.0, vividness=((1.0, 1.0),) * 3)
        answers.append([np.hypot(*model.chroma(luma, vividness=vividness)[0]).mean() for vividness in (0.0, 0.5, 1.0, 2.0)])
    plain, faded = answers
    assert np.allclose(plain, plain[0]) and faded[0] == plain[0]
    assert plain[0] > faded[1] > faded[2] == faded[3]
    assert (Card.cast, Card.faint) == (1.0, 0.0)
