"""The command that makes a result again from what it says of its making."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


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
    from photochrom.errors import ModelError, OptionError, PhotoError
    from photochrom.version import __version__

    record = file.recorded(result, max_pixels=max_pixels)
    options = provenance.options(record, max_pixels=max_pixels)
    if record.version != __version__:
        print(
            f"photochrom: {result}: made by version {record.version}, and this is {__version__}: the bytes may differ",
            file=sys.stderr,
        )
    if source is None and not record.source:
        raise OptionError(f"{result}: made from a photograph without a name; name it with --source")
    source = source or result.with_name(record.source)
    if not source.exists():
        raise PhotoError(f"{source}: is not here, but {result} was made from it; name it with --source")
    if (found := file.digest(source)) != record.source_sha256:
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
    if file.digest(output) == file.digest(result):
        print(f"{output}: the same bytes as {result}")
        return 0
    print(
        f"photochrom: {output}: other bytes than {result}, which was signed or changed after it was made, or made with other "
        "versions of the libraries",
        file=sys.stderr,
    )
    return 1
