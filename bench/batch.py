"""Measure a whole folder: 200 photographs of 3 megapixels by the command, against two processes of Pillow that save them anew.

Both start from nothing and take the same files; ``python bench/batch.py`` with two folders, and the number of processes, is
Pillow's side of it.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

COUNT, PROCESSES = 200, 2
WIDTH, HEIGHT = 2000, 1500
INTERVAL_S = 0.02
"""How often the memory of all processes together is looked at."""


def batch(rounds: int):
    """Give the rows of the table; a round takes many seconds, so that a fifth of the rounds are run."""
    # Imported here, since Pillow's processes run this file too, and are to carry nothing of ours.
    from PIL import Image

    from bench import pictures, speed

    rounds = max(1, rounds // 5)
    with TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "in").mkdir()
        photo = pictures.color().convert("L").resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
        first = root / "in/000.jpg"
        first.write_bytes(pictures.jpeg(photo))
        for index in range(1, COUNT):
            shutil.copy(first, root / f"in/{index:03}.jpg")
        ours = [sys.executable, "-m", "photochrom", "colorize", "in", "-o", "ours", "--luma", "fast", "--jobs", "2", "--quiet"]
        theirs = [sys.executable, str(Path(__file__).resolve()), "in", "theirs", str(PROCESSES)]

        def once(command: list[str]) -> Callable[[], speed.Sample]:
            return lambda: run(command, root)

        runs = speed.side_by_side(once(ours), once(theirs), rounds=rounds)
    seconds = [statistics.median(run.seconds for run in side) for side in runs]
    processor = [1e3 * statistics.median(run.processor for run in side) / COUNT for side in runs]
    peaks = [max(run.peak for run in side) / 1e6 for side in runs]
    name = f"{COUNT} photographs of 3 megapixels"
    return [
        speed.Row(name, "s", *seconds, required_ratio=1.3, processor=processor[0], pillow_processor=processor[1]),
        speed.Row(f"{name}, memory of all processes", "MB", *peaks, required=400),
    ]


def run(command: list[str], folder: Path):
    """Run a command in a folder from which earlier results are gone; its memory counts with that of all its children."""
    from bench.speed import Sample

    for name in ("ours", "theirs"):
        shutil.rmtree(folder / name, ignore_errors=True)
    before = os.times()
    begin = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])})
    peak = 0
    while process.poll() is None:
        peak = max(peak, memory(process.pid))
        time.sleep(INTERVAL_S)
    seconds, after = time.perf_counter() - begin, os.times()
    if process.returncode:
        sys.exit(f"{' '.join(command)}: ended with exit code {process.returncode}")
    processor = after.children_user + after.children_system - before.children_user - before.children_system
    return Sample(seconds, processor, peak)


def memory(process: int) -> int:
    """Add up the memory of a process and of those below it: their own in full, and shared pages in parts (Linux alone)."""
    total = 0
    for number in (process, *children(process)):
        try:
            rollup = Path(f"/proc/{number}/smaps_rollup").read_text()
        except OSError:
            continue  # it has ended, or there is no such file
        total += sum(1024 * int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return total


def children(process: int) -> list[int]:
    try:
        below = [
            int(number)
            for thread in Path(f"/proc/{process}/task").iterdir()
            for number in (thread / "children").read_text().split()
        ]
    except OSError:
        return []
    return below + [deeper for number in below for deeper in children(number)]


def resave(source: Path, target: Path) -> None:
    from PIL import Image

    with Image.open(source) as image:
        # Pillow would copy a picture that is RGB already.
        (image if image.mode == "RGB" else image.convert("RGB")).save(target, quality=92)


def pillow(source: Path, target: Path, processes: int) -> None:
    target.mkdir()
    paths = sorted(source.iterdir())
    with ProcessPoolExecutor(processes) as pool:
        list(pool.map(resave, paths, [target / path.name for path in paths], chunksize=10))


if __name__ == "__main__":
    pillow(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
