"""Make small networks with the signatures of the colorizers that people have, whose answers are known in closed form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import skimage.color
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from photochrom.colorizer.guests.kinds import IMAGENET_DEVIATION, IMAGENET_MEAN, POINTS

FLOAT, HALF = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16
Planes = NDArray[Any]
Shape = list[int | str | None]

A, B = (30.0, -5.0), (-20.0, 25.0)
"""Slope over L / 100 and offset of the answer's a and b."""
RED, BLUE = 0.08, -0.06
"""What a picture's red and blue differ from the grey shown."""
WARM, COOL = POINTS.index((20.0, 30.0)), POINTS.index((0.0, -20.0))
"""The two bins that an answer of bins is made of."""


@dataclass(frozen=True)
class Made:
    """A network, and the answer that its authors would show."""

    content: bytes
    kind: str
    ab: Callable[[Planes], Planes] | None = None
    """a and b for luma in [0, 1]; None where the answer is a picture."""

    def rgb(self, luma: Planes) -> Planes:
        """Give the sRGB picture in [0, 1] for ``(...)`` luma in [0, 1], ``(..., 3)``, computed by scikit-image."""
        if self.ab is None:
            return np.stack([luma + RED, luma, luma + BLUE], -1).clip(0, 1)
        found: Planes = skimage.color.lab2rgb(np.stack([100 * unit_lightness(luma), *self.ab(luma)], -1))
        return found.clip(0, 1)

    def chroma(self, luma: Planes) -> Planes:
        """Give its Cb and Cr, ``(2, ...)``, by ITU-R BT.601 with full range."""
        red, green, blue = np.moveaxis(self.rgb(luma), -1, 0)
        own = 0.299 * red + 0.587 * green + 0.114 * blue
        return np.stack([(blue - own) / 1.772, (red - own) / 1.402])


def unit_lightness(luma: Planes) -> Planes:
    """L / 100 of a grey, by scikit-image."""
    found: Planes = skimage.color.rgb2lab(np.stack([luma] * 3, -1))[..., 0] / 100
    return found


def linear(unit: Planes) -> Planes:
    return np.stack([A[0] * unit + A[1], B[0] * unit + B[1]])


def of_lightness(luma: Planes) -> Planes:
    return linear(unit_lightness(luma))


def of_bins(luma: Planes) -> Planes:
    share = 1 / (1 + np.exp(-4 * (unit_lightness(luma) - 0.5)))
    return np.stack([share * point + (1 - share) * other for point, other in zip(POINTS[WARM], POINTS[COOL], strict=True)])


def graph(
    nodes: list[onnx.NodeProto],
    constants: dict[str, Planes],
    *,
    inputs: dict[str, Shape],
    outputs: dict[str, Shape],
    type: int = FLOAT,
) -> bytes:
    made = helper.make_graph(
        nodes,
        "guest",
        [helper.make_tensor_value_info(name, type, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, type, shape) for name, shape in outputs.items()],
        [
            numpy_helper.from_array(value.astype(helper.tensor_dtype_to_np_dtype(type)), name)
            for name, value in constants.items()
        ],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def affine(
    weights: Planes,
    bias: Planes,
    *,
    side: int | None = 64,
    cells: int = 1,
    tensor: str = "weight",
    most: float = 110.0,
    type: int = FLOAT,
) -> bytes:
    """Make a network that mixes the channels of each pixel, averages ``cells`` x ``cells`` of them, and ends as tanh does."""
    outer, inner = weights.shape
    nodes = [
        helper.make_node("AveragePool", ["input"], ["pooled"], kernel_shape=[cells, cells], strides=[cells, cells]),
        helper.make_node("Conv", ["pooled", tensor, "bias"], ["mixed"]),
        helper.make_node("Clip", ["mixed", "least", "most"], ["output"]),
    ]
    sides: Shape = [side, side] if side else ["height", "width"]
    small: Shape = [side // cells, side // cells] if side else ["h", "w"]
    constants = {tensor: weights.reshape(outer, inner, 1, 1).astype(np.float32), "bias": np.asarray(bias, np.float32)}
    constants |= {"least": np.array(-most), "most": np.array(most)}
    return graph(nodes, constants, inputs={"input": [1, inner, *sides]}, outputs={"output": [1, outer, *small]}, type=type)


def ddcolor(*, side: int | None = 64, type: int = FLOAT) -> Made:
    """Grey RGB in [0, 1] to ab of Lab."""
    weights = np.array([[A[0], 0, 0], [0, 0, B[0]]])
    return Made(affine(weights, np.array([A[1], B[1]]), side=side, type=type), "ddcolor", linear)


def deoldify(coding: str, *, side: int | None = 64) -> Made:
    """Grey RGB to a picture, clipped: coded in [0, 255], in [0, 1], or as ImageNet's photographs are."""
    scale, mean, deviation = {
        "bytes": (255.0, (0.0,) * 3, (1.0,) * 3),
        "unit": (1.0, (0.0,) * 3, (1.0,) * 3),
        "imagenet": (1.0, IMAGENET_MEAN, IMAGENET_DEVIATION),
    }[coding]
    column = (1, 3, 1, 1)
    constants = {
        "scale": np.array(scale, np.float32),
        "mean": np.reshape(np.array(mean, np.float32), column),
        "deviation": np.reshape(np.array(deviation, np.float32), column),
        "shift": np.reshape(np.array([RED, 0, BLUE], np.float32), column),
        "zero": np.array(0, np.float32),
        "one": np.array(1, np.float32),
    }
    steps = [
        ("Mul", "input", "deviation"),
        ("Add", "", "mean"),
        ("Div", "", "scale"),
        ("Add", "", "shift"),
        ("Clip", "", "zero", "one"),
        ("Mul", "", "scale"),
        ("Sub", "", "mean"),
        ("Div", "", "deviation"),
    ]
    nodes = [
        helper.make_node(name, [first or f"s{index}", *rest], [f"s{index + 1}" if index + 1 < len(steps) else "output"])
        for index, (name, first, *rest) in enumerate(steps)
    ]
    sides: Shape = [side, side] if side else ["h", "w"]
    return Made(graph(nodes, constants, inputs={"input": [1, 3, *sides]}, outputs={"output": [1, 3, *sides]}), "deoldify")


def zhang(kind: str = "eccv16", *, centered: bool = False, side: int | None = 64, cells: int = 1) -> Made:
    """L* to ab: of L in [0, 100] to units of Lab, or of (L - 50) / 100 to units of 110."""
    slope, offset = np.array([[A[0]], [B[0]]]) / 100, np.array([A[1], B[1]])
    if centered:
        slope, offset = slope * 100 / 110, (offset + slope[:, 0] * 50) / 110
    tensor = {"eccv16": "model8.6.weight", "siggraph17": "model10.1.weight", "own": "weight"}[kind]
    return Made(
        affine(slope, offset, side=side, cells=cells, tensor=tensor, most=1.0 if centered else 110.0), kind, of_lightness
    )


def zhang_bins(*, logits: bool = False, side: int | None = 64) -> Made:
    """L* in [0, 100] to the shares of 313 bins, or to their logits; a quarter of the size."""
    slope, offset = np.zeros((313, 1)), np.full(313, -40.0)
    slope[[WARM, COOL], 0], offset[[WARM, COOL]] = (0.02, -0.02), (-1.0, 1.0)
    sides: Shape = [side, side] if side else ["h", "w"]
    small: Shape = [side // 4, side // 4] if side else ["h4", "w4"]
    nodes = [
        helper.make_node("AveragePool", ["input"], ["pooled"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Conv", ["pooled", "weight", "bias"], ["logits"]),
        helper.make_node("Identity", ["logits"], ["output"])
        if logits
        else helper.make_node("Softmax", ["logits"], ["output"], axis=1),
    ]
    constants = {"weight": slope.reshape(313, 1, 1, 1).astype(np.float32), "bias": offset.astype(np.float32)}
    return Made(
        graph(nodes, constants, inputs={"input": [1, 1, *sides]}, outputs={"output": [1, 313, *small]}), "eccv16", of_bins
    )


def siggraph17(*, side: int | None = 64) -> Made:
    """L*, ab and mask to ab: what is hinted where it is, else the same as ``zhang``."""
    constants = {
        "model10.1.weight": np.array([A[0], B[0]], np.float32).reshape(2, 1, 1, 1) / 100,
        "bias": np.array([A[1], B[1]], np.float32),
        "one": np.array(1, np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["input_l", "model10.1.weight", "bias"], ["plain"]),
        helper.make_node("Sub", ["one", "input_mask"], ["rest"]),
        helper.make_node("Mul", ["plain", "rest"], ["unhinted"]),
        helper.make_node("Mul", ["input_ab", "input_mask"], ["hinted"]),
        helper.make_node("Add", ["unhinted", "hinted"], ["output"]),
    ]
    sides: Shape = [side, side] if side else ["h", "w"]
    inputs: dict[str, Shape] = {"input_l": [1, 1, *sides], "input_ab": [1, 2, *sides], "input_mask": [1, 1, *sides]}
    return Made(graph(nodes, constants, inputs=inputs, outputs={"output": [1, 2, *sides]}), "siggraph17", of_lightness)


MODELS: dict[str, Callable[[], Made]] = {
    "ddcolor, square": ddcolor,
    "ddcolor, any size": lambda: ddcolor(side=None),
    "ddcolor, float16": lambda: ddcolor(type=HALF),
    "deoldify, bytes": lambda: deoldify("bytes"),
    "deoldify, unit, any size": lambda: deoldify("unit", side=None),
    "deoldify, imagenet": lambda: deoldify("imagenet"),
    "eccv16": zhang,
    "eccv16, centered": lambda: zhang(centered=True),
    "eccv16, a quarter, any size": lambda: zhang(side=None, cells=4),
    "eccv16, shares": zhang_bins,
    "eccv16, logits, any size": lambda: zhang_bins(logits=True, side=None),
    "siggraph17": lambda: zhang("siggraph17"),
    "siggraph17, hints": siggraph17,
    "siggraph17, hints, any size": lambda: siggraph17(side=None),
}
"""One network of each kind and converter, by name."""


def save(made: Made, path: Path) -> Path:
    path.write_bytes(made.content)
    return path


def ramp(height: int, width: int, *, low: float = 0.25, high: float = 0.75) -> Planes:
    """Draw ``(height, width)`` luma in [0, 1], brighter to the right and to the bottom."""
    down, across = np.linspace(0, 1, height)[:, None], np.linspace(0, 1, width)[None]
    return low + (high - low) * (0.3 * down + 0.7 * across)
