from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
import simplejpeg
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from photochrom import color
from photochrom.colorizer import upsample
from photochrom.errors import OptionError

PHOTOGRAPHS = ["astronaut", "chelsea", "coffee", "rocket"]
ROUNDING = color.BLUE_CB / 2 + 0.01
"""Half a level of chroma moves blue by this much, the others by less."""


def low_chroma(chroma: NDArray[np.float32], short: int = 32) -> NDArray[np.float32]:
    height, width = chroma.shape[1:]
    scale = short / min(height, width)
    size = (round(width * scale), round(height * scale))
    return np.stack([cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in chroma])


def photograph(name: str) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    luma, chroma = color.split(getattr(skimage.data, name)()[:400, :500])
    return np.rint(luma * 255).astype(np.uint8), chroma


def decoded(plane: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Enlarge a half-size plane as JPEG decoders do: 3/4 of the nearer sample, 1/4 of the farther, in each direction."""
    values = plane.astype(np.float64)
    for axis in (0, 1):
        around = np.take(np.pad(values, 1, mode="edge"), range(1, values.shape[1 - axis] + 1), axis=1 - axis)
        near = np.take(around, range(1, values.shape[axis] + 1), axis=axis)
        before = np.take(around, range(values.shape[axis]), axis=axis)
        after = np.take(around, range(2, values.shape[axis] + 2), axis=axis)
        pair = np.stack([0.75 * near + 0.25 * before, 0.75 * near + 0.25 * after], axis=axis + 1)
        size = list(values.shape)
        size[axis] *= 2
        values = pair.reshape(size)
    return values[: shape[0], : shape[1]]


def random_case(seed: int, height: int, width: int, strength: float) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    rng = np.random.default_rng(seed)
    chroma = rng.normal(0, strength, (2, rng.integers(1, 9), rng.integers(1, 9))).astype(np.float32)
    luma = rng.integers(0, 256, (height, width))
    # Half of the cases have long runs of black and white, where the gamut is a point.
    luma = np.clip((luma - 128) * rng.choice([1, 4]) + 128, 0, 255)
    return chroma, luma.astype(np.uint8)


cases = st.builds(
    random_case,
    st.integers(0, 2**31),
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from([0.02, 0.2, 1.0]),
)


@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 50), (50, 3), (33, 65), (64, 64), (60, 360), (361, 60)])
@pytest.mark.parametrize("cells", [(1, 1), (2, 3), (32, 32), (32, 192), (70, 400)])
def test_result_has_the_size_asked_for(step: int, shape: tuple[int, int], cells: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    chroma = rng.normal(0, 0.1, (2, *cells)).astype(np.float32)
    luma = rng.integers(0, 256, shape, dtype=np.uint8)
    for plane in upsample.upsample(chroma, luma, step=step):
        assert plane.dtype == np.uint8
        assert plane.shape == (-(-shape[0] // step), -(-shape[1] // step))


tints = st.tuples(st.floats(-0.12, 0.12), st.floats(-0.12, 0.12))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**31), st.tuples(st.integers(1, 90), st.integers(1, 90)), tints, st.sampled_from([1, 2]))
def test_uniform_chroma_stays_uniform(seed: int, shape: tuple[int, int], tint: tuple[float, float], step: int) -> None:
    luma = np.random.default_rng(seed).integers(100, 156, shape, dtype=np.uint8)
    chroma = np.empty((2, 5, 6), np.float32)
    chroma[0], chroma[1] = tint
    for plane, value in zip(upsample.upsample(chroma, luma, step=step), tint, strict=True):
        assert plane.min() == plane.max()
        assert abs(float(plane[0, 0]) - (128 + 255 * value)) < 0.51


@settings(deadline=None, max_examples=40)
@given(cases, st.sampled_from([1, 2]))
def test_no_chroma_gives_exactly_128(case: tuple[NDArray[np.float32], NDArray[np.uint8]], step: int) -> None:
    chroma, luma = case
    for plane in upsample.upsample(chroma * 0, luma, step=step):
        assert (plane == 128).all()


@settings(deadline=None, max_examples=150)
@given(cases, st.sampled_from([1, 2]))
def test_every_color_is_in_the_gamut(case: tuple[NDArray[np.float32], NDArray[np.uint8]], step: int) -> None:
    chroma, luma = case
    planes = upsample.upsample(chroma, luma, step=step)
    cb, cr = ((decoded(plane, luma.shape) if step == 2 else plane.astype(np.float64)) - 128 for plane in planes)
    rgb = np.stack(color.ycbcr_to_rgb(luma.astype(np.float64), cb, cr))
    assert rgb.min() >= -ROUNDING
    assert rgb.max() <= 255 + ROUNDING


def test_the_gamut_is_held_by_the_factor_of_headroom() -> None:
    luma = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for angle in np.linspace(0, 2 * np.pi, 25):
        chroma = np.empty((2, 3, 3), np.float32)
        chroma[0], chroma[1] = 0.4 * np.cos(angle), 0.4 * np.sin(angle)
        full = np.stack([np.full(luma.shape, plane[0, 0]) for plane in chroma])
        factor = color.headroom(luma / 255, full[0], full[1], minimum=np.minimum, maximum=np.maximum)
        result = np.stack(upsample.upsample(chroma, luma, step=1)).astype(float) - 128
        assert np.abs(result - full * factor * 255).max() < 0.52


@pytest.mark.parametrize("vividness", [1, 2])
@pytest.mark.parametrize("grain", [0, 20])
@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_grey_of_the_result_is_the_luma(name: str, grain: float, vividness: float) -> None:
    luma, chroma = photograph(name)
    if grain:
        noisy = (luma - 128.0) * 1.6 + 128 + np.random.default_rng(0).normal(0, grain, luma.shape)
        luma = np.clip(noisy, 0, 255).astype(np.uint8)
    low = low_chroma(chroma) * vividness

    cb, cr = upsample.upsample(low, luma, step=1)
    rgb = Image.merge("YCbCr", [Image.fromarray(plane) for plane in (luma, cb, cr)]).convert("RGB")
    error = np.abs(np.asarray(rgb.convert("L")).astype(int) - luma)
    assert (error <= 1).mean() >= 0.999

    cb, cr = upsample.upsample(low, luma, step=2)
    stored = simplejpeg.encode_jpeg_yuv_planes(luma, cb, cr, quality=90)
    kept = simplejpeg.decode_jpeg(stored, colorspace="GRAY")[..., 0]
    grey = np.asarray(Image.open(io.BytesIO(stored)).convert("RGB").convert("L"))
    # Against the luma as stored: what quantization alone does to luma is not the chroma's fault.
    assert (np.abs(grey.astype(int) - kept) <= 2).mean() >= 0.99


@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("tilt", [0.0, 0.3, 1.0])
def test_color_stops_at_an_edge_between_cells(step: int, tilt: float) -> None:
    rows, columns = np.mgrid[:192, :256]
    right = columns + tilt * rows > 141
    luma = np.where(right, 170, 90).astype(np.uint8)
    chroma = np.where(right, np.float32([[[0.1]], [[-0.08]]]), np.float32([[[-0.12]], [[0.1]]]))
    low = low_chroma(chroma, 12)

    result = np.stack(upsample.upsample(low, luma, step=step)).astype(float) - 128
    if step == 2:
        result = result.repeat(2, 1).repeat(2, 2)
    bilinear = np.stack([cv2.resize(plane, (256, 192), interpolation=cv2.INTER_LINEAR) for plane in low]) * 255
    truth = chroma * 255
    assert np.sqrt(np.mean((result - truth) ** 2)) < 0.4 * np.sqrt(np.mean((bilinear - truth) ** 2))


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_photographs_come_back_better_than_by_bilinear(name: str) -> None:
    luma, chroma = photograph(name)
    low = low_chroma(chroma)
    size = luma.shape[::-1]
    bilinear = np.stack([cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR) for plane in low]) * 255
    result = np.stack(upsample.upsample(low, luma, step=1)).astype(float) - 128
    gain = 10 * np.log10(np.mean((bilinear - chroma * 255) ** 2) / np.mean((result - chroma * 255) ** 2))
    assert gain > 1


@pytest.mark.parametrize("step", [1, 2])
def test_no_color_is_made_outside_the_range_around(step: int) -> None:
    rng = np.random.default_rng(3)
    luma = rng.integers(60, 200, (160, 240), dtype=np.uint8)
    luma[:, 120:] += 40
    low = rng.uniform(-0.1, 0.1, (2, 20, 30)).astype(np.float32)
    near = np.ones((7, 7), np.uint8)
    for plane, cells in zip(upsample.upsample(low, luma, step=step), low, strict=True):
        # Gamut mapping may move a color toward grey, hence the range of 0 and all cells that an output pixel can reach.
        lower, upper = (morph(cells, near).repeat(8 // step, 0).repeat(8 // step, 1) for morph in (cv2.erode, cv2.dilate))
        assert (plane >= 128 + 255 * np.minimum(lower, 0) - 0.51).all()
        assert (plane <= 128 + 255 * np.maximum(upper, 0) + 0.51).all()


def test_color_does_not_travel_far() -> None:
    luma = np.random.default_rng(4).integers(90, 170, (160, 240), dtype=np.uint8)
    low = np.zeros((2, 20, 30), np.float32)
    low[0, :, 15:], low[1, :, 15:] = 0.1, -0.1
    cb, cr = upsample.upsample(low, luma, step=1)
    assert (cb[:, : 8 * 12] == 128).all()
    assert (cr[:, : 8 * 12] == 128).all()
    assert np.ptp(cb[:, 8 * 18 :]) == 0


@pytest.mark.parametrize(("step", "shape"), [(1, (96, 130)), (2, (96, 130)), (1, (97, 131))])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_mirrored_picture_gives_a_mirrored_result(step: int, shape: tuple[int, int], axis: int) -> None:
    rng = np.random.default_rng(5)
    low = rng.normal(0, 0.1, (2, 12, 17)).astype(np.float32)
    luma = cv2.GaussianBlur(rng.integers(0, 256, shape, dtype=np.uint8), (0, 0), 2)
    straight = upsample.upsample(low, luma, step=step)
    mirrored = upsample.upsample(np.flip(low, axis + 1), np.flip(luma, axis), step=step)
    for one, other in zip(straight, mirrored, strict=True):
        assert np.abs(one.astype(int) - np.flip(other, axis)).max() <= 1


@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize(("short", "spacing"), [(32, 1), (16, 2), (8, 4)])
def test_bands_join_without_a_seam(step: int, short: int, spacing: int, monkeypatch: pytest.MonkeyPatch) -> None:
    luma, chroma = photograph("astronaut")
    low = low_chroma(chroma, short)
    assert upsample.spaced(low.shape[1:], luma[:, :-1].shape) == spacing
    whole = upsample.upsample(low, luma[:, :-1], step=step)
    monkeypatch.setattr(upsample, "BAND_PIXELS", 3000)
    banded = upsample.upsample(low, luma[:, :-1], step=step)
    for one, other in zip(whole, banded, strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("step", [1, 2])
def test_detail_at_every_fourth_pixel_is_as_good(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    luma, chroma = color.split(skimage.data.retina())
    luma = np.rint(luma * 255).astype(np.uint8)
    low = low_chroma(chroma)
    truth = np.stack([cv2.resize(plane, None, fx=1 / step, fy=1 / step, interpolation=cv2.INTER_AREA) for plane in chroma])
    errors = []
    for spacing in (1, 4):
        monkeypatch.setattr(upsample, "SPACING", spacing)
        planes = np.stack(upsample.upsample(low, luma, step=step)).astype(float)[:, : truth.shape[1], : truth.shape[2]]
        errors.append(np.square(planes - truth * 255 - 128).mean())
    assert 10 * np.log10(errors[1] / errors[0]) < 0.02, errors  # dB


@pytest.mark.parametrize("cells", [(1, 1), (3, 5), (16, 20), (48, 80), (96, 160)])
def test_shrink_is_the_mean_of_each_cell(cells: tuple[int, int]) -> None:
    luma = np.random.default_rng(6).integers(0, 256, (96, 160), dtype=np.uint8)
    exact = luma.reshape(cells[0], 96 // cells[0], cells[1], 160 // cells[1]).mean((1, 3))
    result = upsample.shrink(luma, *cells)
    assert result.dtype == np.float32
    assert np.abs(result - exact).max() < 1


@pytest.mark.parametrize("length", [13, 29, 64, 255, 1001])
@pytest.mark.parametrize("cells", [1, 7, 13])
def test_shrink_of_a_ramp_is_exact_at_any_size(length: int, cells: int) -> None:
    ramp = np.tile(np.linspace(0, 255, length).round().astype(np.uint8), (9, 1))
    exact = ((np.arange(cells) + 0.5) / cells * length - 0.5) * 255 / (length - 1)
    assert np.abs(upsample.shrink(ramp, 1, cells)[0] - exact).max() < 1
    assert np.abs(upsample.shrink(ramp.T, cells, 1)[:, 0] - exact).max() < 1


@pytest.mark.parametrize(
    ("chroma", "luma", "step", "words"),
    [
        (np.zeros((2, 4, 4)), np.zeros((8, 8), np.uint8), 3, "step is 3, expected 1"),
        (np.zeros((2, 4, 4)), np.zeros((8, 8, 3), np.uint8), 1, r"luma is uint8 of shape \(8, 8, 3\), expected uint8"),
        (np.zeros((2, 4, 4)), np.zeros((8, 8), np.float32), 1, "luma is float32"),
        (np.zeros((2, 4, 4)), np.zeros((0, 8), np.uint8), 1, "luma is uint8 of shape"),
        (np.zeros((1, 2, 4, 4)), np.zeros((8, 8), np.uint8), 1, "chroma has the shape"),
        (np.zeros((2, 0, 4)), np.zeros((8, 8), np.uint8), 1, "chroma has the shape"),
        (np.full((2, 4, 4), np.nan), np.zeros((8, 8), np.uint8), 1, "chroma holds NaN"),
    ],
)
def test_wrong_input_is_refused(chroma: NDArray[np.float64], luma: NDArray[np.uint8], step: int, words: str) -> None:
    with pytest.raises(OptionError, match=words) as caught:
        upsample.upsample(chroma, luma, step=step)
    assert "\n" not in str(caught.value)
