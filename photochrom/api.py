"""Color one photograph by a single call, whatever form it comes in."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from photochrom import photo as photos
from photochrom.colorizer import Colorizer, Options
from photochrom.errors import OptionError, PhotoError

if TYPE_CHECKING:
    from PIL import Image

MARK = ".color"
"""Stands before the suffix of a result that lies beside its source."""


@overload
def colorize(photo: str | Path, *, options: Options = ..., colorizer: Colorizer | None = ...) -> Path: ...
@overload
def colorize(photo: bytes, *, options: Options = ..., colorizer: Colorizer | None = ...) -> bytes: ...
@overload
def colorize(photo: NDArray[np.uint8], *, options: Options = ..., colorizer: Colorizer | None = ...) -> NDArray[np.uint8]: ...
@overload
def colorize(photo: Image.Image, *, options: Options = ..., colorizer: Colorizer | None = ...) -> Image.Image: ...


def colorize(photo: Any, *, options: Options | None = None, colorizer: Colorizer | None = None) -> Any:
    """Color a photograph and give back what was given.

    Args:
        photo: a path, the bytes of a file, a Pillow image, or an ``(H, W)`` or ``(H, W, 3)`` uint8 array.
        options: how to color; by default the colorizer's own.
        colorizer: a loaded model; none loads the one in the package, once.

    Returns:
        For a path, the path written: ``name.color.jpg`` beside ``name.jpg``. For bytes, the bytes of a file of the same
        format. For an image, an image. For an array, an ``(H, W, 3)`` uint8 array.

    Raises:
        PhotoError: if it cannot be read, or is in color already and ``on_color`` is "skip".
        OutputError: if the result exists already or cannot be written.
        OptionError: if it is neither of these things.
    """
    if colorizer is None:
        colorizer = _bundled()
    if options is not None:
        colorizer = Colorizer(colorizer.model, options)
    options = colorizer.options
    if isinstance(photo, str | Path):
        source = Path(photo)
        target = beside(source, options.format)
        photos.save(_encoded(colorizer, photos.read(source, max_pixels=options.max_pixels), str(source)), target)
        return target
    if isinstance(photo, bytes | bytearray | memoryview):
        return _encoded(colorizer, photos.read(bytes(photo), max_pixels=options.max_pixels), "photograph")
    if isinstance(photo, np.ndarray):
        read = photos.from_array(photo)
        return photos.to_array(read, *_planes(colorizer, read, "array"))
    if hasattr(photo, "getexif") and hasattr(photo, "mode"):
        read = photos.from_pil(photo)
        return photos.to_pil(read, *_planes(colorizer, read, "image"))
    raise OptionError(f"{type(photo).__name__} is no photograph: expected a path, bytes, a Pillow image or a uint8 array")


def beside(source: Path, format: photos.Format | None = None) -> Path:
    """Name the result that lies beside its source: ``name.color.jpg`` for ``name.jpg``."""
    suffix = source.suffix
    if format is not None and photos.SUFFIXES.get(suffix.lower()) != format:
        suffix = next(ending for ending, kind in photos.SUFFIXES.items() if kind == format)
    return source.with_name(f"{source.stem}{MARK}{suffix}")


def _encoded(colorizer: Colorizer, photo: photos.Photo, name: str) -> bytes:
    return photos.encode(photo, *_planes(colorizer, photo, name), format=colorizer.options.format)


def _planes(colorizer: Colorizer, photo: photos.Photo, name: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    result = colorizer.colorize(photo)
    if result.chroma is None:
        raise PhotoError(f"{name}: is in color already ({result.judgement.reason}); use Options(on_color='recolor') to color it anew")
    return result.chroma


@lru_cache(maxsize=1)
def _bundled() -> Colorizer:
    return Colorizer.load()
