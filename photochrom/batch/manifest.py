"""Remember what became of every photograph of a folder: a log of JSON lines that is only ever added to.

A result's line is on the disk before the result has its name, and the result itself before its line: whenever a run is killed,
or the machine loses its power, a line without its result is done anew, and there is no result without a line. The last line of
a photograph counts. In memory, a line takes 16 bytes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import threading
from array import array
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any, Literal, final

import numpy as np

from photochrom.errors import OutputError, one_line
from photochrom.files import Stamp, hold

NAME = ".photochrom.jsonl"
"""Hidden: it belongs to the folder, goes where that goes, and is no photograph to look at."""

PIECE = 4096
"""Bytes that are read at once: more than nearly all lines have."""


@dataclass(frozen=True)
class Record:
    """Say what became of a photograph; a line of the manifest."""

    output: str
    """Path of the result, from the manifest's folder on; no two photographs share it."""
    source: str
    """Path of the photograph, seen from the manifest's folder."""
    status: Literal["colored", "skipped", "failed"]
    recipe: str
    """Key of the line that names the model and the settings."""
    judgement: str | None = None
    error: str | None = None
    read: Stamp | None = None
    """The photograph; none where it could not be read."""
    written: Stamp | None = None
    """The result, also an older one that a photograph kept which is skipped or fails now."""


@final
class Manifest:
    """Hold the manifest of a folder, alone; safe to share between threads. Nothing is on the disk before the first line."""

    def __init__(self, folder: Path) -> None:
        """Read the manifest, if there is one.

        Raises:
            OutputError: it cannot be read, or another run is at work in the folder.
        """
        self.path = folder / NAME
        self._lock, self._sync_lock = threading.Lock(), threading.Lock()
        self._added = self._synced = 0
        self._recipes: set[str] = set()
        self._hashes = self._offsets = np.zeros(0, np.int64)
        self._end = 0
        self._file: FileIO | None = None
        try:
            self._file = self._open()
            self._read(self._file)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise OutputError(f"cannot be read ({error.strerror}); check its permissions", path=self.path) from error

    def find(self, output: str) -> Record | None:
        """Give what an earlier run recorded; what this one adds is not looked up."""
        return next(self._all(output), None)

    def wrote(self, output: str, found: Stamp) -> bool:
        """Tell whether a result is as some earlier run wrote it, also one before the last, which may have been killed."""
        return any(record.written and record.written.sha256 == found.sha256 for record in self._all(output))

    def add(self, record: Record, settings: dict[str, object], *, sync: bool = True) -> None:
        """Add a line, after one with the settings where its recipe is new here.

        Args:
            record: the line.
            settings: what the recipe stands for.
            sync: wait until the line is on the disk. Threads that wait at the same time share one wait.

        Raises:
            OutputError: it cannot be written; the manifest is then as it was.
        """
        fields = {key: value for key, value in dataclasses.asdict(record).items() if value is not None}
        try:
            with self._lock:
                lines = [] if record.recipe in self._recipes else [{"recipe": record.recipe, **settings}]
                data = "".join(json.dumps(line) + "\n" for line in [*lines, fields]).encode()
                if self._file is None:
                    self._file = self._make()
                self._append(self._file, data)
                self._recipes.add(record.recipe)
                self._added += 1
                number = self._added
            with self._sync_lock:
                if sync and self._synced < number:
                    reached = self._added
                    os.fsync(self._file.fileno())
                    self._synced = reached
        except OSError as error:
            reason = error.strerror or one_line(error)
            raise OutputError(f"cannot be written ({reason}); choose another place", path=self.path) from error

    def close(self) -> None:
        """Let go of the file; what is added afterwards is refused."""
        with self._lock, self._sync_lock:
            if self._file:
                self._file.close()

    # The file is not buffered: what a full disk refused must not be tried again behind our back.
    def _open(self) -> FileIO:
        try:
            file = self.path.open("r+b", buffering=0)
        except PermissionError:
            file = self.path.open("rb", buffering=0)  # enough where all is done
        self._claim(file)
        return file

    def _make(self) -> FileIO:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = self.path.open("x+b", buffering=0)
        except FileExistsError:
            raise self._taken() from None
        self._claim(file)
        return file

    def _claim(self, file: FileIO) -> None:
        with suppress(OSError):  # a file system without locks: two runs at a time are the user's to avoid there
            if not hold(file):
                file.close()
                raise self._taken()

    def _taken(self) -> OutputError:
        return OutputError(
            "another run is at work there; wait until it has ended, or choose another output", path=self.path.parent
        )

    def _read(self, file: FileIO) -> None:
        """Index the lines; one that is damaged counts as never written, and a torn last one is taken off."""
        hashes, offsets = array("q"), array("q")
        with self.path.open("rb") as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    if file.writable():
                        file.truncate(self._end)
                    break
                table = _table(line)
                if "output" in table:
                    hashes.append(hash(table["output"]))
                    offsets.append(self._end)
                elif "recipe" in table:
                    self._recipes.add(str(table["recipe"]))
                self._end += len(line)
        self._hashes, self._offsets = (np.array(numbers, np.int64) for numbers in (hashes, offsets))
        order = np.argsort(self._hashes, kind="stable")
        self._hashes, self._offsets = self._hashes[order], self._offsets[order]

    def _all(self, output: str) -> Iterator[Record]:
        """Give what earlier runs recorded of a photograph, the last line first."""
        place = int(np.searchsorted(self._hashes, key := hash(output), side="right")) - 1
        while place >= 0 and self._hashes[place] == key:
            record = _record(_table(self._line(int(self._offsets[place]))))
            if record and record.output == output:
                yield record
            place -= 1

    def _line(self, offset: int) -> bytes:
        parts: list[bytes] = []
        with self._lock:
            assert self._file is not None
            self._file.seek(offset)
            while part := self._file.read(PIECE):
                parts.append(part)
                if b"\n" in part:
                    break
        return b"".join(parts).partition(b"\n")[0]

    def _append(self, file: FileIO, data: bytes) -> None:
        file.seek(self._end)
        try:
            written = 0
            while written < len(data):
                written += file.write(data[written:]) or 0
        except OSError:
            with suppress(OSError):  # where not even this is possible, the next run takes the rest for a torn line
                file.truncate(self._end)
            raise
        self._end += len(data)


def recipe_of(settings: dict[str, object]) -> str:
    """Name a model and settings by a hash of 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def _table(line: bytes) -> dict[str, Any]:
    """Parse a line; empty for one that is damaged."""
    try:
        table = json.loads(line)
    except ValueError:
        return {}
    return table if isinstance(table, dict) else {}


def _record(table: dict[str, Any]) -> Record | None:
    """Make a record of a parsed line; none of one that is none."""
    fields = {field.name: table[field.name] for field in dataclasses.fields(Record) if field.name in table}
    try:
        return Record(**fields | {name: Stamp(**fields[name]) for name in ("read", "written") if name in fields})
    except TypeError:  # something is missing
        return None
