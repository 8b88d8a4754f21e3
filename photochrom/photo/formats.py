"""List the formats of photographs, and recognize them by first bytes and by suffix."""

from __future__ import annotations

from pathlib import PurePath
from typing import Literal, get_args

Format = Literal["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "BMP", "PNM"]
"""Formats that are read and written."""
Kind = Literal["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "BMP", "PNM", "GIF", "HEIC", "JPEG 2000"]
"""Formats that are read."""
FORMATS: tuple[Format, ...] = get_args(Format)

SUBSTITUTES: dict[Kind, Format] = {"GIF": "PNG", "HEIC": "JPEG", "JPEG 2000": "PNG"}
"""Formats that are written in place of those that are only read: PNG for lossless ones, JPEG for HEIC, which is lossy."""

SUFFIXES: dict[str, Kind] = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".jfi", ".mpo"), "JPEG"),
    ".png": "PNG",
    ".webp": "WEBP",
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    ".avif": "AVIF",
    **dict.fromkeys((".bmp", ".dib"), "BMP"),
    **dict.fromkeys((".ppm", ".pgm", ".pbm", ".pnm"), "PNM"),
    ".gif": "GIF",
    **dict.fromkeys((".heic", ".heif", ".hif"), "HEIC"),
    **dict.fromkeys((".jp2", ".j2k", ".jpf", ".jpx", ".jpc", ".j2c", ".jpm"), "JPEG 2000"),
}
"""Suffixes that are read; a new file gets the first one of its format."""

SEVERAL = frozenset({".mpo"})
"""Suffixes of files with several pictures; a result has one."""

RAW = (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FOVb", b"\0MRM", b"HEAPCCDR")
"""First bytes of camera raw files that are no TIFF."""
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


def kind_of(data: bytes) -> Kind | None:
    """Return the format of a file by its first bytes; None for a format that is not read."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":  # the main brand, a version, then all that the file is compatible with (ISO 14496-12, 4.3)
        brands = {data[place : place + 4] for place in (8, *range(16, min(int.from_bytes(data[:4]), 256), 4))}
        if brands & {b"avif", b"avis"}:
            return "AVIF"
        return "HEIC" if brands & HEIC_BRANDS else None
    return next((kind for head, kind in SIGNATURES.items() if data.startswith(head)), None)


def unknown(data: bytes) -> str:
    """Return a line that says what a file of no known format is, and what to do."""
    if not data:
        return "the file is empty; restore it from a good copy"
    if raw(data):
        return "camera raw is not read; develop it with a raw converter to TIFF or JPEG first"
    *names, last = get_args(Kind)
    return f"not a photograph of a known kind; {', '.join(names)} and {last} are read, so convert it to one of them first"


def raw(data: bytes) -> bool:
    """Return whether a file is camera raw by its first bytes; raw files that are TIFFs have only other tags."""
    return data[4:12] == b"ftypcrx " or data.startswith(RAW)


def suffix_of(path: PurePath, format: Format | None) -> str | None:
    """Return the suffix that a result of a format gets instead of its source's; None where the source's suffix is right.

    Args:
        path: the source, or a result that is named like it.
        format: what is written; None for the source's own format, or the one that stands for it.
    """
    own = path.suffix.lower()
    known = SUFFIXES.get(own)
    wanted = format or (SUBSTITUTES.get(known) if known else None) or next((each for each in FORMATS if each == known), None)
    return None if wanted is None or (wanted == known and own not in SEVERAL) else ending(wanted)


def ending(format: Format) -> str:
    """Return the suffix that a new file of a format gets."""
    return next(suffix for suffix, kind in SUFFIXES.items() if kind == format)
