"""Define the errors that a user can meet.

    PhotochromError            everything that Photochrom raises on purpose
    ├── OptionError            an option or a combination of options makes no sense
    ├── PhotoError             a photograph cannot be read, or is in color already
    │   └── SizeError          it has more pixels than allowed
    ├── FilmError              a film cannot be read
    ├── OutputError            a result cannot be written
    ├── ModelError             a model file is missing, damaged or not one of ours
    ├── DataError              a folder of training photographs cannot be used
    ├── ConfigError            a training configuration is wrong
    └── TrainingError          a training run cannot go on

Every message is one line: what, got, expected, what to do.
"""

from __future__ import annotations

import os
from typing import Self


class PhotochromError(Exception):
    """Base of all errors that Photochrom raises on purpose.

    Attributes:
        reason: what is wrong and what to do, without the name of the file.
        path: the file or folder that the error is about; None where there is none.
    """

    def __init__(self, reason: str, *, path: str | os.PathLike[str] | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.path = None if path is None else os.fspath(path)

    def __str__(self) -> str:
        return self.reason if self.path is None else f"{self.path}: {self.reason}"

    def at(self, path: str | os.PathLike[str]) -> Self:
        """Return the same error about a file; the name of another file, such as the result, moves into the reason."""
        if self.path == os.fspath(path):
            return self
        return type(self)(str(self), path=path)


class OptionError(PhotochromError, ValueError):
    """An option, or a combination of options, makes no sense."""


class PhotoError(PhotochromError):
    """A photograph cannot be read, or is in color already."""


class SizeError(PhotoError):
    """A photograph has more pixels than allowed."""


class FilmError(PhotochromError):
    """A film cannot be read."""


class OutputError(PhotochromError):
    """A result cannot be written."""


class ModelError(PhotochromError):
    """A model file is missing, damaged or not one of ours."""


class DataError(PhotochromError):
    """A folder of training photographs cannot be used."""


class ConfigError(PhotochromError):
    """A training configuration is wrong."""


class TrainingError(PhotochromError):
    """A training run cannot go on."""


for _error in (PhotochromError, *PhotochromError.__subclasses__(), SizeError):
    _error.__module__ = "photochrom"  # where users import them from


def one_line(error: BaseException) -> str:
    """Return the message of any error as one line that is never empty."""
    text = " ".join(str(error).split())
    return text or type(error).__name__
