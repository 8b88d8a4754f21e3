"""What a disk has in store, for real and by the command line: what is closed, gone, in a circle or strangely named.

Each costs a line and an exit code, and no other photograph; the next run does the rest. What a full disk does is in
``test_kill.py``.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import photochrom
from tests.support import testdata

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="files of another kind")

PYTHON = [sys.executable, "-B", "-m", "photochrom"]
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(photochrom.__file__).parents[1]), "OMP_NUM_THREADS": "1"}


def put(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(testdata.file(testdata.grey(24, 32, seed=len(name)), "JPEG"))


def results(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg"))


def run(folder: Path, *arguments: str, **how: Any) -> tuple[int, list[str], list[str]]:
    """Run a command in a folder; gives its exit code and the lines of its two streams."""
    done = subprocess.run(
        [*PYTHON, *arguments], cwd=folder, env=ENVIRONMENT, capture_output=True, check=False, timeout=60, **how
    )
    return done.returncode, os.fsdecode(done.stdout).splitlines(), os.fsdecode(done.stderr).splitlines()


def drop_privileges() -> None:
    """Let root read and write what its permissions allow and no more, from the next program on (capabilities(7))."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        if prctl(PR_CAPBSET_DROP, capability, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")


@pytest.fixture
def plain(tmp_path: Path) -> dict[str, Any]:
    """Give the arguments of a process to which a closed file is closed, which it is not to root's as they are."""
    how: dict[str, Any] = {} if os.getuid() else {"preexec_fn": drop_privileges}
    shut = tmp_path / "shut"
    shut.touch(0)
    try:
        done = subprocess.run([sys.executable, "-c", f"open({str(shut)!r})"], capture_output=True, check=False, **how)
    except subprocess.SubprocessError:
        pytest.skip("root's privileges cannot be dropped here: run the tests as a user")
    assert b"PermissionError" in done.stderr
    shut.unlink()
    return how


def test_closed_folders_and_files(tmp_path: Path, plain: dict[str, Any]) -> None:
    put(tmp_path, "in/a.jpg", "in/closed/b.jpg", "in/c.jpg", "in/deep/d.jpg", "in/deep/shut/e.jpg")
    closed = [tmp_path / name for name in ("in/c.jpg", "in/closed", "in/deep/shut")]
    for path in closed:
        path.chmod(0)
    code, out, err = run(tmp_path, "colorize", "in", "-o", "out", "--jobs", "1", **plain)
    assert (code, out) == (1, ["in/a.jpg -> out/a.jpg", "in/deep/d.jpg -> out/deep/d.jpg"])
    assert err[:3] == [
        "photochrom: in/c.jpg: cannot be read (Permission denied); check the path and its permissions",
        "photochrom: in/closed: cannot be listed (Permission denied); check its permissions",
        "photochrom: in/deep/shut: cannot be listed (Permission denied); check its permissions",
    ]
    assert err[3].startswith("5 photographs in ")
    assert err[4:6] == ["  2  colored", "  3  failed"]
    assert results(tmp_path / "out") == ["a.jpg", "deep/d.jpg"]
    for path in closed:
        path.chmod(0o755)
    code, out, err = run(tmp_path, "colorize", "in", "-o", "out", "--json", **plain)
    assert (code, err) == (0, [])
    found = {line["source"]: line["status"] for line in map(json.loads, out[:-1])}
    again = dict.fromkeys(("in/c.jpg", "in/closed/b.jpg", "in/deep/shut/e.jpg"), "colored")
    assert found == again | dict.fromkeys(("in/a.jpg", "in/deep/d.jpg"), "kept")


def test_a_closed_place_for_results(tmp_path: Path, plain: dict[str, Any]) -> None:
    """One folder of the output cannot be written, and one result that stands there cannot be read."""
    put(tmp_path, "in/a.jpg", "in/deep/b.jpg", "in/c.jpg", "out/deep/old.jpg", "in/c.color.jpg")
    (tmp_path / "out/deep").chmod(0o555)
    code, out, err = run(tmp_path, "colorize", "in", "-o", "out", "--jobs", "1", **plain)
    (tmp_path / "out/deep").chmod(0o755)
    assert (code, out) == (1, ["in/a.jpg -> out/a.jpg", "in/c.jpg -> out/c.jpg"])
    reason = "out/deep/b.jpg: cannot be written (Permission denied); choose another place"
    assert err[0] == f"photochrom: in/deep/b.jpg: {reason}"
    assert results(tmp_path / "out") == ["a.jpg", "c.jpg", "deep/old.jpg"]
    (tmp_path / "in/c.color.jpg").chmod(0)
    code, out, err = run(tmp_path, "colorize", "in/a.jpg", "in/c.jpg", "--jobs", "1", **plain)
    assert (code, out) == (1, ["in/a.jpg -> in/a.color.jpg"])
    assert err[0].startswith("photochrom: in/c.jpg: in/c.color.jpg: exists already; choose another name")


def test_links_in_circles(tmp_path: Path) -> None:
    put(tmp_path, "in/a.jpg", "in/deep/b.jpg")
    (tmp_path / "in/loop").symlink_to("../in")
    (tmp_path / "in/deep/up").symlink_to(tmp_path)
    (tmp_path / "in/one").symlink_to("two")
    (tmp_path / "in/two").symlink_to("one")
    (tmp_path / "in/self.jpg").symlink_to("self.jpg")
    code, out, err = run(tmp_path, "colorize", "in", "-o", "out", "--jobs", "1")
    assert (code, out) == (1, ["in/a.jpg -> out/a.jpg", "in/deep/b.jpg -> out/deep/b.jpg"])
    reason = "cannot be read (Too many levels of symbolic links); check the path and its permissions"
    assert err[0] == f"photochrom: in/self.jpg: {reason}"
    assert err[1].startswith("3 photographs in ")
    assert results(tmp_path / "out") == ["a.jpg", "deep/b.jpg"]
    # A circle that is named.
    code, out, err = run(tmp_path, "colorize", "in/one", "in/a.jpg", "--jobs", "1")
    assert (code, out) == (1, ["in/a.jpg -> in/a.color.jpg"])
    assert err[0] == f"photochrom: in/one: {reason}"


def test_names_that_are_not_utf_8(tmp_path: Path) -> None:
    folder, name = os.fsdecode(b"in/\xe9t\xe9"), os.fsdecode(b"in/\xe9t\xe9/gar\xe7on.jpg")
    put(tmp_path, name, "in/a.jpg")
    (tmp_path / folder / os.fsdecode(b"bad-\xff.jpg")).write_bytes(b"")
    code, out, err = run(tmp_path, "colorize", "in", "-o", "out", "--jobs", "1")
    assert (code, len(out)) == (1, 2)
    assert "the file is empty; restore it from a good copy" in err[0]
    made = sorted(os.fsencode(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.jpg"))
    assert made == [b"a.jpg", b"\xe9t\xe9/gar\xe7on.jpg"]
    code, out, _ = run(tmp_path, "colorize", "in", "-o", "out", "--json")
    assert (code, sorted(json.loads(line)["status"] for line in out[:-1])) == (1, ["failed", "kept", "kept"])
    for status in ("colored", "kept"):  # named one by one
        code, out, err = run(tmp_path, "colorize", name, "--json")
        assert (code, json.loads(out[0])["status"], err) == (0, status, [])


def test_photographs_and_folders_that_vanish(tmp_path: Path) -> None:
    """They are there when the folder is listed, and gone when their turn comes."""
    put(tmp_path, *(f"in/{index:02}.jpg" for index in range(40)), "in/deep/a.jpg", "in/gone/b.jpg", "in/later/c.jpg")
    command = [*PYTHON, "colorize", "in", "-o", "out", "--json", "--jobs", "1"]
    with subprocess.Popen(command, cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        first = process.stdout.readline()
        (tmp_path / "in/39.jpg").unlink()
        shutil.rmtree(tmp_path / "in/gone")
        rest = process.stdout.readlines()
    assert process.returncode == 1
    found = [json.loads(line) for line in (first, *rest[:-1])]
    assert {line["source"]: line["error"] for line in found if line["status"] != "colored"} == {
        "in/39.jpg": "in/39.jpg: cannot be read (No such file or directory); check the path and its permissions",
        "in/gone": "in/gone: cannot be listed (No such file or directory); check its permissions",
    }
    assert len(results(tmp_path / "out")) == len(found) - 2 == 41
    assert run(tmp_path, "colorize", "in", "-o", "out") == (0, [], [])
