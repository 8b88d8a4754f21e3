"""Make photographs as cameras, scanners and converters write them, with what other photographs do not have.

``python -m tests.support.odd`` writes those that are committed in ``tests/data``.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photochrom.photo import vips
from photochrom.photo.codecs import jpeg_segments, png
from photochrom.photo.metadata import exif
from tests.support import testdata, tools

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
    return framed(png.splice(testdata.file(picture, "PNG"), chunks), behind)


def framed(plain: bytes, behind: list[tuple[bytes, bytes]]) -> bytes:
    """Put chunks behind the pixels of a PNG."""
    end = plain.rindex(b"IEND") - 4
    more = b"".join(
        struct.pack(">I4s", len(body), kind) + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in behind
    )
    return plain[:end] + more + plain[end:]


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


def twelve_bits() -> bytes:
    """Write a grey JPEG of 12 bits a sample, of flat blocks of 8 x 8: an extended sequential one, coded by hand (T.81, F.1.2)."""
    levels = np.linspace(-1900, 1900, 6, dtype=int).reshape(2, 3)
    bits, before = "", 0
    for level in levels.ravel():
        step, before = int(level) - before, int(level)  # of DC, whose quantization step is 8, so that a level is a sample's
        size = abs(step).bit_length()
        bits += f"{size:04b}" + (f"{step if step > 0 else step + (1 << size) - 1:0{size}b}" if size else "") + "0"
    bits += "1" * (-len(bits) % 8)
    coded = int(bits, 2).to_bytes(len(bits) // 8).replace(b"\xff", b"\xff\0")
    dc = b"\0" + bytes([0, 0, 0, 15] + [0] * 12) + bytes(range(15))
    ac = b"\x10" + bytes([1] + [0] * 15) + b"\0"
    frame = b"\x0c" + (16).to_bytes(2) + (24).to_bytes(2) + b"\1\1\x11\0"
    segments = [(b"\xff\xdb", b"\0" + b"\x08" * 64), (b"\xff\xc1", frame), (b"\xff\xc4", dc), (b"\xff\xc4", ac)]
    return b"\xff\xd8" + jpeg_segments.lay_out([*segments, (jpeg_segments.SCAN, b"\1\1\0\0\x3f\0")]) + coded + b"\xff\xd9"


def arithmetic() -> bytes:
    """Write a JPEG that is coded by arithmetic."""
    import jpeglib

    with TemporaryDirectory() as folder:
        path = Path(folder, "a.jpg")
        path.write_bytes(testdata.file(GREY, "JPEG"))
        with jpeglib.version("turbo210"):
            jpeglib.read_dct(str(path)).write_dct(str(path), flags=["+ARITH_CODE"])
        return path.read_bytes()


def bright() -> bytes:
    """Write an AVIF whose box of color says Rec. 2020 and PQ."""
    content = testdata.file(SCENE, "AVIF")
    place = content.index(b"colrnclx") + 8
    return content[:place] + struct.pack(">HHH", 9, 16, 9) + content[place + 6 :]


def gain_map() -> bytes:
    """Write an Ultra HDR JPEG: XMP that describes a gain map, and the map behind the picture."""
    text = "xmlns:hdrgm='http://ns.adobe.com/hdr-gain-map/1.0/' hdrgm:Version='1.0' xmlns:dc='http://purl.org/dc/elements/1.1/' dc:format='kept'"
    packet = jpeg_segments.XMP + XMP.format(f"<rdf:Description {text}/>").encode()
    return with_segments(testdata.file(GREY, "JPEG"), (jpeg_segments.APP1, packet)) + testdata.file(
        GREY[::4, ::4].copy(), "JPEG"
    )


def stereo() -> bytes:
    return testdata.file(GREY, "MPO", {"save_all": True, "append_images": [Image.fromarray(GREY[:, ::-1].copy())]})


DATA = Path(__file__).parents[1] / "data"
"""The folder of the committed files."""
PNG_DEEP = np.dstack([GREY, np.full_like(GREY, 200)]).astype(np.uint16) * 257 + 3
FILES = {
    "adobe-cmyk.jpg": lambda: testdata.file(Image.fromarray(SCENE).convert("CMYK"), "JPEG"),
    "arithmetic.jpg": arithmetic,
    "gain-map.jpg": gain_map,
    "gamma-1.8.jp2": lambda: jp2(GREY, header=box(b"colr", b"\2\0\0" + testdata.grey_profile(testdata.gamma_curve(1.8)))),
    "main-of-heic.heic": tools.magick("-quality 60", ".heic", lambda: testdata.file(SCENE, "PNG")),
    "raw.dng": lambda: raw(dng=True),
    "sixteen-bits-alpha.png": lambda: bytes(
        vips.library().Image.new_from_array(PNG_DEEP).copy(interpretation="grey16").pngsave_buffer(bitdepth=16)
    ),
    "spot.tif": lambda: samples_tiff(np.dstack([SCENE, GREY, GREY])[::2, ::2].copy(), "cmyk", t338=short(0)),
    "stereo.mpo": stereo,
    "table-profile.jpg": lambda: testdata.file(SCENE, "JPEG", {"keep_rgb": True, "icc_profile": mapped_profile()}),
    "ten-bits.avif": lambda: vips.avif(SCENE.astype(np.uint16) * 257, bits=10, quality=60, subsampled=False, carried={}),
    "twelve-bits.jpg": twelve_bits,
    "very-bright.avif": bright,
}
"""What makes each of the committed files, which stand for kinds that not every library writes."""


if __name__ == "__main__":
    DATA.mkdir(exist_ok=True)
    for name, make in FILES.items():
        (DATA / name).write_bytes(make())
        print(name, (DATA / name).stat().st_size)
