"""Say when and what a training run writes of itself: CSV files, a chart and TensorBoard's files."""

from __future__ import annotations

import csv
import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from photochrom.training.checkpoint import Progress
from photochrom.training.config import Stage

if TYPE_CHECKING:
    from lightning.fabric import Fabric
    from torch import Tensor

COLUMNS = (
    "images_seen", "stage", "rate", "generator", "bins", "l1", "perceptual", "adversarial", "real", "fake", "accuracy", "r1",
    "gradient_penalty", "grad_generator", "grad_discriminator", "images_per_second", "seconds",
)  # fmt: skip
SCORES = (
    "images_seen", "score", "disparity", "grey", "chroma", "held_accuracy", "alarm_collapse", "alarm_grey", "psnr",
    "gain_1", "gain_3", "gain_10", "gain_50", "aside_score", "aside_disparity", "aside_grey", "aside_chroma",
)  # fmt: skip


@final
class Meter:
    """Average losses and measure speed between two lines of the log."""

    def __init__(self, progress: Progress) -> None:
        self._begin = time.monotonic() - progress.seconds
        self.restart(progress)

    def restart(self, progress: Progress) -> None:
        """Begin the next line."""
        self._sums: dict[str, Tensor] = {}
        self._counts: Counter[str] = Counter()  # by name: some losses are not there in every step
        self._mark, self._images = time.monotonic(), progress.images_seen

    def add(self, losses: Mapping[str, Tensor]) -> None:
        """Take in the losses of one step."""
        for name, value in losses.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value
            self._counts[name] += 1

    def read(self, fabric: Fabric, progress: Progress) -> tuple[dict[str, float], float]:
        """Return the mean losses over steps and processes, and images per second; note the time in the progress."""
        means: dict[str, float] = {}
        for name, value in self._sums.items():
            mean: Any = fabric.all_reduce(value / self._counts[name], reduce_op="mean")
            means[name] = float(mean)
        now = time.monotonic()
        progress.seconds = now - self._begin
        return means, (progress.images_seen - self._images) / max(now - self._mark, 1e-9)


@dataclass(frozen=True)
class Due:
    """Say what is due after a step, by the images seen."""

    seen: int
    batch: int
    last: bool

    def __call__(self, every: int) -> bool:
        """Return whether a multiple of ``every`` was passed in the last step, or the run is over."""
        return self.last or self.seen // every > (self.seen - self.batch) // every


@final
class Log:
    """Keep ``log.csv``, ``validation.csv`` and TensorBoard's files; rows after the checkpoint are dropped on resuming."""

    def __init__(self, run: Path, images_seen: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.run = run
        self.path, self.scores = run / "log.csv", run / "validation.csv"
        self.board: Any = SummaryWriter(run / "tensorboard", purge_step=images_seen + 1)
        for path, columns in ((self.path, COLUMNS), (self.scores, SCORES)):
            if path.exists():
                with path.open(newline="", encoding="utf-8") as file:
                    head, *rows = list(csv.reader(file)) or [[]]
                kept = [
                    dict(zip(head, row, strict=True)) for row in rows if len(row) == len(head) and int(row[0]) <= images_seen
                ]
                part = path.with_suffix(".part")
                with part.open("w", newline="", encoding="utf-8") as file:
                    csv.writer(file).writerows([columns, *([row.get(name, "") for name in columns] for row in kept)])
                part.replace(path)

    def row(self, progress: Progress, stage: Stage, rate: float, means: dict[str, float], speed: float) -> None:
        """Write one line of the log."""
        values: dict[str, Any] = {name: f"{value:.7g}" for name, value in means.items()}
        values |= {"images_seen": progress.images_seen, "stage": stage.kind, "rate": f"{rate:.6g}"}
        values |= {"images_per_second": f"{speed:.2f}", "seconds": f"{progress.seconds:.1f}"}
        _append(self.path, COLUMNS, [values.get(name, "") for name in COLUMNS])
        for name, value in means.items():
            self.board.add_scalar(f"loss/{name}", value, progress.images_seen)
        self.board.flush()

    def validation(self, progress: Progress, scores: dict[str, float]) -> None:
        """Write one line of validation scores."""
        values = {name: f"{value:.6g}" for name, value in scores.items()} | {"images_seen": str(progress.images_seen)}
        _append(self.scores, SCORES, [values.get(name, "") for name in SCORES])
        for name, value in scores.items():
            self.board.add_scalar(f"validation/{name}", value, progress.images_seen)

    def close(self) -> None:
        """Draw ``losses.png`` and close TensorBoard's file."""
        draw(self.run)
        self.board.close()


def draw(run: Path) -> None:
    """Draw the losses and the validation scores of a run as ``losses.png``; nothing where there is no line of the log yet."""
    from matplotlib.figure import Figure

    log, scores = read_columns(run / "log.csv"), read_columns(run / "validation.csv")
    if not log.get("images_seen"):
        return
    figure = Figure(figsize=(10, 8), layout="constrained")
    charts = (
        ("loss of the generator", log, ("generator", "bins", "l1", "perceptual"), "log"),
        ("adversarial losses", log, ("adversarial", "real", "fake", "r1", "gradient_penalty"), "linear"),
        ("disparity in validation, %", scores, ("score", "disparity", "grey", "aside_score"), "linear"),
    )
    for axes, (title, table, names, scale) in zip(figure.subplots(len(charts), sharex=True), charts, strict=True):
        axes.set(title=title, yscale=scale)
        for name in names:
            points = [(x, y) for x, y in zip(table.get("images_seen", ()), table.get(name, ()), strict=False) if y is not None]
            if points:
                axes.plot(*zip(*points, strict=True), label=name, marker="." if len(points) < 50 else None)
        if axes.lines:
            axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
        axes.grid(alpha=0.3)
    axes.set_xlabel("training images seen")
    part = run / "losses.part"
    figure.savefig(part, format="png", dpi=100)
    part.replace(run / "losses.png")


def read_columns(path: Path) -> dict[str, list[float | None]]:
    """Read a CSV file of a run as columns of numbers, None where a cell is empty or a word; no file, no columns."""
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        head, *rows = list(csv.reader(file)) or [[]]
    return {name: [_number(row[place]) for row in rows if len(row) == len(head)] for place, name in enumerate(head)}


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _append(path: Path, head: Sequence[str], row: Sequence[Any]) -> None:
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(head)
        writer.writerow(row)
