"""Commands for those who use a model: colorize, sheet, info."""

from __future__ import annotations

import dataclasses
import json as jsonlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter, Token

from photochrom.errors import OptionError, PhotochromError, one_line

if TYPE_CHECKING:
    from rich.progress import Progress

    from photochrom.batch import Outcome
    from photochrom.colorizer import Colorizer, Options

Output = Annotated[Path | None, Parameter(name=["--output", "-o"])]
FormatName = Literal["jpeg", "png", "webp", "tiff"]
STREAM = Path("-")


def _inputs(_: object, tokens: Sequence[Token]) -> list[Path]:
    """Take `-` for standard input, and nothing else that begins so: it would be a misspelled option."""
    for token in tokens:
        if token.value.startswith("-") and token.value != "-":
            raise ValueError(f"there is no option {token.value}; a file of that name is ./{token.value}.")
    return [Path(token.value) for token in tokens]


def colorize(
    inputs: Annotated[list[Path], Parameter(name="INPUT", consume_multiple=True, allow_leading_hyphen=True, converter=_inputs)],
    /,
    *,
    output: Output = None,
    vividness: float = 1.0,
    on_color: Literal["skip", "recolor", "error"] = "skip",
    format: FormatName | None = None,
    model: Path | None = None,
    max_pixels: int = 200_000_000,
    overwrite: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Color photographs: files, or folders however deep. `-` reads standard input and writes standard output.

    Parameters
    ----------
    inputs
        Photographs (JPEG, PNG, WebP, TIFF) and folders of them.
    output
        A file, for one photograph; or a folder, in which the tree of an input folder is mirrored. Without it,
        name.color.jpg is written beside name.jpg.
    vividness
        From 0 (most faithful) over 1 to 2 (most vivid).
    on_color
        What to do with a photograph that is in color already: skip it and say so, color it anew by its luma, or fail.
    format
        Write this format instead of the source's.
    model
        A model file of `photochrom export` instead of the one in the package.
    max_pixels
        Refuse larger photographs.
    overwrite
        Replace results that exist.
    json
        Print one line of JSON for each photograph: source, output, status, seconds, judgement, error.
    """
    from photochrom.colorizer import Options

    options = Options(vividness=vividness, on_color=on_color, format=_format(format), max_pixels=max_pixels)
    from photochrom import batch

    if STREAM in inputs:
        _check_stream(inputs, output, json=json)
        if output is None:
            return _to_stdout(options, model)
        batch.check_suffix(output, options.format)
        tasks = [batch.Task(STREAM, output, contents=sys.stdin.buffer.read())]
    else:
        tasks = batch.plan(inputs, output, format=options.format)
    counts = dict.fromkeys(("colored", "skipped", "failed"), 0)
    colorizer = _load(model, options)
    with Bar("Coloring") as bar:
        for done, outcome in enumerate(batch.run(colorizer, tasks, overwrite=overwrite), 1):
            counts[outcome.status] += 1
            _tell(outcome, json=json)
            bar(done, len(tasks))
    if len(tasks) > 1 and sys.stdout.isatty():
        print(", ".join(f"{count} {status}" for status, count in counts.items() if count))
    return 1 if counts["failed"] else 0


def sheet(
    photos: Annotated[list[Path], Parameter(name="PHOTO", consume_multiple=True)],
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    model: Path | None = None,
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
        A model file of `photochrom export` instead of the one in the package.
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
    from photochrom import photo
    from photochrom.colorizer import Options
    from photochrom.sheet import sheet as draw

    colorizer = _load(model, Options(vividness=vividness))
    photo.save(draw(photos, colorizer.paint, height=height, columns=columns, limit=limit), output, overwrite=overwrite)
    print(output)
    return 0


def info(
    photos: Annotated[list[Path], Parameter(name="PHOTO", consume_multiple=True)],
    /,
    *,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Say what a photograph is: its format, size and metadata, and whether it is grey, toned, in color or blank.

    Parameters
    ----------
    photos
        Photographs.
    json
        Print one line of JSON for each.
    """
    from photochrom import photo as files
    from photochrom.judge import judge

    failed = 0
    for path in photos:
        try:
            photo = files.read(path)
        except PhotochromError as error:
            failed += 1
            print(f"photochrom: {one_line(error)}", file=sys.stderr)
            continue
        judgement = judge(photo)
        carried = [name for name in ("exif", "xmp", "icc", "alpha") if getattr(photo, name) is not None]
        facts = {
            "source": os.fspath(path),
            "format": photo.format,
            "width": photo.luma.shape[1],
            "height": photo.luma.shape[0],
            "orientation": photo.orientation,
            "carries": carried,
            "judgement": judgement.kind,
            "reason": judgement.reason,
        }
        if json:
            print(jsonlib.dumps(facts))
        else:
            print(
                f"{path}: {photo.format}, {photo.luma.shape[1]} x {photo.luma.shape[0]}, orientation {photo.orientation}, "
                f"with {', '.join(carried) or 'no metadata'}; {judgement.kind} ({judgement.reason})"
            )
    return 1 if failed else 0


def card(model: Path | None = None, /) -> int:
    """Print the card that a model file carries, as JSON: how it was trained, on what, and what it expects.

    Parameters
    ----------
    model
        A model file of `photochrom export`; without it, the model in the package.
    """
    from photochrom.model import Model

    loaded = Model.load(model)
    print(jsonlib.dumps({"sha256": loaded.hash, **dataclasses.asdict(loaded.card)}, indent=1))
    return 0


class Bar:
    """A progress bar on standard error where that is a terminal; call it with what is done and the total."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._progress: Progress | None = None

    def __enter__(self) -> Bar:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress

            # Results that go elsewhere than to the terminal must not be drawn above the bar.
            to_terminal = sys.stdout.isatty()
            columns = Progress.get_default_columns()
            self._progress = Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=to_terminal)
            self._progress.start()
            self._progress.add_task(self._label, total=None)
        return self

    def __exit__(self, *problem: object) -> None:
        if self._progress:
            self._progress.stop()

    def __call__(self, done: int, total: int | None) -> None:
        """Show how far it is."""
        if self._progress:
            self._progress.update(self._progress.task_ids[0], completed=done, total=total)


def _check_stream(inputs: Sequence[Path], output: Path | None, *, json: bool) -> None:
    if len(inputs) > 1:
        raise OptionError("'-' is standard input: it stands alone, without other photographs")
    if output is None and json:
        raise OptionError("--json and the photograph would both go to standard output: name a file with -o, or drop --json")
    if output is None and sys.stdout.isatty():
        raise OptionError("the photograph would go to a terminal: name a file with -o, or redirect standard output")


def _to_stdout(options: Options, model: Path | None) -> int:
    from photochrom import photo
    from photochrom.api import encoded

    read = photo.read(sys.stdin.buffer.read(), max_pixels=options.max_pixels, name="standard input")
    sys.stdout.buffer.write(encoded(read, _load(model, options), name="standard input"))
    sys.stdout.buffer.flush()
    return 0


def _tell(outcome: Outcome, *, json: bool) -> None:
    if json:
        print(jsonlib.dumps(dataclasses.asdict(outcome)), flush=True)
    elif outcome.status == "failed":
        print(f"photochrom: {outcome.error}", file=sys.stderr)
    elif outcome.status == "skipped":
        print(f"{outcome.source}: skipped, it is in color already; --on-color recolor colors it anew")
    else:
        print(f"{outcome.source} -> {outcome.output}")


def _load(model: Path | None, options: Options) -> Colorizer:
    from photochrom.colorizer import Colorizer

    return Colorizer.load(model, options=options)


def _format(name: FormatName | None) -> Literal["JPEG", "PNG", "WEBP", "TIFF"] | None:
    formats: dict[str, Literal["JPEG", "PNG", "WEBP", "TIFF"]] = {"jpeg": "JPEG", "png": "PNG", "webp": "WEBP", "tiff": "TIFF"}
    return formats[name] if name else None
