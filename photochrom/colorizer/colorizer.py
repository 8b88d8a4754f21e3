"""Color one photograph: its luma in, its chroma out. Every surface of Photochrom goes through here."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, final, get_args

import cv2
import numpy as np
from PIL import Image

from photochrom.color import BINS, Bytes, Float, Plane
from photochrom.colorizer.hints import Hint, draw, settle
from photochrom.colorizer.model import Model, takes_none
from photochrom.colorizer.upsample import shrink, upsample
from photochrom.errors import OptionError, PhotoError
from photochrom.photo import color_management, convert
from photochrom.photo.formats import Format
from photochrom.photo.photo import MAX_PIXELS, Compression, LumaChoice, LumaWay, Photo, Subsampling
from photochrom.photo.planes import stored, thumbnail, upright
from photochrom.photo.prints import photograph_mask
from photochrom.photo.target import OutputOptions, Target, decide
from photochrom.photo.toning import Judgement, judge

OnColor = Literal["skip", "recolor", "error"]

UNKNOWN = Target(None)
"""Of a photograph that is not written."""
LONGEST = 8
"""The network sees a longer picture than this many short sides squeezed."""


@dataclass(frozen=True)
class Options:
    """State how photographs are to be colored."""

    __module__ = "photochrom"

    vividness: float = 1.0
    """From 0 (most faithful: the expected chroma) over 1 to 2 (most vivid)."""
    on_color: OnColor = "skip"
    """What to do with a photograph that is in color already: leave it, color it by its luma, or raise PhotoError."""
    format: Format | None = None
    """Format to write; none keeps the source's."""
    luma: LumaChoice | None = None
    """How a JPEG gets its luma: "lossless" takes the source's coefficients and refuses where that cannot be, "encoded" encodes
    it again, "fast" takes the quicker of the two; none is lossless from a grey or YCbCr JPEG to a JPEG, or else encoded."""
    quality: int | None = None
    """Of a result that is JPEG, WebP, AVIF, or TIFF with JPEG inside: 1 to 100, as the format's usual encoder counts; luma is
    then encoded anew, and a WebP is lossy. None follows a JPEG, and is 95 for a lossy WebP and an AVIF, and 98 for JPEG inside
    a TIFF."""
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
        _ = self.output  # which refuses what contradicts itself
        if (self.certificate is None) != (self.key is None):
            raise OptionError("a certificate without its key, or a key without its certificate: give both, or none (--c2pa)")
        if self.max_pixels < 1:
            raise OptionError(f"max_pixels is {self.max_pixels}: expected 1 or more")
        if self.palette is not None and (
            len(self.palette) != BINS or min(self.palette) < 0 or not 0.99 < sum(self.palette) < 1.01
        ):
            raise OptionError(f"palette has {len(self.palette)} shares of sum {sum(self.palette):g}: expected {BINS} of sum 1")

    @property
    def output(self) -> OutputOptions:
        """How results are written."""
        return OutputOptions(self.format, self.luma, self.quality, self.subsampling, self.compression)

    @property
    def signing(self) -> tuple[str, str] | None:
        """The certificate and the key that results are signed with; None signs nothing."""
        return (self.certificate, self.key) if self.certificate and self.key else None

    def fitted(self, format: Format | None) -> Options:
        """Return the options for a result of a format, without those that are for others, as in a folder of all kinds."""
        return replace(self, **self.output.fitted(format))

    def recorded(self) -> dict[str, Any]:
        """Return all that a result depends on besides the photograph and the model: what records and recipes state."""
        unrecorded = ("max_pixels", "certificate", "key")  # which photographs are refused, and who signs
        return {name: value for name, value in asdict(self).items() if name not in unrecorded}


@dataclass(frozen=True)
class Answer:
    """What the network says of a photograph, at its own scale and turned as the photograph is stored."""

    low: Float
    """``(2, h, w)`` float32 chroma in [-0.5, 0.5], as vivid as asked, hinted points settled, in the photograph's profile."""
    confidence: Float | None
    """``(h, w)`` float32: how likely each color lies within 10 dE (CIE76) of the truth; None where the model states none."""
    share: Float | None = None
    """``(323, h, w)`` float32, upright: the share of each chroma bin before the gain; None unless asked for."""


@dataclass(frozen=True, eq=False)
class Result:
    """Hold the colors found for a photograph. The network ran once for it; everything here comes from that one answer."""

    __module__ = "photochrom"

    photo: Photo
    judgement: Judgement
    low: Float | None
    """The network's own chroma (``Answer.low``); None where the photograph was skipped."""
    target: Target = UNKNOWN
    """How the result is written."""
    confidence: Float | None = None
    """As in ``Answer``; None where the photograph was skipped, too."""
    pages: tuple[Result, ...] = ()
    """Of the further pages of a TIFF, all of them colored or all skipped."""

    @property
    def skipped(self) -> bool:
        """Whether the photograph was left as it is."""
        return self.low is None

    @property
    def luma(self) -> LumaWay | None:
        """How luma gets into the file; None where that is no JPEG, or is not written."""
        return self.target.luma

    @property
    def notes(self) -> tuple[str, ...]:
        """What the result lacks of the source."""
        return self.target.notes

    @cached_property
    def chroma(self) -> tuple[Plane, Plane] | None:
        """Cb and Cr of the photograph's size or half of it, uint8 or uint16; no color is 128, in uint16 32768.

        Computed when first asked for; None where the photograph was skipped.
        """
        if self.low is None:
            return None
        guide = self.photo.luma
        if self.target.luma is None and guide.dtype == np.uint8 and not color_management.is_srgb(self.photo.icc):
            # The steps of a wide space are wide: chroma and then RGB rounded to 8 bits lose too much.
            guide = guide.astype(np.uint16) * np.uint16(257)
        return upsample(self.low, guide, step=self.target.step)


@final
class Colorizer:
    """Hold a loaded model and color any number of photographs with it; safe to share between threads."""

    __module__ = "photochrom"

    def __init__(self, model: Model, options: Options) -> None:
        self.model = model
        self.options = options
        for what, given, taken in (
            ("hints", options.hints, model.card.clickable),
            ("palette", options.palette, model.card.palettes),
        ):
            if given and not taken:
                raise takes_none(model.card.name, what)

    @classmethod
    def load(cls, path: str | Path | None = None, *, options: Options | None = None, threads: int = 0) -> Colorizer:
        """Load a model once, to serve many photographs.

        Args:
            path: a file of ``photochrom export`` or ``photochrom adopt``; none takes the model in the package.
            options: how to color.
            threads: cores that the network computes on; 0 takes all.

        Raises:
            ModelError: if the model is missing, damaged or not one of ours.
        """
        return cls(Model.load(path, threads=threads), options or Options())

    def colorize(self, photo: Photo, *, answer: Answer | None = None) -> Result:
        """Find the colors of a photograph; ``convert.encode`` and ``convert.to_array`` lay them over its luma.

        Args:
            photo: the photograph.
            answer: what ``look`` found for it, where that is at hand; None runs the network.

        Raises:
            PhotoError: if the photograph is in color already and ``on_color`` is "error"; or its luma cannot be lossless, as
                the options ask.
            OutputError: if the format cannot hold it as the options ask.
            OptionError: if a hint lies outside the photograph.
        """
        judgement = judge(photo)
        if judgement.kind == "color" and self.options.on_color != "recolor":
            if self.options.on_color == "error":
                raise in_color(judgement)
            return Result(photo, judgement, None)
        target = decide(photo, self.options.output)
        pages = []
        for page in photo.pages:
            pages.append(self.colorize(page))
            if pages[-1].skipped:
                return Result(photo, pages[-1].judgement, None)
        if target.luma == "lossless" and photo.coded:
            photo.coded.begin()
        answer = answer or self.look(photo)
        return Result(photo, judgement, answer.low, target, answer.confidence, tuple(pages))

    def look(self, photo: Photo, *, share: bool = False) -> Answer:
        """Run the network once on a photograph, without judging it first.

        The network sees the picture upright and as sRGB; its answer is turned back, and converted to the photograph's profile.
        Margins, mounts and pages around prints (``photo.prints``) get no color, but by a hint there.

        Args:
            photo: the photograph.
            share: give the share of each chroma bin too.

        Raises:
            OptionError: if a hint lies outside the photograph, or the model states no distribution.
        """
        hints = tuple(
            replace(hint, x=hint.x // photo.reduced, y=hint.y // photo.reduced) if photo.reduced > 1 else hint
            for hint in self.options.hints
        )
        scan = photo.thumbnail if photo.thumbnail is not None else thumbnail(Image.fromarray(photo.shown))
        return self._look(photo.shown, hints, photo.orientation, photo.icc, scan=scan, share=share)

    def answer(self, luma: Bytes, orientation: int = 1, profile: bytes | None = None) -> tuple[Float, Float | None]:
        """Predict small chroma and its confidence (see ``Answer``) for ``(H, W)`` uint8 luma as stored."""
        found = self._look(luma, self.options.hints, orientation, profile)
        return found.low, found.confidence

    def small_chroma(self, luma: Bytes, *, orientation: int = 1, profile: bytes | None = None) -> Float:
        """Predict ``(2, h, w)`` chroma at the network's scale for ``(H, W)`` uint8 luma as stored.

        Raises:
            OptionError: a hint lies outside the photograph.
        """
        return self.answer(luma, orientation, profile)[0]

    def confidence(self, luma: Bytes) -> Bytes:
        """Map how likely each color of upright ``(H, W)`` uint8 luma lies within 10 dE (CIE76) of the truth.

        Returns:
            ``(H, W)`` uint8, 0 for never to 255 for always.

        Raises:
            OptionError: the model states no confidence, or a hint lies outside the photograph.
        """
        _, found = self.answer(luma)
        if found is None:
            raise takes_none(self.model.card.name, "confidence")
        whole = cv2.resize(found * np.float32(255), luma.shape[::-1], interpolation=cv2.INTER_LINEAR)
        return np.rint(whole).clip(0, 255).astype(np.uint8)

    def _look(
        self,
        luma: Bytes,
        points: tuple[Hint, ...],
        orientation: int,
        profile: bytes | None,
        *,
        scan: Bytes | None = None,
        share: bool = False,
    ) -> Answer:
        luma = color_management.as_srgb(luma, profile)
        seen = upright(self._seen(luma), orientation)
        whole, palette = upright(luma, orientation).shape, self.options.palette
        drawn = draw(points, (whole[0], whole[1]), (seen.shape[0], seen.shape[1]))[None] if points else None
        hints = drawn if self.model.card.hints else None  # a guest's answer is settled afterwards
        vividness, lead = self.options.vividness, None if palette is None else np.array(palette, np.float32)[None]
        shares: Float | None = None
        if share:
            chroma, sure, shares = self.model.distribution(seen[None, None], vividness=vividness, hints=hints, palette=lead)
        else:
            chroma, sure = self.model.answer(seen[None, None], vividness=vividness, hints=hints, palette=lead)
        low = np.ascontiguousarray(stored(chroma[0], orientation))
        mask = None if scan is None else photograph_mask(scan, (low.shape[1], low.shape[2]))
        low = settle(low if mask is None else low * mask, luma, points, orientation=orientation)
        confidence = None if sure is None else np.ascontiguousarray(stored(sure[0], orientation))
        return Answer(color_management.into(profile, low, luma), confidence, None if shares is None else shares[0])

    def chroma(self, luma: Bytes) -> Float:
        """Predict chroma of full size.

        Args:
            luma: ``(H, W)`` or ``(N, H, W)`` uint8.

        Returns:
            ``(2, H, W)`` or ``(N, 2, H, W)`` float32 Cb, Cr in [-0.5, 0.5], in steps of 1/255, inside the RGB gamut.

        Raises:
            OptionError: if luma has another type or shape.
        """
        if luma.ndim == 3 and luma.shape[-1] in (3, 4) and luma.shape[1] > 4:
            raise OptionError(
                f"luma is of shape {luma.shape}, a picture in color: give its luma, (H, W), or several, (N, H, W)"
            )
        if luma.dtype != np.uint8 or luma.ndim not in (2, 3) or 0 in luma.shape:
            raise OptionError(f"luma is {luma.dtype} of shape {luma.shape}: expected uint8 of shape (H, W) or (N, H, W)")
        if luma.ndim == 3:
            return np.stack([self.chroma(plane) for plane in luma])
        planes = upsample(self.small_chroma(luma), luma, step=1)
        return (np.stack(planes).astype(np.float32) - np.float32(128)) / np.float32(255)

    def paint(self, luma: Bytes, *, scan: bool = False) -> Bytes:
        """Color ``(H, W)`` uint8 luma, without judging it first; gives ``(H, W, 3)`` uint8 RGB.

        ``scan`` leaves margins, mounts and pages around prints without color, as ``look`` does.
        """
        low = self.look(Photo(luma=luma)).low if scan else self.small_chroma(luma)
        return convert.to_array(Photo(luma=luma), *upsample(low, luma, step=1))

    def seen_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width of what the network is shown of an upright picture."""
        card = self.model.card
        size, stride = card.size, card.stride
        if card.fixed and not card.padded:
            return size, size
        scale = size / (max if card.padded else min)(height, width)
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
