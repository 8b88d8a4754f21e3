"""Color many photographs: find them, name their results, go through them, and let no bad one stop the others."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from photochrom import photo as photos
from photochrom.api import MARK, beside
from photochrom.colorizer import Colorizer, Options
from photochrom.errors import OptionError, OutputError, PhotochromError, PhotoError, one_line

Status = Literal["colored", "skipped", "failed"]


@dataclass(frozen=True)
class Task:
    """Name a photograph and the place of its result, or the reason why it cannot have one."""

    source: Path
    target: Path
    error: PhotochromError | None = None


@dataclass(frozen=True)
class Outcome:
    """Say what became of one photograph."""

    source: str
    output: str | None
    status: Status
    seconds: float
    judgement: str | None
    error: str | None


def plan(inputs: Sequence[Path], output: Path | None, *, options: Options | None = None) -> list[Task]:
    """List the photographs of some files and folders, however deep, each with the place of its result.

    Without an output, ``name.color.jpg`` lies beside ``name.jpg``, and files named so are not taken for sources. With an
    output folder, the tree of an input folder is mirrored in it; several input folders keep their own names in it.

    Args:
        inputs: photographs and folders.
        output: a file, for one photograph; or a folder; or none.
        options: whose ``format`` the results are named for.

    Raises:
        OptionError: if an output file is named for several photographs, or its suffix is not one that is written.
        PhotoError: if there is no photograph at all.
    """
    format = (options or Options()).format
    folders = [path for path in inputs if path.is_dir()]
    single = output is not None and len(inputs) == 1 and not folders and is_file_name(output)
    if output is not None and not single and not output.is_dir() and is_file_name(output):
        raise OptionError(f"'{output}' is one file for several photographs: name a folder")
    if single and output is not None:
        check_suffix(output, format)
        return [_task(inputs[0], output)]
    tasks: list[Task] = []
    for path in inputs:
        if path.is_dir():
            found = [p for p in _walk(path) if not (output is None and p.stem.endswith(MARK))]
            if output is not None:
                base = output / path.resolve().name if len(folders) > 1 else output
                tasks += [_task(p, _renamed(base / p.relative_to(path), format)) for p in found if not _inside(p, output, path)]
            else:
                tasks += [_task(p, beside(p, format)) for p in found]
        elif output is not None:
            tasks.append(_task(path, _renamed(output / path.name, format)))
        else:
            tasks.append(_task(path, beside(path, format)))
    if not tasks:
        raise PhotoError(f"{', '.join(map(str, inputs))}: no photograph is here; expected files named {', '.join(photos.SUFFIXES)}")
    return _without_collisions(tasks)


def is_file_name(path: Path) -> bool:
    """Tell whether an output names a file: it has a suffix and is no folder."""
    return bool(path.suffix) and not path.is_dir()


def run(colorizer: Colorizer, tasks: Sequence[Task], *, overwrite: bool = False) -> Iterator[Outcome]:
    """Color photographs one after another; yields what became of each, in order."""
    for task in tasks:
        begin = time.perf_counter()
        judgement: str | None = None
        output: str | None = None
        error: str | None = None
        status: Status = "colored"
        try:
            if task.error:
                raise task.error
            if not overwrite and task.target.exists():
                raise exists(task.target)
            result = colorizer.colorize(photos.read(task.source, max_pixels=colorizer.options.max_pixels))
            judgement = result.judgement.kind
            if result.chroma is None:
                status = "skipped"
            else:
                data = photos.encode(result.photo, *result.chroma, format=target_format(task.target, colorizer.options))
                _save(data, task.target, overwrite=overwrite)
                output = os.fspath(task.target)
        except PhotochromError as problem:
            status, error = "failed", _named(task.source, one_line(problem))
        except MemoryError:
            status, error = "failed", f"{task.source}: memory ran out; nothing was written; free some or color fewer at a time"
        yield Outcome(os.fspath(task.source), output, status, round(time.perf_counter() - begin, 4), judgement, error)


def target_format(target: Path, options: Options) -> photos.Format | None:
    """Tell the format of a result: the one asked for, or that of its name."""
    return options.format or photos.SUFFIXES.get(target.suffix.lower())


def exists(target: Path) -> OutputError:
    """Make the error for a result that is there already."""
    return OutputError(f"{target}: exists already; choose another name or allow it to be overwritten (--overwrite)")


def check_suffix(output: Path, format: photos.Format | None) -> None:
    """Refuse an output file whose name ends in no format that is written, or in another than the one asked for."""
    kind = photos.SUFFIXES.get(output.suffix.lower())
    if kind is None:
        raise OptionError(f"'{output}': the ending '{output.suffix}' is not written; expected {', '.join(photos.SUFFIXES)}")
    if format is not None and kind != format:
        raise OptionError(f"the output '{output}' is a {kind} by its name, but the format asked for is {format}; drop one of them")


def _save(data: bytes, target: Path, *, overwrite: bool) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{target.parent}: cannot be made ({error.strerror}); choose another folder") from error
    photos.save(data, target, overwrite=overwrite)


def _named(source: Path, message: str) -> str:
    return message if str(source) in message else f"{source}: {message}"


def _task(source: Path, target: Path) -> Task:
    if photos.same_file(source, target):
        return Task(source, target, OutputError(f"{source}: the result would replace its source; choose another output"))
    return Task(source, target)


def _walk(folder: Path) -> Iterator[Path]:
    """List the photographs below a folder, sorted; links to folders are not followed, hidden files are left out."""
    for place, names, files in os.walk(folder):
        names[:] = sorted(name for name in names if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in photos.SUFFIXES:
                yield Path(place) / name


def _inside(source: Path, output: Path, folder: Path) -> bool:
    """Tell whether a source lies in the output folder that itself lies below the input: a result of an earlier run."""
    inner = output.resolve()
    return inner != folder.resolve() and folder.resolve() in inner.parents and inner in source.resolve().parents


def _renamed(target: Path, format: photos.Format | None) -> Path:
    if format is None or photos.SUFFIXES.get(target.suffix.lower()) == format:
        return target
    return target.with_suffix(next(ending for ending, kind in photos.SUFFIXES.items() if kind == format))


def _without_collisions(tasks: list[Task]) -> list[Task]:
    taken: dict[Path, Path] = {}
    checked = []
    for task in tasks:
        first = taken.setdefault(task.target, task.source)
        if first is not task.source and task.error is None:
            reason = f"{task.source}: its result '{task.target}' is already that of {first}; color them into two folders"
            task = Task(task.source, task.target, OutputError(reason))  # noqa: PLW2901
        checked.append(task)
    return checked
