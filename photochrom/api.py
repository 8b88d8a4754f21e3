"""Color one photograph by a single call, whatever form it comes in."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from photochrom import photo as photos
from photochrom.colorizer import Colorizer, Options, Result, in_color
from photochrom.errors import OptionError, OutputError, PhotochromError
from photochrom.photo import Format, Photo

if TYPE_CHECKING:
    from PIL import Image

MARK = ".color"
"""Stands before the suffix of a result that lies beside its source."""


@overload
def colorize(photo: str | Path, *, options: Options | None = ..., colorizer: Colorizer | None = ...) -> Path: ...
@overload
def colorize(photo: bytes, *, options: Options | None = ..., colorizer: Colorizer | None = ...) -> bytes: ...
@overload
def colorize(
    photo: NDArray[np.uint8], *, options: Options | None = ..., colorizer: Colorizer | None = ...
) -> NDArray[np.uint8]: ...
@overload
def colorize(photo: Image.Image, *, options: Options | None = ..., colorizer: Colorizer | None = ...) -> Image.Image: ...


def colorize(photo: Any, *, options: Options | None = None, colorizer: Colorizer | None = None) -> Any:
    """Color a photograph and give back what was given.

    Args:
        photo: a path, the bytes of a file, a Pillow image, or an ``(H, W)`` or ``(H, W, 3)`` uint8 array.
        options: how to color; by default the colorizer's own.
        colorizer: a loaded model; none loads the one in the package, once.

    Returns:
        For a path, the path written: ``name.color.jpg`` beside ``name.jpg``. For bytes, the bytes of a file of the same
        format. For an image, an image, and for an array, an ``(H, W, 3)`` uint8 array; neither is turned.

    Raises:
        PhotoError: if it cannot be read, or is in color already and ``on_color`` is not "recolor".
        OutputError: if the result exists already or cannot be written.
        OptionError: if it is none of these things, or a format is asked for that it cannot have.
    """
    colorizer = colorizer or _bundled()
    if options is not None:
        colorizer = Colorizer(colorizer.model, options)
    options = colorizer.options
    if isinstance(photo, str | Path):
        source = Path(photo)
        target = beside(source, options.format)
        result = color_file(source, target, colorizer=colorizer)
        if result.chroma is None:
            raise in_color(result.judgement, name=str(source))
        return target
    if isinstance(photo, bytes | bytearray | memoryview):
        return encoded(photos.read(bytes(photo), max_pixels=options.max_pixels), colorizer)
    if isinstance(photo, np.ndarray):
        read = photos.from_array(photo)
        return photos.to_array(read, *_planes(read, colorizer))
    if hasattr(photo, "getexif") and hasattr(photo, "mode"):
        read = photos.from_pil(photo)
        return photos.to_pil(read, *_planes(read, colorizer))
    raise OptionError(f"{type(photo).__name__} is no photograph: expected a path, bytes, a Pillow image or a uint8 array")


def color_file(
    source: Path, target: Path, *, colorizer: Colorizer, overwrite: bool = False, contents: bytes | None = None
) -> Result:
    """Color a file into another, whose folder is made; nothing is written where the photograph is skipped.

    Args:
        source: the photograph.
        target: the result; its ending says its format where the options do not.
        colorizer: a loaded model.
        overwrite: replace a result that exists.
        contents: the photograph's bytes, where they are at hand; the source is then its name alone.

    Raises:
        PhotoError: if the source cannot be read, or is in color already and ``on_color`` is "error".
        OutputError: if the target exists or cannot be written.
    """
    try:
        if not overwrite and os.path.lexists(target):
            raise OutputError(f"{target}: exists already; choose another name, or allow it to be replaced (--overwrite)")
        options = replace(colorizer.options, format=colorizer.options.format or photos.SUFFIXES.get(target.suffix.lower()))
        name = os.fspath(source)
        photo = photos.read(source if contents is None else contents, max_pixels=options.max_pixels, name=name)
        result = Colorizer(colorizer.model, options).colorize(photo)
        if result.chroma is not None:
            data = photos.encode(photo, *result.chroma, format=options.format)
            _make_folder(target.parent)
            photos.save(data, target, overwrite=overwrite)
    except PhotochromError as error:
        if str(error).startswith(f"{source}: "):
            raise
        raise type(error)(f"{source}: {error}") from error
    return result


def encoded(photo: Photo, colorizer: Colorizer, *, name: str = "the photograph") -> bytes:
    """Color a photograph that was read, as the bytes of a file; raises as ``colorize`` does."""
    result = colorizer.colorize(photo)
    if result.chroma is None:
        raise in_color(result.judgement, name=name)
    return photos.encode(photo, *result.chroma, format=colorizer.options.format)


def beside(source: Path, format: Format | None = None) -> Path:
    """Name the result that lies beside its source: ``name.color.jpg`` for ``name.jpg``."""
    renamed = with_ending(source, format)
    return renamed.with_name(f"{renamed.stem}{MARK}{renamed.suffix}")


def with_ending(path: Path, format: Format | None) -> Path:
    """Give a path the ending of a format, unless it has one of that format's already; no format leaves it as it is."""
    known = photos.SUFFIXES.get(path.suffix.lower())
    if format in (None, known):
        return path
    ending = next(suffix for suffix, kind in photos.SUFFIXES.items() if kind == format)
    return path.with_suffix(ending) if known else path.with_name(path.name + ending)


def _planes(photo: Photo, colorizer: Colorizer) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    if colorizer.options.format is not None:
        raise OptionError(f"format is {colorizer.options.format}, but an array or image is given back: leave format out")
    # An image that was opened from a JPEG still gets chroma of full size: it is given back as pixels.
    result = colorizer.colorize(replace(photo, format=None))
    if result.chroma is None:
        raise in_color(result.judgement, name="the photograph")
    return result.chroma


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made a folder ({error.strerror}); choose another output") from error


@lru_cache(maxsize=1)
def _bundled() -> Colorizer:
    return Colorizer.load()
