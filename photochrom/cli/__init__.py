"""The command line: ``use`` for those who use a model, ``make`` for those who make one."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import cyclopts

from photochrom import __version__
from photochrom.errors import PhotochromError, one_line

app = cyclopts.App(
    name="photochrom",
    help="Put color into black-and-white photographs, and train and measure the models that do it.",
    version=__version__,
    result_action="return_value",
)
COMMANDS = {
    "colorize": ("use", "Color photographs: files, folders, or standard input."),
    "sheet": ("use", "Draw a contact sheet: grey, colorized, truth."),
    "info": ("use", "Say what a photograph is, and whether it is grey, toned, in color or blank."),
    "prepare": ("make", "Turn photographs into the shards that training reads."),
    "train": ("make", "Train a generator, or go on with a training that was stopped."),
    "export": ("make", "Write a run's generator as one self-describing ONNX file."),
    "evaluate": ("make", "Score a model on test photographs against grey and mean chroma."),
}
for command, (module, summary) in COMMANDS.items():
    app.command(f"photochrom.cli.{module}:{command}", name=command, help=summary)  # imported when it is called

FAILED, MISUSED, INTERRUPTED = 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code: 0 done, 1 failed in part or whole, 2 misused, 130 interrupted."""
    try:
        code = app(arguments, exit_on_error=False, print_error=False)
    except cyclopts.CycloptsError as error:
        code = _say(f"{one_line(error)} See `photochrom --help`.", MISUSED)
    except PhotochromError as error:
        code = _say(one_line(error), FAILED)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("photochrom"):
            raise
        code = _say(f"this command needs '{error.name}', which is not installed; pip install 'photochrom[train]'", FAILED)
    except KeyboardInterrupt:
        code = _say("interrupted", INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()  # the reader is gone; Python would complain about it once more on leaving
        code = FAILED
    sys.exit(code)


def _say(message: str, code: int) -> int:
    print(f"photochrom: {message}", file=sys.stderr)
    return code
