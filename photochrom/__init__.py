"""Put color into black-and-white photographs, and train and measure the conditional GANs that do it."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from photochrom.version import __version__

if TYPE_CHECKING:
    from photochrom.colorizer.colorizer import Colorizer, Options, Result
    from photochrom.colorizer.file import colorize
    from photochrom.colorizer.hints import Hint
    from photochrom.errors import (
        ConfigError,
        DataError,
        FilmError,
        ModelError,
        OptionError,
        OutputError,
        PhotochromError,
        PhotoError,
        SizeError,
        TrainingError,
    )
    from photochrom.photo.photo import Photo

# Nothing leaves the machine. Libraries read these when they load, so they are set before any of them can.
for _switch in ("ORT_DISABLE_TELEMETRY", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
    os.environ[_switch] = "1"

__all__ = [
    "Colorizer",
    "ConfigError",
    "DataError",
    "FilmError",
    "Hint",
    "ModelError",
    "OptionError",
    "Options",
    "OutputError",
    "Photo",
    "PhotoError",
    "PhotochromError",
    "Result",
    "SizeError",
    "TrainingError",
    "__version__",
    "colorize",
]

_HOMES = {
    "colorize": "photochrom.colorizer.file",
    "Hint": "photochrom.colorizer.hints",
    "Photo": "photochrom.photo.photo",
    **dict.fromkeys(("Colorizer", "Options", "Result"), "photochrom.colorizer.colorizer"),
    **dict.fromkeys([name for name in __all__ if name.endswith("Error")], "photochrom.errors"),
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that ``import photochrom`` is quick."""
    if name not in _HOMES:
        raise AttributeError(f"module 'photochrom' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """List the public names, those that are not imported yet, too."""
    return sorted({*globals(), *__all__})
