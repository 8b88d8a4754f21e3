from __future__ import annotations

import csv
import dataclasses
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from photochrom.errors import ConfigError, DataError, TrainingError
from photochrom.training import checkpoint, config, loop

TINY = config.from_table(
    {
        "generator": "photochrom",
        "bins_weight": 1.0,
        "perceptual_weight": 0.5,
        "adversarial_weight": 0.1,
        "adversarial_loss": "hinge",
        "discriminator_width": 8,
        "size": 64,
        "batch": 4,
        "positions": 64,
        "aging": 0.3,
        "log_every": 4,
        "checkpoint_every": 8,
        "validate_every": 16,
        "validation_photographs": 4,
        "sample_every": 32,
        "stages": [
            {"kind": "generator", "images": 16, "warmup": 8},
            {"kind": "critic", "images": 4},
            {"kind": "adversarial", "images": 12, "rate": 1e-4, "schedule": "cosine"},
        ],
    }
)


def cut(settings, images):
    """Shorten a configuration to its first images, keeping its stages' shape otherwise."""
    stages, left = [], images
    for stage in settings.stages:
        if left > 0:
            stages.append(stage if stage.images <= left else dataclasses.replace(stage, images=left))
            left -= stage.images
    return dataclasses.replace(settings, stages=tuple(stages))


def losses(run):
    with (run / "log.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if k not in ("images_per_second", "seconds")} for row in csv.DictReader(file)]


def train(settings, prepared, run, *, devices=1, at_once=0):
    compute = loop.Compute(devices=devices, accelerator="cpu", at_once=at_once)
    return loop.train(settings, [prepared], run=run, compute=compute)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Sum in one order: rounding differs with the number of threads, and an adversarial stage amplifies it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def uninterrupted(prepared, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "whole"
    train(TINY, prepared, run)
    return run


def test_a_run_leaves_all_its_parts(uninterrupted):
    assert {p.name for p in uninterrupted.iterdir()} >= {
        "config.json",
        "log.csv",
        "validation.csv",
        "newest.pt",
        "best.pt",
        "samples",
    }
    assert any((uninterrupted / "tensorboard").iterdir()) and any((uninterrupted / "samples").iterdir())
    rows = losses(uninterrupted)
    assert [int(row["images_seen"]) for row in rows] == list(range(4, 33, 4))
    assert [row["stage"] for row in rows] == ["generator"] * 4 + ["critic"] + ["adversarial"] * 3
    assert rows[0]["bins"] and not rows[0]["real"] and rows[4]["real"] and not rows[4]["bins"]
    assert all(rows[-1][name] for name in ("bins", "perceptual", "adversarial", "real", "fake", "accuracy"))


def test_a_critic_stage_leaves_the_generator_alone(prepared, tmp_path):
    train(cut(TINY, 16), prepared, tmp_path / "run")
    before = checkpoint.load(tmp_path / "run" / "newest.pt")
    train(cut(TINY, 20), prepared, tmp_path / "run")
    after = checkpoint.load(tmp_path / "run" / "newest.pt")
    assert all(torch.equal(value, after["generator"][name]) for name, value in before["generator"].items())
    assert any(not torch.equal(value, after["discriminator"][name]) for name, value in before["discriminator"].items())


def test_the_same_seed_gives_the_same_losses_and_another_does_not(uninterrupted, prepared, tmp_path):
    train(cut(TINY, 8), prepared, tmp_path / "same")
    assert losses(tmp_path / "same") == losses(uninterrupted)[:2]
    train(dataclasses.replace(cut(TINY, 8), seed=1), prepared, tmp_path / "other")
    assert losses(tmp_path / "other") != losses(uninterrupted)[:2]


def test_killed_and_run_again_it_goes_on_as_if_never_stopped(uninterrupted, prepared, tmp_path):
    run = tmp_path / "killed"
    table = tmp_path / "tiny.toml"
    stages = "\n".join(
        f'[[stages]]\nkind = "{s.kind}"\nimages = {s.images}\nrate = {s.rate}\nwarmup = {s.warmup}\nschedule = "{s.schedule}"'
        for s in TINY.stages
    )
    plain = {k: v for k, v in config.to_table(TINY).items() if k != "stages"}
    lines = "\n".join(f"{k} = {str(v).lower() if isinstance(v, bool) else repr(v)}" for k, v in plain.items())
    table.write_text(f"{lines}\n{stages}\n".replace("'", '"'))
    command = [
        sys.executable,
        "-m",
        "photochrom",
        "train",
        str(table),
        "--data",
        str(prepared),
        "-o",
        str(run),
        "--accelerator",
        "cpu",
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=environment)
    deadline = time.monotonic() + 120
    while not ((run / "newest.pt").exists() and len(losses(run)) >= 3) and time.monotonic() < deadline:
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    seen = checkpoint.load(run / "newest.pt")["progress"]["images_seen"]
    assert 0 < seen < TINY.images
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert losses(run) == losses(uninterrupted)
    ours, theirs = (checkpoint.load(r / "newest.pt")["average"] for r in (run, uninterrupted))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_two_processes_give_the_losses_of_one(prepared, tmp_path):
    # Without aging: flat light and dark areas put activations on the kinks of their functions, where rounding turns a gradient.
    settings = dataclasses.replace(TINY, aging=0.0)
    train(settings, prepared, tmp_path / "one")
    train(settings, prepared, tmp_path / "two", devices=2)
    for ours, theirs in zip(losses(tmp_path / "two"), losses(tmp_path / "one"), strict=True):
        for name, value in theirs.items():
            if name == "stage":
                assert ours[name] == value
            elif value and name != "accuracy":  # a share of few patches jumps where scores are close
                assert float(ours[name]) == pytest.approx(float(value), rel=2e-3, abs=2e-3), name


def test_it_learns_one_photograph_by_heart(tmp_path):
    settings = dataclasses.replace(
        cut(TINY, 16), stages=(config.Stage("generator", 240, rate=3e-3),), smallest_crop=1.0, stretch=0.0, aging=0.0,
        log_every=24, checkpoint_every=240, validate_every=240,
    )  # fmt: skip
    from tests.support.testdata import picture, write_shard

    write_shard(tmp_path / "train-0.tar", [picture("coffee")[100:300, 200:400]])
    train(settings, tmp_path, tmp_path / "run")
    rows = losses(tmp_path / "run")
    assert float(rows[-1]["bins"]) < 0.45 * float(rows[0]["bins"])


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_checkpoint(prepared, tmp_path):
    run = tmp_path / "run"
    train(cut(TINY, 8), prepared, run)
    good = checkpoint.load(run / "newest.pt")
    good["generator"]["head.weight"][0, 0] = float("nan")
    checkpoint.save(run / "newest.pt", good)
    kept = (run / "newest.pt").read_bytes()
    with pytest.raises(TrainingError, match=r"the loss 'bins' is nan after 12 images.*newest\.pt"):
        train(cut(TINY, 16), prepared, run)
    assert (run / "newest.pt").read_bytes() == kept


def test_a_collapsed_discriminator_stops_the_run(prepared, tmp_path):
    settings = dataclasses.replace(
        TINY, collapse=100.0, stages=(config.Stage("critic", 400),), checkpoint_every=1000, validate_every=1000
    )
    with pytest.raises(TrainingError, match=r"discriminator has collapsed.*200 images"):
        train(settings, prepared, tmp_path / "run")


def test_misuse_is_refused(prepared, tmp_path):
    run = tmp_path / "run"
    train(cut(TINY, 4), prepared, run)
    with pytest.raises(ConfigError, match="seed was 0, is 7"):
        train(dataclasses.replace(TINY, seed=7), prepared, run)
    with pytest.raises(ConfigError, match="multiple of the 3 devices"):
        train(TINY, prepared, tmp_path / "odd", devices=3)
    with pytest.raises(DataError, match="photochrom prepare"):
        train(TINY, tmp_path / "run" / "samples", tmp_path / "nodata")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear")
    with pytest.raises(ConfigError, match="not empty"):
        train(TINY, prepared, tmp_path / "full")
    (run / "newest.pt").write_bytes(b"half a file")
    with pytest.raises(TrainingError, match=r"cannot read the checkpoint"):
        train(cut(TINY, 4), prepared, run)
