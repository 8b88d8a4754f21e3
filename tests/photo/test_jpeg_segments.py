"""JPEG by planes, with luma encoded anew: quality, segments, faults, odd sizes, and no RGB on the way."""

from __future__ import annotations

import hashlib
import io
import struct
from typing import Any

import numpy as np
import pytest
import simplejpeg
from numpy.typing import NDArray
from PIL import ExifTags, Image

from photochrom.errors import OutputError, PhotoError
from photochrom.photo import convert, photo, planes
from photochrom.photo.codecs import jpeg_decode, jpeg_segments
from photochrom.photo.photo import LumaWay
from tests.support import testdata


def recolored(content: bytes, luma: LumaWay = "encoded") -> bytes:
    source = convert.read(content)
    return testdata.encode_as(source, *testdata.chroma(planes.half(source.luma.shape)), luma=luma)


def color_space(content: bytes) -> str:
    return jpeg_decode.color_space(content, jpeg_segments.parse(content))


def insert(content: bytes, *segments: tuple[bytes, bytes]) -> bytes:
    parts = [part for marker, body in segments for part in (marker, (len(body) + 2).to_bytes(2), body)]
    return b"".join([content[:2], *parts, content[2:]])


def scan_from_zero_to_zero(content: bytes) -> bytes:
    """Put a wrong end of the spectrum into the header of a baseline scan, as some cameras do."""
    place = content.index(b"\xff\xda")
    place += int.from_bytes(content[place + 2 : place + 4])
    assert content[place] == 63
    return content[:place] + b"\0" + content[place + 1 :]


@pytest.mark.parametrize("quality", [90, 92, 93, 95, 96, 98])
@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"progressive": True}, {"restart_marker_rows": 2}])
def test_luma_is_kept_within_two(quality: int, options: dict[str, Any]) -> None:
    for picture in (testdata.scene(403, 501), testdata.grey(403, 501)):
        content = testdata.file(picture, "JPEG", {"quality": quality, **options})
        stored = simplejpeg.decode_jpeg(content, colorspace="GRAY")[..., 0]
        assert np.array_equal(convert.read(content).luma, stored)
        written = simplejpeg.decode_jpeg(recolored(content), colorspace="GRAY")[..., 0]
        assert np.mean(np.abs(written.astype(int) - stored) <= 2) >= 0.99
        # What anybody sees who converts to grey, with gentle chroma inside the gamut.
        assert np.mean(np.abs(testdata.luma(recolored(content)) - stored) <= 2) >= 0.99


@pytest.mark.parametrize("luma", ["lossless", "encoded"])
@pytest.mark.parametrize(
    ("subsampling", "down", "across"), [("444", 1, 1), ("422", 1, 2), ("440", 2, 1), ("420", 2, 2), ("411", 1, 2)]
)
def test_chroma_is_as_fine_as_in_the_source(subsampling: str, down: int, across: int, luma: LumaWay) -> None:
    for size in ((61, 83), (1, 1), (1, 40), (200, 64)):
        content = simplejpeg.encode_jpeg(testdata.scene(*size), quality=96, colorsubsampling=subsampling)
        source = convert.read(content)
        assert source.sampling == (down, across)
        edge = np.full(size, 128, np.uint8)
        edge[:, 1::2] = 100  # what chroma of half the width cannot hold
        out = testdata.encode_as(source, edge, np.full(size, 128, np.uint8), luma=luma)
        first, *others = jpeg_segments.parse(out).sampling
        assert (first, set(others)) == ((across, down) if min(size) > 1 else first, {(1, 1)})
        assert testdata.opened(out).size == size[::-1]
        if min(size) > 1:
            seen = np.asarray(testdata.opened(out).convert("YCbCr"))[..., 1].astype(int)
            assert (np.abs(np.diff(seen)).mean() > 12) == (across == 1)
    assert convert.read(testdata.file(testdata.grey(9, 9), "JPEG")).sampling == (2, 2)


def test_the_colors_are_those_given() -> None:
    source = convert.read(testdata.file(testdata.grey(64, 96), "JPEG", {"quality": 95}))
    out = testdata.opened(convert.encode(source, np.full((32, 48), 100, np.uint8), np.full((32, 48), 160, np.uint8)))
    out.draft("YCbCr", None)
    pixels = np.asarray(testdata.opened(convert.encode(source, *(np.full((32, 48), value, np.uint8) for value in (100, 160)))))
    blueness = pixels[..., 2].astype(float) - np.asarray(out.convert("L"))
    assert abs(np.median(blueness) / 1.772 + 28) < 2


@pytest.mark.parametrize("quality", [75, 80, 90, 92, 96, 100])
def test_quality_follows_the_source(quality: int) -> None:
    assert convert.read(testdata.file(testdata.grey(16, 16), "JPEG", {"quality": quality})).quality == quality


@pytest.mark.parametrize("quality", [93, 94, 95])
def test_where_the_encoder_is_rough_a_finer_quality_is_taken(quality: int) -> None:
    assert convert.read(testdata.file(testdata.grey(16, 16), "JPEG", {"quality": quality})).quality == photo.JPEG_QUALITY


def test_quality_has_a_floor_and_is_never_coarser() -> None:
    assert convert.read(testdata.file(testdata.grey(16, 16), "JPEG", {"quality": 30})).quality == jpeg_segments.LOWEST_QUALITY
    foreign = tuple(range(10, 74))
    quality = jpeg_segments.quality_of(foreign)
    assert quality < 90
    assert all(ours <= theirs for ours, theirs in zip(jpeg_segments._luma_table(quality), foreign, strict=True))
    assert any(ours > theirs for ours, theirs in zip(jpeg_segments._luma_table(quality - 1), foreign, strict=True))


def test_fine_tables_of_another_program_and_no_table_are_kept() -> None:
    assert jpeg_segments.quality_of((6,) * 64) == 98
    assert jpeg_segments.quality_of(()) == 98
    content = testdata.file(testdata.grey(200, 304), "JPEG", {"qtables": [[5] * 64] * 2})
    assert np.mean(np.abs(testdata.luma(recolored(content)) - testdata.luma(content)) <= 2) >= 0.99


def test_a_file_of_quality_75_keeps_its_size() -> None:
    content = testdata.file(testdata.grey(300, 400), "JPEG", {"quality": 75})
    assert 0.8 < len(recolored(content)) / len(content) < 1.3


def test_no_rgb_picture_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    content = testdata.file(testdata.scene(900, 1200), "JPEG", {"quality": 92})
    decode = simplejpeg.decode_jpeg

    def watched(*args: Any, **options: Any) -> NDArray[np.uint8]:
        picture = decode(*args, **options)
        assert picture.shape[2] == 1 or picture.shape[0] * picture.shape[1] <= 900 * 1200 / 16
        return picture

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("this way leads through RGB")

    monkeypatch.setattr(simplejpeg, "decode_jpeg", watched)
    monkeypatch.setattr(planes, "to_rgb", forbidden)
    monkeypatch.setattr(planes, "split", forbidden)
    monkeypatch.setattr(Image, "open", forbidden)
    assert recolored(content)


@pytest.mark.parametrize("size", [(1, 1), (17, 31), (1, 700), (700, 1), (3, 8), (8, 9), (16, 16)])
def test_odd_sizes(size: tuple[int, int]) -> None:
    for picture in (testdata.grey(*size), testdata.scene(*size)):
        content = testdata.file(picture, "JPEG", {"quality": 100})
        out = recolored(content)
        assert testdata.opened(out).size == (size[1], size[0])
        source = simplejpeg.decode_jpeg(content, colorspace="GRAY")[..., 0]
        # Blocks that reach past the border are filled anew, so that small pictures change more than large ones.
        assert np.abs(simplejpeg.decode_jpeg(out, colorspace="GRAY")[..., 0].astype(int) - source).mean() <= 2


@pytest.mark.parametrize("size", [(201, 300), (200, 301), (201, 301)])
def test_odd_sizes_are_filled_by_their_last_row_and_column(size: tuple[int, int]) -> None:
    height, width = size
    luma = testdata.grey(*size)
    cb, cr = testdata.chroma(planes.half(size))
    even = np.pad(luma, ((0, height % 2), (0, width % 2)), "edge")
    expected = simplejpeg.decode_jpeg(jpeg_segments.encode(even, cb, cr, quality=95, segments=[]), colorspace="GRAY")[
        :height, :width
    ]
    for value in range(0, 256, 51):
        # What lies behind the plane in memory must not reach the file.
        memory = np.full(luma.size + 4 * width, value, np.uint8)
        memory[: luma.size] = luma.ravel()
        content = jpeg_segments.encode(memory[: luma.size].reshape(size), cb, cr, quality=95, segments=[])
        assert np.array_equal(simplejpeg.decode_jpeg(content, colorspace="GRAY"), expected)


@pytest.mark.parametrize("size", [(500, 701), (16 * 70, 64), (33, 900), (49, 1), (1, 90)])
def test_bands_are_joined_without_a_trace(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    luma, (cb, cr) = testdata.grey(*size), testdata.chroma(planes.half(size))
    whole = jpeg_segments.encode(luma, cb, cr, quality=90, segments=[])
    monkeypatch.setattr(jpeg_segments, "BAND_PIXELS", 1)  # each row of blocks by itself, so that restarts are counted round
    bands = jpeg_segments.encode(luma, cb, cr, quality=90, segments=[])
    assert len(jpeg_segments.parse(bands).segments) == len(jpeg_segments.parse(whole).segments) + (size[0] > 16)
    assert np.array_equal(testdata.opened(bands), testdata.opened(whole))
    assert np.array_equal(simplejpeg.decode_jpeg(bands), simplejpeg.decode_jpeg(whole))


@pytest.mark.parametrize("luma", ["lossless", "encoded"])
def test_segments_are_carried_in_legal_order(luma: LumaWay) -> None:
    profile = testdata.srgb_profile() + b"\0" * 70_000  # two segments
    pieces = [profile[:65519], profile[65519:]]
    head = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>mine</x:xmpmeta>"
    extended = jpeg_segments.EXTENDED_XMP + hashlib.md5(head).hexdigest().encode() + b"\0\0\0\x09\0\0\0\0" + b"extension"
    iptc = b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x02\x1c\x02"
    content = insert(
        testdata.file(testdata.grey(40, 50), "JPEG", {"quality": 90, "dpi": (300, 200)}),
        (jpeg_segments.COMMENT, b"Aunt Ada, 1912"),
        (jpeg_segments.APP13, iptc),
        *(
            (jpeg_segments.APP2, jpeg_segments.ICC + bytes([number, 2]) + piece)
            for number, piece in reversed(list(enumerate(pieces, 1)))
        ),
        (jpeg_segments.APP1, extended),
        (jpeg_segments.APP1, jpeg_segments.XMP + head),
        (jpeg_segments.APP1, testdata.exif(orientation=6)),
        (jpeg_segments.APP2, b"MPF\0" + b"\0" * 40),
        (b"\xff\xeb", b"JP\0\1signed"),
    )
    out = recolored(content, luma)
    found = [
        (marker, body)
        for marker, body in jpeg_segments.parse(out).segments
        if 0xE0 <= marker[1] <= 0xEF or marker == jpeg_segments.COMMENT
    ]
    assert [marker[1] for marker, _ in found] == [0xE0, 0xE1, 0xE1, 0xE2, 0xE2, 0xFE, 0xED, 0xE1]
    assert found[0][1][7:12] == b"\x01\x01\x2c\x00\xc8"  # 300 by 200 dots an inch
    assert found[1][1] == testdata.exif(orientation=6)
    assert found[2][1] == jpeg_segments.XMP + head
    assert found[3][1][12:14] + found[4][1][12:14] == b"\1\2\2\2"
    assert [body for _, body in found[5:]] == [b"Aunt Ada, 1912", iptc, extended]
    image = testdata.opened(out)
    assert image.info["icc_profile"] == profile
    assert image.info["dpi"] == (300, 200)
    assert image.getexif()[274] == 6


def test_adobes_segment_is_not_carried() -> None:
    content = testdata.file(testdata.scene(40, 50), "JPEG", {"quality": 95, "keep_rgb": True})
    assert color_space(content) == "RGB"
    out = recolored(content)
    assert color_space(out) == "YCbCr"
    assert not [marker for marker, _ in jpeg_segments.parse(out).segments if marker == jpeg_segments.APP14]
    assert np.mean(np.abs(testdata.luma(out) - testdata.luma(content)) <= 2) >= 0.99


def thumbnail_of(block: bytes) -> dict[int, Any]:
    loaded = Image.Exif()
    loaded.load(block)
    return loaded.get_ifd(ExifTags.IFD.IFD1)


def test_the_grey_thumbnail_is_unlinked_and_nothing_else_moves() -> None:
    block, small = bytearray(testdata.exif()), testdata.file(testdata.grey(8, 8), "JPEG")
    assert block[6:14] == b"MM\0*\0\0\0\x08"
    link, behind = 16 + 12 * int.from_bytes(block[14:16]), len(block) - 6
    block[link : link + 4] = behind.to_bytes(4)
    block += struct.pack(">HHHIIHHIII", 2, 0x201, 4, 1, behind + 30, 0x202, 4, 1, len(small), 0) + small
    content = testdata.file(testdata.grey(40, 50), "JPEG", {"exif": bytes(block)})
    assert thumbnail_of(testdata.opened(content).info["exif"])
    out = testdata.opened(recolored(content))
    assert not thumbnail_of(out.info["exif"])
    assert out.getexif()[271] == "Kodak"
    assert out.getexif().get_ifd(0x8769) == testdata.opened(content).getexif().get_ifd(0x8769)
    assert sum(a != b for a, b in zip(out.info["exif"], block, strict=True)) <= 4


def test_what_xmp_says_of_a_gain_map_is_cut_out() -> None:
    gone = b"<Container:Directory><rdf:Seq><rdf:li Item:Length='9'/></rdf:Seq></Container:Directory><hdrgm:Version>1.0</hdrgm:Version>"
    told = b"<rdf:Description hdrgm:Version='1.0' dc:title='kept'>" + gone + b"</rdf:Description>"
    assert jpeg_segments.DEAD_LINKS.sub(b"", told) == b"<rdf:Description dc:title='kept'></rdf:Description>"
    kept = b"<rdf:Description dc:title='hdrgm' GCamera:MicroVideoOffset='77' xmp:Rating=\"5\"/>"
    assert jpeg_segments.DEAD_LINKS.sub(b"", kept) == b"<rdf:Description dc:title='hdrgm' xmp:Rating=\"5\"/>"


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.995])
def test_a_truncated_file_is_refused(options: dict[str, Any], share: float) -> None:
    content = testdata.file(testdata.scene(200, 300), "JPEG", {"quality": 90, **options})
    with pytest.raises(PhotoError, match="truncated JPEG"):
        convert.read(content[: int(len(content) * share)])
    with pytest.raises(PhotoError, match="damaged JPEG"):
        convert.read(content[: int(len(content) * share)] + jpeg_segments.END)


def test_a_lost_stretch_is_refused() -> None:
    content = testdata.file(testdata.scene(200, 300), "JPEG", {"quality": 90, "restart_marker_rows": 1})
    with pytest.raises(PhotoError, match="damaged JPEG"):
        convert.read(content[: len(content) // 2] + content[len(content) // 2 + 900 :])


def test_a_cut_in_the_header_is_refused() -> None:
    content = testdata.file(testdata.scene(200, 300), "JPEG")
    for length in (3, 20, 100, 170, content.index(b"\xff\xda")):
        with pytest.raises(PhotoError, match="JPEG"):
            convert.read(content[:length])


def test_faults_that_lose_nothing_are_taken() -> None:
    content = testdata.file(testdata.scene(200, 300), "JPEG", {"quality": 90})
    whole = convert.read(content).luma
    for odd in (
        content[:-2],  # no end marker
        content[:-2] + b"\0" * 40 + jpeg_segments.END,  # padding in the scan
        content + b"a film" * 1000,  # something appended
        insert(content[:2] + b"\xff\xff" + content[2:]),  # fill bytes
        scan_from_zero_to_zero(content),
    ):
        assert np.array_equal(convert.read(odd).luma, whole)


def test_a_progressive_file_without_its_end_is_refused() -> None:
    content = testdata.file(testdata.scene(64, 64), "JPEG", {"progressive": True})
    with pytest.raises(PhotoError, match="truncated"):
        convert.read(content[:-2])


def test_what_a_scan_leaves_over_is_a_fault_unless_it_is_empty() -> None:
    """Coded bytes behind the last block show that an earlier one was damaged; decoders only warn of them."""
    content = testdata.file(testdata.scene(200, 300), "JPEG", {"quality": 90})
    place = content.index(b"\xff\xda") + 14
    for odd in (content[:-2] + content[-400:], content[:place] + content[place : place + 900] + content[place:]):
        with pytest.raises(PhotoError, match="extraneous bytes"):
            convert.read(odd)


def test_a_harmless_fault_does_not_hide_a_cut() -> None:
    content = scan_from_zero_to_zero(testdata.file(testdata.scene(200, 300), "JPEG"))
    with pytest.raises(PhotoError, match="truncated"):
        convert.read(content[: len(content) // 2])


def test_twelve_bits_are_refused() -> None:
    content = bytearray(testdata.file(testdata.grey(16, 16), "JPEG"))
    content[content.index(b"\xff\xc0") + 4] = 12
    with pytest.raises(PhotoError, match="12 bits a channel"):
        convert.read(bytes(content))


@pytest.mark.parametrize("by_adobe", [True, False])
def test_ink(by_adobe: bool) -> None:
    """Adobe stores the absence of ink; without its segment, samples are ink."""
    picture = Image.fromarray(testdata.scene(60, 80)).convert("CMYK")
    content = testdata.file(picture, "JPEG", {"quality": 98})
    if not by_adobe:
        picture = Image.fromarray(255 - np.asarray(picture), "CMYK")
        (segment,) = (each for each in jpeg_segments.parse(content).segments if each[0] == jpeg_segments.APP14)
        content = content.replace(jpeg_segments.lay_out([segment]), b"")
    source = convert.read(content)
    plain = np.asarray(picture.convert("RGB").convert("L")).astype(int)
    assert np.abs(source.luma.astype(int) - plain).mean() <= 2
    out = recolored(content)
    assert testdata.opened(out).mode == "RGB"
    assert np.mean(np.abs(testdata.luma(out) - source.luma) <= 6) >= 0.99


def test_a_cmyk_file_is_read_by_its_profile() -> None:
    inks = np.zeros((32, 48, 4), np.uint8)
    inks[..., 3] = np.arange(48) * 5
    content = testdata.file(Image.fromarray(inks, "CMYK"), "JPEG", {"quality": 95, "icc_profile": testdata.srgb_profile()})
    source = convert.read(content)
    assert source.icc is None
    assert np.abs(source.luma[16].astype(int) - (255 - np.arange(48) * 5)).max() <= 4


def test_metadata_too_large_for_a_segment_is_refused() -> None:
    content = testdata.file(testdata.grey(8, 8), "WEBP", {"lossless": True, "xmp": b"x" * 70_000})
    source = convert.read(content)
    with pytest.raises(OutputError, match="70000 bytes of XMP"):
        testdata.encode_as(source, *testdata.chroma((4, 4)), format="JPEG")


def test_sides_too_long_for_jpeg_are_refused() -> None:
    source = convert.from_array(np.zeros((1, 70_000), np.uint8))
    with pytest.raises(OutputError, match="70000 x 1"):
        testdata.encode_as(source, *testdata.chroma((1, 35_000)), format="JPEG")


@pytest.mark.parametrize("seed", range(40))
def test_flipped_bytes_end_in_a_photograph_or_one_clear_line(seed: int) -> None:
    rng = np.random.default_rng(seed)
    content = bytearray(
        testdata.file(testdata.scene(40, 60), "JPEG", {"exif": testdata.exif(), "icc_profile": testdata.srgb_profile()})
    )
    for place in rng.integers(2, len(content), 1 + seed % 8):
        content[place] = rng.integers(256)
    try:
        out = recolored(bytes(content))
    except PhotoError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 300
    else:
        with Image.open(io.BytesIO(content)) as image:
            image.draft("L", None)
            seen = np.asarray(image).astype(int)
        written = simplejpeg.decode_jpeg(out, colorspace="GRAY")[..., 0].astype(int)
        assert np.array_equal(convert.read(bytes(content)).luma, seen)
        assert np.abs(written - seen).mean() < 3


def test_arithmetic_of_density() -> None:
    buffer = io.BytesIO()
    Image.fromarray(testdata.grey(8, 8)).save(buffer, "PNG", dpi=(600, 300))
    out = testdata.encode_as(convert.read(buffer.getvalue()), *testdata.chroma((4, 4)), format="JPEG")
    assert testdata.opened(out).info["dpi"] == (600, 300)
