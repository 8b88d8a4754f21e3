"""Color a huge scan in bands of rows: whatever its size, a small picture of it and a few bands are all that memory holds.

libvips reads the file twice from top to bottom: once averaged down to a proxy, which is all that the network meets, and once
at full size. The bands are colored and compressed on all cores, and written one after the other: as the strips, or the rows of
tiles, of a TIFF whose directories come last, or as the rows of a PNG.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from photochrom.color import KB, KG, KR
from photochrom.colorizer import proxy, upsample
from photochrom.colorizer.colorizer import Options, Result
from photochrom.errors import OutputError
from photochrom.photo import planes, vips
from photochrom.photo import scan as scan_files
from photochrom.photo.codecs import png
from photochrom.photo.metadata import exif, icc
from photochrom.photo.photo import JPEG_QUALITY
from photochrom.photo.scan import EXTRA, HEIGHT, SAMPLES, TILE_HEIGHT, TILE_WIDTH, WIDTH, Scan

HUGE = 1 << 24
"""Scans of more pixels are streamed."""
BAND_PIXELS = 1 << 19
"""Pixels that are read at once, and compressed as one strip."""
COLORED_PIXELS = 1 << 18
"""Pixels that a thread colors at once: more take memory, fewer time."""
STRIP_ROWS = 128
"""No strip has more rows."""
JPEG_SIDE = 65500
"""libjpeg writes no longer rows."""
THREADS = 4
"""More do not pay: memory is the limit."""

PREDICTED = frozenset({"lzw", "deflate"})
"""Those that store differences between neighbors: without them LZW enlarges a photograph."""

STRIP_OFFSETS, STRIP_ROWS_TAG, STRIP_BYTES = 273, 278, 279
TILE_OFFSETS, TILE_BYTES = 324, 325
PLANAR, PREDICTOR, JPEG_TABLES, SUBSAMPLING, REFERENCE = 284, 317, 347, 530, 532
LAYOUT = frozenset({WIDTH, exif.BITS, SAMPLES, EXTRA, exif.SAMPLE_FORMAT, exif.PHOTOMETRIC, PLANAR, TILE_WIDTH, TILE_HEIGHT})
LAYOUT |= {exif.COMPRESSION, PREDICTOR, JPEG_TABLES, SUBSAMPLING, REFERENCE}
"""Tags of the first band that hold for the whole file."""
Samples = NDArray[Any]


def scan(path: Path) -> Scan | None:
    """Read the header of a scan that is to be streamed: of more than ``HUGE`` pixels, and no profile without luma to keep.

    Every other file gives none, missing and damaged ones too; ``scans.read`` says which can be streamed.
    """
    found = scan_files.read(path, least=HUGE)
    return found if found and all(icc.is_neutral(page.profile) for page in (found, *found.pages)) else None


def check(scan: Scan, options: Options) -> None:
    """Refuse a compression that a page of a scan cannot have.

    Raises:
        OutputError: JPEG is asked for, and a page is transparent or too wide.
    """
    for page in (scan, *scan.pages):
        if options.compression == "jpeg" and (page.alpha or (page.width > JPEG_SIDE and not page.tile)):
            what = "transparency" if page.alpha else f"rows of more than {JPEG_SIDE} pixels"
            raise OutputError(f"JPEG inside a TIFF does not keep {what}; choose compression deflate (--compression deflate)")


def write(file: BinaryIO, scan: Scan, result: Result, *, xmp: bytes | None = None) -> None:
    """Write a scan with the colors that were found for its proxy.

    Args:
        file: open to write, at its start.
        scan: the scan.
        result: of its proxy, not skipped.
        xmp: takes the place of the scan's own.

    Raises:
        PhotoError: the scan is damaged.
    """
    if scan.format == "PNG":
        _write_png(file, scan, _painted(scan, result), xmp=xmp)
    else:
        pages = zip((scan, *scan.pages), (result, *result.pages), strict=True)
        _write_tiff(file, ((page, _painted(page, found)) for page, found in pages), xmp=xmp)


def _painted(scan: Scan, result: Result) -> Iterator[_Band]:
    """Color a page of a scan band by band, each compressed."""
    photo, chroma, target = result.photo, result.low, result.target
    assert chroma is not None
    factor, luma = photo.reduced, photo.shown
    scan = replace(scan, compression=target.compression or scan.compression)
    quality = target.quality or JPEG_QUALITY
    model = upsample.fit(chroma, luma)
    # The proxy's last row and column may average repeated pixels: the model covers as much as if these were there.
    high, wide = luma.shape[0] * factor, luma.shape[1] * factor
    spacing = min(upsample.spaced(chroma.shape[1:], (high, wide)), factor)

    def work(band: _Read) -> _Band:
        count = len(band.samples) - band.above - band.below
        rgb = np.empty((count, scan.width, 4 if scan.alpha else 3), band.samples.dtype)
        step = max(spacing, COLORED_PIXELS // scan.width // spacing * spacing)
        for row in range(0, count, step):
            above = spacing if row or band.above else 0
            first = row + band.above - above
            samples = band.samples[first : row + band.above + step + spacing]
            at = slice((band.top + row - above) // spacing, (band.top + row + step) // spacing + 1)
            parts = upsample.stretched(model, at, high // spacing)
            _paint(samples, rgb[row : row + step], parts, above=above, width=wide, spacing=spacing)
        return _compressed(rgb, scan, quality=quality, tags=band.top == 0)

    with proxy.opened(scan) as image:
        yield from _in_order(work, _bands(image, scan))


@dataclass(frozen=True)
class _Read:
    """A band of rows as it was read, with some rows of its neighbors, from which its edges take color too."""

    top: int
    """The band's own first row."""
    samples: Samples
    """``(n, W, C)``, of 8 or 16 bits."""
    above: int
    """How many of the rows are those of the band above."""
    below: int


@dataclass(frozen=True)
class _Band:
    """A band of rows as it is written, and the tags that tell how to read it, where it is a TIFF's first."""

    rows: int
    parts: list[memoryview]
    """The strip, or the row of tiles; of a PNG the rows before they are deflated, and after."""
    tags: exif.Directory


def _bands(image: Any, scan: Scan) -> Iterator[_Read]:
    """Read a scan in bands of rows, each with the ``SPACING`` rows around it."""
    region = vips.library().Region.new(image)
    step = scan.tile[0] if scan.tile else min(max(BAND_PIXELS // scan.width // 16, 1) * 16, STRIP_ROWS)
    margin = upsample.SPACING
    read: Samples = np.empty((0, scan.width, image.bands), f"u{scan.bits // 8}")
    for top in range(0, scan.height, step):
        end = min(top + step + margin, scan.height)
        start = max(top - margin, 0)
        known = top + margin if top else 0  # rows up to here came with the band before
        data = region.fetch(0, known, scan.width, end - known) if end > known else b""
        fresh = np.frombuffer(data, read.dtype).reshape(-1, scan.width, image.bands)
        read = np.concatenate([read[len(read) - (min(known, end) - start) :], fresh])
        yield _Read(top, read, top - start, max(end - top - step, 0))


def _in_order(work: Callable[[_Read], _Band], bands: Iterable[_Read]) -> Iterator[_Band]:
    """Work on several bands at once, and give them back in their order; one more waits, and no others are read."""
    workers = min(THREADS, os.cpu_count() or 1)
    waiting: deque[Future[_Band]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for band in bands:
            waiting.append(pool.submit(work, band))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _paint(samples: Samples, rgb: Samples, model: upsample.Model, *, above: int, width: int, spacing: int) -> None:
    """Color a band of rows into ``(n, W, 3 or 4)`` RGB of the same luma; rows ``above`` it, and below, are its neighbors'.

    Red and blue are rounded first, and green is solved from luma, as in ``planes.to_rgb``.
    """
    kind = cv2.CV_8U if rgb.dtype == np.uint8 else cv2.CV_16U
    level = np.iinfo(rgb.dtype).max / 255
    luma = samples[..., 0] if samples.shape[2] < 3 else planes.luma_of(np.ascontiguousarray(samples[..., :3]))
    own = slice(above, above + len(rgb))
    found = upsample.excess(model, np.ascontiguousarray(luma), width=width, spacing=spacing)
    blue_excess, red_excess = (plane[own] for plane in found)
    light = luma[own].astype(np.float32)
    guide = light if level == 1 else light * np.float32(1 / level)
    factor = upsample.headroom(blue_excess, red_excess, guide, guide) * np.float32(level)
    blue, red = (cv2.add(light, np.multiply(plane, factor, out=plane), dtype=kind) for plane in (blue_excess, red_excess))
    rest = cv2.addWeighted(red, -KR / KG, blue, -KB / KG, 0, dtype=cv2.CV_32F)
    green = cv2.addWeighted(light, 1 / KG, rest, 1, 0, dtype=kind)
    channels = [red, green, blue]
    if rgb.shape[2] == 4:
        channels.append(np.ascontiguousarray(samples[own, :, -1]))
    cv2.merge(channels, rgb)


def _compressed(rgb: Samples, scan: Scan, *, quality: int, tags: bool) -> _Band:
    """Compress a band: for a TIFF, libvips writes one of it, from which the strip or the tiles are taken."""
    if scan.format == "PNG":
        return _Band(len(rgb), [memoryview(part) for part in png.deflated(rgb)], {})
    if scan.compression == "none" and not scan.tile and not tags:
        return _Band(len(rgb), [rgb.data.cast("B")], {})
    kind, meaning = ("uchar", "srgb") if scan.bits == 8 else ("ushort", "rgb16")
    height, width, channels = rgb.shape
    image = vips.library().Image.new_from_memory(rgb, width, height, channels, kind).copy(interpretation=meaning)
    options: dict[str, Any] = {"compression": scan.compression, "Q": quality}
    if scan.compression in PREDICTED:
        options["predictor"] = "horizontal"
    if scan.tile:
        options |= {"tile": True, "tile_height": scan.tile[0], "tile_width": scan.tile[1]}
    data = image.tiffsave_buffer(**options)
    directory, view = exif.read(data), memoryview(data)
    places = [
        exif.numbers(directory, tag) for tag in ((TILE_OFFSETS, TILE_BYTES) if scan.tile else (STRIP_OFFSETS, STRIP_BYTES))
    ]
    parts = [view[place : place + count] for place, count in zip(*places, strict=True)]
    return _Band(height, parts, exif.carried(directory, LAYOUT) if tags else {})


def _write_tiff(file: BinaryIO, pages: Iterable[tuple[Scan, Iterable[_Band]]], *, xmp: bytes | None) -> None:
    """Write the bands of all pages as they come, then the directories, then the header, which was left open."""
    position = 16
    file.write(bytes(position))
    directories: list[exif.Directory] = []
    for scan, bands in pages:
        position, directory = _write_page(file, scan, bands, position)
        directories.append({**directory, exif.XMP: exif.Value(exif.BYTES, xmp)} if xmp and not directories else directory)
    head, body = exif.head(directories, position)
    file.write(body)
    file.seek(0)
    file.write(head)


def _write_page(file: BinaryIO, scan: Scan, bands: Iterable[_Band], position: int) -> tuple[int, exif.Directory]:
    """Write bands from a position of the file on; gives the even one behind them, and the directory that tells of them."""
    offsets: list[int] = []
    counts: list[int] = []
    layout: exif.Directory = {}
    rows = 0
    with ThreadPoolExecutor(1) as pool:
        syncing: Future[None] | None = None
        for band in bands:
            layout, rows = layout or band.tags, rows or band.rows
            for part in band.parts:
                file.write(part)
                offsets.append(position)
                counts.append(len(part))
                position += len(part)
            # The disk takes its time: what is written goes there meanwhile, not all of it at the end.
            if syncing is None or syncing.done():
                if syncing:
                    syncing.result()
                file.flush()
                syncing = pool.submit(os.fsync, file.fileno())
        if syncing:
            syncing.result()
    number = exif.LONG if position < 1 << 32 else exif.LONG8
    places, sizes = (exif.Value(number, np.array(values, f"<u{exif.SIZES[number]}").tobytes()) for values in (offsets, counts))
    tags = {HEIGHT: _long(scan.height)}
    if scan.tile:
        tags |= {TILE_OFFSETS: places, TILE_BYTES: sizes}
    else:
        tags |= {STRIP_OFFSETS: places, STRIP_BYTES: sizes, STRIP_ROWS_TAG: _long(rows)}
    if profile := icc.for_color(scan.profile, "L" if scan.grey else "RGB"):
        tags[exif.ICC] = exif.Value(exif.UNDEFINED, profile)
    kept = exif.kept(scan.directory or {})
    file.write(bytes(position % 2))
    return position + position % 2, {**kept, **layout, **tags}


def _write_png(file: BinaryIO, scan: Scan, bands: Iterable[_Band], *, xmp: bytes | None) -> None:
    """Write bands as they come, behind all that describes them."""
    profile = icc.for_color(scan.profile, "L" if scan.grey else "RGB")
    chunks = png.build(scan.chunks, exif=scan.exif, xmp=xmp, icc=profile, dpi=None)
    header = png.header(scan.width, scan.height, bits=scan.bits, channels=4 if scan.alpha else 3)
    for piece in png.pieces(header, chunks, ((band.parts[0], band.parts[1]) for band in bands)):
        file.write(piece)


def _long(number: int) -> exif.Value:
    return exif.Value(exif.LONG, number.to_bytes(4, "little"))
