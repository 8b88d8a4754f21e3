"""Read a photograph's file, tell its format, and write a file whole or not at all."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Literal, get_args

from photochrom.errors import OutputError, PhotoError

if sys.platform != "win32":
    import fcntl

Format = Literal["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "BMP", "PNM"]
"""What is read and written."""
Kind = Literal["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "BMP", "PNM", "GIF", "HEIC", "JPEG 2000"]
"""What is read."""
FORMATS: tuple[Format, ...] = get_args(Format)

SUBSTITUTES: dict[Kind, Format] = {"GIF": "PNG", "HEIC": "JPEG", "JPEG 2000": "PNG"}
"""What is written for a photograph of a kind that is read only: PNG holds what a palette and JPEG 2000 hold, HEIC is lossy."""

SUFFIXES: dict[str, Kind] = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG"),
    ".png": "PNG",
    ".webp": "WEBP",
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    ".avif": "AVIF",
    ".bmp": "BMP",
    **dict.fromkeys((".ppm", ".pgm", ".pbm", ".pnm"), "PNM"),
    ".gif": "GIF",
    **dict.fromkeys((".heic", ".heif"), "HEIC"),
    **dict.fromkeys((".jp2", ".j2k", ".jpf", ".jpx"), "JPEG 2000"),
}
"""File name endings that are read; the first of each format is the one to give a new file."""

SIGNATURES: dict[bytes, Kind] = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    **dict.fromkeys((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), "TIFF"),
    **dict.fromkeys((b"GIF87a", b"GIF89a"), "GIF"),
    **dict.fromkeys((b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"), "JPEG 2000"),
    **dict.fromkeys((b"P%d" % number for number in range(1, 7)), "PNM"),
    b"BM": "BMP",
}
HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})

DRAFT = re.compile(r"\.photochrom-(\d+)-[0-9a-f]{16}\.part")
"""Names of files that are being written: the process, and a random number."""

Announce = Callable[[Path], None]


def contents(path: Path) -> bytes:
    """Read a photograph's file.

    Raises:
        PhotoError: it is missing, unreadable, or no regular file.
    """
    try:
        if path.exists() and not path.is_file():
            what = "a folder" if path.is_dir() else "neither a file nor a folder"
            raise PhotoError(f"{path}: is {what}; give a photograph")
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a name that no system takes
        reason = getattr(error, "strerror", None) or str(error)
        raise PhotoError(f"{path}: cannot be read ({reason}); check the path and its permissions") from error


def kind_of(data: bytes) -> Kind | None:
    """Tell the format of a file by its first bytes; none for one that is not read."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":  # the main brand, a version, then all that the file is compatible with (ISO 14496-12, 4.3)
        brands = {data[place : place + 4] for place in (8, *range(16, min(int.from_bytes(data[:4]), 256), 4))}
        if brands & {b"avif", b"avis"}:
            return "AVIF"
        return "HEIC" if brands & HEIC_BRANDS else None
    return next((kind for head, kind in SIGNATURES.items() if data.startswith(head)), None)


def unknown(data: bytes) -> str:
    """Say what a file of no known format is, and what to do."""
    if not data:
        return "the file is empty; restore it from a good copy"
    *names, last = get_args(Kind)
    return f"not a photograph of a known kind; {', '.join(names)} and {last} are read, so convert it to one of them first"


def ending(format: Format) -> str:
    """Give the ending that a new file of a format gets."""
    return next(suffix for suffix, kind in SUFFIXES.items() if kind == format)


def save(data: bytes, path: Path, *, overwrite: bool = False, announce: Announce | None = None) -> None:
    """Write a file whole or not at all; raises as ``drafted`` does."""
    with drafted(path, overwrite=overwrite, announce=announce) as draft:
        draft.write_bytes(data)


@contextmanager
def drafted(path: Path, *, overwrite: bool = False, announce: Announce | None = None) -> Iterator[Path]:
    """Give a place beside a target to write to; the file written there then takes the target's name.

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
        raise OutputError(f"{path}: exists already; choose another name, or allow it to be replaced (--overwrite)") from error
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}); choose another place") from error
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


def is_folder(path: Path) -> bool:
    """Tell whether a path leads to a folder, without an error where that cannot be told."""
    try:
        return path.is_dir()
    except OSError:  # a name too long, a folder above that is closed: whoever opens the path says so
        return False


def same_file(first: Path, second: Path) -> bool:
    """Tell whether two paths lead to one existing file, by whatever names or links."""
    try:
        return first.samefile(second)
    except OSError:
        return False


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
