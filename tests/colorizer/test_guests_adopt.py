"""photochrom adopt: what a file is recognized as, what a card changes, and one clear line for what cannot be."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from photochrom.colorizer.adopt import adopt, calibrate
from photochrom.colorizer.colorizer import Colorizer, Options
from photochrom.colorizer.model import CARD_KEY, Model
from photochrom.errors import DataError, ModelError, OptionError, OutputError
from tests.support import guests, models, testdata

SHOWN = np.full((1, 1, 64, 64), 0.5, np.float32)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def card_of(text: str) -> Path:
    Path("card.toml").write_text(text, "utf-8")
    return Path("card.toml")


def adopted(made: guests.Made | bytes, *, kind: str | None = None, card: str = "") -> Model:
    content = made if isinstance(made, bytes) else made.content
    Path("theirs.onnx").write_bytes(content)
    adopt(Path("theirs.onnx"), Path("ours.onnx"), kind=kind, card=card_of(card) if card else None, overwrite=True)  # type: ignore[arg-type]
    return Model.load("ours.onnx")


def test_the_card_says_where_the_model_comes_from() -> None:
    made = guests.ddcolor()
    card = adopted(made).card
    assert card.guest is not None
    assert (card.name, card.generator, card.size, card.fixed) == ("theirs", "ddcolor", 64, True)
    assert (card.guest.license, card.guest.source) == ("Apache-2.0", "https://github.com/piddnad/DDColor")
    assert card.guest.sha256 == hashlib.sha256(made.content).hexdigest()
    assert Model.load("ours.onnx").hash == hashlib.sha256(Path("ours.onnx").read_bytes()).hexdigest()


def test_onnx_finds_the_file_whole() -> None:
    adopted(guests.deoldify("unit"))
    onnx.checker.check_model("ours.onnx", full_check=True)
    assert [entry.key for entry in onnx.load("ours.onnx").metadata_props] == [CARD_KEY]


def test_an_adopted_file_may_be_adopted_again() -> None:
    adopted(guests.ddcolor())
    adopt(Path("ours.onnx"), Path("again.onnx"), card=card_of('name = "the second"'))
    assert Model.load("again.onnx").card.name == "the second"
    assert len(onnx.load("again.onnx").metadata_props) == 1


def test_a_card_changes_what_it_names() -> None:
    text = 'name = "DDColor tiny"\nlicense = "mine"\nvividness = [0.5, 1, 1.5]\nsize = 128\nstride = 16\nanswer_factor = 0.5'
    plain = adopted(guests.ddcolor(side=None)).card
    card = adopted(guests.ddcolor(side=None), card=text).card
    assert card.guest is not None
    assert (plain.size, plain.stride) == (512, 32)
    assert (card.name, card.size, card.stride, card.guest.license) == ("DDColor tiny", 128, 16, "mine")
    assert [gain for _, gain in card.vividness] == [0.5, 1, 1.5]
    assert card.guest.answer_factor == 0.5


def described(*, luma: float, gives: str, extra: str = "") -> Model:
    """Adopt a network of luma in [0, 1] by a card of its own; it gives ``luma`` times the input, three times."""
    content = guests.affine(np.full((3, 1), luma), np.zeros(3))
    return adopted(content, card=f'shows = "luma"\ngives = "{gives}"\n{extra}')


def test_a_card_of_ones_own_covers_other_networks() -> None:
    found = described(luma=0.2, gives="cbcr").chroma(SHOWN)
    np.testing.assert_allclose(found, 0.1, atol=1e-6)
    found = described(luma=0.2, gives="cbcr", extra="answer_deviation = [1, 1, 2]\nanswer_mean = [0, 0.1, 0]").chroma(SHOWN)
    np.testing.assert_allclose(found[0, :, 0, 0], [0.2, 0.2], atol=1e-6)
    assert adopted(guests.affine(np.ones((2, 1)), np.zeros(2)), card='shows = "luma"\ngives = "cbcr"').card.guest.kind == "own"  # type: ignore[union-attr]


def test_bgr_pictures_are_turned() -> None:
    content = guests.affine(np.diag([1.0, 1, 1]), np.array([0.0, 0, 0.1]))
    rgb, bgr = (
        adopted(content, card=f'shows = "rgb"\ngives = "rgb"\nanswer_order = "{order}"').chroma(SHOWN)[0, :, 0, 0]
        for order in ("RGB", "BGR")
    )
    assert rgb[0] > 0 > rgb[1], "the third channel is blue"
    assert bgr[1] > 0 > bgr[0], "the third channel is red"


def test_temperature_sharpens_bins() -> None:
    luma = np.full((1, 1, 64, 64), 0.6, np.float32)
    hot, cold = (adopted(guests.zhang_bins(), card=f"temperature = {heat}").chroma(luma)[0, 1].mean() for heat in (1.0, 0.05))
    points = np.array([(20.0, 30.0), (0.0, -20.0)])
    share = guests.of_bins(np.array(0.6))
    assert cold > hot > 0
    assert points[1, 0] < share[0] < points[0, 0]


@pytest.mark.parametrize("kind", ["eccv16", "siggraph17"])
def test_two_kinds_that_take_and_give_the_same_are_asked_for(kind: str) -> None:
    with pytest.raises(
        OptionError, match="this may be eccv16 or siggraph17, which take and give the same: say which with --as"
    ):
        adopted(guests.zhang("own"))
    assert adopted(guests.zhang("own"), kind=kind).card.generator == kind


def test_what_is_not_sure_is_asked_for() -> None:
    faint = guests.affine(np.array([[0.01, 0, 0], [0, 0, 0.01]]), np.zeros(2))
    with pytest.raises(OptionError, match="looks like ddcolor, but none of the ways to show it a picture fits its answer"):
        adopted(faint)
    assert adopted(faint, kind="ddcolor").card.generator == "ddcolor"
    unclipped = guests.affine(np.diag([1.0, 1, 1]), np.zeros(3), most=1e9)
    with pytest.raises(OptionError, match="looks like deoldify, but more than one of the ways"):
        adopted(unclipped)


WRONG = {
    "another kind": (guests.ddcolor, "deoldify", "", r"this is no deoldify: it takes 'input' of 3 channels in squares of 64"),
    "no known kind": (lambda: guests.affine(np.ones((5, 4)), np.ones(5)), None, "", "a model of no kind that is known: it takes"),
    "an unknown key": (guests.ddcolor, None, "answer_facter = 2", "no key 'answer_facter': expected one such as answer_factor"),
    "a wrong type": (guests.ddcolor, None, 'size = "large"', "size is 'large': expected a number"),
    "a wrong choice": (guests.ddcolor, None, 'fit = "crop"', "fit is 'crop': expected one of squeeze, pad"),
    "a wrong list": (guests.ddcolor, None, "mean = 3", "mean is 3: expected a list of numbers"),
    "a wrong number of means": (guests.ddcolor, None, "mean = [1, 2]", "mean has 2 numbers: expected one, or one for each"),
    "no deviation": (guests.ddcolor, None, "deviation = [0]", "a factor or a deviation is 0"),
    "bins without points": (guests.ddcolor, None, 'gives = "shares"', "0 points of bins are given for an answer of shares"),
    "half of the hints": (guests.ddcolor, None, 'hint_ab = "x"', "hint_ab and hint_mask belong together"),
    "names that are not there": (guests.ddcolor, None, 'image = "picture"', "names picture and output, and the graph takes input"),
    "another size": (guests.ddcolor, None, "size = 128", "size is 128, and the network takes only squares of 64"),
    "two gains": (guests.ddcolor, None, "vividness = [1, 2]", "vividness is not three gains above 0"),
    "padding without a square": (lambda: guests.ddcolor(side=None), None, 'fit = "pad"', "fit 'pad' is for a network that takes only"),
    "no TOML": (guests.ddcolor, None, "size: 3", r"cannot read the card 'card\.toml'"),
    "planes that are not there": (
        guests.ddcolor,
        None,
        'shows = "rgb"\ngives = "rgb"',
        r"answered with an array of shape \(2, 64, 64\): expected numbers in 3 planes",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_contradicts_the_file_is_one_line(case: str) -> None:
    make, kind, card, expected = WRONG[case]
    with pytest.raises((ModelError, OptionError), match=expected) as caught:
        adopted(make(), kind=kind, card=card)
    assert "\n" not in str(caught.value)
    assert not Path("ours.onnx").exists()


def not_finite() -> bytes:
    made = onnx.load_model_from_string(guests.ddcolor().content)
    node = helper.make_node("Div", ["mixed", "zero"], ["output"])
    made.graph.node[-1].CopyFrom(node)
    made.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(1, np.float32), "zero"))
    content: bytes = made.SerializeToString()
    return content


def test_answers_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ModelError, match="answered with numbers that are not finite: expected numbers in 2 planes"):
        adopted(not_finite(), kind="ddcolor")


def test_a_photograph_with_such_an_answer_is_refused() -> None:
    made = onnx.load_model_from_string(guests.ddcolor().content)
    made.graph.node.insert(0, helper.make_node("Log", ["input"], ["logarithm"]))
    made.graph.node[1].input[0] = "logarithm"
    made.graph.node[-1].CopyFrom(helper.make_node("Identity", ["mixed"], ["output"]))
    model = adopted(made.SerializeToString(), kind="ddcolor")
    assert np.isfinite(model.chroma(SHOWN)).all()
    with pytest.raises(ModelError, match="the model 'theirs' answered with numbers that are not finite"):
        model.chroma(np.zeros((1, 1, 64, 64), np.float32))


def test_files_that_are_no_models() -> None:
    for content, expected in ((b"Dear Sir,", "is no ONNX file, or is damaged"), (b"", "it is empty")):
        with pytest.raises(ModelError, match=expected):
            adopted(content)
    with pytest.raises(ModelError, match=r"none\.onnx': No such file or directory"):
        adopt(Path("none.onnx"), Path("ours.onnx"))
    with pytest.raises(ModelError, match="is one of Photochrom's own models: use it as it is"):
        adopted(models.content(json.dumps(models.table())))
    with pytest.raises(ModelError, match=r"'theirs\.onnx' is an ONNX file, but not one of Photochrom's"):
        Path("theirs.onnx").write_bytes(guests.ddcolor().content)
        Model.load("theirs.onnx")


def test_rectangles_and_integers_are_refused() -> None:
    made = onnx.load_model_from_string(guests.ddcolor().content)
    made.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 32
    del made.graph.output[0].type.tensor_type.shape.dim[:]
    with pytest.raises(ModelError, match=r"its input 'input' is tensor\(float\) of shape \[1, 3, 32, 64\]: expected float"):
        adopted(made.SerializeToString())


def test_weights_elsewhere_are_refused_when_a_card_is_there_too() -> None:
    adopted(guests.ddcolor())
    made = onnx.load_model("ours.onnx")
    tensor = made.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    Path("crafted.onnx").write_bytes(made.SerializeToString())
    with pytest.raises(ModelError, match="keeps weights in another file"):
        Model.load("crafted.onnx")


def test_a_file_that_changes_after_it_was_loaded_has_no_hash() -> None:
    model = adopted(guests.ddcolor())
    adopted(guests.deoldify("unit"))
    with pytest.raises(ModelError, match=r"the model 'ours\.onnx' has changed since it was loaded: start again"):
        _ = model.hash


def test_a_file_that_exists_stays() -> None:
    adopted(guests.ddcolor())
    with pytest.raises(OutputError, match="exists already"):
        adopt(Path("theirs.onnx"), Path("ours.onnx"))


def test_calibration_finds_the_gains_of_a_known_network() -> None:
    """The truth is twice as colorful as the answer, in the same hues: the gains follow from the shares that are asked for."""
    plain = adopted(guests.ddcolor())
    ramp = np.rint(255 * guests.ramp(64, 64)).astype(np.uint8)
    colorizer = Colorizer(plain, Options())
    pictures = []
    for shift in (0, 20, -20):
        luma = np.clip(ramp.astype(int) + shift, 0, 255).astype(np.uint8)
        low = colorizer.small_chroma(luma)
        pictures.append(testdata.joined(luma, 2 * low))
    card = calibrate(Path("ours.onnx"), pictures)
    gains = [gain for _, gain in card.vividness]
    np.testing.assert_allclose(gains, [1.48, 1.48, 2.04], atol=0.06)
    assert Model.load("ours.onnx").card == card
    again = calibrate(Path("ours.onnx"), pictures)
    np.testing.assert_allclose([gain for _, gain in again.vividness], gains, atol=0.01)


def test_a_strong_answer_is_calibrated_down_to_the_least_error() -> None:
    model = adopted(guests.ddcolor())
    ramp = np.rint(255 * guests.ramp(64, 64)).astype(np.uint8)
    low = Colorizer(model, Options()).small_chroma(ramp)
    flipped = low * np.array([0.5, -0.1], np.float32)[:, None, None]
    faithful, middle, most = (gain for _, gain in calibrate(Path("ours.onnx"), [testdata.joined(ramp, flipped)]).vividness)
    square = np.square(low).mean((1, 2))
    assert faithful == pytest.approx((0.5 * square[0] - 0.1 * square[1]) / square.sum(), abs=0.03)
    assert faithful < middle < most


def test_there_is_nothing_to_calibrate_on_in_grey() -> None:
    adopted(guests.ddcolor())
    before = Path("ours.onnx").read_bytes()
    for pictures in ([], [np.full((32, 32, 3), 90, np.uint8)]):
        with pytest.raises(DataError, match="nothing to calibrate on: give photographs in color"):
            calibrate(Path("ours.onnx"), pictures)
    assert Path("ours.onnx").read_bytes() == before
