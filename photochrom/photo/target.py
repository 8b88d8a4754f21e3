"""Decide once how a result is written: its format, and how that holds luma and chroma."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np

from photochrom.errors import OptionError, OutputError, PhotoError
from photochrom.photo.codecs import jpeg_xmp, png, tiff
from photochrom.photo.formats import FORMATS, SUBSTITUTES, Format
from photochrom.photo.photo import SAMPLINGS, Compression, LumaChoice, LumaWay, Photo, Subsampling

TAKEN: dict[str, tuple[Format, ...]] = {
    "quality": ("JPEG", "WEBP", "AVIF", "TIFF"),
    "subsampling": ("JPEG", "AVIF"),
    "compression": ("TIFF",),
}
"""Options of a file, and the formats that have such a thing."""
BARE = frozenset({"BMP", "PNM"})
"""Formats that carry only pixels and, in a BMP, their resolution."""
NAMED = 5
"""Texts of a PNG, and tags of a TIFF, that are named where they are left out."""
SAMPLED = 1 << 16
"""In a larger photograph a sample of the pixels is looked at first."""
DEEP = frozenset({"PNG", "TIFF", "AVIF", "PNM"})
"""Formats that are written with more than 8 bits."""


@dataclass(frozen=True)
class OutputOptions:
    """Say how a result is written; ``Options`` of the colorizer documents each field."""

    format: Format | None = None
    luma: LumaChoice | None = None
    quality: int | None = None
    subsampling: Subsampling | None = None
    compression: Compression | None = None

    def __post_init__(self) -> None:
        """Refuse values out of range, and values that contradict each other."""
        for name, known in (
            ("format", Format),
            ("luma", LumaChoice),
            ("subsampling", Subsampling),
            ("compression", Compression),
        ):
            value = getattr(self, name)
            if value is not None and value not in get_args(known):
                raise OptionError(f"{name} is '{value}': expected one of {', '.join(get_args(known))}")
        if self.luma == "lossless" and self.format not in (None, "JPEG"):
            raise OptionError(
                f"luma is 'lossless', which is for JPEG to JPEG only, but format is {self.format}: drop one of them"
            )
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise OptionError(f"quality is {self.quality}: expected 1 (smallest file) to 100 (finest)")
        if self.quality is not None and self.luma == "lossless":
            raise OptionError(f"quality is {self.quality}, but luma is 'lossless', which has the source's: drop one of them")
        self.check_fit(self.format)

    def check_fit(self, format: Format | None) -> None:
        """Raise OptionError where a result of a format cannot be as the options ask; None leaves it to the source."""
        for name in self._foreign(format):
            value, formats = getattr(self, name), TAKEN[name]
            if name == "quality" and format in formats:
                raise OptionError(f"quality is {value}, but '{self.compression}' compresses without loss: drop one of them")
            if value is not None:
                *first, last = formats
                known = f"{', '.join(first)} and {last}" if first else last
                raise OptionError(f"{name} is {value}, which is for {known}, but the result is {format}: drop one of them")

    def fitted(self, format: Format | None) -> dict[str, Any]:
        """Return the changes that fit the options to a result of a format: those for other formats become None."""
        return {"format": format, **dict.fromkeys(self._foreign(format))}

    def _foreign(self, format: Format | None) -> list[str]:
        """List the options that a result of a format does not take."""
        names = [name for name, formats in TAKEN.items() if format not in (None, *formats)]
        lossless = format == "TIFF" and self.compression not in (None, "jpeg")
        return [*names, "quality"] if lossless and self.quality is not None else names


@dataclass(frozen=True)
class Target:
    """How a result is written."""

    format: Format | None
    """None where no format is known, as for an array."""
    luma: LumaWay | None = None
    """How luma gets into a JPEG; None for every other format, which takes luma as it is."""
    quick: bool = False
    """Whether a JPEG with the source's luma may be written with a plain Huffman table, which takes less time."""
    quality: int | None = None
    """What was asked for, 1 to 100; None follows the source."""
    sampling: tuple[int, int] | None = None
    """Rows and columns that share a sample of chroma, as asked for; None follows the source."""
    compression: Compression | None = None
    """Compression of a TIFF, as asked for; None follows the source."""
    step: int = 1
    """How fine chroma is needed: 2 for planes of half its size, 1 for planes of full size."""
    notes: tuple[str, ...] = ()
    """What the result lacks of the source: what was not read of it, and what the format does not hold."""

    def applied(self, photo: Photo) -> Photo:
        """Return the photograph with the target's sampling and compression in place of its source's; its pages too."""
        if self.sampling is not None:
            photo = replace(photo, sampling=self.sampling, avif_sampling=self.sampling)
        if self.compression is None or self.format != "TIFF":
            return photo
        name = tiff.NAMES[self.compression]
        return replace(photo, compression=name, pages=tuple(replace(page, compression=name) for page in photo.pages))


def decide(photo: Photo, asked: OutputOptions | None = None) -> Target:
    """Decide how the result of a photograph is written.

    Left open, luma is lossless from a grey or YCbCr JPEG to a JPEG, and encoded otherwise. Fast is lossless where luma has its
    own scans in the file, as in every grey one: they are copied byte for byte.

    Args:
        photo: the photograph.
        asked: the user's options; None follows the source in everything.

    Raises:
        PhotoError: lossless luma is asked for and cannot be.
        OutputError: the format cannot hold this photograph as asked.
    """
    asked = asked or OutputOptions()
    format = format_of(photo, asked.format)
    sampling = SAMPLINGS[asked.subsampling] if asked.subsampling else None
    if asked.subsampling == "422" and format == "AVIF" and photo.bits > 8:
        raise OutputError("an AVIF of more than 8 bits is written with subsampling 444 or 420: choose one of them")
    for page in (photo, *photo.pages):
        if asked.compression == "jpeg" and format == "TIFF" and (page.bits > 8 or page.alpha is not None):
            what = f"{page.bits} bits a channel" if page.bits > 8 else "transparency"
            raise OutputError(f"JPEG inside a TIFF does not keep {what}; choose compression deflate (--compression deflate)")
    return Target(
        format=format,
        luma=_luma_way(photo, format, asked),
        quick=asked.luma == "fast",
        quality=asked.quality,
        sampling=sampling,
        compression=asked.compression,
        step=2 if format == "JPEG" and (sampling or photo.sampling) == (2, 2) else 1,
        notes=_notes(photo, format, asked.format),
    )


def format_of(photo: Photo, asked: Format | None = None) -> Format | None:
    """Return the format to be written: the one asked for, or the source's own, or the substitute of one that is read only."""
    return asked or SUBSTITUTES.get(photo.format or "JPEG") or next((own for own in FORMATS if own == photo.format), None)


def whole_xmp(photo: Photo) -> tuple[bytes | None, bool]:
    """Join the XMP of a JPEG's segments; returns it and whether that is all of it."""
    if photo.xmp is None or photo.format != "JPEG":
        return photo.xmp, True
    try:
        return jpeg_xmp.joined(photo.xmp, photo.extras), True
    except ValueError:
        return photo.xmp, False


def _luma_way(photo: Photo, format: Format | None, asked: OutputOptions) -> LumaWay | None:
    coded = photo.coded if format == "JPEG" and asked.luma != "encoded" and asked.quality is None else None
    way: LumaWay = "lossless" if coded and (asked.luma != "fast" or coded.own) else "encoded"
    if asked.luma == "lossless" and way == "encoded":
        got = f"this is {photo.format or 'an array'} to {format or 'an array'}"
        if photo.format == format == "JPEG":
            got = "this one is RGB or CMYK, coded by arithmetic, read by its profile, or needs jpeglib, which is not installed"
        raise PhotoError(f"luma can be lossless only from a grey or YCbCr JPEG to a JPEG, and {got}; drop luma (--luma)")
    return way if format == "JPEG" else None


def _notes(photo: Photo, format: Format | None, asked: Format | None) -> tuple[str, ...]:
    found = photo.notes
    if photo.format in SUBSTITUTES and asked is None:
        found += (f"{photo.format} is read only, so {format} is written",)
    if photo.bits > 8 and format is not None and format not in DEEP:
        found += (f"8 of {photo.bits} bits a channel, {format} holds no more",)
    if not _has_midtones(photo):
        found += ("only black and white, which have no room for color",)
    if format in ("PNG", "TIFF", "WEBP", "AVIF") and not whole_xmp(photo)[1]:
        found += ("the main part of its XMP, the extended one is missing or damaged",)
    left = [name for name, block in (("EXIF", photo.exif), ("XMP", photo.xmp), ("the profile", photo.icc)) if block]
    left = left if format in BARE else []
    left += ["IPTC"] if photo.iptc and format not in (None, "JPEG", "TIFF") else []
    left += ["the resolution"] if photo.dpi and format == "PNM" else []
    if photo.format == "PNG" and format not in (None, "PNG") and (texts := png.texts(photo.extras)):
        left.append(f"its texts ({', '.join(texts[:NAMED])}{', ...' if len(texts) > NAMED else ''})")
    if photo.format == "TIFF" and format not in (None, "TIFF") and (tags := tiff.names(photo.extras)):
        left.append(f"its tags ({', '.join(tags[:NAMED])}{', ...' if len(tags) > NAMED else ''})")
    left += ["the record of the run"] if format in BARE else []
    if left:
        them = "it" if len(left) == 1 and not left[0].startswith(("its texts", "its tags")) else "them"
        found += (f"{' and '.join(filter(None, (', '.join(left[:-1]), left[-1])))} left out, {format} has no place for {them}",)
    return found


def _has_midtones(photo: Photo) -> bool:
    """Return whether a photograph has any luma besides black and white, which a scan of 1 bit lacks."""
    if photo.bits > 1 and photo.luma.size > SAMPLED and _has_midtones(replace(photo, luma=photo.luma[::16, ::16])):
        return True
    white = np.iinfo(photo.luma.dtype).max
    return bool(((photo.luma > 0) & (photo.luma < white)).any())
