"""Show that each regularizer does what its paper says."""

from __future__ import annotations

import csv
import dataclasses
import math

import pytest
import torch
from lightning.fabric import Fabric
from torch import nn

from photochrom.errors import ConfigError, TrainingError
from photochrom.training import checkpoint, config, loop, regularizers, validate
from photochrom.training.checkpoint import Progress
from photochrom.training.data import dataset
from photochrom.training.losses import collapsed, discriminator_loss, told_apart
from photochrom.training.networks.discriminators import PatchGAN
from photochrom.training.networks.generators import LAYOUTS, Shape, UNet
from photochrom.training.networks.layers import BatchNorm, Dropout, draw, normalization
from photochrom.training.regularizers import REGULARIZERS
from photochrom.training.setup import set_up
from photochrom.training.step import generator_learns, set_rates, step, update_average

TINY = {
    **config.to_table(config.load("plain")), "size": 32, "generator_width": 4, "discriminator_width": 4, "batch": 4,
    "log_every": 4, "checkpoint_every": 8, "validate_every": 8, "validation_photographs": 4, "sample_every": 400,
    "stages": [{"kind": "adversarial", "images": 40, "rate": 2e-4, "critic_rate": 2e-4}],
}  # fmt: skip
BASELINE = config.from_table(TINY)
EVERYTHING = regularizers.apply(
    TINY, ["dropout-g", "dropout-d", "weight-decay", "spectral-both", "r1", "label-smoothing", "instance-noise", "diffaugment",
           "ttur", "ema", "l1-10"],
) | {"r1_every": 2, "critic_steps": 2}  # fmt: skip


def with_rows(*names):
    return config.from_table(regularizers.apply(TINY, names))


def started(settings, prepared, tmp_path):
    """Build everything as a run would, with its first batch."""
    crops = dataset.Crops(
        dataset.index([prepared]), size=32, seed=0, smallest=settings.smallest_crop, stretch=settings.stretch, aging=0
    )
    fabric = Fabric(accelerator="cpu", devices=1)
    networks, _, _ = set_up(fabric, settings, crops, tmp_path / "none")
    luma, chroma = (torch.stack(parts) for parts in zip(*(crops[i] for i in range(4)), strict=True))
    return fabric, networks, luma, chroma


def losses(run):
    with (run / "log.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if k not in ("images_per_second", "seconds")} for row in csv.DictReader(file)]


# The table


@pytest.mark.parametrize("name", REGULARIZERS)
def test_every_row_makes_a_run_that_moves(name, prepared, tmp_path):
    settings = with_rows(name)
    assert (settings == BASELINE) == (name in ("none", "l1-100", "norm-batch"))
    fabric, networks, luma, chroma = started(settings, prepared, tmp_path)
    before = [p.clone() for p in networks.discriminator.parameters()]
    torch.manual_seed(0)
    found = step(fabric, networks, (luma, chroma), config=settings, stage=settings.stages[0])
    assert all(value.isfinite() for value in found.values())
    assert ("r1" in found, "gradient_penalty" in found) == (name == "r1", name == "wgan-gp")
    assert any(not torch.equal(p, q) for p, q in zip(before, networks.discriminator.parameters(), strict=True))


def test_rows_combine_and_leave_the_table_alone():
    kept = {**TINY, "stages": [dict(stage) for stage in TINY["stages"]]}
    both = with_rows("ttur", "diffaugment")
    assert both.augment and both.stages[0].critic_rate == 8e-4 and both.stages[0].rate == 2e-4
    assert kept == TINY


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (
            ("r1", "norm-batch"),
            r"'r1' and 'norm-batch' contradict each other: discriminator_normalization would be none and batch",
        ),
        (("ema", "label-smoothing", "wgan-gp"), r"'label-smoothing' and 'wgan-gp' contradict each other: adversarial_loss"),
        (("l1-0", "l1-10"), r"'l1-0' and 'l1-10' contradict each other: l1_weight would be 0.0 and 10.0"),
        (("spectral-d", "spectral-both"), r"spectral would be discriminator and both"),
        (("dropout",), r"unknown regularizer 'dropout'; did you mean dropout-"),
        (("zzz",), r"unknown regularizer 'zzz'; expected one of none, dropout-g"),
    ],
)
def test_contradictions_are_refused_naming_both(names, said):
    with pytest.raises(ConfigError, match=said):
        regularizers.apply(TINY, names)


# Together: many processes, and interruptions


def test_all_together_interrupted_and_resumed_gives_the_losses_of_one_run(prepared, tmp_path):
    settings = config.from_table(EVERYTHING | {"stages": [TINY["stages"][0] | {"images": 32}]})
    loop.train(settings, [prepared], run=tmp_path / "whole", compute=loop.Compute(accelerator="cpu"))

    def interrupt(report):
        if report.images_seen == 20:  # the newest checkpoint is of 16
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loop.train(settings, [prepared], run=tmp_path / "cut", compute=loop.Compute(accelerator="cpu"), report=interrupt)
    assert len(losses(tmp_path / "cut")) == 5
    loop.train(settings, [prepared], run=tmp_path / "cut", compute=loop.Compute(accelerator="cpu"))
    assert losses(tmp_path / "cut") == losses(tmp_path / "whole")
    for name in ("newest.pt", "best.pt"):
        ours, theirs = (checkpoint.load(tmp_path / run / name)["average"] for run in ("cut", "whole"))
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_two_processes_give_the_losses_of_one(prepared, tmp_path):
    settings = config.from_table(EVERYTHING | {"discriminator_normalization": "instance", "stages": TINY["stages"]})
    short = dataclasses.replace(settings, stages=(dataclasses.replace(settings.stages[0], images=16),), patience=1)
    penalized = dataclasses.replace(short, adversarial_loss="wgan", real_target=1.0, gradient_penalty=10.0)
    loop.train(penalized, [prepared], run=tmp_path / "one", compute=loop.Compute(accelerator="cpu"))
    loop.train(penalized, [prepared], run=tmp_path / "two", compute=loop.Compute(devices=2, accelerator="cpu"))
    ours, theirs = losses(tmp_path / "two"), losses(tmp_path / "one")
    assert len(ours) == len(theirs) == 4
    for one, other in zip(ours, theirs, strict=True):
        for name, value in other.items():
            if value and name not in ("stage", "accuracy"):
                assert float(one[name]) == pytest.approx(float(value), rel=5e-3, abs=2e-3), name


# Penalties on the discriminator's gradient


def test_r1_and_its_gradient_are_those_of_finite_differences():
    torch.manual_seed(0)
    critic = PatchGAN(2, "patch8", size=32, normalize="none").double()
    luma, chroma = torch.rand(2, 1, 32, 32).double(), (torch.rand(2, 2, 32, 32).double() - 0.5) / 2
    for parameter in critic.parameters():
        parameter.data *= 10  # the slopes of fresh weights are too small to compare
    h = 1e-6

    def by_differences():
        total = 0.0
        with torch.no_grad():
            for photograph, colors in zip(luma, chroma, strict=True):
                nudge = h * torch.eye(colors.numel()).double().reshape(-1, *colors.shape)
                same = photograph.expand(len(nudge), -1, -1, -1)
                slopes = (critic(same, colors + nudge) - critic(same, colors - nudge)).mean((1, 2, 3)) / (2 * h)
                total += float(slopes.square().sum())
        return total / len(luma)

    value = regularizers.r1(critic, luma, chroma)
    assert value.item() > 1e-6
    assert value.item() == pytest.approx(by_differences(), rel=1e-5)
    value.backward()
    weight = critic.layers[2].weight
    exact = weight.grad[1, 1, 2, 2].item()
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            weight[1, 1, 2, 2] += sign * 1e-5
        values.append(by_differences())
        with torch.no_grad():
            weight[1, 1, 2, 2] -= sign * 1e-5
    assert exact != 0 and (values[0] - values[1]) / 2e-5 == pytest.approx(exact, rel=1e-3)


@pytest.mark.parametrize(("slope", "expected"), [(1.0, 0.0), (3.0, 4.0), (0.25, 0.5625)])
def test_the_gradient_penalty_is_the_squared_distance_of_the_slope_from_1(slope, expected):
    torch.manual_seed(0)
    direction = torch.randn(1, 2, 8, 8)
    direction *= slope / direction.norm()

    def critic(luma, colors):
        return (colors * direction).sum((1, 2, 3), keepdim=True) + luma.mean()

    real, fake = ((torch.rand(3, 1, 8, 8), torch.randn(3, 2, 8, 8)) for _ in range(2))
    penalty = regularizers.gradient_penalty(critic, real, fake)
    assert penalty.item() == pytest.approx(expected, abs=1e-5)
    if slope == 1:
        assert regularizers.r1(critic, *real).item() == pytest.approx(1, abs=1e-5)


def test_the_gradient_penalty_looks_between_true_and_generated():
    seen = []

    def critic(luma, colors):
        seen.append(colors.detach())
        return (colors + luma).sum((1, 2, 3), keepdim=True)

    luma = torch.rand(64, 1, 4, 4)
    regularizers.gradient_penalty(critic, (luma, torch.ones(64, 2, 4, 4)), (luma, torch.zeros(64, 2, 4, 4)))
    (colors,) = seen
    assert torch.allclose(colors, colors[:, :1, :1, :1].expand_as(colors))  # one place on the line for each photograph
    assert 0 <= colors.min() < 0.1 and 0.9 < colors.max() <= 1


def test_lazy_r1_comes_every_k_steps(prepared, tmp_path):
    settings = dataclasses.replace(with_rows("r1"), r1_every=3)
    fabric, networks, luma, chroma = started(settings, prepared, tmp_path)
    stage = settings.stages[0]
    for index in range(4):
        found = step(fabric, networks, (luma, chroma), config=settings, stage=stage, images_seen=4 * index)
        assert ("r1" in found) == (index in (0, 3))


# Norms


def largest_singular_value(module):
    weight = module.weight.detach()
    matrix = weight.transpose(0, 1) if isinstance(module, nn.ConvTranspose2d) else weight
    return float(torch.linalg.svdvals(matrix.flatten(1))[0])


@pytest.mark.parametrize(
    "network",
    [
        lambda: PatchGAN(4, normalize="none"),
        lambda: UNet(LAYOUTS["unet"], Shape(size=32, width=4)),
        lambda: UNet(LAYOUTS["encoder-decoder"], Shape(size=32, width=4)),
    ],
)
def test_each_convolution_has_a_spectral_norm_of_1(network):
    torch.manual_seed(0)
    network = network()
    modules = regularizers._convolutions(network)
    assert min(abs(largest_singular_value(module) - 1) for module in modules) > 0.02
    regularizers.normalize_spectrum(network.train())
    with torch.no_grad():
        for module in modules:
            for _ in range(150):  # one power iteration each
                _ = module.weight
    network.eval()
    kept = [module.weight.detach().clone() for module in modules]
    assert [largest_singular_value(module) for module in modules] == pytest.approx([1.0] * len(modules), abs=1e-3)
    regularizers.release_spectrum(network)
    assert not any("parametrizations" in name for name in network.state_dict())
    assert all(torch.equal(module.weight, old) for module, old in zip(modules, kept, strict=True))


def test_instance_norm_makes_each_photographs_channels_alike():
    (layer,) = normalization("instance", 3)
    x = torch.randn(4, 3, 16, 16) * torch.tensor([1.0, 5.0, 9.0])[:, None, None] + 7
    for mode in (True, False):
        y = layer.train(mode)(x)
        assert torch.allclose(y.mean((2, 3)), torch.zeros(4, 3), atol=1e-4)
        assert torch.allclose(y.var((2, 3), correction=0), torch.ones(4, 3), atol=1e-3)
        assert torch.allclose(layer(x[:1]), y[:1], atol=1e-5)


@pytest.mark.parametrize(
    ("name", "kind"), [("norm-batch", BatchNorm), ("norm-instance", nn.InstanceNorm2d), ("norm-none", None)]
)
def test_both_networks_have_the_norm_they_are_told_to(name, kind, prepared, tmp_path):
    _, networks, _, _ = started(with_rows(name), prepared, tmp_path)
    for network in (networks.generator, networks.discriminator):
        found = {type(m) for m in network.modules() if isinstance(m, nn.InstanceNorm2d | nn.BatchNorm2d)}
        assert found == ({kind} if kind else set())
        inner = [m for m in network.modules() if isinstance(m, nn.Conv2d)][1]
        assert (inner.bias is None) == (kind is not None)


def test_dropout_stands_where_it_is_told_to(prepared, tmp_path):
    places = {}
    for name in ("none", "dropout-g", "dropout-d"):
        _, networks, _, _ = started(with_rows(name), prepared, tmp_path)
        places[name] = [
            [m.probability for m in network.modules() if isinstance(m, Dropout)]
            for network in (networks.generator, networks.discriminator)
        ]
    assert places == {"none": [[], []], "dropout-g": [[0.5, 0.5], []], "dropout-d": [[], [0.3, 0.3, 0.3]]}


# What the discriminator sees


def test_diffaugment_moves_pixels_whole_and_keeps_their_colors():
    torch.manual_seed(0)
    side, count = 32, 16
    code = torch.arange(1.0, side * side + 1).reshape(1, 1, side, side).expand(count, -1, -1, -1)
    luma, chroma = code / 2048, torch.cat([code / 4096, -code / 4096], 1)
    settings = with_rows("diffaugment")
    chroma = chroma.clone().requires_grad_(True)
    gray, colors = regularizers.shown(luma, chroma, config=settings, images_seen=0)
    origin = gray * 2048
    assert set(origin.round().long().flatten().tolist()) <= set(range(side * side + 1))
    assert torch.equal(colors[:, 0] * 2, gray[:, 0]) and torch.equal(
        colors[:, 1], -colors[:, 0]
    )  # luma and chroma move together
    shifts = set()
    for picture in origin[:, 0].round().long():
        y, x = picture.nonzero().unbind(1)
        source = picture[y, x] - 1
        moves = {(int(a), int(b)) for a, b in zip((y - source // side).tolist(), (x - source % side).tolist(), strict=True)}
        assert len(moves) == 1
        (move,) = moves
        assert max(map(abs, move)) <= side // 8
        inside = (side - abs(move[0])) * (side - abs(move[1]))
        assert inside - (side // 2) ** 2 <= len(y) <= inside - (side // 4) ** 2 + 2 * 4 * side
        shifts |= moves
    assert len(shifts) > 4 and any(y for y, _ in shifts) and any(x for _, x in shifts)
    colors.sum().backward()
    assert set(chroma.grad.flatten().tolist()) == {0.0, 1.0}
    assert torch.equal(chroma.grad.sum((1, 2, 3)), 2 * (gray > 0).sum((1, 2, 3)))


def test_instance_noise_falls_to_nothing_and_leaves_luma_alone():
    settings = dataclasses.replace(with_rows("instance-noise"), instance_noise=0.2, instance_noise_share=0.5)
    luma, chroma = torch.rand(4, 1, 64, 64), torch.zeros(4, 2, 64, 64)
    torch.manual_seed(0)
    for images_seen, expected in ((0, 0.2), (10, 0.1), (19, 0.01), (20, 0.0), (40, 0.0)):
        gray, colors = regularizers.shown(luma, chroma, config=settings, images_seen=images_seen)
        assert float(colors.std()) == pytest.approx(expected, rel=0.05) and torch.equal(gray, luma)


def test_the_plain_baseline_shows_what_is_there_and_draws_nothing():
    luma, chroma = torch.rand(2, 1, 8, 8), torch.rand(2, 2, 8, 8)
    state = torch.get_rng_state()
    assert regularizers.shown(luma, chroma, config=BASELINE, images_seen=0) == (luma, chroma)
    assert torch.equal(torch.get_rng_state(), state)


def test_draws_are_rows_of_the_whole_batch(monkeypatch):
    torch.manual_seed(3)
    whole = draw(torch.randn, (6, 2), torch.device("cpu"))
    monkeypatch.setattr("photochrom.training.networks.layers.dist.is_initialized", lambda: True)
    monkeypatch.setattr("photochrom.training.networks.layers.dist.get_world_size", lambda: 3)
    for rank in range(3):
        monkeypatch.setattr("photochrom.training.networks.layers.dist.get_rank", lambda rank=rank: rank)
        torch.manual_seed(3)
        assert torch.equal(draw(torch.randn, (2, 2), torch.device("cpu")), whole[rank::3])


# Losses and updates


@pytest.mark.parametrize(("kind", "best"), [("bce", math.log(0.9 / 0.1)), ("lsgan", 0.9)])
def test_label_smoothing_is_best_served_by_its_target(kind, best):
    for score, sign in ((best - 0.2, -1), (best, 0), (best + 0.2, 1)):
        real = torch.full((4, 1, 3, 3), score, requires_grad=True)
        loss, on_fake = discriminator_loss(kind, real, torch.zeros(4, 1, 3, 3), target=0.9)
        loss.backward()
        slope = float(real.grad.sum())
        assert slope == pytest.approx(0, abs=1e-6) if sign == 0 else slope * sign > 1e-3
        assert torch.equal(on_fake, discriminator_loss(kind, real, torch.zeros(4, 1, 3, 3))[1])  # one side alone


def test_a_smoothed_discriminator_that_has_collapsed_is_noticed():
    floor = -0.9 * math.log(0.9) - 0.1 * math.log(0.1)
    assert collapsed("bce", floor + 0.005, 0.005, target=0.9, limit=0.01)
    assert not collapsed("bce", floor + 0.1, 0.005, target=0.9, limit=0.01)
    assert collapsed("bce", 0.005, 0.005, target=1.0, limit=0.01)
    assert not collapsed("wgan", -7.0, -7.0, target=1.0, limit=0.01)


def test_accuracy_counts_both_sides():
    real, fake = torch.tensor([1.0, 1.0, -1.0, 3.0]), torch.tensor([-1.0, 1.0, -2.0, -3.0])
    assert float(told_apart("bce", real, fake)) == 0.75
    assert float(told_apart("wgan", real + 10, fake + 10)) == 0.75
    assert float(told_apart("lsgan", real / 2, fake)) == 0.5


def test_the_generator_learns_after_so_many_critic_steps():
    stage = BASELINE.stages[0]
    settings = dataclasses.replace(BASELINE, critic_steps=3)
    assert [generator_learns(settings, stage, 4 * i) for i in range(7)] == [False, False, True, False, False, True, False]
    assert generator_learns(BASELINE, stage, 0)
    assert not generator_learns(BASELINE, dataclasses.replace(stage, kind="critic"), 0)


def test_ttur_rates_reach_the_optimizers(prepared, tmp_path):
    settings = with_rows("ttur")
    _, networks, _, _ = started(settings, prepared, tmp_path)
    set_rates(networks, settings.stages[0], 0.5)
    assert {group["lr"] for group in networks.generator_optimizer.param_groups} == {1e-4}
    assert {group["lr"] for group in networks.discriminator_optimizer.param_groups} == {4e-4}


def test_weight_decay_shrinks_weights_that_have_no_gradient(prepared, tmp_path):
    settings = with_rows("weight-decay")
    _, networks, _, _ = started(settings, prepared, tmp_path)
    set_rates(networks, settings.stages[0], 1.0)
    weight = networks.discriminator.layers[0].weight
    before = weight.detach().clone()
    for parameter in networks.discriminator.parameters():
        parameter.grad = torch.zeros_like(parameter)
    networks.discriminator_optimizer.step()
    assert torch.allclose(weight, before * (1 - 2e-4 * 0.01), rtol=1e-6, atol=0)


def test_the_average_moves_by_one_minus_the_decay(prepared, tmp_path):
    fabric, networks, luma, chroma = started(with_rows("ema"), prepared, tmp_path)
    old = [p.clone() for p in networks.average.parameters()]
    step(fabric, networks, (luma, chroma), config=BASELINE, stage=BASELINE.stages[0])
    update_average(networks, 0.9)
    for mine, before, its in zip(networks.average.parameters(), old, networks.generator.parameters(), strict=True):
        assert torch.allclose(mine, 0.9 * before + 0.1 * its, atol=1e-7)


# Ends and alarms


def test_early_stopping_ends_the_run_and_says_so(prepared, tmp_path):
    still = config.from_table(
        TINY | {"patience": 2, "stages": [{"kind": "critic", "images": 400}]}
    )  # the generator never moves
    reports = []
    progress = loop.train(
        still, [prepared], run=tmp_path / "run", compute=loop.Compute(accelerator="cpu"), report=reports.append
    )
    assert progress.stopped_early and progress.images_seen == 24 and progress.best_images == 8
    assert reports[-1].images == 24
    again = loop.train(still, [prepared], run=tmp_path / "run", compute=loop.Compute(accelerator="cpu"))
    assert again.stopped_early and again.images_seen == 24


def test_a_better_score_renews_the_patience(tmp_path):
    settings, progress = dataclasses.replace(BASELINE, patience=2), Progress()
    ends = []
    for score in (5.0, 6.0, 4.0, 4.5, 4.5):
        loop._judge({"score": score, "chroma": 1.0, "alarm_grey": 0.0}, settings, progress, tmp_path)
        ends.append(progress.stopped_early)
    assert ends == [False, False, False, False, True] and progress.best_score == 4.0


def test_grey_answers_raise_an_alarm_and_end_the_run_only_where_told_to(prepared, tmp_path):
    _, networks, luma, chroma = started(BASELINE, prepared, tmp_path)
    stage = BASELINE.stages[0]
    alarms = validate.validate(networks, {"": (luma, chroma)}, BASELINE, stage, collapsed=True)
    assert (alarms["alarm_grey"], alarms["alarm_collapse"]) == (0, 1) and 0 <= alarms["held_accuracy"] <= 1
    nn.init.zeros_(networks.average.head.weight)
    nn.init.zeros_(networks.average.head.bias)
    scores = validate.validate(networks, {"": (luma, chroma)}, BASELINE, stage, collapsed=False)
    assert (scores["alarm_grey"], scores["alarm_collapse"]) == (1, 0) and scores["chroma"] < validate.GREYISH
    for stop_on in ("none", "collapse", "grey", "both"):
        settings, progress = dataclasses.replace(BASELINE, stop_on=stop_on), Progress()
        for _ in range(2):
            loop._judge(scores, settings, progress, tmp_path)
        if stop_on in ("grey", "both"):
            with pytest.raises(TrainingError, match="the answers are nearly grey"):
                loop._judge(scores, settings, progress, tmp_path)
        else:
            loop._judge(scores, settings, progress, tmp_path)
        assert progress.grey_validations == 3


def test_the_lowest_generator_loss_is_noted(prepared, tmp_path):
    progress = loop.train(BASELINE, [prepared], run=tmp_path / "run", compute=loop.Compute(accelerator="cpu"))
    rows = losses(tmp_path / "run")
    lowest = min(rows, key=lambda row: float(row["generator"]))
    assert progress.lowest_generator_images == int(lowest["images_seen"])
    assert progress.lowest_generator_loss == pytest.approx(float(lowest["generator"]), rel=1e-6)
    for row in rows:
        total = float(row["adversarial"]) + 100 / 255 * float(row["l1"])
        assert float(row["generator"]) == pytest.approx(total, rel=1e-5)
        assert float(row["grad_generator"]) > 0 and float(row["grad_discriminator"]) > 0


def test_a_run_of_an_older_log_goes_on_in_todays_columns(prepared, tmp_path):
    run = tmp_path / "run"
    short = dataclasses.replace(BASELINE, stages=(dataclasses.replace(BASELINE.stages[0], images=16),))
    loop.train(short, [prepared], run=run, compute=loop.Compute(accelerator="cpu"))
    old = [(row["images_seen"], row["l1"]) for row in losses(run)]
    (run / "log.csv").write_text("images_seen,l1\n" + "".join(f"{seen},{l1}\n" for seen, l1 in old))
    loop.train(BASELINE, [prepared], run=run, compute=loop.Compute(accelerator="cpu"))
    rows = losses(run)
    assert [(row["images_seen"], row["l1"]) for row in rows[:4]] == old
    assert len(rows) == 10 and not rows[0]["real"] and rows[-1]["real"]
