"""Find out whether a film is cut off."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av

from photochrom.video.media.probe import Traits, opened
from photochrom.video.media.timestamps import packet_time

STATED = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "flv"})
"""Sources whose head states their length."""
SHORT_S = 1.0
"""A film that ends so much before its time is cut off."""

PACKETS = {188: 0, 192: 4, 204: 0}
"""Bytes of a packet of a transport stream, and where in it ``SYNC`` is."""
SYNC = 0x47


def ends(source: Path, traits: Traits, reached: Fraction) -> str | None:
    """Return a sentence if a film is cut off: it ends well before its head says, or within a packet.

    Args:
        source: the film.
        traits: of it.
        reached: the end of its last frame, in seconds from 0.
    """
    with opened(source) as container:
        if container.format.name == "mpegts" and _torn(source):
            return "is cut off: its last transport packet is not whole"
        if container.format.name == "mpeg":
            return "is cut off: its last packet is not whole" if _torn_packet(source) else None
        if traits.seconds is None or container.format.name not in STATED:
            return None
        begin = Fraction(container.start_time or 0, av.time_base)
        for packet in container.demux():
            at = packet_time(packet)
            if packet.size and at is not None:
                reached = max(reached, at + (packet.duration or 0) * Fraction(packet.time_base))
        reached -= begin
    if reached >= traits.seconds - SHORT_S and reached >= traits.seconds * 0.9:
        return None
    return f"is cut off: it should last {traits.seconds:.1f} s, and ends after {float(reached):.1f} s"


def _torn(source: Path) -> bool:
    """Return whether a transport stream ends within a packet; False if its first packets are not whole."""
    with source.open("rb") as file:
        head = file.read(4 * max(PACKETS))
    for length, mark in PACKETS.items():
        marks = head[mark : 4 * length : length]
        if len(marks) == 4 and set(marks) == {SYNC}:
            return source.stat().st_size % length != 0
    return False


def _torn_packet(source: Path) -> bool:
    """Return whether a program stream ends within the content of a packet."""
    with opened(source, parsed=False) as container:
        return any(packet.size and packet.is_corrupt for packet in container.demux())
