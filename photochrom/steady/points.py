"""Follow the points that a person gave colors to through a scene."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from photochrom.hints import Hint
from photochrom.steady.motion import Link

LOST = 0.2
"""Trust below which a point is taken to have gone out of sight; it does not come back."""


def track(places: Mapping[int, tuple[Hint, ...]], links: Sequence[tuple[Link, Link]]) -> list[tuple[Hint, ...]]:
    """Carry hints from their own frames to all others.

    Args:
        places: hints by the index of their frame, in pixels of twice the size of the links.
        links: of each frame to the next, and of the next to it.

    Returns:
        The hints of each frame, one more than links; where two meet, the one whose own frame is nearer comes later, and stays.
    """
    found: list[list[tuple[int, Hint]]] = [[] for _ in range(len(links) + 1)]
    for index, hints in places.items():
        for hint in hints:
            found[index].append((0, hint))
            for step in (1, -1):
                # The middle of the pixel, in pixels of the links.
                x, y = (hint.x + 0.5) / 2 - 0.5, (hint.y + 0.5) / 2 - 0.5
                here = index
                while 0 <= here + step < len(found):
                    link = links[here][0] if step == 1 else links[here - 1][1]
                    moved = _move(x, y, link)
                    if moved is None:
                        break
                    (x, y), here = moved, here + step
                    place = replace(hint, x=max(round(2 * x + 0.5), 0), y=max(round(2 * y + 0.5), 0))
                    found[here].append((abs(here - index), place))
    return [tuple(hint for _, hint in sorted(each, key=lambda pair: -pair[0])) for each in found]


def _move(x: float, y: float, link: Link) -> tuple[float, float] | None:
    """Move a point along a link; none where it goes out of sight."""
    height, width = link.trust.shape
    row, column = min(max(round(y), 0), height - 1), min(max(round(x), 0), width - 1)
    if link.trust[row, column] < LOST:
        return None
    x, y = x + float(link.flow[row, column, 0]), y + float(link.flow[row, column, 1])
    return (x, y) if 0 <= x <= width - 1 and 0 <= y <= height - 1 else None
