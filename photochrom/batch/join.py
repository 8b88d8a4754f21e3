"""List the photographs of a bucket, each with what is known of it, by merging sorted listings: memory holds no list of keys.

Three listings run side by side: the photographs, the results, and the records of the manifest. Names are given as in folders:
those of two photographs whose results would have one name are told apart. Such photographs share all before the first dot of
their names, so that only they are held in memory at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Generic, Literal, TypeVar, final

from photochrom.batch.parts import Record
from photochrom.batch.plan import apart
from photochrom.batch.selection import LeftOut, Selection
from photochrom.batch.stores import Item
from photochrom.colorizer.file import beside as named_beside
from photochrom.colorizer.file import with_ending
from photochrom.errors import OptionError, OutputError
from photochrom.photo.formats import SUBSTITUTES, SUFFIXES, Format

Entry = TypeVar("Entry", Item, Record)


@dataclass(frozen=True)
class Pair:
    """A photograph of a bucket, the key of its result, and what is there of both."""

    source: Item
    target: str
    result: Item | None = None
    known: Record | None = None
    error: str | None = None
    """Why the photograph cannot have its result."""


@dataclass(frozen=True)
class Naming:
    """Say how results are named."""

    format: Format | None = None
    """What the results are named for; none keeps the names."""
    beside: bool = False
    """They lie beside the photographs, with a mark in their names."""
    same_place: bool = False
    """They go where the photographs are: none of these may be replaced."""


@dataclass(frozen=True)
class Share:
    """One of several equal shares of all photographs, chosen by their names, so that each process knows its own."""

    number: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Share:
        """Read ``I/N``.

        Raises:
            OptionError: it is not that, or I is not one of 1 to N.
        """
        number, _, count = text.partition("/")
        if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
            raise OptionError(f"part is '{text}': expected I/N, the I-th of N parts, with I from 1 to N (--part 1/8)")
        return cls(int(number), int(count))

    def has(self, group: str) -> bool:
        """Return whether the photographs of a group are in this share."""
        return self.count == 1 or int.from_bytes(hashlib.sha256(group.encode()).digest()[:8]) % self.count == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def pairs(
    sources: Iterable[Item],
    results: Iterable[Item],
    known: Iterable[Record],
    *,
    naming: Naming,
    share: Share = Share(),
) -> Iterator[Pair]:
    """Yield the photographs of a share, each with its result and its record; all three come sorted by key.

    Args:
        sources: the photographs.
        results: what is in the place of the results.
        known: records by the keys of the results.
        naming: how results are named.
        share: which photographs are ours.
    """
    there, records = _Ahead(results, lambda item: item.key), _Ahead(known, lambda record: record.output)
    for first, group, items in _groups(sources):
        if items and share.has(group):
            names = [item.key.rpartition("/")[2] for item in items]
            folder = group[: group.rfind("/") + 1]
            there.read(first, group)
            records.read(first, group)
            targets = apart([(name, _result(name, naming)) for name in names], beside=naming.beside)
            for item, target in zip(items, targets, strict=True):
                error = None
                if naming.same_place and target in names:
                    error = f"the result '{folder}{target}' would replace the photograph; choose another output"
                yield Pair(item, folder + target, there.take(folder + target), records.take(folder + target), error)
        if first == group:
            there.forget()
            records.forget()


def photographs(items: Iterable[Item], selection: Selection, left_out: LeftOut, *, leave: str | None = None) -> Iterator[Item]:
    """Yield what is a photograph in a listing, as in folders.

    Args:
        items: the listing.
        selection: patterns.
        left_out: gets the count of the others.
        leave: a folder of results inside, with a slash at its end.
    """

    @lru_cache(maxsize=256)  # the keys of a folder come one after the other
    def entered(folder: str) -> bool:
        return not folder or (entered(folder.rpartition("/")[0]) and selection.enters(folder, left_out))

    for item in items:
        if leave and item.key.startswith(leave):
            continue
        if entered(item.key.rpartition("/")[0]) and selection.takes(item.key, left_out):
            yield item


def settle(pair: Pair, source: str, *, recipe: str, overwrite: bool) -> Literal["kept", "skipped", "new", "replace", "look"]:
    """Decide what is to be done with a photograph; as in a folder, nothing is replaced that may have been retouched.

    Args:
        pair: the photograph and what is known of it.
        source: its address.
        recipe: of this run.
        overwrite: replace results that are not known to be ours.

    Returns:
        "kept" or "skipped" where all is done; "new" and "replace" where it is to be colored; "look" where what is stored
        beside the result has to say whether it is ours.

    Raises:
        OutputError: the result may not be replaced.
    """
    if pair.error:
        raise OutputError(pair.error)
    known, result = pair.known, pair.result
    written = known and known.sha256
    if known and known.read == pair.source.etag:
        if known.recipe == recipe and known.status == "skipped":
            return "skipped"
        if known.recipe == recipe and known.status == "colored" and result:
            if known.written == result.etag:
                return "kept"
            if known.written is None and known.before != result.etag and not overwrite:
                return "look"
    elif known and written and known.source != source and not overwrite:
        told = f"is the result of {known.source}; color them into two folders, or allow it to be replaced (--overwrite)"
        raise OutputError(told, path=pair.target)
    if result is None:
        return "new"
    if overwrite or (known and written and result.etag in (known.written, known.before)):
        return "replace"
    if known and written and known.written:
        raise OutputError(RETOUCHED, path=pair.target)
    return "look"


RETOUCHED = "was changed after it was written, perhaps retouched; move it away, or allow it to be replaced (--overwrite)"


def _result(name: str, naming: Naming) -> str:
    known = SUFFIXES.get(PurePosixPath(name).suffix.lower())
    format = naming.format or (SUBSTITUTES.get(known) if known else None)
    if format is None and not naming.beside:
        return name
    return (named_beside if naming.beside else with_ending)(Path(name), format).name


def _groups(items: Iterable[Item]) -> Iterator[tuple[str, str, list[Item]]]:
    """Yield the outermost open group, a group, and its photographs: these share a folder and all before the first dot."""
    open_groups: list[tuple[str, list[Item]]] = []
    for item in items:
        while open_groups and not item.key.startswith(open_groups[-1][0]):
            yield open_groups[0][0], *open_groups.pop()
        *folders, name = item.key.split("/")
        around = ""
        for folder in folders:
            # A folder may begin as a photograph does, like "a.d" and "a.jpg": the group around it is open first.
            if "." in folder and not any(group == f"{around}{folder.partition('.')[0]}." for group, _ in open_groups):
                open_groups.append((f"{around}{folder.partition('.')[0]}.", []))
            around += f"{folder}/"
        group = f"{around}{name.partition('.')[0]}."
        if not (open_groups and open_groups[-1][0] == group):
            open_groups.append((group, []))
        open_groups[-1][1].append(item)
    while open_groups:
        yield open_groups[0][0], *open_groups.pop()


@final
class _Ahead(Generic[Entry]):
    """Read a sorted listing as far as a group reaches, and hold what may belong to an open group."""

    def __init__(self, entries: Iterable[Entry], key_of: Callable[[Entry], str]) -> None:
        self._entries: Iterator[Entry] = iter(entries)
        self._key_of: Callable[[Entry], str] = key_of
        self._held: dict[str, Entry] = {}
        self._next: Entry | None = next(self._entries, None)

    def read(self, first: str, group: str) -> None:
        """Read to the end of a group; hold what begins as the outermost open group does."""
        end = f"{group[:-1]}/"  # the character behind the dot
        while self._next is not None and (key := self._key_of(self._next)) < end:
            if key.startswith(first):
                self._held[key] = self._next
            self._next = next(self._entries, None)

    def take(self, key: str) -> Entry | None:
        return self._held.pop(key, None)

    def forget(self) -> None:
        self._held.clear()
