"""Read and write JPEG as marker segments and planes, so that no RGB picture is ever made.

A JPEG file stores luma as a plane of its own: it is decoded by itself, and encoded again beside two half-size planes of chroma.
What else the file carries lies in marker segments before the first scan (ITU-T T.81, annex B); they travel as bytes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

import numpy as np
import simplejpeg

from photochrom.color import Bytes
from photochrom.errors import OutputError, PhotoError
from photochrom.photo.photo import JPEG_QUALITY

Segment = tuple[bytes, bytes]
"""A marker (two bytes) and its payload, the length left out."""

START, SCAN, END, RESTART = b"\xff\xd8", b"\xff\xda", b"\xff\xd9", b"\xff\xdd"
APP0, APP1, APP2, APP13, APP14 = b"\xff\xe0", b"\xff\xe1", b"\xff\xe2", b"\xff\xed", b"\xff\xee"
COMMENT, TABLES = b"\xff\xfe", b"\xff\xdb"
DEAD_LINKS = re.compile(
    rb"""
      \s(?:hdrgm:\w+|G?Camera:(?:MotionPhoto|MicroVideo)\w*)\s*=\s*(?:"[^"]*"|'[^']*')
    | <(hdrgm:\w+|G?Camera:(?:MotionPhoto|MicroVideo)\w*|G?Container:Directory)\b[^>]*?(?:/>|>.*?</\1\s*>)
    """,
    re.VERBOSE | re.DOTALL,
)
"""What XMP says of a gain map or a film behind the picture: neither is written again."""

FRAMES = frozenset(bytes([0xFF, low]) for low in range(0xC0, 0xD0)) - {b"\xff\xc4", b"\xff\xc8", b"\xff\xcc"}
PROGRESSIVE = frozenset({b"\xff\xc2", b"\xff\xc6", b"\xff\xca", b"\xff\xce"})

JFIF = b"JFIF\0"
EXIF = b"Exif\0\0"
XMP = b"http://ns.adobe.com/xap/1.0/\0"
EXTENDED_XMP = b"http://ns.adobe.com/xmp/extension/\0"
ICC = b"ICC_PROFILE\0"

PAYLOAD = 65533
"""The most bytes that one segment holds: its length is 16 bits and counts itself."""

LOWEST_QUALITY = 75
"""Below it the encoder's steps for chroma are so coarse that new color shows as blocks, whatever the luma is."""

ROUGH = range(93, 96)
"""Qualities at which the encoder's fast transform (libjpeg-turbo takes it below 96) errs by as much as the steps are wide."""

BAND_PIXELS = 1 << 21
"""Pixels that are encoded at once, by a thread; the file depends on it, so that it is the same on every machine."""
THREADS = 4


@dataclass(frozen=True)
class Header:
    """What the segments before the first scan say."""

    height: int
    width: int
    bits: int
    """Bits per sample."""
    components: tuple[int, ...]
    """Their names in the file."""
    sampling: tuple[tuple[int, int], ...]
    """How many samples each has across and down where another may have fewer."""
    frame: bytes
    """The marker that says how the picture is coded."""
    inverted: bool
    """Whether ink is stored as its absence, as Adobe does."""
    luma_table: tuple[int, ...]
    """The 64 quantization steps of the first component, in zigzag order; empty where the file defines none in time."""
    segments: tuple[Segment, ...]
    scan: int
    """Where the marker of the first scan stands in the file; 0 where there is none."""


@dataclass(frozen=True)
class Carried:
    """What a JPEG file carries besides samples."""

    exif: bytes | None
    """A TIFF block, without JPEG's head."""
    xmp: bytes | None
    icc: bytes | None
    dpi: tuple[float, float] | None
    extras: tuple[Segment, ...]
    """Density, extended XMP, Photoshop's IPTC block and comments, for another JPEG only."""


def parse(data: bytes) -> Header:
    """Parse everything before the first scan.

    Raises:
        PhotoError: the segments break off or contradict each other.
    """
    segments, scan = _segments(data)
    frame = next(((marker, payload) for marker, payload in segments if marker in FRAMES), None)
    if frame is None or len(frame[1]) < 9 or len(frame[1]) < 6 + 3 * frame[1][5]:
        raise PhotoError("a damaged JPEG: its header breaks off; restore the file from a good copy")
    marker, payload = frame
    tables: dict[int, tuple[int, ...]] = {}
    for kind, body in segments:
        if kind == TABLES:
            tables.update(_tables(body))
    return Header(
        height=int.from_bytes(payload[1:3]),
        width=int.from_bytes(payload[3:5]),
        bits=payload[0],
        components=tuple(payload[6 : 6 + 3 * payload[5] : 3]),
        sampling=tuple((factors >> 4, factors & 15) for factors in payload[7 : 7 + 3 * payload[5] : 3]),
        frame=marker,
        inverted=any(kind == APP14 and body.startswith(b"Adobe") for kind, body in segments),
        luma_table=tables.get(payload[8], ()),
        segments=tuple(segments),
        scan=scan,
    )


def carried(segments: Iterable[Segment]) -> Carried:
    """Pick the segments that stay true for another picture of the same size.

    Adobe's APP14 would change the color transform; multi-picture and gain-map blocks point to bytes that are not written
    again, and a signature would no longer hold: these and all unknown ones stay behind.
    """
    exif = xmp = dpi = None
    profile: dict[int, bytes] = {}
    pieces = 0
    extras: list[Segment] = []
    for marker, payload in segments:
        if marker == APP0 and payload.startswith(JFIF) and len(payload) >= 12 and dpi is None:
            extras.append((marker, payload[:12] + b"\0\0"))  # without its thumbnail, which is grey
            dpi = _dpi(payload)
        elif marker == APP1 and payload.startswith(EXIF):
            exif = exif or payload[len(EXIF) :]
        elif marker == APP1 and payload.startswith(XMP):
            xmp = xmp or DEAD_LINKS.sub(b"", payload[len(XMP) :])
        elif marker == APP2 and payload.startswith(ICC) and len(payload) > len(ICC) + 2:
            number, pieces = payload[len(ICC)], payload[len(ICC) + 1]
            profile[number] = payload[len(ICC) + 2 :]
        elif marker in (APP13, COMMENT) or (marker == APP1 and payload.startswith(EXTENDED_XMP)):
            extras.append((marker, payload))
    whole = bool(profile) and sorted(profile) == list(range(1, pieces + 1))
    icc = b"".join(profile[number] for number in sorted(profile)) if whole else None
    density = dpi if dpi and min(dpi) > 0 else None
    return Carried(exif=exif, xmp=xmp, icc=icc, dpi=density, extras=tuple(extras))


def build(carried: Carried) -> list[Segment]:
    """Lay out segments in their legal order: JFIF, EXIF, XMP, ICC, the rest as it was.

    Raises:
        OutputError: EXIF or XMP is larger than one segment holds.
    """
    segments = [extra for extra in carried.extras if extra[0] == APP0][:1]
    if not segments and carried.dpi:
        x, y = (min(round(value), 65535).to_bytes(2) for value in carried.dpi)
        segments.append((APP0, JFIF + b"\x01\x01\x01" + x + y + b"\0\0"))
    for name, head, payload in (("EXIF", EXIF, carried.exif), ("XMP", XMP, carried.xmp)):
        if payload:
            if len(head) + len(payload) > PAYLOAD:
                limit = PAYLOAD - len(head)
                raise OutputError(
                    f"{len(payload)} bytes of {name} do not fit into JPEG, which holds {limit}; choose PNG or TIFF"
                )
            segments.append((APP1, head + payload))
    if carried.icc:
        step = PAYLOAD - len(ICC) - 2
        pieces = [carried.icc[start : start + step] for start in range(0, len(carried.icc), step)]
        segments += [(APP2, ICC + bytes([index, len(pieces)]) + piece) for index, piece in enumerate(pieces, 1)]
    return segments + [extra for extra in carried.extras if extra[0] != APP0]


def lay_out(segments: Iterable[Segment]) -> bytes:
    """Return segments as they lie in a file."""
    return b"".join(part for marker, payload in segments for part in (marker, (len(payload) + 2).to_bytes(2), payload))


def with_jfif(segments: list[Segment]) -> list[Segment]:
    """Insert JFIF's segment first where there is none: without it a decoder could take the samples for RGB."""
    first = segments[:1] and segments[0][0] == APP0
    return segments if first else [(APP0, JFIF + b"\x01\x01\0\0\x01\0\x01\0\0"), *segments]


def quality_of(table: tuple[int, ...]) -> int:
    """Choose the quality to write, so that luma survives and the file does not grow without need.

    The encoder's own tables at the source's quality give back the very steps that luma was quantized with, on the same grid:
    next to nothing changes, and nor does the size. From 93 to 95 that fails, since below 96 the encoder computes its transform
    fast and roughly, with errors as large as these steps; with another program's tables it fails too. A source as fine as
    quality 90 is then kept at 98, in a file of 1.3 to 2 times the size; for a coarser one the lowest quality is taken whose
    steps are nowhere coarser than the source's, 75 at least.

    Args:
        table: the source's 64 steps in zigzag order; an empty one, for a source that is not a JPEG, gives 98.
    """
    if len(table) != 64:
        return JPEG_QUALITY
    quality = fine_as(table)
    same = table == _luma_table(quality) and quality not in ROUGH
    return quality if same or sum(table) > sum(_luma_table(90)) else max(quality, JPEG_QUALITY)


def fine_as(table: tuple[int, ...]) -> int:
    """Return the lowest quality, 75 at least, at which none of the encoder's 64 steps for luma is coarser than the table's."""
    fine = (quality for quality in range(LOWEST_QUALITY, 100) if all(map(int.__le__, _luma_table(quality), table)))
    return next(fine, 100)


def shared(size: tuple[int, ...], full: tuple[int, ...]) -> tuple[int, int]:
    """Return how many rows and columns, 1 or 2, share a sample in a plane of a size; 2 where a side of 1 leaves it open."""
    down, across = (1 if part == whole > 1 else 2 for part, whole in zip(size, full, strict=True))
    return down, across


def encode(luma: Bytes, cb: Bytes, cr: Bytes, *, quality: int, segments: list[Segment]) -> bytes:
    """Encode planes as a baseline JPEG.

    Args:
        luma: ``(H, W)``.
        cb: each side as luma's or half of it, rounded up; 128 = no color.
        cr: the same.
        quality: 1 to 100, as libjpeg counts.
        segments: what ``build`` made; an APP0 comes first and replaces the encoder's.

    Raises:
        OutputError: the picture is too large for JPEG.
    """
    height, width = luma.shape
    if max(height, width) > 65500:
        raise OutputError(f"{width} x {height} pixels do not fit into JPEG, which takes 65500 a side; choose PNG or TIFF")
    high, wide = shared(cb.shape, luma.shape)
    if height % high or width % wide:
        # The encoder reads luma up to even sides, past the end of an odd plane, and takes a single row for another subsampling.
        luma = np.pad(luma, ((0, height % high), (0, width % wide)), "edge")
    luma, cb, cr = (np.ascontiguousarray(plane) for plane in (luma, cb, cr))
    # A restart makes coding forget what was before it, so the bands between restarts are coded side by side.
    across, down = -(-width // (8 * wide)), -(-height // (8 * high))
    band = max(1, min(BAND_PIXELS // (64 * high * wide), 65535) // across)

    def code(row: int) -> bytes:
        rows, halves = slice(8 * high * row, 8 * high * (row + band)), slice(8 * row, 8 * (row + band))
        stream: bytes = simplejpeg.encode_jpeg_yuv_planes(luma[rows], cb[halves], cr[halves], quality=quality)
        return stream

    if band >= down:
        streams = [code(0)]
    else:
        with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool:
            streams = list(pool.map(code, range(0, down, band)))
    return _joined(streams, (height, width), blocks=band * across, segments=with_jfif(segments))


def _joined(bands: list[bytes], size: tuple[int, int], *, blocks: int, segments: list[Segment]) -> bytes:
    """Join files of the same width, tables and number of blocks (but for the last one) as bands of a picture of a size."""
    tables = parse(bands[0]).segments
    scan = len(START) + len(lay_out(tables))
    coded = scan + len(SCAN) + int.from_bytes(bands[0][scan + 2 : scan + 4])
    for marker, payload in tables:
        if marker in FRAMES:
            segments = [*segments, (marker, payload[:1] + size[0].to_bytes(2) + size[1].to_bytes(2) + payload[5:])]
        elif marker != APP0:
            segments = [*segments, (marker, payload)]
    if len(bands) > 1:
        segments = [*segments, (RESTART, blocks.to_bytes(2))]
    parts = [START, lay_out(segments), bands[0][scan:-2]]
    for number, band in enumerate(bands[1:]):
        parts += [bytes([0xFF, 0xD0 + number % 8]), band[coded:-2]]
    return b"".join([*parts, END])


def _segments(data: bytes) -> tuple[list[Segment], int]:
    """List the segments before the first scan, and tell where that begins: 0 where there is none."""
    segments: list[Segment] = []
    position = 2
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            position += 1  # stray bytes between segments; the decoder reports them
            continue
        marker = data[position : position + 2]
        if marker == b"\xff\xff":
            position += 1  # a fill byte (T.81, B.1.1.2)
            continue
        if marker in (SCAN, END):
            return segments, position if marker == SCAN else 0
        if marker[1] in (0x00, 0x01) or 0xD0 <= marker[1] <= 0xD8:
            position += 2  # no length follows these
            continue
        length = int.from_bytes(data[position + 2 : position + 4])
        segments.append((marker, data[position + 4 : position + 2 + length]))
        position += 2 + max(length, 2)
    return segments, 0


def _tables(payload: bytes) -> Iterable[tuple[int, tuple[int, ...]]]:
    position = 0
    while position < len(payload):
        wide, number = payload[position] >> 4, payload[position] & 15
        body = payload[position + 1 : position + 65 + 64 * bool(wide)]
        yield number, tuple(np.frombuffer(body, ">u2" if wide else "u1").tolist()) if len(body) % 64 == 0 else ()
        position += 1 + len(body)


def _dpi(jfif: bytes) -> tuple[float, float]:
    per_inch = {1: 1.0, 2: 2.54}.get(jfif[7], 0.0)
    return int.from_bytes(jfif[8:10]) * per_inch, int.from_bytes(jfif[10:12]) * per_inch


@cache
def _luma_table(quality: int) -> tuple[int, ...]:
    # Asked of the encoder itself, so that the two can never disagree.
    grey = np.full((8, 8), 128, np.uint8)
    stream = simplejpeg.encode_jpeg_yuv_planes(grey, grey[:4, :4].copy(), grey[:4, :4].copy(), quality=quality)
    return parse(stream).luma_table
