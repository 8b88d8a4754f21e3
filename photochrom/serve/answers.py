"""Compute what a session is asked for: colors, suggestions, confidence, variants, and files."""

from __future__ import annotations

import base64
import dataclasses
import io
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image
from pydantic import BaseModel

from photochrom import color
from photochrom.color import Bytes, Float
from photochrom.colorizer.colorizer import Colorizer
from photochrom.colorizer.file import Source
from photochrom.colorizer.upsample import shrink, upsample
from photochrom.colorizer.variants import variants
from photochrom.photo import convert
from photochrom.photo.photo import Photo
from photochrom.photo.target import format_of
from photochrom.serve.options import FileOptions, FormatName, Point, format_named
from photochrom.serve.problems import Problem
from photochrom.serve.service import Service
from photochrom.serve.sessions import Session, State

LOSSLESS_PIXELS = 1 << 22
"""Luma of so many pixels is sent as PNG; larger luma as JPEG, since that takes a fifth of the time and of the bytes."""
LUMA_QUALITY, PICTURE_QUALITY = 95, 90
PREVIEW_SIDE = 320
SUGGESTED = 8
"""Colors suggested for a point at most."""
OTHER = 0.1
"""Two colors whose chroma is nearer than this look the same in a list."""
DOUBTS = 3
"""Points that are named as those where a hint helps most."""


class Suggestion(BaseModel):
    """Name a color that is likely at a point."""

    color: str
    share: float
    """Of all colors of its kind at this point, from 0 to 1."""


class Doubt(BaseModel):
    """Name a point at which a hint helps."""

    x: int
    y: int
    confidence: float


class Variant(BaseModel):
    """Describe one of several plausible answers."""

    hints: list[Point]
    preview: str
    """A small JPEG as a data URL."""


def answer(service: Service, session: Session, state: State) -> tuple[Float, Float | None]:
    """Give the chroma at the network's scale, and its confidence, for a state."""
    return dataclasses.replace(session, state=state).colorizer(service.model).answer(session.luma)


def confidence(service: Service, session: Session) -> Float:
    """Give the ``(h, w)`` confidence at the network's scale; raises Problem if the model states none."""
    found = answer(service, session, session.state)[1]
    if found is None:
        raise Problem("invalid-options", f"the model '{service.model.card.name}' states no confidence")
    return found


def distribution(service: Service, session: Session) -> Float:
    """Give the ``(323, h, w)`` share of each chroma bin, computed once for each state."""
    state = session.state
    if session.distribution is None or session.distribution[0] != state:
        share = session.colorizer(service.model).look(Photo(luma=session.luma), share=True).share
        assert share is not None
        session.distribution = state, share
    return session.distribution[1]


def suggestions(service: Service, session: Session, x: int, y: int) -> list[Suggestion]:
    """List clearly different colors that are likely at a point, the likeliest first, as they look at its luma."""
    share = distribution(service, session)
    high, wide = session.luma.shape
    here = share[:, y * share.shape[1] // high, x * share.shape[2] // wide].astype(np.float64)
    gain = service.model.decoding(session.state.vividness)[1]
    bins, luma = color.bins(), np.float32(session.luma[y, x]) / 255
    found: list[Suggestion] = []
    while len(found) < SUGGESTED and here.max() > 0.002:
        chosen = int(here.argmax())
        near = np.square(bins - bins[chosen]).sum(1) < OTHER**2
        weight = np.where(near, here, 0)
        chroma = (weight @ bins / weight.sum()).astype(np.float32) * np.float32(gain)
        chroma = chroma * color.headroom(luma, *chroma, minimum=np.minimum, maximum=np.maximum)
        red, green, blue = color.join(np.full((1, 1), luma), chroma[:, None, None])[0, 0]
        found.append(Suggestion(color=f"#{red:02x}{green:02x}{blue:02x}", share=round(float(weight.sum()), 4)))
        here = np.where(near, 0, here)
    return sorted(found, key=lambda each: -each.share)


def doubts(found: Float, session: Session) -> list[Doubt]:
    """Find the points where the doubt, averaged over a quarter of the shorter side, is highest."""
    rows, columns = found.shape
    high, wide = session.luma.shape
    window = max(1, min(rows, columns) // 8)
    padded = np.pad(1 - found, window, mode="edge")
    doubt = np.lib.stride_tricks.sliding_window_view(padded, (2 * window + 1, 2 * window + 1)).mean((2, 3))
    down, across = np.mgrid[:rows, :columns]

    def clear(row: int, column: int) -> None:
        doubt[(down - row) ** 2 + (across - column) ** 2 < (2 * window + 1) ** 2] = -1

    for hint in session.state.hints:
        clear(hint.y * rows // high, hint.x * columns // wide)
    points: list[Doubt] = []
    while len(points) < DOUBTS and doubt.max() > 0:
        row, column = (int(place) for place in np.unravel_index(int(doubt.argmax()), doubt.shape))
        y, x = int((row + 0.5) * high / rows), int((column + 0.5) * wide / columns)
        points.append(Doubt(x=x, y=y, confidence=round(float(found[row, column]), 3)))
        clear(row, column)
    return points


def find_variants(service: Service, session: Session, count: int) -> list[Variant]:
    """Find clearly different answers, each with a small picture."""
    photo = Photo(luma=session.luma)
    answers = []
    for found in variants(session.colorizer(service.model), photo, count):
        small = base64.b64encode(painted(found.answer.low, session.luma, PREVIEW_SIDE)).decode()
        points = [Point(x=hint.x, y=hint.y, color=hint.color) for hint in found.hints]
        answers.append(Variant(hints=points, preview=f"data:image/jpeg;base64,{small}"))
    return answers


def painted(low: Float, luma: Bytes, side: int) -> bytes:
    """Color luma for the screen, as an sRGB JPEG no longer than a side."""
    small = scaled(luma, side)
    rgb = convert.to_array(Photo(luma=small), *upsample(low, small, step=1))
    return saved(rgb, "JPEG", quality=PICTURE_QUALITY)


def result_file(service: Service, session: Session, file: FileOptions, format: FormatName | None) -> bytes:
    """Write the file that the command would write for the session's state."""
    options = session.options(max_pixels=service.settings.max_pixels)
    options = dataclasses.replace(options, format=format_named(format), quality=file.quality)
    source, colorizer = Source.open(Path("photograph"), options, contents=session.contents), Colorizer(service.model, options)
    options.output.check_fit(format_of(source.photo, options.format))
    return source.encoded(colorizer.colorize(source.photo), colorizer, recorded_name=session.name)


def scaled(luma: Bytes, side: int) -> Bytes:
    """Make luma no longer than a side."""
    factor = side / max(luma.shape)
    if factor >= 1:
        return luma
    high, wide = (max(1, round(length * factor)) for length in luma.shape)
    return np.rint(shrink(luma, high, wide)).astype(np.uint8)


def grey(luma: Bytes) -> tuple[bytes, str]:
    """Write luma as a file, and give its media type."""
    if luma.size <= LOSSLESS_PIXELS:
        return saved(luma, "PNG"), "image/png"
    return saved(luma, "JPEG", quality=LUMA_QUALITY), "image/jpeg"


def saved(samples: Any, format: Literal["PNG", "JPEG"], *, quality: int = 0) -> bytes:
    """Write samples as a file in memory."""
    buffer = io.BytesIO()
    options: dict[str, Any] = {"quality": quality} if format == "JPEG" else {"compress_level": 1}
    Image.fromarray(samples).save(buffer, format, **options)
    return buffer.getvalue()
