from __future__ import annotations

import math
from dataclasses import asdict, fields, replace

import numpy as np
import pytest
from PIL import Image
from skimage import color as reference
from skimage import data
from skimage import metrics as skimage_metrics

from photochrom import color
from photochrom.errors import OptionError
from photochrom.evaluation import metrics, statistics
from photochrom.evaluation.metrics import Scores, Truth

# Sharma, Wu, Dalal 2005, table 1: L, a, b of one color, L, a, b of the other, CIEDE2000.
SHARMA = [
    (50.0000, 2.6772, -79.7751, 50.0000, 0.0000, -82.7485, 2.0425),
    (50.0000, 3.1571, -77.2803, 50.0000, 0.0000, -82.7485, 2.8615),
    (50.0000, 2.8361, -74.0200, 50.0000, 0.0000, -82.7485, 3.4412),
    (50.0000, -1.3802, -84.2814, 50.0000, 0.0000, -82.7485, 1.0000),
    (50.0000, -1.1848, -84.8006, 50.0000, 0.0000, -82.7485, 1.0000),
    (50.0000, -0.9009, -85.5211, 50.0000, 0.0000, -82.7485, 1.0000),
    (50.0000, 0.0000, 0.0000, 50.0000, -1.0000, 2.0000, 2.3669),
    (50.0000, -1.0000, 2.0000, 50.0000, 0.0000, 0.0000, 2.3669),
    (50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0009, 7.1792),
    (50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0010, 7.1792),
    (50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0011, 7.2195),
    (50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0012, 7.2195),
    (50.0000, -0.0010, 2.4900, 50.0000, 0.0009, -2.4900, 4.8045),
    (50.0000, -0.0010, 2.4900, 50.0000, 0.0010, -2.4900, 4.8045),
    (50.0000, -0.0010, 2.4900, 50.0000, 0.0011, -2.4900, 4.7461),
    (50.0000, 2.5000, 0.0000, 50.0000, 0.0000, -2.5000, 4.3065),
    (50.0000, 2.5000, 0.0000, 73.0000, 25.0000, -18.0000, 27.1492),
    (50.0000, 2.5000, 0.0000, 61.0000, -5.0000, 29.0000, 22.8977),
    (50.0000, 2.5000, 0.0000, 56.0000, -27.0000, -3.0000, 31.9030),
    (50.0000, 2.5000, 0.0000, 58.0000, 24.0000, 15.0000, 19.4535),
    (50.0000, 2.5000, 0.0000, 50.0000, 3.1736, 0.5854, 1.0000),
    (50.0000, 2.5000, 0.0000, 50.0000, 3.2972, 0.0000, 1.0000),
    (50.0000, 2.5000, 0.0000, 50.0000, 1.8634, 0.5757, 1.0000),
    (50.0000, 2.5000, 0.0000, 50.0000, 3.2592, 0.3350, 1.0000),
    (60.2574, -34.0099, 36.2677, 60.4626, -34.1751, 39.4387, 1.2644),
    (63.0109, -31.0961, -5.8663, 62.8187, -29.7946, -4.0864, 1.2630),
    (61.2901, 3.7196, -5.3901, 61.4292, 2.2480, -4.9620, 1.8731),
    (35.0831, -44.1164, 3.7933, 35.0232, -40.0716, 1.5901, 1.8645),
    (22.7233, 20.0904, -46.6940, 23.0331, 14.9730, -42.5619, 2.0373),
    (36.4612, 47.8580, 18.3852, 36.2715, 50.5065, 21.2231, 1.4146),
    (90.8027, -2.0831, 1.4410, 91.1528, -1.6435, 0.0447, 1.4441),
    (90.9257, -0.5406, -0.9208, 88.6381, -0.8985, -0.7239, 1.5381),
    (6.7747, -0.2908, -2.4247, 5.8714, -0.0985, -2.2286, 0.6377),
    (2.0776, 0.0795, -1.1350, 0.9033, -0.0636, -0.5514, 0.9082),
]


def pictures() -> tuple[np.ndarray, np.ndarray]:
    truth = data.astronaut()[::4, ::4]
    noise = np.random.default_rng(0).normal(scale=25, size=truth.shape)
    return truth, np.clip(truth + noise, 0, 255).astype(np.uint8)


def row(**values: float) -> Scores:
    return replace(Scores(1, 2, 3, 2, 25, 0.9, 8, 90, 80, 20, 40), **values)


def rows(count: int, seed: int = 0) -> list[Scores]:
    return [Scores(*values) for values in np.random.default_rng(seed).gamma(4, size=(count, 11)).tolist()]


def test_de2000_gives_the_published_values() -> None:
    table = np.array(SHARMA)
    found = color.delta_e_2000(table[:, 0:3].T, table[:, 3:6].T)
    assert len(table) == 34
    np.testing.assert_allclose(found, table[:, 6], atol=5e-5)
    np.testing.assert_allclose(color.delta_e_2000(table[:, 3:6].T, table[:, 0:3].T), table[:, 6], atol=5e-5)


def test_de2000_in_float32_equals_scikit_image_all_over_the_gamut() -> None:
    one, two = np.random.default_rng(0).integers(0, 256, (2, 200, 300, 3), dtype=np.uint8)
    first, second = color.lab(one), color.lab(two)
    found = color.delta_e_2000(first, second)
    expected = reference.deltaE_ciede2000(np.moveaxis(first, 0, -1).astype(float), np.moveaxis(second, 0, -1).astype(float))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert not color.delta_e_2000(first, first).any()


def test_lab_equals_scikit_image_and_grey_has_no_color() -> None:
    levels = np.linspace(0, 255, 18).astype(np.uint8)
    picture = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(18, -1, 3)
    np.testing.assert_allclose(np.moveaxis(color.lab(picture), 0, -1), reference.rgb2lab(picture), atol=0.01)
    grey = color.lab(np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, axis=2))
    assert np.abs(grey[1:]).max() < 1e-3
    np.testing.assert_allclose(grey[0, [0, 255], 0], [0, 100], atol=1e-4)


def test_disparity_is_the_mean_absolute_difference_in_percent_of_the_full_range() -> None:
    truth = np.zeros((2, 2, 3), np.uint8)
    picture = truth.copy()
    picture[0, 0] = 255, 51, 0
    assert color.disparity(truth, picture) == pytest.approx((25, 5, 0))
    assert color.disparity(picture, truth) == pytest.approx((25, 5, 0)), "differences of uint8 must not wrap around"
    one, two = pictures()
    expected = np.abs(one.astype(int) - two).mean((0, 1)) / 2.55
    assert color.disparity(one, two) == pytest.approx(tuple(expected))


def test_psnr_equals_scikit_image_and_is_finite_for_equal_pictures() -> None:
    one, two = pictures()
    assert color.psnr(one, two) == pytest.approx(skimage_metrics.peak_signal_noise_ratio(one, two), abs=1e-4)
    assert color.psnr(one, one) == pytest.approx(10 * math.log10(255**2 * 12))
    nearly = one.copy()
    nearly[0, 0, 0] ^= 1
    assert color.psnr(one, nearly) == color.psnr(one, one), "a nearer picture must not score below an equal one"


@pytest.mark.parametrize("side", [11, 40])
def test_ssim_equals_scikit_image(side: int) -> None:
    one, two = (picture[:side, 20:60] for picture in pictures())
    expected = skimage_metrics.structural_similarity(
        one, two, channel_axis=-1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
    )
    assert 0.3 < expected < 0.95
    assert metrics.ssim(one, two) == pytest.approx(expected, abs=1e-4)
    assert metrics.ssim(one, one) == 1


def test_ssim_sees_color_that_luma_does_not_and_takes_tiny_pictures() -> None:
    truth = data.astronaut()[::4, ::4]
    grey = np.asarray(Image.fromarray(truth).convert("L").convert("RGB"))
    assert metrics.ssim(truth, grey) < 0.99
    assert metrics.ssim(truth[:3, :2], truth[:3, :2]) == 1


def test_rebalanced_auc_counts_every_class_alike() -> None:
    # Nine tenths of the pixels blue, one tenth red; the classes are far apart, so smoothing does not mix them. The answer has
    # every blue right and every red grey: the rebalanced area is the mean of the two classes' areas.
    truth = np.full((10, 10, 3), (40, 60, 220), np.uint8)
    truth[0] = 220, 40, 40
    answer = truth.copy()
    answer[0] = 101
    weights = metrics.class_weights([truth])
    found = metrics.score(Truth.of(truth, weights), answer)
    red = metrics.auc(color.ab_error(color.lab(truth[:1]), color.lab(answer[:1])))
    assert red < 70
    assert found.auc == pytest.approx(0.9 * 100 + 0.1 * red)
    assert found.auc_rebalanced == pytest.approx((100 + red) / 2)


def test_class_weights_have_a_mean_of_one_over_the_data_set() -> None:
    photographs = [picture[::2, ::2] for picture in (data.astronaut(), data.coffee(), data.chelsea())]
    weights = metrics.class_weights(photographs)
    perfect = [metrics.score(Truth.of(picture, weights), picture).auc_rebalanced for picture in photographs]
    assert np.mean(perfect) == pytest.approx(100)
    assert len({round(value) for value in perfect}) == 3, "colorful photographs weigh more"


def test_skill_is_one_for_the_truth_and_nothing_for_the_baseline() -> None:
    baseline = [row(disparity=value) for value in (4, 8)]
    half = [row(disparity=value / 2) for value in (4, 8)]
    assert metrics.skill([row(disparity=0)] * 2, baseline).value == 1
    assert metrics.skill(baseline, baseline) == metrics.Value(0, 0, 0)
    assert metrics.skill(half, baseline) == metrics.Value(0.5, 0.5, 0.5)


def test_auc_equals_the_area_under_the_swept_curve() -> None:
    one, two = pictures()
    first, second = reference.rgb2lab(one), reference.rgb2lab(two)
    error = np.linalg.norm(first[..., 1:] - second[..., 1:], axis=-1)
    thresholds = np.linspace(0, 150, 15001)
    share = np.searchsorted(np.sort(error.ravel()), thresholds, side="right") / error.size
    expected = 100 * ((share[1:] + share[:-1]) / 2).mean()
    found = metrics.auc(color.ab_error(color.lab(one), color.lab(two)))
    assert 80 < expected < 95
    assert found == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize(("error", "expected"), [(0, 100), (75, 50), (150, 0), (1000, 0)])
def test_auc_of_one_error_everywhere(error: float, expected: float) -> None:
    assert metrics.auc(np.full((3, 4), error, np.float32)) == pytest.approx(expected)


def test_colorfulness_by_hand() -> None:
    # Half of the pixels red, half green: rg = +-255 (mean 0), yb = 127.5 everywhere. Taking abs() of rg would lose its spread.
    picture = np.zeros((2, 2, 3), np.uint8)
    picture[0, :, 0] = 255
    picture[1, :, 1] = 255
    assert color.colorfulness(picture) == pytest.approx(255 + 0.3 * 127.5)
    assert color.colorfulness(np.full((2, 2, 3), 90, np.uint8)) == 0
    assert color.colorfulness(np.full((2, 2, 3), (0, 0, 255), np.uint8)) == pytest.approx(0.3 * 255)


def test_colorfulness_equals_the_plain_formula() -> None:
    red, green, blue = np.moveaxis(data.astronaut().astype(float), -1, 0)
    rg, yb = red - green, 0.5 * (red + green) - blue
    expected = math.hypot(rg.std(), yb.std()) + 0.3 * math.hypot(rg.mean(), yb.mean())
    assert color.colorfulness(data.astronaut()) == pytest.approx(expected, rel=1e-5)


def test_score_puts_each_measure_in_its_place() -> None:
    one, two = pictures()
    found = metrics.score(Truth.of(one), two)
    red, green, blue = color.disparity(one, two)
    assert (found.disparity_red, found.disparity_green, found.disparity_blue) == (red, green, blue)
    assert found.disparity == pytest.approx((red + green + blue) / 3)
    assert found.psnr == color.psnr(one, two)
    assert found.de2000 == pytest.approx(color.delta_e_2000(color.lab(one), color.lab(two)).mean(), rel=1e-4)
    assert found.ssim == metrics.ssim(one, two)
    assert found.auc == metrics.auc(color.ab_error(color.lab(one), color.lab(two)))
    assert found.auc_rebalanced == found.auc, "there are no weights"
    assert found.colorfulness == color.colorfulness(two)
    assert found.colorfulness_true == color.colorfulness(one)


def test_grey_of_a_color_photograph_keeps_lightness_and_loses_color() -> None:
    truth = data.astronaut()[::4, ::4]
    grey = np.asarray(Image.fromarray(truth).convert("L").convert("RGB"))
    found = metrics.score(Truth.of(truth), grey)
    assert found.colorfulness == 0
    assert found.auc == pytest.approx(metrics.auc(np.hypot(*color.lab(truth)[1:])), abs=1e-3)


@pytest.mark.parametrize("picture", [np.zeros((4, 5, 3), np.uint8), np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3))])
def test_score_refuses_a_picture_of_another_shape_or_type(picture: np.ndarray) -> None:
    with pytest.raises(OptionError, match="cannot be compared"):
        metrics.score(Truth.of(np.zeros((4, 4, 3), np.uint8)), picture)


def test_summary_means_the_rows_and_divides_the_mean_colorfulness() -> None:
    summary = metrics.summarize([row(psnr=20, colorfulness=10, colorfulness_true=100), row(psnr=30, colorfulness_true=20)])
    assert summary.psnr.value == 25
    assert summary.disparity_green.value == 2
    assert summary.colorfulness_ratio.value == 30 / 120, "the ratio of the means, not the mean of the ratios"


def test_summary_of_parts_put_together_is_that_of_the_whole() -> None:
    whole = rows(20)
    assert metrics.summarize(whole[:7] + whole[7:]) == metrics.summarize(whole)
    assert metrics.summarize(whole[7:] + whole[:7]).de2000.value == pytest.approx(metrics.summarize(whole).de2000.value)


def test_interval_of_a_mean_is_that_of_the_normal_approximation() -> None:
    values = rows(900)
    column = np.array([value.de2000 for value in values])
    found = metrics.summarize(values).de2000
    error = 1.96 * column.std() / math.sqrt(len(column))
    assert found.value == pytest.approx(column.mean())
    assert found.low == pytest.approx(column.mean() - error, abs=error / 8)
    assert found.high == pytest.approx(column.mean() + error, abs=error / 8)


def test_intervals_do_not_depend_on_how_many_draws_are_made_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = asdict(metrics.summarize(rows(30)).de2000)
    monkeypatch.setattr(statistics, "PICKS_AT_ONCE", 30 * 7)
    assert asdict(metrics.summarize(rows(30)).de2000) == pytest.approx(whole)


def test_difference_is_paired() -> None:
    one = rows(50)
    two = [replace(value, psnr=value.psnr - 1) for value in one]
    found = metrics.difference(one, two)
    assert (found.psnr.value, found.psnr.low, found.psnr.high) == pytest.approx((1, 1, 1))
    assert asdict(found.de2000) == {"value": 0, "low": 0, "high": 0}
    unpaired = metrics.summarize(one).psnr
    assert unpaired.high - unpaired.low > 0.5


def test_gain_is_in_percent_of_grey() -> None:
    grey, baseline, model = ([row(de2000=value), row(de2000=2 * value)] for value in (10, 9, 8))
    over_grey = metrics.gain(model, grey, grey=grey, measure="de2000")
    over_baseline = metrics.gain(model, baseline, grey=grey, measure="de2000")
    assert (over_grey.value, over_grey.low, over_grey.high) == pytest.approx((20, 20, 20))
    assert (over_baseline.value, over_baseline.low, over_baseline.high) == pytest.approx((10, 10, 10))
    assert metrics.gain(model, grey, grey=grey, measure="disparity").value == 0


def test_rows_that_cannot_be_used_are_refused() -> None:
    with pytest.raises(OptionError, match="no photograph"):
        metrics.summarize([])
    with pytest.raises(OptionError, match="2 and 3 rows"):
        metrics.difference(rows(2), rows(3))
    with pytest.raises(OptionError, match="2 and 3 rows"):
        metrics.gain(rows(2), rows(2), grey=rows(3), measure="de2000")


def test_grey_photographs_alone_give_finite_figures() -> None:
    grey = [row(disparity=0, colorfulness=0, colorfulness_true=0)] * 3
    assert metrics.summarize(grey).colorfulness_ratio.value == 0
    assert metrics.gain(grey, grey, grey=grey, measure="disparity").value == 0


def test_summary_has_every_score() -> None:
    names = {field.name for field in fields(metrics.Summary)}
    assert names == {field.name for field in fields(Scores)} | {"colorfulness_ratio"}
