"""Several processes train as one: spawned ones, those of torchrun, and those of SLURM."""

from __future__ import annotations

import csv
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from photochrom.errors import ConfigError
from photochrom.training import launch
from photochrom.training.launch import World, parts_of, world

TABLE = """
generator = "photochrom"
bins_weight = 1.0
adversarial_weight = 0.1
discriminator_width = 4
discriminator_normalization = "none"
r1 = 1.0
pretrained = false
size = 32
batch = 4
log_every = 4
checkpoint_every = 8
validate_every = 16
validation_photographs = 4
sample_every = 1000000

[[stages]]
kind = "generator"
images = 8

[[stages]]
kind = "adversarial"
images = 8
rate = 1e-4
"""
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node")


def variables(**more):
    return {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "TORCHELASTIC_"))} | more


def command(prepared, run, *words):
    table = run.parent / "tiny.toml"
    table.write_text(TABLE)
    return ["-m", "photochrom", "train", str(table), "--data", str(prepared), "-o", str(run), "--accelerator", "cpu", *words]


def train(starter, prepared, run, *words):
    words = [*starter, *command(prepared, run, *words)]
    return subprocess.run(words, capture_output=True, text=True, env=variables(OMP_NUM_THREADS="1"), check=False)


def losses(run):
    with (run / "log.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if k not in ("images_per_second", "seconds")} for row in csv.DictReader(file)]


def assert_close(run, other):
    ours, theirs = losses(run), losses(other)
    assert [row["images_seen"] for row in ours] == [row["images_seen"] for row in theirs]
    for one, two in zip(ours, theirs, strict=True):
        for name, value in two.items():
            if value and name not in ("stage", "accuracy"):  # a share of few patches jumps where scores are close
                assert float(one[name]) == pytest.approx(float(value), rel=1e-3, abs=1e-4), name


def test_torchrun_trains_one_run_as_spawned_processes_do_and_any_number_goes_on_with_it(prepared, tmp_path):
    spawned = train([sys.executable], prepared, tmp_path / "spawned", "--devices", "2")
    assert spawned.returncode == 0, spawned.stderr
    started = train([*TORCHRUN, "2"], prepared, tmp_path / "started", "--set", "stages.1.images=4")
    assert started.returncode == 0, started.stderr
    assert started.stdout.count("12 images in") == started.stderr.count("begins: 12 images") == 1, "the first process speaks"
    assert losses(tmp_path / "started") == losses(tmp_path / "spawned")[:3]
    done = train([sys.executable], prepared, tmp_path / "started", "--set", "stages.1.images=8")
    assert done.returncode == 0, done.stderr
    assert "goes on after 12 of 16 images --set stages.1.images=8" in done.stderr
    assert_close(tmp_path / "started", tmp_path / "spawned")
    refused = train([*TORCHRUN, "2"], prepared, tmp_path / "started", "--set", "seed=3")
    assert refused.returncode == 1
    assert refused.stderr.count("holds a run of another configuration (seed was 0, is 3)") == 1, refused.stderr


def test_processes_with_the_variables_of_srun_train_one_run(prepared, tmp_path):
    """What srun sets, without SLURM itself."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    common = {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_NNODES": "1"}
    common |= {"SLURM_NODEID": "0", "SLURM_NODELIST": "127.0.0.1", "SLURM_JOB_NAME": "train", "MASTER_PORT": port}
    words = [sys.executable, *command(prepared, tmp_path / "run", "--set", "stages.1.images=4")]
    started = []
    for rank in "01":
        environment = variables(**common, SLURM_PROCID=rank, SLURM_LOCALID=rank, OMP_NUM_THREADS="1")
        started.append(subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment))
    said = [process.communicate() for process in started]
    assert [process.returncode for process in started] == [0, 0], said
    assert "12 images in" in said[0][0] and said[1][0] == "", "the first process speaks"
    assert [row["images_seen"] for row in losses(tmp_path / "run")] == ["4", "8", "12"]


def test_a_terminated_run_keeps_a_checkpoint_and_remembers_its_settings(prepared, tmp_path):
    run = tmp_path / "run"
    words = [sys.executable, *command(prepared, run, "--set", "stages.0.images=40000", "--set", "checkpoint_every=1000000")]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=variables(OMP_NUM_THREADS="1"))
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("8/"):
            break
    process.send_signal(signal.SIGTERM)
    said = process.stderr.read()
    assert process.wait() == 143
    seen = int(said.split("terminated after ")[1].split()[0])
    assert "run the same command to go on" in said and losses(run)[-1]["images_seen"] == str(seen)
    done = train([sys.executable], prepared, run, "--set", f"stages.0.images={seen}", "--set", "stages.1.images=4")
    assert done.returncode == 0, done.stderr
    settings = f"--set stages.0.images={seen} --set checkpoint_every=1000000 --set stages.1.images=4"
    assert f"goes on after {seen} of {seen + 4} images {settings}" in done.stderr
    assert (run / "losses.png").stat().st_size > 5000


def test_a_batch_in_parts_teaches_what_it_teaches_at_once(prepared, tmp_path):
    for name, words in (("whole", ()), ("parts", ("--at-once", "1"))):
        done = train([sys.executable], prepared, tmp_path / name, *words)
        assert done.returncode == 0, done.stderr
    assert_close(tmp_path / "parts", tmp_path / "whole")


def test_a_share_is_split_into_equal_parts():
    assert parts_of(32, 1, 0) == 1
    assert parts_of(32, 2, 16) == 1
    assert parts_of(32, 1, 16) == 2
    assert parts_of(12, 2, 4) == 2, "6 crops in parts of 3"
    assert parts_of(7, 1, 2) == 7


@pytest.mark.parametrize(
    ("known", "found"),
    [
        ({}, World(3)),
        ({"TORCHELASTIC_RUN_ID": "a", "WORLD_SIZE": "6", "LOCAL_WORLD_SIZE": "3", "RANK": "4"}, World(3, 2, 4, "torchrun")),
        (
            {"SLURM_STEP_ID": "0", "SLURM_NTASKS": "6", "SLURM_NTASKS_PER_NODE": "3", "SLURM_NNODES": "2", "SLURM_PROCID": "5"},
            World(3, 2, 5, "srun"),
        ),
        ({"SLURM_NTASKS": "6", "SLURM_PROCID": "0"}, World(3)),  # in a batch script, which srun did not start
    ],
)
def test_the_number_of_processes_is_the_starters(monkeypatch, known, found):
    monkeypatch.setattr(os, "environ", variables(**known))
    assert world(3) == found
    assert world(1) == (found if known and found.starter else World(1))


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({"TORCHELASTIC_RUN_ID": "a", "WORLD_SIZE": "6", "LOCAL_WORLD_SIZE": "3", "RANK": "0"}, "devices is 2, but torchrun"),
        ({"TORCHELASTIC_RUN_ID": "a", "WORLD_SIZE": "5", "LOCAL_WORLD_SIZE": "3", "RANK": "0"}, "as many on every machine"),
        ({"SLURM_STEP_ID": "0", "SLURM_NTASKS": "4"}, "give it --ntasks-per-node"),
    ],
)
def test_processes_that_contradict_each_other_are_refused(monkeypatch, known, said):
    monkeypatch.setattr(os, "environ", variables(**known))
    with pytest.raises(ConfigError, match=said):
        world(2)


CHILD = """
import multiprocessing, os, sys, time
from photochrom.training.launch import end_with_parent

def child():
    end_with_parent()
    print(os.getpid(), flush=True)
    time.sleep(60)

if __name__ == "__main__":
    process = multiprocessing.get_context("spawn").Process(target=child)
    process.start()
    process.join()
"""


def test_a_child_does_not_outlive_its_parent(tmp_path):
    path = tmp_path / "parent.py"
    path.write_text(CHILD)
    with subprocess.Popen([sys.executable, str(path)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        os.kill(pid, 0)
        os.kill(parent.pid, signal.SIGKILL)
        assert parent.stdout.read() == ""  # ends when the last process that holds the stream has ended
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
    raise AssertionError("the child trains on")


def test_the_owner_of_the_signal_gets_it_back():
    before = signal.getsignal(signal.SIGTERM)
    with launch.Termination() as termination:
        os.kill(os.getpid(), signal.SIGTERM)
        assert termination.asked
    assert signal.getsignal(signal.SIGTERM) is before
