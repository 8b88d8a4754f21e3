"""Say what a preparation made of what: the content of ``manifest.json``, its text, and its figures as a table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

Reason = Literal["unreadable", "too_large", "tiny", "narrow", "grey", "toned", "blank", "duplicate"]
REASONS: tuple[Reason, ...] = get_args(Reason)
"""Why a photograph is rejected, in the order in which the checks are made."""


@dataclass(frozen=True)
class Spread:
    """How a figure spreads over the source."""

    minimum: float
    low: float
    """5 % lie below."""
    median: float
    high: float
    """5 % lie above."""
    maximum: float


@dataclass(frozen=True)
class Sizes:
    """Sizes of the source's photographs, upright; of all whose size could be read, the rejected ones too."""

    count: int
    width: Spread
    height: Spread
    aspect: Spread
    """Width over height."""
    megapixels: Spread
    below_size: float
    """Share whose short side is below the size they are prepared at."""


@dataclass(frozen=True)
class Shard:
    """One tar file of the output."""

    name: str
    split: str
    photographs: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Kept:
    """One photograph of the output."""

    key: str
    """First 16 hexadecimal digits of the SHA-256 of the source's file; ``KEY.jpg`` in the shard."""
    split: str
    name: str
    """Its path in the source."""


@dataclass(frozen=True)
class Rejected:
    """One photograph that was left out."""

    name: str
    reason: Reason
    detail: str


@dataclass(frozen=True)
class Manifest:
    """What was prepared from what: the content of manifest.json."""

    tool: str
    source: str
    kind: str
    """folder, zip, tar or huggingface."""
    options: dict[str, Any]
    """The options that shape the result, so without jobs and overwrite."""
    found: int
    kept: int
    splits: dict[str, int]
    """Photographs kept, by split."""
    rejections: dict[str, int]
    """Photographs rejected, by reason; every reason is there."""
    ignored: int
    """Files that are no photographs by their names."""
    sizes: Sizes
    shards: tuple[Shard, ...]
    rejected: tuple[Rejected, ...]
    photographs: tuple[Kept, ...]
    """In the order of the shards: by split, then by key."""


def describe(manifest: Manifest) -> list[tuple[str, str]]:
    """List a manifest's figures as rows of a name and a value, for a table."""
    sizes = manifest.sizes
    rows = [("source", manifest.source), ("photographs found", f"{manifest.found:,}"), ("kept", f"{manifest.kept:,}")]
    rows += [(f"  {split}", f"{count:,}") for split, count in manifest.splits.items()]
    rows += [(f"rejected: {reason.replace('_', ' ')}", f"{count:,}") for reason, count in manifest.rejections.items() if count]
    rows += [("other files, ignored", f"{manifest.ignored:,}")] if manifest.ignored else []
    rows += [("shards", f"{len(manifest.shards):,}, {sum(shard.bytes for shard in manifest.shards) / 1e6:,.1f} MB")]
    rows += [("size of the source", "minimum / 5 % / median / 95 % / maximum")]
    for name, spread, places in (
        ("  width, px", sizes.width, 0), ("  height, px", sizes.height, 0),
        ("  width / height", sizes.aspect, 2), ("  megapixels", sizes.megapixels, 2),
    ):  # fmt: skip
        rows.append((name, " / ".join(f"{value:,.{places}f}" for value in asdict(spread).values())))
    return [*rows, (f"  short side below {manifest.options['size']} px", f"{100 * sizes.below_size:.1f} %")]


def to_json(manifest: Manifest) -> str:
    """Write a manifest as JSON, in ASCII, with one line for each shard and photograph."""
    lines = []
    for name, value in asdict(manifest).items():
        if isinstance(value, tuple):
            text = "[\n" + ",\n".join(f"  {json.dumps(item)}" for item in value) + "\n ]"
        else:
            text = json.dumps(value)
        lines.append(f" {json.dumps(name)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def measure(sizes: Sequence[tuple[int, int]], side: int) -> Sizes:
    """Sum up (width, height) in pixels, of one photograph or more; ``side``: the short side they are prepared at."""
    width, height = np.asarray(sizes, dtype=np.float64).T
    return Sizes(
        count=len(sizes),
        width=_spread(width),
        height=_spread(height),
        aspect=_spread(width / height),
        megapixels=_spread(width * height / 1e6),
        below_size=round(float(np.mean(np.minimum(width, height) < side)), 4),
    )


def _spread(values: NDArray[np.float64]) -> Spread:
    return Spread(*(round(float(value), 4) for value in np.quantile(values, (0, 0.05, 0.5, 0.95, 1))))
