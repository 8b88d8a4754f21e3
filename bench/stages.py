"""Print where a batch spends its processor time, for each photograph: ``python -m bench stages``."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image

from bench import pictures
from bench.batch import HEIGHT, WIDTH
from photochrom.batch import manifest, run
from photochrom.colorizer import colorizer, file, model
from photochrom.photo import convert

COUNT = 60
STAGES: dict[str, tuple[tuple[Any, str], ...]] = {
    "reading": ((file, "read_contents"), (convert, "read")),
    "judging": ((colorizer, "judge"),),
    "averaging for the network": ((colorizer.Colorizer, "_seen"),),
    "the network": ((model.Model, "answer"),),
    "upsampling": ((colorizer, "upsample"),),
    "encoding": ((convert, "encode"),),
    "hashing": ((run, "stamp"),),
    "writing": ((convert, "save"), (manifest.Manifest, "add")),
}
"""The functions of each stage; one that is called within another counts by itself."""


class Clock:
    """Add up the processor time of one thread by stages."""

    def __init__(self) -> None:
        self.spent = dict.fromkeys(STAGES, 0.0)
        self._open: list[str] = []
        self._since = 0.0

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            self._switch(stage)
            try:
                return function(*arguments, **options)
            finally:
                self._switch(None)

        return call

    def _switch(self, stage: str | None) -> None:
        now = time.thread_time()
        if self._open:
            self.spent[self._open[-1]] += now - self._since
        self._since = now
        if stage:
            self._open.append(stage)
        else:
            self._open.pop()


def main() -> None:
    """Color a folder with one job; what no stage has, and what other threads take, is the rest."""
    clock = Clock()
    for stage, functions in STAGES.items():
        for owner, name in functions:
            setattr(owner, name, clock.timed(stage, getattr(owner, name)))
    grey = pictures.color().convert("L").resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    fast = colorizer.Colorizer.load(options=colorizer.Options(luma="fast"), threads=1)
    with TemporaryDirectory() as folder:
        first = Path(folder, "in", "0.jpg")
        first.parent.mkdir()
        first.write_bytes(pictures.jpeg(grey))
        for index in range(1, COUNT):
            shutil.copy(first, first.with_name(f"{index}.jpg"))
        begin = time.process_time()
        done = [outcome.status for outcome in run.run(fast, run.plan([first.parent], Path(folder, "out")))]
        whole = time.process_time() - begin
    assert done == ["colored"] * COUNT
    print(f"{COUNT} grey JPEGs of 3 megapixels, --luma fast, one job: processor time for each, ms\n\n|   ms | |\n|-----:|---|")
    for stage, seconds in [*clock.spent.items(), ("the rest", whole - sum(clock.spent.values())), ("together", whole)]:
        print(f"| {1e3 * seconds / COUNT:4.1f} | {stage} |")


if __name__ == "__main__":
    main()
