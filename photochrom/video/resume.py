"""Keep finished work on a film beside its target, so that a killed run continues where it was.

The hidden folder of a target holds a manifest of what the work rests on, and a file for each finished segment: encoded packets,
then what the next segment takes over, then an index and its checksum. A segment's file gets its name when it is whole and on
the disk; those that do not follow on each other, or were made otherwise, count for nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, final

from photochrom.errors import OutputError
from photochrom.files import Stamp, hold

MANIFEST = "manifest.json"
TAIL = struct.Struct("<QI")
"""Length and checksum of a segment's index, at the end of its file."""


@dataclass(frozen=True)
class Index:
    """Index of a segment's file."""

    sizes: tuple[int, ...]
    """Bytes of each packet, in the order of decoding."""
    places: tuple[int, ...]
    """Which frame of the segment each packet is."""
    keys: tuple[bool, ...]
    """Whether decoding can begin with it."""
    times: tuple[int, ...]
    """Time stamp of each frame, in the order of showing."""
    lengths: tuple[int, ...]
    """How long each is shown."""
    extradata: str
    """What the encoder says once for all packets, in hexadecimal digits."""
    kept: int
    """Frames that were in color already."""
    carried: int
    """Bytes of what the next segment takes over; 0 for none."""
    checksum: int
    """CRC-32 of the packets and of that."""


@dataclass(frozen=True)
class Segment:
    """What is to be remembered of a finished segment; its index is as long as the segment."""

    frames: int
    kept: int
    """Frames that were in color already."""
    end: int
    """When its last frame has been shown."""
    delay: int
    """How many packets a frame can come later than those shown after it."""
    extradata: str
    """What its encoder says once for all packets, in hexadecimal digits."""


@dataclass(frozen=True)
class Chunk:
    """One encoded frame."""

    data: bytes
    place: int
    key: bool


@final
class Draft:
    """Write one segment; ``finish`` gives it its name."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._draft = path.with_suffix(".part")
        self._file = self._draft.open("wb")
        self._checksum = 0
        self._sizes: list[int] = []
        self._places: list[int] = []
        self._keys: list[bool] = []

    def add(self, chunk: Chunk) -> None:
        """Append a packet."""
        self._write(chunk.data)
        self._sizes.append(len(chunk.data))
        self._places.append(chunk.place)
        self._keys.append(chunk.key)

    def finish(self, *, times: list[int], lengths: list[int], extradata: bytes, kept: int, carried: bytes) -> None:
        """Write the segment to the disk under its name."""
        self._write(carried)
        index = Index(
            sizes=tuple(self._sizes),
            places=tuple(self._places),
            keys=tuple(self._keys),
            times=tuple(times),
            lengths=tuple(lengths),
            extradata=extradata.hex(),
            kept=kept,
            carried=len(carried),
            checksum=self._checksum,
        )
        text = json.dumps(asdict(index)).encode("ascii")
        self._file.write(text + TAIL.pack(len(text), zlib.crc32(text)))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._draft.replace(self._path)

    def close(self) -> None:
        """Close the file, finished or not."""
        with suppress(OSError):  # a full disk has been told of by the write that met it
            self._file.close()

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._checksum = zlib.crc32(data, self._checksum)


@final
class Work:
    """The unfinished work on one target, locked against other runs."""

    def __init__(self, target: Path, settings: dict[str, Any]) -> None:
        """Open the work on a target; start over if it was started with other settings.

        Args:
            target: the film to be written.
            settings: all that the result depends on, of JSON's types.

        Raises:
            OutputError: the folder cannot be made, or another run is at work in it.
        """
        self.folder = folder_of(target)
        self._settings: dict[str, Any] = json.loads(json.dumps(settings))
        self._lock: IO[bytes] | None = None
        try:
            self.folder.mkdir(exist_ok=True)
            self._lock = (self.folder / "lock").open("ab")
            with suppress(OSError):  # a file system without locks: two runs at a time are the user's to avoid there
                if not hold(self._lock):
                    raise OutputError(f"{target}: another run is at work on it; wait for its end, or choose another name")
            before = self._manifest()
            if before.get("settings") != self._settings:
                self._clear()
                before = {}
            self.threads = int(before.get("threads") or os.cpu_count() or 1)
            self.written: Stamp | None = Stamp(**before["written"]) if before.get("written") else None
            self.looked: dict[str, Any] | None = before.get("looked")
            if not before:
                self._note()
        except OSError as error:
            self.close()
            raise OutputError(f"{target}: cannot be written ({error.strerror}); choose another place") from error
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Work:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Unlock the folder, which stays."""
        if self._lock:
            self._lock.close()

    def remove(self) -> None:
        """Remove the folder with all that is in it."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, number: int) -> Path:
        """Name the file of a segment."""
        return self.folder / f"{number:06}.segment"

    def announce(self, stamp: Stamp) -> None:
        """Note that the whole film is about to get its name."""
        self.written = stamp
        self._note()

    def note_look(self, looked: dict[str, Any]) -> None:
        """Note what a first look at the film found, of JSON's types."""
        self.looked = looked
        self._note()

    def done(self) -> list[Segment]:
        """Return the finished segments from the first on, and remove files that do not follow them."""
        found: list[Segment] = []
        while (index := read_index(self.path(len(found)))) is not None:
            found.append(_segment(index))
        for path in self.folder.glob("*.segment"):
            if path not in {self.path(number) for number in range(len(found))}:
                path.unlink()
        for path in self.folder.glob("*.part"):
            path.unlink()
        return found

    def finished(self, number: int) -> Segment:
        """Return a segment that was just written."""
        return _segment(self._index(number))

    def carried(self, number: int) -> bytes:
        """Read what a segment leaves for the next."""
        index = self._index(number)
        with self.path(number).open("rb") as file:
            file.seek(sum(index.sizes))
            return file.read(index.carried)

    def chunks(self, number: int) -> tuple[Index, Iterator[Chunk]]:
        """Read the packets of a segment."""
        index = self._index(number)

        def read() -> Iterator[Chunk]:
            with self.path(number).open("rb") as file:
                for size, place, key in zip(index.sizes, index.places, index.keys, strict=True):
                    yield Chunk(file.read(size), place, key)

        return index, read()

    def _index(self, number: int) -> Index:
        index = read_index(self.path(number))
        if index is None:
            raise OutputError(f"{self.path(number)}: was changed by another program; run it again to make a new one")
        return index

    def _manifest(self) -> dict[str, Any]:
        try:
            table = json.loads((self.folder / MANIFEST).read_bytes())
        except (FileNotFoundError, ValueError):
            return {}
        return table if isinstance(table, dict) else {}

    def _note(self) -> None:
        written = asdict(self.written) if self.written else None
        table = {"settings": self._settings, "threads": self.threads, "written": written, "looked": self.looked}
        draft = self.folder / f"{MANIFEST}.part"
        with draft.open("wb") as file:
            file.write(json.dumps(table, indent=1).encode())
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.folder / MANIFEST)

    def _clear(self) -> None:
        for path in self.folder.iterdir():
            if path.name != "lock":
                path.unlink()


def folder_of(target: Path) -> Path:
    """Name the folder of the work on a target."""
    return target.with_name(f".{target.name}.photochrom")


def read_index(path: Path) -> Index | None:
    """Read what is in a segment's file; none where it is missing or damaged."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(end - TAIL.size)
            length, checksum = TAIL.unpack(file.read())
            start = file.seek(end - TAIL.size - length)
            text = file.read(length)
            if zlib.crc32(text) != checksum:
                return None
            table: dict[str, Any] = json.loads(text)
            fields: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
            index = Index(**fields)
            file.seek(0)
            found, left = 0, start
            while left:
                part = file.read(min(left, 1 << 20))
                found, left = zlib.crc32(part, found), left - len(part)
            return index if found == index.checksum and sum(index.sizes) + index.carried == start else None
    except (OSError, ValueError, TypeError, struct.error):
        return None


def _segment(index: Index) -> Segment:
    return Segment(
        frames=len(index.times),
        kept=index.kept,
        end=index.times[-1] + index.lengths[-1],
        delay=max(order - place for order, place in enumerate(index.places)),
        extradata=index.extradata,
    )
