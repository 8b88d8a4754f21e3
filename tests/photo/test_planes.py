"""Planes: turned as Pillow turns them, put together as RGB of the same luma, brought to size."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageOps

from photochrom import color
from photochrom.errors import OptionError
from photochrom.photo import planes
from tests.support import testdata


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turning_agrees_with_pillow(orientation: int) -> None:
    array = testdata.grey(5, 7)
    image = Image.fromarray(array)
    image.getexif()[274] = orientation
    turned = planes.upright(array, orientation)
    assert np.array_equal(turned, np.asarray(ImageOps.exif_transpose(image)))
    assert np.array_equal(planes.stored(turned, orientation), array)
    stack = np.stack([array, 255 - array])[None]
    assert np.array_equal(planes.upright(stack, orientation)[0, 0], turned)
    assert np.array_equal(planes.stored(planes.upright(stack, orientation), orientation), stack)


def in_gamut(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw random samples of Y'CbCr whose RGB lies in range."""
    rng = np.random.default_rng(0)
    luma, cb, cr = rng.integers(0, 256, (3, *shape)).astype(np.uint8)
    rgb = np.stack(color.ycbcr_to_rgb(luma.astype(float), cb - 128.0, cr - 128.0))
    outside = (rgb.min(0) < 0) | (rgb.max(0) > 255)
    cb[outside] = cr[outside] = 128
    assert np.mean(outside) < 0.9
    return luma, cb, cr


def test_rgb_has_the_same_luma_everywhere_in_the_gamut() -> None:
    luma, cb, cr = in_gamut((400, 2500))
    rgb = planes.to_rgb(luma, cb, cr)
    assert np.array_equal(np.asarray(Image.fromarray(rgb).convert("L")), luma)
    wanted = np.stack(color.ycbcr_to_rgb(luma.astype(float), cb - 128.0, cr - 128.0), -1)
    assert np.abs(rgb - wanted).max() < 1


def exact(rgb: np.ndarray) -> np.ndarray:
    """Give the luma that is promised at 16 bits, in exact arithmetic."""
    red, green, blue = np.moveaxis(rgb.astype(np.int64), -1, 0)
    return (299 * red + 587 * green + 114 * blue + 500) // 1000


@pytest.mark.parametrize("spread", [3, 30, 300])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_luma_is_exact_inside_the_gamut_and_far_outside(kind: type[np.unsignedinteger], spread: int) -> None:
    """At 8 bits Pillow's grey and the exact one are both met."""
    rng = np.random.default_rng(spread)
    peak = np.iinfo(kind).max
    luma = rng.integers(0, peak + 1, (300, 1000)).astype(kind)
    luma[:3] = [[0], [1], [peak]]
    step = (peak + 1) // 256
    cb, cr = (np.clip(rng.normal(128 * step, spread * step, luma.shape), 0, peak).astype(kind) for _ in range(2))
    rgb = planes.to_rgb(luma, cb, cr)
    assert rgb.dtype == kind
    assert np.array_equal(exact(rgb), luma)
    assert np.array_equal(planes.luma_of(rgb), luma)


def test_sixteen_bits_have_finer_colors_than_eight() -> None:
    luma = np.full((1, 1000), 30000, np.uint16)
    ramp = np.linspace(32768, 33768, 1000).astype(np.uint16)[None]
    assert len(np.unique(planes.to_rgb(luma, ramp, np.full_like(ramp, 32768))[..., 2])) > 900


def test_samples_of_sixteen_bits_are_seen_as_eight() -> None:
    every = np.arange(65536, dtype=np.uint16)[None]
    assert np.array_equal(planes.to_eight(every), np.rint(every / 257))
    eight = np.arange(256, dtype=np.uint8)[None]
    assert np.array_equal(planes.fit(planes.fit(eight, (1, 256), (1, 256), bits=16), (1, 256), (1, 256)), eight)


def test_no_color_is_grey() -> None:
    luma = np.arange(256, dtype=np.uint8)[None]
    assert np.array_equal(planes.to_rgb(luma, *[np.full_like(luma, 128)] * 2), np.repeat(luma[..., None], 3, 2))


def test_green_makes_up_for_what_red_and_blue_lose() -> None:
    luma = np.full((1, 1), 235, np.uint8)
    rgb = planes.to_rgb(luma, np.full((1, 1), 128, np.uint8), np.full((1, 1), 148, np.uint8))
    assert rgb[0, 0, 0] == 255  # 263, clipped
    assert np.asarray(Image.fromarray(rgb).convert("L"))[0, 0] == 235


def test_bands_meet_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    luma, cb, cr = in_gamut((37, 53))
    whole = planes.to_rgb(luma, cb, cr)
    monkeypatch.setattr(planes, "BAND_PIXELS", 100)
    assert np.array_equal(planes.to_rgb(luma, cb, cr), whole)


@pytest.mark.parametrize("full", [(1, 1), (2, 2), (5, 7), (6, 9), (1, 4)])
def test_chroma_is_brought_to_size(full: tuple[int, int]) -> None:
    half = planes.half(full)
    flat = np.full(full, 77, np.uint8)
    assert np.array_equal(planes.fit(flat, half, full), np.full(half, 77))
    assert np.array_equal(planes.fit(np.full(half, 77, np.uint8), full, full), flat)
    assert planes.fit(flat, full, full) is flat


def test_halving_averages_and_doubling_stays_in_place() -> None:
    plane = np.array([[0, 100, 50], [100, 200, 70], [10, 30, 90]], np.uint8)
    assert planes.fit(plane, (2, 2), (3, 3)).tolist() == [[100, 60], [20, 90]]
    step = np.repeat(np.array([[0, 0, 200, 200]], np.uint8), 4, 0)
    doubled = planes.fit(step, (7, 7), (7, 7))
    assert doubled[0].tolist() == [0, 0, 0, 50, 150, 200, 200]


def test_other_sizes_are_refused() -> None:
    with pytest.raises(OptionError, match=r"\(3, 3\).*\(10, 10\) or \(5, 5\)"):
        planes.fit(np.zeros((3, 3), np.uint8), (10, 10), (10, 10))
    with pytest.raises(OptionError, match="float64"):
        planes.fit(np.zeros((10, 10)), (10, 10), (10, 10))  # type: ignore[arg-type]
