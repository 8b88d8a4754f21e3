"""Build the discriminator: the conditional 70x70 PatchGAN."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from photochrom.training.layers import BatchNorm


@final
class PatchGAN(nn.Module):
    """Score overlapping 70x70 patches of a colored photograph as true or generated (Isola et al. 2017, section 6.1.2).

    C64-C128-C256-C512 with 4x4 kernels, the first three of stride 2, batch norm in all but the first, leaky ReLU of 0.2, then
    one channel of scores. ``width`` scales all channels; the receptive field stays 70 px.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        widths = (width, 2 * width, 4 * width, 8 * width)
        layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for index in range(1, 4):
            stride = 2 if index < 3 else 1
            layers += [
                nn.Conv2d(widths[index - 1], widths[index], 4, stride, 1, bias=False),
                BatchNorm(widths[index]),
                nn.LeakyReLU(0.2),
            ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, 1, 1))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.02)

    def forward(self, luma: Tensor, chroma: Tensor) -> Tensor:
        """Map ``(N, 1, H, W)`` luma and ``(N, 2, H, W)`` chroma to ``(N, 1, h, w)`` scores, unbounded.

        Chroma is doubled, so that like luma it spans a range of 2 around 0.
        """
        scores: Tensor = self.layers(torch.cat([luma * 2 - 1, chroma * 2], 1))
        return scores
