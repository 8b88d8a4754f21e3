"""Save and load the state of a training run, atomically."""

from __future__ import annotations

import os
import pickle
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from photochrom.errors import TrainingError

NEWEST = "newest.pt"
BEST = "best.pt"


@dataclass
class Progress:
    """Where a run stands."""

    images_seen: int = 0
    steps: int = 0
    seconds: float = 0.0
    best_score: float = float("inf")
    best_images: int = 0
    collapsed_lines: int = 0
    """Lines of the log in a row at which the discriminator's loss was near 0."""
    grey_validations: int = 0
    """Validations in a row with nearly grey answers."""
    unimproved: int = 0
    """Validations in a row without a better score."""
    stopped_early: bool = False
    """Whether the run ended because its patience did."""
    lowest_generator_loss: float = float("inf")
    """The lowest mean of the generator's whole loss between two lines of the log."""
    lowest_generator_images: int = 0
    """Images seen by then: the checkpoint that a choice by loss would keep."""


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a state beside its target, flush it to the disk and rename it, so that no half file is ever seen."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def load(path: Path) -> dict[str, Any]:
    """Read a state.

    Raises:
        TrainingError: if the file is damaged or not a checkpoint.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, KeyError, ValueError) as error:
        raise TrainingError(f"cannot read the checkpoint '{path}': {error}; delete it to go on without it") from error
    if not isinstance(state, dict) or "generator" not in state:
        raise TrainingError(f"'{path}' is not a checkpoint of photochrom train")
    return state


def commit() -> str:
    """Name the commit of the code that runs, ``-dirty`` where it was changed since; ``unknown`` outside a checkout."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    found = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"
