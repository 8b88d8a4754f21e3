"""Color one photograph by a single call, whatever form it comes in."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from photochrom import files
from photochrom.color import Plane
from photochrom.colorizer import c2pa, provenance, stream
from photochrom.colorizer.colorizer import Colorizer, Options, Result, in_color
from photochrom.errors import OptionError, OutputError, PhotochromError, PhotoError
from photochrom.files import contents as read_contents
from photochrom.photo import convert
from photochrom.photo.formats import FORMATS, SUBSTITUTES, SUFFIXES, Format, ending
from photochrom.photo.photo import MAX_PIXELS, Photo

if TYPE_CHECKING:
    from PIL import Image

Samples = TypeVar("Samples", np.uint8, np.uint16)

MARK = ".color"
"""Stands before the suffix of a result that lies beside its source."""


@overload
def colorize(photo: str | Path, *, options: Options | None = ..., colorizer: Colorizer | None = ...) -> Path: ...
@overload
def colorize(photo: bytes, *, options: Options | None = ..., colorizer: Colorizer | None = ...) -> bytes: ...
@overload
def colorize(
    photo: NDArray[Samples], *, options: Options | None = ..., colorizer: Colorizer | None = ...
) -> NDArray[Samples]: ...
@overload
def colorize(photo: Image.Image, *, options: Options | None = ..., colorizer: Colorizer | None = ...) -> Image.Image: ...


def colorize(photo: Any, *, options: Options | None = None, colorizer: Colorizer | None = None) -> Any:
    """Color a photograph and give back what was given.

    Args:
        photo: a path, the bytes of a file, a Pillow image, or an ``(H, W)`` or ``(H, W, 3)`` array,
            uint8 or uint16.
        options: how to color; by default the colorizer's own.
        colorizer: a loaded model; none loads the one in the package, once.

    Returns:
        For a path, the path written: ``name.color.jpg`` beside ``name.jpg``. For bytes, the bytes of a file of the same
        format. For an image, an image, and for an array, an ``(H, W, 3)`` array of its type; neither is turned.

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
        data = bytes(photo)
        return encoded(convert.read(data, max_pixels=options.max_pixels), colorizer, contents=data)
    if isinstance(photo, np.ndarray):
        read = convert.from_array(photo)
        return convert.to_array(read, *_planes(read, colorizer))
    if hasattr(photo, "getexif") and hasattr(photo, "mode"):
        read = convert.from_pil(photo)
        return convert.to_pil(read, *_planes(read, colorizer))
    raise OptionError(f"{type(photo).__name__} is no photograph: expected a path, bytes, a Pillow image or an array")


def color_file(
    source: Path,
    target: Path,
    *,
    colorizer: Colorizer,
    overwrite: bool = False,
    contents: bytes | None = None,
    announce: Callable[[Path, Result], None] | None = None,
    recorded_name: str | None = None,
    sha256: str | None = None,
) -> Result:
    """Color a file into another, whose folder is made; nothing is written where the photograph is skipped.

    Args:
        source: the photograph.
        target: the result; its ending says its format where the options do not.
        colorizer: a loaded model.
        overwrite: replace a result that exists.
        contents: the photograph's bytes, where they are at hand; the source is then its name alone.
        announce: called with the finished file before that takes the target's name; what it raises prevents that.
        recorded_name: what the result's metadata call the source; by default the name of its file.
        sha256: hash of the source, where it is known.

    Raises:
        PhotoError: if the source cannot be read, or is in color already and ``on_color`` is "error".
        OutputError: if the target exists or cannot be written.
    """
    try:
        if not overwrite and os.path.lexists(target):
            raise OutputError(f"{target}: exists already; choose another name, or allow it to be replaced (--overwrite)")
        options = colorizer.options.fitted(colorizer.options.format or written_as(target))
        name = os.fspath(source)
        colorizer = Colorizer(colorizer.model, options)
        found = stream.scan(source) if contents is None else None
        scan = found if found and options.format in (None, found.format) else None
        if scan is None:
            contents = read_contents(source) if contents is None else contents
            result = colorizer.colorize(convert.read(contents, max_pixels=options.max_pixels, name=name))
        else:
            # Before the work: a key that does not fit is found out at once.
            signature = c2pa.signature(options.certificate, options.key) if options.certificate and options.key else None
            with ThreadPoolExecutor(1) as pool:  # hashing takes about as long as looking
                hashed = None if sha256 else pool.submit(digest, source)
                result = stream.look(scan, colorizer)
                sha256 = hashed.result() if hashed else sha256

        def tell(draft: Path) -> None:
            if announce:
                announce(draft, result)

        recorded_name = source.name if recorded_name is None else recorded_name
        if result.chroma is not None and scan:
            record = provenance.record(colorizer, format=scan.format, source=recorded_name, sha256=sha256 or "")
            xmp = provenance.merged(result.photo.xmp, record)
            _make_folder(target.parent)

            def sign(file: BinaryIO, output: BinaryIO) -> None:
                assert signature
                with source.open("rb") as parent:
                    how: dict[str, Any] = {"format": scan.format, "source_format": scan.format, "name": record.source}
                    c2pa.sign(file, output, parent, signature, **how, sparing=True)

            signer = sign if signature else None
            stream.paint(scan, result, target, colorizer=colorizer, xmp=xmp, overwrite=overwrite, announce=tell, sign=signer)
        elif result.chroma is not None:
            data = _encode(result, colorizer, name=recorded_name, contents=contents, sha256=sha256)
            _make_folder(target.parent)
            files.save(data, target, overwrite=overwrite, announce=tell)
    except PhotochromError as error:
        if str(error).startswith(f"{source}: "):
            raise
        raise type(error)(f"{source}: {error}") from error
    return result


def encoded(photo: Photo, colorizer: Colorizer, *, name: str = "the photograph", contents: bytes | None = None) -> bytes:
    """Color a photograph that was read, as the bytes of a file; raises as ``colorize`` does.

    Args:
        photo: the photograph.
        colorizer: a loaded model.
        name: what errors call it.
        contents: its file, whose hash the result then states.
    """
    result = colorizer.colorize(photo)
    if result.chroma is None:
        raise in_color(result.judgement, name=name)
    return _encode(result, colorizer, contents=contents)


def beside(source: Path, format: Format | None = None) -> Path:
    """Name the result that lies beside its source: ``name.color.jpg`` for ``name.jpg``."""
    renamed = with_ending(source, format)
    return renamed.with_name(f"{renamed.stem}{MARK}{renamed.suffix}")


def with_ending(path: Path, format: Format | None) -> Path:
    """Give a path the ending of a format, unless it has one of that format's already.

    No format leaves it as it is; but a kind that is read only gets the ending of what is written in its place.
    """
    known = SUFFIXES.get(path.suffix.lower())
    wanted = format or (SUBSTITUTES.get(known) if known else None)
    if wanted in (None, known):
        return path
    suffix = ending(wanted)
    return path.with_suffix(suffix) if known else path.with_name(path.name + suffix)


def written_as(target: Path) -> Format | None:
    """Tell the format that a result's name says; none where it says none.

    Raises:
        OptionError: it is one that is read only.
    """
    kind = SUFFIXES.get(target.suffix.lower())
    format = next((format for format in FORMATS if format == kind), None)
    if kind and not format:
        raise OptionError(f"'{target}' is a {kind} by its name, which is read only; name a {SUBSTITUTES[kind]} instead")
    return format


def _encode(
    result: Result, colorizer: Colorizer, *, name: str = "", contents: bytes | None = None, sha256: str | None = None
) -> bytes:
    assert result.chroma is not None
    photo, options = result.photo, colorizer.options
    if sha256 is None:
        sha256 = hashlib.sha256(contents).hexdigest() if contents else ""
    format = convert.target_of(photo, options.format)
    record = provenance.record(colorizer, format=format, source=name, sha256=sha256)
    xmp = provenance.merged(photo.xmp, record)
    pages = [page.chroma for page in result.pages if page.chroma is not None]
    kept = replace(photo, xmp=xmp)
    data = convert.encode(kept, *result.chroma, format=options.format, luma=options.luma, quality=options.quality, pages=pages)
    if not options.certificate or not options.key:
        return data
    if contents is None or format is None or photo.format is None:
        raise OptionError("a photograph without a file is not signed; give the file, or leave the certificate out")
    signature = c2pa.signature(options.certificate, options.key)
    return c2pa.signed(data, format, signature, name=record.source, source=contents, source_format=photo.format)


def _planes(photo: Photo, colorizer: Colorizer) -> tuple[Plane, Plane]:
    if colorizer.options.format is not None:
        raise OptionError(f"format is {colorizer.options.format}, but an array or image is given back: leave format out")
    # An image that was opened from a JPEG still gets chroma of full size: it is given back as pixels.
    result = colorizer.colorize(replace(photo, format=None))
    if result.chroma is None:
        raise in_color(result.judgement, name="the photograph")
    return result.chroma


def recorded(path: Path, *, max_pixels: int = MAX_PIXELS) -> provenance.Record:
    """Read what a result says of its making.

    Raises:
        PhotoError: it cannot be read, or says nothing, or not all.
    """
    scan = stream.scan(path)
    xmp = scan.xmp if scan else convert.read(path, max_pixels=max_pixels).xmp
    try:
        if found := provenance.find(xmp):
            return found
    except PhotoError as error:
        raise PhotoError(f"{path}: {error}") from error
    raise PhotoError(f"{path}: its metadata hold no record of Photochrom; give a photograph that it colored, as it was written")


def digest(path: Path) -> str:
    """Give the SHA-256 of a file; raises PhotoError where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise PhotoError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from error


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made a folder ({error.strerror}); choose another output") from error


@lru_cache(maxsize=1)
def _bundled() -> Colorizer:
    return Colorizer.load()
