from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from photochrom.errors import DataError, OptionError
from photochrom.training.data.shards import evenly, members, shards
from tests.support.testdata import encoded, shard


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def one(path: Path) -> Path:
    return shard(path, {"0.png": encoded(picture(0))})


def test_data_may_be_several_folders_or_shards(tmp_path: Path) -> None:
    for name in ("lake/test-00.tar", "lake/test-01.tar", "lake/train-00.tar", "deep/er/town/test-00.tar"):
        one(tmp_path / name)
    twice = [tmp_path / "lake", tmp_path / "lake" / "test-01.tar", tmp_path / "deep"]
    assert {name: len(paths) for name, paths in shards(twice, "test").items()} == {"lake": 2, "town": 1}
    assert [path.name for path in shards(tmp_path, "train")["lake"]] == ["train-00.tar"]


def test_folders_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for place in ("a", "b"):
        one(tmp_path / place / "same" / "test-00.tar")
    found = shards(tmp_path, "test")
    assert sorted(found) == [str((tmp_path / place / "same").resolve()) for place in ("a", "b")]


def test_shards_hold_every_kind_of_photograph_and_other_files(tmp_path: Path) -> None:
    pixels = picture(3)
    contents = {"a.webp": encoded(pixels, "webp"), "a.json": b"{}", "b.PNG": encoded(pixels)}
    listed = members([shard(tmp_path / "test-00.tar", contents)])
    assert [member.name for member in listed] == ["a.webp", "b.PNG"]
    for member in listed:
        np.testing.assert_array_equal(member.read(), pixels)


@pytest.mark.parametrize(("name", "said"), [("there", "no shard named test-"), ("nowhere", "no folder named test-")])
def test_data_that_is_not_prepared_is_refused(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "photo.png").write_bytes(encoded(picture(0)))
    with pytest.raises(DataError, match="a folder made by `photochrom prepare`") as caught:
        shards(tmp_path / name, "test")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_damaged_shards_are_refused(tmp_path: Path) -> None:
    text = tmp_path / "test-00.tar"
    text.write_text("no tar")
    with pytest.raises(DataError, match=r"test-00\.tar is not a readable shard"):
        members([text])
    with pytest.raises(DataError, match="no photograph"):
        members([shard(tmp_path / "test-01.tar", {"a.json": b"{}"})])
    (member,) = members([shard(tmp_path / "test-02.tar", {"bad.png": encoded(picture(0))[:200]})])
    with pytest.raises(DataError, match=r"bad\.png in .*test-02\.tar cannot be decoded"):
        member.read()


def test_evenly_spreads() -> None:
    assert evenly(range(10), 4) == [0, 2, 5, 7]
    assert evenly(range(3), 3) == evenly(range(3), 9) == evenly(range(3), None) == [0, 1, 2]


def test_limit_spreads_over_all_shards(tmp_path: Path) -> None:
    paths = [shard(tmp_path / f"test-0{n}.tar", {f"{n}{i}.png": encoded(picture(i)) for i in range(3)}) for n in range(2)]
    assert [member.name for member in members(paths)] == ["00.png", "01.png", "02.png", "10.png", "11.png", "12.png"]
    assert [member.name for member in members(paths, limit=2)] == ["00.png", "10.png"]
    with pytest.raises(OptionError, match="limit of 0"):
        members(paths, limit=0)
