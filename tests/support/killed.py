"""Run the command line in processes that may kill themselves at a named step.

A step is an audit event of the package (``sys.audit``) with its object, like ``photochrom.put out/a.jpg``. The processes are
forked from one that has the libraries in memory already: that saves two seconds of processor time for each.
"""

from __future__ import annotations

import contextlib
import io
import json
import multiprocessing
import os
import re
import signal
import sys
import threading
from collections.abc import Sequence
from functools import lru_cache
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple


class Ended(NamedTuple):
    code: int
    """-9 for a process that killed itself."""
    rows: list[dict[str, Any]]
    """Lines of JSON."""
    error: str


@lru_cache(maxsize=1)
def _context() -> ForkServerContext:
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(
        ["photochrom.cli.colorize", "photochrom.batch.cloud", "onnxruntime", "obstore", "PIL.ImageCms"]
    )
    return found


class Running:
    """A command that runs."""

    def __init__(self, arguments: Sequence[str], pattern: str = "", number: int = 0) -> None:
        self._pipe, theirs = _context().Pipe(duplex=False)
        place = os.fspath(Path.cwd()), dict(os.environ)
        values = (theirs, place, list(arguments), (pattern, number))
        self._process: BaseProcess = _context().Process(target=_main, args=values)
        self._process.start()
        theirs.close()

    def end(self) -> Ended:
        try:
            out, error = self._pipe.recv()
        except EOFError:
            out = error = ""
        self._process.join(60)
        rows = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
        return Ended(-9999 if self._process.exitcode is None else self._process.exitcode, rows, error)


def run(*arguments: str, pattern: str = "", number: int = 0) -> Ended:
    """Run a command; the process kills itself at the N-th step that matches the pattern."""
    return Running(arguments, pattern, number).end()


def _main(pipe: Connection, place: tuple[str, dict[str, str]], arguments: list[str], end: tuple[str, int]) -> None:
    from photochrom.cli import main

    os.chdir(place[0])
    os.environ.update(place[1])
    if end[1]:
        _kill_at(*end)
    out, error = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        try:
            main(arguments)
        finally:
            pipe.send((out.getvalue(), error.getvalue()))


def _kill_at(pattern: str, number: int) -> None:
    count, lock = 0, threading.Lock()

    def step(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal count
        if event.startswith("photochrom.") and re.search(pattern, f"{event} {arguments[0]}"):
            with lock:
                count += 1
                if count == number:
                    os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(step)
