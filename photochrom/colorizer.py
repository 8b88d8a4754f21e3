"""Color one photograph: its luma in, its chroma out. Every surface of Photochrom goes through here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, final, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from photochrom import photo as photos
from photochrom.errors import OptionError, PhotoError
from photochrom.judge import Judgement, judge
from photochrom.model import Model
from photochrom.photo import Format, Photo
from photochrom.upsample import shrink, upsample

Plane = NDArray[np.uint8]
Float = NDArray[np.float32]
OnColor = Literal["skip", "recolor", "error"]

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
    max_pixels: int = photos.MAX_PIXELS
    """Refuse photographs with more pixels than this."""

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if not 0 <= self.vividness <= 2:
            raise OptionError(f"vividness is {self.vividness}: expected 0 (most faithful) to 2 (most vivid)")
        if self.on_color not in get_args(OnColor):
            raise OptionError(f"on_color is '{self.on_color}': expected one of {', '.join(get_args(OnColor))}")
        if self.format is not None and self.format not in get_args(Format):
            raise OptionError(f"format is '{self.format}': expected one of {', '.join(get_args(Format))}")
        if self.max_pixels < 1:
            raise OptionError(f"max_pixels is {self.max_pixels}: expected 1 or more")


@dataclass(frozen=True)
class Result:
    """Hold the colors found for a photograph."""

    photo: Photo
    judgement: Judgement
    chroma: tuple[Plane, Plane] | None
    """Cb and Cr, uint8, 128 = no color, of the photograph's size or half of it; none where it was skipped."""


@final
class Colorizer:
    """Hold a loaded model and color any number of photographs with it; safe to share between threads."""

    def __init__(self, model: Model, options: Options) -> None:
        self.model = model
        self.options = options

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
            PhotoError: if the photograph is in color already and ``on_color`` is "error".
        """
        judgement = judge(photo)
        if judgement.kind == "color" and self.options.on_color != "recolor":
            if self.options.on_color == "error":
                raise in_color(judgement)
            return Result(photo, judgement, None)
        low = self.small_chroma(photo.luma, orientation=photo.orientation)
        step = photos.chroma_step(photo, self.options.format)
        return Result(photo, judgement, upsample(low, photo.luma, step=step))

    def small_chroma(self, luma: Plane, *, orientation: int = 1) -> Float:
        """Predict ``(2, h, w)`` chroma at the network's scale for ``(H, W)`` uint8 luma as stored.

        The network sees the picture upright; its answer is turned back.
        """
        seen = photos.upright(self._seen(luma), orientation)
        answer = self.model.chroma(seen[None, None], vividness=self.options.vividness)[0]
        return np.ascontiguousarray(photos.stored(answer, orientation))

    def chroma(self, luma: Plane) -> Float:
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

    def paint(self, luma: Plane) -> Plane:
        """Color ``(H, W)`` uint8 luma, without judging it first; gives ``(H, W, 3)`` uint8 RGB."""
        return photos.to_array(Photo(luma=luma), *upsample(self.small_chroma(luma), luma, step=1))

    def _seen(self, luma: Plane) -> Float:
        """Scale luma to what the network was trained to see: float32 in [0, 1], its short side ``card.size``."""
        size, stride = self.model.card.size, self.model.card.stride
        if self.model.card.fixed:
            high = wide = size
        else:
            scale = size / min(luma.shape)
            high, wide = (min(max(round(side * scale / stride), 1), LONGEST * size // stride) * stride for side in luma.shape)
        small = shrink(luma, min(high, luma.shape[0]), min(wide, luma.shape[1])) / np.float32(255)
        if small.shape != (high, wide):
            small = np.asarray(cv2.resize(small, (wide, high), interpolation=cv2.INTER_CUBIC), np.float32)
        return small.clip(0, 1)


def in_color(judgement: Judgement, *, name: str = "the photograph") -> PhotoError:
    """Make the error for a photograph that is in color already."""
    return PhotoError(f"{name} is in color already: {judgement.reason}; on_color 'recolor' (--on-color recolor) colors it anew")
