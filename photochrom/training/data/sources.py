"""Find the photographs of a folder, an archive or a Hugging Face data set, in a fixed order, without unpacking anything."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import re
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from photochrom.errors import DataError, PhotoError, one_line

SPLITS = ("test", "validation", "train")
"""Names of the splits, in the order in which official ones are read: of two copies, the one in the test set stays."""

SUFFIXES = frozenset((
    ".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".jxl", ".pbm", ".pgm", ".png",
    ".ppm", ".tga", ".tif", ".tiff", ".webp",
))  # fmt: skip
"""Suffixes of photographs. Those that Pillow cannot decode are here too, so that they are counted and not passed over."""

MAX_BYTES = 1 << 28
"""Largest file that is read: 256 MiB."""

READ_ERRORS = (OSError, EOFError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)
"""What ``Source.read`` raises for one bad member (RuntimeError: an encrypted or unknown compression in a zip)."""

_OPENERS: dict[bytes, Callable[[Path], Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}


@dataclass(frozen=True)
class Member:
    """One photograph of a source."""

    name: str
    """Its path inside the source, with forward slashes."""
    split: str | None
    """The official split that it stands in: train, validation, test, or None."""
    place: Any
    """Where ``Source.read`` finds it."""


@dataclass(frozen=True)
class Source:
    """A place with photographs."""

    kind: Literal["folder", "zip", "tar", "huggingface"]
    members: Sequence[Member]
    """The photographs: those of official test sets first, then by name."""
    ignored: int
    """Files that are no photographs by their names."""
    read: Callable[[Member], bytes]
    """Reads the file of a member; raises one of ``READ_ERRORS``, or PhotoError if it is larger than ``MAX_BYTES``."""


@contextmanager
def open_source(source: str, scratch: Path, *, column: str | None = None) -> Iterator[Source]:
    """Open a folder, a zip, a tar (plain, gz, bz2, xz) or ``hf:owner/name[:split]``.

    Args:
        source: the path or the name.
        scratch: an existing folder for a compressed tar's plain copy.
        column: the column of a Hugging Face data set that holds the photographs; None = its only image column.

    Raises:
        DataError: if the source is missing, damaged, of an unknown kind, or has no photographs.
    """
    path = Path(source)
    if source.startswith("hf:"):
        yield _filled(source, _huggingface(source, column))
    elif column is not None:
        raise DataError(f"got the column '{column}' for '{source}': only a Hugging Face source (hf:owner/name) has columns")
    elif path.is_dir():
        yield _filled(source, _folder(path))
    elif not path.exists():
        raise DataError(f"no '{source}': expected a folder, a zip, a tar or hf:owner/name")
    elif _is_archive(zipfile.is_zipfile, path):
        with _damage(source):
            archive = zipfile.ZipFile(path)
        with archive:
            yield _filled(source, _zip(archive))
    elif _is_archive(tarfile.is_tarfile, path):
        with _damage(source):
            plain = _decompressed(path, scratch)
            found, ignored = _tar_members(plain)
        with plain.open("rb") as file:

            def read(member: Member) -> bytes:
                offset, size = member.place
                _check_bytes(size)
                file.seek(offset)
                return file.read(size)

            yield _filled(source, Source("tar", _ordered(found), ignored, read))
    else:
        raise DataError(f"'{source}' is neither a folder nor a whole zip or tar: unpack it into a folder, or fetch it again")


def _is_archive(check: Callable[[Path], bool], path: Path) -> bool:
    try:
        return check(path)
    except READ_ERRORS as error:
        raise DataError(f"cannot read '{path}': {one_line(error)}; make it readable, or fetch it again") from error


def official_split(parts: Sequence[str]) -> str | None:
    """Tell the split of a path's first folder that is named like one: train, val2014, test[:100] ..., or None."""
    for part in parts:
        match = re.fullmatch(r"(train|val|valid|validation|test)\d*(\[.*\])?", part.lower())
        if match:
            return "validation" if match[1].startswith("val") else match[1]
    return None


def _filled(source: str, found: Source) -> Source:
    if not found.members:
        raise DataError(
            f"no photographs in '{source}': {found.ignored} files, none named like one (.jpg, .png, .webp, .tif ...); "
            "give the folder or archive that holds the photographs themselves"
        )
    return found


def _ordered(found: list[tuple[str, Any]]) -> list[Member]:
    members = [Member(name, official_split(PurePosixPath(name).parts[:-1]), place) for name, place in found]
    rank = {split: place for place, split in enumerate(SPLITS)}
    return sorted(members, key=lambda member: (rank.get(member.split or "", len(SPLITS)), member.name))


def _is_photograph(name: str) -> bool:
    """Tell by its name; hidden files and the resource forks that macOS puts into zips are none."""
    path = PurePosixPath(name)
    hidden = any(part == "__MACOSX" or (part.startswith(".") and part not in (".", "..")) for part in path.parts)
    return path.suffix.lower() in SUFFIXES and not hidden


def _check_bytes(size: int) -> None:
    if size > MAX_BYTES:
        raise PhotoError(f"a file of {size:,} bytes; the limit is {MAX_BYTES:,}")


def _folder(root: Path) -> Source:
    def refuse(error: OSError) -> None:
        raise DataError(f"cannot list the folder '{error.filename}': {error.strerror}; make it readable") from error

    def read(member: Member) -> bytes:
        path: Path = member.place
        _check_bytes(path.stat().st_size)
        return path.read_bytes()

    found: list[tuple[str, Any]] = []
    ignored = 0
    for folder, _, files in os.walk(root, onerror=refuse):
        for file in files:
            path = Path(folder, file)
            name = path.relative_to(root).as_posix()
            # A pipe or a device would block the reader for ever; a dangling link is counted as unreadable.
            if _is_photograph(name) and (path.is_file() or path.is_symlink()):
                found.append((name, path))
            else:
                ignored += 1
    return Source("folder", _ordered(found), ignored, read)


def _zip(archive: zipfile.ZipFile) -> Source:
    def read(member: Member) -> bytes:
        _check_bytes(member.place.file_size)
        return archive.read(member.place)

    infos = [info for info in archive.infolist() if not info.is_dir()]
    found: list[tuple[str, Any]] = [(info.filename, info) for info in infos if _is_photograph(info.filename)]
    return Source("zip", _ordered(found), len(infos) - len(found), read)


@contextmanager
def _damage(source: str) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise DataError(f"the archive '{source}' is damaged: {one_line(error)}; fetch it again") from error


def _decompressed(path: Path, scratch: Path) -> Path:
    """Return a plain tar: members of a compressed one cannot be read in any other order than its own."""
    with path.open("rb") as file:
        start = file.read(6)
    for magic, opener in _OPENERS.items():
        if start.startswith(magic):
            plain = scratch / "source.tar"
            with opener(path) as packed, plain.open("wb") as target:
                shutil.copyfileobj(packed, target, 1 << 20)
            return plain
    return path


def _tar_members(path: Path) -> tuple[list[tuple[str, Any]], int]:
    found: list[tuple[str, Any]] = []
    ignored = 0
    with tarfile.open(path, "r:") as tar:
        for info in tar:
            if info.isreg() and _is_photograph(info.name):
                found.append((str(PurePosixPath(info.name)), (info.offset_data, info.size)))
            elif not info.isdir():
                ignored += 1
    return found, ignored


def _huggingface(source: str, column: str | None) -> Source:
    try:
        import datasets  # here, as it takes more than a second
    except ImportError as error:
        raise DataError(f"'{source}' needs the package datasets: pip install 'photochrom[train]'") from error

    address, _, wanted = source.removeprefix("hf:").partition(":")
    try:
        loaded = datasets.load_dataset(address, split=wanted or None)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise DataError(f"cannot load '{source}' (hf:owner/name or hf:owner/name:split): {one_line(error)}") from error
    tables = {wanted: loaded} if wanted else dict(loaded)
    tables = {name: _images_only(datasets, table, source, column) for name, table in tables.items()}

    def read(member: Member) -> bytes:
        split, row = member.place
        cell = next(iter(tables[split][row].values()))
        if cell is None:
            raise ValueError("the row has no image")
        data: bytes | None = cell["bytes"]
        if data is None:
            path = Path(cell["path"])
            _check_bytes(path.stat().st_size)
            return path.read_bytes()
        _check_bytes(len(data))
        return data

    found = [(f"{split}/{row:08d}", (split, row)) for split, table in tables.items() for row in range(len(table))]
    return Source("huggingface", _ordered(found), 0, read)


def _images_only(datasets: Any, table: Any, source: str, column: str | None) -> Any:
    """Keep only the image column, undecoded."""
    images = [name for name, feature in table.features.items() if isinstance(feature, datasets.Image)]
    if not images:
        raise DataError(f"'{source}' has no image column among {', '.join(table.features)}: expected a data set of images")
    if column is None and len(images) > 1:
        raise DataError(f"'{source}' has several image columns: name one of {', '.join(images)}")
    if column is not None and column not in images:
        raise DataError(f"'{source}' has no image column '{column}': expected one of {', '.join(images)}")
    chosen = column or images[0]
    return table.select_columns([chosen]).cast_column(chosen, datasets.Image(decode=False))
