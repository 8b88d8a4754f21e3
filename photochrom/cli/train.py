"""Train a model: the command ``train``."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from photochrom.errors import ConfigError, OptionError, TrainingError, one_line

if TYPE_CHECKING:
    from photochrom.training.loop import Report

Data = Annotated[list[Path], Parameter(consume_multiple=True, negative="")]


Output = Annotated[Path, Parameter(name=["--output", "-o"])]


def train(
    config: str,
    /,
    *,
    data: Data,
    output: Output,
    devices: int = 1,
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    workers: int = 0,
    at_once: int = 0,
    init: Path | None = None,
    set_: Annotated[list[str] | None, Parameter(name="--set", negative="")] = None,
) -> int:
    """Train a generator, or go on with a training that was stopped: the same command resumes it.

    Parameters
    ----------
    config
        A preset (release, photochrom, unet, plain, original-pix2pix, original-alternative) or a TOML file.
    data
        Folders that `photochrom prepare` made.
    output
        The folder of the run.
    devices
        Processes, each with a device of its own. On a CPU, one for each core is the fastest. torchrun and srun start the
        processes themselves.
    accelerator
        Kind of the devices.
    workers
        Processes for each device that decode photographs.
    at_once
        The most crops that a device takes at once, for a device with too little memory or for fewer devices: the gradients of
        a larger share of the batch are added up. Batch norm then takes the statistics of each part.
    init
        A checkpoint of another run (its best.pt), or a model file, such as photochrom/colorizer/weights/photochrom.onnx, whose
        generator a new run starts from; with attention of at least the file's. A run that goes on has its own.
    set_
        Replace a setting of the configuration: --set batch=16 --set stages.0.images=50000. A run that goes on keeps its own.
    """
    from photochrom.training.config import load
    from photochrom.training.launch import world
    from photochrom.training.loop import Compute, TerminatedError
    from photochrom.training.loop import train as run
    from photochrom.training.setup import settings_of

    if devices < 1 or workers < 0 or at_once < 0:
        raise OptionError(
            f"devices is {devices}, workers is {workers} and at_once is {at_once}: expected 1 or more, and twice 0 or more"
        )
    first = world(devices).rank == 0
    overrides = list({setting.partition("=")[0]: setting for setting in [*settings_of(output), *(set_ or [])]}.values())
    settings = load(config, overrides)
    try:
        progress = run(
            settings,
            data,
            run=output,
            compute=Compute(devices, accelerator, workers, at_once),
            init=init,
            report=Watcher(sys.stderr.isatty(), output, overrides),
            overrides=overrides,
        )
    except (ConfigError, TrainingError) as error:
        code = 143 if isinstance(error, TerminatedError) else 1
        if first:
            print(f"photochrom: {one_line(error)}", file=sys.stderr)
        return code  # all processes meet these errors together, and the first one says them
    if first:
        print(
            f"{output}: {progress.images_seen} images in {progress.seconds / 3600:.2f} h; "
            f"best at {progress.best_images} images, score {progress.best_score:.3f}"
            + ("; stopped early" if progress.stopped_early else "")
        )
    return 0


@dataclass
class Watcher:
    """Show a training: a bar on a terminal, a line for each line of the log elsewhere."""

    terminal: bool
    run: Path
    overrides: list[str]
    bar: Any = None

    def __call__(self, report: Report) -> None:
        """Show one report."""
        if not report.losses:
            self._begin(report)
            return
        left = (report.images - report.images_seen) / max(report.images_per_second, 1e-9)
        text = "  ".join(f"{name} {value:.4g}" for name, value in (report.losses | report.validation).items())
        line = f"{report.images_seen}/{report.images} images  {report.images_per_second:.1f}/s  {_time(left)} left  {text}"
        if not self.terminal:
            print(line, file=sys.stderr, flush=True)
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        if self.bar is None:
            columns = (BarColumn(), TextColumn("{task.description}"))
            self.bar = Progress(*columns, console=Console(stderr=True))
            self.bar.start()
            self.bar.add_task(line, total=report.images)
        self.bar.update(0, completed=report.images_seen, description=line)
        if report.validation or report.images_seen >= report.images:
            self.bar.console.print(line)
        if report.images_seen >= report.images:
            self.bar.stop()

    def _begin(self, report: Report) -> None:
        settings = "".join(f" --set {setting}" for setting in self.overrides)
        what = f"goes on after {report.images_seen} of" if report.images_seen else "begins:"
        print(f"{self.run}: {what} {report.images} images{settings}", file=sys.stderr, flush=True)


def _time(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"
