"""Make photographs as cameras, scanners and converters write them, with what other photographs do not have."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photochrom.photo import vips
from photochrom.photo.codecs import jpeg_segments, png
from photochrom.photo.metadata import exif
from tests.support import testdata

SIZE = (48, 64)
GREY, SCENE = testdata.grey(*SIZE), testdata.scene(*SIZE)
CFA, LINEAR = 32803, 34892
XMP = "<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>{}</rdf:RDF></x:xmpmeta>"


def short(*numbers: int) -> exif.Value:
    return exif.Value(exif.SHORT, struct.pack(f"<{len(numbers)}H", *numbers))


def long(*numbers: int) -> exif.Value:
    return exif.Value(exif.LONG, struct.pack(f"<{len(numbers)}I", *numbers))


def tagged(content: bytes, **tags: exif.Value) -> bytes:
    """Add tags, ``t274=...``, to a TIFF."""
    return exif.splice(content, {int(name[1:]): value for name, value in tags.items()})


def raw(photometric: int = CFA, *, dng: bool = False) -> bytes:
    """Write camera raw as most cameras do: a small preview first, and the samples of the sensor in a directory inside it."""
    sensor = {
        256: short(64),
        257: short(48),
        258: short(16),
        259: short(1),
        262: short(photometric),
        273: long(8),
        279: long(8),
    }
    inside = exif.Value(exif.LONG, b"", {254: long(0), **sensor})
    tags = {"t254": long(1), "t330": inside} | ({"t50706": exif.Value(exif.BYTES, b"\1\4\0\0")} if dng else {})
    return tagged(testdata.file(SCENE[::4, ::4].copy(), "TIFF"), **tags)


def samples_tiff(samples: NDArray[Any], meaning: str, **tags: exif.Value) -> bytes:
    """Write ``(H, W, C)`` samples of a meaning in libvips' words, with tags."""
    image = vips.library().Image.new_from_array(samples).copy(interpretation=meaning)
    return tagged(bytes(image.tiffsave_buffer(compression="lzw")), **tags)


def png_of(chunks: list[tuple[bytes, bytes]], behind: list[tuple[bytes, bytes]], picture: NDArray[Any] = GREY) -> bytes:
    """Write a PNG with chunks before and behind its pixels."""
    plain = png.splice(testdata.file(picture, "PNG"), chunks)
    end = plain.rindex(b"IEND") - 4
    framed = b"".join(
        struct.pack(">I4s", len(body), kind) + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in behind
    )
    return plain[:end] + framed + plain[end:]


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


def jp2(picture: NDArray[Any] | Image.Image, *, header: bytes, behind: bytes = b"") -> bytes:
    """Write a JP2 whose header holds the boxes that are given in place of its color space."""
    plain = testdata.file(picture, "JPEG2000")
    start = plain.index(b"jp2h") - 4
    (length,) = struct.unpack_from(">I", plain, start)
    size = plain[plain.index(b"ihdr") - 4 :][:22]
    return plain[:start] + box(b"jp2h", size + header) + plain[start + length :] + behind


def with_segments(content: bytes, *segments: tuple[bytes, bytes]) -> bytes:
    """Put segments behind the start of a JPEG."""
    return content[:2] + jpeg_segments.lay_out(segments) + content[2:]


def rare(factors: tuple[tuple[int, int], ...], picture: NDArray[Any] = SCENE, *, names: bytes = b"\1\2\3") -> bytes:
    """Write a JPEG of any sampling factors, each component in a scan of its own."""
    across, down = (max(each[side] for each in factors) for side in (0, 1))
    planes = np.moveaxis(np.asarray(Image.fromarray(picture).convert("YCbCr")), -1, 0)
    height, width = planes[0].shape
    files = []
    for plane, (wide, high) in zip(planes, factors, strict=True):
        size = -(-width * wide // across), -(-height * high // down)
        files.append(testdata.file(Image.fromarray(plane).resize(size), "JPEG", {"quality": 90}))
    header = jpeg_segments.parse(files[0])
    tables = [segment for segment in header.segments if segment[0] in (b"\xff\xdb", b"\xff\xc4")]
    parts = b"".join(bytes([name, 16 * wide + high, 0]) for name, (wide, high) in zip(names, factors, strict=True))
    frame = (b"\xff\xc0", b"\x08" + height.to_bytes(2) + width.to_bytes(2) + b"\x03" + parts)
    scans = [
        jpeg_segments.lay_out([(jpeg_segments.SCAN, bytes([1, name, 0, 0, 63, 0]))])
        + file[jpeg_segments.parse(file).scan + 10 : -2]
        for name, file in zip(names, files, strict=True)
    ]
    return b"".join(
        [jpeg_segments.START, jpeg_segments.lay_out([*jpeg_segments.with_jfif([]), *tables, frame]), *scans, b"\xff\xd9"]
    )


def mapped_profile() -> bytes:
    """Build an RGB profile of a table in which equal samples are no grey: its red lies in the green samples, and so on round.

    The table has two points a side, and leads to Lab (ICC.1, 10.11, ``mft2``).
    """
    corners = np.array([[(red, green, blue) for blue in (0, 1)] for red in (0, 1) for green in (0, 1)]).reshape(-1, 3)
    from skimage.color import rgb2lab

    lab = rgb2lab(np.roll(corners, 1, 1)[None].astype(float), illuminant="D50")[0]
    table = np.stack([lab[:, 0] * 652.8, (lab[:, 1] + 128) * 256, (lab[:, 2] + 128) * 256], -1).round().clip(0, 65535)
    ramp = struct.pack(">HH", 0, 65535)
    body = b"mft2\0\0\0\0" + bytes([3, 3, 2, 0]) + struct.pack(">9i", *(65536 * (place % 4 == 0) for place in range(9)))
    body += struct.pack(">HH", 2, 2) + 3 * ramp + table.astype(">u2").tobytes() + 3 * ramp
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    text = b"desc\0\0\0\0" + struct.pack(">I", 2) + b"m\0" + b"\0" * 78
    parts = {b"desc": text, b"cprt": b"text\0\0\0\0-\0", b"wtpt": white, b"A2B0": body}
    offset, entries, data = 132 + 12 * len(parts), b"", b""
    for tag, part in parts.items():
        entries += struct.pack(">4sII", tag, offset + len(data), len(part))
        data += part + b"\0" * (-len(part) % 4)
    head = struct.pack(">I4x4B4s4s4s12x4s", offset + len(data), 2, 16, 0, 0, b"scnr", b"RGB ", b"Lab ", b"acsp")
    head = (head.ljust(68, b"\0") + white[8:]).ljust(128, b"\0")
    return head + struct.pack(">I", len(parts)) + entries + data
