from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from photochrom import color
from photochrom.training.losses import BinCrossEntropy, Perceptual, discriminator_loss, generator_loss


def plain_cross_entropy(logits, chroma):
    """Zhang et al. 2016, eq. 2, without a table and by loops."""
    total = 0.0
    centers = color.bins().astype(np.float64)
    for row, true in zip(logits.double().numpy(), chroma.double().numpy(), strict=True):
        level = np.round(true * 255) / 255
        distance = ((centers - level) ** 2).sum(1)
        near = np.argsort(distance, kind="stable")[:5]
        weight = np.exp(-distance[near] / (2 * 0.025**2))
        weight /= weight.sum()
        log_share = row - np.log(np.exp(row).sum())
        total -= (weight * log_share[near]).sum()
    return total / len(logits)


def test_the_cross_entropy_is_that_of_the_paper():
    torch.manual_seed(0)
    logits, chroma = torch.randn(64, 323), torch.randn(64, 2) * 0.1
    assert float(BinCrossEntropy()(logits, chroma)) == pytest.approx(plain_cross_entropy(logits, chroma), rel=1e-5)


def test_soft_encoding_keeps_the_chroma():
    loss = BinCrossEntropy()
    bins = torch.from_numpy(color.bins())
    levels = torch.tensor([[cb, cr] for cb in range(90, 170, 4) for cr in range(90, 170, 4)])
    code = levels[:, 0] * 256 + levels[:, 1]
    mean = (bins[loss.nearest[code]] * loss.share[code][..., None]).sum(1)
    assert torch.allclose(loss.share.sum(-1), torch.ones(1))
    assert (mean - (levels - 128) / 255).abs().max() < 0.02


def test_rebalancing_weighs_rare_bins_up_and_leaves_the_mean_weight_at_one():
    prior = torch.rand(323) ** 4 + 1e-6
    prior /= prior.sum()
    loss = BinCrossEntropy(prior, 0.5)
    assert float((loss.weight * prior).sum()) == pytest.approx(1, rel=1e-4)
    assert loss.weight[prior.argmin()] > 3 * loss.weight[prior.argmax()]
    expected = 1 / (0.5 * prior + 0.5 / 323)
    assert torch.allclose(loss.weight / loss.weight[0], expected / expected[0], rtol=1e-4)


def test_adversarial_losses_against_references():
    real, fake = torch.randn(4, 1, 6, 6), torch.randn(4, 1, 6, 6)
    ones, zeros = torch.ones_like(real), torch.zeros_like(real)
    bce, mse = F.binary_cross_entropy_with_logits, F.mse_loss
    for kind, on_real, on_fake, on_generator in (
        ("bce", bce(real, ones), bce(fake, zeros), bce(fake, ones)),
        ("lsgan", mse(real, ones), mse(fake, zeros), mse(fake, ones)),
        ("hinge", (1 - real).clamp(min=0).mean(),
         (1 + fake).clamp(min=0).mean(), -fake.mean()),
    ):  # fmt: skip
        got = discriminator_loss(kind, real, fake)
        assert torch.allclose(got[0], on_real) and torch.allclose(got[1], on_fake)
        assert torch.allclose(generator_loss(kind, fake), on_generator)


def test_the_perceptual_loss_is_zero_for_the_truth_and_grows_with_the_error():
    torch.manual_seed(0)
    loss = Perceptual().eval()
    luma, true = torch.rand(2, 1, 64, 64) * 0.5 + 0.25, (torch.rand(2, 2, 64, 64) - 0.5) * 0.2
    values = [float(loss(luma, true * scale, true)) for scale in (1.0, 0.7, 0.0)]
    assert values[0] == 0 and values[0] < values[1] < values[2]
    assert not any(p.requires_grad for p in loss.parameters())
