"""Hold the layers that torch does not have in the form needed here."""

from __future__ import annotations

from typing import final

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import _functional_collectives as functional_collectives
from torch.nn import functional as F


@final
class SameConv(nn.Conv2d):
    """Convolve with TensorFlow's SAME padding, which the pretrained weights were trained with.

    For even sizes and a stride of 2 it pads one pixel more behind than before, other than torch does.
    """

    def __init__(
        self, before: int, after: int, *, kernel_size: int, stride: int = 1, groups: int = 1, bias: bool = True
    ) -> None:
        padding = kernel_size // 2 if stride == 1 else 0
        super().__init__(before, after, kernel_size, stride, padding, groups=groups, bias=bias)
        excess = kernel_size - 2
        self.uneven = (excess // 2, excess - excess // 2) * 2 if stride == 2 else None

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``(N, C, H, W)``, H and W multiples of the stride."""
        answer: Tensor = super().forward(F.pad(x, self.uneven) if self.uneven else x)
        return answer


@final
class InvertedResidual(nn.Module):
    """Expand, convolve depthwise, project (Sandler et al. 2018, figure 3), with a shortcut where the shape allows it."""

    def __init__(self, before: int, after: int, kernel: int, *, stride: int, expansion: int) -> None:
        super().__init__()
        width = before * expansion
        self.shortcut = stride == 1 and before == after
        if expansion > 1:
            self.expand = nn.Conv2d(before, width, 1, bias=False)
            self.expand_norm = nn.BatchNorm2d(width, eps=1e-3)
        self.depth = SameConv(width, width, kernel_size=kernel, stride=stride, groups=width, bias=False)
        self.depth_norm = nn.BatchNorm2d(width, eps=1e-3)
        self.project = nn.Conv2d(width, after, 1, bias=False)
        self.project_norm = nn.BatchNorm2d(after, eps=1e-3)
        self.expands = expansion > 1

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, before, H, W)`` to ``(N, after, H / stride, W / stride)``."""
        inner: Tensor = F.relu6(self.expand_norm(self.expand(x))) if self.expands else x
        inner = F.relu6(self.depth_norm(self.depth(inner)))
        inner = self.project_norm(self.project(inner))
        return x + inner if self.shortcut else inner


@final
class BatchNorm(nn.BatchNorm2d):
    """Normalize over the batch of all processes together, on a CPU too (torch's SyncBatchNorm needs a GPU).

    Two processes with half a batch each give what one process with the whole batch gives (Ioffe & Szegedy 2015).
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalize ``(N, C, H, W)`` by channel."""
        if not (self.training and dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
            alone: Tensor = super().forward(x)
            return alone
        count = x.numel() / x.shape[1] * dist.get_world_size()
        mean = all_reduce_sum(x.sum((0, 2, 3))) / count
        centered = x - mean[:, None, None]
        variance = all_reduce_sum(centered.square().sum((0, 2, 3))) / count
        with torch.no_grad():
            assert self.running_mean is not None and self.running_var is not None and self.momentum is not None
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return centered * scale[:, None, None] + self.bias[:, None, None]


def all_reduce_sum(x: Tensor) -> Tensor:
    """Sum a tensor over all processes, with gradients."""
    total: Tensor = functional_collectives.all_reduce(x, "sum", list(range(dist.get_world_size())))
    return total


@final
class Dropout(nn.Module):
    """Drop units as one process with the whole batch would, in however many processes the batch is split.

    Every process draws the mask of the whole batch from the same seed and keeps its own rows: ``rank``, ``rank + world``, ...
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x: Tensor) -> Tensor:
        """Drop with the probability and scale the rest up, in training alone."""
        if not self.training or self.probability == 0:
            return x
        spread = dist.is_available() and dist.is_initialized()
        world, rank = (dist.get_world_size(), dist.get_rank()) if spread else (1, 0)
        mask = torch.rand((world * x.shape[0], *x.shape[1:]), device=x.device)[rank::world] >= self.probability
        return x * mask / (1 - self.probability)
