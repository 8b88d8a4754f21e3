"""What lies in people's folders and how they call the command: other kinds of files, thumbnails, patterns, odd streams."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import testdata

COMMAND = [sys.executable, "-m", "photochrom", "colorize"]
PHOTO = testdata.file(testdata.grey(24, 32), "JPEG")


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def put(*names: str, content: bytes = PHOTO) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(content)


def colorize(*arguments: str, **how: Any) -> tuple[int, list[str], list[str]]:
    """Run the command; returns its exit code and the lines of its two streams."""
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=60, **how)
    return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()


def closing(*descriptors: int) -> dict[str, Any]:
    """Return the arguments of a process that begins with these standard streams closed."""

    def close() -> None:
        for number in descriptors:
            os.close(number)

    return {"preexec_fn": close}


def test_other_kinds_and_thumbnails_are_counted_and_named_once() -> None:
    put("in/a.jpg", "in/deep/b.jpg", "in/@eaDir/a.jpg/THUMB.jpg", "in/deep/@eaDir/b.jpg/THUMB.jpg", "in/.thumbnails/c.jpg")
    put("in/c.cr2", "in/d.dng", "in/deep/e.DNG", "in/f.psd", "in/g.jxl", "in/NOTES", content=b"other")
    kinds = "left out: 6 files of other kinds (2 .dng, 1 "
    code, out, err = colorize("in", "-o", "out", "--jobs", "1")
    assert (code, out) == (0, ["in/a.jpg -> out/a.jpg", "in/deep/b.jpg -> out/deep/b.jpg"])
    (line,) = err
    assert line.startswith(f"photochrom: {kinds}")
    assert all(line.count(f"1 {ending}") == 1 for ending in (".cr2", ".psd", ".jxl", "without an ending"))
    assert line.endswith("; 3 folders of thumbnails (.thumbnails, @eaDir)")
    assert colorize("in", "-o", "out", "--quiet") == (0, [], [])
    *_, last = map(json.loads, colorize("in", "-o", "out", "--json")[1])
    assert last["summary"]["left_out_files"] == {".dng": 2, ".cr2": 1, ".psd": 1, ".jxl": 1, "": 1}
    assert last["summary"]["left_out_folders"] == {"@eaDir": 2, ".thumbnails": 1}
    assert (last["summary"]["photographs"], last["summary"]["kept"]) == (2, 2)


def test_a_folder_of_other_kinds_only_says_what_is_there() -> None:
    put("in/d.dng", "in/e.dng", content=b"other")
    code, out, err = colorize("in")
    assert (code, out, len(err)) == (3, [], 1)
    assert err[0].startswith("photochrom: in: no photograph is here; expected files named .jpg, ")
    assert err[0].endswith("; left out: 2 files of other kinds (2 .dng)")


def test_results_are_not_counted_as_other_kinds() -> None:
    put("in/a.jpg")
    assert colorize("in")[0] == 0
    assert colorize("in") == (0, ["in/a.jpg -> in/a.color.jpg (kept, it is up to date)"], [])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--include", "*.JPG"], ["a.jpg", "drafts/b.jpg", "old/deep/d.jpg"]),
        (["--include", "old/*"], ["old/c.tif", "old/deep/d.jpg"]),
        (["--include", "a.*", "--include", "*.tif"], ["a.jpg", "old/c.tif"]),
        (["--exclude", "drafts"], ["a.jpg", "old/c.tif", "old/deep/d.jpg"]),
        (["--exclude", "old/deep/*", "--exclude", "*.tif"], ["a.jpg", "drafts/b.jpg"]),
        (["--include", "*.jpg", "--exclude", "d*"], ["a.jpg"]),
    ],
)
def test_patterns(options: list[str], expected: list[str]) -> None:
    put("in/a.jpg", "in/drafts/b.jpg", "in/old/c.tif", "in/old/deep/d.jpg")
    assert colorize("in", "-o", "out", *options)[0] == 0
    made = sorted(path.relative_to("out").as_posix() for path in Path("out").rglob("*.*") if path.suffix in (".jpg", ".tif"))
    assert made == expected


def test_patterns_that_leave_nothing() -> None:
    put("in/a.jpg")
    code, _, (line,) = colorize("in", "--include", "*.tif")
    assert (code, "that --include and --exclude leave" in line) == (3, True)


def test_exit_codes_tell_some_from_all() -> None:
    put("in/a.jpg", "in/b.jpg")
    assert colorize("in", "-o", "out")[0] == 0
    put("in/b.jpg", content=b"")
    assert colorize("in", "-o", "out")[0] == 1
    put("in/a.jpg", content=b"")
    assert colorize("in", "-o", "out")[0] == 3
    assert colorize("none.jpg")[0] == 3
    assert colorize("in", "--wrong")[0] == 2


def test_what_follows_two_hyphens_is_no_option() -> None:
    put("-a.jpg", "--jobs")
    assert colorize("-o", "x.jpg", "--", "-a.jpg") == (0, ["-a.jpg -> x.jpg"], [])
    code, out, err = colorize("--format", "png", "--", "-a.jpg", "--jobs")
    assert (code, sorted(out), err) == (0, ["--jobs -> --jobs.color.png", "-a.jpg -> -a.color.png"], [])


def test_a_photograph_goes_to_standard_output() -> None:
    put("a.jpg", "b.jpg", "in/c.jpg")
    done = subprocess.run([*COMMAND, "a.jpg", "-o", "-", "--format", "png"], capture_output=True)
    assert (done.returncode, done.stderr, testdata.opened(done.stdout).format) == (0, b"", "PNG")
    assert sorted(path.name for path in Path().iterdir()) == ["a.jpg", "b.jpg", "in"]
    for arguments in (["a.jpg", "b.jpg"], ["in"], ["a.jpg", "--json"]):
        code, out, err = colorize(*arguments, "-o", "-")
        assert (code, out, len(err)) == (2, [], 1)
        assert "standard output" in err[0]


@pytest.mark.skipif(sys.platform == "win32", reason="streams of another kind")
def test_closed_standard_streams() -> None:
    put("a.jpg")
    for number, streams in enumerate(((0,), (1,), (2,), (0, 1, 2))):
        done = subprocess.run([*COMMAND, "a.jpg", "-o", f"{number}.jpg"], capture_output=True, **closing(*streams))
        assert (done.returncode, done.stderr) == (0, b"")
    made = {Path(f"{number}.jpg").read_bytes() for number in range(4)}
    assert len(made) == 1
    assert testdata.opened(made.pop()).size == (32, 24)
    put("bad.jpg", content=b"")
    assert colorize("bad.jpg", **closing(0, 1, 2))[0] == 3
    assert colorize("-", "-o", "x.jpg", **closing(0)) == (
        2,
        [],
        ["photochrom: standard input is closed: name a file, or pipe a photograph in"],
    )
    code, _, err = colorize("a.jpg", "-o", "-", **closing(1))
    assert (code, len(err)) == (2, 1)
    assert "standard output, which is closed" in err[0]


def test_too_many_jobs() -> None:
    put("in/a.jpg")
    expected = "photochrom: jobs is 99999: expected 1 to 1024; more than the processors gain nothing"
    assert colorize("in", "--jobs", "99999") == (2, [], [expected])
    assert not Path("in/a.color.jpg").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of another kind")
def test_a_named_pipe_does_not_hang() -> None:
    put("a.jpg", "in/b.jpg")
    for name in ("pipe.jpg", "in/pipe.jpg"):
        os.mkfifo(name)
    said = "pipe.jpg: is a named pipe; read it as standard input (photochrom colorize - -o FILE < PIPE)"
    assert colorize("pipe.jpg") == (3, [], [f"photochrom: {said}"])
    put("x.jpg")
    assert colorize("pipe.jpg", "-o", "x.jpg")[0] == 3
    code, out, err = colorize("in", "-o", "out")
    assert (code, out, err[0]) == (1, ["in/b.jpg -> out/b.jpg"], f"photochrom: in/{said}")
    code, out, err = colorize("a.jpg", "-o", "pipe.jpg")
    assert (code, out) == (3, [])
    assert "pipe.jpg: exists already" in err[0]
