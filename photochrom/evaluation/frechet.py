"""Measure how far generated photographs are from true ones as a crowd: the Frechet distance (Heusel et al. 2017, eq. 6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from photochrom.errors import ConfigError, one_line
from photochrom.training.encoders import Encoder

Features = Literal["efficientnet-lite0", "inception"]
"""The network that looks at the photographs. ``inception`` needs torch-fidelity and fetches its weights."""

SIDES: dict[Features, int] = {"efficientnet-lite0": 128, "inception": 299}
"""Side of the squares that the networks see, in pixels."""
BATCH = 32


@final
class Lite0Features(nn.Module):
    """Describe pictures by the last features of the frozen ImageNet EfficientNet-Lite0, averaged over each picture."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder(3)
        self.encoder.load_imagenet()
        self.eval().requires_grad_(False)

    def forward(self, pictures: Tensor) -> Tensor:
        """Map ``(N, 3, H, W)`` pictures in [0, 1] to ``(N, 320)`` features."""
        deepest: Tensor = self.encoder(pictures)[-1]
        return deepest.mean((2, 3))


@dataclass(frozen=True)
class Crowd:
    """Hold the mean of a set of features, ``(D,)``, and a root R of its covariance, ``(K, D)``: the covariance is ``R^T R``."""

    mean: NDArray[np.float64]
    root: NDArray[np.float64]

    @classmethod
    def of(cls, features: NDArray[np.floating[Any]]) -> Crowd:
        """Sum up ``(N, D)`` features, two rows or more."""
        rows = features.astype(np.float64)
        mean = rows.mean(0)
        root: NDArray[np.float64] = np.linalg.qr((rows - mean) / np.sqrt(len(rows) - 1), mode="r")  # type: ignore[assignment]
        return cls(mean, root)


def distance(one: Crowd, two: Crowd) -> float:
    """Give the Frechet distance of two normal distributions; 0 = alike.

    The trace of ``sqrt(C1 C2)`` is the sum of the singular values of ``R1 R2^T``: both have the same squares.
    """
    means = np.square(one.mean - two.mean).sum()
    traces = np.square(one.root).sum() + np.square(two.root).sum()
    return max(0.0, float(means + traces - 2 * np.linalg.svd(one.root @ two.root.T, compute_uv=False).sum()))


def frechet_distance(
    true: Sequence[NDArray[np.uint8]], generated: Sequence[NDArray[np.uint8]], *, features: Features = "efficientnet-lite0"
) -> float:
    """Compare the distributions of features of two sets of pictures; 0 = alike.

    The distance is biased upward for few pictures, so compare only distances of the same number of them.

    Args:
        true: ``(H, W, 3)`` uint8 pictures of any size, at least two; the networks see them squeezed to a square.
        generated: likewise.
        features: the network.

    Raises:
        ConfigError: there are fewer than two of either, or the network is not here.
    """
    if min(len(true), len(generated)) < 2:
        raise ConfigError(f"a Frechet distance of {len(true)} and {len(generated)} pictures: expected 2 or more of each")
    network = Lite0Features() if features == "efficientnet-lite0" else _inception()
    crowds = []
    for pictures in (true, generated):
        batches = [squares(pictures[start : start + BATCH], SIDES[features]) for start in range(0, len(pictures), BATCH)]
        crowds.append(Crowd.of(torch.cat([network(batch) for batch in batches]).numpy()))
    return distance(crowds[0], crowds[1])


def squares(pictures: Sequence[NDArray[np.uint8]], side: int) -> Tensor:
    """Squeeze ``(H, W, 3)`` uint8 pictures of any sizes to ``(N, 3, side, side)`` in [0, 1]."""
    small = [np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC)) for picture in pictures]
    return torch.from_numpy(np.stack(small)).permute(0, 3, 1, 2) / 255


def _inception() -> Callable[[Tensor], Tensor]:
    from torchmetrics.image.fid import FrechetInceptionDistance

    try:
        network = FrechetInceptionDistance(feature=2048).inception
    except (ModuleNotFoundError, OSError) as error:
        raise ConfigError(
            f"the Frechet features 'inception' are not here ({one_line(error)}); use efficientnet-lite0"
        ) from error
    return lambda pictures: network((pictures * 255).byte())
