"""Write what a training run says of itself: CSV files and TensorBoard's."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

from photochrom.training.checkpoint import Progress
from photochrom.training.config import Stage

COLUMNS = (
    "images_seen", "stage", "rate", "generator", "bins", "l1", "perceptual", "adversarial", "real", "fake", "accuracy", "r1",
    "gradient_penalty", "grad_generator", "grad_discriminator", "images_per_second", "seconds",
)  # fmt: skip
SCORES = (
    "images_seen", "score", "disparity", "grey", "chroma", "held_accuracy", "alarm_collapse", "alarm_grey", "psnr",
    "gain_1", "gain_3", "gain_10", "gain_50",
)  # fmt: skip


@final
class Log:
    """Keep ``log.csv``, ``validation.csv`` and TensorBoard's files; rows after the checkpoint are dropped on resuming."""

    def __init__(self, run: Path, images_seen: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

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
        """Close TensorBoard's file."""
        self.board.close()


def _append(path: Path, head: Sequence[str], row: Sequence[Any]) -> None:
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(head)
        writer.writerow(row)
