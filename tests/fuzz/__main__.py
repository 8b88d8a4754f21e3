"""Damage files of every format and color them: ``python -m tests.fuzz --cases 20000 --seed 0`` prints what became of them."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from threading import Thread

from tests.fuzz import damage
from tests.fuzz.run import MEGABYTES, SECONDS, Outcome, run


def table(outcomes: list[Outcome]) -> str:
    """Count what became of the cases, format by format."""
    head = "| format | files | cases | read | of these libjpeg printed of | refused | faults | longest | most memory |"
    lines = [head, "|" + "---|" * 9]
    for kind in [*sorted({outcome.kind for outcome in outcomes}), "all"]:
        own = [outcome for outcome in outcomes if kind in (outcome.kind, "all")]
        files = sum(kind in (source.kind, "all") for source in damage.sources())
        counts = Counter(outcome.ending for outcome in own)
        longest, most = max(outcome.seconds for outcome in own), max(outcome.megabytes for outcome in own)
        printed = sum(outcome.ending == "read" and outcome.said != "" for outcome in own)
        numbers = (files, len(own), counts["read"], printed, counts["refused"], counts["fault"])
        cells = (kind, *numbers, f"{longest:.1f} s", f"{most:.0f} MB")
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def side_by_side(seed: int, numbers: range, *, jobs: int) -> Iterator[Outcome]:
    """Go through cases in several processes, in the order in which they end."""
    outcomes: Queue[Outcome | None] = Queue()

    def go(share: range) -> None:
        try:
            for outcome in run(seed, share):
                outcomes.put(outcome)
        finally:
            outcomes.put(None)

    for job in range(jobs):
        Thread(target=go, args=(numbers[job::jobs],), daemon=True).start()
    running = jobs
    while running:
        outcome = outcomes.get()
        running -= outcome is None
        if outcome:
            yield outcome


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000, help="how many damaged files")
    parser.add_argument("--seed", type=int, default=0, help="of all of them; the same seed gives the same files")
    parser.add_argument("--first", type=int, default=0, help="number of the first case, to see one again")
    parser.add_argument("--jobs", type=int, default=1, help="processes at the same time")
    parser.add_argument("--keep", type=Path, help="folder for the files that showed a fault")
    given = parser.parse_args()
    outcomes: list[Outcome] = []
    for outcome in side_by_side(given.seed, range(given.first, given.first + given.cases), jobs=given.jobs):
        outcomes.append(outcome)
        if outcome.ending == "fault":
            print(f"case {outcome.number}, {outcome.source} {outcome.done}: {outcome.said}", flush=True)
            if given.keep:
                given.keep.mkdir(parents=True, exist_ok=True)
                content = damage.case(given.seed, outcome.number)[2]
                Path(given.keep, f"{given.seed}-{outcome.number}-{Path(outcome.source).name}").write_bytes(content)
        if len(outcomes) % 500 == 0:
            print(f"{len(outcomes)} of {given.cases}", file=sys.stderr, flush=True)
    limits = f"over {SECONDS} s of the processor's time, over {MEGABYTES} MB"
    print(f"seed {given.seed}; a fault is a crash, {limits}, any other word printed, an error that is not one clear line\n")
    print(table(outcomes))
    return int(len(outcomes) < given.cases or any(outcome.ending == "fault" for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
