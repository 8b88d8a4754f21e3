"""Nothing leaves the machine, and nothing is kept for anybody: no file in an empty home, no socket."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import testdata

LOOK = """
import os, sys
from photochrom.cli import main
try:
    main(sys.argv[1:])
finally:
    names = [os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd") if os.path.islink(f"/proc/self/fd/{name}")]
    print("sockets:", [name for name in names if name.startswith("socket:")], file=sys.stderr)
"""
EARLY = "import onnxruntime\n"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are listed by Linux")
@pytest.mark.parametrize("code", [LOOK, EARLY + LOOK], ids=["as a command", "onnxruntime loaded before"])
def test_no_file_in_the_home_and_no_socket(code: str, tmp_path: Path) -> None:
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    (work / "a.jpg").write_bytes(testdata.file(testdata.grey(60, 80), "JPEG"))
    kept = {name: value for name, value in os.environ.items() if name not in ("CI", "XDG_CACHE_HOME", "ORT_DISABLE_TELEMETRY")}
    done = subprocess.run(
        [sys.executable, "-c", code, "colorize", "a.jpg", "-o", "b.jpg"],
        cwd=work,
        env=kept | {"HOME": str(home), "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "sockets: []" in done.stderr
    if not code.startswith(EARLY):  # what it wrote before this package was loaded is not ours to prevent
        assert [path for path in home.rglob("*") if path.is_file()] == []
