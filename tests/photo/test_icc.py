"""A grey profile becomes an RGB one under which every grey looks the same; littlecms is the judge."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from photochrom.photo.metadata import icc
from tests.support import odd, testdata

RAMP = np.arange(256, dtype=np.uint8)[None]

CURVES = {
    "gamma 1": testdata.gamma_curve(1.0),
    "gamma 1.8": testdata.gamma_curve(1.8),
    "gamma 2.2": testdata.gamma_curve(2.2),
    "identity": b"curv\0\0\0\0\0\0\0\0",
    "dot gain": testdata.dot_gain_curve(),
}


@pytest.mark.parametrize("version", [2, 4])
@pytest.mark.parametrize("connection", [b"XYZ ", b"Lab "])
@pytest.mark.parametrize("name", CURVES)
def test_greys_look_the_same_through_both_profiles(name: str, connection: bytes, version: int) -> None:
    source = testdata.grey_profile(CURVES[name], connection=connection, version=version)
    made = icc.for_color(source, "L")
    assert made is not None
    assert icc.space(made) == "RGB"
    before = icc.to_lab(Image.fromarray(RAMP), source)
    after = icc.to_lab(Image.fromarray(np.repeat(RAMP[..., None], 3, 2)), made)
    assert np.abs(after - before).max() <= 1
    assert before[0, -1, 0] - before[0, 0, 0] > 90  # it is a real ramp that was compared


def test_two_curves_give_two_appearances() -> None:
    steep, flat = (icc.for_color(testdata.grey_profile(testdata.gamma_curve(gamma)), "L") for gamma in (2.2, 1.0))
    assert steep is not None
    assert flat is not None
    middle = Image.new("RGB", (1, 1), (128, 128, 128))
    assert icc.to_lab(middle, flat)[0, 0, 0] - icc.to_lab(middle, steep)[0, 0, 0] > 15


@pytest.mark.parametrize("version", [2, 4])
def test_a_made_profile_is_whole(version: int) -> None:
    curve = testdata.gamma_curve(1.8)
    made = icc.for_color(testdata.grey_profile(curve, version=version), "L")
    assert made is not None
    assert int.from_bytes(made[:4]) == len(made)
    assert made[8] == version
    assert made.count(curve) == 1  # the three channels share the source's own bytes
    profile = ImageCms.ImageCmsProfile(io.BytesIO(made))
    assert "Grey tone curve" in ImageCms.getProfileDescription(profile)
    assert icc.for_color(testdata.grey_profile(curve, version=version), "L") == made


def test_white_and_primaries_are_those_of_srgb() -> None:
    made = icc.for_color(testdata.grey_profile(testdata.gamma_curve(2.2)), "L")
    assert made is not None
    red = Image.new("RGB", (1, 1), (255, 0, 0))
    assert np.abs(icc.to_lab(red, made) - icc.to_lab(red, testdata.srgb_profile())).max() <= 1


def test_what_becomes_of_profiles_of_other_spaces() -> None:
    srgb = testdata.srgb_profile()
    assert icc.for_color(srgb, "L") == icc.for_color(srgb, "RGB") == srgb
    assert icc.for_color(srgb, "CMYK") is None
    assert icc.for_color(None, "L") is None
    assert icc.for_color(b"", "L") is None
    assert icc.for_color(b"\0" * 200, "L") is None
    ink = bytearray(srgb)
    ink[16:20] = b"CMYK"
    assert icc.for_color(bytes(ink), "L") is None


def test_a_damaged_grey_profile_is_left_out() -> None:
    whole = testdata.grey_profile(testdata.gamma_curve(2.2))
    assert icc.for_color(whole[:150], "L") is None
    assert icc.for_color(whole[:128] + struct.pack(">I", 0xFFFFFFFF) + whole[132:140], "L") is None


def test_matrix_profiles_are_neutral_and_tables_may_not_be() -> None:
    assert icc.is_neutral(testdata.srgb_profile())
    assert icc.is_neutral(None)
    assert not icc.is_neutral(odd.mapped_profile())
    assert icc.for_color(odd.mapped_profile(), "RGB") is None


def test_ink_without_a_profile() -> None:
    inks = Image.new("CMYK", (1, 1), (255, 0, 0, 0))
    assert icc.to_srgb(inks, None).getpixel((0, 0)) == (0, 255, 255)
    assert icc.to_srgb(inks, testdata.srgb_profile()).getpixel((0, 0)) == (0, 255, 255)  # a profile of another space
    assert icc.to_srgb(inks, b"damaged").getpixel((0, 0)) == (0, 255, 255)


def test_lab_is_converted() -> None:
    lab = Image.frombytes("LAB", (1, 1), bytes([128, 0, 0]))
    red, green, blue = icc.to_srgb(lab, None).getpixel((0, 0))
    assert max(red, green, blue) - min(red, green, blue) <= 1
    assert 115 <= green <= 125  # L* = 50 is 119 in sRGB
