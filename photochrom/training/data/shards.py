"""Find the shards of prepared photographs and read the photographs in them, without the training extra."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photochrom.errors import DataError, OptionError, one_line

Item = TypeVar("Item")
Split = Literal["test", "train", "val"]

SUFFIXES = (".jpg", ".jpeg", ".webp", ".png")


@dataclass(frozen=True)
class Member:
    """Point to one photograph inside a shard."""

    shard: Path
    name: str
    offset_bytes: int
    size_bytes: int

    def read(self) -> NDArray[np.uint8]:
        """Read the photograph as ``(H, W, 3)`` uint8 RGB.

        Raises:
            DataError: it cannot be decoded.
        """
        with self.shard.open("rb") as file:
            file.seek(self.offset_bytes)
            content = file.read(self.size_bytes)
        try:
            with Image.open(io.BytesIO(content)) as image:
                return np.asarray(image.convert("RGB"))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise DataError(
                f"{self.name} in {self.shard} cannot be decoded ({one_line(error)}); make the shard again"
            ) from error


def shards(data: Path | Sequence[Path], split: Split) -> dict[str, list[Path]]:
    """Find the shards of a split, by data set.

    Args:
        data: folders to search, however deep, and shards themselves.
        split: the first part of the shards' names: ``test-00.tar``.

    Returns:
        Sorted shards under the name of their folder, or its whole path where two folders have one name.

    Raises:
        DataError: a path does not exist or holds no such shards.
    """
    found: set[Path] = set()
    for path in [data] if isinstance(data, Path) else data:
        here = [path] if path.is_file() else sorted(path.rglob(f"{split}-*.tar"))
        if not here:
            got = "no shard" if path.is_dir() else "no folder"
            raise DataError(f"{path}: {got} named {split}-*.tar is here; expected a folder made by `photochrom prepare`")
        found.update(shard.resolve() for shard in here)
    folders: dict[Path, list[Path]] = {}
    for shard in sorted(found):
        folders.setdefault(shard.parent, []).append(shard)
    named = {folder.name: inside for folder, inside in folders.items()}
    return named if len(named) == len(folders) else {str(folder): inside for folder, inside in folders.items()}


def members(paths: Sequence[Path], *, limit: int | None = None) -> list[Member]:
    """List the photographs in shards, in the order of the shards.

    Args:
        paths: uncompressed tar files.
        limit: the most to list, spread evenly over all.

    Raises:
        DataError: a shard cannot be read, or there is no photograph in any.
        OptionError: the limit is below 1.
    """
    if limit is not None and limit < 1:
        raise OptionError(f"a limit of {limit} photographs leaves nothing to do; give 1 or more")
    listed: list[Member] = []
    for path in paths:
        try:
            with tarfile.open(path, "r:") as tar:
                inside = [info for info in tar if info.isfile() and info.name.lower().endswith(SUFFIXES)]
        except (tarfile.TarError, OSError) as error:
            raise DataError(
                f"{path} is not a readable shard ({one_line(error)}); expected one made by `photochrom prepare`"
            ) from error
        listed += [Member(path, info.name, info.offset_data, info.size) for info in inside]
    if not listed:
        raise DataError(f"{', '.join(map(str, paths))}: no photograph ({', '.join(SUFFIXES)}) inside; prepare the data again")
    return evenly(listed, limit)


def evenly(items: Sequence[Item], limit: int | None) -> list[Item]:
    """Pick at most `limit` items, spread evenly over all; every item where the limit is None."""
    if limit is None or limit >= len(items):
        return list(items)
    return [items[index * len(items) // limit] for index in range(limit)]
