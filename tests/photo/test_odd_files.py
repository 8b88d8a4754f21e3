"""Small files of kinds that not every library writes, committed so that any clone can read them (``tests.support.odd`` made them)."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from photochrom.errors import PhotoError
from photochrom.photo import convert
from photochrom.photo.metadata import icc
from photochrom.photo.photo import Photo
from tests.support import odd, testdata
from tests.support.odd import DATA, GREY, PNG_DEEP, SCENE

COLOR = np.asarray(Image.fromarray(SCENE).convert("L"))


def read(name: str) -> Photo:
    if name.endswith(".heic"):
        pytest.importorskip("pi_heif")
    return convert.read(DATA / name)


def test_every_file_is_there_and_small() -> None:
    assert {path.name for path in DATA.iterdir()} == odd.FILES.keys()
    assert all(path.stat().st_size < 5000 for path in DATA.iterdir())


@pytest.mark.parametrize(
    ("name", "luma", "off"),
    [
        ("adobe-cmyk.jpg", COLOR, 4),
        ("arithmetic.jpg", GREY, 3),
        ("gain-map.jpg", GREY, 3),
        ("gamma-1.8.jp2", GREY, 0),
        ("main-of-heic.heic", COLOR, 4),
        ("sixteen-bits-alpha.png", PNG_DEEP[..., 0] // 257, 1),
        ("stereo.mpo", GREY, 3),
        ("table-profile.jpg", np.asarray(Image.fromarray(np.roll(SCENE, 1, 2)).convert("L")), 6),
        ("ten-bits.avif", COLOR, 4),
    ],
)
def test_luma_is_that_of_the_picture(name: str, luma: np.ndarray, off: float) -> None:
    """On average within the loss of the format, and the result's within as much of the source's."""
    source = read(name)
    assert source.luma.shape == luma.shape
    assert np.abs(source.shown.astype(int) - luma).mean() <= off
    back = convert.read(convert.encode(source, *testdata.chroma(luma.shape)))
    assert np.abs(back.shown.astype(int) - source.shown).mean() <= 3
    assert back.thumbnail is not None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("raw.dng", "camera raw (DNG) is not read; develop it with a raw converter to TIFF or JPEG first"),
        ("twelve-bits.jpg", "12 bits a channel: at most 8 are read; convert it to 8 bits first"),
        ("very-bright.avif", "high dynamic range (PQ) is not read; give the photograph as sRGB first"),
    ],
)
def test_what_is_not_read_is_refused_in_one_line(name: str, message: str) -> None:
    with pytest.raises(PhotoError) as caught:
        read(name)
    assert str(caught.value) == f"{DATA / name}: {message}"


@pytest.mark.parametrize(
    ("name", "notes"),
    [
        ("gain-map.jpg", ("its gain map left out",)),
        ("spot.tif", ("1 extra channel (infrared, spot color or mask) left out",)),
        ("stereo.mpo", ("the main of 2 pictures",)),
        ("main-of-heic.heic", ()),
        ("adobe-cmyk.jpg", ()),
    ],
)
def test_what_is_left_out_is_noted(name: str, notes: tuple[str, ...]) -> None:
    assert read(name).notes == notes


def test_depth_alpha_and_profiles() -> None:
    deep, fine = read("sixteen-bits-alpha.png"), read("ten-bits.avif")
    assert (deep.bits, deep.luma.dtype, fine.bits, fine.luma.dtype) == (16, np.uint16, 10, np.uint16)
    assert np.array_equal(deep.luma, PNG_DEEP[..., 0])
    assert np.array_equal(deep.alpha, PNG_DEEP[..., 1])
    back = convert.read(convert.encode(fine, *testdata.chroma(fine.luma.shape)))
    assert (back.bits, back.avif_sampling) == (10, (1, 1))
    assert read("gamma-1.8.jp2").icc == icc.for_color(testdata.grey_profile(testdata.gamma_curve(1.8)), "L")
    assert read("table-profile.jpg").icc is None
    assert read("adobe-cmyk.jpg").icc is None


def test_xmp_of_a_gain_map_is_cut_out_and_the_rest_kept() -> None:
    xmp = read("gain-map.jpg").xmp or b""
    assert b"hdrgm:Version" not in xmp
    assert b"dc:format='kept'" in xmp


@pytest.mark.parametrize("name", ["adobe-cmyk.jpg", "arithmetic.jpg", "table-profile.jpg"])
def test_luma_that_cannot_be_kept_is_encoded(name: str) -> None:
    source = read(name)
    assert testdata.target(source).luma == "encoded"
    with pytest.raises(PhotoError, match="luma can be lossless only from a grey or YCbCr JPEG"):
        testdata.target(source, luma="lossless")


def test_a_table_profile_is_what_makes_the_difference() -> None:
    """Without its profile, the picture has other luma."""
    content = (DATA / "table-profile.jpg").read_bytes()
    with Image.open(io.BytesIO(content)) as image:
        assert np.abs(read("table-profile.jpg").luma.astype(int) - np.asarray(image.convert("L"))).mean() > 10
