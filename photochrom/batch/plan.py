"""List the photographs of files and folders, each with the place of its result, one after the other however many there are."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from photochrom.batch.resume import recorded
from photochrom.batch.selection import LeftOut, Selection, is_photograph
from photochrom.colorizer.file import MARK, beside, with_ending
from photochrom.errors import OptionError, OutputError, PhotochromError, PhotoError
from photochrom.files import is_folder
from photochrom.photo.formats import FORMATS, SUBSTITUTES, SUFFIXES, Format


@dataclass(frozen=True)
class Task:
    """Name a photograph and the place of its result, or the reason why it cannot have one."""

    source: Path
    target: Path
    home: Path | None = None
    """The folder whose manifest remembers it; none where nothing does."""
    error: PhotochromError | None = None
    contents: bytes | None = None
    """The photograph itself, where it comes from no file."""


def plan(
    inputs: Sequence[Path],
    output: Path | None = None,
    *,
    format: Format | None = None,
    selection: Selection | None = None,
    left_out: LeftOut | None = None,
) -> Iterator[Task]:
    """List the photographs of some files and folders, however deep, each with the place of its result.

    Without an output, ``name.color.jpg`` lies beside ``name.jpg``. With an output folder, the tree of an input folder is
    mirrored in it; several input folders keep their own names in it. Inside folders, hidden files, linked folders, the output
    folder and files named as results are (``name.color.jpg``) are left out. Where a format would give two photographs of a
    folder one name, they keep their whole names in it: ``name.jpg.png`` and ``name.tif.png``; so do those that are named one by
    one. Of these, the results of others among them are left out, which a pattern like ``*.jpg`` finds when it is used again. A
    photograph that cannot have its result, because it would replace a source or another result, is listed with the reason.
    What is named twice is listed once.

    Memory holds what was named, and the names in one folder at a time; its photographs come sorted, and before its folders.

    Args:
        inputs: photographs and folders.
        output: a file, for one photograph; or a folder; or none.
        format: what the results are named for; none keeps the names.
        selection: patterns for what lies in folders; a file that is named is always taken.
        left_out: gets the count of what lies in folders and is no photograph by its name.

    Raises:
        OptionError: if an output file is named for several photographs, its suffix is not one that is written, or two input
            folders of one name would share a place.
        PhotoError: at the end, if there was no photograph at all.
    """
    folders = [path for path in inputs if is_folder(path)]
    if output is not None and output.suffix and not is_folder(output):
        if len(inputs) == 1 and not folders:
            check_suffix(output, format)
            return iter([_Plan(inputs, None, format, selection, left_out).checked(Task(inputs[0], output))])
        if output.suffix.lower() in SUFFIXES:
            raise OptionError(f"'{output}' is one file for several photographs: name a folder")
    return _Plan(inputs, output, format, selection, left_out).tasks()


def check_suffix(output: Path, format: Format | None) -> None:
    """Refuse an output file whose name ends in no format that is written, or in another than the one asked for."""
    kind = SUFFIXES.get(output.suffix.lower())
    if kind not in FORMATS:
        endings = ", ".join(suffix for suffix, kind in SUFFIXES.items() if kind in FORMATS)
        expected = f"expected a name that ends in {endings}, or a folder that exists"
        raise OptionError(f"'{output}' names no file that can be written: {expected}")
    if format is not None and kind != format:
        raise OptionError(f"the output '{output}' is a {kind} by its name, but {format} is asked for: drop one of them")


class _Plan:
    """Hold what was named, and check results against it."""

    def __init__(
        self,
        inputs: Sequence[Path],
        output: Path | None,
        format: Format | None,
        selection: Selection | None,
        left_out: LeftOut | None,
    ) -> None:
        self._inputs, self._output, self._format = inputs, output, format
        self._selection, self._left_out = selection or Selection(), left_out or LeftOut()
        self._leave = _real(output) if output is not None else None
        self._bases = self._folders()
        self._roots = {_real(folder): folder for folder in self._bases}
        files = dict.fromkeys(path for path in inputs if path not in self._bases and not is_folder(path))
        self._identities = {identity: path for path in files if (identity := _identity(path))}
        named: dict[Path, Path] = {}
        for path in files:
            named.setdefault(Path.cwd() / path, path)
        results = [(path.name, os.fspath(self._target(path))) for path in named.values()]
        self._targets = dict(zip(named.values(), map(Path, apart(results, beside=self._output is None)), strict=True))
        self._files: dict[Path, Path] = {}
        for path, target in self._targets.items():
            self._files.setdefault(target, path)

    def tasks(self) -> Iterator[Task]:
        """List everything, in the order in which it was named."""
        found = False
        for path in dict.fromkeys(self._inputs):
            for task in self._below(path) if path in self._bases else [] if is_folder(path) else self._single(path):
                found = True
                yield task
        if not found:
            names = ", ".join(map(str, self._inputs))
            wanted = f"expected files named {', '.join(SUFFIXES)}"
            if self._selection.include or self._selection.exclude:
                wanted += " that --include and --exclude leave"
            raise PhotoError(f"no photograph is here; {'; '.join(filter(None, (wanted, self._left_out.line)))}", path=names)

    def checked(self, task: Task) -> Task:
        """Give a task the error that its result would replace a source or another result."""
        first = self._files.get(task.target, task.source)
        if (source := self._source_at(task.target)) and not (source == task.target and self._is_result(source)):
            reason = f"the result '{task.target}' would replace the photograph {source}; choose another output"
        elif not _same(first, task.source):
            reason = f"the result '{task.target}' is that of {first} already; color them into two folders"
        else:
            return task
        return replace(task, error=OutputError(reason, path=task.source))

    def _folders(self) -> dict[Path, Path]:
        """Give the place of each input folder's results; one that another covers is left out.

        Raises:
            OptionError: two of them have one place.
        """
        real: dict[Path, Path] = {}
        for path in self._inputs:
            if is_folder(path):
                real.setdefault(_real(path), path)
        if self._output is None:
            return {path: path for place, path in real.items() if not any(above in real for above in place.parents)}
        if len(real) == 1:
            return dict.fromkeys(real.values(), self._output)
        bases: dict[Path, Path] = {}
        for place, path in real.items():
            base = self._output / place.name
            if base in bases.values():
                other = next(folder for folder in bases if bases[folder] == base)
                raise OptionError(f"'{other}' and '{path}' would share the place '{base}': color them into two folders")
            bases[path] = base
        return bases

    def _target(self, path: Path) -> Path:
        return self._result(path) if self._output is None else self._output / self._result(path).name

    def _result(self, path: Path) -> Path:
        known = SUFFIXES.get(path.suffix.lower())
        return (beside if self._output is None else with_ending)(
            path, self._format or (SUBSTITUTES.get(known) if known else None)
        )

    def _single(self, path: Path) -> Iterator[Task]:
        if path in self._targets and not self._is_result(path):
            yield self.checked(Task(path, self._targets[path], home=self._output))

    def _is_result(self, path: Path) -> bool:
        """Tell whether a file that is named lies where the result of another one belongs, and says that it is a result."""
        source = self._files.get(path)
        return source not in (None, path) and path in self._targets and recorded(path) is not None

    def _below(self, root: Path) -> Iterator[Task]:
        """List the photographs below a folder; a folder that cannot be listed is a failure. Links are not followed."""
        base = self._bases[root]
        home = root if self._output is None else self._output
        waiting = [root]
        while waiting:
            folder = waiting.pop()
            place = base / folder.relative_to(root)
            try:
                names, deeper = self._entries(folder, folder.relative_to(root))
            except OSError as error:
                yield Task(
                    folder, place, error=PhotoError(f"cannot be listed ({error.strerror}); check its permissions", path=folder)
                )
                continue
            waiting += [folder / name for name in sorted(deeper, reverse=True)]
            results = [(name, self._result(Path(name)).name) for name in sorted(names)]
            for (name, _), result in zip(results, apart(results, beside=self._output is None), strict=True):
                task = Task(folder / name, place / result, home)
                if not ((first := self._files.get(task.target)) and _same(first, task.source)):
                    yield self.checked(task)

    def _entries(self, folder: Path, inside: Path) -> tuple[list[str], list[str]]:
        """Give the names of the photographs and of the folders in a folder, which lies inside one that was named."""
        files, folders = [], []
        with os.scandir(folder) as entries:
            for entry in entries:
                path = (inside / entry.name).as_posix()
                if _leads_to_folder(entry):
                    if (
                        not entry.is_symlink()
                        and self._selection.enters(path, self._left_out)
                        and (self._leave is None or _real(folder / entry.name) != self._leave)
                    ):
                        folders.append(entry.name)
                elif self._selection.takes(path, self._left_out):
                    files.append(entry.name)
        return files, folders

    def _source_at(self, target: Path) -> Path | None:
        """Give the source that a result would replace, by whatever name or link."""
        identity = _identity(target)
        if identity is None:
            return None
        if identity in self._identities:
            return self._identities[identity]
        parent = _real_folder(target.parent)
        if not is_photograph(target.name):
            return None
        inside: list[str] = []
        for above in (parent, *parent.parents):
            if above in self._roots:
                return self._roots[above].joinpath(*reversed(inside), target.name)
            if above == self._leave or above.name.startswith("."):
                return None
            inside.append(above.name)
        return None


def apart(results: Sequence[tuple[str, str]], *, beside: bool) -> Iterator[str]:
    """Let photographs keep their whole names in those of their results where these would be one.

    Those of one name, in two folders, cannot be told apart so.

    Args:
        results: the name of each photograph, and the path of its result.
        beside: results lie beside their photographs, and have a mark in their names.
    """
    count = Counter(result for _, result in set(results))
    for name, result in results:
        whole = result
        if count[result] > 1 and (place := Path(result)).name != name:
            whole = os.fspath(place.with_name(f"{name}{MARK if beside else ''}{place.suffix}"))
            while whole in count:
                whole += place.suffix
        yield whole


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or into a folder that is closed: it fails as a photograph
        return False


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


_real_folder = lru_cache(maxsize=64)(_real)
"""The results of a folder come one after the other."""


def _same(first: Path, second: Path) -> bool:
    return first == second or Path.cwd() / first == Path.cwd() / second


def _identity(path: Path) -> tuple[int, int] | None:
    """Tell files apart whatever names and links lead to them; none for one that is not there."""
    try:
        found = path.stat()
    except (OSError, ValueError):  # ValueError: a name that no system takes
        return None
    return found.st_dev, found.st_ino
