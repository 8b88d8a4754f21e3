"""Read JPEG 2000: Pillow decodes the samples, and the boxes of the file say what Pillow leaves out (ISO 15444-1, annex I)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from photochrom.errors import PhotoError
from photochrom.photo.codecs import jpeg_segments, pillow
from photochrom.photo.metadata import iptc
from photochrom.photo.photo import Photo

CODESTREAM = b"\xff\x4f\xff\x51"
"""The first two markers of coded samples: SOC and SIZ."""
END = b"\xff\xd9"
"""The last marker of coded samples: EOC."""
XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
EXIF = b"JpgTiffExif->JP2"
IPTC = bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38")
GEO = bytes.fromhex("b14bf8bd083d4b43a5ae8cd7d5a6ce03")
"""Boxes that are told by a number of 16 bytes: XMP (Adobe), EXIF (ExifTool, OpenJPEG), IPTC, and places on a map (GeoJP2)."""
PROFILES = (2, 3)
"""Ways to state a color space that hold an ICC profile."""
OPACITY = (1, 2)
"""Types of a channel that hold alpha, plain or multiplied into the colors."""


def read(data: bytes, max_pixels: int) -> Photo:
    """Read a JPEG 2000 of 8 bits a channel, or of 16 in grey.

    Raises:
        PhotoError: it has more than 8 bits in color, or is too large.
        OSError, ValueError: it is damaged.
    """
    # The size of the picture (marker SIZ): after 38 bytes the number of channels, then depth and sampling of each.
    place = data.find(CODESTREAM) + 4 + 36
    channels = int.from_bytes(data[place : place + 2])
    bits = 1 + max((depth & 127 for depth in data[place + 2 : place + 2 + 3 * channels : 3]), default=0)
    boxes = list(_boxes(data)) if not data.startswith(CODESTREAM) else []
    if (not boxes or boxes[-1][0] == b"jp2c") and not data.endswith(END):
        data += END  # only this marker may be missing: that a tile is cut shows in its length
    numbered = {body[:16]: body[16:] for kind, body in boxes if kind == b"uuid"}
    exif = numbered.get(EXIF, b"").removeprefix(jpeg_segments.EXIF) or None
    with pillow.opened(data, "JPEG 2000", max_pixels=max_pixels) as image:
        image.info["icc_profile"] = _profile(boxes)
        image.info["xmp"] = numbered.get(XMP)
        if bits <= 8:
            photo = pillow.from_image(image, exif=exif)
        else:
            image.load()
            if image.mode != "I;16":
                got = f"{bits} bits a channel in color: at most 8 are read"
                raise PhotoError(f"{got}; convert it to a 16-bit TIFF first")
            samples = np.array(image)
            white = max((1 << bits) - 1, int(samples.max(initial=0)))  # Pillow may have widened the samples already
            samples = ((samples.astype(np.uint32) * 65535 + white // 2) // white).astype(np.uint16)
            photo = replace(pillow.described(image, samples, None, None, mode="L", exif=exif), bits=bits)
    notes = ("its place on a map left out",) if GEO in numbered else ()
    if (count := sum(kind == b"jp2c" for kind, _ in boxes)) > 1:
        notes = (f"the first of {count} pictures", *notes)
    kinds = next((_channels(body) for kind, body in boxes if kind == b"cdef"), ())
    if photo.alpha is not None and kinds and not set(kinds) & set(OPACITY):
        photo, notes = replace(photo, alpha=None), ("1 extra channel (infrared, spot color or mask) left out", *notes)
    records = numbered.get(IPTC)
    return replace(photo, format="JPEG 2000", iptc=records and (iptc.unwrap(records) or records), notes=notes)


def _boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[bytes, bytes]]:
    """Iterate over the boxes of a file, and those inside its header; coded samples are left out of their box."""
    end = len(data) if end is None else end
    while start + 8 <= end:
        length, kind = struct.unpack_from(">I4s", data, start)
        head = 8
        if length == 1 and start + 16 <= end:
            length, head = struct.unpack_from(">Q", data, start + 8)[0], 16
        stop = end if length == 0 else min(start + length, end)
        if kind == b"jp2h":
            yield from _boxes(data, start + head, stop)
        else:
            yield kind, b"" if kind == b"jp2c" else data[start + head : stop]
        start = max(stop, start + 8)


def _profile(boxes: list[tuple[bytes, bytes]]) -> bytes | None:
    """Find the ICC profile among the ways in which a file states its color space; a place and a precision stand before it."""
    return next((body[3:] for kind, body in boxes if kind == b"colr" and body[:1] and body[0] in PROFILES), None)


def _channels(definitions: bytes) -> tuple[int, ...]:
    """Read the type of each channel: 0 for a color, ``OPACITY``, 65535 for an unknown one."""
    (count,) = struct.unpack_from(">H", definitions)
    return tuple(struct.unpack_from(">H", definitions, 4 + 6 * index)[0] for index in range(min(count, len(definitions) // 6)))
