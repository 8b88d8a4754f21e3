"""Protocols: what they measure on pictures whose answer is known, and how it is printed beside what is required."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from photochrom.colorizer.colorizer import Colorizer, Options
from photochrom.colorizer.model import Model
from photochrom.errors import DataError, OptionError
from photochrom.evaluation import guidance, invariance, protocols, scores
from photochrom.evaluation.goals import GOALS, PROTOCOLS, SOURCES
from photochrom.evaluation.metrics import Value
from photochrom.evaluation.protocols import Figure, Measured, Photographs
from tests.support import models, testdata
from tests.support.models import POINTER, pointer, run

SURE = Value(1.0, 1.0, 1.0)


def value(mean: float) -> Value:
    return Value(mean, mean - 1, mean + 1)


@pytest.fixture(scope="module")
def pointing() -> Colorizer:
    return Colorizer(Model(pointer(), source="pointer.onnx"), Options())


@pytest.fixture
def coffee(tmp_path: Path) -> Photographs:
    """Five equal pictures of 150 x 100 pixels."""
    picture = testdata.encoded(np.asarray(Image.fromarray(data.coffee()).resize((150, 100))))
    testdata.shard(tmp_path / "test-00000.tar", {f"{i:016x}.png": picture for i in range(5)})
    return Photographs(tmp_path)


class Painter:
    """Stands for a colorizer: colors luma with the chroma that a function of row and column in [0, 1] gives."""

    def __init__(self, chroma: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> None:
        self.of = chroma
        self.shapes: list[tuple[int, int]] = []

    def chroma(self, luma: np.ndarray) -> np.ndarray:
        self.shapes.append(luma.shape)
        places = ((np.arange(side) + 0.5) / side for side in luma.shape)
        plane = self.of(*np.meshgrid(*places, indexing="ij"))
        return np.stack([0 * plane, plane]).astype(np.float32)

    def paint(self, luma: np.ndarray) -> np.ndarray:
        return scores.lay(self.chroma(luma), luma)


def test_every_protocol_has_a_source_and_goals_that_can_be_judged() -> None:
    assert set(SOURCES) == set(GOALS) == set(PROTOCOLS)
    for protocol in PROTOCOLS:
        assert bool(SOURCES[protocol].over) == any(goal.gain for goal in GOALS[protocol].values())
        assert all(goal.least is None or goal.most is None for goal in GOALS[protocol].values())


def test_a_figure_is_judged_by_its_gain_where_it_has_one() -> None:
    def judged(key: str, figure: Figure) -> str:
        return protocols.verdict(Measured("frontier", 10, {key: figure}), key)

    assert judged("0.psnr", Figure(value(24), value(1.8))) == "reached"
    assert judged("0.psnr", Figure(value(24), value(1.79))) == "missed"
    assert judged("1.colorfulness_ratio", Figure(value(0.7))) == "reached"
    assert judged("1.colorfulness_ratio", Figure(value(0.69))) == "missed"
    assert judged("1.auc", Figure(value(90), value(3))) == ""
    assert protocols.verdict(Measured("robustness", 1, {"turned": Figure(value(6.1))}), "turned") == "missed"
    assert protocols.verdict(Measured("robustness", 1, {"turned": Figure(value(5.9))}), "turned") == "reached"
    for photographs, expected in ((399, "too few photographs"), (400, "reached")):
        assert protocols.verdict(Measured("frechet", photographs, {"share": Figure(value(40))}), "share") == expected
    assert protocols.verdict(Measured("hints", 0, {}), "50") == "not measured"


def test_cells_hold_the_figure_the_gain_and_what_is_required() -> None:
    measured = Measured("hints", 7, {"0": Figure(value(24)), "1": Figure(value(24.5), value(0.5), about="so")})
    rows = protocols.cells(measured)
    assert protocols.columns("hints") == ("measure", "ours", "over no hints", "required", "", "published")
    assert rows[0][:5] == ("no hints: PSNR", "24.00 dB (23.00 to 25.00)", "", "", "")
    gain = "0.50 dB (-0.50 to 1.50)"
    assert rows[1][:5] == ("1 hint: PSNR (so)", "24.50 dB (23.50 to 25.50)", gain, "at least 0.9 dB", "missed")
    assert rows[2][:5] == ("3 hints: PSNR", "", "", "at least 2.3 dB", "not measured")
    assert protocols.columns("frechet") == ("measure", "ours", "required", "", "published")
    assert len(protocols.cells(Measured("recognition", 7, {}))) == 0


def test_markdown_and_json_hold_every_protocol() -> None:
    frechet = Measured("frechet", 7, {"grey": Figure(SURE), "model": Figure(SURE), "share": Figure(value(44))})
    tables = [frechet, Measured("hints", 0, {}, lacks="the model has no hints")]
    text = protocols.markdown(tables, model="m", split="test")
    assert "### Frechet distance: m, 7 test photographs\n\n| measure | ours | required |  | published |\n| --- |" in text
    assert text.rstrip().endswith("Not measured: the model has no hints.")
    for section, many in zip(text.split("###")[1:], (5, 6), strict=True):
        assert {line.count(" |") for line in section.splitlines() if line.startswith("|")} == {many}
    found = json.loads(protocols.to_json(tables, model="m", split="test"))
    assert [table["protocol"] for table in found["protocols"]] == ["frechet", "hints"]
    share = found["protocols"][0]["rows"]["share"]
    assert share["verdict"] == "too few photographs" and share["figure"]["value"]["low"] == 43 and share["goal"]["most"] == 45
    assert found["protocols"][1]["rows"]["50"] == {
        "goal": dataclasses.asdict(GOALS["hints"]["50"]),
        "figure": None,
        "verdict": "not measured",
    }


def test_photographs_are_those_of_the_shards(coffee: Photographs) -> None:
    seen: list[tuple[int, int]] = []
    shown = dataclasses.replace(coffee, limit=2, progress=lambda done, total: seen.append((done, total)))
    assert [picture.shape for picture in shown] == [(100, 150, 3)] * 2
    assert seen == [(1, 2), (2, 2)]
    with pytest.raises(OptionError, match="limit of 0"):
        list(dataclasses.replace(coffee, limit=0))
    with pytest.raises(DataError, match="train"):
        list(dataclasses.replace(coffee, split="train"))


def test_the_frontier_is_what_evaluate_measures_at_each_vividness(prepared: Path) -> None:
    measured = protocols.frontier(Colorizer.load(threads=1), Photographs(prepared, limit=3))
    assert measured.photographs == 3 and list(measured.figures) == list(GOALS["frontier"])
    for vividness in (0, 2):
        table = scores.evaluate(None, prepared, limit=3, vividness=vividness).all
        model, grey, _ = table.rows
        found = {key.partition(".")[2]: each for key, each in measured.figures.items() if key.startswith(f"{vividness}.")}
        assert found["psnr"].value == model.summary.psnr
        assert found["disparity"].gain == next(gain.percent for gain in table.gains if gain.measure == "disparity")
        rise = model.summary.auc_rebalanced.value - grey.summary.auc_rebalanced.value
        assert found["auc_rebalanced"].gain.value == pytest.approx(rise)
        assert found["colorfulness_ratio"].value == model.summary.colorfulness_ratio


def test_what_does_not_depend_on_the_place_is_robust(coffee: Photographs) -> None:
    painter = Painter(lambda row, _: 0 * row + 0.05)
    measured = invariance.robustness(painter, coffee)
    assert list(measured.figures) == list(GOALS["robustness"]) and measured.photographs == 5
    for key, figure in measured.figures.items():
        assert figure.value.value < 0.01, key
    assert painter.shapes[:8] == [(100, 150), (150, 100), (100, 150), (50, 75), (200, 300), (400, 600), (100, 600), (900, 150)]


@pytest.mark.parametrize(
    ("chroma", "changed"),
    [
        (lambda row, column: 0.3 * (column - 0.5) + 0 * row, {"turned", "mirrored", "wide"}),
        (lambda row, column: 0.3 * (row - 0.5) + 0 * column, {"turned", "tall"}),
        (lambda row, column: np.full_like(row + column, row.size / 1e6), {"0.5", "2", "4", "wide", "tall"}),
    ],
)
def test_what_depends_on_the_place_is_not(chroma: Callable, changed: set[str], coffee: Photographs) -> None:
    figures = invariance.robustness(Painter(chroma), dataclasses.replace(coffee, limit=1)).figures
    assert {key for key, figure in figures.items() if figure.value.value > 2} == changed


def test_hints_of_the_truth_raise_the_score(pointing: Colorizer, coffee: Photographs) -> None:
    """The pointer knows nothing but hints, and settles them: more of them, a better picture; and a click stays where it is."""
    measured = guidance.hints(pointing, coffee)
    assert list(measured.figures) == list(GOALS["hints"]) and measured.photographs == 5
    gains = [measured.figures[key].gain.value for key in ("1", "3", "10", "50")]
    assert gains[0] > 0 and gains == sorted(gains) and gains[-1] > 1
    steps = np.diff([0, *gains])
    assert measured.figures["step"].value.value == pytest.approx(min(steps))
    assert max(measured.figures[key].value.value for key in ("far", "strong")) < 0.5
    assert guidance.hints(pointing, coffee) == measured


class Bleeding:
    """Stands for a colorizer that answers a click in the quarter opposite to it."""

    def __init__(self, _: object, options: Options) -> None:
        self.hints = options.hints
        assert options.vividness == 1

    def paint(self, luma: np.ndarray) -> np.ndarray:
        (height, width), chroma = luma.shape, np.zeros((2, *luma.shape), np.float32)
        for hint in self.hints:
            rows = slice(height // 2) if hint.y > height / 2 else slice(height // 2, None)
            columns = slice(width // 2) if hint.x > width / 2 else slice(width // 2, None)
            chroma[1, rows, columns] = 0.1
        return scores.lay(chroma, luma)


def test_a_click_that_shows_in_the_opposite_corner_is_seen(pointing: Colorizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guidance, "Colorizer", Bleeding)
    for index in range(4):
        near, far, *strong = guidance._moved(pointing, testdata.scene(60, 90), index)
        assert near == 0 and far > 10 and strong == [near, far]


def test_a_reliability_curve_counts_what_was_right(pointing: Colorizer, tmp_path: Path) -> None:
    """The pointer without hints answers grey: half of this picture is grey, and it is sure of its bright half."""
    picture = np.full((96, 96, 3), 250, np.uint8)
    picture[:, :48] = (150, 20, 20)
    testdata.shard(tmp_path / "test-00000.tar", {"0000000000000000.png": testdata.encoded(picture)})
    faithful = Colorizer(pointing.model, Options(vividness=0))
    measured = guidance.confidence(faithful, Photographs(tmp_path))
    *tenths, gap = measured.figures.values()
    assert list(measured.figures)[-1] == "gap" and set(measured.figures) < set(GOALS["confidence"])
    assert tenths[0].value.value < 10 and tenths[-1].value.value > 90
    stated = 20 + 60 * 250 / 255
    assert tenths[-1].value.value - tenths[-1].gain.value == pytest.approx(stated, abs=2)
    shares = [float(figure.about.partition(" ")[0]) for figure in tenths]
    assert sum(shares) == pytest.approx(100, abs=0.5)
    apart = sum(share / 100 * abs(figure.gain.value) for share, figure in zip(shares, tenths, strict=True))
    assert gap.value.value == pytest.approx(apart, abs=0.5)


def test_a_model_without_hints_or_confidence_is_refused(coffee: Photographs) -> None:
    plain = Colorizer(Model(pointer(dataclasses.replace(POINTER, hints=False, confidence=())), source="plain.onnx"), Options())
    with pytest.raises(OptionError, match="has no hints"):
        guidance.hints(plain, coffee)
    with pytest.raises(OptionError, match="has no confidence"):
        guidance.confidence(plain, coffee)


def test_the_command_prints_a_table(prepared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert not run("evaluate", "--data", str(prepared), "--limit", "1", "--protocol", "robustness")
    said = capsys.readouterr().out
    assert "turned by 90 degrees" in said and "at most 6 dE" in said and "1 test photographs" in said


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """Give a model that takes no hints and states no confidence."""
    path = tmp_path / "plain.onnx"
    path.write_bytes(models.content(json.dumps(models.table())))
    return path


def test_one_command_measures_all_that_the_model_does(plain: Path, prepared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert not run("evaluate", str(plain), "--data", str(prepared), "--limit", "2", "--protocol", "all", "--markdown")
    sections = capsys.readouterr().out.split("### ")[1:]
    assert [section.partition(":")[0] for section in sections] == [SOURCES[protocol].title for protocol in PROTOCOLS]
    for protocol, section in zip(PROTOCOLS, sections, strict=True):
        lacking = protocol in ("hints", "confidence")
        assert ("), 0 test photographs" if lacking else "), 2 test photographs") in section
        assert (f"Not measured: the model has no {protocol}." in section) == lacking
        assert lacking == ("not measured" in section)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--protocol", "frontier", "--vividness", "1"), "drop one of them"),
        (("--protocol", "hints", "--json", "--markdown"), "drop one of them"),
        (("--markdown",), "the protocol is scores"),
        (("plain.onnx", "--protocol", "hints"), "has no hints"),
    ],
)
def test_contradictions_have_one_line(
    arguments: tuple[str, ...],
    said: str,
    plain: Path,
    prepared: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = tuple(str(plain) if argument == "plain.onnx" else argument for argument in arguments)
    assert run("evaluate", *arguments, "--data", str(prepared)) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
