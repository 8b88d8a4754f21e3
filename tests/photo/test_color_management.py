"""Colors look under a photograph's own profile as they do in sRGB; the judge is a conversion to Lab in floating point."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.color import deltaE_ciede2000, xyz2lab

from photochrom.colorizer import file
from photochrom.colorizer.colorizer import Colorizer, Options
from photochrom.photo import color_management, convert
from photochrom.photo.metadata import icc
from tests.support import testdata
from tests.support.rendering import profiles


def lab(rgb: np.ndarray, profile: bytes) -> np.ndarray:
    space = color_management.read(profile)
    assert space is not None
    xyz = space.to_xyz(rgb.reshape(-1, 3).T / np.iinfo(rgb.dtype).max)
    scaled = xyz / space.matrix.sum(1)[:, None] * np.array([[0.95047], [1], [1.08883]])
    return xyz2lab(scaled.T.reshape(rgb.shape))


@pytest.fixture(scope="module")
def colorizer() -> Colorizer:
    return Colorizer.load(options=Options(on_color="recolor"))


@pytest.mark.parametrize("name", profiles())
def test_colors_look_as_in_srgb(colorizer: Colorizer, name: str) -> None:
    """The same grey picture is colored as sRGB and in another space, at 16 bits; without the conversion dE is 1.3 to 6."""
    profile, srgb = profiles()[name], testdata.srgb_profile()
    grey = np.asarray(Image.open(testdata.golden("coffee")).convert("L").reduce(2), np.uint16) * 257
    own, standard = color_management.read(profile), color_management.read(srgb)
    assert own is not None
    assert standard is not None
    there = own.from_xyz(standard.to_xyz(np.repeat(grey.reshape(1, -1) / 65535, 3, 0)))[1].reshape(grey.shape)
    found = []
    for luma, tag in ((grey, None), (np.rint(there * 65535).astype(np.uint16), profile)):
        source = replace(convert.from_array(luma), icc=tag)
        result = colorizer.colorize(source)
        assert result.chroma is not None
        found.append(lab(convert.to_array(source, *result.chroma), tag or srgb))
    difference = deltaE_ciede2000(*found)
    assert difference.mean() < 1, difference.mean()


def test_eight_bits_do_as_well_on_average(colorizer: Colorizer) -> None:
    """Over photographs the mean is below 1 in the widest spaces too; rounded twice, as chroma and as RGB, it would be 1.05."""
    srgb = testdata.srgb_profile()
    standard = color_management.read(srgb)
    assert standard is not None
    for name in ("Rec. 2020", "Adobe RGB"):
        profile = profiles()[name]
        own = color_management.read(profile)
        assert own is not None
        means = []
        for path in sorted(Path(__file__).parents[1].glob("golden/*.png")):
            grey = np.asarray(Image.open(path).convert("L").reduce(2))
            there = own.from_xyz(standard.to_xyz(np.repeat(grey.reshape(1, -1) / 255, 3, 0)))[1].reshape(grey.shape)
            found = []
            for luma, tag in ((grey, None), (np.rint(there * 255).astype(np.uint8), profile)):
                source = testdata.file(luma, "PNG", {"icc_profile": tag} if tag else None)
                result = file.encoded(convert.read(source), colorizer)
                found.append(lab(np.asarray(testdata.opened(result)), tag or srgb))
            means.append(deltaE_ciede2000(*found).mean())
        print(f"{name}: mean dE of {len(means)} photographs {np.mean(means):.2f}, from {min(means):.2f} to {max(means):.2f}")
        assert np.mean(means) < 1, (name, means)


def test_srgb_is_left_alone() -> None:
    luma, chroma = testdata.grey(40, 60), np.full((2, 10, 15), 0.1, np.float32)
    for profile in (None, testdata.srgb_profile(), b"damaged"):
        assert color_management.as_srgb(luma, profile) is luma
        assert color_management.into(profile, chroma, luma) is chroma


@pytest.mark.parametrize("name", profiles())
def test_a_space_is_the_inverse_of_itself(name: str) -> None:
    space = color_management.read(profiles()[name])
    assert space is not None
    rgb = np.random.default_rng(0).uniform(0.02, 1, (3, 500))
    assert np.abs(space.from_xyz(space.to_xyz(rgb)) - rgb).max() < 1e-3


def test_matrices_agree_with_littlecms() -> None:
    ramp = np.random.default_rng(1).integers(0, 256, (1, 64, 3)).astype(np.uint8)
    for profile in profiles().values():
        theirs = icc.to_lab(Image.fromarray(ramp), profile)
        assert np.abs(lab(ramp, profile) - theirs).mean() < 1


def test_damaged_profiles_are_not_spaces() -> None:
    whole = profiles()["Adobe RGB"]
    assert color_management.read(whole) is not None
    for length in range(0, len(whole), 7):
        color_management.read(whole[:length])
    rng = np.random.default_rng(0)
    for _ in range(200):
        flipped = bytearray(whole)
        for place in rng.integers(128, len(flipped), 4):
            flipped[place] = rng.integers(256)
        color_management.as_srgb(testdata.grey(4, 4), bytes(flipped))
