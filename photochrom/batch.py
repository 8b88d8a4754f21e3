"""Color many photographs: find them, name their results, go through them, and let no bad one stop the others."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from photochrom.api import MARK, beside, color_file, with_ending
from photochrom.colorizer import Colorizer
from photochrom.errors import OptionError, OutputError, PhotochromError, PhotoError, one_line
from photochrom.photo import SUFFIXES, Format

Status = Literal["colored", "skipped", "failed"]


@dataclass(frozen=True)
class Task:
    """Name a photograph and the place of its result, or the reason why it cannot have one."""

    source: Path
    target: Path
    error: PhotochromError | None = None
    contents: bytes | None = None
    """The photograph itself, where it comes from no file."""


@dataclass(frozen=True)
class Outcome:
    """Say what became of one photograph."""

    source: str
    output: str | None
    status: Status
    seconds: float
    judgement: str | None
    error: str | None


def plan(inputs: Sequence[Path], output: Path | None = None, *, format: Format | None = None) -> list[Task]:
    """List the photographs of some files and folders, however deep, each with the place of its result.

    Without an output, ``name.color.jpg`` lies beside ``name.jpg``. With an output folder, the tree of an input folder is
    mirrored in it; several input folders keep their own names in it. Inside folders, hidden files, linked folders, the output
    folder and files named as results are (``name.color.jpg``) are left out. A photograph that cannot have its result, because
    it would replace a source or another result, is listed with the reason.

    Args:
        inputs: photographs and folders.
        output: a file, for one photograph; or a folder; or none.
        format: what the results are named for; none keeps the names.

    Raises:
        OptionError: if an output file is named for several photographs, or its suffix is not one that is written.
        PhotoError: if there is no photograph at all.
    """
    folders = {path for path in inputs if _is_folder(path)}
    if output is not None and output.suffix and not _is_folder(output):
        if len(inputs) == 1 and not folders:
            check_suffix(output, format)
            return _checked([Task(inputs[0], output)])
        if output.suffix.lower() in SUFFIXES:
            raise OptionError(f"'{output}' is one file for several photographs: name a folder")
    tasks: list[Task] = []
    for path in inputs:
        base = output / path.resolve().name if output is not None and path in folders and len(folders) > 1 else output
        for task in _below(path, leave=output) if path in folders else [Task(path, Path(path.name))]:
            target = beside(task.source, format) if base is None else with_ending(base / task.target, format)
            tasks.append(replace(task, target=target))
    if not tasks:
        raise PhotoError(f"{', '.join(map(str, inputs))}: no photograph is here; expected files named {', '.join(SUFFIXES)}")
    return _checked(tasks)


def run(colorizer: Colorizer, tasks: Sequence[Task], *, overwrite: bool = False) -> Iterator[Outcome]:
    """Color photographs one after another; yields what became of each, in order."""
    for task in tasks:
        begin = time.perf_counter()
        status: Status = "failed"
        judgement: str | None = None
        problem: PhotochromError | None = None
        try:
            if task.error:
                raise task.error
            result = color_file(task.source, task.target, colorizer=colorizer, overwrite=overwrite, contents=task.contents)
            judgement = result.judgement.kind
            status = "skipped" if result.chroma is None else "colored"
        except PhotochromError as error:
            problem = error
        except MemoryError:
            problem = OutputError(f"{task.source}: memory ran out, nothing was written; free some, or color a smaller copy")
        except Exception as error:  # a fault of ours or of a library must not cost the photographs that follow
            problem = OutputError(f"{task.source}: failed by {type(error).__name__} ({error}); please report this")
        output = os.fspath(task.target) if status == "colored" else None
        seconds = round(time.perf_counter() - begin, 4)
        yield Outcome(os.fspath(task.source), output, status, seconds, judgement, one_line(problem) if problem else None)


def check_suffix(output: Path, format: Format | None) -> None:
    """Refuse an output file whose name ends in no format that is written, or in another than the one asked for."""
    kind = SUFFIXES.get(output.suffix.lower())
    if kind is None:
        expected = f"expected a name that ends in {', '.join(SUFFIXES)}, or a folder that exists"
        raise OptionError(f"'{output}' names no file that can be written: {expected}")
    if format is not None and kind != format:
        raise OptionError(f"the output '{output}' is a {kind} by its name, but {format} is asked for: drop one of them")


def _below(folder: Path, *, leave: Path | None) -> Iterator[Task]:
    """List the photographs below a folder, sorted, the targets relative to it; a folder that cannot be listed is a failure."""
    hidden = leave and leave.resolve()
    errors: list[OSError] = []
    for place, names, files in os.walk(folder, onerror=errors.append):
        here = Path(place)
        names[:] = sorted(name for name in names if not name.startswith(".") and (here / name).resolve() != hidden)
        for source in (here / name for name in sorted(files) if not name.startswith(".")):
            if source.suffix.lower() in SUFFIXES and not source.stem.endswith(MARK):
                yield Task(source, source.relative_to(folder))
    for error in errors:
        source = Path(error.filename)
        reason = f"{source}: cannot be listed ({error.strerror}); check its permissions"
        yield Task(source, source.relative_to(folder), PhotoError(reason))


def _checked(tasks: Sequence[Task]) -> list[Task]:
    """Refuse results that would replace a source or each other; what is named twice is listed once."""
    sources = {_identity(task.source): task.source for task in tasks}
    taken: dict[Path, Path] = {}
    checked = []
    for task in tasks:
        if taken.get(task.target) == task.source:
            continue
        first = taken.setdefault(task.target, task.source)
        there = _identity(task.target)
        error = task.error
        if error is None and there and there in sources:
            reason = f"the result '{task.target}' would replace the photograph {sources[there]}; choose another output"
            error = OutputError(f"{task.source}: {reason}")
        elif error is None and first != task.source:
            reason = f"the result '{task.target}' is that of {first} already; color them into two folders"
            error = OutputError(f"{task.source}: {reason}")
        checked.append(replace(task, error=error))
    return checked


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name too long, a folder above that is closed: whoever opens the path says so
        return False


def _identity(path: Path) -> tuple[int, int] | None:
    """Tell files apart whatever names and links lead to them; none for one that is not there."""
    try:
        found = path.stat()
    except (OSError, ValueError):  # ValueError: a name that no system takes
        return None
    return found.st_dev, found.st_ino
