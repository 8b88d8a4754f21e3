"""Read a huge scan as a small picture that stands in for it, and tell from that what a person may ask of the scan.

libvips reads the file once, from top to bottom, and averages it: memory does not grow with the scan.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from photochrom.colorizer import variants as different
from photochrom.colorizer.colorizer import Colorizer
from photochrom.colorizer.hints import Hint
from photochrom.errors import OutputError, PhotoError
from photochrom.files import drafted
from photochrom.photo import planes, vips
from photochrom.photo.metadata import exif, icc
from photochrom.photo.photo import COPIES_LEFT, Photo, refuse_large
from photochrom.photo.scan import Scan

MORE = 10
"""A scan that is streamed may have so many times the pixels of one that is not: its size costs time and disk, no memory."""
STAND_IN_PIXELS = 1 << 23
"""The pictures that stand in for the pages of a scan have no more in all: far above what the network sees."""
PAGE_PIXELS = 1 << 18
"""But each may have so many."""


def read(scan: Scan, *, max_pixels: int) -> Photo:
    """Read a scan as a small picture of it, of ``STAND_IN_PIXELS`` at most, with what the scan carries but for its alpha.

    Args:
        scan: the scan.
        max_pixels: of a photograph that is not streamed; a scan may have ``MORE`` times as many.

    Raises:
        PhotoError: the scan is damaged or too large.
    """
    factor = factor_of(scan)
    try:
        refuse_large(scan.width, scan.height, max_pixels=MORE * max_pixels)
        with opened(scan) as image:
            small = image.extract_band(0, n=1 if scan.grey else 3).shrink(factor, factor, ceil=True).numpy()
    except PhotoError as error:
        raise PhotoError(f"{scan.path}: {error}") from error
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
        notes=(COPIES_LEFT,) if exif.COPIES in directory else (),
    )


def confidence(scan: Scan, colorizer: Colorizer, target: Path, *, overwrite: bool = False) -> None:
    """Write what ``Colorizer.confidence`` says of a scan's stand-in as a grey PNG of the scan's size, upright.

    Raises:
        PhotoError: the scan is damaged or too large.
        OptionError: the model states no confidence, or a hint lies outside the scan.
        OutputError: the target exists or cannot be written.
    """
    photo = read(scan, max_pixels=colorizer.options.max_pixels)
    small = scaled(colorizer, factor_of(scan)).confidence(photo.shown, orientation=photo.orientation, profile=photo.icc)
    wide, high = _upright_size(scan, photo)
    across, down = wide / small.shape[1], high / small.shape[0]
    image = vips.library().Image.new_from_array(small).resize(across, vscale=down, kernel="linear")
    with drafted(target, overwrite=overwrite) as draft, draft.open("wb") as file:
        try:
            image.pngsave_target(vips.library().Target.new_to_descriptor(file.fileno()), keep="none")
        except vips.library().Error as error:
            raise OutputError(f"{target}: cannot be written ({vips.reason(error)}); choose another place") from error


def variants(scan: Scan, colorizer: Colorizer, count: int) -> tuple[tuple[Hint, ...], ...]:
    """Find what ``variants.variants`` does, by the scan's stand-in; the hints are in pixels of the scan.

    Raises:
        PhotoError: the scan is damaged or too large.
        OptionError: the count is out of range, or the model takes no hints or states no distribution.
    """
    photo, factor, given = read(scan, max_pixels=colorizer.options.max_pixels), factor_of(scan), colorizer.options.hints
    wide, high = _upright_size(scan, photo)

    def moved(hint: Hint) -> Hint:
        x, y = (place * factor + factor // 2 for place in (hint.x, hint.y))
        return replace(hint, x=min(x, wide - 1), y=min(y, high - 1))

    found = different.variants(scaled(colorizer, factor), photo, count)
    return tuple((*given, *map(moved, hints[len(given) :])) for hints in found)


def factor_of(scan: Scan) -> int:
    """Find by how much, a power of two, the stand-in is smaller."""
    factor, most = 1, max(int(STAND_IN_PIXELS * scan.share), min(PAGE_PIXELS, STAND_IN_PIXELS))
    while -(-scan.width // factor) * -(-scan.height // factor) > most:
        factor *= 2
    return factor


def scaled(colorizer: Colorizer, factor: int) -> Colorizer:
    """Move the hints from the scan to its stand-in."""
    hints = tuple(replace(hint, x=hint.x // factor, y=hint.y // factor) for hint in colorizer.options.hints)
    return Colorizer(colorizer.model, replace(colorizer.options, hints=hints))


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
            raise PhotoError(
                f"a {scan.format} that is damaged or cut off ({reason}); restore the file from a good copy"
            ) from error


def _upright_size(scan: Scan, photo: Photo) -> tuple[int, int]:
    """Give a scan's width and height as a viewer shows it, by the orientation of its stand-in."""
    return (scan.height, scan.width) if photo.orientation > 4 else (scan.width, scan.height)
