"""Make one training picture of one file, or say why not: decode, shrink, set upright, judge, encode."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from io import BytesIO
from typing import Literal

import numpy as np
from PIL import Image, UnidentifiedImageError

from photochrom.errors import one_line
from photochrom.photo.metadata.icc import to_srgb
from photochrom.photo.toning import judge_picture
from photochrom.training.data.manifest import Reason

MAX_ASPECT = 8
"""A longer strip is "narrow": scaled to the size of training it would be enormous."""

TONED = 0.7
"""Judged toned, a picture is rejected only if its figure lies below this: the judge's own bound of 1 suits old photographs, and
would take 1.6 % of 733 color ones from training, lawns and skies; this one takes 0.4 %, and 25 of 31 toned old prints."""

MINIATURE = 8
"""Side of the miniature by which copies are found."""

_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90,
}  # fmt: skip
"""What sets a picture upright, by its EXIF orientation (Exif 2.32, 4.6.4 A)."""


@dataclass(frozen=True)
class Examined:
    """What became of one file: a picture, or a reason for its rejection."""

    reason: Reason | None = None
    detail: str = ""
    size: tuple[int, int] | None = None
    """Width and height of the source, upright, in pixels; None if they could not be read."""
    key: str = ""
    """First 16 hexadecimal digits of the file's SHA-256."""
    jpeg: bytes = b""
    """The picture, encoded."""
    bits: bytes = b""
    """128 bits: where luma rises from left to right in a 9 x 8 miniature, and downward in an 8 x 9 one (difference hash)."""
    miniature: bytes = b""
    """An 8 x 8 RGB miniature of the whole picture, 192 bytes."""


def examine(
    data: bytes, *, size: int, crop: Literal["square", "none"], quality: int, min_side: int, max_pixels: int
) -> Examined:
    """Make a training picture of a file's bytes.

    EXIF orientation is applied, an embedded ICC profile converted to sRGB, transparency laid over white.

    Args:
        data: the file.
        size: short side of the result, in pixels.
        crop: cut the centered square, or keep the whole picture.
        quality: JPEG quality of the result, 1 to 100, without chroma subsampling.
        min_side: least short side of the source, in pixels.
        max_pixels: most pixels of the source.
    """
    decoded = _decode(data, size, min_side=min_side, max_pixels=max_pixels)
    if isinstance(decoded, Examined):
        return decoded
    whole, dimensions = decoded
    picture = whole
    if crop == "square":
        left, top = (picture.width - size) // 2, (picture.height - size) // 2
        picture = picture.crop((left, top, left + size, top + size))
    judgement = judge_picture(np.asarray(picture.convert("L")), np.asarray(picture))
    if judgement.kind in ("grey", "blank") or (judgement.kind == "toned" and judgement.figure < TONED):
        return Examined(judgement.kind, judgement.reason, dimensions)
    luma = whole.convert("L")
    across = np.asarray(luma.resize((MINIATURE + 1, MINIATURE), Image.Resampling.BOX))
    down = np.asarray(luma.resize((MINIATURE, MINIATURE + 1), Image.Resampling.BOX))
    target = BytesIO()
    picture.save(target, "JPEG", quality=quality, subsampling=0)
    return Examined(
        size=dimensions,
        key=hashlib.sha256(data).hexdigest()[:16],
        jpeg=target.getvalue(),
        bits=np.packbits([across[:, 1:] > across[:, :-1], down[1:] > down[:-1]]).tobytes(),
        miniature=whole.resize((MINIATURE, MINIATURE), Image.Resampling.BOX).tobytes(),
    )


def _decode(data: bytes, size: int, *, min_side: int, max_pixels: int) -> tuple[Image.Image, tuple[int, int]] | Examined:
    """Return a file's picture upright in sRGB, scaled to a short side of ``size``, with the size it had; or a rejection."""
    dimensions: tuple[int, int] | None = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's warnings: of sizes, which are checked here, and of odd metadata
            with Image.open(BytesIO(data)) as image:
                turn = image.getexif().get(_ORIENTATION, 1)
                dimensions = image.size[::-1] if turn in (5, 6, 7, 8) else image.size
                wrong = _wrong_shape(*dimensions, min_side=min_side, max_pixels=max_pixels)
                picture = None if wrong else _small_rgb(image, size)
    except Image.DecompressionBombError as error:
        return Examined("too_large", one_line(error))
    except UnidentifiedImageError:
        return Examined("unreadable", "not a picture in a format that Pillow reads")
    except Exception as error:  # damaged files make Pillow's decoders raise nearly anything; it is recorded, by its name too
        return Examined("unreadable", f"{type(error).__name__}: {one_line(error)}")
    if picture is None:
        return Examined(*(wrong or ("grey", "stored without color")), dimensions)
    return (picture.transpose(_TURNS[turn]) if turn in _TURNS else picture), dimensions


def _wrong_shape(width: int, height: int, *, min_side: int, max_pixels: int) -> tuple[Reason, str] | None:
    short, long = sorted((width, height))
    if width * height > max_pixels:
        return "too_large", f"{width} x {height} pixels; the limit is {max_pixels:,}"
    if short < min_side:
        return "tiny", f"{width} x {height} pixels; the short side must have {min_side}"
    if long > MAX_ASPECT * short:
        return "narrow", f"{width} x {height} pixels; the long side may be {MAX_ASPECT} times the short one"
    return None


def _small_rgb(image: Image.Image, size: int) -> Image.Image | None:
    """Decode an open file and scale it to a short side of ``size``, in sRGB; None if it is stored without color."""
    scale = size / min(image.size)
    width, height = (max(size, round(side * scale)) for side in image.size)
    image.draft(image.mode, (2 * width, 2 * height))  # a JPEG decoder can skip what would be thrown away: twice is enough
    image.load()
    if image.mode in ("1", "L", "LA", "La", "F") or image.mode.startswith("I"):
        return None
    small = image
    if image.mode in ("P", "PA"):
        small = image.convert("RGBA" if image.mode == "PA" or "transparency" in image.info else "RGB")
    small = small.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3)
    if small.mode == "RGBA":
        small = Image.alpha_composite(Image.new("RGBA", small.size, "white"), small).convert("RGB")
    return to_srgb(small, image.info.get("icc_profile"))
