"""The plan of a bucket: names as in folders, whatever the order of keys; shares; memory that does not grow."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photochrom.batch import join, run
from photochrom.batch.join import Naming, Share
from photochrom.batch.parts import Record
from photochrom.batch.selection import LeftOut, Selection
from photochrom.batch.stores import Item
from photochrom.errors import OptionError, PhotoError
from photochrom.photo.formats import Format

NAMES = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", "a/", "a.d/", "a.jpg/", "b-c/", "a.d/e.jpg/", ".hidden/", "@eaDir/"]),
        st.sampled_from(["a", "a.b", "a-b", "a0", "ä", "z", ".x"]),
        st.sampled_from([".jpg", ".tif", ".JPG", ".png", ".gif", ".txt", ".jpg.png", ".color.jpg", ""]),
    ),
)


def item(key: str) -> Item:
    return Item(key, 1, f"etag of {key}")


def record(output: str) -> Record:
    return Record(output, "source", "colored", "recipe")


def planned(root: Path, format: Format | None, *, beside: bool) -> dict[str, str]:
    """Return what the plan of a folder makes of a tree: the result of each photograph."""
    try:
        tasks = list(run.plan([root], None if beside else root.parent / "out", format=format))
    except PhotoError:
        return {}
    base = root if beside else root.parent / "out"
    return {
        task.source.relative_to(root).as_posix(): task.target.relative_to(base).as_posix() for task in tasks if not task.error
    }


@settings(max_examples=60, deadline=None)
@given(st.sets(NAMES, max_size=12), st.sampled_from([None, "PNG"]), st.booleans())
def test_a_bucket_is_planned_as_a_folder_is(
    tmp_path_factory: pytest.TempPathFactory, keys: set[str], format: Format | None, beside: bool
) -> None:
    root = tmp_path_factory.mktemp("tree") / "in"
    root.mkdir()
    keys = {key for key in keys if not any(other.startswith(f"{key}/") for other in keys)}  # no file is a folder too
    for key in keys:
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        (root / key).touch()
    left_out = LeftOut()
    sources = join.photographs(map(item, sorted(keys)), Selection(), left_out)
    naming = Naming(format, beside=beside)
    expected = planned(root, format, beside=beside)
    there = sorted([*expected.values(), "0 other.jpg", "a.d/other.jpg", "zz/other.jpg"])
    found = list(join.pairs(sources, map(item, there), map(record, there), naming=naming))
    assert {pair.source.key: pair.target for pair in found} == expected
    assert [pair for pair in found if (pair.result, pair.known) != (item(pair.target), record(pair.target))] == []


def test_shares_are_disjoint_and_cover_everything() -> None:
    keys = sorted(f"{index % 7}/{index}.jpg" for index in range(500))
    keys += ["x/a.jpg", "x/a.tif"]
    shares = [
        [pair.source.key for pair in join.pairs(map(item, keys), [], [], naming=Naming("PNG"), share=Share(number, 4))]
        for number in (1, 2, 3, 4)
    ]
    assert sorted(key for share in shares for key in share) == keys
    assert all(60 < len(share) < 190 for share in shares)
    whole = {pair.source.key: pair.target for pair in join.pairs(map(item, keys), [], [], naming=Naming("PNG"))}
    assert {whole["x/a.jpg"], whole["x/a.tif"]} == {"x/a.jpg.png", "x/a.tif.png"}


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0", "-1/2", ""])
def test_a_share_that_is_none(text: str) -> None:
    with pytest.raises(OptionError, match=r"expected I/N"):
        Share.parse(text)


def test_memory_does_not_grow_with_the_keys() -> None:
    def keys(count: int) -> Iterator[str]:
        return (f"{index // 1000:06}/{index % 1000:04}.jpg" for index in range(count))

    def peak(count: int) -> int:
        tracemalloc.start()
        found = join.pairs(map(item, keys(count)), map(item, keys(count)), map(record, keys(count)), naming=Naming())
        assert sum(1 for pair in found if pair.result and pair.known) == count
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(100)
    assert peak(20_000) < 1.5 * peak(2_000) + 100_000


def test_other_kinds_and_thumbnails_are_counted_once() -> None:
    left_out = LeftOut()
    keys = sorted(["a.jpg", "b.dng", "@eaDir/a.jpg/x.jpg", "@eaDir/b.jpg/x.jpg", ".photochrom/parts/x.jsonl", "out/a.jpg"])
    found = [each.key for each in join.photographs(map(item, keys), Selection(exclude=("c*",)), left_out, leave="out/")]
    assert found == ["a.jpg"]
    assert left_out.line == "left out: 1 file of other kinds (1 .dng); 1 folder of thumbnails (@eaDir)"


def test_keys_in_any_folder_order(tmp_path: Path) -> None:
    """Folders whose names begin as photographs do lie between these in a listing."""
    keys = ["a.d/a.jpg", "a.d/a.tif", "a.d.jpg", "a.jpg", "a.tif", "a.d/a.e/x.jpg", "a.z/1.jpg"]
    random.Random(0).shuffle(keys)
    found = {pair.source.key: pair.target for pair in join.pairs(map(item, sorted(keys)), [], [], naming=Naming("PNG"))}
    for key in keys:
        (tmp_path / "in" / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / key).touch()
    assert found == planned(tmp_path / "in", "PNG", beside=False)
