"""Tone color photographs as prints are, and tell how often the judgement errs; ``python -m tests.support.toning`` prints it."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photochrom.photo import convert
from photochrom.photo.planes import thumbnail
from photochrom.photo.toning import judge, judge_picture
from tests.support import testdata

Bytes = NDArray[np.uint8]
Float = NDArray[np.float32]

TONES = {
    "sepia": ((-45, -8), (4, 28)),
    "cyanotype": ((12, 60), (-40, -6)),
    "selenium": ((-4, 8), (2, 14)),
    "faded": ((-30, -5), (-5, 6)),
}
"""The least and the most Cb and Cr, of 255, that a print of a kind has in its middle tones."""


def rough(rng: np.random.Generator, shape: tuple[int, ...]) -> Float:
    """Give a plane in [-1, 1] that changes slowly from place to place."""
    cells = rng.uniform(-1, 1, (3, 3)).astype(np.float32)
    return np.asarray(Image.fromarray(cells).resize(shape[::-1], Image.Resampling.BICUBIC))


def toned(picture: Bytes, kind: str, rng: np.random.Generator) -> Bytes:
    """Tone a picture: its grain, its tone by luma, uneven fading, stains, the noise of a scanner and of JPEG.

    Args:
        picture: ``(H, W, 3)`` RGB.
        kind: of ``TONES``.
        rng: decides all the rest.
    """
    image = Image.fromarray(picture).convert("L")
    image = image.resize((2 * image.width, 2 * image.height), Image.Resampling.BICUBIC)  # a scan is larger than its judgement
    luma = np.asarray(image, np.float32) + rng.normal(0, rng.uniform(0, 8), image.size[::-1]).astype(np.float32)
    light = (luma / 255).clip(0, 1)
    middle = [rng.uniform(*ends) for ends in TONES[kind]]
    by_luma = np.sin(np.pi * light) if rng.random() < 0.5 else rng.uniform(0, 1) * (1 - light) + rng.uniform(0.2, 1) * light
    low, high = rng.uniform(0, 60), 255 - rng.uniform(0, 50)
    luma = low + (high - low) * light
    chroma = np.stack([value * by_luma for value in middle]).astype(np.float32)
    if rng.random() < 0.5:  # partly faded
        strength = 1 + rng.uniform(0, 0.35) * rough(rng, luma.shape)
        chroma *= strength
    rows, columns = np.indices(luma.shape)
    for _ in range(int(rng.integers(0, 4))):  # stains
        center = [rng.uniform(0, side) for side in luma.shape]
        away = np.hypot(rows - center[0], columns - center[1]) / (rng.uniform(0.03, 0.2) * max(luma.shape))
        stain = (rng.uniform(0.1, 0.6) / (1 + np.exp((away - 1) * rng.uniform(3, 12)))).astype(np.float32)
        luma = luma * (1 - 0.35 * stain)
        chroma[0] -= stain * rng.uniform(4, 26)
        chroma[1] += stain * rng.uniform(0, 10)
    cb, cr = chroma
    rgb = np.stack([luma + 1.402 * cr, luma - 0.344 * cb - 0.714 * cr, luma + 1.772 * cb], -1)
    rgb += rng.normal(0, rng.uniform(0, 4), rgb.shape)
    quality, subsampling = int(rng.integers(50, 96)), int(rng.choice([0, 2]))
    content = testdata.file(rgb.clip(0, 255).astype(np.uint8), "JPEG", {"quality": quality, "subsampling": subsampling})
    return np.asarray(testdata.opened(content))


def kind_of(picture: Bytes) -> str:
    """Judge ``(H, W, 3)`` RGB as a photograph of its own."""
    image = Image.fromarray(picture)
    return judge_picture(np.asarray(image.convert("L")), thumbnail(image)).kind


def unused(key: str) -> bool:
    """Tell whether a photograph is of the half that the judgement's numbers were not chosen on."""
    return hashlib.sha256(key.encode()).digest()[0] % 2 == 1


def photographs(shards: list[Path], *, every: int, chosen: Callable[[str], bool] = bool) -> Iterator[Bytes]:
    """Give some of the photographs of prepared shards, of those whose key is chosen."""
    for shard in shards:
        with tarfile.open(shard) as tar:
            members = [member for member in tar if member.isfile() and chosen(Path(member.name).stem)]
            for member in members[::every]:
                file = tar.extractfile(member)
                assert file is not None
                yield np.asarray(Image.open(io.BytesIO(file.read())).convert("RGB"))


def shares(pictures: Iterator[Bytes]) -> tuple[int, float, dict[str, float]]:
    """Measure both errors.

    Returns:
        How many photographs there are, the share of them that passes for toned or grey, and for each tone the share of their
        copies that passes for color.
    """
    count, wrong, lost = 0, 0, Counter[str]()
    for picture in pictures:
        wrong += kind_of(picture) != "color"
        for index, tone in enumerate(TONES):
            lost[tone] += kind_of(toned(picture, tone, np.random.default_rng((count, index)))) == "color"
        count += 1
    return count, wrong / count, {tone: lost[tone] / count for tone in TONES}


if __name__ == "__main__":
    for split, step, chosen in (("train", 20, unused), ("test", 2, bool)):
        taken = photographs(sorted(testdata.DATA.glob(f"*/{split}-*.tar")), every=step, chosen=chosen)
        number, passed, missed = shares(taken)
        said = ", ".join(f"{tone} {share:.1%}" for tone, share in missed.items())
        print(f"{split}: {passed:.1%} of {number} color photographs pass for toned or grey; copies that pass for color: {said}")
    old = [judge(convert.read(path)) for path in testdata.old()]
    print(f"{sum(found.kind == 'color' for found in old)} of {len(old)} real old photographs pass for color")
