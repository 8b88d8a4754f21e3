"""Read a file, and write one whole or not at all."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from photochrom.errors import OutputError, PhotoError

if sys.platform != "win32":
    import fcntl

DRAFT = re.compile(r"\.photochrom-(\d+)-[0-9a-f]{16}\.part")
"""Names of files that are being written: the process, and a random number."""

Announce = Callable[[Path], None]


@dataclass(frozen=True)
class Stamp:
    """Tell one state of a file from another."""

    size: int
    mtime_ns: int
    sha256: str


def contents(path: Path) -> bytes:
    """Read a photograph's file.

    Raises:
        PhotoError: it is missing, unreadable, or no regular file.
    """
    try:
        _check_regular(path, path.stat())
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a name that no system takes
        reason = getattr(error, "strerror", None) or str(error)
        raise PhotoError(f"cannot be read ({reason}); check the path and its permissions", path=path) from error


def save(data: bytes, path: Path, *, overwrite: bool = False, announce: Announce | None = None) -> None:
    """Write a file whole or not at all; raises as ``drafted`` does."""
    with drafted(path, overwrite=overwrite, announce=announce) as draft:
        draft.write_bytes(data)


@contextmanager
def drafted(path: Path, *, overwrite: bool = False, announce: Announce | None = None) -> Iterator[Path]:
    """Return a place beside a target to write to; the file written there then takes the target's name.

    Without ``overwrite`` an existing target stays, even one that came into being meanwhile. The draft is locked as long as it
    is in use: what a killed program left behind can be told from it, and is removed by ``sweep``.

    Args:
        path: the target, in a folder that exists.
        overwrite: replace a target that exists.
        announce: called with the draft when that is whole and on the disk; what it raises leaves the target as it was.

    Raises:
        OutputError: the target exists and may not be overwritten, or its folder cannot be written.
    """
    draft = path.parent / f".photochrom-{os.getpid()}-{os.urandom(8).hex()}.part"
    try:
        with draft.open("xb") as held:
            with suppress(OSError):  # a file system without locks: there, sweep leaves every draft alone
                hold(held)
            yield draft
            os.fsync(held.fileno())
            if sys.platform == "win32":
                held.close()  # which renames no open file
            if announce:
                announce(draft)
            if overwrite:
                draft.replace(path)
            else:
                _rename_new(draft, path)
    except FileExistsError as error:
        raise OutputError("exists already; choose another name, or allow it to be replaced (--overwrite)", path=path) from error
    except OSError as error:
        raise OutputError(f"cannot be written ({error.strerror}); choose another place", path=path) from error
    finally:
        _remove(draft)


def sweep(folder: Path, *, own: bool = False) -> None:
    """Remove the drafts in a folder that killed programs left, and none that is being written.

    Args:
        folder: may be missing.
        own: remove those of this process instead, whether they are being written or not.
    """
    try:
        with os.scandir(folder) as entries:
            drafts = [(folder / entry.name, int(match[1])) for entry in entries if (match := DRAFT.fullmatch(entry.name))]
    except OSError:
        return  # whoever writes to the folder says what is wrong with it
    for draft, process in drafts:
        if process == os.getpid() if own else _abandoned(draft):
            _remove(draft)


def hold(file: IO[Any]) -> bool:
    """Lock an open file until it is closed; False where another program holds it. Windows needs no lock, and has none here.

    Raises:
        OSError: the file system has no locks.
    """
    if sys.platform != "win32":
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def stamp(path: Path, *, known: Stamp | None = None, verify: bool = False) -> Stamp:
    """Take a file's stamp; its contents are hashed only where size or time differ from what is known, or to verify them.

    Raises:
        PhotoError: it is missing, unreadable, or no regular file.
    """
    try:
        found = path.stat()
        _check_regular(path, found)
        if known and not verify and (found.st_size, found.st_mtime_ns) == (known.size, known.mtime_ns):
            return known
        with path.open("rb") as file:
            return Stamp(found.st_size, found.st_mtime_ns, hashlib.file_digest(file, "sha256").hexdigest())
    except OSError as error:
        raise PhotoError(f"cannot be read ({error.strerror}); check the path and its permissions", path=path) from error


def digest(path: Path) -> str:
    """Return the SHA-256 of a file; raises PhotoError where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise PhotoError(f"cannot be read ({error.strerror}); check the path and its permissions", path=path) from error


def make_folder(folder: Path) -> None:
    """Make a folder and those above it; raises OutputError where that is not possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot be made a folder ({error.strerror}); choose another output", path=folder) from error


def refuse_existing(target: Path, *, overwrite: bool) -> None:
    """Raise OutputError where a target exists and may not be overwritten."""
    if not overwrite and os.path.lexists(target):
        raise OutputError("exists already; choose another name, or allow it to be replaced (--overwrite)", path=target)


def is_folder(path: Path) -> bool:
    """Return whether a path leads to a folder, without an error where that cannot be told."""
    try:
        return path.is_dir()
    except OSError:  # a name too long, a folder above that is closed: whoever opens the path says so
        return False


def same_file(first: Path, second: Path) -> bool:
    """Return whether two paths lead to one existing file, by whatever names or links."""
    try:
        return first.samefile(second)
    except OSError:
        return False


def _check_regular(path: Path, found: os.stat_result) -> None:
    if stat.S_ISFIFO(found.st_mode):
        raise PhotoError("is a named pipe; read it as standard input (photochrom colorize - -o FILE < PIPE)", path=path)
    if not stat.S_ISREG(found.st_mode):
        what = "a folder" if stat.S_ISDIR(found.st_mode) else "neither a file nor a folder"
        raise PhotoError(f"is {what}; give a photograph", path=path)


def _rename_new(draft: Path, path: Path) -> None:
    try:
        os.link(draft, path)
    except FileExistsError:
        raise
    except OSError:
        # A file system without links: an empty file holds the name until the draft takes its place.
        path.open("xb").close()
        try:
            draft.replace(path)
        except OSError:
            _remove(path)
            raise


def _abandoned(draft: Path) -> bool:
    if sys.platform == "win32":
        return True  # no open file is removed there
    try:
        with draft.open("r+b") as file:
            return hold(file)
    except OSError:
        return False  # it is gone by now, belongs to somebody else, or lies where there are no locks


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return  # the folder itself is gone or closed, which the error on its way says already
