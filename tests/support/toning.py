"""Make old prints of color photographs, and measure how often the judgement errs: ``python -m tests.support.toning``."""

from __future__ import annotations

import hashlib
import io
import math
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photochrom.photo import convert
from photochrom.photo.planes import thumbnail
from photochrom.photo.prints import photograph_mask
from photochrom.photo.toning import judge, judge_picture
from tests.support import testdata

Bytes = NDArray[np.uint8]
Float = NDArray[np.float32]

TONES = {
    "grey": ((-2, 2), (-2, 2)),
    "sepia": ((-45, -8), (4, 28)),
    "cyanotype": ((12, 60), (-40, -6)),
    "selenium": ((-4, 8), (2, 14)),
    "faded": ((-30, -5), (-5, 6)),
}
"""The least and the most Cb and Cr, of 255, that a print of a kind has in its middle tones."""


def rough(rng: np.random.Generator, shape: tuple[int, ...]) -> Float:
    """Return a plane in [-1, 1] that changes slowly from place to place."""
    cells = rng.uniform(-1, 1, (3, 3)).astype(np.float32)
    return np.asarray(Image.fromarray(cells).resize(shape[::-1], Image.Resampling.BICUBIC))


def rgb_of(luma: Float, cb: Float | float, cr: Float | float) -> Float:
    """Join planes in levels of 255, chroma around 0, to ``(H, W, 3)`` RGB that is not clipped."""
    return np.stack([luma + 1.402 * cr, luma - 0.344 * cb - 0.714 * cr, luma + 1.772 * cb], -1)


def printed(picture: Bytes, kind: str, rng: np.random.Generator) -> Float:
    """Print a picture as a kind of ``TONES``: its grain, its tone by luma, uneven fading, stains.

    Args:
        picture: ``(H, W, 3)`` RGB.
        kind: of ``TONES``.
        rng: decides all the rest.

    Returns:
        ``(2 H, 2 W, 3)`` RGB of 255, not clipped: a scan is larger than what is judged.
    """
    image = Image.fromarray(picture).convert("L")
    image = image.resize((2 * image.width, 2 * image.height), Image.Resampling.BICUBIC)
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
    return rgb_of(luma, *chroma)


def scanned(rgb: Float, rng: np.random.Generator) -> Bytes:
    """Add the noise of a scanner and of JPEG to ``(H, W, 3)`` RGB of 255."""
    noisy = rgb + rng.normal(0, rng.uniform(0, 4), rgb.shape)
    options: dict[str, object] = {"quality": int(rng.integers(50, 96)), "subsampling": int(rng.choice([0, 2]))}
    return np.asarray(testdata.opened(testdata.file(noisy.clip(0, 255).astype(np.uint8), "JPEG", options)))


def paper(shape: tuple[int, int], rng: np.random.Generator) -> Float:
    """Make an empty mount of any hue, from white over cream, blue and brown to black: ``(H, W, 3)`` RGB of 255."""
    light, strength, hue = rng.uniform(25, 250), rng.uniform(0, 30) * rng.uniform(0, 1), rng.uniform(0, 2 * math.pi)
    luma = light + rng.uniform(0, 6) * rough(rng, shape) + rng.normal(0, rng.uniform(0, 4), shape).astype(np.float32)
    return rgb_of(luma.astype(np.float32), strength * math.cos(hue), strength * math.sin(hue))


def margins(rng: np.random.Generator, shape: tuple[int, int], most: float) -> list[int]:
    """Choose the widths of the margins above, below, left and right of a print, in pixels."""
    whole = rng.uniform(0.03, most) * max(shape)
    return [max(4, round(whole * rng.uniform(0.6, 1.4))) for _ in range(4)]


def laid(piece: Float, page: Float, top: int, left: int, rng: np.random.Generator) -> None:
    """Lay a print on a page, turned by up to a degree and a half, with a shadow or without."""
    (high, wide), turn = piece.shape[:2], rng.uniform(-1.5, 1.5) * (rng.random() < 0.5)
    move = cv2.getRotationMatrix2D((wide / 2, high / 2), turn, 1)
    move[:, 2] += left, top
    size = page.shape[1::-1]
    cover = cv2.warpAffine(np.ones((high, wide), np.float32), move, size, flags=cv2.INTER_LINEAR)[..., None]
    if rng.random() < 0.5:
        page *= 1 - rng.uniform(0.1, 0.5) * cv2.blur(np.roll(cover, (2, 2), (0, 1))[..., 0], (7, 7))[..., None]
    page += (cv2.warpAffine(piece, move, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) - page) * cover


def inked(piece: Float, mask: Bytes, ink: tuple[int, int, int], strength: float) -> Float:
    """Lay ink over ``(H, W, 3)`` RGB where an ``(H, W)`` mask says so."""
    return piece + (np.array(ink, np.float32) - piece) * (mask[..., None] * np.float32(strength / 255))


def mounted(piece: Float, rng: np.random.Generator) -> Float:
    """Lay a print on a mount of another hue; half of them lie on a second one, and a third have a white edge of their own."""
    layers = [("edge", 0.05)] * (rng.random() < 0.33) + [("mount", 0.2)] + [("mount", 0.08)] * (rng.random() < 0.5)
    for what, most in layers:
        above, below, left, right = margins(rng, piece.shape[:2], most)
        shape = (piece.shape[0] + above + below, piece.shape[1] + left + right)
        page = paper(shape, rng) if what == "mount" else rgb_of(np.full(shape, rng.uniform(200, 250), np.float32), -5, 2)
        laid(piece, page, above, left, rng)
        piece = page
    return piece


def stamped(piece: Float, rng: np.random.Generator, *, largest: float = 0.03) -> Float:
    """Stamp a print in one place with red, blue, violet or green ink: a frame, a ring or a block with writing."""
    high, wide = piece.shape[:2]
    area = rng.uniform(0.004, largest) * high * wide
    tall = math.sqrt(area / rng.uniform(1, 4))
    broad = area / tall
    top, left = (int(rng.uniform(0, max(1, side - length))) for side, length in ((high, tall), (wide, broad)))
    ink = [(190, 30, 40), (40, 60, 160), (110, 50, 150), (30, 110, 70)][int(rng.integers(4))]
    mask = np.zeros((high, wide), np.uint8)
    corner, other = (left, top), (int(left + broad), int(top + tall))
    shape = rng.integers(3)
    if shape == 0:
        cv2.rectangle(mask, corner, other, 255, -1)
    elif shape == 1:
        cv2.rectangle(mask, corner, other, 255, max(2, int(tall / 10)))
    else:
        cv2.circle(mask, ((left + other[0]) // 2, (top + other[1]) // 2), int(tall / 2), 255, max(2, int(tall / 8)))
    writing = 0 if shape == 0 else 255
    cv2.putText(
        mask,
        "1912 Nr. 7",
        (left, int(top + tall / 1.7)),
        cv2.FONT_HERSHEY_SIMPLEX,
        broad / 190,
        writing,
        max(1, int(tall / 25)),
    )
    return inked(piece, mask, ink, rng.uniform(0.6, 1))


def targeted(piece: Float, rng: np.random.Generator) -> Float:
    """Lay a print on a mount and a target of saturated patches, and of grey ones, beside or below it."""
    high, wide = piece.shape[:2]
    beside, deep = rng.random() < 0.5, rng.uniform(0.06, 0.16)
    length, depth = (round((high if beside else wide) * rng.uniform(0.5, 1))), round(deep * max(high, wide))
    count = int(rng.integers(6, 13))
    colors = [(150, 20, 30), (30, 90, 50), (230, 200, 20), (20, 140, 190), (190, 50, 130), (30, 40, 120), (220, 120, 40)]
    patches = [colors[int(rng.integers(len(colors)))] if rng.random() < 0.7 else (30 * n % 256,) * 3 for n in range(count)]
    strip = np.repeat(np.array(patches, np.float32)[None], depth, 0)
    strip = cv2.resize(strip, (length, depth), interpolation=cv2.INTER_NEAREST)
    strip = strip.swapaxes(0, 1) if beside else strip
    gap = round(rng.uniform(0.02, 0.06) * max(high, wide))
    shape = (max(high, strip.shape[0]), wide + gap + depth) if beside else (high + gap + depth, max(wide, strip.shape[1]))
    above, below, left, right = margins(rng, shape, 0.12)
    page = paper((shape[0] + above + below, shape[1] + left + right), rng)
    laid(piece, page, above, left, rng)
    top, start = (above, left + wide + gap) if beside else (above + high + gap, left)
    page[top : top + strip.shape[0], start : start + strip.shape[1]] = strip
    return page


def album(piece: Float, rng: np.random.Generator) -> Float:
    """Lay two to four parts of a print, each as a print of its own, on a page of an album, with a caption below each."""
    high, wide = piece.shape[:2]
    down, across = ((1, 2), (2, 1), (2, 2))[int(rng.integers(3))]
    parts = [part for band in np.array_split(piece, down) for part in np.array_split(band, across, 1)]
    above, gap, left, _ = margins(rng, (high, wide), 0.12)
    gap += 10
    page = paper((2 * above + down * (high // down + gap + 1), 2 * left + across * (wide // across + gap + 1)), rng)
    ink = [(20, 20, 60), (60, 20, 20), (30, 30, 30)][int(rng.integers(3))] if page.mean() > 128 else (235, 235, 230)
    mask = np.zeros(page.shape[:2], np.uint8)
    for number, part in enumerate(parts):
        top = above + number // across * (high // down + gap)
        start = left + number % across * (wide // across + gap)
        laid(np.ascontiguousarray(part), page, top, start, rng)
        foot = (start + 6, top + part.shape[0] + gap // 2 + 3)
        cv2.putText(mask, "Sommer 1911", foot, cv2.FONT_HERSHEY_SCRIPT_SIMPLEX, gap / 60, 255, 1)
    return inked(page, mask, ink, 0.9)


SETTINGS: dict[str, Callable[[Float, np.random.Generator], Float]] = {
    "bare": lambda piece, _: piece,
    "mount": mounted,
    "stamp": stamped,
    "stamped mount": lambda piece, rng: stamped(mounted(piece, rng), rng),
    "target": targeted,
    "album": album,
}
"""What surrounds a print, and what lies on it."""


def copy(picture: Bytes, kind: str, setting: str, seed: tuple[int, ...]) -> Bytes:
    """Scan a print of a picture: of a kind of ``TONES``, in one of ``SETTINGS``."""
    rng = np.random.default_rng(seed)
    return scanned(SETTINGS[setting](printed(picture, kind, rng), rng), rng)


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


def lost(picture: Bytes) -> float:
    """Return the share of ``(H, W, 3)`` RGB that is taken for paper."""
    mask = photograph_mask(thumbnail(Image.fromarray(picture)), picture.shape[:2])
    return 0.0 if mask is None else 1 - float(mask.mean())


def errors(pictures: Iterator[Bytes]) -> dict[str, float]:
    """Measure the judgement on color photographs and on one print of each in every setting, of each kind in turn.

    Returns:
        By "color" the share of the photographs that passes for toned or grey, by "paper" the share that loses more than 2 % of
        its area to the mask of paper, and by each setting the share of prints in it that passes for color.
    """
    wrong: dict[str, list[bool]] = {name: [] for name in ("color", "paper", *SETTINGS)}
    kinds = list(TONES)
    for count, picture in enumerate(pictures):
        wrong["color"].append(kind_of(picture) != "color")
        wrong["paper"].append(lost(picture) > 0.02)
        for index, setting in enumerate(SETTINGS):
            found = kind_of(copy(picture, kinds[(count + index) % len(kinds)], setting, (count, index)))
            wrong[setting].append(found == "color")
    return {name: sum(each) / len(each) for name, each in wrong.items()}


if __name__ == "__main__":
    for split, step, chosen in (("test", 2, bool), ("train", 20, unused)):
        shards = [shard for name in ("coco", "flickr8k") for shard in sorted(testdata.DATA.glob(f"{name}/{split}-*.tar"))]
        print(f"{split}:", ", ".join(f"{n} {s:.1%}" for n, s in errors(photographs(shards, every=step, chosen=chosen)).items()))
    old = [judge(convert.read(path)) for path in testdata.old()]
    print(f"{sum(found.kind == 'color' for found in old)} of {len(old)} real old photographs pass for color")
