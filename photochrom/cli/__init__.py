"""The command line: a module for each command."""

from __future__ import annotations

import gc
import io
import os
import sys
import threading
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import cyclopts
from cyclopts.config import Env

from photochrom.cli.summary import ALL_FAILED, Terminated
from photochrom.errors import OptionError, PhotochromError, one_line
from photochrom.version import __version__

__all__ = ["main"]

app = cyclopts.App(
    name="photochrom",
    help="Put color into black-and-white photographs, and train and measure the models that do it.",
    version=__version__,
    config=Env("PHOTOCHROM_", show=False),
    help_epilogue="The environment gives defaults: PHOTOCHROM_COLORIZE_VIVIDNESS=0.5 is --vividness 0.5 of colorize.",
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)
COMMANDS = {
    "colorize": ("colorize", "Color photographs: files, folders, or standard input."),
    "compact": ("cloud", "Merge the manifest of a bucket into one sorted file, for faster runs."),
    "video": ("video", "Color a film; all but its colors stays as it is."),
    "sheet": ("inspect", "Draw a contact sheet: grey, colorized, truth."),
    "info": ("inspect", "Say what a photograph is, and whether it is grey, toned, in color or blank."),
    "card": ("inspect", "Print the card that a model file carries."),
    "replay": ("inspect", "Make a result again from its own metadata, and say whether the bytes are the same."),
    "prepare": ("prepare", "Turn photographs into the shards that training reads."),
    "train": ("train", "Train a generator, or go on with a training that was stopped."),
    "export": ("export", "Write a run's generator as one self-describing ONNX file."),
    "adopt": ("export", "Write a card into somebody else's ONNX colorizer, so that every command takes it."),
    "evaluate": ("evaluate", "Score models on test photographs against grey and mean chroma."),
    "serve": ("serve", "Serve a page for the browser and an HTTP API."),
    "study": ("study", "Train and score a grid of data sets, generators, regularizers and seeds, and write a report."),
}
for command, (module, summary) in COMMANDS.items():
    app.command(f"photochrom.cli.{module}:{command}", name=command, help=summary)  # imported when it is called

app.register_install_completion_command(help="Let the shell complete commands and options; adds a line to its start file.")

EXTRAS = {
    "av": "video",
    "obstore": "cloud",
    "ray": "ray",
    **dict.fromkeys(("fastapi", "uvicorn", "multipart", "python_multipart"), "serve"),
}
"""The extra that has a library; the others are those of training."""

FAILED, MISUSED, INTERRUPTED, TERMINATED = 1, 2, 130, 143


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code.

    0 is done, 1 failed, of many photographs in part, 2 misused, 3 that all photographs failed, 130 interrupted, 143 terminated.
    """
    given = _named(sys.argv[1:] if arguments is None else arguments)
    _prepare_streams()
    try:
        if "" in given:
            raise OptionError("an argument is empty; a path that is meant to be the current folder is '.'")
        code = app(given, exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except cyclopts.CycloptsError as error:
        code = _say(f"{one_line(error)} See `photochrom --help`.", MISUSED)
    except OptionError as error:
        code = _say(one_line(error), MISUSED)
    except PhotochromError as error:  # nothing was begun, or a single photograph failed
        code = _say(one_line(error), ALL_FAILED if given[:1] == ["colorize"] else FAILED)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("photochrom"):
            raise
        extra = EXTRAS.get(error.name, "train")
        code = _say(f"this command needs '{error.name}', which is not installed; pip install 'photochrom[{extra}]'", FAILED)
    except Terminated:
        code = _say("terminated; what was finished is kept", TERMINATED)
    except KeyboardInterrupt:
        code = _say("interrupted; what was finished is kept", INTERRUPTED)
    except BrokenPipeError:
        # The reader is gone. Python would try to write the rest once more on leaving, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = FAILED
    except MemoryError:
        code = _say("memory ran out; free some, or give smaller photographs", FAILED)
    except OSError as error:
        code = _say(f"the system refused: {one_line(error)}; make room or choose another place", FAILED)
    if any(thread.name.startswith("photochrom-") for thread in threading.enumerate()):
        # A run was broken off amid photographs. None of them gets its name any more, so there is nothing to wait for.
        with suppress(OSError):
            sys.stdout.flush()
        os._exit(code)
    gc.freeze()  # Python would search all that the libraries hold for garbage on its way out: a sixth of a cold start
    sys.exit(code)


def _named(arguments: Sequence[str]) -> list[str]:
    """Let what follows "--" be no option, whatever it begins with."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    rest = [f"./{text}" if text.startswith("-") and text != "-" else text for text in arguments[end + 1 :]]
    return [*arguments[: end + 1], *rest]


def _prepare_streams() -> None:
    """Let every name of a file be printed, and nothing of what Pillow warns of; open what is closed of the standard streams.

    The first file that is opened would else take the number of a closed stream, and get what a library prints there.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file's name may be no text at all
    if not sys.warnoptions:
        warnings.filterwarnings("ignore", module="PIL")  # a damaged tag is no news to a user, a damaged photograph has its line


def _say(message: str, code: int) -> int:
    print(f"photochrom: {message}", file=sys.stderr)
    return code
