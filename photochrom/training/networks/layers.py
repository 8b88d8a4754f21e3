"""Hold the layers that torch does not have in the form needed here."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import final

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import _functional_collectives as functional_collectives
from torch.nn import functional as F

from photochrom.training.config import Normalization


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

    Two processes with half a batch each give what one process with the whole batch gives (Ioffe & Szegedy 2015). A ``noisy``
    layer takes the statistics of the batch that it is given after training too, and does not change the stored ones.
    """

    def __init__(self, width: int, *, noisy: bool = False) -> None:
        super().__init__(width)
        self.noisy = noisy

    def forward(self, x: Tensor) -> Tensor:
        """Normalize ``(N, C, H, W)`` by channel."""
        if self.noisy and not self.training:
            return F.batch_norm(x, None, None, self.weight, self.bias, training=True, eps=self.eps)
        if not (self.training and _world() > 1):
            own: Tensor = super().forward(x)
            return own
        values = x.float()  # sums over a batch need more than bfloat16
        count = x.numel() / x.shape[1] * dist.get_world_size()
        mean = all_reduce_sum(values.sum((0, 2, 3))) / count
        centered = values - mean[:, None, None]
        variance = all_reduce_sum(centered.square().sum((0, 2, 3))) / count
        with torch.no_grad():
            assert self.running_mean is not None and self.running_var is not None and self.momentum is not None
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centered * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)


@final
class SelfAttention(nn.Module):
    """Let each place of a feature map see all others (a pre-norm block of Vaswani et al. 2017; Zhang et al. 2019 for pictures).

    A depthwise convolution tells the places where they are (Chu et al. 2021), so that any size fits. All three parts are
    residuals that start at zero: a new block changes nothing.
    """

    def __init__(self, width: int, heads: int = 4, expansion: int = 2) -> None:
        super().__init__()
        self.heads = heads
        self.position = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.norm, self.inner_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.queries = nn.Conv2d(width, 3 * width, 1)
        self.output = nn.Conv2d(width, width, 1)
        self.expand = nn.Conv2d(width, expansion * width, 1)
        self.project = nn.Conv2d(expansion * width, width, 1)
        for layer in (self.position, self.output, self.project):
            nn.init.zeros_(layer.weight)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, C, H, W)`` to the same shape."""
        width = x.shape[1]
        x = x + self.position(x)
        parts = self.queries(_by_channel(self.norm, x)).flatten(2).unflatten(1, (3, self.heads, width // self.heads))
        query, key, value = parts.unbind(1)
        weight = torch.softmax(query.transpose(2, 3) @ key / math.sqrt(width / self.heads), 3)
        x = x + self.output((value @ weight.transpose(2, 3)).flatten(1, 2).unflatten(2, x.shape[2:]))
        seen: Tensor = x + self.project(F.gelu(self.expand(_by_channel(self.inner_norm, x)), approximate="tanh"))
        return seen


def _by_channel(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    """Normalize ``(N, C, H, W)`` over C at each place."""
    normal: Tensor = norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    return normal


def normalization(kind: Normalization, width: int, *, noisy: bool = False) -> list[nn.Module]:
    """Make the layer that normalizes ``width`` channels, as a list of one or none.

    ``batch`` is Ioffe & Szegedy 2015, ``instance`` Ulyanov et al. 2016, by channel over one photograph at a time, always.
    """
    if kind == "batch":
        return [BatchNorm(width, noisy=noisy)]
    return [nn.InstanceNorm2d(width, affine=True)] if kind == "instance" else []


def all_reduce_sum(x: Tensor) -> Tensor:
    """Sum a tensor over all processes, with gradients."""
    group = dist.group.WORLD
    assert group is not None
    total: Tensor = functional_collectives.all_reduce(x, "sum", group)
    return total


def draw(sample: Callable[..., Tensor], shape: Sequence[int], device: torch.device) -> Tensor:
    """Draw random numbers for the rows of this process as one process with the whole batch would.

    Every process draws for the whole batch from the same seed and keeps its own rows: ``rank``, ``rank + world``, ...

    Args:
        sample: ``torch.rand`` or ``torch.randn``.
        shape: of this process's rows, ``(N, ...)``.
        device: where the numbers are needed.
    """
    world = _world()
    rank = dist.get_rank() if world > 1 else 0
    return sample((world * shape[0], *shape[1:]), device=device)[rank::world]


@final
class Dropout(nn.Module):
    """Drop units (Srivastava et al. 2014) as one process with the whole batch would, however many processes share the batch.

    A ``noisy`` layer drops after training too, each process for itself.
    """

    def __init__(self, probability: float, *, noisy: bool = False) -> None:
        super().__init__()
        self.probability = probability
        self.noisy = noisy

    def forward(self, x: Tensor) -> Tensor:
        """Drop with the probability and scale the rest up, only in training unless ``noisy``."""
        if self.probability == 0 or not (self.training or self.noisy):
            return x
        drawn = draw(torch.rand, x.shape, x.device) if self.training else torch.rand_like(x)
        return x * (drawn >= self.probability) / (1 - self.probability)


def dropout(probability: float, *, noisy: bool = False) -> list[nn.Module]:
    """Make a layer that drops, as a list of one, or of none where nothing is dropped."""
    return [Dropout(probability, noisy=noisy)] if probability else []


def silence(network: nn.Module) -> None:
    """Switch off the noise that the layers of a network would add after training."""
    for module in network.modules():
        if isinstance(module, BatchNorm | Dropout):
            module.noisy = False


def _world() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1
