"""Kill a run, interrupt it, fill its disk: what is finished stays, and the next run does the rest."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photochrom.batch import run
from photochrom.batch.manifest import NAME
from photochrom.colorizer.colorizer import Colorizer
from photochrom.errors import OutputError
from photochrom.files import DRAFT, drafted, sweep
from tests.support import testdata

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of another kind")

JOBS = 2
COMMAND = [sys.executable, "-m", "photochrom", "colorize"]


def color_all(folder: str, kill_at: int | None = None) -> None:
    """Color ``in`` into ``out`` in a process of its own, which may kill itself at one of its steps on the disk."""
    os.chdir(folder)
    colorizer = Colorizer.load("small.onnx", threads=1)
    steps = 0

    def step(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal steps
        if event in ("open", "os.link", "os.rename", "os.remove", "os.mkdir", "fcntl.flock") and "out" in str(arguments[0]):
            steps += 1
            if steps == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    if kill_at is not None:
        sys.addaudithook(step)
    Path("ready").touch()
    for outcome in run.run(colorizer, run.plan([Path("in")], Path("out")), jobs=JOBS):
        assert outcome.status in ("colored", "kept"), outcome.error


@pytest.fixture(scope="module")
def context() -> ForkServerContext:
    """Start processes from one that has the libraries in memory already."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(["photochrom.batch.run", "onnxruntime", "pytest", "PIL.ImageCms"])
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with a network of three operators, which loads at once."""
    from tests.support import models

    (tmp_path / "small.onnx").write_bytes(models.content(json.dumps(models.table())))
    return tmp_path


def start(context: ForkServerContext, folder: Path, kill_at: int | None = None) -> BaseProcess:
    (folder / "ready").unlink(missing_ok=True)
    process = context.Process(target=color_all, args=(str(folder), kill_at))
    process.start()
    return process


def photographs(folder: Path, count: int) -> None:
    for index in range(count):
        path = folder / "in" / ("deep" if index % 3 else "") / f"{index:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(testdata.file(testdata.grey(24, 32, seed=index), "PNG"))


def results(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.png")}


def strays(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and path.suffix != ".png" and path.name != NAME]


def colorings(folder: Path) -> Counter[str]:
    """Count how often each photograph was colored, as the manifest says."""
    lines = map(json.loads, (folder / NAME).read_text("ascii").splitlines())
    return Counter(line["output"] for line in lines if line.get("status") == "colored")


def identities(folder: Path) -> dict[str, tuple[int, int]]:
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.rglob("*.png")}


def begun(context: ForkServerContext, folder: Path) -> BaseProcess:
    """Start a process, and wait until it begins to color."""
    process = start(context, folder)
    while not (folder / "ready").exists() and process.is_alive():
        time.sleep(0.001)
    return process


def test_killed_at_twenty_random_moments(folder: Path, context: ForkServerContext) -> None:
    photographs(folder, 40)
    whole = begun(context, folder)
    begin = time.monotonic()
    whole.join(60)
    took = time.monotonic() - begin
    assert whole.exitcode == 0
    expected = results(folder / "out")
    assert len(expected) == 40
    shutil.rmtree(folder / "out")

    rng = random.Random(0)
    finished: dict[str, tuple[int, int]] = {}
    killed = 0
    for _ in range(20):
        process = begun(context, folder)
        time.sleep(rng.uniform(0, took / 8))
        process.kill()
        process.join(60)
        killed += process.exitcode == -signal.SIGKILL
        for name, content in results(folder / "out").items():
            assert content == expected[name], f"{name} is no whole result"
        now = identities(folder / "out")
        assert finished.items() <= now.items(), "a result that was there was done again"
        finished = now
    last = start(context, folder)
    last.join(60)
    assert last.exitcode == 0
    assert killed > 0
    assert results(folder / "out") == expected
    assert finished.items() <= identities(folder / "out").items()
    assert strays(folder / "out") == []
    again = sum(count - 1 for count in colorings(folder / "out").values())
    assert again <= JOBS * killed
    print(f"{killed} of 20 runs were killed amid work; 40 results, all whole, {again} of them colored once more")


def test_killed_at_every_step_on_the_disk(folder: Path, context: ForkServerContext, monkeypatch: pytest.MonkeyPatch) -> None:
    photographs(folder, 1)
    monkeypatch.chdir(folder)
    colorizer = Colorizer.load("small.onnx", threads=1)
    kill_at, code = 0, -signal.SIGKILL
    while code:
        kill_at += 1
        shutil.rmtree("out", ignore_errors=True)
        process = start(context, folder, kill_at)
        process.join(60)
        code = process.exitcode or 0
        assert code in (0, -signal.SIGKILL)
        before = identities(Path("out"))
        (outcome,) = run.run(colorizer, run.plan([Path("in")], Path("out")))
        assert outcome.status == ("kept" if before else "colored"), f"step {kill_at}"
        assert before.items() <= identities(Path("out")).items()
        assert list(results(Path("out"))) == ["00.png"]
        assert strays(Path("out")) == [], f"step {kill_at}"
    assert kill_at > 6


def test_a_draft_in_use_is_not_swept_away(tmp_path: Path) -> None:
    with drafted(tmp_path / "a.png") as draft:
        draft.write_bytes(b"half")
        left = tmp_path / f".photochrom-1-{'0' * 16}.part"
        left.write_bytes(b"left by a killed run")
        other = tmp_path / ".photochrom-1.part"
        other.write_bytes(b"of another kind")
        assert DRAFT.fullmatch(draft.name)
        sweep(tmp_path)
        assert sorted(tmp_path.iterdir()) == sorted([draft, other])
    assert (tmp_path / "a.png").read_bytes() == b"half"


def test_a_run_that_is_broken_off_writes_nothing_more(folder: Path) -> None:
    photographs(folder, 60)
    colorizer = Colorizer.load(folder / "small.onnx", threads=1)
    with closing(run.run(colorizer, run.plan([folder / "in"], folder / "out"), jobs=4)) as outcomes:
        next(outcomes)
    there = results(folder / "out")
    assert 1 <= len(there) < 60
    assert strays(folder / "out") == []
    assert colorings(folder / "out") == dict.fromkeys(there, 1)
    time.sleep(0.1)
    assert results(folder / "out") == there


@pytest.mark.parametrize(("number", "code", "said"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")])
def test_a_signal_ends_it_within_a_large_photograph(tmp_path: Path, number: int, code: int, said: str) -> None:
    (tmp_path / "in").mkdir()
    # Noise takes a PNG encoder many seconds; the small photograph, which comes first, says that the work is on its way.
    noise = np.random.default_rng(0).integers(0, 256, (3000, 4000), np.uint8)
    Image.fromarray(noise).save(tmp_path / "in/b.png", compress_level=0)
    (tmp_path / "in/a.png").write_bytes(testdata.file(testdata.grey(24, 32), "PNG"))
    left, _, error, took = testdata.broken_off(tmp_path, number, jobs=2)
    assert took < 3
    assert (left, error) == (code, f"photochrom: {said}; what was finished is kept\n")
    assert list(results(tmp_path / "out")) == ["a.png"]
    assert strays(tmp_path / "out") == []
    assert colorings(tmp_path / "out") == {"a.png": 1}


def test_a_full_disk_is_survived(tmp_path: Path, small_disk: Path) -> None:
    photographs(tmp_path, 9)
    big = tmp_path / "in/big.png"
    big.write_bytes(testdata.file(testdata.grey(300, 300), "PNG"))
    colorizer = Colorizer.load(threads=1)
    outcomes = list(run.run(colorizer, run.plan([tmp_path / "in"], small_disk), jobs=JOBS))
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    assert str(big) in [outcome.source for outcome in failed]
    assert all(outcome.error and "(No space left on device)" in outcome.error for outcome in failed)
    there = results(small_disk)
    assert len(there) == 10 - len(failed) > 0
    assert strays(small_disk) == []
    for name in there:
        with Image.open(small_disk / name) as image:
            image.load()
    before = identities(small_disk)
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    again = Counter(outcome.status for outcome in run.run(colorizer, run.plan([tmp_path / "in"], small_disk), jobs=JOBS))
    assert again == {"kept": len(there), "colored": len(failed)}
    assert before.items() <= identities(small_disk).items()


def test_files_that_may_not_grow_are_survived(tmp_path: Path) -> None:
    """What a full disk does where no small one can be mounted: the system refuses to write past a number of bytes."""
    import resource  # here, since Windows has none

    photographs(tmp_path, 4)
    (tmp_path / "in/big.png").write_bytes(testdata.file(testdata.grey(300, 300), "PNG"))

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))

    command = [*COMMAND, "in", "-o", "out", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, preexec_fn=limited)
    assert done.returncode == 1
    (failed,) = (line for line in map(json.loads, done.stdout.splitlines()) if line.get("status") == "failed")
    assert failed["source"] == "in/big.png"
    assert "cannot be written (File too large); choose another place" in failed["reason"]
    assert len(results(tmp_path / "out")) == 4
    assert strays(tmp_path / "out") == []
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert Counter(json.loads(line)["status"] for line in again.stdout.splitlines()[:-1]) == {"kept": 4, "colored": 1}


def test_a_writer_that_meets_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left on device"), drafted(tmp_path / "a.png") as draft:
        draft.write_bytes(b"half")
    assert list(tmp_path.iterdir()) == []
