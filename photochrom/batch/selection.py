"""Say which files of a folder or a bucket are photographs to color, and count those that are left out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import final

from photochrom.colorizer.file import MARK
from photochrom.photo.formats import SUFFIXES

THUMBNAILS = frozenset({"@eadir", ".@__thumb", ".thumbnails", ".thumb"})
"""Folders in which storage devices and viewers keep small copies of photographs, in lower case."""

SHOWN = 8
"""Endings that a line names, the most frequent first."""


@final
@dataclass
class LeftOut:
    """Count what a listing leaves out: files that are no photographs by their names, and folders of thumbnails."""

    files: Counter[str] = field(default_factory=Counter)
    """By their endings in lower case; nothing for a file without one."""
    folders: Counter[str] = field(default_factory=Counter)
    """Folders of thumbnails by their names."""

    @property
    def line(self) -> str:
        """Return everything in one line; nothing where nothing was left out."""
        parts = []
        if count := self.files.total():
            kinds = [f"{number:,} {ending or 'without an ending'}" for ending, number in self.files.most_common(SHOWN)]
            more = [f"{len(self.files) - SHOWN} more kinds"] if len(self.files) > SHOWN else []
            parts.append(f"{count:,} file{'s' * (count != 1)} of other kinds ({', '.join([*kinds, *more])})")
        if count := self.folders.total():
            parts.append(f"{count:,} folder{'s' * (count != 1)} of thumbnails ({', '.join(sorted(self.folders))})")
        return f"left out: {'; '.join(parts)}" if parts else ""


@dataclass(frozen=True)
class Selection:
    """Select photographs inside folders by patterns, with ``*``, ``?`` and ``[...]``; upper and lower case are the same.

    A pattern is compared with the name of a file and with its path from the folder that was named; ``*`` matches ``/`` too.
    """

    include: tuple[str, ...] = ()
    """Only files that match one of these; nothing includes all."""
    exclude: tuple[str, ...] = ()
    """No file and no folder that matches one of these."""

    def takes(self, path: str, left_out: LeftOut) -> bool:
        """Return whether a file is a photograph to color, and count it where it is of another kind.

        Args:
            path: from the folder that was named, with ``/``.
            left_out: gets what is no photograph by its name; hidden files, results and what the patterns leave are not counted.
        """
        name = path.rpartition("/")[2]
        if name.startswith(".") or _matches(path, self.exclude) or (self.include and not _matches(path, self.include)):
            return False
        if ending_of(name) not in SUFFIXES:
            left_out.files[ending_of(name)] += 1
            return False
        return is_photograph(name)

    def enters(self, path: str, left_out: LeftOut) -> bool:
        """Return whether a folder is entered: not a hidden one, one of thumbnails, or one that is excluded."""
        name = path.rpartition("/")[2]
        if name.lower() in THUMBNAILS:
            left_out.folders[name] += 1
            return False
        return not name.startswith(".") and not _matches(path, self.exclude)


def is_photograph(name: str) -> bool:
    """Return whether a name is that of a photograph: with an ending that is read, not hidden, and not a result's."""
    return ending_of(name) in SUFFIXES and not name.startswith(".") and not name.rpartition(".")[0].endswith(MARK)


def ending_of(name: str) -> str:
    """Return what follows the last dot of a name, in lower case with the dot; nothing without one."""
    stem, dot, ending = name.rpartition(".")
    return dot + ending.lower() if stem else ""


def _matches(path: str, patterns: tuple[str, ...]) -> bool:
    lower = path.lower()
    name = lower.rpartition("/")[2]
    return any(fnmatchcase(lower, pattern) or fnmatchcase(name, pattern) for pattern in map(str.lower, patterns))
