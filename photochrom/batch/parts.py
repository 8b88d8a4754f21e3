"""Remember what became of every photograph of a bucket: parts that are written once, and sorted runs that they are merged into.

A slice of photographs writes its part before its results, and once more behind them, then with the ETags of the results. So
there is no result without a line, whenever a process is killed. The last line of a photograph counts.
"""

from __future__ import annotations

import dataclasses
import heapq
import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from photochrom.batch.stores import Store

FOLDER = ".photochrom/"
"""What belongs to the runs into a place; hidden, and no photograph is looked for in it."""
PARTS, RUNS = f"{FOLDER}parts/", f"{FOLDER}runs/"

CHUNK = 50_000
"""Lines that are sorted in memory at once."""
READERS = 16
"""Parts that are read at once."""

Line = tuple[str, str, bytes]
"""The output, the name of the part, and the line itself: sorted so, the last line of an output comes last."""


@dataclass(frozen=True)
class Record:
    """Say what became of a photograph; a line of the manifest."""

    output: str
    """Key of the result, from the output's place on."""
    source: str
    """Address of the photograph."""
    status: Literal["colored", "skipped", "failed"]
    recipe: str
    """Key of the line that names the model and the settings."""
    judgement: str | None = None
    error: str | None = None
    read: str | None = None
    """ETag of the photograph."""
    sha256: str | None = None
    """Of the result, also an older one that a photograph kept which is skipped or fails now."""
    written: str | None = None
    """ETag of the result; None for a process that was killed before it knew."""
    before: str | None = None
    """ETag of the result that was to be replaced when such a process was killed."""


def new_name() -> str:
    """Return a new name for a part or a run; names sort by time."""
    return f"{time.time_ns():020d}-{os.urandom(6).hex()}.jsonl"


def write(store: Store, name: str, records: Sequence[Record], settings: dict[str, object]) -> None:
    """Write a part, or write it again; raises OutputError where it cannot be written."""
    lines: list[dict[str, Any]] = [{"recipe": records[0].recipe, **settings}]
    for record in records:
        fields = {key: value for key, value in dataclasses.asdict(record).items() if value is not None}
        lines.append(fields | {"part": name})
    store.put(PARTS + name, "".join(json.dumps(line) + "\n" for line in lines).encode())


def records(store: Store) -> Iterator[Record]:
    """Yield the last record of each output, sorted by output; memory holds ``CHUNK`` lines.

    Raises:
        PhotoError: the manifest cannot be read.
    """
    with TemporaryDirectory(prefix="photochrom-") as scratch:
        for _, line in _merged(store, _names(store), Path(scratch)):
            if record := _record(line):
                yield record


def compact(store: Store) -> tuple[int, int]:
    """Merge all parts and runs into one sorted run, which later runs read much faster; only while no run is at work there.

    Killed at any moment, no line is lost: what was merged is removed at the end, and a line that is there twice counts once.

    Returns:
        How many photographs the run has, and how many objects it takes the place of.

    Raises:
        PhotoError: the manifest cannot be read.
        OutputError: the run cannot be written.
    """
    names = _names(store)
    if len(names) < 2 and all(name.startswith(RUNS) for name in names):
        return 0, 0
    with TemporaryDirectory(prefix="photochrom-") as scratch:
        merged, count = Path(scratch, "merged"), 0
        settings: dict[str, bytes] = {}
        with merged.open("wb") as file:
            for _, line in _merged(store, names, Path(scratch), settings):
                file.write(line)
                count += 1
        head = b"".join(settings.values())
        run = Path(scratch, "run")
        with run.open("wb") as whole, merged.open("rb") as lines:
            whole.write(head)
            while block := lines.read(1 << 20):
                whole.write(block)
        store.put(RUNS + new_name(), run)
    for name in names:
        store.delete(name)
    return count, len(names)


def _names(store: Store) -> list[str]:
    found = []
    for item in store.list(after=PARTS):
        if not item.key.startswith(FOLDER):
            break
        if item.key.startswith((PARTS, RUNS)):
            found.append(item.key)
    return found


def _merged(
    store: Store, names: Sequence[str], scratch: Path, settings: dict[str, bytes] | None = None
) -> Iterator[tuple[str, bytes]]:
    """Yield the last line of each output, sorted; the lines of settings go into a table by their recipes."""
    settings = {} if settings is None else settings
    runs = [name for name in names if name.startswith(RUNS)]
    for number, name in enumerate(runs):
        store.fetch(name, scratch / f"run-{number}")
    files = [scratch / f"run-{number}" for number in range(len(runs))]
    lines: list[Line] = []
    for found in _lines_of_parts(store, [name for name in names if name.startswith(PARTS)], settings):
        lines.append(found)
        if len(lines) == CHUNK:
            files.append(_sorted(lines, scratch / f"part-{len(files)}"))
            lines = []
    lines.sort(key=itemgetter(0, 1))
    streams = [_parsed(path, settings) for path in files]
    every = heapq.merge(*streams, lines, key=itemgetter(0, 1))
    for output, same in groupby(every, key=itemgetter(0)):
        *_, (_, _, line) = same
        yield output, line


def _lines_of_parts(store: Store, names: Sequence[str], settings: dict[str, bytes]) -> Iterator[Line]:
    with ThreadPoolExecutor(READERS) as pool:
        for start in range(0, len(names), READERS):
            for found in pool.map(store.get, names[start : start + READERS]):
                yield from _each(found.data.splitlines(keepends=True), settings)


def _parsed(path: Path, settings: dict[str, bytes]) -> Iterator[Line]:
    with path.open("rb") as file:
        yield from _each(file, settings)


def _each(lines: Iterable[bytes], settings: dict[str, bytes]) -> Iterator[Line]:
    for line in lines:
        table = json.loads(line)
        if "output" in table:
            yield table["output"], table["part"], line
        else:
            settings[table["recipe"]] = line


def _sorted(lines: list[Line], path: Path) -> Path:
    lines.sort(key=itemgetter(0, 1))
    with path.open("wb") as file:
        file.writelines(line for _, _, line in lines)
    return path


def _record(line: bytes) -> Record | None:
    table = json.loads(line)
    try:
        return Record(**{field.name: table[field.name] for field in dataclasses.fields(Record) if field.name in table})
    except TypeError:  # of a later version: it counts as never written
        return None
