from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from photochrom.errors import ConfigError
from photochrom.evaluation import features as recognition
from photochrom.evaluation.features import Classifier, Looks, squares
from photochrom.evaluation.goals import GOALS
from photochrom.evaluation.protocols import Photographs
from photochrom.evaluation.scores import grey
from tests.support.testdata import picture

CATS = range(281, 286)
ESPRESSO, CUP = 967, 968
"""Classes of ImageNet."""


@pytest.fixture(scope="module")
def network() -> Classifier:
    return Classifier()


def looks(*, logits: np.ndarray | None = None, features: np.ndarray | None = None) -> Looks:
    nothing = np.zeros((2, 3, 1), np.float32)
    return Looks(nothing if features is None else features, nothing if logits is None else logits)


def one_hot(rows: list[tuple[int, int, int]], classes: int = 8) -> np.ndarray:
    """Logits whose likeliest class is that of each way, the others falling with their number."""
    falling = -np.arange(classes, dtype=np.float32)
    return np.stack([np.stack([falling + 100 * (np.arange(classes) == likeliest) for likeliest in row]) for row in rows])


def test_it_knows_a_cat_and_a_cup_of_coffee(network: Classifier) -> None:
    features, logits = network(squares([picture("chelsea"), picture("coffee")], recognition.SIDE))
    assert features.shape == (2, 352) and logits.shape == (2, 1000)
    cat, coffee = logits.softmax(1)
    assert cat[list(CATS)].sum() > 0.9 and int(coffee.argmax()) in (ESPRESSO, CUP) and coffee.max() > 0.5
    assert not any(parameter.requires_grad for parameter in network.parameters()) and not network.training


def test_the_share_won_back_is_of_what_grey_loses() -> None:
    rows = [(5, 5, 5)] * 5 + [(5, 6, 5)] * 1 + [(5, 6, 6)] * 3 + [(5, 5, 6)] * 1
    measured = recognition.recognition(looks(logits=one_hot(rows)))
    found = {key: figure.value.value for key, figure in measured.figures.items()}
    assert measured.photographs == 10 and list(found) == list(GOALS["recognition"])
    assert found["grey.1"] == 60 and found["model.1"] == 60 and found["back.1"] == 0
    back = recognition.recognition(looks(logits=one_hot([(5, 5, 5)] * 6 + [(5, 6, 5)] + [(5, 6, 6)] * 3))).figures["back.1"]
    assert back.value.value == pytest.approx(25) and back.value.low <= 25 <= back.value.high


def test_the_class_may_be_among_the_five_likeliest() -> None:
    """After the likeliest come classes 0, 1, 2, 3: 3 is among five, 4 is not; where nothing is lost nothing is won back."""
    kept = recognition.recognition(looks(logits=one_hot([(3, 7, 7)] * 3))).figures
    assert (kept["grey.1"].value.value, kept["grey.5"].value.value, kept["model.5"].value.value) == (0, 100, 100)
    assert "back.5" not in kept
    lost = recognition.recognition(looks(logits=one_hot([(4, 7, 4)] * 3))).figures
    assert (lost["grey.5"].value.value, lost["model.5"].value.value, lost["back.5"].value.value) == (0, 100, 100)


def test_half_way_to_color_is_a_quarter_of_the_distance() -> None:
    """All of the difference is in the mean here, and counts by its square."""
    crowd = np.random.default_rng(0).normal(size=(60, 6)).astype(np.float32)
    measured = recognition.frechet(looks(features=np.stack([crowd, crowd + 2, crowd + 1], 1)))
    figures = measured.figures
    assert list(figures) == list(GOALS["frechet"]) and measured.photographs == 60
    assert figures["grey"].value.value == pytest.approx(6 * 4, rel=1e-5)
    assert figures["share"].value.value == pytest.approx(25, rel=1e-5)
    assert figures["share"].value.high - figures["share"].value.low < 0.01


def test_the_interval_of_the_distance_is_that_of_other_photographs() -> None:
    """Of many sets of photographs most have a percentage within the interval of one set."""
    rng = np.random.default_rng(1)

    def sample() -> Looks:
        color = rng.normal(size=(80, 5))
        ways = [color, 0.3 * color, 0.7 * color + rng.normal(0, 0.3, color.shape)]
        return looks(features=np.stack(ways, 1).astype(np.float32))

    share = recognition.frechet(sample()).figures["share"].value
    others = [recognition._distances(sample().features) for _ in range(40)]
    inside = [share.low - 3 < 100 * model / grey < share.high + 3 for grey, model in others]
    assert share.low < share.value < share.high and np.mean(inside) > 0.6
    assert share.high - share.low < 60


def test_every_photograph_is_shown_in_color_in_grey_and_recolored(prepared: Path, network: Classifier) -> None:
    seen = recognition.look(SimpleNamespace(paint=grey), Photographs(prepared, limit=2))
    assert seen.features.shape == (2, 3, 352) and seen.logits.shape == (2, 3, 1000)
    assert np.array_equal(seen.features[:, 1], seen.features[:, 2])
    first = next(iter(Photographs(prepared, limit=2)))
    assert np.allclose(seen.logits[0, 0], network(squares([first], recognition.SIDE))[1][0], atol=1e-3)
    assert recognition.frechet(seen).figures["share"].value.value == pytest.approx(100)


def test_one_photograph_has_no_distribution() -> None:
    with pytest.raises(ConfigError, match="of 1 photograph"):
        recognition.frechet(looks(features=np.zeros((1, 3, 4), np.float32)))
