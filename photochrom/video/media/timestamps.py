"""Compute when each frame of a film is shown."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, final

import av
from av.packet import Packet

BACK_S = 0.5
"""Seconds that a clock jumps back at least where two recordings were joined."""


@final
class Timing:
    """Compute when each frame of a film is shown.

    AVI stores no such times. What FFmpeg makes up for them is out of order where frames are decoded out of turn. There a frame
    is shown when the packet came that let it out, less by how much the first came late.

    Where the clock jumps back, as in joined recordings, what follows is moved so that it goes on.
    """

    def __init__(self, container: av.container.InputContainer, index: int, time_base: Fraction, rate: Fraction) -> None:
        """Start with a film, the index of its picture, the unit of its time stamps in seconds, and the frames a second."""
        self.shifts: list[Fraction] = []
        """For each jump back, the seconds by which all that follows was moved."""
        self.length = 0
        """How long the last frame is shown, in that unit; 0 where that is not stated."""
        self._counted = container.format.name == "avi"
        self._begin = container.streams[index].start_time or 0
        self._unit = time_base
        self._scale = Fraction(container.streams[index].time_base or time_base) / time_base
        self._step = max(1, round(1 / (rate * time_base)))
        self._shift = 0
        self._late: int | None = None
        self._last: int | None = None

    def of(self, frame: av.VideoFrame) -> int | None:
        """Return the time stamp of the next frame in that unit; none where it is not later than the last."""
        after = 0 if self._last is None else self._last + (self._step if self._counted else self.length or self._step)
        if self._counted and self._late is None and frame.dts is not None:
            self._late = frame.dts - self._begin
        if self._counted and self._late is not None:
            time = after if frame.dts is None else max(frame.dts - self._late, after)
        elif frame.pts is None:
            time = after
        else:
            time = frame.pts + self._shift
            if self._last is not None and (self._last - time) * self._unit > BACK_S:
                self._shift += after - time
                self.shifts.append(self._shift * self._unit)
                time = after
        if self._last is not None and time <= self._last:
            return None
        self._last, self.length = time, round((frame.duration or 0) * self._scale)
        return time

    def of_packet(self, packet: Packet[Any]) -> int | None:
        """Return the time stamp of an empty packet, which repeats the frame before it; none where it has none."""
        if self._counted:
            return None if packet.dts is None else packet.dts - (self._late or 0)
        return None if packet.pts is None else packet.pts + self._shift


def clock(seconds: float) -> str:
    """Return a time as hours, minutes and seconds."""
    minutes, rest = divmod(max(seconds, 0.0), 60)
    return f"{int(minutes) // 60}:{int(minutes) % 60:02}:{rest:04.1f}"


def packet_time(packet: Packet[Any]) -> Fraction | None:
    """Return when a packet is decoded, in seconds; none where it does not say."""
    at = packet.dts if packet.dts is not None else packet.pts
    return None if at is None else at * Fraction(packet.time_base)
