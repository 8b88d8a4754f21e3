"""Move IPTC's records between JPEG, where they lie in a block of Photoshop's, and TIFF (IPTC IIM 4.2)."""

from __future__ import annotations

import struct

HEAD = b"Photoshop 3.0\0"
RECORDS = 0x0404
"""The number of the image resource that holds IPTC's records."""


def unwrap(payload: bytes) -> bytes | None:
    """Find the records in the payload of a JPEG's APP13; None where it holds none."""
    place = len(HEAD)
    while payload.startswith(HEAD) and payload[place : place + 4] == b"8BIM" and place + 12 <= len(payload):
        (number,) = struct.unpack_from(">H", payload, place + 4)
        named = place + 6 + (payload[place + 6] + 2) // 2 * 2  # a name, with its length, fills an even number of bytes
        if named + 4 > len(payload):
            break
        (size,) = struct.unpack_from(">I", payload, named)
        if number == RECORDS:
            return payload[named + 4 : named + 4 + size] or None
        place = named + 4 + size + size % 2
    return None


def wrap(records: bytes) -> bytes:
    """Make the payload of an APP13 that holds nothing but the records."""
    return HEAD + b"8BIM" + struct.pack(">HHI", RECORDS, 0, len(records)) + records + b"\0" * (len(records) % 2)
