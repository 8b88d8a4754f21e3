"""Look at photographs, results and models: the commands ``info``, ``sheet``, ``replay`` and ``card``."""

from __future__ import annotations

import dataclasses
import json as jsonlib
import os
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from photochrom import files
from photochrom.errors import OptionError, PhotochromError, one_line


def info(
    photos: Annotated[list[Path], Parameter(name="PHOTO", consume_multiple=True)],
    /,
    *,
    max_pixels: int = 200_000_000,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Say what a photograph is: its format, size and metadata, and whether it is grey, toned, in color or blank.

    Parameters
    ----------
    photos
        Photographs.
    max_pixels
        Refuse larger photographs; a plain TIFF or PNG of over 16 megapixels, which is streamed, may have ten times as many.
    json
        Print one line of JSON for each.
    """
    from photochrom.colorizer.colorizer import Options
    from photochrom.colorizer.file import Source
    from photochrom.photo.target import decide
    from photochrom.photo.toning import judge

    failed = 0
    for path in photos:
        try:
            source = Source.open(path, Options(max_pixels=max_pixels))
        except PhotochromError as error:
            failed += 1
            print(f"photochrom: {one_line(error)}", file=sys.stderr)
            continue
        photo = source.photo
        judgement, notes = judge(photo), decide(photo).notes
        carried = [name for name in ("exif", "xmp", "iptc", "icc") if getattr(photo, name) is not None]
        carried += ["alpha"] if source.alpha else []
        height, width = photo.full or photo.luma.shape
        pages = 1 + len(photo.pages)
        facts = {
            "source": os.fspath(path),
            "format": photo.format,
            "width": width,
            "height": height,
            "bits": photo.bits,
            "pages": pages,
            "orientation": photo.orientation,
            "carries": carried,
            "judgement": judgement.kind,
            "reason": judgement.reason,
            "notes": notes,
        }
        if json:
            print(jsonlib.dumps(facts))
        else:
            print(
                f"{path}: {photo.format}, {width} x {height}, {photo.bits} bits, "
                f"{f'{pages} pages, ' if pages > 1 else ''}orientation {photo.orientation}, with "
                f"{', '.join(carried) or 'no metadata'}; {judgement.kind} ({judgement.reason})"
                + "".join(f"; {note}" for note in notes)
            )
    return 1 if failed else 0


def sheet(
    photos: Annotated[list[Path], Parameter(name="PHOTO", consume_multiple=True)],
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    model: Annotated[list[Path] | None, Parameter(negative="")] = None,
    vividness: float = 1.0,
    height: int = 256,
    columns: int = 2,
    limit: int | None = None,
    overwrite: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Draw a contact sheet: each photograph in grey, colorized, and in its true colors where it has any.

    Parameters
    ----------
    photos
        Photographs, folders of them, and prepared .tar shards.
    output
        The JPEG file to write.
    model
        A model file of `photochrom export` or `photochrom adopt` instead of the one in the package. May be repeated: each model
        gets a cell of every photograph, with its name.
    vividness
        From 0 (most faithful) over 1 to 2 (most vivid).
    height
        Height of a picture on the sheet, in pixels.
    columns
        Photographs beside each other.
    limit
        Take at most so many photographs of each folder or shard.
    overwrite
        Replace a sheet that exists.
    """
    from photochrom.colorizer.colorizer import Colorizer, Options
    from photochrom.colorizer.model import told_apart
    from photochrom.evaluation.photographs import sheet as draw

    options = Options(vividness=vividness)
    colorizers = [Colorizer.load(path, options=options) for path in model or (None,)]
    names = told_apart(*(each.model for each in colorizers)) if len(colorizers) > 1 else ()
    paints = [partial(each.paint, scan=True) for each in colorizers]
    files.save(draw(photos, *paints, height=height, columns=columns, limit=limit, names=names), output, overwrite=overwrite)
    print(output)
    return 0


def card(model: Path | None = None, /) -> int:
    """Print the card that a model file carries, as JSON: how it was trained, on what, and what it expects.

    Parameters
    ----------
    model
        A model file of `photochrom export` or `photochrom adopt`; without it, the model in the package.
    """
    from photochrom.colorizer.model import Model

    loaded = Model.load(model)
    print(jsonlib.dumps({"sha256": loaded.hash, **dataclasses.asdict(loaded.card)}, indent=1))
    return 0


def replay(
    result: Path,
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    source: Path | None = None,
    model: Path | None = None,
    max_pixels: int = 200_000_000,
    overwrite: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Repeat the run that made a result, from the record in its metadata, and say whether the bytes are the same.

    Parameters
    ----------
    result
        A photograph that Photochrom colored.
    output
        The file to write.
    source
        The photograph that it was made from; without it, the one beside the result that has the recorded name.
    model
        The model file that it was made with, where that is not the one in the package.
    max_pixels
        Refuse larger photographs.
    overwrite
        Replace an output that exists.
    """
    from photochrom.colorizer import file, provenance
    from photochrom.colorizer.colorizer import Colorizer
    from photochrom.errors import ModelError, PhotoError
    from photochrom.version import __version__

    record = file.recorded(result, max_pixels=max_pixels)
    options = provenance.options(record, max_pixels=max_pixels)
    if record.version != __version__:
        print(
            f"photochrom: {result}: made by version {record.version}, and this is {__version__}: the bytes may differ",
            file=sys.stderr,
        )
    if source is None and not record.source:
        raise OptionError("made from a photograph without a name; name it with --source", path=result)
    source = source or result.with_name(record.source)
    if not source.exists():
        raise PhotoError(f"is not here, but {result} was made from it; name it with --source", path=source)
    if (found := files.digest(source)) != record.source_sha256:
        raise PhotoError(
            f"{source}: is not the photograph that {result} was made from: its SHA-256 is {found[:16]}..., expected "
            f"{record.source_sha256[:16]}...; name the right one with --source"
        )
    colorizer = Colorizer.load(model, options=options)
    if colorizer.model.hash != record.model_sha256:
        raise ModelError(
            f"{result}: made with the model {record.model} of SHA-256 {record.model_sha256[:16]}..., and this one has "
            f"{colorizer.model.hash[:16]}...; name the right one with --model"
        )
    file.color_file(source, output, colorizer=colorizer, overwrite=overwrite, recorded_name=record.source)
    if files.digest(output) == files.digest(result):
        print(f"{output}: the same bytes as {result}")
        return 0
    print(
        f"photochrom: {output}: other bytes than {result}, which was signed or changed after it was made, or made with other "
        "versions of the libraries",
        file=sys.stderr,
    )
    return 1
