"""Lossless JPEG: every coefficient of luma is the source's, the colors are those given, and what cannot be so is said."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import jpeglib
import numpy as np
import pytest
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from photochrom.errors import OptionError, OutputError, PhotoError
from photochrom.photo import convert, planes, vips
from photochrom.photo.codecs import jpeg_decode, jpeg_lossless, jpeg_segments
from photochrom.photo.metadata import icc
from photochrom.photo.photo import LumaChoice
from tests.support import odd, testdata

PICTURES = {"grey": testdata.grey, "color": testdata.scene}
KINDS: dict[str, dict[str, Any]] = {
    "4:2:0": {"quality": 90},
    "4:2:2": {"subsampling": 1},
    "4:4:4": {"subsampling": 0, "quality": 97},
    "coarse": {"quality": 12},
    "finest": {"quality": 100},
    "progressive": {"progressive": True},
    "optimized": {"optimize": True},
    "restarts": {"restart_marker_rows": 1},
    "restarts, progressive": {"restart_marker_blocks": 3, "progressive": True},
    "wide tables": {"qtables": [[300] * 64, [400] * 64]},
}


def coefficients(content: bytes, folder: Path) -> NDArray[np.int16]:
    """Read the quantized coefficients of luma, (rows, columns, 8, 8) blocks."""
    file = folder / "read.jpg"
    file.write_bytes(content)
    return jpeglib.read_dct(str(file)).Y


def decoded(content: bytes) -> NDArray[np.uint8]:
    return simplejpeg.decode_jpeg(content, colorspace="GRAY", strict=False)[..., 0]


def by_pillow(content: bytes) -> NDArray[np.uint8]:
    """Decode luma by Pillow, which takes more than our decoder and repairs nothing."""
    with Image.open(io.BytesIO(content)) as image:
        image.draft("L", None)
        return np.array(image)


def recolored(content: bytes, luma: LumaChoice | None = None) -> bytes:
    source = convert.read(content)
    return testdata.encode_as(source, *testdata.chroma(planes.half(source.luma.shape)), luma=luma)


def assert_same_luma(content: bytes, out: bytes, folder: Path) -> None:
    assert np.array_equal(coefficients(out, folder), coefficients(content, folder))
    assert jpeg_segments.parse(out).luma_table == jpeg_segments.parse(content).luma_table
    assert np.array_equal(simplejpeg.decode_jpeg(out, colorspace="GRAY")[..., 0], decoded(content))
    image = testdata.opened(out)
    assert image.mode == "RGB"
    assert image.size == testdata.opened(content).size


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("size", [(120, 88), (33, 50)])
def test_every_coefficient_of_luma_is_the_sources(picture: str, kind: str, size: tuple[int, int], tmp_path: Path) -> None:
    content = testdata.file(PICTURES[picture](*size), "JPEG", KINDS[kind])
    assert_same_luma(content, recolored(content), tmp_path)
    if picture == "grey":
        assert_same_luma(content, recolored(content, "fast"), tmp_path)


@pytest.mark.parametrize("subsampling", ["444", "422", "420", "440", "411"])
def test_every_subsampling(subsampling: str, tmp_path: Path) -> None:
    for size in ((64, 96), (61, 83)):
        content = simplejpeg.encode_jpeg(testdata.scene(*size), quality=88, colorsubsampling=subsampling)
        assert_same_luma(content, recolored(content), tmp_path)


@pytest.mark.parametrize("kind", ["4:2:0", "4:4:4", "progressive"])
@pytest.mark.parametrize("picture", PICTURES)
def test_every_small_size(picture: str, kind: str, tmp_path: Path) -> None:
    for side in range(1, 18):
        for size in ((side, side), (side, 18 - side), (side, 40)):
            content = testdata.file(PICTURES[picture](*size), "JPEG", KINDS[kind])
            assert_same_luma(content, recolored(content), tmp_path)


@pytest.mark.parametrize("folder", ["legacy", "odd"])
def test_every_real_photograph_keeps_its_luma_or_says_why_not(folder: str, tmp_path: Path) -> None:
    lossless, refused = [], []
    for path in sorted(testdata.data(folder).glob("*.jp*g")):
        content = path.read_bytes()
        try:
            source = convert.read(content, name=path.name)
        except PhotoError as error:
            refused.append(str(error))
            continue
        space = jpeg_decode.color_space(content, jpeg_segments.parse(content))
        plain = space in ("Gray", "YCbCr") and icc.is_neutral(jpeg_segments.carried(jpeg_segments.parse(content).segments).icc)
        assert (testdata.target(source).luma == "lossless") == plain, path.name
        if plain:
            out = recolored(content)
            assert_same_luma(content, out, tmp_path)
            lossless.append(len(out) / len(content))
    assert len(lossless) >= {"legacy": 40, "odd": 8}[folder]
    assert all("truncated" in line or "12 bits" in line for line in refused), refused
    assert 0.8 < np.median(lossless) < 1.1, "the result's size, in the source's"


def test_coded_data_of_a_grey_file_are_copied_byte_for_byte() -> None:
    content = testdata.file(testdata.grey(90, 130), "JPEG", {"quality": 91})
    start = content.index(jpeg_segments.SCAN) + 10
    assert len(content[start:-2]) > 2000
    assert content[start:-2] in recolored(content)


def test_the_colors_are_those_given() -> None:
    blue, red = testdata.chroma((60, 45)), testdata.scene(60, 45)
    cb, cr = cv2.GaussianBlur(blue[0], (9, 9), 4), np.ascontiguousarray(red[..., 1] // 4 + 90)
    for content in (testdata.file(PICTURES[name](119, 90), "JPEG", {"quality": 98}) for name in PICTURES):
        out = jpeg_lossless.encode(jpeg_lossless.Coded(content), cb, cr, segments=[])
        # 4:2:0 planes as a decoder of coefficients alone sees them: the mean of each block.
        for plane, given in zip(chroma_blocks(out), (cb, cr), strict=True):
            whole = given[: given.shape[0] // 8 * 8, : given.shape[1] // 8 * 8].astype(float)
            means = whole.reshape(whole.shape[0] // 8, 8, -1, 8).mean((1, 3))
            assert np.abs(plane[: means.shape[0], : means.shape[1]] - means).max() < 1


def chroma_blocks(content: bytes) -> list[NDArray[np.float64]]:
    """Give the mean of each 8 x 8 samples of Cb and Cr, by another decoder: Pillow at an eighth of the size."""
    with Image.open(io.BytesIO(content)) as image:
        image.draft("YCbCr", (image.width // 8, image.height // 8))
        small = np.asarray(image.convert("YCbCr")).astype(float)
    rows, columns = small.shape[0] // 2 * 2, small.shape[1] // 2 * 2
    pairs = small[:rows, :columns].reshape(rows // 2, 2, columns // 2, 2, 3).mean((1, 3))
    return [pairs[..., 1], pairs[..., 2]]


@pytest.mark.parametrize("luma", ["lossless", "fast"])
@pytest.mark.parametrize("kind", ["4:2:0", "progressive", "restarts"])
def test_other_decoders_agree(kind: str, luma: LumaChoice) -> None:
    content = testdata.file(testdata.grey(200, 301), "JPEG", KINDS[kind])
    out = recolored(content, luma)
    by_pillow = np.asarray(testdata.opened(out)).astype(int)
    by_opencv = cv2.imdecode(np.frombuffer(out, np.uint8), cv2.IMREAD_COLOR)[..., ::-1].astype(int)
    by_libvips = vips.library().Image.new_from_buffer(out, "").numpy().astype(int)
    for other in (by_opencv, by_libvips, simplejpeg.decode_jpeg(out).astype(int)):
        assert np.abs(by_pillow - other).max() <= 4
    assert jpeg_segments.parse(out).frame == jpeg_segments.parse(content).frame


def test_a_result_colored_again_is_the_same_file(monkeypatch: pytest.MonkeyPatch) -> None:
    content = testdata.file(testdata.scene(80, 120), "JPEG", {"restart_marker_rows": 1})
    out = recolored(content)
    monkeypatch.setattr(jpeg_lossless, "_recoded", None)  # luma has its scan to itself now
    assert recolored(out) == out


def test_faults_that_lose_nothing_are_taken() -> None:
    for paint in PICTURES.values():
        content = testdata.file(paint(200, 300), "JPEG", {"quality": 90})
        place = content.index(jpeg_segments.SCAN) + 2
        place += int.from_bytes(content[place : place + 2])
        for faulty in (
            content[:-2],  # no end marker
            content[:-2] + b"\0" * 40 + jpeg_segments.END,  # padding in the scan
            content + b"a film" * 1000,  # something appended
            content[:2] + b"\xff" + content[2:],  # a fill byte
            content[: place - 2] + b"\0" + content[place - 1 :],  # a wrong end of the spectrum
        ):
            again = convert.read(recolored(faulty))
            assert testdata.target(again).luma == "lossless"
            assert np.array_equal(again.luma, decoded(content))


@pytest.mark.parametrize("seed", range(60))
def test_damage_ends_in_a_photograph_or_one_clear_line(seed: int) -> None:
    rng = np.random.default_rng(seed)
    kind = list(KINDS.values())[seed % len(KINDS)]
    content = bytearray(testdata.file(list(PICTURES.values())[seed // 2 % 2](40, 60), "JPEG", kind))
    for place in rng.integers(2, len(content), 1 + seed % 6):
        content[place] = rng.integers(256)
    given = bytes(content) if seed % 5 else bytes(content[: rng.integers(len(content))])
    try:
        out = recolored(given)
    except PhotoError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 300
    else:
        assert np.array_equal(decoded(out), by_pillow(given))


def test_threads_do_not_mix_files_up() -> None:
    contents = [testdata.file(testdata.scene(60, 80 + 8 * turn, seed=turn), "JPEG") for turn in range(6)]
    alone = [recolored(content) for content in contents]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(recolored, contents * 4)) == alone * 4


def test_no_file_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert recolored(testdata.file(testdata.scene(40, 60), "JPEG"))
    assert list(tmp_path.iterdir()) == []


def test_no_room_for_temporary_files_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(OutputError, match=r"temporary files of a lossless JPEG.*--luma fast"):
        recolored(testdata.file(testdata.scene(40, 60), "JPEG"))


def test_the_rule_and_what_is_asked() -> None:
    grey, color = (convert.read(testdata.file(PICTURES[name](40, 60), "JPEG")) for name in PICTURES)
    for source in (grey, color):
        assert testdata.target(source).luma == testdata.target(source, luma="lossless").luma == "lossless"
        assert testdata.target(source, luma="encoded").luma == "encoded"
        assert testdata.target(source, "PNG").luma is None
        with pytest.raises(OptionError, match="which is for JPEG to JPEG only, but format is PNG"):
            testdata.target(source, "PNG", luma="lossless")
    assert testdata.target(grey, luma="fast").luma == "lossless"
    assert testdata.target(color, luma="fast").luma == "encoded"
    drawn = convert.read(testdata.file(testdata.scene(40, 60), "PNG"))
    assert testdata.target(drawn, "JPEG").luma == "encoded"
    with pytest.raises(PhotoError, match="this is PNG to JPEG"):
        testdata.target(drawn, "JPEG", luma="lossless")


@pytest.mark.parametrize("kind", ["RGB", "CMYK", "arithmetic", "profile"])
def test_luma_that_cannot_be_kept(kind: str) -> None:
    picture = Image.fromarray(testdata.scene(40, 60))
    content = {
        "RGB": lambda: testdata.file(picture, "JPEG", {"keep_rgb": True}),
        "CMYK": lambda: testdata.file(picture.convert("CMYK"), "JPEG"),
        "arithmetic": (odd.DATA / "arithmetic.jpg").read_bytes,
        "profile": (odd.DATA / "table-profile.jpg").read_bytes,
    }[kind]()
    source = convert.read(content)
    assert kind != "arithmetic" or jpeg_segments.parse(content).frame == b"\xff\xc9"
    assert testdata.target(source).luma == "encoded"
    assert testdata.opened(recolored(content)).mode == "RGB"
    with pytest.raises(PhotoError, match="luma can be lossless only from a grey or YCbCr JPEG") as caught:
        recolored(content, "lossless")
    assert "\n" not in str(caught.value)


def test_luma_coarser_than_chroma_is_not_kept() -> None:
    header = jpeg_segments.parse(testdata.file(testdata.scene(40, 60), "JPEG"))
    assert jpeg_lossless.obstacle(header, "YCbCr") is None
    for sampling in (((1, 1), (2, 2), (1, 1)), ((2, 1), (1, 1), (1, 2))):
        assert jpeg_lossless.obstacle(replace(header, sampling=sampling), "YCbCr") == "its luma is coarser than its chroma"


def test_without_the_library_grey_luma_is_still_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jpeg_lossless, "find_spec", lambda _: None)
    assert testdata.target(convert.read(testdata.file(testdata.grey(40, 60), "JPEG"))).luma == "lossless"
    color = testdata.file(testdata.scene(40, 60), "JPEG")
    assert testdata.target(convert.read(color)).luma == "encoded"
    with pytest.raises(PhotoError, match="jpeglib"):
        recolored(color, "lossless")


def test_fast_copies_where_luma_has_scans_of_its_own() -> None:
    grey, color = (testdata.file(picture(40, 60), "JPEG") for picture in (testdata.grey, testdata.scene))
    for source in (grey, recolored(color, "lossless")):
        fast, lossless = recolored(source, "fast"), recolored(source, "lossless")
        assert np.array_equal(np.asarray(testdata.opened(fast)), np.asarray(testdata.opened(lossless)))
        assert len(lossless) < len(fast) < len(lossless) + 500  # most of it tables of codes
    assert recolored(color, "fast") == recolored(color, "encoded") != recolored(color, "lossless")


def test_encoded_is_an_ordinary_baseline_file() -> None:
    content = testdata.file(testdata.grey(40, 60), "JPEG", {"progressive": True})
    out = recolored(content, "encoded")
    assert jpeg_segments.parse(out).frame == b"\xff\xc0"
    assert out.count(jpeg_segments.SCAN) == 1


def test_options_refuse_what_contradicts() -> None:
    from photochrom import Options

    with pytest.raises(OptionError, match="format is PNG"):
        Options(luma="lossless", format="PNG")
    with pytest.raises(OptionError, match="expected one of lossless, encoded, fast"):
        Options(luma="slow")  # type: ignore[arg-type]
