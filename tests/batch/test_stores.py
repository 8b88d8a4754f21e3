"""Buckets and folders as places for objects: sorted listings, writes that replace nothing, faults that pass."""

from __future__ import annotations

import random
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from photochrom.batch import stores
from photochrom.batch.stores import Bucket, Store
from photochrom.errors import OptionError, OutputError, PhotoError
from tests.support import buckets as support
from tests.support.buckets import SECRET, Buckets

KEYS = ["a.jpg", "a-b.jpg", "a/b.jpg", "a/b/c.jpg", "a.d/e.jpg", "ä ö.jpg", "z+%41&=?.jpg", "A.jpg", "a0.jpg"]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Buckets]:
    monkeypatch.setattr(stores, "FIRST_WAIT_S", 0.001)
    with support.serving(monkeypatch) as found:
        yield found


@pytest.fixture
def bucket(server: Buckets) -> str:
    name = f"b{uuid.uuid4().hex[:12]}"
    server.make(name)
    return name


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return stores.opened(str(tmp_path / "deep" / "er"))
    return stores.opened(f"s3://{request.getfixturevalue('bucket')}/deep/er")


def test_a_listing_is_sorted_by_bytes_and_begins_behind_a_key(store: Store) -> None:
    assert list(store.list()) == []
    for key in random.Random(0).sample(KEYS, len(KEYS)):
        assert store.put_new(key, key.encode())
    expected = sorted(KEYS, key=str.encode)
    found = list(store.list())
    assert [item.key for item in found] == expected
    assert [item.size for item in found] == [len(key.encode()) for key in expected]
    for place in range(len(expected)):
        assert [item.key for item in store.list(after=expected[place])] == expected[place + 1 :]
    assert [item.key for item in store.list(after="a/b/")] == [key for key in expected if key.encode() > b"a/b/"]


def test_reading_writing_and_removing(store: Store, tmp_path: Path) -> None:
    etag = store.put_new("x/a.jpg", b"first", metadata={"photochrom-recipe": "r"})
    found = store.get("x/a.jpg")
    assert (found.data, found.etag) == (b"first", etag)
    (item,) = store.list()
    assert item.etag == etag
    assert store.fetch("x/a.jpg", tmp_path / "scratch") == etag
    assert (tmp_path / "scratch").read_bytes() == b"first"
    if isinstance(store, Bucket):
        assert store.metadata("x/a.jpg")["photochrom-recipe"] == "r"
    assert store.metadata("none.jpg") == {}
    store.delete("x/a.jpg")
    store.delete("x/a.jpg")
    assert list(store.list()) == []
    with pytest.raises(PhotoError, match=r"x/a\.jpg: cannot be read"):
        store.get("x/a.jpg")


def test_nothing_is_replaced_by_accident(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"from a file")
    first = store.put_new("a.jpg", tmp_path / "file")
    assert first
    assert store.put_new("a.jpg", b"second") is None
    assert store.put_unchanged("a.jpg", b"third", etag="another") is None
    assert store.put_unchanged("none.jpg", b"third", etag=first) is None
    second = store.put_unchanged("a.jpg", b"a longer text", etag=first)
    assert second
    assert second != first
    assert store.put_unchanged("a.jpg", b"late", etag=first) is None
    assert store.get("a.jpg").data == b"a longer text"
    assert store.put("a.jpg", b"in any case")
    assert store.get("a.jpg").data == b"in any case"
    assert [item.key for item in store.list()] == ["a.jpg"]


def test_what_passes_is_tried_again(server: Buckets, bucket: str) -> None:
    """Every second request is refused as by a busy server, or its connection is cut; nothing is written twice."""
    store = stores.opened(f"s3://{bucket}/p")
    odd = random.Random(1)
    server.refuse = lambda: odd.random() < 0.3
    server.cut = lambda: odd.random() < 0.2
    for index in range(30):
        assert store.put_new(f"{index:02}", b"x" * index) in (None, store.get(f"{index:02}").etag)
    assert [item.size for item in store.list()] == list(range(30))
    server.refuse = server.cut = lambda: False
    assert set(server.versions(bucket).values()) == {1}


def test_what_does_not_pass_is_one_line_without_credentials(server: Buckets, bucket: str) -> None:
    store = stores.opened(f"s3://{bucket}")
    server.refuse = lambda: True
    attempts = [
        (PhotoError, lambda: store.get("a.jpg"), "cannot be read (SlowDown, HTTP 503 Service Unavailable)"),
        (PhotoError, lambda: list(store.list()), "cannot be listed (SlowDown, HTTP 503"),
        (OutputError, lambda: store.put_new("a.jpg", b""), "cannot be written (SlowDown, HTTP 503"),
        (OutputError, lambda: store.delete("a.jpg"), "cannot be removed (SlowDown, HTTP 503"),
    ]
    for kind, attempt, text in attempts:
        with pytest.raises(kind) as raised:
            attempt()
        said = str(raised.value)
        assert said.startswith(f"s3://{bucket}")
        assert text in said
        assert "\n" not in said
        assert SECRET not in said
        assert raised.value.__cause__ is None
        assert raised.value.__suppress_context__
    server.refuse = lambda: False
    with pytest.raises(PhotoError, match=r"s3://no-such-bucket-here: cannot be listed \(NoSuchBucket, HTTP 404 Not Found\)"):
        list(stores.opened("s3://no-such-bucket-here").list())


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("s3://key:hush@bucket/path", "holds credentials"),
        ("s3://bucket/path?X-Amz-Signature=hush", "holds credentials"),
        ("s3://", "names no bucket"),
        ("gs:///path", "names no bucket"),
    ],
)
def test_addresses_that_are_refused(address: str, text: str) -> None:
    with pytest.raises(OptionError, match=text) as raised:
        stores.opened(address)
    assert "hush" not in str(raised.value)


def test_local_runs_import_no_library_of_buckets(tmp_path: Path) -> None:
    code = (
        "import sys; from photochrom.cli import main\n"
        "try: main(['colorize', 'none.jpg'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'ray', 'obstore', 'photochrom.batch.stores'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
