"""A file is written whole or not at all, and never over another one unasked."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import get_args

import pytest

from photochrom import files
from photochrom.errors import OutputError, PhotoError
from photochrom.photo import formats


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_and_nothing_else(tmp_path: Path) -> None:
    files.save(b"new", tmp_path / "a.jpg")
    assert (tmp_path / "a.jpg").read_bytes() == b"new"
    assert names(tmp_path) == ["a.jpg"]
    umask = os.umask(0)
    os.umask(umask)
    assert (tmp_path / "a.jpg").stat().st_mode & 0o777 == 0o666 & ~umask


def test_an_existing_file_stays_unless_asked(tmp_path: Path) -> None:
    target = tmp_path / "a.jpg"
    target.write_bytes(b"old")
    with pytest.raises(OutputError, match=r"a\.jpg: exists already.*--overwrite"):
        files.save(b"new", target)
    assert target.read_bytes() == b"old"
    files.save(b"new", target, overwrite=True)
    assert target.read_bytes() == b"new"
    assert names(tmp_path) == ["a.jpg"]


def test_a_dangling_link_counts_as_existing(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OutputError, match="exists already"):
        files.save(b"new", tmp_path / "a.jpg")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("exists", [False, True])
def test_a_file_system_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exists: bool) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    if exists:
        (tmp_path / "a.jpg").write_bytes(b"old")
        with pytest.raises(OutputError, match="exists already"):
            files.save(b"new", tmp_path / "a.jpg")
    else:
        files.save(b"new", tmp_path / "a.jpg")
    assert (tmp_path / "a.jpg").read_bytes() == (b"old" if exists else b"new")
    assert names(tmp_path) == ["a.jpg"]


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        files.save(b"new", tmp_path / "a.jpg")
    assert names(tmp_path) == []


def test_an_interruption_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        files.save(b"new", tmp_path / "a.jpg")
    assert names(tmp_path) == []


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    for target in (tmp_path / "none" / "a.jpg", tmp_path / "file" / "a.jpg"):
        with pytest.raises(OutputError, match="cannot be written") as caught:
            files.save(b"new", target)
        assert str(target) in str(caught.value)
    with pytest.raises(OutputError, match="cannot be written"):
        files.save(b"new", tmp_path / "folder", overwrite=True)
    assert names(tmp_path) == ["file", "folder"]


def test_same_file_sees_through_links(tmp_path: Path) -> None:
    first, second = tmp_path / "a.jpg", tmp_path / "b.jpg"
    first.write_bytes(b"")
    assert not files.same_file(first, second)
    second.symlink_to(first)
    assert files.same_file(first, second)
    assert files.same_file(first, tmp_path / "." / "a.jpg")


def test_what_is_no_photograph_to_read(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match="No such file"):
        files.contents(tmp_path / "none.jpg")
    with pytest.raises(PhotoError, match="is a folder"):
        files.contents(tmp_path)
    with pytest.raises(PhotoError, match="neither a file nor a folder"):
        files.contents(Path(os.devnull))


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"GIF89a", "GIF"),
        (b"BM", "BMP"),
        (b"P5\n", "PNM"),
        (b"\0\0\0\x18ftypheic", "HEIC"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypavif", "AVIF"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avif", "AVIF"),
        (b"\0\0\0\x18ftypmp42", None),
        (b"", None),
        (b"Dear", None),
    ],
)
def test_files_are_told_apart_by_their_first_bytes(head: bytes, kind: str | None) -> None:
    assert formats.kind_of(head) == kind


def test_what_is_no_photograph_is_said() -> None:
    assert "empty" in formats.unknown(b"")
    assert "HEIC and JPEG 2000 are read" in formats.unknown(b"Dear")


def test_every_kind_has_an_ending_and_one_to_be_written_as() -> None:
    kinds = set(get_args(formats.Kind))
    assert set(formats.SUFFIXES.values()) == kinds
    assert set(formats.FORMATS) | set(formats.SUBSTITUTES) == kinds
    assert not set(formats.FORMATS) & set(formats.SUBSTITUTES)
    assert all(formats.SUFFIXES[formats.ending(format)] == format for format in formats.FORMATS)
