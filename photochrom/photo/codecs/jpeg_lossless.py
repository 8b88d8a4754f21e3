"""Write new chroma beside the coded luma of a JPEG file, and keep all quantized coefficients of luma.

A scan that holds only one component runs through its blocks row by row, whatever the sampling factors (ITU-T T.81, A.2.2),
and a picture may consist of such scans. So where luma has its scans to itself, as in every grey file, its entropy-coded data
are copied byte for byte, and Cb and Cr follow in scans of their own. Where luma shares its scans with chroma, jpeglib reads the
coefficients and codes those of luma again, as a grey file, which is then treated alike.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Any, final

import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from photochrom.color import Bytes
from photochrom.errors import OutputError, PhotoError, one_line
from photochrom.photo.codecs import jpeg_decode, jpeg_segments

HUFFMAN = b"\xff\xc4"
CODED = b""
"""Stands for the marker that coded data lack."""
SEQUENTIAL = frozenset({b"\xff\xc0", b"\xff\xc1"})
COPIED = SEQUENTIAL | {b"\xff\xc2"}
"""Baseline, extended and progressive frames, by Huffman's codes: no encoder at hand makes arithmetic chroma."""

ADVICE = "color it with luma 'fast' (--luma fast)"


@dataclass(frozen=True)
class Component:
    """One component of a picture, as it is coded."""

    frame: bytes
    """The marker of its frame."""
    table: tuple[int, ...]
    """Its 64 quantization steps, in zigzag order."""
    scans: bytes
    """Huffman tables, restart intervals, and scans that hold only it."""


@final
class Coded:
    """Hold a JPEG file without ``obstacle`` that was decoded without a fault, and its luma as it is coded."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._recoded: Future[Component] | None = None

    @cached_property
    def own(self) -> Component | None:
        """Luma as the file has it; None where it shares scans with chroma."""
        return _component(self.data, jpeg_segments.parse(self.data), becomes=1)

    def begin(self) -> None:
        """Begin to code luma again, if it must be, in a thread of its own: that takes longer than finding colors for it."""
        if self.own is None and self._recoded is None:
            self._recoded = Future()
            Thread(target=self._recode, args=(self._recoded,), daemon=True).start()

    def luma(self) -> Component:
        """Return luma, with its scans to itself.

        Raises:
            PhotoError: the coefficients cannot be read.
            OutputError: there is no room for temporary files.
        """
        self.begin()
        if self.own:
            return self.own
        assert self._recoded is not None
        return self._recoded.result()

    def _recode(self, found: Future[Component]) -> None:
        try:
            found.set_result(_recoded(self.data, jpeg_segments.parse(self.data)))
        except BaseException as error:
            found.set_exception(error)


def obstacle(header: jpeg_segments.Header, space: str) -> str | None:
    """Return why the coded luma of a file cannot be kept; None where it can.

    Args:
        header: what ``jpeg_segments.parse`` found.
        space: what ``jpeg_decode.color_space`` found.
    """
    if space not in ("Gray", "YCbCr"):
        return f"its samples are {space}"
    if header.frame not in COPIED:
        return "its coding is not by Huffman's method"
    if any(other > luma for each in header.sampling for other, luma in zip(each, header.sampling[0], strict=True)):
        return "its luma is coarser than its chroma"
    if len(header.components) > 1 and not find_spec("jpeglib"):
        return "the library jpeglib, which has no wheel for every machine, is not here"
    return None if len(header.luma_table) == 64 else "its quantization table comes late"


def encode(coded: Coded, cb: Bytes, cr: Bytes, *, segments: list[jpeg_segments.Segment], quick: bool = False) -> bytes:
    """Write a JPEG of a file's luma, coefficient by coefficient, and of new chroma.

    Args:
        coded: the file.
        cb: uint8, 128 = no color; each side as the photograph's or half of it, rounded up.
        cr: the same.
        segments: what ``jpeg_segments.build`` made.
        quick: code chroma in one go, without finding the shortest codes first: in half the time, and an eighth larger.

    Returns:
        The file, progressive where luma could be copied from a progressive one, else baseline. Chroma has the encoder's tables
        at the quality that ``jpeg_segments.fine_as`` gives for luma's.

    Raises:
        PhotoError: the coefficients cannot be read.
        OutputError: there is no room for temporary files.
    """
    coded.begin()
    header = jpeg_segments.parse(coded.data)
    progressive = coded.own is not None and coded.own.frame not in SEQUENTIAL
    steps = _chroma_steps(jpeg_segments.fine_as(header.luma_table))
    options = {"progressive": True} if progressive else {"optimize": not quick}
    blue, red = (_coded(plane, steps, options, becomes=name) for name, plane in ((2, cb), (3, cr)))
    luma = coded.luma()
    # Eight bits a sample; luma has once or twice the samples of chroma each way, and quantization table 0.
    high, wide = jpeg_segments.shared(cb.shape, (header.height, header.width))
    size = header.height.to_bytes(2) + header.width.to_bytes(2)
    frame = b"\x08" + size + b"\x03" + bytes([1, 16 * wide + high, 0]) + b"\x02\x11\x01" + b"\x03\x11\x01"
    tables = [(jpeg_segments.TABLES, _quantization(number, part.table)) for number, part in enumerate((luma, blue))]
    head = jpeg_segments.lay_out([*jpeg_segments.with_jfif(segments), *tables, (luma.frame, frame)])
    no_restarts = jpeg_segments.lay_out([(jpeg_segments.RESTART, b"\0\0")])  # luma's interval would hold on
    return b"".join([jpeg_segments.START, head, luma.scans, no_restarts, blue.scans, red.scans, jpeg_segments.END])


def _component(data: bytes, header: jpeg_segments.Header, *, becomes: int) -> Component | None:
    """Extract the first component, under another name; None where it shares a scan."""
    parts: list[bytes] = []
    used, ours = 0, False
    for marker, payload in _pieces(data):
        if marker in (HUFFMAN, jpeg_segments.RESTART):
            parts.append(jpeg_segments.lay_out([(marker, payload)]))
        elif marker == jpeg_segments.SCAN:
            ours = header.components[0] in payload[1 : 1 + 2 * payload[0] : 2]
            if ours and payload[0] > 1:
                return None
            scan = bytes([1, becomes, payload[2]]) + _spectrum(payload, header.frame)
            parts += [jpeg_segments.lay_out([(marker, scan)])] if ours else []
        elif marker == CODED and ours:
            parts.append(payload)
            used = len(parts)
    return Component(header.frame, header.luma_table, b"".join(parts[:used])) if used else None


def _recoded(data: bytes, header: jpeg_segments.Header) -> Component:
    """Decode the coefficients, and code those of luma as a grey file of their own."""
    from tempfile import TemporaryDirectory  # not before it is needed: most photographs do without, and it takes its time

    jpeglib = _jpeglib()
    # The library takes only files, and keeps what metadata they have in global memory, without need: it is left out.
    bare = [jpeg_segments.START]
    for marker, payload in _pieces(data):
        if marker == CODED:
            bare.append(payload)
        elif marker == jpeg_segments.SCAN:
            bare.append(jpeg_segments.lay_out([(marker, payload[:-3] + _spectrum(payload, header.frame))]))
        elif marker != jpeg_segments.COMMENT and not 0xE0 <= marker[1] <= 0xEF:
            bare.append(jpeg_segments.lay_out([(marker, payload)]))
    try:
        with TemporaryDirectory(prefix="photochrom-") as folder:
            file = Path(folder, "luma.jpg")
            # Described as grey here, it need not be decoded once for its description, and then with its chroma.
            picture = jpeglib.DCTJPEG(
                path=str(file),
                content=b"".join([*bare, jpeg_segments.END]),
                height=header.height,
                width=header.width,
                block_dims=np.array([[-(-header.height // 8), -(-header.width // 8)]]),
                samp_factor=None,
                jpeg_color_space=jpeglib.Colorspace.JCS_GRAYSCALE,
                progressive_mode=False,
                num_scans=1,
                markers=None,
                huffmans=None,
                quant_tbl_no=None,
                **dict.fromkeys(("Y", "Cb", "Cr", "K", "qt")),
            )
            luma = jpeglib.from_dct(picture.Y, qt=picture.get_component_qt(0)[None])
            luma.write_dct(str(file))
            grey = file.read_bytes()
    except OSError as error:
        if error.errno is not None:
            got = f"no room for the temporary files of a lossless JPEG ({error.strerror})"
            raise OutputError(f"{got}; free some, name another folder in TMPDIR, or {ADVICE}") from error
        raise PhotoError(f"a JPEG whose coefficients cannot be read ({one_line(error)}); {ADVICE}") from error
    found = _component(grey, jpeg_segments.parse(grey), becomes=1)
    assert found is not None  # a grey file has no other component
    return found


def _coded(plane: Bytes, steps: list[int], options: dict[str, bool], *, becomes: int) -> Component:
    buffer = _file()
    Image.fromarray(plane).save(buffer, None, qtables=[steps], **options)
    data = buffer.getvalue()
    found = _component(data, jpeg_segments.parse(data), becomes=becomes)
    assert found is not None
    return found


def _pieces(data: bytes) -> Iterator[jpeg_segments.Segment]:
    """Iterate over a file up to its end marker: each marker with its payload; the coded data of a scan follow as ``CODED``."""
    position = 2
    while found := jpeg_decode.MARKER.search(data, position):
        position = found.end()
        marker = data[position - 2 : position]
        if marker == jpeg_segments.END:
            return
        if marker in (jpeg_segments.START, b"\xff\x01"):
            continue  # no length follows these
        length = int.from_bytes(data[position : position + 2])
        payload = data[position + 2 : position + length]
        position += length
        yield marker, payload
        if marker == jpeg_segments.SCAN:
            end = jpeg_decode.MARKER.search(data, position)
            coded = data[position : end.start() if end else len(data)]
            position += len(coded)
            yield CODED, coded


def _spectrum(payload: bytes, frame: bytes) -> bytes:
    """Return which coefficients a scan holds; a sequential one has them all, though some cameras say otherwise."""
    return b"\x00\x3f\x00" if frame in SEQUENTIAL else payload[-3:]


def _quantization(number: int, table: tuple[int, ...]) -> bytes:
    wide = max(table) > 255
    return bytes([16 * wide + number]) + np.array(table, ">u2" if wide else "u1").tobytes()


def _file() -> io.BytesIO:
    """Make a file in memory for Pillow, which by its name loads the module of JPEG only."""
    buffer = io.BytesIO()
    buffer.name = "picture.jpg"
    return buffer


@cache
def _chroma_steps(quality: int) -> list[int]:
    """Return, as Pillow states them, the encoder's steps for chroma, row by row."""
    buffer = _file()
    Image.new("RGB", (8, 8)).save(buffer, quality=quality)
    buffer.seek(0)
    with JpegImageFile(buffer) as image:
        return list(image.quantization[1])


@cache
def _jpeglib() -> Any:
    import jpeglib

    jpeglib.version.set("turbo210")  # of those in the package the fastest, by half
    return jpeglib
