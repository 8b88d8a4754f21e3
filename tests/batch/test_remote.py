"""Work by Ray: processes that die, a photograph that kills every process it comes to, the same results as without."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from photochrom.batch import cloud
from photochrom.batch.join import Pair
from photochrom.batch.lease import HOLDS_S
from photochrom.batch.run import Outcome
from photochrom.batch.selection import Selection
from photochrom.batch.slices import Job
from photochrom.batch.slices import work as color_slice
from photochrom.colorizer.colorizer import Colorizer
from photochrom.errors import OptionError
from tests.support import buckets, models, testdata
from tests.support.buckets import Buckets

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of another kind")
COUNT = 40


def deadly(job: Job, pairs: Sequence[Pair]) -> list[Outcome]:
    """Work as the package does, but for a process that dies once, and a photograph that kills each process."""
    once = Path(os.environ["TEST_FOLDER"], "once")
    found = color_slice(job, [pair for pair in pairs if "poison" not in pair.source.key])
    if any("poison" in pair.source.key for pair in pairs):
        os.kill(os.getpid(), signal.SIGKILL)
    if len(pairs) > 4 and not once.exists():
        once.touch()
        os.kill(os.getpid(), signal.SIGKILL)  # all its results are there, and nobody knows
    return found


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Buckets]:
    for name, value in ((HOLDS_S, "2"), ("TEST_FOLDER", str(tmp_path)), ("PYTHONPATH", str(Path(__file__).parents[2]))):
        monkeypatch.setenv(name, value)
    with buckets.serving(monkeypatch) as found:
        yield found
    ray.shutdown()


def test_processes_that_die_and_a_photograph_that_kills_them(
    server: Buckets, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from photochrom.batch import remote

    (tmp_path / "small.onnx").write_bytes(model := models.content(json.dumps(models.table())))
    server.make("archive")
    for index in range(COUNT):
        server.put("archive", f"in/{index:02}.png", testdata.file(testdata.grey(16, 24, seed=index), "PNG"))
    server.put("archive", "in/20-poison.png", testdata.file(testdata.grey(16, 24), "PNG"))
    monkeypatch.setattr(remote.slices, "work", deadly)
    colorizer = Colorizer.load(tmp_path / "small.onnx", threads=1)
    request = cloud.Request("s3://archive/in", "s3://archive/out")
    outcomes = list(cloud.run(colorizer, request, pool=remote.connect(None, jobs=2), model=model))
    assert (tmp_path / "once").exists()
    assert Counter(outcome.status for outcome in outcomes) == {"colored": COUNT, "failed": 1}
    (failed,) = (outcome for outcome in outcomes if outcome.status == "failed")
    assert failed.error
    assert failed.error.startswith("s3://archive/in/20-poison.png: its process died 2 times (")
    made = {
        key: count for key, count in server.versions("archive").items() if key.startswith("out/") and ".photochrom" not in key
    }
    assert made == {f"out/{index:02}.png": 1 for index in range(COUNT)}
    local = cloud.Request("s3://archive/in", "s3://archive/local", selection=Selection(exclude=("*poison*",)))
    monkeypatch.setattr(remote.slices, "work", color_slice)
    assert {outcome.status for outcome in cloud.run(colorizer, local)} == {"colored"}
    everything = server.read("archive")
    assert all(everything[f"out/{index:02}.png"] == everything[f"local/{index:02}.png"] for index in range(COUNT))


def test_what_is_refused() -> None:
    from photochrom.batch import remote

    with pytest.raises(OptionError, match="drop --jobs or --address"):
        remote.connect("auto", jobs=2)
