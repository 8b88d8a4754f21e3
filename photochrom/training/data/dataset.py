"""Read training crops from WebDataset tar shards, by position, so that a run resumes exactly where it was.

Shards are read at random through an index of their headers. A crop depends only on the seed and on its position in the run:
not on workers, devices or interruptions.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from torch import Tensor
from torch.utils.data import Dataset

from photochrom import color
from photochrom.training.data import hint_sampling
from photochrom.training.data.shards import Member, Split, evenly, members, shards

SET_ASIDE = 0.03
"""Share of the training photographs, by key, that validation may take."""
MOUNTED = 0.35
"""Share of the aged crops that lie in the border of a print."""
LOW_CONTRAST, BLIND_TO_RED, VIGNETTED, PATCHED = 0.25, 0.25, 0.3, 0.2
SCRATCHED, STAINED, HALFTONED = 0.15, 0.1, 0.06
"""Shares of the aged crops with these marks of age."""
CAPTIONED = 0.3
"""Share of the crops in a border that have writing on it."""


def index(folders: Sequence[Path], split: Split = "train") -> list[Member]:
    """List the photographs of all shards ``SPLIT-*.tar`` in or below some folders, in a fixed order.

    Raises:
        DataError: if a folder is missing or has no such shard, or a shard is damaged or empty.
    """
    return [member for paths in shards(list(folders), split).values() for member in members(paths)]


def validating(folders: Sequence[Path], limit: int) -> list[Member]:
    """List at most ``limit`` photographs of the shards ``val-*.tar``, spread over all; none where there are no such shards."""
    if not any(next(folder.rglob("val-*.tar"), None) for folder in folders):
        return []
    return evenly(index(folders, "val"), limit)


def set_aside(photographs: Sequence[Member], limit: int) -> tuple[list[Member], list[Member]]:
    """Split training photographs by a hash of their keys into those that teach and at most ``limit`` that validate."""

    def rank(member: Member) -> int:
        return int.from_bytes(hashlib.blake2b(Path(member.name).stem.encode(), digest_size=8).digest(), "big")

    bound = int(SET_ASIDE * 2**64)
    aside = sorted((m for m in photographs if rank(m) < bound), key=lambda m: (rank(m), str(m.shard)))
    teach = [m for m in photographs if rank(m) >= bound]
    return teach, (aside or list(photographs))[:limit]


@final
class Crops(Dataset[tuple[Tensor, ...]]):
    """Random training crops by position: item i of a run is always the same, whatever came before.

    An item is ``(1, S, S)`` float32 luma in [0, 1] and ``(2, S, S)`` float32 chroma in [-0.5, 0.5]; where something is to be
    shown of the truth, ``(3, S, S)`` hints and a ``(323,)`` palette follow.
    """

    def __init__(
        self,
        photographs: Sequence[Member],
        *,
        size: int,
        seed: int,
        smallest: float,
        stretch: float,
        aging: float,
        mirror: float = 0.5,
        turns: float = 0.0,
        shown: hint_sampling.Shown | None = None,
    ) -> None:
        self.photographs = photographs
        self.size = size
        self.seed = seed
        self.smallest = smallest
        self.stretch = stretch
        self.aging = aging
        self.mirror = mirror
        self.turns = turns
        self.shown = shown

    def __len__(self) -> int:
        return len(self.photographs)

    def __getitem__(self, position: int) -> tuple[Tensor, ...]:
        epoch, place = divmod(position, len(self.photographs))
        member = self.photographs[_order(self.seed, epoch, len(self.photographs))[place]]
        rng = np.random.default_rng((self.seed, position))
        whole = Image.fromarray(member.read())
        crop = random_crop(whole, self.size, rng, smallest=self.smallest, stretch=self.stretch, mirror=self.mirror)
        if self.turns and rng.random() < self.turns:
            crop = crop.transpose(Image.Transpose.ROTATE_90 if rng.random() < 0.5 else Image.Transpose.ROTATE_270)
        rgb = np.asarray(crop)
        luma, chroma = color.split(rgb)
        if rng.random() < self.aging:
            luma = age(luma, chroma, rng)
            if rng.random() < MOUNTED:
                mount(luma, chroma, rng)
        if self.shown is None:
            return torch.from_numpy(luma[None]), torch.from_numpy(chroma)
        random = np.random.default_rng((self.seed, position, 2))
        return torch.from_numpy(luma[None]), *hint_sampling.draw(luma, chroma, self.shown, random)


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    return np.random.default_rng((seed, epoch, 1)).permutation(count)


@final
class Positions:
    """Return this process the positions of its rows of every batch, from a position on, without end."""

    def __init__(self, start: int, batch: int, *, rank: int, world: int) -> None:
        self.start, self.batch, self.rank, self.world = start, batch, rank, world

    def __iter__(self) -> Iterator[list[int]]:
        position = self.start
        while True:
            yield list(range(position + self.rank, position + self.batch, self.world))
            position += self.batch


def random_crop(
    image: Image.Image, size: int, rng: np.random.Generator, *, smallest: float, stretch: float, mirror: float = 0.5
) -> Image.Image:
    """Cut a random part of a picture, scale it to ``size`` x ``size`` and mirror it with a probability."""
    width, height = image.size
    side = min(width, height) * rng.uniform(smallest, 1)
    aspect = math.exp(rng.uniform(-stretch, stretch) / 2)
    wide, high = min(side * aspect, width), min(side / aspect, height)
    left, top = rng.uniform(0, width - wide), rng.uniform(0, height - high)
    crop = image.resize((size, size), Image.Resampling.BICUBIC, box=(left, top, left + wide, top + high))
    return crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < mirror else crop


def center_crop(image: Image.Image, size: int) -> Image.Image:
    """Cut the largest centered square of a picture and scale it to ``size`` x ``size``."""
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    return image.resize((size, size), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side))


def age(luma: NDArray[np.float32], chroma: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Make ``(H, W)`` luma in [0, 1] look like an old print's.

    Its contrast differs, and at times is low; some plates were blind to red, and their red is dark and their sky bright; lenses
    blur and darken corners; prints fade in patches, are scratched and stained, or were printed as a screen of dots; film has
    grain.
    """
    gamma = math.exp(rng.normal(0, 0.25))
    low, high = rng.uniform(0, 0.15), rng.uniform(0.85, 1)
    if rng.random() < LOW_CONTRAST:
        low, high = rng.uniform(0.15, 0.35), rng.uniform(0.55, 0.85)
    if rng.random() < BLIND_TO_RED:
        luma = luma + rng.uniform(0.2, 1) * _without_red(chroma)
    if rng.random() < 0.4:
        picture = Image.fromarray((luma * 255 + 0.5).clip(0, 255).astype(np.uint8))
        luma = np.asarray(picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 1.4)))).astype(np.float32) / np.float32(255)
    luma = np.clip(luma, 0, 1) ** gamma
    if rng.random() < VIGNETTED:
        luma = luma * _vignette(luma.shape, rng)
    if rng.random() < PATCHED:
        luma = luma + _patches(luma.shape, rng)
    if rng.random() < STAINED:
        luma = _stained(luma, rng)
    if rng.random() < HALFTONED:
        luma = _halftone(luma, rng)
    faded = low + (high - low) * luma
    if rng.random() < 0.5:
        faded = faded + rng.normal(0, rng.uniform(0.01, 0.06), luma.shape)
    if rng.random() < SCRATCHED:
        faded = _scratched(faded, rng)
    result: NDArray[np.float32] = np.clip(faded, 0, 1).astype(np.float32)
    return result


def _without_red(chroma: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what luma changes by where red does not count: green and blue keep the ratio of their weights."""
    green, blue = color.KG / (color.KG + color.KB), color.KB / (color.KG + color.KB)
    cb, cr = chroma
    change: NDArray[np.float32] = (green * color.GREEN_CB + blue * color.BLUE_CB) * cb + green * color.GREEN_CR * cr
    return change


def _vignette(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    """Darken away from a point near the middle, by up to two thirds in the corners."""
    rows, columns = (np.linspace(-1, 1, side, dtype=np.float32) - rng.normal(0, 0.2) for side in shape)
    distance = (rows[:, None] ** 2 + columns**2) / 2
    factor: NDArray[np.float32] = np.maximum(1 - rng.uniform(0.15, 0.65) * distance, 0.2).astype(np.float32)
    return factor


def _patches(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    """Make smooth patches of up to a tenth of the range."""
    coarse = Image.fromarray(rng.uniform(0, rng.uniform(0.03, 0.15), (4, 4)).astype(np.float32))
    return np.asarray(coarse.resize((shape[1], shape[0]), Image.Resampling.BICUBIC))


def _stained(luma: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Darken or bleach up to three round stains with soft edges, by up to a third of the range."""
    rows, columns = (np.linspace(0, 1, side, dtype=np.float32) for side in luma.shape)
    for row, column, radius in rng.uniform((0, 0, 0.05), (1, 1, 0.35), (rng.integers(1, 4), 3)):
        distance = np.sqrt((rows[:, None] - row) ** 2 + (columns - column) ** 2) / radius
        edge = 1 / (1 + np.exp((distance - 1) * rng.uniform(4, 25)))
        luma = luma + np.float32(rng.uniform(-0.3, 0.2)) * edge
    return luma.astype(np.float32)


def _halftone(luma: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Print luma as a screen of dots, 2 to 5 pixels apart and at an angle, as newspapers do, as sharp as a scan has it."""
    angle, period = rng.uniform(0, math.pi / 2), rng.uniform(2, 5)
    rows, columns = np.mgrid[: luma.shape[0], : luma.shape[1]].astype(np.float32) * np.float32(2 * math.pi / period)
    along = np.cos(rows * math.cos(angle) + columns * math.sin(angle))
    across = np.cos(columns * math.cos(angle) - rows * math.sin(angle))
    dots = 1 / (1 + np.exp(-rng.uniform(2, 8) * (luma * 2 - 1 + (along + across) / 2)))
    share = np.float32(rng.uniform(0.2, 0.7))
    printed: NDArray[np.float32] = ((1 - share) * luma + share * dots).astype(np.float32)
    return printed


def _scratched(luma: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw up to eight thin scratches and hairs, bright or dark, and some dust."""
    height, width = luma.shape
    picture = Image.fromarray((luma * 255).clip(0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(picture)
    for x, y, angle, length in rng.uniform((0, 0, 0, 0.05), (width, height, 2 * math.pi, 1), (rng.integers(1, 9), 4)):
        end = (x + length * width * math.cos(angle), y + length * height * math.sin(angle))
        pen.line((x, y, *end), fill=int(rng.choice((0, 255))), width=int(rng.integers(1, 3)))
    for x, y in rng.uniform((0, 0), (width, height), (rng.integers(0, 30), 2)):
        pen.point((x, y), fill=int(rng.choice((0, 255))))
    share = np.float32(rng.uniform(0.2, 0.8))
    drawn: NDArray[np.float32] = ((1 - share) * luma + share * (np.asarray(picture) / 255)).astype(np.float32)
    return drawn


def mount(luma: NDArray[np.float32], chroma: NDArray[np.float32], rng: np.random.Generator) -> None:
    """Cover the rim of a crop with colorless paper or black card, as around an old print; changes both arrays in place."""
    paper = rng.uniform(0.45, 1) if rng.random() < 0.85 else rng.uniform(0, 0.2)
    rim = np.zeros(luma.shape, bool)
    for side, width in enumerate(rng.uniform(0.02, 0.16, 4) * (rng.random(4) < 0.8) * len(luma)):
        np.rot90(rim, side)[: round(width)] = True
    luma[rim] = np.clip(paper + rng.normal(0, 0.01, rim.sum()), 0, 1)
    if rng.random() < CAPTIONED:
        luma[rim & _writing(luma.shape, rng)] = 0.15 if paper > 0.4 else 0.9
    chroma[:, rim] = 0


def _writing(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw lines of strokes as tall as letters along the upper or the lower edge."""
    picture = Image.new("1", (shape[1], shape[0]))
    pen = ImageDraw.Draw(picture)
    tall = int(rng.integers(4, 9))
    y = int(rng.choice((2, shape[0] - tall - 2)))
    x = float(rng.uniform(2, shape[1] / 2))
    for _ in range(int(rng.integers(5, 40))):
        up, across, down = (int(rng.integers(0, most)) for most in (tall, 4, tall))
        pen.line((x, y + up, x + across, y + down), fill=1)
        x += float(rng.uniform(1, 4))
    return np.asarray(picture)


def validation(photographs: Sequence[Member], size: int) -> tuple[Tensor, Tensor]:
    """Load centered squares for validation: ``(N, 1, S, S)`` luma and ``(N, 2, S, S)`` chroma."""
    pairs = [color.split(np.asarray(center_crop(Image.fromarray(member.read()), size))) for member in photographs]
    return (
        torch.from_numpy(np.stack([luma[None] for luma, _ in pairs])),
        torch.from_numpy(np.stack([chroma for _, chroma in pairs])),
    )
