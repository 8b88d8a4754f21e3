from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photochrom import color
from photochrom.colorizer.colorizer import Colorizer, Options
from photochrom.colorizer.model import Card
from photochrom.errors import ModelError, OptionError
from photochrom.evaluation import scores
from photochrom.evaluation.metrics import Predict
from photochrom.evaluation.scores import GREY, MEAN_CHROMA, MODEL, Evaluation
from photochrom.training.data.shards import members, shards
from tests.support.testdata import data, encoded, shard


def picture(seed: int, *, height: int = 20, width: int = 30) -> np.ndarray:
    """A few flat patches of color, softly varied: sizes differ, so that nothing depends on equal ones."""
    random = np.random.default_rng(seed)
    patches = random.integers(30, 226, (2, 3, 3)).astype(float)
    image = Image.fromarray(patches.astype(np.uint8)).resize((width + seed, height), Image.Resampling.BICUBIC)
    return np.asarray(image)


def pictures(seeds: Sequence[int]) -> dict[str, bytes]:
    return {f"{seed:04}.png": encoded(picture(seed)) for seed in seeds}


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    shard(tmp_path / "lake" / "test-00.tar", pictures(range(5)))
    shard(tmp_path / "lake" / "test-01.tar", pictures(range(5, 8)))
    shard(tmp_path / "lake" / "train-00.tar", pictures(range(20, 26)))
    shard(tmp_path / "deep" / "er" / "town" / "test-00.tar", pictures(range(10, 14)))
    return tmp_path


def truth_teller(data: Path) -> Predict:
    """A predictor that knows the answer: the picture whose luma it is given."""
    known = {}
    for paths in shards(data, "test").values():
        for member in members(paths):
            pixels = member.read()
            known[np.asarray(Image.fromarray(pixels).convert("L")).tobytes()] = pixels
    return lambda luma: known[luma.tobytes()]


def half(predict: Predict) -> Predict:
    """A predictor half way between grey and another."""
    return lambda luma: ((scores.grey(luma).astype(int) + predict(luma)) // 2).astype(np.uint8)


def test_predictors_get_the_luma_that_pillow_makes(prepared: Path) -> None:
    seen = []

    def spy(luma: np.ndarray) -> np.ndarray:
        seen.append(luma)
        return scores.grey(luma)

    scores.compare({GREY: spy}, prepared / "lake")
    expected = [np.asarray(Image.fromarray(picture(seed)).convert("L")) for seed in range(8)]
    assert len(seen) == 8
    for found, luma in zip(seen, expected, strict=True):
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, luma)


def test_tables_are_by_folder_and_of_all(prepared: Path) -> None:
    data_sets, together = scores.compare({GREY: scores.grey}, prepared)
    assert {name: table.photographs for name, table in data_sets.items()} == {"town": 4, "lake": 8}
    assert together.photographs == 12
    (row,) = together.rows
    assert row.scores == (*data_sets["town"].rows[0].scores, *data_sets["lake"].rows[0].scores)
    disparities = [score.disparity for score in row.scores]
    assert row.summary.disparity.value == pytest.approx(np.mean(disparities))
    assert row.summary.colorfulness_ratio.value == 0


def test_disparity_of_grey_is_that_of_the_pictures(prepared: Path) -> None:
    _, together = scores.compare({GREY: scores.grey}, prepared / "lake")
    expected = []
    for seed in range(8):
        image = Image.fromarray(picture(seed))
        expected.append(np.abs(np.asarray(image).astype(float) - np.asarray(image.convert("L"))[..., None]).mean() / 2.55)
    assert together.rows[0].summary.disparity.value == pytest.approx(np.mean(expected))


def test_gains_are_over_each_baseline_in_percent_of_grey(prepared: Path) -> None:
    tell = truth_teller(prepared)
    _, table = scores.compare({MODEL: tell, GREY: scores.grey, MEAN_CHROMA: half(tell)}, prepared)
    gains = {(gain.baseline, gain.measure): gain.percent for gain in table.gains}
    assert set(gains) == {(GREY, "disparity"), (GREY, "de2000"), (MEAN_CHROMA, "disparity"), (MEAN_CHROMA, "de2000")}
    assert gains[GREY, "disparity"].value == pytest.approx(100)
    assert gains[GREY, "de2000"].value == pytest.approx(100, abs=0.01)
    assert gains[MEAN_CHROMA, "disparity"].value == pytest.approx(50, abs=2)
    assert gains[MEAN_CHROMA, "disparity"].low <= gains[MEAN_CHROMA, "disparity"].value
    assert {row.name: row.summary.colorfulness_ratio.value for row in table.rows}[MODEL] == pytest.approx(1)


def test_limit_counts_for_each_data_set_and_spreads(prepared: Path) -> None:
    data_sets, _ = scores.compare({GREY: scores.grey}, prepared, limit=2)
    assert [table.photographs for table in data_sets.values()] == [2, 2]
    listed = members(shards(prepared, "test")["lake"], limit=2)
    assert [(member.shard.name, member.name) for member in listed] == [("test-00.tar", "0000.png"), ("test-00.tar", "0004.png")]
    with pytest.raises(OptionError, match="limit of 0"):
        scores.compare({GREY: scores.grey}, prepared, limit=0)


def test_progress_counts_to_the_end(prepared: Path) -> None:
    seen: list[tuple[int, int]] = []
    scores.compare({GREY: scores.grey}, prepared, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 12) for done in range(1, 13)]


def test_split_train_reads_the_training_shards(prepared: Path) -> None:
    data_sets, _ = scores.compare({GREY: scores.grey}, prepared, split="train")
    assert {name: table.photographs for name, table in data_sets.items()} == {"lake": 6}


def test_tint_is_the_chroma_itself_and_stays_in_gamut() -> None:
    luma = np.arange(256, dtype=np.uint8)[None].repeat(2, axis=0)
    found = scores.tint(-0.1, 0.08)(luma)
    _, chroma = color.split(found)
    np.testing.assert_allclose(chroma[:, :, 100:150].mean((1, 2)), [-0.1, 0.08], atol=0.002)
    assert np.abs(np.asarray(Image.fromarray(found).convert("L")).astype(int) - luma).max() <= 1
    assert (found[:, [0, 255]] == [[0, 0, 0], [255, 255, 255]]).all(), "black and white have no room for color"


@pytest.fixture
def evaluation(prepared: Path) -> Evaluation:
    tell = truth_teller(prepared)
    data_sets, together = scores.compare({MODEL: half(tell), GREY: scores.grey, MEAN_CHROMA: scores.tint(0, 0)}, prepared)
    return Evaluation("fake.onnx", "test", 1.0, data_sets, together)


def test_json_is_one_line_with_stable_keys(evaluation: Evaluation) -> None:
    text = scores.to_json(evaluation)
    found = json.loads(text)
    assert "\n" not in text
    assert list(found) == ["model", "split", "vividness", "data_sets", "all"]
    assert list(found["data_sets"]) == ["town", "lake"]
    assert list(found["all"]) == ["photographs", "scores", "gain_percent"]
    assert list(found["all"]["scores"]) == [MODEL, GREY, MEAN_CHROMA]
    measures = [
        *("disparity_red", "disparity_green", "disparity_blue", "disparity", "psnr", "ssim"),
        *("de2000", "auc", "auc_rebalanced", "colorfulness", "colorfulness_true", "colorfulness_ratio"),
    ]
    assert list(found["all"]["scores"][MODEL]) == measures
    assert list(found["all"]["scores"][MODEL]["psnr"]) == ["value", "low", "high"]
    assert list(found["all"]["gain_percent"]) == [GREY, MEAN_CHROMA]
    assert found["all"]["gain_percent"][GREY]["disparity"]["value"] == pytest.approx(50, abs=2)


def test_rows_fill_their_columns(evaluation: Evaluation) -> None:
    cells = scores.rows(evaluation)
    assert [row[:3] for row in cells[:3]] == [("town", "4", MODEL), ("town", "4", GREY), ("town", "4", MEAN_CHROMA)]
    assert [row[0] for row in cells] == ["town"] * 3 + ["lake"] * 3 + ["all"] * 3
    assert {len(row) for row in cells} == {len(scores.SCORE_COLUMNS)}
    summary = evaluation.all.rows[0].summary
    assert cells[6][6] == f"{summary.disparity.value:.2f} ({summary.disparity.low:.2f} to {summary.disparity.high:.2f})"
    gains = scores.gain_rows(evaluation)
    assert [row[:2] for row in gains[-2:]] == [("all", GREY), ("all", MEAN_CHROMA)]
    assert {len(row) for row in gains} == {len(scores.GAIN_COLUMNS)}


class Constant:
    """A model that sees the same chroma everywhere, twice as strong at vividness 2."""

    card = Card("constant", "none", 16, 4, False, ((1, 1), (1, 1), (1, 2)), (-0.08, 0.05), {})

    def answer(self, luma: np.ndarray, *, vividness: float, hints: None, palette: None) -> tuple[np.ndarray, None]:
        assert hints is palette is None
        strength = np.array([-0.08, 0.05], np.float32) * vividness
        return np.broadcast_to(strength[:, None, None], (1, 2, luma.shape[2] // 4, luma.shape[3] // 4)).copy(), None


def test_a_loaded_model_is_scored_as_it_ships(prepared: Path) -> None:
    colorizer = Colorizer(Constant(), Options(vividness=2, on_color="error"))  # type: ignore[arg-type]
    found = scores.evaluate(colorizer, prepared)
    assert (found.model, found.split, found.vividness) == ("constant", "test", 1.0)
    model, grey, mean = found.all.rows
    assert (model.name, grey.name, mean.name) == (MODEL, GREY, MEAN_CHROMA)
    # The card's mean chroma is what this model always answers: two ways to the same picture.
    assert model.summary.disparity.value == pytest.approx(mean.summary.disparity.value, abs=0.2)
    assert model.summary.colorfulness.value == pytest.approx(mean.summary.colorfulness.value, abs=0.5)
    assert model.summary.colorfulness.value > 5
    vivid = scores.evaluate(colorizer, prepared, vividness=2).all.rows[0].summary.colorfulness.value
    assert vivid > 1.4 * model.summary.colorfulness.value


def test_a_missing_model_and_bad_options_are_refused(prepared: Path) -> None:
    with pytest.raises(ModelError, match=r"nothing\.onnx"):
        scores.evaluate(prepared / "nothing.onnx", prepared)
    with pytest.raises(OptionError, match="vividness is 3"):
        scores.evaluate(prepared / "nothing.onnx", prepared, vividness=3)


def test_one_data_set_is_not_printed_twice(prepared: Path) -> None:
    data_sets, together = scores.compare({GREY: scores.grey}, prepared / "lake")
    assert [row[0] for row in scores.rows(Evaluation("m", "test", 1.0, data_sets, together))] == ["lake"]


def test_grey_on_real_photographs_is_already_below_seven_percent() -> None:
    data_sets, _ = scores.compare({GREY: scores.grey}, [data("coco"), data("flickr8k")], limit=20)
    assert set(data_sets) == {"coco", "flickr8k"}
    for table in data_sets.values():
        assert 3.5 < table.rows[0].summary.disparity.value < 7
