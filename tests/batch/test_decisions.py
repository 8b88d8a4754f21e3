"""One table of what a run does with what earlier runs left: the same for a folder, a shared folder in parts, and a bucket."""

from __future__ import annotations

import json
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import final

import pytest

from photochrom.batch import cloud, run
from photochrom.batch.run import Outcome
from photochrom.colorizer.colorizer import Colorizer, Options
from tests.support import buckets, models, testdata
from tests.support.buckets import Buckets

RETOUCHED = (
    "the result: was changed after it was written, perhaps retouched; move it away, or allow it to be replaced (--overwrite)"
)


class Place(ABC):
    """A place for photographs and one for results, and runs from one to the other."""

    def __init__(self, colorizer: Colorizer) -> None:
        self.colorizer = colorizer

    @abstractmethod
    def put(self, key: str, data: bytes) -> None: ...

    @abstractmethod
    def read(self, key: str) -> bytes: ...

    @abstractmethod
    def remove(self, key: str) -> None: ...

    @abstractmethod
    def forget(self) -> None:
        """Remove the manifest."""

    @abstractmethod
    def outcomes(self, colorizer: Colorizer, source: str, *, overwrite: bool) -> Iterator[Outcome]: ...

    def run(self, *, source: str = "in", overwrite: bool = False, vividness: float = 1.0) -> list[str]:
        """Color ``in`` into ``out``; returns the status of each photograph by its name, with the reason where it failed."""
        colorizer = Colorizer(self.colorizer.model, Options(vividness=vividness))
        found = sorted(self.outcomes(colorizer, source, overwrite=overwrite), key=lambda outcome: outcome.source)
        return [f"failed: {outcome.reason}" if outcome.reason else outcome.status for outcome in found]


@final
class LocalFolder(Place):
    def put(self, key: str, data: bytes) -> None:
        Path(key).parent.mkdir(parents=True, exist_ok=True)
        Path(key).write_bytes(data)

    def read(self, key: str) -> bytes:
        return Path(key).read_bytes()

    def remove(self, key: str) -> None:
        Path(key).unlink()

    def forget(self) -> None:
        Path("out/.photochrom.jsonl").unlink()

    def outcomes(self, colorizer: Colorizer, source: str, *, overwrite: bool) -> Iterator[Outcome]:
        yield from run.run(colorizer, run.plan([Path(source)], Path("out")), overwrite=overwrite)


@final
class SharedFolder(Place):
    put, read, remove = LocalFolder.put, LocalFolder.read, LocalFolder.remove  # type: ignore[assignment]

    def forget(self) -> None:
        for path in Path("out/.photochrom").rglob("*.jsonl"):
            path.unlink()

    def outcomes(self, colorizer: Colorizer, source: str, *, overwrite: bool) -> Iterator[Outcome]:
        yield from cloud.run(colorizer, cloud.Request(source, "out", overwrite=overwrite), jobs=2)


@final
class InBucket(Place):
    def __init__(self, colorizer: Colorizer, server: Buckets) -> None:
        super().__init__(colorizer)
        self.server, self.name = server, f"b{uuid.uuid4().hex[:12]}"
        server.make(self.name)

    def put(self, key: str, data: bytes) -> None:
        self.server.put(self.name, key, data)

    def read(self, key: str) -> bytes:
        content: bytes = self.server.client.get_object(Bucket=self.name, Key=key)["Body"].read()
        return content

    def remove(self, key: str) -> None:
        self.server.client.delete_object(Bucket=self.name, Key=key)

    def forget(self) -> None:
        for key in self.server.versions(self.name):
            if ".photochrom/" in key:
                self.remove(key)

    def outcomes(self, colorizer: Colorizer, source: str, *, overwrite: bool) -> Iterator[Outcome]:
        place = f"s3://{self.name}"
        yield from cloud.run(colorizer, cloud.Request(f"{place}/{source}", f"{place}/out", overwrite=overwrite), jobs=2)


@contextmanager
def _place(kind: str, colorizer: Colorizer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    if kind == "bucket":
        with buckets.serving(monkeypatch) as server:
            yield InBucket(colorizer, server)
    else:
        yield {"folder": LocalFolder, "shared folder": SharedFolder}[kind](colorizer)


@pytest.fixture(params=["folder", "shared folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.onnx").write_bytes(models.content(json.dumps(models.table())))
    with _place(request.param, Colorizer.load("small.onnx", threads=1), monkeypatch) as found:
        found.put("in/a.jpg", photo(0))
        found.put("in/b.jpg", photo(1))
        yield found


def photo(seed: int) -> bytes:
    return testdata.file(testdata.grey(24, 32, seed=seed), "JPEG")


def retouch(place: Place) -> None:
    place.put("out/a.jpg", photo(9))


def change(place: Place) -> None:
    place.put("in/a.jpg", photo(8))


def fail_once(place: Place) -> None:
    place.put("in/a.jpg", b"")
    assert place.run()[0].startswith("failed: the file is empty")
    place.put("in/a.jpg", photo(0))


def other_source(place: Place) -> None:
    place.put("other/a.jpg", photo(7))


TABLE: dict[str, tuple[Callable[[Place], None], dict[str, object], str, bool]] = {
    "nothing happened": (lambda _: None, {}, "kept", False),
    "its result was removed": (lambda place: place.remove("out/a.jpg"), {}, "colored", False),
    "its result was retouched": (retouch, {}, f"failed: {RETOUCHED}", False),
    "its result was retouched, to be replaced": (retouch, {"overwrite": True}, "colored", True),
    "it was changed": (change, {}, "colored", True),
    "it was changed, and its result retouched": (lambda place: (change(place), retouch(place)), {}, RETOUCHED, False),  # type: ignore[dict-item]
    "another recipe": (lambda _: None, {"vividness": 0.0}, "colored", True),
    "another recipe, and a retouched result": (retouch, {"vividness": 0.0}, RETOUCHED, False),
    "another source of that name": (other_source, {"source": "other"}, "is the result of ", False),
    "another source of that name, to be replaced": (other_source, {"source": "other", "overwrite": True}, "colored", True),
    "it failed in between": (fail_once, {}, "colored", False),
    "the manifest was removed": (lambda place: place.forget(), {}, "kept", False),
    "the manifest was removed, another recipe": (
        lambda place: place.forget(),
        {"vividness": 0.0},
        "exists already, made with other settings (vividness), and may have been retouched since",
        False,
    ),
}


@pytest.mark.parametrize("case", TABLE)
def test_what_earlier_runs_left(place: Place, case: str) -> None:
    happens, how, expected, differs = TABLE[case]
    assert place.run() == ["colored", "colored"]
    first = place.read("out/a.jpg")
    happens(place)
    before = place.read("out/a.jpg") if "removed" not in case else first
    found = place.run(**how)[0]  # type: ignore[arg-type]
    assert expected in found
    assert found.startswith("failed: ") == (expected not in ("kept", "colored"))
    assert (place.read("out/a.jpg") != before) == differs
    again = {key: value for key, value in how.items() if key != "overwrite"}
    if expected in ("kept", "colored"):
        assert place.run(**again)[0] == "kept"  # type: ignore[arg-type]
    else:
        assert place.run(**how)[0] == found  # type: ignore[arg-type]


def test_a_file_that_no_run_wrote_stays(place: Place) -> None:
    place.put("out/a.jpg", b"precious")
    first, second = place.run()
    assert first.startswith("failed: ")
    assert "exists already" in first
    assert second == "colored"
    assert place.read("out/a.jpg") == b"precious"
    assert place.run(overwrite=True)[0] == "colored"


def test_all_places_get_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "small.onnx").write_bytes(models.content(json.dumps(models.table())))
    made = set()
    for kind in ("folder", "shared folder", "bucket"):
        (tmp_path / kind).mkdir()
        monkeypatch.chdir(tmp_path / kind)
        with _place(kind, Colorizer.load(tmp_path / "small.onnx", threads=1), monkeypatch) as place:
            place.put("in/a.jpg", photo(0))
            assert place.run() == ["colored"]
            made.add(place.read("out/a.jpg"))
    assert len(made) == 1
