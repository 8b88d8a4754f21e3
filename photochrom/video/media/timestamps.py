"""Tell when each frame of a film is shown."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, final

import av
from av.packet import Packet


@final
class Timing:
    """Tell when each frame of a film is shown.

    AVI holds no such times: what FFmpeg makes up for them is out of order where frames are decoded out of turn. There a frame
    is shown when the packet came that let it out, less by how much the first came late.
    """

    def __init__(self, container: av.container.InputContainer, index: int, time_base: Fraction, rate: Fraction) -> None:
        """Take a film, its picture's number, the unit of its time stamps, and the frames a second."""
        self._counted = container.format.name == "avi"
        self._begin = container.streams[index].start_time or 0
        self._step = max(1, round(1 / (rate * time_base)))
        self._late: int | None = None
        self._last: int | None = None

    def of(self, frame: av.VideoFrame) -> int | None:
        """Give the time stamp of the next frame in that unit; none where it is not later than the last."""
        after = 0 if self._last is None else self._last + self._step
        time = frame.pts
        if self._counted and self._late is None and frame.dts is not None:
            self._late = frame.dts - self._begin
        if self._counted and self._late is not None:
            time = after if frame.dts is None else max(frame.dts - self._late, after)
        elif time is None:
            time = after
        if self._last is not None and time <= self._last:
            return None
        self._last = time
        return time


def clock(seconds: float) -> str:
    """Write a time as hours, minutes and seconds."""
    minutes, rest = divmod(max(seconds, 0.0), 60)
    return f"{int(minutes) // 60}:{int(minutes) % 60:02}:{rest:04.1f}"


def packet_time(packet: Packet[Any]) -> Fraction | None:
    """Give when a packet is decoded, in seconds."""
    at = packet.dts if packet.dts is not None else packet.pts
    return None if at is None else at * Fraction(packet.time_base)
