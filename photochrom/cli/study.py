"""The command for those who compare models: study."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from photochrom.errors import OptionError

if TYPE_CHECKING:
    from photochrom.study.config import Study
    from photochrom.study.estimate import Estimate


def study(
    config: str,
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    data: Annotated[list[str] | None, Parameter(consume_multiple=True, negative=())] = None,
    jobs: int = 1,
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    workers: int = 0,
    retry: Annotated[bool, Parameter(negative="")] = False,
    pictures: Annotated[list[Path] | None, Parameter(consume_multiple=True, negative=())] = None,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Train and score a grid of data sets, generators, regularizers and seeds, and write a report of it.

    Stopped at any point, the same command goes on. A run that fails is a row of the results, and makes the exit code 1.

    Parameters
    ----------
    config
        A preset (smoke, regularizers, architectures, ablations, original) or a TOML file.
    output
        The folder of the study: results.jsonl, report.html, findings.md and figures in the end.
    data
        Prepared data sets as NAME=FOLDER.
    jobs
        Runs at once; each computes with one thread.
    accelerator
        Kind of the device.
    workers
        Processes of each run that decode photographs.
    retry
        Run again what failed before.
    pictures
        Photographs or folders of them that the report shows in place of test photographs, which not everybody may publish.
    dry_run
        Print the runs and the estimated time, and stop. Tries a few steps of each generator that has no finished run.
    """
    from photochrom.evaluation.photographs import pictures as read
    from photochrom.study import config as experiments
    from photochrom.study import findings, report, results, runner
    from photochrom.study.estimate import estimate

    plan = experiments.load(config, _folders(data or []))
    options = runner.Options(jobs=jobs, accelerator=accelerator, workers=workers, retry=retry)
    if dry_run:
        print(f"dry run of '{plan.title}': {len(plan.runs)} runs; nothing is written", file=sys.stderr, flush=True)
        found = estimate(plan, output, options, say=lambda what: print(what, file=sys.stderr, flush=True))
        _print_plan(plan, output, found, jobs)
        return 0
    shown = list(read(pictures)) if pictures else []
    runner.run(plan, output, options=options, progress=_say)
    report.write(plan, output, pictures=shown)
    print(findings.tables(results.cells(plan, output), plan, results.rows(plan, output)))
    failed = sum(runner.state(output, run) == "failed" for run in plan.runs)
    print(f"{output / report.REPORT}: {len(plan.runs) - failed} runs, {failed} failed; figures in {output / results.RESULTS}")
    return 1 if failed else 0


def _folders(data: list[str]) -> dict[str, Path]:
    folders: dict[str, Path] = {}
    for word in data:
        name, equals, folder = word.partition("=")
        if not (name and equals and folder):
            raise OptionError(f"--data {word}: expected NAME=FOLDER, the name under which the report shows the data set")
        if name in folders:
            raise OptionError(f"--data names '{name}' twice; give each data set a name of its own")
        folders[name] = Path(folder)
    return folders


def _say(done: int, total: int, what: str) -> None:
    print(f"{done}/{total}  {what}", file=sys.stderr, flush=True)


def _print_plan(plan: Study, output: Path, found: Estimate, jobs: int) -> None:
    from photochrom.study import runner

    for run in plan.runs:
        state = runner.state(output, run)
        left = f"{found.seconds[run.name] / 60:.1f} min" if state == "left" else state
        print(f"{run.name}  {run.config.images} images  {left}")
    for generator, speed in found.speeds.items():
        source = "runs of this study" if speed.source == "runs" else "a few steps tried just now, the machine as busy as it was"
        print(f"{generator}: {speed.images_per_second:.1f} images/s by {source}")
    print(f"{len(found.seconds)} of {len(plan.runs)} runs left: about {_hours(found.total_seconds)} with {jobs} at once")
    print("The estimate takes one regularizer of each generator for all, and a free core for each job.")


def _hours(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{max(1, minutes)} min"
