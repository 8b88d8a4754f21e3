"""Read the official split lists of a data set: which photograph is to train, which to validate, which to test on."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from photochrom.errors import DataError, one_line
from photochrom.training.data.sources import SPLITS, Source

_NAMED = re.compile(r"(?:^|[._-])(train|dev|val|validation|test)(?:images)?\.txt$", re.IGNORECASE)
_SPLITS = {
    "train": "train",
    "restval": "train",
    "dev": "validation",
    "val": "validation",
    "validation": "validation",
    "test": "test",
}


def read_lists(paths: Sequence[Path]) -> dict[str, str]:
    """Read the split of each photograph, by its file name without the suffix.

    Three kinds are known: text files with a name or number a line whose own names end in train, dev, val or test (Flickr8k's
    ``Flickr_8k.trainImages.txt``, Flickr30k Entities' ``train.txt``); JSON files with ``images`` of a ``filename`` and a
    ``split`` each (Karpathy's ``dataset_flickr30k.json``); and zips of these, where other files are passed over.

    Raises:
        DataError: a file is missing or of another kind, or a photograph stands in two splits.
    """
    found: dict[str, str] = {}
    for path in paths:
        before = len(found)
        for name, split in _entries(path):
            if found.setdefault(name, split) != split:
                raise DataError(f"'{path}' has '{name}' in {split}, another list in {found[name]}: give one set of lists")
        if len(found) == before:
            raise DataError(
                f"'{path}' lists no photographs: expected NAME.train.txt, .dev.txt, .val.txt or .test.txt with a name a line, "
                "a Karpathy JSON, or a zip of these"
            )
    return found


def take_listed(source: Source, lists: Mapping[str, str]) -> Source:
    """Keep the photographs that stand in a list, each in its split; the others count as ignored.

    Raises:
        DataError: none of them does.
    """
    splits = [(member, lists.get(PurePosixPath(member.name).stem)) for member in source.members]
    members = [replace(member, split=split) for member, split in splits if split]
    if not members:
        raise DataError(
            f"none of the {len(source.members)} photographs stands in the lists, '{source.members[0].name}' for one: "
            "give the lists of this data set"
        )
    members.sort(key=lambda member: (SPLITS.index(member.split or ""), member.name))
    return replace(source, members=members, ignored=source.ignored + len(splits) - len(members))


def _entries(path: Path) -> Iterator[tuple[str, str]]:
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    if not name.startswith("__MACOSX/") and _is_list(name):
                        yield from _parsed(name, archive.read(name))
        else:
            yield from _parsed(path.name, path.read_bytes())
    except (OSError, zipfile.BadZipFile, ValueError, KeyError, TypeError) as error:
        raise DataError(f"cannot read the split list '{path}': {one_line(error)}; fetch it again") from error


def _is_list(name: str) -> bool:
    return bool(_NAMED.search(PurePosixPath(name).name)) or name.endswith(".json")


def _parsed(name: str, content: bytes) -> Iterator[tuple[str, str]]:
    text = content.decode("utf-8")
    named = _NAMED.search(PurePosixPath(name).name)
    if named:
        split = _SPLITS[named[1].lower()]
        yield from ((PurePosixPath(line.strip()).stem, split) for line in text.splitlines() if line.strip())
    elif name.endswith(".json"):
        for image in json.loads(text)["images"]:
            yield PurePosixPath(image["filename"]).stem, _SPLITS[image["split"]]
