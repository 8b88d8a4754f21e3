"""Build the discriminators: convolutional networks that score luma and colors together."""

from __future__ import annotations

from typing import Literal, final

import torch
from torch import Tensor, nn

from photochrom.training.config import Normalization
from photochrom.training.networks.generators import FEWER
from photochrom.training.networks.layers import dropout, normalization

Kind = Literal["patch70", "patch8", "global"]


@final
class PatchGAN(nn.Module):
    """Score a colored photograph as true or generated, by overlapping patches or as a whole.

    ``patch70`` (Isola et al. 2017, section 6.1.2): C64-C128-C256-C512 with 4x4 kernels, the first three of stride 2, then one
    channel of scores, each for a patch of 70x70. 2,765,633 parameters.

    ``patch8``, the study's: C64-C128-C256-C512, all of stride 2, then an 8x8 convolution of stride 8: one score at 128 px.
    2,791,233 parameters with luma and RGB.

    ``global``: C64-C128-C256-C512-C512, all of stride 2, then one convolution over all that is left: one score whatever the
    size. 6,961,985 parameters with luma and RGB at 128 px.

    All but the first layer are normalized, all are leaky ReLUs of 0.2, and all but the first may drop units. ``width`` scales
    all channels. At 64 px ``patch8`` has one level fewer, at 32 px two.
    """

    def __init__(
        self,
        width: int = 64,
        kind: Kind = "patch70",
        *,
        size: int = 128,
        rgb: bool = False,
        normalize: Normalization = "batch",
        drop: float = 0.0,
    ) -> None:
        super().__init__()
        left = size
        strides: tuple[int, ...]
        if kind == "patch70":
            strides, last = (2, 2, 2, 1), (4, 1, 1)
        elif kind == "patch8":
            strides, last = (2,) * (4 - FEWER.get(size, 0)), (8, 8, 0)
        else:
            levels = 0
            while left > 4 and left % 2 == 0:
                left, levels = left // 2, levels + 1
            strides, last = (2,) * levels, (left, 1, 0)
        before = 4 if rgb else 3
        layers: list[nn.Module] = []
        for index, stride in enumerate(strides):
            after = width * min(2**index, 8)
            layers.append(nn.Conv2d(before, after, 4, stride, 1, bias=index == 0 or normalize == "none"))
            layers += normalization(normalize, after) if index else []
            layers.append(nn.LeakyReLU(0.2))
            layers += dropout(drop) if index else []
            before = after
        kernel, stride, padding = last
        self.layers = nn.Sequential(*layers, nn.Conv2d(before, 1, kernel, stride, padding))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.02)

    def forward(self, luma: Tensor, colors: Tensor) -> Tensor:
        """Map ``(N, 1, H, W)`` luma and ``(N, 2, H, W)`` chroma or ``(N, 3, H, W)`` RGB to ``(N, 1, h, w)`` scores, unbounded.

        Chroma is doubled, so that like luma it spans a range of 2 around 0; RGB and its luma stay in [0, 1], as in the study.
        """
        parts = [luma, colors] if colors.shape[1] == 3 else [luma * 2 - 1, colors * 2]
        scores: Tensor = self.layers(torch.cat(parts, 1))
        return scores
