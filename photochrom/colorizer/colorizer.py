"""Color one photograph: its luma in, its chroma out. Every surface of Photochrom goes through here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, final, get_args

import cv2
import numpy as np

from photochrom.color import BINS, Bytes, Float, Plane
from photochrom.colorizer.hints import Hint, draw, settle
from photochrom.colorizer.model import Model, takes_none
from photochrom.colorizer.upsample import shrink, upsample
from photochrom.errors import OptionError, PhotoError
from photochrom.photo import color_management, convert
from photochrom.photo.formats import Format
from photochrom.photo.photo import MAX_PIXELS, Compression, LumaChoice, LumaWay, Photo, Subsampling
from photochrom.photo.planes import stored, upright
from photochrom.photo.toning import Judgement, judge

OnColor = Literal["skip", "recolor", "error"]

TAKEN: dict[str, tuple[Format, ...]] = {
    "quality": ("JPEG", "WEBP", "AVIF", "TIFF"),
    "subsampling": ("JPEG", "AVIF"),
    "compression": ("TIFF",),
}
"""Options of a file, and the formats that have such a thing."""
LONGEST = 8
"""The network sees a longer picture than this many short sides squeezed."""


@dataclass(frozen=True)
class Options:
    """Say how photographs are to be colored."""

    vividness: float = 1.0
    """From 0 (most faithful: the expected chroma) over 1 to 2 (most vivid)."""
    on_color: OnColor = "skip"
    """What to do with a photograph that is in color already: leave it, color it by its luma, or raise PhotoError."""
    format: Format | None = None
    """Format to write; none keeps the source's."""
    luma: LumaChoice | None = None
    """How a JPEG gets its luma: "lossless" takes the source's coefficients and refuses where that cannot be, "encoded" encodes
    it anew, "fast" takes the quicker of the two; none is lossless from a grey or YCbCr JPEG to a JPEG, or else encoded."""
    quality: int | None = None
    """Of a result that is JPEG, WebP, AVIF, or TIFF with JPEG inside: 1 to 100, as the format's usual encoder counts; luma is
    then encoded anew, and a WebP is lossy. None follows a JPEG, and a WebP or AVIF of 85 or more, and is 90 for every other
    WebP and AVIF, and 98 for JPEG inside a TIFF."""
    subsampling: Subsampling | None = None
    """How finely a result that is JPEG or AVIF holds chroma: at full size ("444"), at half the width ("422"), or at half of
    both sides ("420"); none follows the source."""
    compression: Compression | None = None
    """Of a result that is TIFF: "jpeg" loses luma and is for 8 bits without transparency; none follows the source."""
    max_pixels: int = MAX_PIXELS
    """Refuse photographs with more pixels than this."""
    certificate: str | None = None
    """PEM file of the certificates that a C2PA manifest of the result is signed with; none signs nothing."""
    key: str | None = None
    """PEM file of the certificate's private key."""
    hints: tuple[Hint, ...] = ()
    """Colors of single points of the photograph, which spread over their objects."""
    palette: tuple[float, ...] | None = None
    """Share of each chroma bin in a photograph whose colors lead (``photochrom.colorizer.hints.reference``)."""

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if not 0 <= self.vividness <= 2:
            raise OptionError(f"vividness is {self.vividness}: expected 0 (most faithful) to 2 (most vivid)")
        if self.on_color not in get_args(OnColor):
            raise OptionError(f"on_color is '{self.on_color}': expected one of {', '.join(get_args(OnColor))}")
        if self.format is not None and self.format not in get_args(Format):
            raise OptionError(f"format is '{self.format}': expected one of {', '.join(get_args(Format))}")
        if self.luma is not None and self.luma not in get_args(LumaChoice):
            raise OptionError(f"luma is '{self.luma}': expected one of {', '.join(get_args(LumaChoice))}")
        if self.luma == "lossless" and self.format not in (None, "JPEG"):
            raise OptionError(f"luma is 'lossless', from JPEG to JPEG alone, but format is {self.format}: drop one of them")
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise OptionError(f"quality is {self.quality}: expected 1 (smallest file) to 100 (finest)")
        if self.quality is not None and self.luma == "lossless":
            raise OptionError(f"quality is {self.quality}, but luma is 'lossless', which has the source's: drop one of them")
        if self.subsampling is not None and self.subsampling not in get_args(Subsampling):
            raise OptionError(f"subsampling is '{self.subsampling}': expected one of {', '.join(get_args(Subsampling))}")
        if self.compression is not None and self.compression not in get_args(Compression):
            raise OptionError(f"compression is '{self.compression}': expected one of {', '.join(get_args(Compression))}")
        self.check_fit(self.format)
        if (self.certificate is None) != (self.key is None):
            raise OptionError("a certificate without its key, or a key without its certificate: give both, or none (--c2pa)")
        if self.max_pixels < 1:
            raise OptionError(f"max_pixels is {self.max_pixels}: expected 1 or more")
        if self.palette is not None and (
            len(self.palette) != BINS or min(self.palette) < 0 or not 0.99 < sum(self.palette) < 1.01
        ):
            raise OptionError(f"palette has {len(self.palette)} shares of sum {sum(self.palette):g}: expected {BINS} of sum 1")

    def check_fit(self, format: Format | None) -> None:
        """Raise OptionError where a result of a format cannot be as the options ask; none leaves it to the source."""
        for name in self._foreign(format):
            value, formats = getattr(self, name), TAKEN[name]
            if name == "quality" and format in formats:
                raise OptionError(f"quality is {value}, but '{self.compression}' compresses without loss: drop one of them")
            if value is not None:
                *first, last = formats
                known = f"{', '.join(first)} and {last}" if first else last
                raise OptionError(f"{name} is {value}, which is for {known}, but the result is {format}: drop one of them")

    def fitted(self, format: Format | None) -> Options:
        """Give the options for a result of a format, without those that are for other ones, as in a folder of all kinds."""
        changes: dict[str, Any] = {"format": format, **dict.fromkeys(self._foreign(format))}
        return replace(self, **changes)

    def _foreign(self, format: Format | None) -> list[str]:
        """Name the options that a result of a format does not take."""
        names = [name for name, formats in TAKEN.items() if format not in (None, *formats)]
        lossless = format == "TIFF" and self.compression not in (None, "jpeg")
        return [*names, "quality"] if lossless and self.quality is not None else names


@dataclass(frozen=True)
class Result:
    """Hold the colors found for a photograph."""

    photo: Photo
    judgement: Judgement
    chroma: tuple[Plane, Plane] | None
    """Cb and Cr of the photograph's size or half of it, uint8 or uint16; no color is 128, in uint16 32768. None where it was
    skipped."""
    luma: LumaWay | None = None
    """How luma gets into the file; none where that is no JPEG, or is not written."""
    confidence: Float | None = None
    """``(h, w)`` float32, at the network's scale and turned as stored: how likely each color lies within 10 dE (CIE76) of the
    truth; none where the photograph was skipped, or the model states none."""
    pages: tuple[Result, ...] = ()
    """Of the further pages of a TIFF, all of them colored or all skipped."""
    notes: tuple[str, ...] = ()
    """What the result lacks of the source."""


@final
class Colorizer:
    """Hold a loaded model and color any number of photographs with it; safe to share between threads."""

    def __init__(self, model: Model, options: Options) -> None:
        self.model = model
        self.options = options
        for what, given, taken in (
            ("hints", options.hints, model.card.hints),
            ("palette", options.palette, model.card.palettes),
        ):
            if given and not taken:
                raise takes_none(model.card.name, what)

    @classmethod
    def load(cls, path: str | Path | None = None, *, options: Options | None = None, threads: int = 0) -> Colorizer:
        """Load a model once, to serve many photographs.

        Args:
            path: an ONNX file of ``photochrom export``; none takes the model in the package.
            options: how to color.
            threads: cores that the network computes on; 0 takes all.

        Raises:
            ModelError: if the model is missing, damaged or not one of ours.
        """
        return cls(Model.load(path, threads=threads), options or Options())

    def colorize(self, photo: Photo) -> Result:
        """Find the colors of a photograph; ``photo.encode`` and ``photo.to_array`` lay them over its luma.

        Raises:
            PhotoError: if the photograph is in color already and ``on_color`` is "error"; or its luma cannot be lossless, as
                the options ask.
            OutputError: if the format cannot hold it as the options ask.
        """
        judgement = judge(photo)
        if judgement.kind == "color" and self.options.on_color != "recolor":
            if self.options.on_color == "error":
                raise in_color(judgement)
            return Result(photo, judgement, None)
        pages, notes = [], convert.notes(photo, self.options.format)
        for page in photo.pages:
            pages.append(self.colorize(page))
            if pages[-1].chroma is None:
                return Result(photo, pages[-1].judgement, None)
        subsampling, compression = self.options.subsampling, self.options.compression
        photo = convert.asked(photo, self.options.format, subsampling=subsampling, compression=compression)
        luma = convert.luma_way(photo, self.options.format, asked=self.options.luma, quality=self.options.quality)
        if luma == "lossless" and photo.coded:
            photo.coded.begin()
        low, confidence = self.answer(photo.shown, photo.orientation, photo.icc)
        step = convert.chroma_step(photo, self.options.format)
        guide = photo.luma
        if luma is None and guide.dtype == np.uint8 and not color_management.is_srgb(photo.icc):
            # The steps of a wide space are wide: chroma and then RGB rounded to 8 bits lose too much.
            guide = guide.astype(np.uint16) * np.uint16(257)
        return Result(photo, judgement, upsample(low, guide, step=step), luma, confidence, tuple(pages), notes)

    def small_chroma(self, luma: Bytes, *, orientation: int = 1, profile: bytes | None = None) -> Float:
        """Predict ``(2, h, w)`` chroma at the network's scale for ``(H, W)`` uint8 luma as stored.

        The network sees the picture upright and as sRGB; its answer is turned back, and converted to an RGB profile.

        Raises:
            OptionError: a hint lies outside the photograph.
        """
        return self.answer(luma, orientation, profile)[0]

    def distribution(self, photo: Photo) -> Float:
        """Predict the upright ``(323, h, w)`` share of each chroma bin; raises OptionError if the model states none."""
        seen, hints, palette = self._shown(color_management.as_srgb(photo.shown, photo.icc), photo.orientation)
        found = self.model.distribution(seen, vividness=self.options.vividness, hints=hints, palette=palette)
        return np.asarray(found[0], np.float32)

    def confidence(self, luma: Bytes, *, orientation: int = 1, profile: bytes | None = None) -> Bytes:
        """Map how likely each color lies within 10 dE (CIE76) of the truth.

        Args:
            luma: ``(H, W)`` uint8, as stored.
            orientation: EXIF's, 1 to 8.
            profile: the ICC profile of the photograph; none is sRGB's.

        Returns:
            Upright uint8 of the photograph's size, 0 for never to 255 for always.

        Raises:
            OptionError: the model states no confidence, or a hint lies outside the photograph.
        """
        _, found = self.answer(luma, orientation, profile)
        if found is None:
            raise takes_none(self.model.card.name, "confidence")
        high, wide = luma.shape
        whole = cv2.resize(found * np.float32(255), (wide, high), interpolation=cv2.INTER_LINEAR)
        return np.ascontiguousarray(upright(np.rint(whole).clip(0, 255).astype(np.uint8), orientation))

    def answer(self, luma: Bytes, orientation: int = 1, profile: bytes | None = None) -> tuple[Float, Float | None]:
        """Predict small chroma as ``small_chroma`` does, and its ``(h, w)`` confidence if the model states one, as stored."""
        luma = color_management.as_srgb(luma, profile)
        seen, hints, palette = self._shown(luma, orientation)
        chroma, confidence = self.model.answer(seen, vividness=self.options.vividness, hints=hints, palette=palette)
        low = np.ascontiguousarray(stored(chroma[0], orientation))
        sure = None if confidence is None else np.ascontiguousarray(stored(confidence[0], orientation))
        return color_management.into(profile, settle(low, luma, self.options.hints, orientation=orientation), luma), sure

    def _shown(self, luma: Bytes, orientation: int) -> tuple[Float, Float | None, Float | None]:
        """Give what the network is shown: upright luma, hints and a palette."""
        seen = upright(self._seen(luma), orientation)
        whole, options = upright(luma, orientation).shape, self.options
        hints = draw(options.hints, (whole[0], whole[1]), (seen.shape[0], seen.shape[1]))[None] if options.hints else None
        return seen[None, None], hints, None if options.palette is None else np.array(options.palette, np.float32)[None]

    def chroma(self, luma: Bytes) -> Float:
        """Predict chroma of full size.

        Args:
            luma: ``(H, W)`` or ``(N, H, W)`` uint8.

        Returns:
            ``(2, H, W)`` or ``(N, 2, H, W)`` float32 Cb, Cr in [-0.5, 0.5], in steps of 1/255, inside the RGB gamut.

        Raises:
            OptionError: if luma has another type or shape.
        """
        if luma.dtype != np.uint8 or luma.ndim not in (2, 3) or 0 in luma.shape:
            raise OptionError(f"luma is {luma.dtype} of shape {luma.shape}: expected uint8 of shape (H, W) or (N, H, W)")
        if luma.ndim == 3:
            return np.stack([self.chroma(plane) for plane in luma])
        planes = upsample(self.small_chroma(luma), luma, step=1)
        return (np.stack(planes).astype(np.float32) - np.float32(128)) / np.float32(255)

    def paint(self, luma: Bytes) -> Bytes:
        """Color ``(H, W)`` uint8 luma, without judging it first; gives ``(H, W, 3)`` uint8 RGB."""
        return convert.to_array(Photo(luma=luma), *upsample(self.small_chroma(luma), luma, step=1))

    def seen_size(self, height: int, width: int) -> tuple[int, int]:
        """Give the height and width of what the network is shown of an upright picture."""
        size, stride = self.model.card.size, self.model.card.stride
        if self.model.card.fixed:
            return size, size
        scale = size / min(height, width)
        high, wide = (min(max(round(side * scale / stride), 1), LONGEST * size // stride) * stride for side in (height, width))
        return high, wide

    def _seen(self, luma: Bytes) -> Float:
        """Scale luma to what the network was trained to see: float32 in [0, 1], its short side ``card.size``."""
        high, wide = self.seen_size(luma.shape[0], luma.shape[1])
        small = shrink(luma, min(high, luma.shape[0]), min(wide, luma.shape[1])) / np.float32(255)
        if small.shape != (high, wide):
            small = np.asarray(cv2.resize(small, (wide, high), interpolation=cv2.INTER_CUBIC), np.float32)
        return small.clip(0, 1)


def in_color(judgement: Judgement, *, name: str = "the photograph") -> PhotoError:
    """Make the error for a photograph that is in color already."""
    return PhotoError(f"{name} is in color already: {judgement.reason}; on_color 'recolor' (--on-color recolor) colors it anew")
