"""What goes in and out of a guest, each in closed form and against scikit-image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import skimage.color

from photochrom import color
from photochrom.colorizer.guests import convert, kinds
from photochrom.colorizer.guests.spec import Guest

PLAIN = Guest(image="input", answer="output", shows="luma", gives="ab")
LUMA = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)


def test_lab_and_back_agree_with_scikit_image() -> None:
    rgb = np.random.default_rng(0).random((20, 30, 3))
    lab = skimage.color.rgb2lab(rgb)
    np.testing.assert_allclose(color.rgb_to_lab(np.moveaxis(rgb, -1, 0)), np.moveaxis(lab, -1, 0), atol=0.02)
    np.testing.assert_allclose(color.lab_to_rgb(np.moveaxis(lab, -1, 0)), np.moveaxis(rgb, -1, 0), atol=2e-4)
    grey = np.linspace(0, 1, 256, dtype=np.float32)
    np.testing.assert_allclose(color.lightness(grey), skimage.color.rgb2lab(np.stack([grey] * 3, -1))[:, 0], atol=0.01)


def test_lab_outside_the_gamut_is_clipped() -> None:
    wild = np.array([[50.0, 99, 1], [120, -120, 0], [-120, 90, 0]])
    assert 0 <= color.lab_to_rgb(wild).min() <= color.lab_to_rgb(wild).max() <= 1


def test_bytes_and_floats_have_one_lab() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (9, 7, 3), np.uint8)
    np.testing.assert_allclose(color.rgb_to_lab(np.moveaxis(picture, -1, 0) / 255), color.lab(picture), atol=1e-3)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, LUMA[None]),
        ({"factor": 255.0}, 255 * LUMA[None]),
        ({"mean": (0.5,), "deviation": (0.5,)}, 2 * LUMA[None] - 1),
        ({"shows": "lightness"}, color.lightness(LUMA)[None]),
        ({"shows": "lightness", "mean": (50.0,), "deviation": (100.0,)}, (color.lightness(LUMA)[None] - 50) / 100),
        ({"shows": "rgb"}, np.stack([LUMA] * 3)),
        (
            {"shows": "rgb", "mean": (0.1, 0.2, 0.3), "deviation": (1.0, 2.0, 4.0)},
            np.stack([LUMA - 0.1, (LUMA - 0.2) / 2, (LUMA - 0.3) / 4]),
        ),
    ],
)
def test_what_a_network_is_shown(changes: dict[str, object], expected: np.ndarray) -> None:
    found = convert.shown(replace(PLAIN, **changes), LUMA)  # type: ignore[arg-type]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected[None], atol=1e-4)


def test_hints_are_shown_as_ab_where_they_are() -> None:
    guest = replace(PLAIN, hint_ab="ab", hint_mask="mask", hint_factor=1 / 110, hint_offset=0.5)
    hints = np.zeros((3, 3, 4), np.float32)
    hints[:, 1, 2] = -0.1, 0.15, 1
    ab, mask = convert.shown_hints(guest, hints, LUMA)
    rgb = np.stack(color.ycbcr_to_rgb(LUMA[1, 2], -0.1, 0.15)).clip(0, 1)
    np.testing.assert_allclose(ab[0, :, 1, 2], skimage.color.rgb2lab(rgb)[1:] / 110, atol=1e-3)
    assert np.count_nonzero(ab) == 2
    assert mask[0, 0, 1, 2] == 0.5
    assert (mask == -0.5).sum() == LUMA.size - 1
    ab, mask = convert.shown_hints(guest, None, LUMA)
    assert not ab.any()
    assert (mask == -0.5).all()


def test_cbcr_is_taken_as_it_is_with_or_without_luma() -> None:
    answer = np.random.default_rng(0).random((3, 3, 4), np.float32) - 0.5
    guest = replace(PLAIN, gives="cbcr")
    for planes in (answer, answer[1:]):
        np.testing.assert_array_equal(convert.chroma(guest, planes, LUMA, temperature=1), answer[1:])


def test_the_luma_of_a_picture_is_thrown_away() -> None:
    picture = np.random.default_rng(0).random((3, 3, 4), np.float32) * 0.5
    guest = replace(PLAIN, shows="rgb", gives="rgb")
    found = convert.chroma(guest, picture, LUMA, temperature=1)
    np.testing.assert_allclose(convert.chroma(guest, picture + 0.3, LUMA, temperature=1), found, atol=1e-6)
    np.testing.assert_allclose(found, np.stack(color.rgb_to_ycbcr(*picture)[1:]), atol=1e-6)
    np.testing.assert_allclose(convert.luma_of(guest, picture), color.rgb_to_ycbcr(*picture)[0], atol=1e-6)


def test_an_answer_of_another_size_counts_at_the_lightness_there() -> None:
    answer = np.broadcast_to(np.array([20, 10], np.float32)[:, None, None], (2, 1, 2))
    found = convert.chroma(PLAIN, answer, np.repeat([[0.3, 0.3, 0.7, 0.7]], 2, 0).astype(np.float32), temperature=1)
    for column, grey in enumerate((0.3, 0.7)):
        lightness = skimage.color.rgb2lab(np.full(3, grey))[0]
        red, green, blue = skimage.color.lab2rgb(np.array([lightness, 20, 10]))
        own = 0.299 * red + 0.587 * green + 0.114 * blue
        np.testing.assert_allclose(found[:, 0, column], [(blue - own) / 1.772, (red - own) / 1.402], atol=2e-3)


@pytest.mark.parametrize("gives", ["shares", "logits"])
def test_bins_are_averaged_at_a_temperature(gives: str) -> None:
    guest = replace(PLAIN, gives=gives, points=((10.0, 0.0), (0.0, 30.0)))  # type: ignore[arg-type]
    share = np.array([0.8, 0.2])
    answer = (share if gives == "shares" else np.log(share) + 5).astype(np.float32)[:, None, None]
    for temperature in (1.0, 0.5):
        annealed = share ** (1 / temperature) / (share ** (1 / temperature)).sum()
        plain = replace(PLAIN, gives="ab")
        ab = np.array([10 * annealed[0], 30 * annealed[1]], np.float32)[:, None, None]
        luma = np.full((1, 1), 0.5, np.float32)
        found = convert.chroma(guest, answer, luma, temperature=temperature)
        np.testing.assert_allclose(found, convert.chroma(plain, ab, luma, temperature=1), atol=1e-5)


def test_padding_is_cut_off_again() -> None:
    square = convert.padded(LUMA, 8)
    assert square.shape == (8, 8)
    np.testing.assert_array_equal(square[:3, :4], LUMA)
    assert (square[2:, 3:] == LUMA[2, 3]).all()
    answer = np.arange(32).reshape(2, 4, 4).astype(np.float32)
    np.testing.assert_array_equal(convert.cropped(answer, (4, 8), 8), answer[:, :2])


def test_the_bins_of_eccv16_are_those_of_its_paper() -> None:
    points = np.array(kinds.POINTS)
    assert points.shape == (313, 2)
    assert len(np.unique(points, axis=0)) == 313
    assert (points % 10 == 0).all()
    rgb = np.stack(np.meshgrid(*[np.linspace(0, 1, 41)] * 3, indexing="ij"), -1).reshape(-1, 1, 3)
    inside = np.unique(np.rint(skimage.color.rgb2lab(rgb)[:, 0, 1:] / 10) * 10, axis=0)
    near = np.abs(inside[:, None] - points[None]).max(-1).min(1)
    assert (near <= 10).all(), "every color of sRGB lies in a bin, or in the next one"
    assert (points[:-1, 0] <= points[1:, 0]).all(), "in the order of the release: by a"
