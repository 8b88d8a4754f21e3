"""Show how far a command is, and print tables."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

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
