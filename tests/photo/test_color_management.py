"""Colors look under a photograph's own profile as they do in sRGB; the judge is a conversion to Lab in floating point."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.color import deltaE_ciede2000, xyz2lab

from photochrom import color
from photochrom.colorizer import file
from photochrom.colorizer.colorizer import Colorizer, Options
from photochrom.photo import color_management, convert
from tests.support import testdata
from tests.support.rendering import SPACES, profiles


def lab(rgb: np.ndarray, name: str) -> np.ndarray:
    space = SPACES[name]
    xyz = space.to_xyz(rgb.reshape(-1, 3).T / np.iinfo(rgb.dtype).max)
    scaled = xyz / space.matrix.sum(1)[:, None] * np.array([[0.95047], [1], [1.08883]])
    return xyz2lab(scaled.T.reshape(rgb.shape))


def looks_as(grey: np.ndarray, name: str) -> np.ndarray:
    """Give the samples in [0, 1] that look in a space as grey samples in [0, 1] do in sRGB."""
    return SPACES[name].from_xyz(SPACES["sRGB"].to_xyz(np.repeat(grey.reshape(1, -1), 3, 0)))[1].reshape(grey.shape)


@pytest.fixture(scope="module")
def colorizer() -> Colorizer:
    return Colorizer.load(options=Options(on_color="recolor"))


@pytest.mark.parametrize("name", profiles())
def test_colors_look_as_in_srgb(colorizer: Colorizer, name: str) -> None:
    """The same grey picture is colored as sRGB and in another space, at 16 bits; without the conversion dE is 1.3 to 6."""
    profile = profiles()[name]
    grey = np.asarray(Image.open(testdata.golden("coffee")).convert("L").reduce(2), np.uint16) * 257
    there = np.rint(looks_as(grey / 65535, name) * 65535).astype(np.uint16)
    found = []
    for luma, tag, space in ((grey, None, "sRGB"), (there, profile, name)):
        source = replace(convert.from_array(luma), icc=tag)
        result = colorizer.colorize(source)
        assert result.chroma is not None
        found.append(lab(convert.to_array(source, *result.chroma), space))
    difference = deltaE_ciede2000(*found)
    print(f"{name}: mean dE {difference.mean():.3f}, largest {difference.max():.1f}")
    assert difference.mean() < 1, difference.mean()


def test_eight_bits_do_as_well_on_average(colorizer: Colorizer) -> None:
    """Over photographs the mean is below 1 in the widest spaces too; rounded twice, as chroma and as RGB, it would be 1.05."""
    for name in ("Rec. 2020", "Adobe RGB"):
        profile, means = profiles()[name], []
        for path in sorted(Path(__file__).parents[1].glob("golden/*.png")):
            grey = np.asarray(Image.open(path).convert("L").reduce(2))
            there = np.rint(looks_as(grey / 255, name) * 255).astype(np.uint8)
            found = []
            for luma, tag, space in ((grey, None, "sRGB"), (there, profile, name)):
                source = testdata.file(luma, "PNG", {"icc_profile": tag} if tag else None)
                result = file.encoded(convert.read(source), colorizer)
                found.append(lab(np.asarray(testdata.opened(result)), space))
            means.append(deltaE_ciede2000(*found).mean())
        print(f"{name}: mean dE of {len(means)} photographs {np.mean(means):.2f}, from {min(means):.2f} to {max(means):.2f}")
        assert np.mean(means) < 1, (name, means)


def test_srgb_is_left_alone() -> None:
    luma, chroma = testdata.grey(40, 60), np.full((2, 10, 15), 0.1, np.float32)
    for profile in (None, testdata.srgb_profile(), b"damaged"):
        assert color_management.as_srgb(luma, profile) is luma
        assert color_management.into(profile, chroma, luma) is chroma


@pytest.mark.parametrize("name", profiles())
def test_chroma_is_converted_as_the_definitions_of_both_spaces_say(name: str) -> None:
    """In every corner of the gamut; what 16 bits and littlecms add is far below a step of 8 bits."""
    rgb = np.random.default_rng(0).uniform(0, 1, (3, 20, 30))
    light, cb, cr = color.rgb_to_ycbcr(*rgb)
    luma = np.rint(light * 255).astype(np.uint8)
    shown = color.ycbcr_to_rgb(
        luma / 255, *(plane * color.headroom(luma / 255, cb, cr, minimum=np.minimum, maximum=np.maximum) for plane in (cb, cr))
    )
    samples = SPACES[name].from_xyz(SPACES["sRGB"].to_xyz(np.stack(shown).reshape(3, -1))).reshape(rgb.shape)
    expected = np.stack(color.rgb_to_ycbcr(*samples)[1:])
    found = color_management.into(profiles()[name], np.stack([cb, cr]).astype(np.float32), luma)
    away = np.abs(found - expected)
    print(f"{name}: chroma differs by {away.mean():.5f} on average, {away.max():.4f} at most")
    assert away.mean() < 0.0003
    assert away.max() < 0.005


@pytest.mark.parametrize("name", profiles())
def test_greys_look_the_same_to_the_network(name: str) -> None:
    """Within 1.5 levels; near black steps are coarse, and near white littlecms ends every curve at white."""
    luma = np.arange(256, dtype=np.uint8)[None]
    back = looks_as(color_management.as_srgb(luma, profiles()[name]) / 255, name) * 255
    assert np.abs(back - luma)[0, 16:250].max() < 1.5


def test_damaged_profiles_are_left_alone() -> None:
    whole, luma = profiles()["Adobe RGB"], testdata.grey(4, 4)
    assert not np.array_equal(color_management.as_srgb(luma, whole), luma)
    for length in range(0, 400, 40):
        assert color_management.as_srgb(luma, whole[:length]) is luma
    rng = np.random.default_rng(0)
    for _ in range(100):
        flipped = bytearray(whole)
        for place in rng.integers(128, len(flipped), 4):
            flipped[place] = rng.integers(256)
        assert color_management.as_srgb(luma, bytes(flipped)).shape == luma.shape
