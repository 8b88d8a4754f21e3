"""Read a generator's weights back from the model file that ships, so that a training can start from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor

from photochrom.colorizer.model import Model
from photochrom.errors import ModelError, TrainingError
from photochrom.training.networks.generators import BinGenerator, Generator
from photochrom.training.networks.layers import InvertedResidual

LEAST_SCALE = 1e-3
"""A batch norm that scales a channel by less than this is taken to scale it by this, since weights are divided by it."""


def unfold(generator: Generator, path: Path) -> dict[str, Any]:
    """Load the weights of a file of ``photochrom export`` into a generator of the same form, in place.

    An export folds the encoder's batch norm into its convolutions. Here it is taken out again: the norms keep the statistics
    and scales that the generator has, and weights and offsets become those with which it answers as the file does, up to the
    float16 in which a file stores weights.

    Args:
        generator: with an encoder whose norms have been measured (``setup.calibrate_norms``).
        path: the ONNX file.

    Returns:
        What the file's card says of its training.

    Raises:
        TrainingError: if the file is no model of ours, or one of another generator.
    """
    try:
        data = path.read_bytes()
        card = Model(data, source=str(path)).card
    except (OSError, ModelError) as error:
        raise TrainingError(f"cannot start from '{path}': {error}") from error
    found = {
        tensor.name.removesuffix(".half").removeprefix("generator."): torch.from_numpy(
            onnx.numpy_helper.to_array(tensor).astype("float32")
        )
        for tensor in onnx.load_from_string(data).graph.initializer
    }
    # Of this number the exporter keeps only the magnitude; nothing else of it is used.
    found["hint_spread.nearness"] = found.get("abs_1", torch.tensor(2.0))
    state = generator.state_dict()
    if isinstance(generator, BinGenerator):
        for convolution, norm in _pairs(generator):
            _take_out(found, state, convolution, norm)
    # A file without self-attention starts a generator with it: new blocks change nothing.
    added = not any(name.startswith("attention.") for name in found)
    wanted = {name for name, _ in generator.named_parameters() if not (added and name.startswith("attention."))}
    missing = sorted(name for name in wanted if name not in found or found[name].shape != state[name].shape)
    if missing:
        form = f"a generator of another form, without '{missing[0]}'"
        raise TrainingError(f"'{path}' holds {form}: expected one like the run's, or leave --init out")
    if lost := sorted(name for name in found if name.startswith("attention.") and name not in state):
        blocks = len({name.split(".")[2] for name in lost})
        raise TrainingError(f"'{path}' holds self-attention: expected a run with at least attention = {blocks}")
    generator.load_state_dict({name: found[name] for name in wanted}, strict=False)
    return card.training


def _pairs(generator: BinGenerator) -> list[tuple[str, str]]:
    """List the encoder's convolutions with the norms behind them, by name."""
    pairs = [("encoder.stem", "encoder.stem_norm")]
    for index, block in enumerate(generator.encoder.blocks):
        assert isinstance(block, InvertedResidual)
        layers = ["expand", "depth", "project"] if block.expands else ["depth", "project"]
        pairs += [(f"encoder.blocks.{index}.{layer}", f"encoder.blocks.{index}.{layer}_norm") for layer in layers]
    return pairs


def _take_out(found: dict[str, Tensor], state: dict[str, Tensor], convolution: str, norm: str) -> None:
    """Turn one folded convolution of a file into a plain one and a norm with the statistics of ``state``."""
    if f"{convolution}.weight" not in found or f"{convolution}.bias" not in found:
        return
    gain, mean, variance = (state[f"{norm}.{part}"] for part in ("weight", "running_mean", "running_var"))
    deviation = (variance + 1e-3).sqrt()
    gain = torch.where(gain.abs() < LEAST_SCALE * deviation, LEAST_SCALE * deviation, gain)
    scale = gain / deviation
    found[f"{convolution}.weight"] = found[f"{convolution}.weight"] / scale[:, None, None, None]
    found[f"{norm}.weight"] = gain
    found[f"{norm}.bias"] = found.pop(f"{convolution}.bias") + mean * scale
