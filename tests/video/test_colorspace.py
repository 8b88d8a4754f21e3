"""Chroma in the film's own form: the same excess of red, green and blue, and exactly the film's luma."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("av")

from photochrom import color
from photochrom.video.media.colorspace import WEIGHTS, Signal, assumed, conversion, guide, stored


@pytest.mark.parametrize("matrix", WEIGHTS)
def test_conversion_keeps_luma_and_the_differences_of_red_green_and_blue(matrix: int) -> None:
    rng = np.random.default_rng(0)
    luma, chroma = rng.uniform(0, 1, 50), rng.uniform(-0.2, 0.2, (2, 50))
    red, green, blue = color.ycbcr_to_rgb(luma, *chroma)
    # The plain way, by RGB: the same color, moved along grey until its luma by the film's matrix is the film's.
    kr, kb = WEIGHTS[matrix]
    moved = luma - (kr * red + (1 - kr - kb) * green + kb * blue)
    expected = np.stack([(blue + moved - luma) / (2 * (1 - kb)), (red + moved - luma) / (2 * (1 - kr))])
    assert np.allclose(conversion(matrix) @ chroma, expected)


def test_conversion_to_709_is_the_published_one() -> None:
    # The rows for Cb and Cr of the product of the two matrices of ITU-R BT.601 and BT.709.
    forward = np.array([[0.2126, 0.7152, 0.0722]])
    forward = np.concatenate([forward, (np.eye(3)[2:] - forward) / 1.8556, (np.eye(3)[:1] - forward) / 1.5748])
    back = np.array([[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]])
    whole = forward @ back
    assert np.allclose(whole[1:, 0], 0, atol=1e-6)
    assert np.allclose(conversion(1), whole[1:, 1:], atol=1e-5)


@pytest.mark.parametrize("matrix", [1, 6, 9])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_levels(matrix: int, full: bool, bits: int) -> None:
    signal = Signal(bits, full, matrix, matrix, matrix)
    rng = np.random.default_rng(0)
    chroma = rng.uniform(-0.3, 0.3, (2, 20, 30))
    if bits == 8:
        planes = tuple(np.rint(plane * 255 + 128).astype(np.uint8) for plane in chroma)
    else:
        planes = tuple(np.rint(plane * 65280 + 32768).astype(np.uint16) for plane in chroma)
    wanted = np.einsum("ij,jhw->ihw", conversion(matrix), chroma)
    levels = (1 << bits) - 1 if full else 224 << (bits - 8)
    for found, plane in zip(stored(planes, signal), wanted, strict=True):
        assert found.dtype == (np.uint8 if bits == 8 else np.uint16)
        assert np.abs(found - (plane * levels + (1 << (bits - 1)))).max() <= (1.3 if bits == 8 else 0.6)


@pytest.mark.parametrize(("bits", "black", "white"), [(8, 16, 235), (10, 64, 940), (12, 256, 3760)])
def test_luma_of_limited_range_is_seen_in_full(bits: int, black: int, white: int) -> None:
    kind = np.uint8 if bits == 8 else np.uint16
    luma = np.array([[0, black, (black + white) // 2, white, (1 << bits) - 1]], kind)
    seen = guide(luma, Signal(bits, False, 1, 1, 1))
    peak = 255 if bits == 8 else 65535
    assert seen[0, [0, 1, 3, 4]].tolist() == [0, 0, peak, peak]
    assert abs(int(seen[0, 2]) - peak / 2) <= peak / 255


def test_full_range_is_seen_as_it_is() -> None:
    luma = np.arange(256, dtype=np.uint8)[None]
    assert np.array_equal(guide(luma, Signal(8, True, 1, 1, 1)), luma)


def test_matrices_are_assumed_by_size() -> None:
    assert [assumed(*size) for size in ((640, 480), (720, 576), (1280, 720), (1440, 1080), (768, 432))] == [6, 5, 1, 1, 6]
