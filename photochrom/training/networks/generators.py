"""Build the generators: networks that take luma, and at will hints, and give chroma.

Every generator maps ``(N, 1, H, W)`` luma in [0, 1], H and W multiples of ``stride``, to a *prediction*, and its ``decode``
maps the prediction and a temperature to ``(N, 2, h, w)`` chroma (Cb, Cr) in [-0.5, 0.5]. Where ``rgb`` is set, the
prediction is a whole ``(N, 3, H, W)`` picture, which the losses and the discriminator see in place of chroma.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from photochrom import color
from photochrom.errors import ConfigError
from photochrom.training.config import EncoderKind, Normalization
from photochrom.training.networks.encoders import Encoder
from photochrom.training.networks.layers import SameConv, SelfAttention, dropout, normalization

HINGES = 64
"""Into so many the color of a hint is expanded."""
ALIKE = 32
"""Numbers by which places are compared, so that a hint's color goes where it looks alike."""
NO_HINT = -1e4
"""The logit of a place without a hint: after the softmax nothing is left of it."""
HINT_SCALE = (4.0, 4.0, 1.0)
"""Brings the chroma of hints, mostly below 0.25, to about the range of their mask."""


@final
class HintSpread(nn.Module):
    """Return places the colors of hints at places that look alike and are not far (attention, Vaswani et al. 2017, eq. 1).

    The weight of a hint falls with the angle between both places' features and with the square of their distance; a share
    goes to no hint at all, so that a place that looks like none of them stays as it is, and without hints the answer is 0.
    """

    def __init__(self, width: int, values: int) -> None:
        super().__init__()
        self.embed = nn.Conv2d(width, ALIKE, 1, bias=False)
        self.sharpness = nn.Parameter(torch.tensor(10.0))
        self.nearness = nn.Parameter(torch.tensor(2.0))
        self.nothing = nn.Parameter(torch.tensor(6.0))
        self.output = nn.Conv2d(values, width, 1, bias=False)
        nn.init.normal_(self.embed.weight, std=0.1)
        nn.init.zeros_(self.output.weight)

    def forward(self, x: Tensor, hinted: Tensor, values: Tensor) -> Tensor:
        """Map features, the ``(N, 1, H, W)`` mask of hints and their ``(N, V, H, W)`` values to what the features gain."""
        places = F.normalize(self.embed(x - x.mean((2, 3), keepdim=True)).flatten(2), dim=1)
        rows = torch.arange(x.shape[2], device=x.device, dtype=x.dtype) / 16  # in units of 128 pixels of the picture
        columns = torch.arange(x.shape[3], device=x.device, dtype=x.dtype) / 16
        across = (columns[:, None] - columns).square()[None, :, None, :]
        apart = ((rows[:, None] - rows).square()[:, None, :, None] + across).flatten(2).flatten(0, 1)
        alike = self.sharpness * places.transpose(1, 2) @ places - self.nearness.abs() * apart
        alike = alike + NO_HINT * (1 - hinted.flatten(2))
        nothing = self.nothing.expand(alike.shape[0], alike.shape[1], 1)
        weight = torch.softmax(torch.cat([alike, nothing], 2), 2)[:, :, :-1]
        found = (values.flatten(2) @ weight.transpose(1, 2)).view(x.shape[0], -1, x.shape[2], x.shape[3])
        spread: Tensor = self.output(found)
        return spread


@final
class BinGenerator(nn.Module):
    """Predict a distribution over chroma bins at stride 4 from an ImageNet-pretrained encoder and a light U-Net decoder.

    The prediction is ``(N, 323, H/4, W/4)`` logits over ``color.bins()``.

    Two inputs may guide it (Zhang et al. 2017, sections 3.3 and 3.4). *Hints* are ``(N, 3, H, W)``: Cb, Cr and 1 at pixels
    whose color is given, 0 everywhere else; they enter beside the luma and again, averaged, before each convolution of the
    decoder and after the last, and at stride 8 they are carried to what looks alike (``HintSpread``). A *palette* is
    ``(N, 323)``, the share of each bin in the whole picture, or 0 throughout; it enters at the deepest and at the finest
    features. Both are first expanded by a layer of random hinges, since colors are told apart by bins; the layers that read
    those start at zero, and without hints the network is the automatic one.

    ``attention`` blocks at stride 32, and as many at stride 16, let every place see the whole picture, so that a sky or a wall
    is of one piece. ``half_decoder`` trains what follows the encoder in bfloat16; outside training all is float32.
    """

    stride = 32
    rgb = False
    bins: Tensor
    hint_scale: Tensor

    def __init__(
        self,
        widths: tuple[int, int, int] = (160, 112, 96),
        *,
        encoder: EncoderKind = "lite0",
        attention: int = 0,
        half_decoder: bool = False,
    ) -> None:
        super().__init__()
        self.half_decoder = half_decoder
        self.encoder = Encoder(1, encoder)
        fine, middle, coarse, deepest = self.encoder.widths
        self.lateral = nn.Conv2d(deepest, widths[0], 1)
        self.decoder = nn.ModuleList(
            [
                nn.Conv2d(widths[0] + coarse, widths[0], 3, padding=1),
                nn.Conv2d(widths[0] + middle, widths[1], 3, padding=1),
                nn.Conv2d(widths[1] + fine, widths[2], 3, padding=1),
            ]
        )
        self.attention = nn.ModuleList(
            nn.Sequential(*(SelfAttention(widths[0]) for _ in range(attention))) for _ in range(2 if attention else 0)
        )
        self.register_buffer("bins", torch.from_numpy(color.bins()), persistent=False)
        self.register_buffer("hint_scale", torch.tensor(HINT_SCALE)[:, None, None], persistent=False)
        self.head = nn.Conv2d(widths[2], len(self.bins), 1)
        for module in (self.lateral, *self.decoder):
            assert isinstance(module, nn.Conv2d) and module.bias is not None
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.zeros_(module.bias)
        nn.init.normal_(self.head.weight, std=0.01)
        assert self.head.bias is not None
        nn.init.zeros_(self.head.bias)
        self.hint_stem = SameConv(3, 32, kernel_size=3, stride=2, bias=False)
        self.hint_hinges = nn.Conv2d(3, HINGES, 1, bias=False)
        inputs = (widths[0], *widths)
        self.hint_decoder = nn.ModuleList([nn.Conv2d(HINGES, width, 1, bias=False) for width in inputs])
        self.hint_spread = HintSpread(widths[1], HINGES)
        self.palette = nn.Linear(len(self.bins), widths[0], bias=False)
        self.palette_deepest = nn.Linear(widths[0], widths[0], bias=False)
        self.palette_finest = nn.Linear(widths[0], widths[2], bias=False)
        for layer in (self.hint_stem, *self.hint_decoder, self.palette_deepest, self.palette_finest):
            nn.init.zeros_(layer.weight)
        for layer in (self.hint_hinges, self.palette):
            nn.init.normal_(layer.weight)

    def features(self, luma: Tensor, hints: Tensor | None = None, palette: Tensor | None = None) -> Tensor:
        """Map luma, and hints and a palette where there are any, to the ``(N, C, H/4, W/4)`` features that the head reads."""
        hints = None if hints is None else hints * self.hint_scale
        *skips, deepest = self.encoder(luma, None if hints is None else self.hint_stem(hints))
        if not (self.half_decoder and self.training):
            return self._decoded(skips, deepest, hints, palette)
        with torch.autocast(luma.device.type, torch.bfloat16):
            return self._decoded(skips, deepest, hints, palette).float()

    def _decoded(self, skips: list[Tensor], deepest: Tensor, hints: Tensor | None, palette: Tensor | None) -> Tensor:
        coarse = [] if hints is None else _pyramid(hints)
        levels = [F.relu(self.hint_hinges(level)) for level in coarse]
        tint = None if palette is None else F.relu(self.palette(palette))
        x: Tensor = self.lateral(deepest)
        x = F.relu(x if tint is None else x + self.palette_deepest(tint)[:, :, None, None])
        x = self.attention[0](x) if self.attention else x
        for index, (convolution, skip) in enumerate(zip(self.decoder, reversed(skips), strict=True)):
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            if levels:
                x = x + self.hint_decoder[index](levels[index])
            x = F.relu(convolution(torch.cat([x, skip], 1)))
            if index == 0 and self.attention:
                x = self.attention[1](x)
            if levels and index == 1:
                x = x + self.hint_spread(x, coarse[1][:, 2:], levels[1])
        if levels:
            x = x + self.hint_decoder[-1](levels[-1])
        return x if tint is None else x + self.palette_finest(tint)[:, :, None, None]

    def forward(self, luma: Tensor, hints: Tensor | None = None, palette: Tensor | None = None) -> Tensor:
        """Map luma, and what guides it, to logits over the chroma bins."""
        logits: Tensor = self.head(self.features(luma, hints, palette))
        return logits

    def logits_at(self, features: Tensor, positions: Tensor) -> Tensor:
        """Return the ``(N, P, 323)`` logits at only P flat positions: the loss needs no more, and the head is a matrix."""
        rows = features.permute(0, 2, 3, 1).flatten(1, 2)[:, positions]
        return F.linear(rows, self.head.weight.flatten(1), self.head.bias)

    def decode(self, prediction: Tensor, temperature: Tensor | float) -> Tensor:
        """Take the annealed mean of the distribution (Zhang et al. 2016, eq. 5).

        At temperature 1 that is the expected chroma; toward 0 it becomes the most likely bin.
        """
        return self.mean(torch.softmax(prediction / temperature, 1))

    def mean(self, share: Tensor) -> Tensor:
        """Take the ``(N, 2, h, w)`` mean chroma of a ``(N, 323, h, w)`` distribution over the bins."""
        return F.conv2d(share, self.bins.T[:, :, None, None])


@dataclass(frozen=True)
class Layout:
    """One of the study's generators, at 128 px."""

    widths: tuple[int, ...]
    """Channels on the way down, in units of the first; the bottleneck has as many as the last."""
    whole: bool
    """Whether the first convolution and the last one stay at full size."""
    skips: bool | None
    """Whether the way back sees the way down; None leaves it to the configuration."""
    output: Literal["chroma", "tanh", "sigmoid"]
    """What comes out: chroma, or an RGB picture as tanh or sigmoid gives it."""


LAYOUTS = {
    "unet": Layout((1, 2, 4, 8, 8, 8), whole=False, skips=True, output="chroma"),
    "unet-rgb": Layout((1, 2, 4, 8, 8, 8), whole=False, skips=True, output="tanh"),
    "encoder-decoder": Layout((1, 1, 2, 4, 8, 8, 8), whole=True, skips=None, output="sigmoid"),
}
FEWER = {32: 2, 64: 1}
"""Halvings that a network for 128 px leaves out at smaller sizes."""


@dataclass(frozen=True)
class Shape:
    """What a configuration may change of a generator of ``LAYOUTS``."""

    size: int = 128
    """Side of the picture in pixels: 32, 64 or a multiple of 128."""
    width: int = 64
    """Channels of the first layer."""
    dropout: float = 0.5
    """Probability of dropout in the first two blocks on the way back."""
    normalization: Normalization = "batch"
    skips: bool = False
    """Skip connections, where the layout leaves them open."""
    noise: bool = False
    """Keep dropout and the batch's own statistics after training, as pix2pix does."""


@final
class UNet(nn.Module):
    """Regress color with one of the study's networks (Isola et al. 2017, section 6.1.1), for pictures of one size.

    ``unet``: six strided 4x4 convolutions 64-128-256-512-512-512, a bottleneck of 512, and the same way back with skip
    connections; dropout in the first two blocks back. The prediction is ``(N, 2, H, W)`` chroma itself. 41,825,474 parameters.

    ``unet-rgb``: the same with luma in [0, 1] at its entry and an RGB picture in [-1, 1] at its end, in which the study's
    targets fill [0, 1]. 41,827,523 parameters.

    ``encoder-decoder``: a 3x3 convolution of 64 at full size, seven strided ones 64-128-256-512-512-512-512, the last of them
    the bottleneck, and the same way back, without skip connections unless asked for; an RGB picture in [0, 1]. 30,812,867
    parameters, 42,021,251 with skip connections.

    At 64 px each has one level fewer, at 32 px two.
    """

    def __init__(self, layout: Layout = LAYOUTS["unet"], shape: Shape | None = None) -> None:
        super().__init__()
        shape = shape or Shape()
        self.skips = shape.skips if layout.skips is None else layout.skips
        self.output = layout.output
        self.rgb = layout.output != "chroma"
        widths = tuple(shape.width * times for times in layout.widths[: len(layout.widths) - FEWER.get(shape.size, 0)])
        self.widths = widths
        self.stride = 2 ** (len(widths) + (not layout.whole))
        kind, bias = shape.normalization, shape.normalization == "none"
        first = _whole(1, widths[0]) if layout.whole else nn.Conv2d(1, widths[0], 4, 2, 1)
        self.down = nn.ModuleList([nn.Sequential(first)])
        for before, after in itertools.pairwise(widths):
            halve = nn.Conv2d(before, after, 4, 2, 1, bias=bias)
            self.down.append(nn.Sequential(halve, *normalization(kind, after, noisy=shape.noise)))
        deepest = 8 * shape.width
        self.bottleneck = nn.Conv2d(widths[-1], deepest, 4, 2, 1)
        seen = [width * (1 + self.skips) for width in reversed(widths)]
        self.up = nn.ModuleList(
            nn.Sequential(
                nn.ConvTranspose2d(before, after, 4, 2, 1, bias=bias),
                *normalization(kind, after, noisy=shape.noise),
                *(dropout(shape.dropout, noisy=shape.noise) if index < 2 else []),
            )
            for index, (before, after) in enumerate(zip((deepest, *seen[:-1]), reversed(widths), strict=True))
        )
        colors = 3 if self.rgb else 2
        self.head = _whole(seen[-1], colors) if layout.whole else nn.ConvTranspose2d(seen[-1], colors, 4, 2, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.normal_(module.weight, std=0.02)

    def forward(self, luma: Tensor) -> Tensor:
        """Map luma to chroma, or to an RGB picture, of the same size."""
        skips: list[Tensor] = []
        x = luma if self.rgb else luma * 2 - 1
        for block in self.down:
            x = F.leaky_relu(block(x), 0.2)
            skips.append(x)
        x = F.relu(self.bottleneck(x))
        for block in self.up:
            x = F.relu(block(x))
            x = torch.cat([x, skips.pop()], 1) if self.skips else x
        x = self.head(x)
        if self.output == "sigmoid":
            return torch.sigmoid(x)
        return torch.tanh(x) if self.rgb else torch.tanh(x) / 2

    def decode(self, prediction: Tensor, temperature: Tensor | float) -> Tensor:  # noqa: ARG002 (a regression has no temperature)
        """Return the chroma: the prediction itself, or the predicted picture's, clipped to [0, 1]."""
        if not self.rgb:
            return prediction
        _, cb, cr = color.rgb_to_ycbcr(*prediction.clamp(0, 1).unbind(1))
        return torch.stack([cb, cr], 1)


def _pyramid(hints: Tensor) -> list[Tensor]:
    """Average ``(N, 3, H, W)`` hints over cells of 16, 8 and 4 pixels: the mean hinted chroma, and 1 where there is any."""
    sums = F.avg_pool2d(hints, 4)
    levels = []
    for _ in range(3):
        chroma, share = sums[:, :2], sums[:, 2:]
        levels.append(torch.cat([chroma / share.clamp(min=1e-6), (share > 0).to(sums.dtype)], 1))
        sums = F.avg_pool2d(sums, 2)
    return levels[::-1]


def _whole(before: int, after: int) -> nn.Conv2d:
    return nn.Conv2d(before, after, 3, 1, 1)


Generator = BinGenerator | UNet

GENERATORS = ("photochrom", *LAYOUTS)


def build(
    name: str,
    *,
    pretrained: bool,
    shape: Shape | None = None,
    encoder: EncoderKind = "lite0",
    attention: int = 0,
    half_decoder: bool = False,
) -> Generator:
    """Build a generator by its name.

    Args:
        name: one of ``GENERATORS``.
        pretrained: start the encoder from ImageNet weights where the generator has one.
        shape: size and width of a generator of ``LAYOUTS``; the others have but one.
        encoder: of the generator ``photochrom``.
        attention: its self-attention blocks at each of two scales.
        half_decoder: train its decoder in bfloat16.

    Raises:
        ConfigError: if no generator has that name.
    """
    if name not in GENERATORS:
        raise ConfigError(f"unknown generator '{name}': expected one of {', '.join(GENERATORS)}")
    if name in LAYOUTS:
        return UNet(LAYOUTS[name], shape)
    generator = BinGenerator(encoder=encoder, attention=attention, half_decoder=half_decoder)
    if pretrained:
        generator.encoder.load_imagenet()
    return generator
