"""Open ONNX files with ONNX Runtime, and ask guests."""

from __future__ import annotations

from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import numpy as np

from photochrom.color import Float
from photochrom.colorizer.guests import convert
from photochrom.colorizer.guests.spec import Guest
from photochrom.errors import ModelError, one_line

OURS = "a file of `photochrom export` or `photochrom adopt`"


def mapped(path: Path, *, expected: str = OURS) -> mmap:
    """Map a model's file into memory; raises ModelError where it cannot be read."""
    try:
        with path.open("rb") as file:
            return mmap(file.fileno(), 0, access=ACCESS_READ)
    except (OSError, ValueError) as error:  # ValueError: the file is empty
        reason = getattr(error, "strerror", None) or "it is empty"
        raise ModelError(f"cannot read the model '{path}': {reason}; expected {expected}") from error


def open_session(model: bytes | Path, source: str, *, threads: int = 0, expected: str = OURS) -> Any:
    """Open an ONNX file with ONNX Runtime; ``source`` names it in the ModelError that is raised where that cannot be."""
    import onnxruntime

    onnxruntime.disable_telemetry_events()  # where somebody loaded it before this package
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Idle threads would spin for their next work and take the processors from decoding, upsampling and other sessions.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        content = model if isinstance(model, bytes) else str(model)
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises a dozen kinds, with no common base of its own
        reason = f"{one_line(error)}; expected {expected}"
        raise ModelError(f"cannot load the model '{source}': {reason}") from error


def answered(session: Any, guest: Guest, luma: Float, *, hints: Float | None = None, name: str) -> Float:
    """Ask a guest as ``ask`` does; raises ModelError too where the answer is not what its card says."""
    answer, expected = ask(session, guest, luma, hints), convert.channels(guest)
    fits = answer.ndim == 3 and answer.shape[0] in expected
    if not fits or not np.isfinite(answer).all():
        got = "numbers that are not finite" if fits else f"an array of shape {answer.shape}"
        reason = f"the model '{name}' answered with {got}: expected numbers in {' or '.join(map(str, expected))} planes"
        raise ModelError(f"{reason}; check its card (docs/models.md), or take another model")
    return answer


def ask(session: Any, guest: Guest, luma: Float, hints: Float | None = None) -> Float:
    """Run a guest's network on ``(H, W)`` luma in [0, 1] and ``(3, H, W)`` hints.

    Returns:
        Its answer as it is, without its batch of 1.

    Raises:
        ModelError: ONNX Runtime refuses the input, as where the size is wrong.
    """
    import onnxruntime

    feeds = {guest.image: convert.shown(guest, luma)}
    if guest.hint_ab:
        feeds |= dict(zip((guest.hint_ab, guest.hint_mask), convert.shown_hints(guest, hints, luma), strict=True))
    half = {item.name for item in session.get_inputs() if item.type == "tensor(float16)"}
    # What the network works in is given back after each run: a large one would hold gigabytes between photographs.
    options = onnxruntime.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    try:
        (found,) = session.run(
            [guest.answer], {name: feed.astype(np.float16) if name in half else feed for name, feed in feeds.items()}, options
        )
    except Exception as error:  # as in open_session
        raise ModelError(f"the model cannot be run on {luma.shape[1]} x {luma.shape[0]} pixels: {one_line(error)}") from error
    answer: Float = np.asarray(found, np.float32)
    return answer[0] if answer.ndim == 4 else answer


def check_names(session: Any, guest: Guest, source: str) -> None:
    """Refuse a card that names other inputs or outputs than the graph has."""
    named = {name for name in (guest.image, guest.hint_ab, guest.hint_mask) if name}
    inputs, outputs = ([item.name for item in items] for items in (session.get_inputs(), session.get_outputs()))
    if named != set(inputs) or guest.answer not in outputs:
        ours = f"{', '.join(sorted(named))} and {guest.answer}"
        raise ModelError(
            f"the card of the model '{source}' names {ours}, and the graph takes {', '.join(inputs)} and gives "
            f"{', '.join(outputs)}: adopt the model again"
        )
