"""Read a photograph's file, tell its format, and write a file whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, get_args

from photochrom.errors import OutputError, PhotoError

Format = Literal["JPEG", "PNG", "WEBP", "TIFF"]
FORMATS: tuple[Format, ...] = get_args(Format)

SUFFIXES: dict[str, Format] = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG"),
    ".png": "PNG",
    ".webp": "WEBP",
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
}
"""File name endings that are read and written; the first of each format is the one to give a new file."""

SIGNATURES: dict[bytes, Format] = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    **dict.fromkeys((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), "TIFF"),
}
OTHERS = {b"GIF8": "a GIF", b"BM": "a BMP", b"\0\0\0\x0cjP": "a JPEG 2000"}


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


def kind_of(data: bytes) -> Format | None:
    """Tell the format of a file by its first bytes; none for one that is not read."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    return next((kind for head, kind in SIGNATURES.items() if data.startswith(head)), None)


def unknown(data: bytes) -> str:
    """Say what a file of no known format is, and what to do."""
    if not data:
        return "the file is empty; restore it from a good copy"
    what = next((kind for head, kind in OTHERS.items() if data.startswith(head)), "not a photograph of a known kind")
    if data[4:8] == b"ftyp":
        what = "an AVIF" if data[8:12] in (b"avif", b"avis") else "a HEIC"
    return f"{what}; JPEG, PNG, WebP and TIFF are read, so convert it to one of them first"


def save(data: bytes, path: Path, *, overwrite: bool = False) -> None:
    """Write a file beside its target, then give it the target's name.

    Without ``overwrite`` an existing target stays, even one that came into being while this function ran.

    Raises:
        OutputError: the target exists and may not be overwritten, or its folder cannot be written.
    """
    draft = path.parent / f".photochrom-{os.urandom(8).hex()}.part"
    try:
        with draft.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
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


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return  # the folder itself is gone or closed, which the error on its way says already
