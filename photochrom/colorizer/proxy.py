"""Read a huge scan as a small picture of it, which is all that the judge and the network meet.

libvips reads the file once, from top to bottom, and averages it: memory does not grow with the scan.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from photochrom.errors import PhotoError
from photochrom.photo import planes, vips
from photochrom.photo.metadata import exif, icc
from photochrom.photo.photo import Photo, refuse_large
from photochrom.photo.scan import Scan

MORE = 10
"""A scan that is streamed may have so many times the pixels of one that is not: its size costs time and disk, no memory."""
PROXY_PIXELS = 1 << 23
"""The proxies of the pages of a scan have no more in all: far above what the network sees."""
PAGE_PIXELS = 1 << 18
"""But each may have so many."""


def read(scan: Scan, *, max_pixels: int) -> Photo:
    """Read a scan as a proxy, with what the scan carries but for its alpha; so its pages.

    Args:
        scan: the scan.
        max_pixels: of a photograph that is not streamed; a scan may have ``MORE`` times as many.

    Raises:
        PhotoError: the scan is damaged or too large.
    """
    limit, every = MORE * max_pixels, (scan, *scan.pages)
    if (pixels := sum(page.width * page.height for page in every)) > limit and scan.pages:
        got = f"{len(every)} pages of {pixels:,} pixels in all, over the limit of {limit:,}"
        raise PhotoError(f"{got}; raise it with --max-pixels if you trust the file", path=scan.path)
    first, *others = (_page(page, limit) for page in every)
    return replace(first, pages=tuple(others))


def factor_of(scan: Scan) -> int:
    """Return by how much, a power of two, each side of the proxy is smaller."""
    factor, most = 1, max(int(PROXY_PIXELS * scan.share), min(PAGE_PIXELS, PROXY_PIXELS))
    while -(-scan.width // factor) * -(-scan.height // factor) > most:
        factor *= 2
    return factor


@contextmanager
def opened(scan: Scan) -> Iterator[Any]:
    """Open a scan as an image of libvips, to be read once, from top to bottom."""
    library = vips.library()
    try:
        file = scan.path.open("rb")
    except OSError as error:
        raise PhotoError(f"cannot be read ({error.strerror}); check the path and its permissions") from error
    with file:
        try:
            source = library.Source.new_from_descriptor(file.fileno())  # no name, which may be no text
            load = getattr(library.Image, f"{scan.format.lower()}load_source")
            page = {"page": scan.page} if scan.format == "TIFF" else {}
            yield load(source, access="sequential", fail_on="error", **page)
        except library.Error as error:
            reason = vips.reason(error)
            raise PhotoError(f"a damaged or cut off {scan.format} ({reason}); restore the file from a good copy") from error


def _page(scan: Scan, limit: int) -> Photo:
    factor = factor_of(scan)
    try:
        refuse_large(scan.width, scan.height, max_pixels=limit)
        with opened(scan) as image:
            small = image.extract_band(0, n=1 if scan.grey else 3).shrink(factor, factor, ceil=True).numpy()
    except PhotoError as error:
        raise error.at(scan.path) from error
    luma, _, thumbnail = planes.take(planes.to_eight(small.reshape(*small.shape[:2], -1)))
    directory = scan.directory or {}
    return Photo(
        luma=luma,
        thumbnail=thumbnail,
        orientation=exif.orientation(scan.exif),
        format=scan.format,
        bits=scan.bits,
        exif=scan.exif,
        xmp=scan.xmp,
        icc=icc.for_color(scan.profile, "L" if scan.grey else "RGB"),
        iptc=directory[exif.IPTC].data if exif.IPTC in directory else None,
        notes=scan.notes,
        reduced=factor,
        full=(scan.height, scan.width),
    )
