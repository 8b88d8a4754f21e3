"""Directories of TIFF: read, written, moved, and never trusted."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image

from photochrom.photo.metadata import exif
from tests.support import testdata

TEXT = "Fotografía de Ana, 1912".encode()


def block(order: str) -> bytes:
    """Lay out by hand a directory with a text, a fraction, an orientation and an EXIF directory, in a byte order."""
    magic = b"II*\0" if order == "<" else b"MM\0*"
    tail = 8 + 2 + 4 * 12 + 4
    entries = [
        struct.pack(order + "HHII", 270, 2, len(TEXT) + 1, tail),
        struct.pack(order + "HHIHH", 274, 3, 1, 6, 0),
        struct.pack(order + "HHII", 282, 5, 1, tail + 32),
        struct.pack(order + "HHII", 34665, 4, 1, tail + 40),
    ]
    inner = struct.pack(order + "HHHIII", 1, 33434, 5, 1, tail + 40 + 18, 0) + struct.pack(order + "II", 1, 125)
    body = (TEXT + b"\0").ljust(32, b"\0") + struct.pack(order + "II", 600, 2) + inner
    return magic + struct.pack(order + "IH", 8, 4) + b"".join(entries) + b"\0\0\0\0" + body


@pytest.mark.parametrize("order", ["<", ">"])
def test_reading_is_the_same_in_both_byte_orders(order: str) -> None:
    found = exif.read(block(order))
    assert found == exif.read(block("<"))
    assert found[270].data == TEXT + b"\0"
    assert struct.unpack("<II", found[282].data) == (600, 2)
    assert struct.unpack("<II", found[34665].directory[33434].data) == (1, 125)
    assert exif.orientation(block(order)) == 6


def test_writing_is_the_inverse_of_reading() -> None:
    found = exif.read(block(">"))
    written = exif.block(found)
    assert written is not None
    assert exif.read(written) == found
    loaded = Image.Exif()
    loaded.load(written)
    assert loaded.get_ifd(34665)[33434] == 1 / 125
    assert exif.block({}) is None


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"])
def test_tags_are_added_to_a_file(compression: str) -> None:
    picture = testdata.scene(41, 63)
    plain = testdata.file(picture, "TIFF", {"compression": compression})
    extra = {**exif.read(block(">")), **exif.resolution(300, 150)}
    with Image.open(io.BytesIO(exif.splice(plain, extra))) as image:
        assert image.tag_v2[270].encode("latin-1") == TEXT
        assert image.info["dpi"] == (300, 150)
        assert image.info["compression"] == compression
        assert image.getexif().get_ifd(34665)[33434] == 1 / 125
        stored = testdata.opened(plain)
        assert image.tag_v2[274] == 6
        assert np.array_equal(np.asarray(image), np.rot90(np.asarray(stored), -1))


def test_only_what_describes_the_photograph_is_carried() -> None:
    kept = exif.carried(exif.read(testdata.file(testdata.scene(9, 9), "TIFF", {"dpi": (72, 72), "description": "Ada"})))
    assert set(kept) == {270, 282, 283, 296}


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_impossible_orientation_is_none(value: int) -> None:
    written = exif.block({exif.ORIENTATION: exif.Value(exif.SHORT, struct.pack("<H", value))})
    assert exif.orientation(written) == 1
    assert exif.orientation(None) == exif.orientation(b"") == exif.orientation(b"II*\0") == 1


def test_a_directory_that_holds_itself_ends() -> None:
    entries = struct.pack("<HHIHH", 274, 3, 1, 6, 0) + struct.pack("<HHII", 34665, 4, 1, 8)
    loop = b"II*\0" + struct.pack("<IH", 8, 2) + entries + b"\0" * 16
    found, depth = exif.read(loop), 0
    while 34665 in found:
        found, depth = found[34665].directory, depth + 1
    assert (depth, found.keys()) == (2, {274})  # as deep as directories are in files


def test_damaged_blocks_give_what_is_left() -> None:
    whole = block("<")
    for length in range(len(whole)):
        exif.read(whole[:length])
        assert exif.orientation(whole[:length]) in (1, 6)
        shortened = exif.without_thumbnail(whole[:length])
        assert shortened is not None
        assert len(shortened) == length
    rng = np.random.default_rng(0)
    for _ in range(300):
        flipped = bytearray(whole)
        for place in rng.integers(4, len(whole), 4):
            flipped[place] = rng.integers(256)
        found = exif.read(bytes(flipped))
        written = exif.block(found)
        assert written is None or exif.read(written).keys() == found.keys()
