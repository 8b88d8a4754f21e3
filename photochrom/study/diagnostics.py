"""Read what a training run wrote down, and tell whether its two networks kept each other in balance."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from photochrom.training.log import read_columns

Numbers = list[float | None]
Columns = dict[str, Numbers]

COLLAPSED = 0.05
"""A discriminator whose losses on true and on generated pictures both lie below this has nothing left to learn."""
WON = 0.98
"""Share of pairs told apart from which the discriminator has won."""
BY_HEART = 0.15
"""Accuracy on training pairs above that on held-out ones from which the discriminator knows its photographs by heart."""
GREYISH = 0.15
"""Share of the truth's mean chroma below which the answers are as good as grey."""
ALARMS = {
    "The discriminator's loss was near 0": "the discriminator's loss was near 0 in a part of the log",
    "The discriminator won": f"the discriminator won: late in the run it told over {100 * WON:.0f} % of the pictures apart",
    "The discriminator learned by heart": "the discriminator learned its training photographs by heart: the share of them that "
    f"it told apart lies over {100 * BY_HEART:.0f} percentage points above that of photographs that it had not seen",
    "The answers are nearly grey": f"the answers are nearly grey: below {100 * GREYISH:.0f} % of the true chroma",
}
"""What an alarm of a run begins with, and what to say of several such runs."""


def examine(folder: Path) -> dict[str, Any]:
    """Sum up a run's ``log.csv`` and ``validation.csv``.

    Returns:
        ``images_seen``; ``best_images`` and ``best_score``: the checkpoint that was kept, by the validation score;
        ``lowest_loss_images`` and ``lowest_loss_score``: the one that the lowest generator loss would have kept, with the
        validation score next after it; ``accuracy`` and ``held_accuracy`` of the discriminator and ``chroma``, the answers'
        share of the truth's, late in the run; ``alarms``: sentences. None = the run did not write it down.
    """
    log, validation = read_columns(folder / "log.csv"), read_columns(folder / "validation.csv")
    seen, scores = log.get("images_seen", []), validation.get("score", [])
    images = validation.get("images_seen", [])
    best = _lowest(scores)
    lowest = _lowest(log.get("generator", []))
    after = None
    if lowest is not None:
        after = next((place for place, value in enumerate(images) if (value or 0) >= (seen[lowest] or 0)), None)
    found: dict[str, Any] = {
        "images_seen": _whole(seen[-1]) if seen else 0,
        "best_images": None if best is None else _whole(images[best]),
        "best_score": None if best is None else scores[best],
        "lowest_loss_images": None if lowest is None else _whole(seen[lowest]),
        "lowest_loss_score": None if after is None else scores[after],
        "accuracy": _late(log.get("accuracy", [])),
        "held_accuracy": _late(validation.get("held_accuracy", [])),
        "chroma": None if best is None else validation["chroma"][best],
    }
    return found | {"alarms": _alarms(log, found)}


def _alarms(log: Columns, found: dict[str, Any]) -> list[str]:
    alarms = []
    pairs = [(real, fake) for real, fake in zip(log.get("real", []), log.get("fake", []), strict=True)]
    losses = [max(real, fake) for real, fake in pairs if real is not None and fake is not None]
    near = sum(loss < COLLAPSED for loss in losses)
    if near:
        alarms.append(f"The discriminator's loss was near 0 in {100 * near / len(losses):.0f} % of the log.")
    accuracy, held, chroma = found["accuracy"], found["held_accuracy"], found["chroma"]
    if accuracy is not None and accuracy > WON:
        alarms.append(f"The discriminator won: it told {100 * accuracy:.0f} % of the pictures apart.")
    if accuracy is not None and held is not None and accuracy - held > BY_HEART:
        alarms.append(
            f"The discriminator learned by heart: {100 * accuracy:.0f} % right in training, {100 * held:.0f} % held out."
        )
    if chroma is not None and chroma < GREYISH:
        alarms.append(f"The answers are nearly grey: {100 * chroma:.0f} % of the true chroma.")
    return alarms


def _late(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return float(np.mean(there[-max(1, len(there) // 3) :])) if there else None


def _lowest(values: Sequence[float | None]) -> int | None:
    there = [(value, place) for place, value in enumerate(values) if value is not None]
    return min(there)[1] if there else None


def _whole(value: float | None) -> int:
    return int(value or 0)
