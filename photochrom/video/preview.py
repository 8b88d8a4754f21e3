"""Draw a contact sheet of a film without decoding all of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from photochrom.colorizer import Colorizer
from photochrom.errors import FilmError, OptionError
from photochrom.judge import judge_picture
from photochrom.sheet import lay_out
from photochrom.video import reading

LONGEST = 300
"""Frames that are decoded at most to get to a moment, and past blank ones."""


def sheet_of(source: Path, count: int, *, colorizer: Colorizer, height: int = 256, columns: int = 2) -> bytes:
    """Draw moments of a film, evenly spread, in grey and in color; where it is in color, in its own too.

    Args:
        source: the film.
        count: how many, 1 or more.
        colorizer: how to color.
        height: pixels of a picture.
        columns: moments beside each other.

    Returns:
        A JPEG file.

    Raises:
        OptionError: there are none to be drawn.
        FilmError: the film cannot be read.
    """
    if count < 1:
        raise OptionError(f"a preview of {count} moments is none: ask for 1 or more")
    return lay_out(moments(source, count), colorizer.paint, height=height, columns=columns)


def moments(source: Path, count: int) -> Iterator[NDArray[np.uint8]]:
    """Give frames from all over a film, upright, ``(H, W, 3)`` uint8 RGB; raises FilmError where it cannot be read."""
    traits = reading.examine(source)
    with reading.opened(source) as container:
        begin = container.start_time or 0
        for number in range(count):
            wanted = begin + int((container.duration or 0) * (number + 0.5) / count)
            if found := _frame(container, traits, wanted):
                yield reading.upright_frame(found, traits)
            elif number == 0:
                raise FilmError(f"{source}: no frame can be read; restore it from a good copy")


def _frame(container: av.container.InputContainer, traits: reading.Traits, wanted: int) -> av.VideoFrame | None:
    """Decode from the place before a moment up to it, and on where that is blank."""
    stream = reading.picture_stream(container, traits)
    container.seek(wanted)
    found = None
    for number, frame in enumerate(reading.decoded(container, stream, lambda _: None)):
        found = frame
        if frame.pts is None or (frame.pts * traits.time_base * av.time_base >= wanted and not _blank(frame)):
            break
        if number >= LONGEST:
            break
    return found


def _blank(frame: av.VideoFrame) -> bool:
    small = frame.reformat(width=128, height=max(1, 128 * frame.height // frame.width), format="gray").to_ndarray()
    return judge_picture(np.asarray(small, np.uint8), None).kind == "blank"
