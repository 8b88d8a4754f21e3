"""A small part of ``python -m tests.fuzz``, and that it sees every kind of fault."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest

from photochrom.colorizer.colorizer import Colorizer
from photochrom.errors import PhotoError
from tests.fuzz import damage, run

pytestmark = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="what a process holds is asked of Linux")

PAGE = (Path(__file__).parents[2] / "docs" / "formats.md").read_text("utf-8")


def test_damaged_files_are_read_or_refused_in_one_line() -> None:
    outcomes = list(run.run(0, range(100)))
    assert [outcome for outcome in outcomes if outcome.ending == "fault"] == []
    assert {outcome.kind for outcome in outcomes} >= {"JPEG", "PNG", "TIFF", "WEBP", "AVIF", "BMP", "PNM", "GIF", "JPEG 2000"}
    assert sum(outcome.ending == "refused" for outcome in outcomes) > 30
    assert sum(outcome.ending == "read" for outcome in outcomes) > 10


def test_a_case_is_the_same_each_time() -> None:
    for number in range(40):
        assert damage.case(3, number) == damage.case(3, number)
    assert len({damage.case(3, number)[2] for number in range(40)}) == 40


def fail_by_number(source: Path, _: Path, colorizer: Colorizer) -> None:
    """Show another fault in each of seven cases; the eighth is refused as it should be."""
    assert colorizer
    counter = source.with_name("counter")
    turn = len(counter.read_bytes()) if counter.exists() else int(os.environ.get("PHOTOCHROM_FUZZ_TURN", "0"))
    counter.write_bytes(bytes(turn + 1))
    if turn == 0:
        raise ValueError("two\nlines")
    if turn == 1:
        raise PhotoError("no name of the file")
    if turn == 2:
        os.write(2, b"a library complains\n")
    if turn == 3:
        assert bytearray(b"1") * 1_100_000_000
    if turn == 4:
        begin = time.process_time()
        while time.process_time() - begin < 0.2:
            pass
    if turn == 5:
        raise PhotoError(f"{source}: a clear reason; do something else")
    if turn == 6:
        os.kill(os.getpid(), signal.SIGSEGV)


def hang(*_: object) -> None:
    time.sleep(60)


def test_every_kind_of_fault_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "SECONDS", 0.15)
    outcomes = list(run.run(0, range(8), color=fail_by_number))
    said = [outcome.said for outcome in outcomes]
    assert said[0].startswith("ValueError in test_fuzz.py")
    assert said[1] == "an unclear error: no name of the file"
    assert said[2] == "prints: a library complains"
    assert re.match(r"takes \d{4} MB", said[3]) or said[3].startswith("takes ")
    assert said[4].startswith("takes 0.")
    assert (outcomes[5].ending, said[5]) == ("refused", "a clear reason; do something else")
    assert said[6].startswith(f"crashes, code -{signal.SIGSEGV.value}: Fatal Python error: Segmentation fault")
    assert [outcome.ending for outcome in outcomes].count("fault") >= 6
    (hung,) = run.run(0, range(1), color=hang, clock_seconds=1)
    assert (hung.ending, hung.said) == ("fault", "hangs: ")


def test_the_figures_of_the_whole_run_are_in_the_documentation() -> None:
    (row,) = re.findall(r"^\| all \| .* \|$", PAGE, re.MULTILINE)
    _, _, cases, read, _, refused, faults, *_ = (cell.strip() for cell in row.strip("|").split("|"))
    assert int(cases) >= 20_000
    assert int(read) + int(refused) == int(cases)
    assert int(faults) == 0
