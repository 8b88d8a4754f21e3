"""Run the command line in a process that kills itself at a named step: the N-th time that it is about to do what a pattern names.

Called as a program: ``python -m tests.support.killed PATTERN NUMBER ARGUMENTS...``. A pattern is compared with the step and its object,
like ``photochrom.put out/a.jpg``; the steps are the audit events of the package (``sys.audit``).
"""

from __future__ import annotations

import os
import re
import signal
import sys
import threading

from photochrom.cli import main


def kill_at(pattern: str, number: int) -> None:
    """Kill this process at the N-th step that matches."""
    count, lock = 0, threading.Lock()

    def step(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal count
        if event.startswith("photochrom.") and re.search(pattern, f"{event} {arguments[0]}"):
            with lock:
                count += 1
                if count == number:
                    os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(step)


if __name__ == "__main__":
    kill_at(sys.argv[1], int(sys.argv[2]))
    main(sys.argv[3:])
