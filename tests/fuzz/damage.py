"""Give whole files of every format, and damage them: the same case for the same seed and number."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image

from photochrom.photo import convert
from photochrom.photo.formats import kind_of
from photochrom.photo.metadata import exif
from tests.support import formats, testdata

HEADER = 600
"""Bytes in which most formats state what follows."""
SIDES = (0, 1, 2, 255, 256, 4000, 14_000, 32_767, 65_500, 65_535, 1 << 16, (1 << 31) - 1, (1 << 32) - 1)
"""Numbers that are written over others: edges of types, and sizes that a decoder may believe."""
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Source:
    """A whole file."""

    name: str
    kind: str
    content: bytes


def variants() -> dict[str, bytes]:
    """Make what the table of formats has no row for: other codings of the same formats."""
    scene, grey = Image.fromarray(testdata.scene(48, 64)), Image.fromarray(testdata.grey(48, 64))
    described = {"exif": testdata.exif(6), "xmp": b"<x:xmpmeta xmlns:x='adobe:ns:meta/'></x:xmpmeta>"}
    jpeg, png = described | {"icc_profile": testdata.srgb_profile()}, {"optimize": False}
    made = {
        "JPEG, 4:4:4": testdata.file(scene, "JPEG", {"subsampling": 0}),
        "JPEG, 4:2:2, progressive": testdata.file(scene, "JPEG", {"subsampling": 1, "progressive": True} | jpeg),
        "JPEG, grey, progressive": testdata.file(grey, "JPEG", {"progressive": True}),
        "JPEG, CMYK": testdata.file(scene.convert("CMYK"), "JPEG"),
        "JPEG, restarts": testdata.file(scene, "JPEG", {"restart_marker_blocks": 2, "keep_rgb": True}),
        "PNG, 2 bits": testdata.file(grey.quantize(4), "PNG", {"bits": 2}),
        "PNG, transparent palette": testdata.file(scene.quantize(16), "PNG", {"transparency": 3} | png),
        "GIF, animated": testdata.file(scene.quantize(16), "GIF", {"save_all": True, "append_images": [grey], "interlace": 1}),
        "BMP, palette": testdata.file(scene.quantize(16), "BMP"),
        "BMP, 32 bits": testdata.file(scene.convert("RGBA"), "BMP"),
        "PNM, 1 bit": testdata.file(grey.convert("1"), "PNM"),
        "PNM, text": b"P2 # text\n3 2 200\n0 1 2 3 4 200\n",
        "JPEG 2000, color": testdata.file(scene, "JPEG2000"),
        "JPEG 2000, bare": testdata.file(scene, "JPEG2000", {"no_jp2": True}),
        "WebP, animated": testdata.file(scene, "WEBP", {"save_all": True, "append_images": [grey]}),
    }
    deep = convert.read(formats.deep_tiff(3))
    made["AVIF, 12 bits"] = testdata.encode_as(deep, *testdata.chroma(deep.luma.shape), format="AVIF")
    return made


@cache
def sources() -> tuple[Source, ...]:
    """Give every whole file: those of the table of formats, other codings of them, and real ones where they are at hand."""
    contents = {case.name: case.make() for case in formats.CASES} | variants()
    odd = testdata.DATA / "odd"
    if odd.exists():
        contents |= {path.name: path.read_bytes() for path in sorted(odd.iterdir()) if path.suffix != ".csv"}
    return tuple(Source(name, kind_of(content) or "none", content) for name, content in contents.items())


def flipped(content: bytearray, rng: np.random.Generator, _: bytes) -> bytearray:
    for place in rng.integers(len(content), size=1 << int(rng.integers(7))):
        content[place] ^= 1 << int(rng.integers(8))
    return content


def overwritten(content: bytearray, rng: np.random.Generator, _: bytes) -> bytearray:
    start, length = int(rng.integers(len(content))), int(rng.integers(1, 65))
    content[start : start + length] = rng.integers(256, size=length, dtype=np.uint8).tobytes()
    return content


def cut(content: bytearray, rng: np.random.Generator, _: bytes) -> bytearray:
    return content[: int(rng.integers(len(content)))]


def emptied(content: bytearray, rng: np.random.Generator, _: bytes) -> bytearray:
    """Take a piece out, or set it to zero, as a dying disk does."""
    start, length = int(rng.integers(len(content))), int(rng.integers(1, 4097))
    content[start : start + length] = b"" if rng.random() < 0.5 else bytes(length)
    return content


def joined(content: bytearray, rng: np.random.Generator, other: bytes) -> bytearray:
    return content[: int(rng.integers(len(content)))] + other[int(rng.integers(len(other))) :]


def doubled(content: bytearray, rng: np.random.Generator, _: bytes) -> bytearray:
    start, length = int(rng.integers(len(content))), int(rng.integers(1, 4097))
    return content[:start] + content[start : start + length] * int(rng.integers(2, 9)) + content[start:]


def numbered(content: bytearray, rng: np.random.Generator, _: bytes) -> bytearray:
    """Write numbers over the header, or over the directory of a TIFF, in either order of bytes."""
    first = int.from_bytes(content[4:8], "little" if content[:1] == b"I" else "big") if kind_of(bytes(content)) == "TIFF" else 0
    first = first if first < len(content) else 0
    for _ in range(int(rng.integers(1, 5))):
        width = int(rng.choice([1, 2, 4]))
        place = first + int(rng.integers(min(HEADER, len(content) - first)))
        value = int(rng.choice(SIDES)) & ((1 << 8 * width) - 1)
        content[place : place + width] = value.to_bytes(width, "big" if rng.random() < 0.5 else "little")
    return content


def edited(content: bytearray, rng: np.random.Generator, other: bytes) -> bytearray:
    """Change one value of a TIFF's directory where it is a TIFF, and the size that a PNG or JPEG states where it is one."""
    kind, side = kind_of(bytes(content)), int(rng.choice(SIDES[:11]))
    if kind == "TIFF" and (directory := dict(exif.read(bytes(content)))):
        tag = int(rng.choice(list(directory)))
        directory[tag] = exif.Value(exif.LONG, struct.pack("<I", int(rng.choice(SIDES)) & 0xFFFFFFFF))
        return bytearray(exif.splice(bytes(content), directory))
    places = {"PNG": 16, "BMP": 18, "GIF": 6}
    if kind in places:
        width = 2 if kind == "GIF" else 4
        place = places[kind] + width * int(rng.integers(2))
        content[place : place + width] = (side & ((1 << 8 * width) - 1)).to_bytes(width, "big" if kind == "PNG" else "little")
        return content
    if kind == "JPEG" and (frame := max(content.find(b"\xff\xc0"), content.find(b"\xff\xc2"))) > 0:
        place = frame + 5 + 2 * int(rng.integers(2))
        content[place : place + 2] = (side & 0xFFFF).to_bytes(2, "big")
        return content
    return numbered(content, rng, other)


DAMAGES: tuple[Callable[[bytearray, np.random.Generator, bytes], bytearray], ...] = (
    flipped,
    overwritten,
    cut,
    emptied,
    joined,
    doubled,
    numbered,
    edited,
)


def repaired(content: bytes) -> bytes:
    """Set the checksums of a PNG right, without which a decoder stops at the first damaged chunk."""
    fixed, position = bytearray(content), len(PNG)
    while position + 12 <= len(fixed):
        end = position + 8 + int.from_bytes(fixed[position : position + 4])
        fixed[end : end + 4] = zlib.crc32(fixed[position + 4 : end]).to_bytes(4) if end + 4 <= len(fixed) else fixed[end:]
        position = end + 4
    return bytes(fixed)


def case(seed: int, number: int) -> tuple[Source, str, bytes]:
    """Make a damaged file: the one that it was, what was done to it, and its content."""
    rng = np.random.default_rng((seed, number))
    kinds = sorted({source.kind for source in sources()})
    kind = kinds[number % len(kinds)]  # every format in turn, however many files there are of it
    own = [source for source in sources() if source.kind == kind]
    ease = np.array([1 / (20_000 + len(source.content)) for source in own])  # large files take long and teach little more
    source = own[int(rng.choice(len(own), p=ease / ease.sum()))]
    content, done = bytearray(source.content), []
    for _ in range(1 + int(rng.random() < 0.3)):
        damage = DAMAGES[int(rng.integers(len(DAMAGES)))]
        done.append(damage.__name__)
        other = own if rng.random() < 0.7 else sources()
        content = damage(content, rng, other[int(rng.integers(len(other)))].content) or bytearray(b"\0")
    whole = bytes(content)
    return source, " and ".join(done), repaired(whole) if whole.startswith(PNG) and rng.random() < 0.7 else whole
