"""Draw photographs again and again, with replacement, to tell how sure a mean over them is (Efron 1979)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

DRAWS = 2000
SEED = 20160328
PICKS_AT_ONCE = 4_000_000
"""Photographs drawn in one go, over several draws: about 100 MB."""


def draws(count: int) -> Iterator[NDArray[np.intp]]:
    """Return ``DRAWS`` draws of as many photographs as there are, some at a time.

    They depend on the number of photographs alone: what is drawn of two sets of rows of the same photographs is paired.

    Yields:
        ``(D, count)``: how often each photograph is in each of D draws.
    """
    random = np.random.default_rng(SEED)
    at_once = max(1, PICKS_AT_ONCE // count)
    for start in range(0, DRAWS, at_once):
        here = min(at_once, DRAWS - start)
        picks = random.integers(count, size=(here, count)) + count * np.arange(here)[:, None]
        yield np.bincount(picks.ravel(), minlength=here * count).reshape(here, count)


def means(rows: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return the mean of each column of ``(N, K)`` rows, one a photograph, then over each draw: ``(1 + DRAWS, K)``."""
    drawn = [times @ rows / len(rows) for times in draws(len(rows))]
    return np.concatenate([rows.mean(0, keepdims=True), *drawn])
