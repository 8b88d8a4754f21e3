"""Measure how far generated photographs are from true ones as a crowd: the Frechet distance (Heusel et al. 2017, eq. 6)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Literal, final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

from photochrom.errors import ConfigError, one_line
from photochrom.training.generators import Encoder

Features = Literal["efficientnet-lite0", "inception"]
"""The network that looks at the photographs. ``inception`` needs torch-fidelity and fetches its weights."""

SIDES: dict[Features, int] = {"efficientnet-lite0": 128, "inception": 299}
"""Side of the squares that the networks see, in pixels."""
BATCH = 32

logging.getLogger("torchmetrics").setLevel(logging.ERROR)


@final
class Lite0Features(nn.Module):
    """Describe pictures by the last features of the frozen ImageNet EfficientNet-Lite0, averaged over each picture."""

    num_features = 320

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder(3)
        self.encoder.load_imagenet()
        self.eval().requires_grad_(False)

    def forward(self, pictures: Tensor) -> Tensor:
        """Map ``(N, 3, H, W)`` pictures in [0, 1] to ``(N, 320)`` features."""
        deepest: Tensor = self.encoder(pictures)[-1]
        return deepest.mean((2, 3))


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
    try:
        network: nn.Module | int = Lite0Features() if features == "efficientnet-lite0" else 2048
        metric = FrechetInceptionDistance(feature=network, normalize=True)
    except (ModuleNotFoundError, OSError) as error:
        raise ConfigError(
            f"the Frechet features '{features}' are not here ({one_line(error)}); use efficientnet-lite0"
        ) from error
    for pictures, real in ((true, True), (generated, False)):
        for start in range(0, len(pictures), BATCH):
            metric.update(_batch(pictures[start : start + BATCH], SIDES[features]), real=real)
    return max(0.0, float(metric.compute()))


def _batch(pictures: Sequence[NDArray[np.uint8]], side: int) -> Tensor:
    squares = [np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC)) for picture in pictures]
    return torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2) / 255
