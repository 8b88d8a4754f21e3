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
        model.card = dataclasses.replace(model.card, belief=0.0, faint=faint, cast=1.0, vividness=((1.0, 1.0),) * 3)
        answers.append([np.hypot(*model.chroma(luma, vividness=vividness)[0]).mean() for vividness in (0.0, 0.5, 1.0, 2.0)])
    plain, faded = answers
    assert np.allclose(plain, plain[0]) and faded[0] == plain[0]
    assert plain[0] > faded[1] > faded[2] == faded[3]
    assert (Card.cast, Card.faint) == (1.0, 0.0)


def test_a_photograph_whose_hue_is_open_is_believed_to_have_more_color_than_its_mean_says() -> None:
    """Of two photographs with the same lengths of chroma, one is sure of its hue and one half as long in the mean."""
    length = np.full((2, 24, 32), 0.08, np.float32)
    planes = np.zeros((2, 2, 24, 32), np.float32)
    planes[0, 0], planes[1, 0] = 0.08, 0.04
    ratio = color.believed_ratio(planes, length)
    assert ratio.shape == (2, 1, 1, 1) and np.allclose(ratio.ravel(), (1, 2), rtol=2e-3)
    assert np.allclose(ratio, color.believed_ratio(torch.from_numpy(planes), torch.from_numpy(length)).numpy())
    assert np.allclose(color.believed_factor(planes, length, 1.5, 1.0).ravel(), (1 / 1.5, 2 / 1.5), rtol=2e-3)
    assert np.allclose(color.believed_factor(planes, length, 1.5, 2.0), color.believed_factor(planes, length, 1.5, 1.0))
    assert np.array_equal(color.believed_factor(planes, length, 1.5, 0.0).ravel(), (1, 1))
    assert color.believed_factor(planes, length, 0.01, 1.0).max() == color.BELIEF_MOST


def test_a_model_gives_each_photograph_its_own_gain_and_one_with_an_older_card_the_same_to_all() -> None:
    model = Model.load()
    luma = np.linspace(0, 1, 128 * 128, dtype=np.float32).reshape(1, 1, 128, 128)
    same = dataclasses.replace(model.card, belief=0.0)
    own = dataclasses.replace(model.card, belief=1.1)
    model.card = own
    found = model.answer(luma)[0], model.answer(luma, vividness=0)[0]
    expected, _, share = model.distribution(luma, vividness=0)
    _, gain = model.decoding(1.0)
    factor = float(color.believed_factor(expected, np.tensordot(color.bin_lengths(), share, (0, 1)), 1.1, 1.0).squeeze())
    model.card = same
    assert np.array_equal(found[1], model.answer(luma, vividness=0)[0])
    assert factor > 1.05 and np.hypot(*found[0][0]).mean() > np.hypot(*model.answer(luma)[0][0]).mean()
    plain = model.run(luma, model.decoding(1.0)[0])[0]
    wanted = color.enliven(plain, gain * factor, cast=own.cast, faint=own.faint).clip(-0.5, 0.5)
    assert np.allclose(found[0], wanted, atol=1e-5)
