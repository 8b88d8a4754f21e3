"""Define the losses of the generator and of the discriminator."""

from __future__ import annotations

import math
from typing import Literal, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from photochrom import color
from photochrom.training.networks.encoders import Encoder

AdversarialLoss = Literal["bce", "lsgan", "hinge", "wgan"]


def discriminator_loss(kind: AdversarialLoss, real: Tensor, fake: Tensor, *, target: float = 1.0) -> tuple[Tensor, Tensor]:
    """Score how well the discriminator tells true from generated: its losses on true and on generated patches.

    Sources: bce, Goodfellow et al. 2014, eq. 1; lsgan, Mao et al. 2017, eq. 9; hinge, Lim & Ye 2017, eq. 18; wgan, Arjovsky
    et al. 2017, eq. 2. A target below 1 for true patches is one-sided label smoothing (Salimans et al. 2016, section 3.4), for
    bce and lsgan.
    """
    if kind == "bce":
        return (target * F.softplus(-real) + (1 - target) * F.softplus(real)).mean(), F.softplus(fake).mean()
    if kind == "lsgan":
        return (real - target).square().mean(), fake.square().mean()
    if kind == "wgan":
        return -real.mean(), fake.mean()
    return F.relu(1 - real).mean(), F.relu(1 + fake).mean()


def generator_loss(kind: AdversarialLoss, fake: Tensor) -> Tensor:
    """Score how well the generator passes for true (the non-saturating form of ``bce``)."""
    if kind == "bce":
        return F.softplus(-fake).mean()
    if kind == "lsgan":
        return (fake - 1).square().mean()
    return -fake.mean()


def told_apart(kind: AdversarialLoss, real: Tensor, fake: Tensor) -> Tensor:
    """Return the share of patches that the discriminator tells apart; ``wgan`` has only the middle of both means."""
    threshold = (real.mean() + fake.mean()) / 2 if kind == "wgan" else 0.5 if kind == "lsgan" else 0.0
    return ((real > threshold).float().mean() + (fake <= threshold).float().mean()) / 2


def collapsed(kind: AdversarialLoss, real: float, fake: float, *, target: float, limit: float) -> bool:
    """Return whether both losses of a discriminator lie within ``limit`` of the least there can be; ``wgan`` has no least."""
    if kind == "wgan":
        return False
    smoothed = kind == "bce" and target < 1
    least = -target * math.log(target) - (1 - target) * math.log(1 - target) if smoothed else 0.0
    return max(real - least, fake) < limit


@final
class BinCrossEntropy(nn.Module):
    """Compare predicted bins with soft-encoded true chroma (Zhang et al. 2016, eq. 2).

    A target spreads over its 5 nearest bins with Gaussian weights of half a bin step. As chroma has 256 levels, the encoding of
    each of the 65,536 pairs is looked up, not computed.

    Args:
        prior: ``(323,)`` share of each bin in the training pixels, or None for no rebalancing.
        uniform: lambda of Zhang et al. 2016, eq. 4: weights are ``1 / ((1 - lambda) prior + lambda / 323)``, 1 = all equal.
    """

    nearest: Tensor
    share: Tensor
    weight: Tensor

    def __init__(self, prior: Tensor | None = None, uniform: float = 1.0) -> None:
        super().__init__()
        centers = color.bins()
        levels = (np.arange(256, dtype=np.float32) - 128) / 255
        pairs = np.stack(np.meshgrid(levels, levels, indexing="ij"), -1).reshape(-1, 2)
        distance = ((pairs[:, None] - centers) ** 2).sum(-1)
        nearest = np.argsort(distance, axis=1, kind="stable")[:, :5]
        gauss = np.exp(-np.take_along_axis(distance, nearest, 1) / (2 * (color.BIN_STEP / 2) ** 2)) + 1e-12
        self.register_buffer("nearest", torch.from_numpy(nearest), persistent=False)
        self.register_buffer("share", torch.from_numpy(gauss / gauss.sum(1, keepdims=True)).float(), persistent=False)
        weight = torch.ones(len(centers))
        if prior is not None:
            weight = 1 / ((1 - uniform) * prior + uniform / len(centers))
            weight = weight / (prior * weight).sum()
        self.register_buffer("weight", weight, persistent=False)

    def forward(self, logits: Tensor, chroma: Tensor) -> Tensor:
        """Average the cross-entropy of ``(..., 323)`` logits with ``(..., 2)`` true chroma, in nats."""
        code = (chroma * 255 + 128).round().clamp(0, 255).long()
        code = code[..., 0] * 256 + code[..., 1]
        nearest, share = self.nearest[code], self.share[code]
        entropy = logits.logsumexp(-1) - (logits.gather(-1, nearest) * share).sum(-1)
        weight = self.weight[nearest[..., 0]]
        return (entropy * weight).mean()


@final
class Perceptual(nn.Module):
    """Compare two colored photographs by the features of a frozen ImageNet network (Johnson et al. 2016, eq. 2, with L1)."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder(3)
        self.encoder.load_imagenet()
        self.requires_grad_(False)

    def forward(self, luma: Tensor, generated: Tensor, true: Tensor) -> Tensor:
        """Average |difference| over the features at strides 4, 8 and 16, each scaled by its own mean size.

        Args:
            luma: ``(N, 1, H, W)`` in [0, 1], shared by both.
            generated: ``(N, 2, H, W)`` chroma; gradients flow into it.
            true: ``(N, 2, H, W)`` chroma.
        """
        fake = self.encoder(_rgb(luma, generated))
        with torch.no_grad():
            real = self.encoder(_rgb(luma, true))
        parts = (1, 2, 3)  # by photograph, so that the mean over processes is the mean over the whole batch
        terms = [(f - r).abs().mean(parts) / (r.abs().mean(parts) + 1e-6) for f, r in zip(fake[:3], real[:3], strict=True)]
        return torch.stack(terms).mean()


def _rgb(luma: Tensor, chroma: Tensor) -> Tensor:
    return torch.cat(color.ycbcr_to_rgb(luma, chroma[:, :1], chroma[:, 1:]), 1).clamp(0, 1)
