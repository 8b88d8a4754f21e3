"""The grey of the colored photograph is the grey of its source, on every photograph, at the default and at the most vivid."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
import skimage
from PIL import Image

from photochrom.colorizer import file as api
from photochrom.colorizer.colorizer import Colorizer, Options
from photochrom.errors import PhotoError
from photochrom.photo import convert
from tests.support import testdata

INSTALLED = sorted(path for path in (Path(skimage.__file__).parent / "data").iterdir() if path.suffix in (".png", ".jpg"))
"""Photographs, pages, textures and patterns that come with scikit-image."""

LOSSLESS = {"PNG": {}, "TIFF": {"compression": "tiff_lzw"}, "WEBP": {"lossless": True}}
QUALITIES = (90, 93, 95)
"""At these the encoder's steps are coarse, or its transform is rough."""
VIVIDNESS = (1, 2)
SIDE = 256
"""Longest side that is tested, in pixels: the rest is more of the same."""


@pytest.fixture(scope="module")
def colorizers() -> list[Colorizer]:
    model = Colorizer.load().model
    return [Colorizer(model, Options(vividness=vividness, on_color="recolor")) for vividness in VIVIDNESS]


def grey(picture: Image.Image) -> Image.Image:
    """Give the luma of a picture, cut to the size that is tested."""
    found = picture.convert("L")
    return found.crop((0, 0, min(found.width, SIDE), min(found.height, SIDE)))


def share(found: np.ndarray, source: np.ndarray, *, within: int) -> float:
    return float((np.abs(found.astype(int) - source) <= within).mean())


def check_lossless(picture: Image.Image, kind: str, colorizer: Colorizer, name: str) -> None:
    source = testdata.file(picture, kind, dict(LOSSLESS[kind]))
    found = testdata.luma(api.encoded(convert.read(source), colorizer))
    assert share(found, testdata.luma(source), within=0) == 1, (name, kind, colorizer.options.vividness)


def check_jpeg(source: bytes, colorizer: Colorizer, name: str) -> None:
    """Compare what anybody sees, RGB turned to grey, and the plane of luma itself."""
    found = api.encoded(convert.read(source), colorizer)
    expected = testdata.luma(source)
    seen = share(np.asarray(testdata.opened(found).convert("RGB").convert("L")), expected, within=2)
    stored = share(simplejpeg.decode_jpeg(found, colorspace="GRAY")[..., 0], expected, within=2)
    assert min(seen, stored) >= 0.99, (name, colorizer.options.vividness, seen, stored)


def check(picture: Image.Image, colorizers: list[Colorizer], name: str) -> None:
    for colorizer in colorizers:
        for kind in ("PNG", "TIFF"):
            check_lossless(picture, kind, colorizer, name)
        for quality in QUALITIES:
            check_jpeg(testdata.file(picture, "JPEG", {"quality": quality}), colorizer, f"{name}, quality {quality}")


@pytest.mark.parametrize("path", INSTALLED, ids=lambda path: path.name)
def test_pictures_of_scikit_image(colorizers: list[Colorizer], path: Path) -> None:
    with Image.open(path) as image:
        check(grey(image), colorizers, path.name)


@pytest.mark.parametrize("size", [(1, 1), (3, 50), (17, 31), (255, 257)])
@pytest.mark.parametrize("level", ["dark", "light", "noise"])
def test_extremes(colorizers: list[Colorizer], size: tuple[int, int], level: str) -> None:
    """Near black and white there is no room for color, and noise is as hard as luma gets."""
    rng = np.random.default_rng(0)
    low, high = {"dark": (0, 12), "light": (243, 256), "noise": (0, 256)}[level]
    picture = Image.fromarray(rng.integers(low, high, size).astype(np.uint8))
    for colorizer in colorizers:
        for kind in LOSSLESS:
            check_lossless(picture, kind, colorizer, level)
    for colorizer in colorizers if level != "noise" and min(size) > 16 else []:
        check_jpeg(testdata.file(picture, "JPEG", {"quality": 95}), colorizer, level)


def sample(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Give a spread of the development photographs: real black-and-white ones, and some of the test shards."""
    legacy = sorted(path for path in (folder / "legacy").iterdir() if path.suffix in (".jpg", ".png"))
    for path in legacy[::6]:
        yield path.name, path.read_bytes()
    for shard in sorted(folder.glob("*/test-*.tar")):
        with tarfile.open(shard) as tar:
            members = sorted((member for member in tar if member.isfile()), key=lambda member: member.name)
            for member in members[:: len(members) // 6]:
                file = tar.extractfile(member)
                assert file is not None
                yield f"{shard.parent.name}/{member.name}", file.read()


def test_development_photographs(colorizers: list[Colorizer], photographs: Path) -> None:
    for name, content in sample(photographs):
        with Image.open(io.BytesIO(content)) as image:
            check(grey(image), colorizers, name)


def test_odd_files(colorizers: list[Colorizer], photographs: Path) -> None:
    """Whatever is read at all keeps its luma; lossy WebP, and JPEG coarser than quality 90, are not held to it."""
    tried = 0
    for path in sorted((photographs / "odd").iterdir()):
        try:
            source = convert.read(path)
        except PhotoError:
            continue
        if source.format not in ("JPEG", "JPEG 2000") and not source.lossless:
            continue
        if source.format == "JPEG" and source.quality < 90:
            continue
        within, least = (2, 0.99) if source.format == "JPEG" else (0, 1)
        tried += 1
        for colorizer in colorizers:
            content = api.encoded(source, colorizer)
            found = testdata.luma(content) if source.format == "JPEG" else convert.read(content).luma
            assert share(found, source.luma, within=within) >= least, (path.name, colorizer.options.vividness)
    assert tried >= 14
