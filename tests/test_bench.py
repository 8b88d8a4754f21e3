"""Keep ``make bench`` running; what it measures is no test's business."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "bench", *arguments], cwd=ROOT, capture_output=True, text=True)


def test_a_named_table_comes_as_json() -> None:
    done = bench("network", "--rounds", "1", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["rounds"] == 1
    assert found["machine"]["processors"] >= 1
    rows = found["rows"]
    assert [row["name"].split(",")[0] for row in rows] == ["network"] * len(rows)
    assert all(row["unit"] == "ms" and row["ours"] > 0 for row in rows)
    judged = [row for row in rows if row["required"] is not None]
    assert judged
    assert all(row["verdict"] == ("OK" if row["ours"] <= row["required"] else "MISSED") for row in judged)


def test_an_unknown_table_is_refused() -> None:
    done = bench("wram")
    assert done.returncode == 2
    assert "wram" in done.stderr
