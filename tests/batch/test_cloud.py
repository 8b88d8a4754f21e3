"""Buckets by the command line: killed at named steps, three parts at once, a second driver, the manifest merged."""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from photochrom.batch import cloud, parts
from photochrom.batch.join import Pair
from photochrom.batch.lease import HOLDS_S, Lease
from photochrom.batch.slices import Job
from photochrom.batch.stores import Folder, Item, opened
from photochrom.colorizer.colorizer import Colorizer, Options
from photochrom.errors import OptionError, OutputError, PhotoError
from tests.support import buckets, models, testdata
from tests.support.buckets import SECRET, Buckets
from tests.support.killed import Running, run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of another kind")

COUNT = 60


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Buckets]:
    monkeypatch.setenv(HOLDS_S, "1")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.onnx").write_bytes(models.content(json.dumps(models.table())))
    with buckets.serving(monkeypatch) as found:
        yield found


@pytest.fixture
def name(server: Buckets) -> str:
    """Give a bucket with photographs."""
    found = f"b{uuid.uuid4().hex[:12]}"
    server.make(found)
    for index in range(COUNT):
        server.put(found, f"in/{index % 5}/{index:02}.png", testdata.file(testdata.grey(16, 24, seed=index), "PNG"))
    return found


def arguments(name: str, *more: str, output: str = "out") -> list[str]:
    return [
        "colorize",
        f"s3://{name}/in",
        "-o",
        f"s3://{name}/{output}",
        "--model",
        "small.onnx",
        "--json",
        "--jobs",
        "2",
        *more,
    ]


def summary(rows: list[dict[str, object]]) -> dict[str, int]:
    found: dict[str, int] = rows[-1]["summary"]  # type: ignore[assignment]
    return {status: found[status] for status in ("colored", "kept", "failed")}


def results(server: Buckets, name: str, folder: str = "out") -> dict[str, bytes]:
    everything = server.read(name)
    return {
        key.removeprefix(f"{folder}/"): data
        for key, data in everything.items()
        if key.startswith(f"{folder}/") and "/.photochrom/" not in key
    }


def versions(server: Buckets, name: str, folder: str = "out") -> dict[str, int]:
    found = server.versions(name)
    return {key: count for key, count in found.items() if key.startswith(f"{folder}/") and "/.photochrom/" not in key}


STEPS = [
    (r"leases/", 1),
    (r"leases/", 2),
    (r"photochrom.put \.photochrom/parts", 1),
    (r"photochrom.put \.photochrom/parts", 2),
    (r"photochrom.put \.photochrom/parts", 3),
    (r"photochrom.put \d/", 1),
    (r"photochrom.put \d/", 3),
    (r"photochrom.put \d/", 7),
    (r"photochrom.put \d/", 20),
    (r"photochrom.delete \.photochrom/leases", 1),
]


def test_killed_at_ten_named_steps(server: Buckets, name: str) -> None:
    """Every result has one version, equal to that of a run in peace, and a line; only slices in flight are done twice."""
    assert run(*arguments(name, output="peace"))[0] == 0
    expected = results(server, name, "peace")
    assert len(expected) == COUNT
    begun = 0
    for pattern, number in STEPS:
        done = run(*arguments(name), pattern=pattern, number=number)
        assert done.code in (-9, 0), done.error
        begun += done.code == -9
        assert all(expected[key] == data for key, data in results(server, name).items())
    assert begun >= 8
    code, rows, _ = run(*arguments(name))
    assert code == 0
    assert summary(rows)["failed"] == 0
    assert results(server, name) == expected
    assert set(versions(server, name).values()) == {1}
    lines = list(parts.records(opened(f"s3://{name}/out")))
    assert sorted(line.output for line in lines) == sorted(expected)
    assert {line.status for line in lines} == {"colored"}
    code, rows, _ = run(*arguments(name))
    assert (code, summary(rows)) == (0, {"colored": 0, "kept": COUNT, "failed": 0})
    assert all(line.written for line in parts.records(opened(f"s3://{name}/out")))


def test_killed_while_it_colors_anew(server: Buckets, name: str) -> None:
    """Where a result of an earlier recipe is to be replaced, a kill leaves no result that is taken for a retouched one."""
    assert run(*arguments(name))[0] == 0
    for pattern, number in ((r"photochrom.put \d/", 1), (r"photochrom.put \d/", 5), (r"photochrom.put \.photochrom/parts", 2)):
        assert run(*arguments(name, "--vividness", "0.5"), pattern=pattern, number=number).code == -9
    code, rows, _ = run(*arguments(name, "--vividness", "0.5"))
    assert (code, summary(rows)["failed"]) == (0, 0)
    assert run(*arguments(name, "--vividness", "0.5", output="fresh"))[0] == 0
    assert results(server, name) == results(server, name, "fresh")
    assert max(versions(server, name).values()) == 2


def test_three_parts_at_once(server: Buckets, name: str) -> None:
    every = [Running(arguments(name, "--part", f"{number}/3")) for number in (1, 2, 3)]
    found = [process.end() for process in every]
    assert [ended.code for ended in found] == [0, 0, 0]
    counts = [summary(ended.rows)["colored"] for ended in found]
    assert sum(counts) == COUNT
    assert all(counts)
    assert set(versions(server, name).values()) == {1}
    assert len(versions(server, name)) == COUNT
    assert summary(run(*arguments(name)).rows) == {"colored": 0, "kept": COUNT, "failed": 0}
    assert run(*arguments(name, output="whole"))[0] == 0
    assert results(server, name) == results(server, name, "whole")


@pytest.mark.usefixtures("server")
def test_parts_of_a_shared_folder(tmp_path: Path) -> None:
    for index in range(20):
        path = tmp_path / f"in/{index % 3}/{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(testdata.file(testdata.grey(16, 24, seed=index), "PNG"))
    command = ["colorize", "in", "-o", "out", "--model", "small.onnx", "--json"]
    found = [run(*command, "--part", f"{number}/2") for number in (1, 2)]
    assert [code for code, _, _ in found] == [0, 0]
    assert sum(summary(rows)["colored"] for _, rows, _ in found) == 20
    assert len(list((tmp_path / "out").rglob("*.png"))) == 20
    assert run("compact", "out")[0] == 0
    assert summary(run(*command, "--part", "1/2")[1])["kept"] == summary(found[0][1])["colored"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.setenv(HOLDS_S, "0.4")
    return Folder(tmp_path)


def test_a_second_driver_is_refused(place: Folder) -> None:
    with Lease(place, "1/1"):
        for share in ("1/1", "1/2"):
            with (
                pytest.raises(OutputError, match=r"another run is at work there \(.*, process \d+, part 1/1\); wait"),
                Lease(place, share),
            ):
                pass
    with Lease(place, "1/2"), Lease(place, "2/2"):
        for share in ("1/1", "1/2", "3/3"):
            with pytest.raises(OutputError, match="another run is at work there"), Lease(place, share):
                pass
    with Lease(place, "1/1"):
        pass


def test_the_lease_of_a_dead_driver_ends(place: Folder) -> None:
    place.put(".photochrom/leases/1-of-1.json", b'{"share": "1/1", "host": "gone", "process": 1}')
    begin = time.monotonic()
    with Lease(place, "1/1") as lease:
        assert time.monotonic() - begin >= 0.4
        time.sleep(0.5)  # several signs of life
        assert not lease.lost.is_set()
        place.put(".photochrom/leases/1-of-1.json", b"somebody else")
        assert lease.lost.wait(5)
    assert place.get(".photochrom/leases/1-of-1.json").data == b"somebody else"


def test_compact_keeps_every_line(place: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "CHUNK", 7)
    settings: dict[str, object] = {"model": "m", "settings": {}}
    expected = {}
    for number in range(9):
        lines = [
            parts.Record(f"{index:03}.jpg", "s", "colored", "r", written=f"{number}") for index in range(number, 90, number + 1)
        ]
        parts.write(place, parts.new_name(), lines, settings)
        expected |= {line.output: line for line in lines}
    wanted = [expected[output] for output in sorted(expected)]
    assert list(parts.records(place)) == wanted
    assert parts.compact(place) == (len(expected), 9)
    assert [item.key.split("/")[1] for item in place.list() if item.key.startswith(parts.FOLDER)] == ["runs"]
    assert list(parts.records(place)) == wanted
    assert parts.compact(place) == (0, 0)
    later = parts.Record("005.jpg", "s", "failed", "r", error="e")
    parts.write(place, parts.new_name(), [later], settings)
    assert [line for line in parts.records(place) if line.output == "005.jpg"] == [later]
    assert parts.compact(place) == (len(expected), 2)
    assert len(list(parts.records(place))) == len(expected)


def test_what_is_done_already_is_not_held_in_memory() -> None:
    job = Job("in", "out", Options(), None, {}, "r", "run")
    known = parts.Record("a.jpg", "in/a.jpg", "colored", "r", read="e", sha256="s", written="w")
    pair = Pair(Item("a.jpg", 1, "e"), "a.jpg", Item("a.jpg", 1, "w"), known)
    fresh = Pair(Item("b.jpg", 1, "e"), "b.jpg")
    todo = cloud._Todo(job, iter([pair] * 1000 + [fresh] * 7 + [pair] * 1000))
    sizes, told = [], 0
    for found in todo.slices(1):
        sizes.append(len(found))
        told += len(todo.settled)
        assert len(todo.settled) <= cloud.TOLD
        todo.settled.clear()
    assert [size for size in sizes if size] == [4, 3]
    assert (told + len(todo.settled), todo.count) == (2000, 2007)


def test_what_is_refused(name: str) -> None:
    for more, text in (
        (["--part", "4/3"], "expected I/N"),
        (["--address", "auto"], "give --engine ray too"),
        (["--jobs", "0"], "jobs is 0: expected 1 to 1024"),
        (["--variants", "2"], "are for one photograph"),
    ):
        code, rows, error = run(*arguments(name)[:7], *more)
        assert (code, rows, error.count("\n")) == (2, [], 1)
        assert text in error
    code, rows, error = run("colorize", f"s3://{name}/in", "in", "-o", "out")
    assert (code, rows) == (2, [])
    code, rows, error = run("colorize", "s3://no-such-bucket-here/in", "-o", f"s3://{name}/x")
    assert (code, rows, error.count("\n")) == (3, [], 1)
    assert "NoSuchBucket" in error
    assert SECRET not in error
    colorizer = Colorizer.load("small.onnx", threads=1)
    with pytest.raises(PhotoError, match=r"no photograph is here; expected names that end in \.jpg"):
        list(cloud.run(colorizer, cloud.Request(f"s3://{name}/none", f"s3://{name}/out")))
    with pytest.raises(OptionError, match="expected 1 to 1024"):
        list(cloud.run(colorizer, cloud.Request(f"s3://{name}/in"), jobs=0))


def test_one_photograph_of_a_bucket_and_results_beside(server: Buckets, name: str) -> None:
    colorizer = Colorizer.load("small.onnx", threads=1)
    one = cloud.Request(f"s3://{name}/in/0/05.png", f"s3://{name}/one")
    assert [outcome.output for outcome in cloud.run(colorizer, one)] == [f"s3://{name}/one/05.png"]
    for status in ("colored", "kept"):
        found = Counter(outcome.status for outcome in cloud.run(colorizer, cloud.Request(f"s3://{name}/in/0")))
        assert found == {status: COUNT // 5}
    assert "in/0/05.color.png" in server.versions(name)
