"""The hints of training: how many, where and what they show, by position alone; and that the network heeds them."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch

from photochrom import color
from photochrom.color import palette
from photochrom.errors import ConfigError, TrainingError
from photochrom.training import checkpoint, config, loop, setup, validate
from photochrom.training.data import dataset, hint_sampling
from photochrom.training.networks.generators import HintSpread, build

SHOWN = hint_sampling.Shown(points=0.5, palettes=0.25)


def truth(size=64, seed=0):
    return ((np.random.default_rng(seed).random((2, size, size)) - 0.5) * 0.4).astype(np.float32)


def drawn(count, shown=SHOWN):
    luma, chroma = np.full((64, 64), 0.5, np.float32), truth()
    return [hint_sampling.draw(luma, chroma, shown, np.random.default_rng((0, index, 2)))[1:] for index in range(count)]


def test_the_shares_are_those_asked_for():
    pairs = drawn(2000)
    assert np.mean([bool(planes[2].any()) for planes, _ in pairs]) == pytest.approx(0.5, abs=0.04)
    assert np.mean([bool(seen.any()) for _, seen in pairs]) == pytest.approx(0.25, abs=0.04)
    assert np.mean([bool(planes[2].all()) for planes, _ in pairs]) == pytest.approx(0.005, abs=0.005)
    assert not any(planes.any() or seen.any() for planes, seen in drawn(50, hint_sampling.Shown(0, 0)))


def test_the_number_of_points_is_geometric_and_their_sides_1_to_9(monkeypatch):
    counts, sides = [], []
    monkeypatch.setattr(hint_sampling, "reveal", lambda *each: (counts.append(len(each[2])), sides.extend(each[3])))
    drawn(3000, hint_sampling.Shown(1, 0))
    assert np.mean(counts) == pytest.approx(8, rel=0.08)
    assert np.mean(np.array(counts) == 1) == pytest.approx(1 / 8, abs=0.02)
    assert sorted(set(sides)) == list(range(1, 10))


def test_a_repainted_crop_has_the_color_of_its_point_there_and_keeps_its_own_far_away_and_across_edges():
    luma = np.full((64, 64), 0.4, np.float32)
    luma[:, 40:] = 0.95
    for seed in range(20):
        painted = hint_sampling.repaint(
            luma, np.zeros((2, 64, 64), np.float32), np.array([0.1, 0.1]), np.random.default_rng(seed)
        )
        strength = np.hypot(*painted)
        assert strength[6, 6] == strength.max() > 0.04
        assert strength[-1, -1] < strength[6, 6] / 20 and strength[6, 39] > strength[6, 40]
        assert (color.headroom(luma, *painted, minimum=np.minimum, maximum=np.maximum) >= 1 - 1e-3).all()


def test_the_point_of_a_repainted_crop_is_shown_and_is_the_truth_there():
    luma, chroma = np.full((64, 64), 0.5, np.float32), np.zeros((2, 64, 64), np.float32)
    alone = 0
    for index in range(200):
        answer, planes, _ = hint_sampling.draw(
            luma, chroma, hint_sampling.Shown(1, 0, repaints=1), np.random.default_rng((0, index, 2))
        )
        if planes[2].all():
            continue  # one in a hundred shows all, as it is
        shown = planes[2] > 0
        strength = torch.hypot(*answer)
        alone += int(shown.sum()) <= 81
        assert strength[shown].max() > 0.02
        assert not torch.equal(answer, torch.from_numpy(chroma))
    assert 90 < alone < 160


def test_a_patch_shows_the_mean_of_what_it_covers_and_nothing_is_shown_elsewhere():
    chroma, planes = truth(), np.zeros((3, 64, 64), np.float32)
    hint_sampling.reveal(planes, chroma, np.array([[0.5, 0.25], [-3.0, 7.0]]), [5, 9])
    assert planes[2].sum() == 25 + 81
    assert np.allclose(planes[:2, 30:35, 14:19], chroma[:, 30:35, 14:19].mean((1, 2))[:, None, None])
    assert np.allclose(planes[:2, :9, 55:], chroma[:, :9, 55:].mean((1, 2))[:, None, None])
    assert not planes[:, planes[2] == 0].any()


def test_a_crop_shows_the_same_whenever_it_comes_and_its_photograph_is_the_one_without(prepared):
    members = dataset.index([prepared])

    def crops(shown, seed=0):
        return dataset.Crops(members, size=64, seed=seed, smallest=0.7, stretch=0.2, aging=0.3, shown=shown)

    one, again, plain, other = crops(SHOWN), crops(SHOWN), crops(None), crops(SHOWN, seed=1)
    different = 0
    for position in (70, 3, 41, 0, 12):
        assert all(torch.equal(a, b) for a, b in zip(one[position], again[position], strict=True))
        assert all(torch.equal(a, b) for a, b in zip(one[position], plain[position], strict=False))
        different += not torch.equal(one[position][2], other[position][2])
        luma, chroma, planes, seen = one[position]
        assert (luma.shape, planes.shape, seen.shape) == ((1, 64, 64), (3, 64, 64), (323,))
        if seen.any():
            assert np.array_equal(seen.numpy(), palette(chroma.numpy()))
    assert different


def test_the_layers_for_hints_start_at_zero():
    torch.manual_seed(0)
    generator = build("photochrom", pretrained=False).eval()
    luma, planes = torch.rand(2, 1, 64, 96), torch.rand(2, 3, 64, 96)
    seen = torch.rand(2, 323).softmax(1)
    with torch.no_grad():
        assert torch.equal(generator(luma), generator(luma, planes, seen))
        for name, parameter in generator.named_parameters():
            if name.startswith(setup.LATER):
                parameter.add_(0.1)
        assert not torch.allclose(generator(luma), generator(luma, planes, None))
        assert not torch.allclose(generator(luma), generator(luma, None, seen))
        # No hint, and no palette, as zeros, are the automatic answer whatever was learned.
        assert torch.allclose(generator(luma), generator(luma, 0 * planes, 0 * seen), atol=1e-6)


def spread_of(features, hinted, values):
    """Spread hints place by place, as the docstring has it."""
    layer = HintSpread(features.shape[1], values.shape[1])
    torch.nn.init.normal_(layer.output.weight)
    torch.nn.init.normal_(layer.embed.weight)
    with torch.no_grad():
        found = layer(features, hinted, values)[0]
        centered = features[0] - features[0].mean((1, 2), keepdim=True)
        places = torch.einsum("kc,chw->hwk", layer.embed.weight[:, :, 0, 0], centered)
        places = places / places.norm(dim=-1, keepdim=True)
        for row, column in np.ndindex(*features.shape[2:]):
            total, seen = layer.nothing.exp(), torch.zeros(values.shape[1])
            for r, c in hinted[0, 0].nonzero().tolist():
                apart = ((row - r) ** 2 + (column - c) ** 2) / 16**2
                weight = (layer.sharpness * places[row, column] @ places[r, c] - layer.nearness * apart).exp()
                total, seen = total + weight, seen + weight * values[0, :, r, c]
            assert torch.allclose(found[:, row, column], layer.output.weight[:, :, 0, 0] @ (seen / total), atol=1e-4)
    return found


def test_hints_spread_to_what_looks_alike():
    torch.manual_seed(0)
    features, values = torch.randn(1, 6, 5, 7), torch.rand(1, 4, 5, 7)
    hinted = torch.zeros(1, 1, 5, 7)
    assert not spread_of(features, hinted, values).any()
    hinted[0, 0, 1, 2] = hinted[0, 0, 4, 6] = 1
    assert spread_of(features, hinted, values).any()


TINY = config.from_table(
    {
        "generator": "photochrom", "bins_weight": 1.0, "size": 64, "batch": 4, "positions": 64, "hints": 0.5, "palettes": 0.5,
        "log_every": 4, "checkpoint_every": 4, "validate_every": 8, "validation_photographs": 4, "sample_every": 1000,
        "stages": [{"kind": "generator", "images": 8, "rate": 1e-3}],
    }
)  # fmt: skip


@pytest.fixture(scope="module")
def old_run(prepared, tmp_path_factory):
    """A run of a checkpoint from before there were hints."""
    run = tmp_path_factory.mktemp("runs") / "old"
    table = config.to_table(TINY) | {"hints": 0.0, "palettes": 0.0, "stages": [{"kind": "generator", "images": 4}]}
    loop.train(config.from_table(table), [prepared], run=run, compute=loop.Compute(accelerator="cpu"))
    state = checkpoint.load(run / "best.pt")
    for part in ("generator", "average"):
        state[part] = {name: value for name, value in state[part].items() if not name.startswith(setup.LATER)}
    del state["config"]["hints"], state["config"]["palettes"]
    checkpoint.save(run / "best.pt", state)
    return run


def test_an_old_checkpoint_is_the_start_and_answers_the_same(old_run):
    generator = build("photochrom", pretrained=False).eval()
    about = setup.start_from(generator, old_run / "best.pt")
    assert (about["images_seen"], about["init"]) == (4, None)
    old = build("photochrom", pretrained=False).eval()
    old.load_state_dict(checkpoint.load(old_run / "best.pt")["average"], strict=False)
    luma, planes = torch.rand(1, 1, 64, 64), torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(old(luma), generator(luma, planes))
    assert config.from_table(about["config"]).hints == 0
    with pytest.raises(TrainingError, match="holds a generator of another form"):
        setup.start_from(build("unet", pretrained=False), old_run / "best.pt")


def test_hints_are_learned_resumed_and_measured_and_the_card_knows_the_start(old_run, prepared, tmp_path):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        loop.train(TINY, [prepared], run=tmp_path / "whole", compute=loop.Compute(accelerator="cpu"), init=old_run / "best.pt")
        half = config.from_table(config.to_table(TINY) | {"stages": [{"kind": "generator", "images": 4, "rate": 1e-3}]})
        for settings in (half, TINY):
            loop.train(
                settings, [prepared], run=tmp_path / "halves", compute=loop.Compute(accelerator="cpu"), init=old_run / "best.pt"
            )
    finally:
        torch.set_num_threads(threads)
    whole, halves = (checkpoint.load(tmp_path / name / "newest.pt") for name in ("whole", "halves"))
    assert all(torch.equal(value, halves["generator"][name]) for name, value in whole["generator"].items())
    assert whole["generator"]["hint_stem.weight"].any() and whole["generator"]["palette_finest.weight"].any()
    assert whole["statistics"]["init"]["images_seen"] == 4
    rows = list(csv.DictReader((tmp_path / "whole" / "validation.csv").read_text().splitlines()))
    assert all(np.isfinite(float(rows[-1][name])) for name in ("psnr", "gain_1", "gain_3", "gain_10", "gain_50"))
    assert rows[-1]["aside_score"] == "", "there is no second set"


def test_a_generator_of_the_study_takes_no_hints():
    table = {"generator": "unet", "l1_weight": 1.0, "stages": [{"kind": "generator", "images": 100}]}
    for name in ("hints", "palettes"):
        with pytest.raises(ConfigError, match=f"{name} is 0.5, but the generator unet has no such part"):
            config.from_table(table | {name: 0.5})


def test_a_measurement_reveals_the_same_points_each_time_and_more_that_hold_the_fewer():
    chroma = truth()
    few, more, again = (hint_sampling.points(chroma, count, seed=3) for count in (3, 10, 3))
    assert torch.equal(few, again)
    assert (more[2] >= few[2]).all() and more[2].sum() > few[2].sum()


def test_confidence_rises_and_is_the_share_that_lies_near():
    """With a network that is told the truth, in part, its confidence is what was measured, and says right from wrong."""
    rng = np.random.default_rng(0)
    signal = rng.random(40_000).astype(np.float32)
    curve = validate._rising(signal, rng.random(40_000) < signal**2)
    x, y = np.array(curve).T
    assert (np.diff(x) > 0).all() and (np.diff(y) > 0).all()
    assert np.abs(np.interp(0.7, x, y) - 0.49) < 0.03
    flat = validate._rising(signal, rng.random(40_000) < 1 - signal)
    assert len(flat) == 1 and flat[0][1] == pytest.approx(0.5, abs=0.02)


def test_a_calibrated_confidence_holds_on_its_own_photographs():
    torch.manual_seed(1)
    generator = build("photochrom", pretrained=False).eval()
    with torch.no_grad():
        generator.head.weight.normal_(std=0.5)
    luma = torch.rand(6, 1, 64, 64)
    with torch.no_grad():
        prediction = generator(luma)
        answer = generator.decode(prediction, 0.6)
    # The truth is the answer in a third of the photographs, and far from it in the others.
    chroma = torch.nn.functional.interpolate(answer, (64, 64), mode="nearest")
    chroma[2:] = torch.where(chroma[2:] > 0, -0.3, 0.3)
    curves = validate.calibrate_confidence(generator, (luma, chroma), ((0.6, 1.0),) * 3)
    assert len(curves) == 3
    peaks = torch.softmax(prediction / 0.6, 1).amax(1).numpy().ravel()
    share = np.interp(peaks, *zip(*curves[0], strict=True)).mean()
    unit = torch.nn.functional.avg_pool2d(luma, 4).numpy()[:, 0]

    def lab(planes):
        small = torch.nn.functional.interpolate(planes, (16, 16), mode="area").numpy()
        scale = [color.headroom(y, *c, minimum=np.minimum, maximum=np.maximum) for y, c in zip(unit, small, strict=True)]
        return np.stack([color.lab(color.join(y, c * s)) for y, c, s in zip(unit, small, scale, strict=True)])

    near = np.square(lab(answer) - lab(chroma)).sum(1) <= 100
    assert share == pytest.approx(near.mean(), abs=0.1)
