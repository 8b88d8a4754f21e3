"""Keep photographs in memory while a person corrects them."""

from __future__ import annotations

import secrets
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import final

import numpy as np

from photochrom.color import Bytes, Float
from photochrom.colorizer.colorizer import Colorizer, Options
from photochrom.colorizer.hints import Hint
from photochrom.colorizer.model import Model
from photochrom.colorizer.upsample import fit
from photochrom.photo import color_management, convert
from photochrom.photo.formats import Format
from photochrom.photo.planes import upright
from photochrom.photo.target import decide
from photochrom.photo.toning import Judgement, judge
from photochrom.serve.problems import Problem

MAGIC = b"PCM1"
MIDDLE = 128.0
"""The model's offset is sent for this luma: half floats are finest near 0."""


@dataclass(frozen=True)
class State:
    """Say what a person has asked for so far."""

    hints: tuple[Hint, ...] = ()
    vividness: float = 1.0
    palette: tuple[float, ...] | None = None


@dataclass(eq=False)
class Session:
    """Hold a photograph while a person corrects it."""

    contents: bytes
    """Its file."""
    name: str
    """Of its file, without folders."""
    luma: Bytes
    """``(H, W)``, upright, as sRGB: what the network and the page see."""
    format: Format
    """Of the result, unless another one is asked for."""
    bits: int
    judgement: Judgement
    notes: tuple[str, ...]
    """What the result lacks of the source."""
    state: State = State()
    distribution: tuple[State, Float] | None = None
    """The last one that was computed, and what for."""
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    used: float = 0.0
    """Time of the last use."""

    @property
    def bytes(self) -> int:
        """Count the bytes that the session holds: the file, the luma, and at most 4 MiB of what was computed."""
        return len(self.contents) + self.luma.nbytes + (4 << 20)

    def options(self, *, max_pixels: int) -> Options:
        """Give the options that lead to what the page shows."""
        return Options(
            vividness=self.state.vividness,
            on_color="recolor" if self.judgement.kind == "color" else "skip",
            max_pixels=max_pixels,
            hints=self.state.hints,
            palette=self.state.palette,
        )

    def colorizer(self, model: Model) -> Colorizer:
        """Give a colorizer for the upright luma."""
        return Colorizer(model, self.options(max_pixels=max(1, self.luma.size)))


def opened(contents: bytes, name: str, *, max_pixels: int) -> Session:
    """Read a photograph for a session.

    Raises:
        PhotoError: it cannot be read, or is too large.
    """
    photo = convert.read(contents, max_pixels=max_pixels)
    luma = np.ascontiguousarray(color_management.as_srgb(upright(photo.shown, photo.orientation), photo.icc))
    target = decide(photo)
    assert target.format is not None
    return Session(contents, name, luma, target.format, photo.bits, judge(photo), target.notes)


def packed_model(low: Float, luma: Bytes) -> bytes:
    """Pack what a shader needs to color a photograph by its luma: the model of the upsampling.

    Args:
        low: ``(2, h, w)`` chroma at the network's scale, upright.
        luma: ``(H, W)`` uint8, upright.

    Returns:
        ``PCM1``, height and width as little-endian uint32, then for blue and for red ``height * width`` times four half floats:
        offset at luma 128, slope, lower and upper bound of the color's excess over luma, in levels of 255.
    """
    model = fit(low, luma)
    model[:, 0] += MIDDLE * model[:, 1]
    halves = np.moveaxis(model, 1, -1).astype("<f2")
    return MAGIC + struct.pack("<II", *model.shape[2:]) + halves.tobytes()


@final
class Store:
    """Hold the open sessions, within a budget of bytes and time."""

    def __init__(self, most: int, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Make an empty store.

        Args:
            most: bytes that all sessions hold together; the ones unused for longest go first.
            seconds: a session that is not used for so long is dropped.
            clock: gives the time in seconds.
        """
        self._most, self._seconds, self._clock = most, seconds, clock
        self._sessions: dict[str, Session] = {}
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._sessions)

    def add(self, session: Session) -> None:
        """Keep a session; raises Problem if it is larger than all may be together."""
        self.sweep()
        if session.bytes > self._most:
            raise Problem("body-too-large", f"the photograph needs {session.bytes:,} bytes of memory, over {self._most:,}")
        while self.bytes + session.bytes > self._most:
            self.drop(next(iter(self._sessions)))
        session.used = self._clock()
        self._sessions[session.id] = session
        self.bytes += session.bytes

    def get(self, identity: str) -> Session:
        """Find a session and note that it is used; raises Problem if there is none."""
        self.sweep()
        session = self._sessions.pop(identity, None)
        if session is None:
            raise Problem("no-session", "there is no such session, or it was not used for too long; send the photograph again")
        session.used = self._clock()
        self._sessions[identity] = session  # to the end: the first one is unused for longest
        return session

    def drop(self, identity: str) -> bool:
        """Forget a session; tells whether there was one."""
        session = self._sessions.pop(identity, None)
        if session is not None:
            self.bytes -= session.bytes
        return session is not None

    def sweep(self) -> None:
        """Forget the sessions whose time is over."""
        now = self._clock()
        for identity, session in list(self._sessions.items()):
            if now - session.used < self._seconds:
                break
            self.drop(identity)
