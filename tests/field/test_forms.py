"""Photographs that others than we read too: values out of range, stray bytes, rare samplings, trailers, other encodings of text."""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photochrom.colorizer import file
from photochrom.colorizer.colorizer import Colorizer, Options
from photochrom.errors import PhotoError
from photochrom.photo import convert
from photochrom.photo.codecs import jpeg_segments
from photochrom.photo.formats import Format
from photochrom.photo.metadata import exif
from tests.support import odd, testdata, tools
from tests.support.odd import GREY, SCENE, SIZE

CHROMA = testdata.chroma(SIZE)


@pytest.fixture(scope="module")
def colorizer() -> Colorizer:
    return Colorizer.load(options=Options(on_color="recolor"))


# 9. Values out of range, stray bytes, rare sampling, trailers


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize(
    ("tag", "value"), [(274, 0), (274, 9), (296, 0), (296, 7), (266, 0), (284, 0), (278, 0), (339, 0), (263, 9)]
)
def test_tags_out_of_range_that_do_not_matter_are_set_right(tag: int, value: int, order: str) -> None:
    content = odd.tagged(testdata.file(GREY, "TIFF", {"dpi": (300, 300)}), **{f"t{tag}": odd.short(value)})
    if order == "big":
        content = tools.run("tiffcp", "-B IN OUT", ".tif", testdata.file(GREY, "TIFF", {"dpi": (300, 300)}))
        content = big_endian(content, tag, value)
    source = convert.read(content)
    assert np.array_equal(source.luma, GREY)
    assert source.orientation == 1
    out = convert.encode(source, *CHROMA)
    assert convert.read(out).luma.shape == SIZE
    assert exif.faults(out) == []


def big_endian(content: bytes, tag: int, value: int) -> bytes:
    """Change a tag of a big-endian TIFF, or put it in the place of another of no importance."""
    changed = bytearray(content)
    (start,) = struct.unpack_from(">I", content, 4)
    (count,) = struct.unpack_from(">H", content, start)
    places = {struct.unpack_from(">H", content, start + 2 + 12 * each)[0]: start + 2 + 12 * each for each in range(count)}
    struct.pack_into(">HHIHH", changed, places.get(tag, places[max(places)]), tag, 3, 1, value, 0)
    return bytes(changed)


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
@pytest.mark.parametrize("stray", [b"\0", b"\0" * 9, b"abc\x12", b"\xff\xff\xff"])
def test_stray_bytes_between_segments_are_passed_over(stray: bytes, options: dict[str, bool]) -> None:
    content = testdata.file(SCENE, "JPEG", options)
    for marker in (b"\xff\xdb", b"\xff\xc4", b"\xff\xda"):
        place = content.index(marker)
        source = convert.read(content[:place] + stray + content[place:])
        assert np.array_equal(source.luma, convert.read(content).luma)
        assert testdata.target(source).luma == "lossless"
        assert np.array_equal(convert.read(convert.encode(source, *CHROMA)).luma, source.luma)


RARE = {
    "4:1:0": ((4, 2), (1, 1), (1, 1)),
    "4 across": ((4, 1), (1, 1), (1, 1)),
    "4 down": ((1, 4), (1, 1), (1, 1)),
    "3 across": ((3, 1), (1, 1), (1, 1)),
    "4:4:4 by twos": ((2, 2), (2, 2), (2, 2)),
    "4:2:2 by other numbers": ((2, 2), (1, 2), (1, 2)),
    "unlike each other": ((2, 2), (2, 1), (1, 2)),
}


@pytest.mark.parametrize("kind", RARE)
def test_rare_samplings_are_read(kind: str) -> None:
    content = odd.rare(RARE[kind])
    with Image.open(io.BytesIO(content)) as image:
        seen = np.asarray(image.convert("YCbCr"))[..., 0].astype(int)
    source = convert.read(content)
    assert np.abs(source.luma.astype(int) - seen).max() <= 2
    assert source.thumbnail is not None
    assert testdata.target(source).luma == "lossless"
    assert np.array_equal(convert.read(convert.encode(source, *CHROMA)).luma, source.luma)
    with pytest.raises(PhotoError, match=r"truncated|damaged"):
        convert.read(content[: len(content) // 3])


@pytest.mark.parametrize(
    "trailer",
    [b"a film" * 99, b"\0\0\0\x18ftypmp42" + b"\0" * 12 + np.random.default_rng(0).bytes(999), b"\0" * 300 + b"SEFT" * 40],
)
@pytest.mark.parametrize("picture", ["grey", "color", "ink"])
def test_a_trailer_without_an_end_marker_before_it_is_passed_over(picture: str, trailer: bytes) -> None:
    pictures = {"grey": Image.fromarray(GREY), "color": Image.fromarray(SCENE), "ink": Image.fromarray(SCENE).convert("CMYK")}
    content = testdata.file(pictures[picture], "JPEG")
    whole, cut = content[:-2] + trailer, content[: len(content) * 2 // 3] + trailer
    assert np.array_equal(convert.read(whole).luma, convert.read(content).luma)
    if picture != "ink":
        assert np.array_equal(convert.read(convert.encode(convert.read(whole), *CHROMA)).luma, convert.read(content).luma)
    with pytest.raises(PhotoError, match=r"truncated|damaged"):
        convert.read(cut)


@pytest.mark.parametrize("options", [{}, {"no_jp2": True}])
def test_a_jpeg_2000_without_its_end_marker_is_read(options: dict[str, bool]) -> None:
    content = testdata.file(SCENE, "JPEG2000", options)
    assert content.endswith(b"\xff\xd9")
    assert np.array_equal(convert.read(content[:-2]).luma, convert.read(content).luma)
    for length in (-3, -20, len(content) // 2):
        with pytest.raises(PhotoError):
            convert.read(content[:length])


@pytest.mark.parametrize("kind", ["tEXt", "gAMA", "pHYs"])
def test_a_damaged_chunk_that_no_pixel_depends_on_is_left_out(kind: str) -> None:
    bodies = {"tEXt": b"Title\0Sea", "gAMA": struct.pack(">I", 55556), "pHYs": b"\0\0\0"}
    content = bytearray(odd.png_of([(kind.encode(), bodies[kind]), (b"tEXt", b"Author\0Ada")], []))
    if kind != "pHYs":  # whose length is wrong
        content[content.index(kind.encode()) + 4 + len(bodies[kind])] ^= 255  # its checksum
    source = convert.read(bytes(content))
    assert np.array_equal(source.luma, GREY)
    assert source.icc is None
    assert source.notes == (f"damaged parts ({kind}) left out",)
    assert testdata.opened(convert.encode(source, *CHROMA)).text == {"Author": "Ada"}
    content[content.index(b"IDAT") + 9] ^= 255
    with pytest.raises(PhotoError):
        convert.read(bytes(content))


# 11. XMP in other encodings


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be", "utf-16-le", "utf-32"])
@pytest.mark.parametrize("kind", ["TIFF", "PNG", "JPEG", "WEBP"])
def test_xmp_in_any_encoding_is_kept_beside_the_record(
    kind: Format, encoding: str, colorizer: Colorizer, tmp_path: Path
) -> None:
    title = '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:format="Fähre"/>'
    packet = f'<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>{odd.XMP.format(title)}<?xpacket end="w"?>'.encode(
        encoding
    )
    plain = testdata.file(GREY, kind)
    if kind == "TIFF":
        content = odd.tagged(plain, t700=exif.Value(exif.BYTES, packet))
    elif kind == "JPEG":
        content = odd.with_segments(plain, (jpeg_segments.APP1, jpeg_segments.XMP + packet))
    else:
        content = convert.encode(replace(convert.read(plain), xmp=packet), *CHROMA)
    (tmp_path / f"a.{kind}").write_bytes(content)
    assert "Fähre".encode() in (convert.read(content).xmp or b"")
    out = file.encoded(convert.read(content), colorizer)
    (tmp_path / "out").write_bytes(out)
    found = convert.read(out).xmp or b""
    assert "Fähre".encode() in found
    assert b"unreadable" not in found
    assert file.recorded(tmp_path / "out").version
