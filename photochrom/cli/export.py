"""Write a model file: the commands ``export`` and ``adopt``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from photochrom.colorizer.guests.kinds import Kind
from photochrom.errors import OptionError, PhotochromError, one_line

CALIBRATED = 200
"""Photographs of each folder or shard, at most, on which vividness is calibrated."""

Output = Annotated[Path, Parameter(name=["--output", "-o"])]


def export(
    run: Path,
    /,
    *,
    output: Output,
    data: Annotated[list[Path] | None, Parameter(consume_multiple=True, negative="")] = None,
    name: str | None = None,
    newest: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Write a run's generator as one self-describing ONNX file, and prove that ONNX Runtime answers as torch does.

    Parameters
    ----------
    run
        A folder of `photochrom train`; or a model file, whose vividness and confidence are then calibrated again on --data.
    output
        The ONNX file to write; an existing one is replaced.
    data
        The run's prepared data, where they have moved: vividness is calibrated on the photographs set aside for validation.
    name
        The model's name in its card; by default the name of the run's folder.
    newest
        Take the newest checkpoint instead of the one with the best validation score.
    """
    from photochrom.training.export import export as write
    from photochrom.training.export import recalibrate

    if run.is_file():
        if not data:
            raise OptionError(f"'{run}' is a model file: give --data, on whose photographs it is calibrated")
        done = recalibrate(run, output, data=data, name=name)
    else:
        done = write(run, output, data=data, name=name, newest=newest)
    print(f"{done.path}: {done.bytes / 1e6:.1f} MB; largest difference between torch and ONNX {done.largest_difference:.2g}")
    return 0


def adopt(
    model: Path,
    /,
    *,
    output: Output,
    as_: Annotated[Kind | None, Parameter(name="--as")] = None,
    card: Path | None = None,
    calibrate: Annotated[list[Path] | None, Parameter(consume_multiple=True, negative="")] = None,
    overwrite: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Write a copy of somebody else's ONNX colorizer that carries a card, so that every command takes it as --model.

    Parameters
    ----------
    model
        An ONNX file of DDColor, DeOldify, ECCV16 or SIGGRAPH17, or of any network whose card you write.
    output
        The ONNX file to write.
    as_
        What the model is, where that cannot be told from the file.
    card
        A TOML file that says what differs from its kind, or what another network takes and gives: see docs/models.md.
    calibrate
        Photographs in color, folders of them or prepared shards, on which vividness is calibrated; without them, vividness 0, 1
        and 2 multiply the model's own chroma by 0.6, 1 and 1.4.
    overwrite
        Replace a file that exists.
    """
    from photochrom.colorizer import adopt as guests
    from photochrom.evaluation.photographs import pictures

    found = guests.adopt(model, output, kind=as_, card=card, overwrite=overwrite)
    if calibrate:
        try:
            found = guests.calibrate(output, pictures(calibrate, limit=CALIBRATED))
        except PhotochromError as error:
            raise type(error)(f"{output} is written, but not calibrated: {one_line(error)}") from error
    print(f"{output}: {found.name}, {guests.summary(found)}")
    return 0
