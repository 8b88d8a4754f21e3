"""What a folder's manifest remembers, and what it does when it is torn, locked, full or read-only."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import FileIO
from pathlib import Path

import pytest

from photochrom import files
from photochrom.batch import manifest
from photochrom.batch import run as batch
from photochrom.batch.manifest import NAME, Manifest, Record
from photochrom.colorizer import file as api
from photochrom.colorizer.colorizer import Colorizer, Options
from photochrom.errors import OutputError, PhotoError
from photochrom.files import Stamp
from tests.support import testdata

SETTINGS: dict[str, object] = {"model": "m", "settings": {"vividness": 1.0}}
Run = Callable[..., dict[str, batch.Status]]


def record(name: str, status: str = "colored", **fields: object) -> Record:
    return Record(name, f"../in/{name}", status, "r", **fields)  # type: ignore[arg-type]


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / NAME).read_text("ascii").splitlines()]


def statuses(folder: Path, name: str) -> list[object]:
    """Give what was recorded of a photograph, in order."""
    return [line["status"] for line in lines(folder) if line.get("output") == name]


def filled(folder: Path, *records: Record) -> None:
    book = Manifest(folder)
    for one in records:
        book.add(one, SETTINGS)
    book.close()


def test_what_is_added_is_found_by_the_next_run(tmp_path: Path) -> None:
    stamp = Stamp(3, 10**18 + 7, "ab")
    records = [record("deep/b.jpg", read=stamp, written=stamp), record("a.jpg", "failed", error="no"), record("not-\udcff.jpg")]
    filled(tmp_path / "out", *records, record("a.jpg", judgement="grey"))
    book = Manifest(tmp_path / "out")
    assert book.find("deep/b.jpg") == records[0]
    assert book.find("not-\udcff.jpg") == records[2]
    assert book.find("a.jpg") == record("a.jpg", judgement="grey")  # the last line counts
    assert book.find("b.jpg") is None
    book.close()
    assert lines(tmp_path / "out")[0] == {"recipe": "r", **SETTINGS}
    assert sum("settings" in line for line in lines(tmp_path / "out")) == 1


def test_nothing_is_made_before_the_first_line(tmp_path: Path) -> None:
    book = Manifest(tmp_path / "out")
    assert book.find("a.jpg") is None
    book.close()
    assert list(tmp_path.iterdir()) == []


def test_names_of_one_hash_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "hash", lambda _: -7, raising=False)
    filled(tmp_path, record("a.jpg"), record("b.jpg", "skipped"), record("c.jpg"))
    book = Manifest(tmp_path)
    assert [found and found.status for found in map(book.find, ("a.jpg", "b.jpg", "d.jpg"))] == ["colored", "skipped", None]
    book.close()


@pytest.mark.parametrize("torn", [b'{"output": "c.jpg", "sou', b'{"output": "c.jpg"}', b"\x00\xff"])
def test_a_torn_last_line_is_taken_off(tmp_path: Path, torn: bytes) -> None:
    filled(tmp_path, record("a.jpg"))
    whole = (tmp_path / NAME).read_bytes()
    (tmp_path / NAME).write_bytes(whole + torn)
    filled(tmp_path, record("b.jpg"))
    assert (tmp_path / NAME).read_bytes().startswith(whole + b'{"output": "b.jpg"')
    assert [line.get("output") for line in lines(tmp_path)] == [None, "a.jpg", "b.jpg"]


@pytest.mark.parametrize(
    "damaged", [b"\xff\xfe\n", b"[1]\n", b'{"output": 3}\n', b'{"output": "a.jpg"}\n', b"\n", b"x" * 9000 + b"\n"]
)
def test_a_damaged_line_counts_as_never_written(tmp_path: Path, damaged: bytes) -> None:
    filled(tmp_path, record("a.jpg"))
    with (tmp_path / NAME).open("ab") as file:
        file.write(damaged)
    filled(tmp_path, record("b.jpg"))
    book = Manifest(tmp_path)
    assert book.find("b.jpg") == record("b.jpg")
    assert book.find("a.jpg") == record("a.jpg")
    book.close()


def test_long_names(tmp_path: Path) -> None:
    name = "/".join(["\N{CLAPPER BOARD}" * 60] * 15)
    filled(tmp_path, record(name), record("b.jpg"))
    book = Manifest(tmp_path)
    assert book.find(name) == record(name)
    book.close()


@pytest.mark.skipif(sys.platform == "win32", reason="no locks there")
def test_two_runs_at_a_time_are_refused(tmp_path: Path) -> None:
    first, second = Manifest(tmp_path), Manifest(tmp_path)
    first.add(record("a.jpg"), SETTINGS)
    for act in (lambda: Manifest(tmp_path), lambda: second.add(record("b.jpg"), SETTINGS)):
        with pytest.raises(OutputError, match="another run is at work there; wait until it has ended"):
            act()
    first.close()
    Manifest(tmp_path).close()


def test_a_full_disk_leaves_the_manifest_as_it_was(tmp_path: Path) -> None:
    class Full(FileIO):
        def write(self, data: bytes) -> int:  # type: ignore[override]
            super().write(data[:20])
            raise OSError(28, "No space left on device")

    book = Manifest(tmp_path)
    book.add(record("a.jpg"), SETTINGS)
    before = (tmp_path / NAME).read_bytes()
    assert book._file
    good, book._file = book._file, Full(tmp_path / NAME, "r+b")
    with pytest.raises(OutputError, match=r"photochrom\.jsonl: cannot be written \(No space left on device\)"):
        book.add(record("b.jpg"), SETTINGS)
    assert (tmp_path / NAME).read_bytes() == before
    book._file = good
    book.add(record("c.jpg"), SETTINGS)
    assert [line.get("output") for line in lines(tmp_path)] == [None, "a.jpg", "c.jpg"]
    book.close()
    with pytest.raises(ValueError, match="closed"):
        book.add(record("d.jpg"), SETTINGS)


def test_a_manifest_that_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    with pytest.raises(OutputError, match=r"cannot be read \(Is a directory\); check its permissions"):
        Manifest(tmp_path)


def test_a_stamp_hashes_only_what_may_have_changed(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    first = files.stamp(path)
    assert first.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    times = path.stat()
    path.write_bytes(b"abd")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert files.stamp(path, known=first) is first
    assert files.stamp(path, known=first, verify=True).sha256 != first.sha256
    os.utime(path, ns=(0, 5))
    assert files.stamp(path, known=first).mtime_ns == 5
    for bad, reason in ((tmp_path, "is a folder"), (tmp_path / "none", "No such file"), (Path("/dev/null"), "neither a file")):
        with pytest.raises(PhotoError, match=reason):
            files.stamp(bad)


# From here on: what a run makes of its manifest.


@pytest.fixture(scope="module")
def colorizer() -> Colorizer:
    return Colorizer.load(threads=1)


@pytest.fixture
def run(tmp_path: Path, colorizer: Colorizer, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Color ``in`` into ``out``; gives the status of each photograph."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b", "deep/c"):
        put(f"in/{name}.png", seed=ord(name[-1]))

    def call(options: Options | None = None, *, output: Path | None = Path("out"), **how: bool) -> dict[str, batch.Status]:
        outcomes = batch.run(Colorizer(colorizer.model, options or Options()), batch.plan([Path("in")], output), jobs=2, **how)
        return {Path(outcome.source).stem: outcome.status for outcome in outcomes}

    return call


def put(name: str, *, seed: int, color: bool = False) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(testdata.file((testdata.scene if color else testdata.grey)(24, 32, seed=seed), "PNG"))
    return path


def test_what_is_done_is_not_done_again(run: Run) -> None:
    put("in/x.png", seed=0, color=True)
    colored: dict[str, str] = dict.fromkeys(("a", "b", "c"), "colored") | {"x": "skipped"}
    kept: dict[str, str] = dict.fromkeys(("a", "b", "c"), "kept") | {"x": "skipped"}
    assert run() == colored
    before = Path("out", NAME).read_bytes()
    assert run() == kept
    assert run(overwrite=True) == kept
    assert run(verify=True) == kept
    assert Path("out", NAME).read_bytes() == before


def test_what_changed_is_done_again(run: Run) -> None:
    run()
    put("in/a.png", seed=77)
    Path("out/b.png").unlink()
    whole = {"a": "colored", "b": "colored", "c": "colored"}
    assert run() == whole | {"c": "kept"}
    assert run() == dict.fromkeys(whole, "kept")
    assert run(Options(vividness=0.5)) == whole
    assert run(Options(vividness=0.5, max_pixels=10**6)) == dict.fromkeys(whole, "kept")
    assert len({line["recipe"] for line in lines(Path("out"))}) == 2


def test_files_that_were_only_touched_are_kept(run: Run) -> None:
    run()
    for path in (Path("in/a.png"), Path("out/b.png")):
        os.utime(path, ns=(1, 1))
    assert set(run().values()) == {"kept"}
    size = Path("out", NAME).stat().st_size
    assert set(run().values()) == {"kept"}
    assert Path("out", NAME).stat().st_size == size  # their new times were recorded


def test_bits_that_changed_in_silence_are_found_by_verifying(run: Run) -> None:
    run()
    path = Path("out/a.png")
    times, content = path.stat(), bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert run()["a"] == "kept"
    assert run(verify=True) == {"a": "failed", "b": "kept", "c": "kept"}
    assert run(verify=True, overwrite=True) == {"a": "colored", "b": "kept", "c": "kept"}


def test_a_retouched_result_is_never_replaced_unasked(run: Run) -> None:
    run()
    Path("out/a.png").write_bytes(b"retouched")
    for options in (None, Options(vividness=0.5)):
        assert run(options)["a"] == "failed"
        assert Path("out/a.png").read_bytes() == b"retouched"
    assert "retouched" in next(line["error"] for line in reversed(lines(Path("out"))) if line.get("output") == "a.png")
    assert run(Options(vividness=0.5), overwrite=True)["a"] == "colored"


def test_what_failed_is_tried_again(run: Run) -> None:
    good = Path("in/a.png").read_bytes()
    Path("in/a.png").write_bytes(good[:-40])
    assert run()["a"] == "failed"
    assert run() == {"a": "failed", "b": "kept", "c": "kept"}
    assert statuses(Path("out"), "a.png") == ["failed"]  # said once
    Path("in/a.png").write_bytes(good)
    assert run() == {"a": "colored", "b": "kept", "c": "kept"}
    # Its result is known through a failure in between.
    Path("in/a.png").write_bytes(good[:-40])
    assert run()["a"] == "failed"
    put("in/a.png", seed=5)
    assert run()["a"] == "colored"


def test_a_file_that_is_in_the_way_is_no_result(run: Run) -> None:
    Path("out").mkdir()
    Path("out/a.png").write_bytes(b"precious")
    for _ in range(2):
        assert run()["a"] == "failed"
    assert Path("out/a.png").read_bytes() == b"precious"
    assert run(overwrite=True)["a"] == "colored"
    assert run()["a"] == "kept"


def test_the_results_of_another_folder_are_not_replaced(run: Run, colorizer: Colorizer) -> None:
    run()
    before = Path("out/a.png").read_bytes()
    put("other/a.png", seed=99)
    (outcome,) = batch.run(colorizer, batch.plan([Path("other")], Path("out")))
    assert outcome.error
    assert outcome.error.startswith("other/a.png: out/a.png: is the result of in/a.png; color them into two folders")
    assert Path("out/a.png").read_bytes() == before
    # The same photographs in another place are the same.
    Path("in").rename("moved")
    assert {one.status for one in batch.run(colorizer, batch.plan([Path("moved")], Path("out")))} == {"kept"}


def test_results_beside_their_sources_are_remembered_in_the_folder_named(run: Run) -> None:
    assert set(run(output=None).values()) == {"colored"}
    assert Path("in", NAME).exists()
    assert {line.get("output") for line in lines(Path("in"))[1:]} == {"a.color.png", "b.color.png", "deep/c.color.png"}
    assert set(run(output=None).values()) == {"kept"}


def test_photographs_named_one_by_one_leave_no_manifest(tmp_path: Path, colorizer: Colorizer) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(testdata.file(testdata.grey(24, 32), "PNG"))
    assert [outcome.status for outcome in batch.run(colorizer, batch.plan([path]))] == ["colored"]
    assert sorted(found.name for found in tmp_path.iterdir()) == ["a.color.png", "a.png"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda path: path.write_bytes(path.read_bytes() + b"more"), "changed while it was read; run again"),
        (lambda path: path.unlink(), "vanished while it was read (No such file or directory)"),
    ],
)
@pytest.mark.usefixtures("run")
def test_a_photograph_that_changes_while_it_is_read(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object], reason: str, colorizer: Colorizer
) -> None:
    colorize = Colorizer.colorize

    def meddle(self: Colorizer, photo: object) -> object:
        change(Path("in/a.png"))
        return colorize(self, photo)  # type: ignore[arg-type]

    monkeypatch.setattr(Colorizer, "colorize", meddle)
    (outcome,) = batch.run(colorizer, batch.plan([Path("in/a.png")], Path("out")))
    assert (outcome.status, outcome.error and reason in outcome.error) == ("failed", True)
    assert not Path("out/a.png").exists()


@pytest.mark.usefixtures("run")
def test_a_photograph_that_vanishes_between_listing_and_reading(colorizer: Colorizer) -> None:
    tasks = list(batch.plan([Path("in")], Path("out")))
    Path("in/a.png").unlink()
    first, *others = batch.run(colorizer, tasks)
    assert first.error == "in/a.png: cannot be read (No such file or directory); check the path and its permissions"
    assert {other.status for other in others} == {"colored"}


def test_a_read_only_output(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run()
    opened = Path.open

    def closed(self: Path, mode: str = "r", *rest: object, **more: object) -> object:
        if "out" in self.parts and set(mode) & set("+xwa"):
            raise PermissionError(13, "Permission denied", str(self))
        return opened(self, mode, *rest, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", closed)
    assert set(run().values()) == {"kept"}
    put_back = Path("in/a.png").read_bytes()
    monkeypatch.setattr(Path, "open", opened)
    put("in/a.png", seed=3)
    assert Path("in/a.png").read_bytes() != put_back
    monkeypatch.setattr(Path, "open", closed)
    assert run() == {"a": "failed", "b": "kept", "c": "kept"}


@pytest.mark.usefixtures("run")
def test_one_job_and_four_give_the_same_bytes(colorizer: Colorizer) -> None:
    for index in range(12):
        put(f"in/{index}.png", seed=index)
    for jobs in (1, 4):
        assert {
            outcome.status for outcome in batch.run(colorizer, batch.plan([Path("in")], Path(f"out{jobs}")), jobs=jobs)
        } == {"colored"}
    results = [{path.name: path.read_bytes() for path in Path(f"out{jobs}").rglob("*.png")} for jobs in (1, 4)]
    assert len(results[0]) == 15
    assert results[0] == results[1]


def test_threads_write_the_settings_once(tmp_path: Path) -> None:
    for number in range(20):
        folder = tmp_path / str(number)
        folder.mkdir()
        made = Manifest(folder)
        with ThreadPoolExecutor(8) as pool:
            for name in "abcdefgh":
                pool.submit(made.add, record(name), SETTINGS, sync=False)
        made.close()
        assert ["output" in line for line in lines(folder)] == [False] + [True] * 8


def test_a_result_states_the_hash_of_what_was_read(tmp_path: Path, colorizer: Colorizer) -> None:
    """Also of a photograph that the manifest knows by a size and time that another one has now."""
    source, output = tmp_path / "in/a.jpg", tmp_path / "out"
    source.parent.mkdir()
    for last in b"12":
        source.write_bytes(testdata.file(testdata.grey(40, 60), "JPEG") + bytes([last]))
        os.utime(source, ns=(10**18, 10**18))
        (outcome,) = batch.run(colorizer, batch.plan([source.parent], output))
        assert outcome.status == "colored"
        assert api.recorded(output / "a.jpg").source_sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
        (output / "a.jpg").unlink()
