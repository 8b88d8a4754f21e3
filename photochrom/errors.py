"""Define the errors that a user can meet.

    PhotochromError            everything that Photochrom raises on purpose
    ├── OptionError            an option or a combination of options makes no sense
    ├── PhotoError             a photograph cannot be read, or is in color already
    ├── FilmError              a film cannot be read
    ├── OutputError            a result cannot be written
    ├── ModelError             a model file is missing, damaged or not one of ours
    ├── DataError              a folder of training photographs cannot be used
    ├── ConfigError            a training configuration is wrong
    └── TrainingError          a training run cannot go on

Every message is one line: what, got, expected, what to do.
"""

from __future__ import annotations


class PhotochromError(Exception):
    """Base of all errors that Photochrom raises on purpose."""


class OptionError(PhotochromError, ValueError):
    """An option, or a combination of options, makes no sense."""


class PhotoError(PhotochromError):
    """A photograph cannot be read, or is in color already."""


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


def one_line(error: BaseException) -> str:
    """Give the message of any error as one line that is never empty."""
    text = " ".join(str(error).split())
    return text or type(error).__name__
