"""Decide for a whole scene whether it is a picture or a title, so that color fades in and out and never switches.

``kind_of`` sees one frame. A pan that leaves a dark room, or a plane in a white sky, looks like a title for some frames. Such
frames are found by optical flow in the frames before them, and a scene that began as a picture stays one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import cv2
import numpy as np

from photochrom.color import Bytes
from photochrom.video.temporal.frame_kind import Kind
from photochrom.video.temporal.optical_flow import Motion

FIRST = 24
"""Frames of a scene, blank ones not counted, that decide its kind; fewer where the first piece of the scene has fewer."""
TITLES = 0.9
"""Share of these frames that are titles in a scene of titles."""
RUN = 12
"""Frames of the other kind, none of them found in the scene, after which the kind of the scene changes."""
PATIENCE = 72
"""Frames that look like a picture after which a scene that began as a title is a picture, even if they are found in it."""
AGE = 12
"""Frames after which a frame that is found takes the place of the one that frames are looked for in."""
FOUND = 0.35
"""Mean trust of the flow, weighted by the gradient of luma, from which a frame is found in another."""
FADE = 36
"""Frames over which color fades in or out where the kind of a scene changes."""
DARKEST, STEP = 24, 12
"""Mean luma from which color shows in a blank frame, and by how much it may differ from the last frame that got color."""


@final
class SceneKind:
    """Decide, piece by piece, how much of its color each frame gets."""

    def __init__(self) -> None:
        self._kind: Kind | None = None
        self._share = self._mean = 0.0
        self._known: Bytes | None = None
        self._age = self._run = self._strangers = 0

    def shares(self, frames: Sequence[Bytes], kinds: Sequence[Kind], *, begins: bool) -> list[float]:
        """Take the next piece of a film.

        Args:
            frames: ``(h, w)`` uint8 luma at half the network's scale.
            kinds: of each frame, as ``kind_of`` tells them.
            begins: whether a scene begins with the piece.

        Returns:
            For each frame, the share in [0, 1] of its color that it gets: 0 in titles, in black frames and in flashes.
        """
        if begins:
            self._kind = None
        result = []
        for index, (frame, kind) in enumerate(zip(frames, kinds, strict=True)):
            mean, share = float(frame.mean()), self._share
            if self._kind is None:
                self._share = share = 0.0
                if kind != "blank":
                    self._become(_first_kind(frames[index:], kinds[index:]), frame)
                    self._share = share = float(self._kind == "picture")
            elif kind == "blank":
                # An empty sky goes on with the scene's color. Where luma jumps, as in a flash, color may.
                share *= mean >= DARKEST and abs(mean - self._mean) < STEP
            else:
                self._follow(frame, kind)
                step = 1 / FADE if self._kind == "picture" else -1 / FADE
                self._share = share = min(max(share + step, 0.0), 1.0)
            self._mean = mean if share else self._mean
            result.append(share)
        return result

    def _become(self, kind: Kind, frame: Bytes) -> None:
        self._kind, self._known = kind, frame
        self._age = self._run = self._strangers = 0

    def _follow(self, frame: Bytes, kind: Kind) -> None:
        """Change the kind of the scene after a long run of frames of the other kind."""
        assert self._known is not None
        self._age += 1
        other = kind != self._kind
        found = not other or _found(frame, self._known)
        self._run = self._run + 1 if other else 0
        self._strangers = 0 if found else self._strangers + 1
        if self._strangers >= RUN or (kind == "picture" and self._run >= PATIENCE):
            self._become(kind, frame)
        elif found and self._age >= AGE:
            self._known, self._age = frame, 0


def _first_kind(frames: Sequence[Bytes], kinds: Sequence[Kind]) -> Kind:
    """Decide the kind of a scene by its first frames; those that are only half faded in do not count."""
    seen = [(float(frame.std()), kind) for frame, kind in zip(frames, kinds, strict=True) if kind != "blank"][:FIRST]
    most = max(contrast for contrast, _ in seen)
    clear = [kind for contrast, kind in seen if contrast >= most / 2]
    return "title" if clear.count("title") >= TITLES * len(clear) else "picture"


def _found(frame: Bytes, known: Bytes) -> bool:
    """Return whether the edges of a frame are found in another one."""
    link, _ = Motion(*frame.shape).links(frame, known)
    luma = frame.astype(np.float32)
    weight = np.hypot(cv2.Sobel(luma, cv2.CV_32F, 1, 0), cv2.Sobel(luma, cv2.CV_32F, 0, 1))
    return float(np.vdot(weight, link.trust)) >= FOUND * float(weight.sum())
