"""Color damaged files in processes of their own, so that a crash, a hang and hunger for memory are seen and told apart."""

from __future__ import annotations

import faulthandler
import json
import multiprocessing
import os
import re
import resource
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from photochrom.colorizer.colorizer import Colorizer, Options
from photochrom.colorizer.file import color_file
from photochrom.errors import PhotochromError, one_line
from photochrom.photo.formats import SUBSTITUTES, SUFFIXES
from tests.fuzz import damage
from tests.support import models

SECONDS = 10
"""Of the processor's time, which other work on the machine does not stretch."""
CLOCK_SECONDS = 120
"""By the clock, for what waits and does not work."""
MEGABYTES = 1000
ADDRESSES = 8 << 30
"""Of address space, in bytes: what asks for more fails at once, and does not take the machine's memory first."""
LIBJPEG = re.compile(r"(Corrupt JPEG data: [A-Za-z0-9 ]+( / )?)+")
"""What libjpeg prints inside jpeglib, of damage that the decoder before it did not notice: counted, and no fault of ours."""
START_SECONDS = 120
"""A process has so long to load its libraries."""


@dataclass(frozen=True)
class Outcome:
    """What became of a case: ``read`` (and written), ``refused``, or ``fault``."""

    number: int
    source: str
    kind: str
    done: str
    ending: str
    said: str
    """The error's one line; for a fault what it is; for a file that was read nothing, or what libjpeg printed of it."""
    seconds: float
    """Of the processor's time."""
    megabytes: float
    """The most that the whole process held in this case."""


Color = Callable[[Path, Path, Colorizer], None]
"""Color a file into another."""


def color_whole(source: Path, target: Path, colorizer: Colorizer) -> None:
    """Read, judge, color and write a file as the command line does."""
    color_file(source, target, colorizer=colorizer, overwrite=True)


def run(
    seed: int, numbers: Iterable[int], *, color: Color = color_whole, clock_seconds: float = CLOCK_SECONDS
) -> Iterator[Outcome]:
    """Go through cases, with a new process after each that crashes or hangs.

    Args:
        seed: of all cases.
        numbers: which ones.
        color: what is tried.
        clock_seconds: longer for one case is a fault.
    """
    waiting = list(numbers)
    context = multiprocessing.get_context("spawn")
    while waiting:
        ours, theirs = context.Pipe()
        with TemporaryDirectory(prefix="photochrom-fuzz-") as folder:
            process = context.Process(target=work, args=(theirs, seed, waiting, folder, color), daemon=True)
            process.start()
            theirs.close()
            if not _word(ours, START_SECONDS):
                raise RuntimeError(f"the process did not start: {_last_lines(Path(folder, 'said'))}")
            gone = False
            while waiting and not gone:
                number = waiting[0]
                source, done, _ = damage.case(seed, number)
                word = _word(ours, clock_seconds)
                gone = word is None
                if word is None:
                    process.join(1)
                    what = "hangs" if process.exitcode is None else f"crashes, code {process.exitcode}"
                    word = ("fault", f"{what}: {_last_lines(Path(folder, 'said'))}", 0.0, 0.0)
                ending, said, took, peak = word
                if took > SECONDS:
                    ending, said = "fault", f"takes {took:.1f} s: {said}"
                if peak > MEGABYTES:
                    ending, said = "fault", f"takes {peak:.0f} MB: {said}"
                outcome = Outcome(number, source.name, source.kind, done, ending, said, took, peak)
                yield outcome
                waiting.pop(0)
            process.kill()
            process.join()
            ours.close()


def work(pipe: Connection, seed: int, numbers: list[int], folder: str, color: Color) -> None:
    """Color the cases one after the other, and tell what became of each: ending, words, seconds and megabytes."""
    log = os.open(Path(folder, "said"), os.O_RDWR | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("always")
    warnings.filterwarnings("ignore", module="PIL")  # as the command line does
    network = Path(folder, "small.onnx")  # three operators, which answer at once: it is the readers that are tried
    network.write_bytes(models.content(json.dumps(models.table())))
    colorizer = Colorizer.load(network, threads=1, options=Options(on_color="recolor"))
    pipe.send("ready")
    for number in numbers:
        source, _, content = damage.case(seed, number)
        path = Path(folder, "in" + next(suffix for suffix, kind in SUFFIXES.items() if kind == source.kind))
        target = next(suffix for suffix, kind in SUFFIXES.items() if kind == SUBSTITUTES.get(source.kind, source.kind))  # type: ignore[call-overload]
        path.write_bytes(content)
        os.ftruncate(log, 0)
        Path("/proc/self/clear_refs").write_text("5", "ascii")  # sets the peak back to what is held now
        begin = time.process_time()
        try:
            color(path, Path(folder, "out" + target), colorizer)
            ending, said = "read", ""
        except PhotochromError as error:
            said = str(error)
            whole = said.startswith(f"{path}: ") and said == one_line(error) and len(said) < 600
            ending, said = (
                ("refused", said.removeprefix(f"{path}: ")) if whole else ("fault", f"an unclear error: {said[:600]}")
            )
        except BaseException as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            ending, said = "fault", f"{type(error).__name__} in {Path(where.filename).name}, {where.lineno}: {one_line(error)}"
        took = time.process_time() - begin
        words = _last_lines(Path(folder, "said"))
        if LIBJPEG.fullmatch(words) and ending == "read":
            said = words
        elif words:
            ending, said = "fault", f"prints: {words}"
        pipe.send((ending, said, took, _peak()))


def _word(pipe: Connection, seconds: float) -> Any:
    """Wait for what the process sends; None if it hangs or is gone."""
    try:
        return pipe.recv() if pipe.poll(seconds) else None
    except (EOFError, OSError):
        return None


def _peak() -> float:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text("ascii"))
    assert found
    return int(found[1]) / 1000


def _last_lines(path: Path) -> str:
    lines = path.read_text("utf-8", "replace").splitlines() if path.exists() else []
    return " / ".join(line.strip() for line in lines[:8])[:600]
