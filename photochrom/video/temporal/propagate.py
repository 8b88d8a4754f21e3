"""Color one segment of a scene so that its colors stay put.

The network sees a frame now and then. What it says is carried along the motion, forward and backward, and averaged with what it
says elsewhere, by how sure it is, how far off that is in time, and how far the motion can be trusted. What comes into view has
nothing carried to it and takes what is predicted next, or last: no color pulses in.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np

from photochrom.color import Bytes, Float
from photochrom.colorizer.colorizer import Colorizer
from photochrom.errors import OptionError, one_line
from photochrom.video.temporal.denoise import clean
from photochrom.video.temporal.optical_flow import Link, Motion, sample
from photochrom.video.temporal.point_tracks import Point, nearest_last, track

LEAST = 1e-3
"""Weight of what nothing speaks for: it counts where there is nothing better."""
AROUND, ALIKE = 2, 15.0
"""Frames on either side whose colors are averaged with those of a frame, and luma of 255 by which they may differ there."""
BLACK = 20
"""Luma of 255 up to which a pixel may be the mask of an iris."""
PLAIN = 8.0
"""Standard deviation of luma, of 255: frames with less count less, even if all frames of a segment are so."""


@dataclass(frozen=True)
class Steadiness:
    """Settings that keep a film's colors steady."""

    every: int = 8
    """Frames from one that the network sees to the next; the others take their colors along the motion."""
    memory: float = 0.93
    """Share of its weight that a color keeps from one frame that the network sees to the next; more is steadier."""
    clean: int = 3
    """Frames before and after every second one that the network sees whose luma is averaged with its own, against grain."""
    ramp: int = 48
    """Frames over which a segment turns from the colors that the one before ended with to its own."""

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if self.every < 1 or self.ramp < 1 or self.clean < 0 or not 0 <= self.memory < 1:
            got = f"every {self.every}, memory {self.memory:g}, clean {self.clean}, ramp {self.ramp}"
            raise OptionError(f"steadiness is {got}: expected every and ramp 1 or more, clean 0 or more and memory in [0, 1)")


@dataclass(frozen=True)
class Carried:
    """State that passes from one segment of a scene to the next."""

    luma: Bytes
    """``(h, w)`` uint8: the last frame that was no blank, at half the network's scale."""
    chroma: Float
    """``(h, w, 2)`` float32: its colors."""
    weight: Float
    """``(h, w)`` float32: how much speaks for them."""
    points: tuple[Point, ...] = ()
    """Where the points are in that frame that hints of it or of earlier ones give a color."""

    def to_bytes(self) -> bytes:
        """Write all of it, for ``from_bytes``."""
        file = io.BytesIO()
        colors = np.array([point.color for point in self.points], dtype="U7")
        points = np.array([(point.x, point.y, point.away) for point in self.points], np.float64).reshape(-1, 3)
        for array in (self.luma, self.chroma, self.weight, points, colors):
            np.save(file, array, allow_pickle=False)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Carried:
        """Read what ``to_bytes`` wrote.

        Raises:
            OptionError: the bytes are damaged.
        """
        file = io.BytesIO(data)
        try:
            luma, chroma, weight, points, colors = (np.load(file, allow_pickle=False) for _ in range(5))
        except (ValueError, EOFError, OSError) as error:
            reason = f"what a segment left for the next cannot be read ({one_line(error)})"
            raise OptionError(f"{reason}; expected bytes of to_bytes: color the scene from its start") from error
        found = (Point(float(x), float(y), str(shade), int(away)) for (x, y, away), shade in zip(points, colors, strict=True))
        return cls(luma, chroma, weight, tuple(found))


def small(luma: Bytes, colorizer: Colorizer) -> Bytes:
    """Scale an upright ``(H, W)`` uint8 frame to the ``(h, w)`` uint8 that ``color_segment`` and ``Cuts`` take."""
    high, wide = colorizer.seen_size(luma.shape[0], luma.shape[1])
    return np.asarray(cv2.resize(luma, (wide, high), interpolation=cv2.INTER_AREA), np.uint8)


def color_segment(
    frames: Sequence[Bytes],
    shares: Sequence[float],
    colorizer: Colorizer,
    *,
    knobs: Steadiness,
    before: Carried | None,
    hints: Mapping[int, tuple[Point, ...]],
    later: tuple[Point, ...] = (),
) -> tuple[list[Float], Carried]:
    """Find steady colors for one segment of one scene.

    Args:
        frames: ``(h, w)`` uint8 luma of each frame, as ``small`` makes it.
        shares: of its color that each frame gets, in [0, 1], as ``SceneKind`` tells them.
        colorizer: how to color.
        knobs: how steady.
        before: what the segment before left, if it is of the same scene.
        hints: by index into ``frames``.
        later: where hints of later segments lie in the last frame that is a picture, as a ``Trail`` finds them.

    Returns:
        ``(2, h, w)`` float32 chroma of each frame at the network's own scale, zeros where its share is 0; and what the next
        segment takes as ``before``.

    Raises:
        OptionError: there are no frames, a hint names a frame or a point that is not there, or the model takes no hints.
    """
    if not frames or not set(hints) <= set(range(len(frames))):
        raise OptionError(f"a segment of {len(frames)} frames has hints at {sorted(hints)}: expected frames, and hints in them")
    halves = [half(frame) for frame in frames]
    shown = [index for index, share in enumerate(shares) if index in hints or share > 0]
    result = [np.zeros((2, *each.shape), np.float32) for each in halves]
    if not shown:
        nothing = np.zeros((*halves[-1].shape, 3), np.float32)
        return result, before or Carried(halves[-1], nothing[..., :2], nothing[..., 2])

    # What came before is one more frame at the path's head.
    head = [] if before is None else [before.luma]
    path = head + [halves[index] for index in shown]
    motion = Motion(*path[0].shape)
    links = [motion.links(*pair) for pair in pairwise(path)]
    places = {len(head) + shown.index(index): given for index, given in hints.items()}
    keys = sorted({*range(len(head), len(path), knobs.every), len(path) - 1, *places})
    known = track(places if before is None else {0: before.points, **places}, path, links)
    coming = track({len(path) - 1: later}, path, links)
    points = [nearest_last(pair[0] + pair[1]) for pair in zip(known, coming, strict=True)]
    seen = [frames[index] for index in shown]
    asked = {key: seen[key - len(head)] for key in keys}
    # Grain makes the network's answers dull, and without it they are bolder, at times wrongly: it sees both by turns.
    asked |= {key: clean(seen, links[len(head) :], key - len(head), reach=knobs.clean) for key in keys[::2]}
    fresh, size = _predict(colorizer, asked, points)

    on, back = [link for link, _ in links], [link for _, link in links]
    start = np.zeros_like(fresh[keys[0]]) if before is None else _weighed(before.chroma, before.weight)
    ahead = _pass(fresh, back, start, knobs=knobs)
    behind = _pass(fresh, on, np.zeros_like(start), knobs=knobs, reverse=True)
    colors = _smoothed([_color(one + two) for one, two in zip(ahead, behind, strict=True)], path, links)
    if before is not None:
        _lead_over(colors, back, before, knobs=knobs)
    for index, color in zip(shown, colors[len(head) :], strict=True):
        share = np.float32(1 if index in hints else shares[index])
        result[index] = share * np.stack(cv2.split(cv2.resize(color, size, interpolation=cv2.INTER_AREA)))
    return result, Carried(path[-1], colors[-1], (ahead[-1] + fresh[keys[-1]])[..., 2], known[-1])


def half(frame: Bytes) -> Bytes:
    """Halve a small frame, to the size at which motion is followed and colors are carried."""
    height, width = frame.shape
    return np.asarray(cv2.resize(frame, ((width + 1) // 2, (height + 1) // 2), interpolation=cv2.INTER_AREA), np.uint8)


def _predict(
    colorizer: Colorizer, frames: Mapping[int, Bytes], points: Sequence[tuple[Point, ...]]
) -> tuple[dict[int, Float], tuple[int, int]]:
    """Ask the network about some frames.

    Returns:
        ``(h, w, 3)`` at half the frames' size, chroma times its weight, and the weight; and the columns and rows of the
        network's own scale.
    """
    said, size = {}, (0, 0)
    contrast = {key: float(frame.std()) for key, frame in frames.items()}
    seen = {key: float((frame > BLACK).mean()) + LEAST for key, frame in frames.items()}
    most = max(*contrast.values(), PLAIN)
    for key, frame in frames.items():
        hints = tuple(point.hint for point in points[key])
        asked = Colorizer(colorizer.model, replace(colorizer.options, hints=hints)) if hints else colorizer
        chroma, confidence = asked.answer(frame)
        high, wide = half(frame).shape
        size = min(chroma.shape[2], wide), min(chroma.shape[1], high)
        color = np.dstack([cv2.resize(plane, (wide, high), interpolation=cv2.INTER_CUBIC) for plane in chroma])
        # A frame that is faded or flooded with light, or whose iris is not open yet, says less than the others of its scene.
        worth = (contrast[key] / most * seen[key] / max(seen.values())) ** 2
        weight = np.full((high, wide), max(worth, LEAST), np.float32)
        if confidence is not None:
            weight *= np.maximum(cv2.resize(confidence, (wide, high), interpolation=cv2.INTER_LINEAR), LEAST)
        said[key] = _weighed(color, weight)
    return said, size


def _weighed(color: Float, weight: Float) -> Float:
    return np.dstack([color * weight[..., None], weight])


def _color(state: Float) -> Float:
    return np.asarray(state[..., :2] / np.maximum(state[..., 2:], np.finfo(np.float32).tiny), np.float32)


def _pass(
    fresh: Mapping[int, Float], links: Sequence[Link], state: Float, *, knobs: Steadiness, reverse: bool = False
) -> list[Float]:
    """Carry colors along a path in one direction.

    Args:
        fresh: what the network says, by index into the path: ``(h, w, 3)``, chroma times its weight, and the weight.
        links: of each frame but the first to the one before; if reverse, of each but the last to the next.
        state: what comes into the path, as ``fresh``.
        knobs: how steady.
        reverse: from the last frame to the first.

    Returns:
        The state at each frame, in the path's order. What the network says there is in it only if reverse: the sum of both
        directions then holds it once at every frame.
    """
    count = len(links) + 1
    kept = knobs.memory ** (1 / knobs.every)
    result = []
    for step, index in enumerate(reversed(range(count)) if reverse else range(count)):
        if step:
            link = links[index if reverse else index - 1]
            state = sample(state, link.flow) * (np.maximum(link.trust, LEAST) * np.float32(kept))[..., None]
            state[..., :2] *= np.float32(link.exposure)
        here = state + fresh[index] if index in fresh else state
        result.append(here if reverse else state)
        state = here
    return result[::-1] if reverse else result


def _smoothed(colors: Sequence[Float], frames: Sequence[Bytes], links: Sequence[tuple[Link, Link]]) -> list[Float]:
    """Average the colors of each frame with those of the frames around it, where luma is alike along the motion.

    Where a flow is not trusted for one frame, what is carried from one side ends, and colors would switch.
    """
    lumas = [frame.astype(np.float32) for frame in frames]
    total = [color * np.float32(AROUND + 1) for color in colors]
    weights = [np.full(color.shape[:2], AROUND + 1, np.float32) for color in colors]
    for step in (1, -1):
        moved = list(zip(colors, lumas, strict=True))
        for far in range(1, AROUND + 1):
            for index in range(len(colors)) if step == -1 else reversed(range(len(colors))):
                if 0 <= index - step * far < len(colors):
                    link = links[index - 1][1] if step == 1 else links[index][0]
                    moved[index] = tuple(sample(plane, link.flow) for plane in moved[index - step])  # type: ignore[assignment]
                    color, luma = moved[index]
                    weight = np.exp(np.square(lumas[index] - luma) / np.float32(-2 * ALIKE**2)) * np.float32(AROUND + 1 - far)
                    total[index] = total[index] + color * weight[..., None]
                    weights[index] = weights[index] + weight
    return [color / weight[..., None] for color, weight in zip(total, weights, strict=True)]


def _lead_over(colors: list[Float], links: Sequence[Link], before: Carried, *, knobs: Steadiness) -> None:
    """Lead the first colors of a path over, from those that its first frame was given before."""
    color, share = before.chroma, before.weight / (before.weight + LEAST)
    for index in range(min(knobs.ramp + 1, len(colors))):
        if index:
            link = links[index - 1]
            color, share = sample(color, link.flow) * np.float32(link.exposure), sample(share, link.flow) * link.trust
        now = (share * np.float32(1 - index / (knobs.ramp + 1)))[..., None]
        colors[index] = colors[index] + (color - colors[index]) * now
