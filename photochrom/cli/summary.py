"""Show how far a command is, what becomes of many photographs, and tables."""

from __future__ import annotations

import dataclasses
import json as jsonlib
import re
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, final

from photochrom.errors import PhotochromError

if TYPE_CHECKING:
    from photochrom.batch.run import LeftOut, Outcome, Task

MEANINGS = {
    "colored": "",
    "kept": "results of an earlier run that still hold",
    "skipped": "in color already; --on-color recolor colors them again",
    "failed": "",
}
"""What can become of a photograph, and what the table says of it."""

ALREADY = "it is in color already; --on-color recolor colors it again"
"""What is said of a photograph that is skipped."""

ALL_FAILED = 3
"""The exit code where no photograph was colored, kept or skipped."""

REASONS, NAMES = 10, 3
"""The table has the most frequent reasons, each with the first names."""


class Terminated(KeyboardInterrupt):
    """The process was asked to end by SIGTERM."""


@final
class Tally:
    """Print what becomes of photographs, and count it."""

    def __init__(self, *, json: bool, quiet: bool, left_out: LeftOut | None = None, single: bool = False) -> None:
        """Take what is to be printed, where a listing counts what it leaves out, and whether one photograph was named."""
        self._json, self._quiet, self._left_out, self._single = json, quiet, left_out, single
        self._begin = time.monotonic()
        self._counts = dict.fromkeys(MEANINGS, 0)
        self._reasons: dict[str, _Reason] = {}
        self._kept = ""

    @property
    def done(self) -> int:
        """Give how many photographs there were."""
        return sum(self._counts.values())

    @property
    def code(self) -> int:
        """Return the exit code: 0 if none failed, 3 if all did, else 1."""
        failed = self._counts["failed"]
        return 0 if not failed else ALL_FAILED if failed == self.done else 1

    def tell(self, outcome: Outcome) -> None:
        """Count a photograph, and print its line: JSON, or what is new, or on standard error what failed."""
        self._counts[outcome.status] += 1
        if outcome.reason:
            # Those that differ in a figure or in a name alone are one reason.
            key = re.sub(r"'[^']*'|\S*/\S*|\d[\d,.]*", "...", outcome.reason)
            self._reasons.setdefault(key, _Reason(outcome.reason)).add(outcome.source)
        if self._json:
            print(jsonlib.dumps(dataclasses.asdict(outcome)), flush=True)
        elif outcome.status == "failed":
            print(f"photochrom: {outcome.error}", file=sys.stderr)
        elif outcome.status == "skipped" and self._single:
            print(f"photochrom: {outcome.source}: NOT COLORED, nothing was written: {ALREADY}", file=sys.stderr)
        elif outcome.status == "skipped" and not self._quiet:
            print(f"{outcome.source}: skipped, {ALREADY}")
        elif outcome.status == "colored" and not self._quiet:
            said = f" ({'; '.join(outcome.notes)})" if outcome.notes else ""
            print(f"{outcome.source} -> {outcome.output}{said}")
        elif outcome.status == "kept" and not self._quiet:
            self._kept = f"{outcome.source} -> {outcome.output} (kept, it is up to date)"

    def sum_up(self) -> None:
        """Print the table of several photographs to standard error: on a terminal, and if one of them failed or was skipped.

        JSON ends with a record of the same figures. What was left out has a line. A single photograph that is kept has one too.
        """
        if self._json:
            print(jsonlib.dumps({"summary": self._record()}), flush=True)
            return
        if self.done == 1 and self._kept:
            print(self._kept)
        left_out = self._left_out.line if self._left_out else ""
        if self.done < 2 or not (self._counts["failed"] or self._counts["skipped"] or sys.stderr.isatty()):
            if left_out and not self._quiet:
                sys.stdout.flush()
                print(f"photochrom: {left_out}", file=sys.stderr)
            return
        width = len(f"{self.done:,}")
        lines = [f"{self.done:,} photographs in {_duration(time.monotonic() - self._begin)}:"]
        for status, count in self._counts.items():
            if count:
                lines.append(f"  {count:{width},}  {status:8} {MEANINGS[status]}".rstrip())
        reasons = sorted(self._reasons.values(), key=lambda reason: -reason.count)
        if reasons:
            lines.append("reasons:")
        for reason in reasons[:REASONS]:
            more = f" and {reason.count - NAMES:,} more" if reason.count > NAMES else ""
            lines += [f"  {reason.count:{width},}  {reason.text}", f"  {'':{width}}  {', '.join(reason.names)}{more}"]
        if rest := reasons[REASONS:]:
            lines.append(f"  {sum(reason.count for reason in rest):{width},}  for {len(rest):,} other reasons")
        if left_out:
            lines.append(left_out)
        sys.stdout.flush()
        print("\n".join(lines), file=sys.stderr)

    def _record(self) -> dict[str, object]:
        left_out = self._left_out
        return {
            "photographs": self.done,
            **self._counts,
            "skipped_because": MEANINGS["skipped"] if self._counts["skipped"] else None,
            "left_out_files": dict(left_out.files) if left_out else {},
            "left_out_folders": dict(left_out.folders) if left_out else {},
            "seconds": round(time.monotonic() - self._begin, 3),
        }


@final
class _Reason:
    """Count the photographs that failed for one reason."""

    def __init__(self, text: str) -> None:
        self.text, self.count = text, 0
        self.names: list[str] = []

    def add(self, name: str) -> None:
        self.count += 1
        if len(self.names) < NAMES:
            self.names.append(name)


@final
class Count:
    """Count photographs beside the work, where there is a bar to fill: listing them is much faster than coloring them."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self.total: int | None = None
        self._tasks = tasks
        if sys.stderr.isatty():
            threading.Thread(target=self._count, daemon=True).start()

    def _count(self) -> None:
        try:
            for number, _ in enumerate(self._tasks, 1):
                self.total = number
        except PhotochromError:
            return  # the run itself meets it and says so


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM end what is inside as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread hears signals
        return

    def end(*_: object) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


if TYPE_CHECKING:
    from rich.progress import Progress


class Bar:
    """A progress bar on standard error where that is a terminal; call it with what is done and the total."""

    def __init__(self, label: str, *, unit: str = "") -> None:
        """Take a label, and the unit whose number a second is shown."""
        self._label, self._unit = label, unit
        self._progress: Progress | None = None

    def __enter__(self) -> Bar:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress, TextColumn

            # Results that go elsewhere than to the terminal must not be drawn above the bar.
            to_terminal = sys.stdout.isatty()
            columns = Progress.get_default_columns()
            speed = [TextColumn("{task.fields[speed]}")] if self._unit else []
            columns = *columns, *speed
            self._progress = Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=to_terminal)
            self._progress.start()
            self._progress.add_task(self._label, total=None, speed="")
        return self

    def __exit__(self, *problem: object) -> None:
        if self._progress:
            self._progress.stop()

    def __call__(self, done: int, total: int | None) -> None:
        """Show how far it is."""
        if self._progress:
            speed = self._progress.tasks[0].speed
            told = f"{speed:.0f} {self._unit}/s" if speed else ""
            self._progress.update(self._progress.task_ids[0], completed=done, total=total, speed=told)


def print_table(title: str, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print a table: as wide as the terminal, or 200 columns elsewhere."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right")
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 200).print(table)
