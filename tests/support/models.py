"""Make small model files whose answers are known, and run the command line on them."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import onnx
import pytest

from photochrom import color
from photochrom.cli import main
from photochrom.color import BINS
from photochrom.colorizer.model import CARD_FORMAT, CARD_KEY, Card

CARD = Card(
    name="small",
    generator="photochrom",
    size=64,
    stride=32,
    fixed=False,
    vividness=((1.0, 1.0), (0.5, 1.5), (0.25, 3.0)),
    mean_chroma=(-0.01, 0.02),
    training={"seed": 0, "data": {"sets": ["none"]}},
)


def table(**changes: Any) -> dict[str, Any]:
    """Give the card as it lies in the file, changed; a change to None takes an entry away."""
    found = dataclasses.asdict(CARD) | {"format": CARD_FORMAT} | changes
    return {key: value for key, value in found.items() if value is not None}


def content(card: str | None, *, takes_temperature: bool = True) -> bytes:
    """Make a network whose chroma is half of each quarter's mean luma, times the temperature."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    names = ["luma", "temperature"] if takes_temperature else ["luma"]
    inputs = [helper.make_tensor_value_info("luma", kind, [None, 1, None, None])]
    inputs += [helper.make_tensor_value_info("temperature", kind, [])] if takes_temperature else []
    nodes = [
        helper.make_node("AveragePool", ["luma"], ["mean"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Concat", ["mean", "mean"], ["both"], axis=1),
        helper.make_node("Mul", ["both", "half"], ["small"]),
        helper.make_node(*(("Mul", ["small", "temperature"]) if takes_temperature else ("Identity", ["small"])), ["chroma"]),
    ]
    half = helper.make_tensor("half", kind, [], [0.5])
    output = helper.make_tensor_value_info("chroma", kind, [None, 2, None, None])
    graph = helper.make_graph(nodes, ",".join(names), inputs, [output], [half])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if card is not None:
        helper.set_model_props(made, {CARD_KEY: card})
    serialized: bytes = made.SerializeToString()
    return serialized


POINTER = Card(
    name="pointer",
    generator="photochrom",
    size=64,
    stride=32,
    fixed=False,
    vividness=((1.0, 1.0), (0.6, 1.5), (0.6, 2.0)),
    mean_chroma=(-0.01, 0.02),
    training={},
    hints=True,
    palettes=True,
    confidence=(((0.0, 0.2), (1.0, 0.8)), ((0.0, 0.1), (1.0, 0.6)), ((0.0, 0.0), (1.0, 0.5))),
)


def pointer(card: Card = POINTER) -> bytes:
    """Make a network whose chroma is the mean hint of each cell plus the palette's mean, and whose peak is the mean luma."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    shapes = {"luma": [None, 1, None, None], "temperature": [], "hints": [None, 3, None, None], "palette": [None, BINS]}
    pool = {"kernel_shape": [4, 4], "strides": [4, 4]}
    nodes = [
        helper.make_node("Split", ["hints"], ["colors", "mask"], axis=1),
        helper.make_node("AveragePool", ["colors"], ["pooled"], **pool),
        helper.make_node("MatMul", ["palette", "bins"], ["mean"]),
        helper.make_node("Reshape", ["mean", "plane"], ["tint"]),
        helper.make_node("Add", ["pooled", "tint"], ["chroma"]),
        helper.make_node("AveragePool", ["luma"], ["peak"], **pool),
    ]
    nodes[0].input.append("parts")
    fixed = [
        onnx.numpy_helper.from_array(np.array([2, 1]), "parts"),
        onnx.numpy_helper.from_array(color.bins(), "bins"),
        onnx.numpy_helper.from_array(np.array([-1, 2, 1, 1]), "plane"),
    ]
    inputs = [helper.make_tensor_value_info(name, kind, shape) for name, shape in shapes.items()]
    outputs = [helper.make_tensor_value_info(name, kind, [None] * 4) for name in ("chroma", "peak")]
    graph = helper.make_graph(nodes, "pointer", inputs, outputs, fixed)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(made, {CARD_KEY: json.dumps(dataclasses.asdict(card) | {"format": CARD_FORMAT})})
    content: bytes = made.SerializeToString()
    return content


def run(*arguments: str) -> object:
    with pytest.raises(SystemExit) as left:
        main(list(arguments))
    return left.value.code
