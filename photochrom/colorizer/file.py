"""Color one photograph by a single call, whatever form it comes in."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, final, overload

import numpy as np
from numpy.typing import NDArray

from photochrom import files
from photochrom.color import Plane
from photochrom.colorizer import c2pa, provenance, proxy, stream
from photochrom.colorizer.colorizer import Colorizer, Options, Result, in_color
from photochrom.errors import OptionError, OutputError, PhotochromError, PhotoError, one_line
from photochrom.files import Announce
from photochrom.files import contents as read_contents
from photochrom.photo import convert, planes, vips
from photochrom.photo.formats import FORMATS, SUBSTITUTES, SUFFIXES, Format, suffix_of
from photochrom.photo.photo import MAX_PIXELS, Photo
from photochrom.photo.scan import Scan
from photochrom.photo.target import format_of

if TYPE_CHECKING:
    from PIL import Image

Samples = TypeVar("Samples", np.uint8, np.uint16)
Where = str | Path
Loaded = Colorizer | None

MARK = ".color"
"""Stands before the suffix of a result that lies beside its source."""


@overload
def colorize(
    photo: str | Path,
    *,
    output: Where | None = ...,
    overwrite: bool = ...,
    options: Options | None = ...,
    colorizer: Loaded = ...,
) -> Path: ...
@overload
def colorize(photo: bytes | BinaryIO, *, options: Options | None = ..., colorizer: Loaded = ...) -> bytes: ...
@overload
def colorize(
    photo: bytes | BinaryIO, *, output: Where, overwrite: bool = ..., options: Options | None = ..., colorizer: Loaded = ...
) -> Path: ...
@overload
def colorize(
    photo: NDArray[Samples], *, options: Options | None = ..., colorizer: Colorizer | None = ...
) -> NDArray[Samples]: ...
@overload
def colorize(photo: Image.Image, *, options: Options | None = ..., colorizer: Colorizer | None = ...) -> Image.Image: ...


def colorize(
    photo: Any,
    *,
    output: str | Path | None = None,
    overwrite: bool = False,
    options: Options | None = None,
    colorizer: Colorizer | None = None,
) -> Any:
    """Color a photograph and give back what was given.

    Args:
        photo: a path; the bytes of a file, or a file that is open for reading bytes; a Pillow image, also of mode I;16; or a
            uint8 or uint16 array, ``(H, W)``, ``(H, W, 1)``, ``(H, W, 3)`` RGB or ``(H, W, 4)`` RGBA.
        output: the file to write, for a path, bytes or an open file; its ending says its format where the options do not.
        overwrite: replace a file that exists; else it is kept, and an OutputError raised.
        options: how to color; by default the colorizer's own.
        colorizer: a loaded model; none loads the one in the package, once.

    Returns:
        The path written, for a path or with ``output``; by default ``name.color.jpg`` beside ``name.jpg``. For bytes or an open
        file, the bytes of a file of the same format. For an image, an RGB or RGBA image of 8 bits, and for an array, an
        ``(H, W, 3)`` array of its type, or ``(H, W, 4)`` where it has alpha; neither is turned.

    Raises:
        PhotoError: if it cannot be read, or is in color already and ``on_color`` is not "recolor".
        OutputError: if the result exists already or cannot be written.
        OptionError: if it is none of these things, or a format is asked for that it cannot have.
    """
    colorizer = colorizer or _bundled()
    if options is not None:
        colorizer = Colorizer(colorizer.model, options)
    contents = None
    if hasattr(photo, "read") and not hasattr(photo, "getexif"):
        photo = photo.read()
        if not isinstance(photo, bytes):
            raise OptionError("the file gives text, not bytes: open it in mode 'rb'")
    if isinstance(photo, bytes | bytearray | memoryview):
        contents = bytes(photo)
        if output is None:
            return encoded(contents, colorizer)
    if isinstance(photo, str | Path) or contents is not None:
        source = Path("photograph" if contents is not None else photo)
        target = beside(source, colorizer.options.format) if output is None else Path(output)
        result = color_file(source, target, colorizer=colorizer, overwrite=overwrite, contents=contents)
        if result.skipped:
            raise in_color(result.judgement, name=str(source))
        return target
    if output is not None:
        raise OptionError(f"output is for a path, bytes or an open file; save the {type(photo).__name__} that is given back")
    if isinstance(photo, np.ndarray):
        read = convert.from_array(photo)
        samples = convert.to_array(read, *_planes(read, colorizer))
        return samples if read.alpha is None else np.dstack([samples, read.alpha])
    if hasattr(photo, "getexif") and hasattr(photo, "mode"):
        read = convert.from_pil(photo)
        return convert.to_pil(read, *_planes(read, colorizer))
    raise OptionError(
        f"{type(photo).__name__} is no photograph: expected a path, bytes, an open file, a Pillow image or an array"
    )


@final
@dataclass(frozen=True, eq=False)
class Source:
    """A photograph to be colored: what the judge and the network see of it, and how its result is written.

    A huge scan is streamed: ``photo`` is then a small picture of it, and its result is written band by band. Nobody else has to
    know.
    """

    name: str
    """What the result's metadata call the photograph."""
    photo: Photo
    _sha256: Future[str]
    _signature: c2pa.Signature | None = None
    _scan: Scan | None = None
    _contents: bytes | None = None

    @classmethod
    def open(cls, path: Path, options: Options, *, contents: bytes | None = None, sha256: str | None = None) -> Source:
        """Read a photograph.

        Args:
            path: its file, or only its name where ``contents`` are given.
            options: tell how large it may be, and what its result must be able to hold.
            contents: the bytes of the file, where they are at hand.
            sha256: hash of the file, where it is known.

        Raises:
            PhotoError: it is missing, damaged, too large, or of a kind that is not read.
            OutputError: a scan cannot be compressed as the options ask.
            OptionError: the certificate or the key of the options cannot be used.
        """
        signature = c2pa.signature(*options.signing) if options.signing else None
        scan = stream.scan(path) if contents is None else None
        if scan and options.format in (None, scan.format):
            stream.check(scan, options)
            hashed = _later(lambda: files.digest(path), sha256)  # hashing takes about as long as reading
            return cls(path.name, proxy.read(scan, max_pixels=options.max_pixels), hashed, signature, scan)
        data = read_contents(path) if contents is None else contents
        photo = convert.read(data, max_pixels=options.max_pixels, name=os.fspath(path))
        hashed = _later(lambda: hashlib.sha256(data).hexdigest(), sha256)
        return cls(path.name, photo, hashed, signature, None, data)

    @property
    def alpha(self) -> bool:
        """Whether the photograph has transparency."""
        return self._scan.alpha if self._scan else self.photo.alpha is not None

    def save(
        self,
        result: Result,
        target: Path,
        *,
        colorizer: Colorizer,
        overwrite: bool = False,
        announce: Announce | None = None,
        recorded_name: str | None = None,
    ) -> None:
        """Write the result of this photograph into a file whose folder is made.

        Args:
            result: of ``Colorizer.colorize`` or of a variant, not skipped.
            target: the file.
            colorizer: what found the colors; it is recorded.
            overwrite: replace a target that exists.
            announce: as for ``files.drafted``.
            recorded_name: what the metadata call the photograph; None takes the name of its file.

        Raises:
            PhotoError: the photograph is damaged.
            OutputError: the target exists, cannot be written, or cannot hold the result.
            OptionError: the result cannot be signed with the certificate.
        """
        name = self.name if recorded_name is None else recorded_name
        data = None if self._scan else self._bytes(result, colorizer, name)
        files.make_folder(target.parent)
        with files.drafted(target, overwrite=overwrite, announce=announce) as draft:
            if data is not None:
                draft.write_bytes(data)
            elif self._scan:
                self._stream(self._scan, result, draft, colorizer=colorizer, name=name)

    def encoded(self, result: Result, colorizer: Colorizer, *, recorded_name: str = "") -> bytes:
        """Return the result as the bytes of a file, which names its source as told; raises as ``save`` does."""
        return self._bytes(result, colorizer, recorded_name)

    def _record(self, result: Result, colorizer: Colorizer, name: str) -> provenance.Record:
        return provenance.record(colorizer, format=result.target.format, source=name, sha256=self._sha256.result())

    def _bytes(self, result: Result, colorizer: Colorizer, name: str) -> bytes:
        assert result.chroma is not None
        record = self._record(result, colorizer, name)
        pages = [page.chroma for page in result.pages if page.chroma is not None]
        kept = replace(result.photo, xmp=provenance.merged(result.photo.xmp, record))
        data = convert.encode(kept, *result.chroma, result.target, pages=pages)
        if self._signature is None:
            return data
        format, kind = result.target.format, self.photo.format
        assert self._contents is not None and format is not None and kind is not None
        return c2pa.signed(data, format, self._signature, name=record.source, source=self._contents, source_format=kind)

    def _stream(self, scan: Scan, result: Result, draft: Path, *, colorizer: Colorizer, name: str) -> None:
        record = self._record(result, colorizer, name)
        xmp = provenance.merged(result.photo.xmp, record)
        with draft.open("r+b") as file:
            if self._signature is None:
                stream.write(file, scan, result, xmp=xmp)
                return
            with tempfile.TemporaryFile(dir=draft.parent) as unsigned, scan.path.open("rb") as parent:
                stream.write(unsigned, scan, result, xmp=xmp)
                unsigned.seek(0)
                how: dict[str, Any] = {"format": scan.format, "source_format": scan.format, "name": record.source}
                c2pa.sign(unsigned, file, parent, self._signature, **how, sparing=True)


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
        contents: the photograph's bytes, where they are at hand; the source is then only its name.
        announce: called with the finished file before that takes the target's name; what it raises prevents that.
        recorded_name: what the result's metadata call the source; by default the name of its file.
        sha256: hash of the source, where it is known.

    Raises:
        PhotoError: if the source cannot be read, or is in color already and ``on_color`` is "error".
        OutputError: if the target exists or cannot be written.
    """
    try:
        files.refuse_existing(target, overwrite=overwrite)
        colorizer = Colorizer(colorizer.model, colorizer.options.fitted(colorizer.options.format or written_as(target)))
        opened = Source.open(source, colorizer.options, contents=contents, sha256=sha256)
        result = colorizer.colorize(opened.photo)
        if not result.skipped:
            opened.save(
                result,
                target,
                colorizer=colorizer,
                overwrite=overwrite,
                announce=(lambda draft: announce(draft, result)) if announce else None,
                recorded_name=recorded_name,
            )
    except PhotochromError as error:
        raise error.at(source) from error
    return result


def save_confidence(result: Result, target: Path, *, overwrite: bool = False) -> None:
    """Write how likely each color is right as a grey PNG of the photograph's size, upright: white is certain.

    Raises:
        OptionError: the model states no confidence.
        OutputError: the target exists or cannot be written.
    """
    if result.confidence is None:
        raise OptionError("the model has no confidence: leave that out, or choose a model that was trained with it")
    photo = result.photo
    high, wide = photo.full or photo.luma.shape
    size = (wide, high) if photo.orientation > 4 else (high, wide)
    small = np.rint(planes.upright(result.confidence, photo.orientation) * np.float32(255)).clip(0, 255).astype(np.uint8)
    files.make_folder(target.parent)
    with files.drafted(target, overwrite=overwrite) as draft:
        try:
            vips.save_enlarged(small, size, draft)
        except OSError as error:
            raise OutputError(f"cannot be written ({one_line(error)}); choose another place", path=target) from error


def encoded(photo: bytes | Photo, colorizer: Colorizer, *, name: str = "the photograph") -> bytes:
    """Color a photograph into the bytes of a file; raises as ``colorize`` does.

    Args:
        photo: the bytes of its file, or a photograph that was read from none.
        colorizer: a loaded model.
        name: what errors call it.
    """
    if isinstance(photo, Photo):
        if colorizer.options.signing:
            raise OptionError("a photograph without a file is not signed; give the file, or leave the certificate out")
        source = Source("", photo, _later(str, ""))
    else:
        source = Source.open(Path(name), colorizer.options, contents=photo)
    colorizer.options.output.check_fit(format_of(source.photo, colorizer.options.format))
    result = colorizer.colorize(source.photo)
    if result.skipped:
        raise in_color(result.judgement, name=name)
    return source.encoded(result, colorizer)


def beside(source: Path, format: Format | None = None) -> Path:
    """Name the result that lies beside its source: ``name.color.jpg`` for ``name.jpg``."""
    renamed = with_ending(source, format)
    return renamed.with_name(f"{renamed.stem}{MARK}{renamed.suffix}")


def with_ending(path: Path, format: Format | None) -> Path:
    """Return a path the ending of a format, unless it has one of that format's already.

    No format leaves it as it is; but a kind that is read only gets the ending of what is written in its place.
    """
    suffix = suffix_of(path, format)
    if suffix is None:
        return path
    return path.with_suffix(suffix) if path.suffix.lower() in SUFFIXES else path.with_name(path.name + suffix)


def written_as(target: Path) -> Format | None:
    """Return the format that a result's name says; none where it says none.

    Raises:
        OptionError: it is one that is read only.
    """
    kind = SUFFIXES.get(target.suffix.lower())
    format = next((format for format in FORMATS if format == kind), None)
    if kind and not format:
        raise OptionError(f"'{target}' is a {kind} by its name, which is read only; name a {SUBSTITUTES[kind]} instead")
    return format


def _planes(photo: Photo, colorizer: Colorizer) -> tuple[Plane, Plane]:
    if colorizer.options.format is not None:
        raise OptionError(f"format is {colorizer.options.format}, but an array or image is given back: leave format out")
    # An image that was opened from a JPEG still gets chroma of full size: it is given back as pixels.
    result = colorizer.colorize(replace(photo, format=None))
    if result.chroma is None:
        raise in_color(result.judgement)
    return result.chroma


def recorded(path: Path, *, max_pixels: int = MAX_PIXELS) -> provenance.Record:
    """Read what a result says of its making.

    Raises:
        PhotoError: it cannot be read, or says nothing, or not all.
    """
    xmp = Source.open(path, Options(max_pixels=max_pixels)).photo.xmp
    try:
        if found := provenance.find(xmp):
            return found
    except PhotoError as error:
        raise error.at(path) from error
    raise PhotoError(
        "its metadata hold no record of Photochrom; give a photograph that it colored, as it was written", path=path
    )


def _later(work: Callable[[], str], known: str | None) -> Future[str]:
    """Begin to compute a hash in a thread of its own, unless it is known."""
    done: Future[str] = Future()
    if known is not None:
        done.set_result(known)
        return done
    pool = ThreadPoolExecutor(1)
    done = pool.submit(work)
    pool.shutdown(wait=False)
    return done


@lru_cache(maxsize=1)
def _bundled() -> Colorizer:
    return Colorizer.load()
