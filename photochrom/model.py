"""Load a model: an ONNX file that carries its own card."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from photochrom.errors import ModelError, OptionError, one_line

Float = NDArray[np.float32]

CARD_KEY = "photochrom"
"""Name of the metadata entry of the ONNX file that holds the card, as JSON."""
CARD_FORMAT = 1
BUNDLED = "photochrom.onnx"


@dataclass(frozen=True)
class Card:
    """What a model says of itself."""

    name: str
    """Name of the model."""
    generator: str
    """Architecture, a key of ``training.generators.GENERATORS``."""
    size: int
    """Short side of the luma that the network was trained to see, in pixels."""
    stride: int
    """Height and width of the input must be multiples of this."""
    fixed: bool
    """Whether the network takes squares of ``size`` alone."""
    vividness: tuple[tuple[float, float], ...]
    """Temperature and chroma gain at vividness 0, 1 and 2; between them they are interpolated."""
    mean_chroma: tuple[float, float]
    """Mean Cb and Cr of the training photographs."""
    training: dict[str, Any]
    """Configuration, data, seed, commit, images seen, hours and versions."""


@final
class Model:
    """Predict chroma from small luma."""

    def __init__(self, data: bytes, *, source: str, threads: int = 0) -> None:
        """Open the bytes of an ONNX file.

        Args:
            data: the file's bytes.
            source: the file's name, for messages.
            threads: cores to compute on; 0 takes all.

        Raises:
            ModelError: if the file is damaged or carries no card of ours.
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # Idle threads would spin for their next work and take the processors from decoding, upsampling and other sessions.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
            metadata = self._session.get_modelmeta().custom_metadata_map
        except Exception as error:  # onnxruntime raises a dozen kinds, with no common base of its own
            reason = f"{one_line(error)}; expected a file of `photochrom export`"
            raise ModelError(f"cannot load the model '{source}': {reason}") from error
        self.card = _card(metadata, source)
        self._data = data

    @classmethod
    def load(cls, path: str | Path | None = None, *, threads: int = 0) -> Model:
        """Read a model from a file, or the one that comes with the package.

        Raises:
            ModelError: if there is no such file, or it is damaged or not one of ours.
        """
        if path is None:
            path = Path(__file__).parent / "weights" / BUNDLED
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            reason = f"{error.strerror}; expected a file of `photochrom export`"
            raise ModelError(f"cannot read the model '{path}': {reason}") from error
        return cls(data, source=str(path), threads=threads)

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the model file, as 64 hexadecimal digits."""
        return hashlib.sha256(self._data).hexdigest()

    def chroma(self, luma: Float, *, vividness: float = 1.0) -> Float:
        """Predict chroma.

        Args:
            luma: ``(N, 1, H, W)`` float32 in [0, 1], H and W multiples of ``card.stride``.
            vividness: from 0, the expected chroma, over 1, the default, to 2, the most vivid.

        Returns:
            ``(N, 2, h, w)`` float32 chroma in [-0.5, 0.5], h and w at the network's own scale.
        """
        temperature, gain = self.decoding(vividness)
        feeds = {"luma": np.ascontiguousarray(luma, dtype=np.float32), "temperature": np.array(temperature, np.float32)}
        feeds = {item.name: feeds[item.name] for item in self._session.get_inputs()}
        answer: Float = self._session.run(["chroma"], feeds)[0] * np.float32(gain)
        return answer.clip(-0.5, 0.5)

    def decoding(self, vividness: float) -> tuple[float, float]:
        """Give the temperature and the gain for a vividness in [0, 2]; raises OptionError outside."""
        rows = self.card.vividness
        if not 0 <= vividness <= len(rows) - 1:
            raise OptionError(f"vividness is {vividness:g}: expected 0 (most faithful) to {len(rows) - 1} (most vivid)")
        places = range(len(rows))
        temperature, gain = (float(np.interp(vividness, places, column)) for column in zip(*rows, strict=True))
        return temperature, gain


def _card(metadata: dict[str, str], source: str) -> Card:
    if CARD_KEY not in metadata:
        raise ModelError(f"'{source}' is an ONNX file, but not one of Photochrom's: expected a file of `photochrom export`")
    try:
        table = json.loads(metadata[CARD_KEY])
        if table.pop("format") != CARD_FORMAT:
            raise ModelError(f"'{source}' has a card of another format: expected {CARD_FORMAT}; update photochrom")
        table["vividness"] = tuple((float(t), float(g)) for t, g in table["vividness"])
        table["mean_chroma"] = tuple(table["mean_chroma"])
        card = Card(**table)
        if len(card.vividness) != 3 or len(card.mean_chroma) != 2 or card.size < 1 or card.stride < 1:
            raise ValueError("vividness has not three rows, mean_chroma not two numbers, or size or stride is not above 0")
        return card
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"the card of the model '{source}' is damaged: {one_line(error)}; export the model again") from error
