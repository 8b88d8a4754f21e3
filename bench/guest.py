"""Measure what a guest costs beside its bare session: a network of DDColor's shape and size, with random weights.

The network, of 228 million parameters, is made in a temporary folder, which has to hold 2 GB, and is deleted after.
"""

from __future__ import annotations

import statistics
import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from onnx import helper, numpy_helper

from bench.speed import Row, large, launched, side_by_side
from photochrom.colorizer.adopt import adopt

STAGES = ((192, 3), (384, 3), (768, 27), (1536, 4))
"""Channels and blocks of a ConvNeXt-L, DDColor's encoder (Liu et al. 2022, section 3.1)."""
DECODER = (1536, 1536, 512, 256, 256)
"""Channels of the decoder, each twice the size of the one before."""
SIDE = 512
BARE = (
    "import sys, numpy, onnxruntime; session = onnxruntime.InferenceSession(sys.argv[1], providers=['CPUExecutionProvider']); "
    f"session.run(None, {{'input': numpy.zeros((1, 3, {SIDE}, {SIDE}), numpy.float32)}})"
)
ROUNDS = 2
"""More would take too long."""


def guest(rounds: int) -> list[Row]:
    """Color a JPEG of 12 megapixels by the command, against a program that loads the session and runs it once."""
    with TemporaryDirectory() as folder:
        theirs, ours, photo, result = (
            str(Path(folder, name)) for name in ("theirs.onnx", "ours.onnx", "photo.jpg", "color.jpg")
        )
        Path(theirs).write_bytes(network())
        Path(photo).write_bytes(large(12))
        adopt(Path(theirs), Path(ours), kind="ddcolor")
        command = [sys.executable, "-m", "photochrom", "colorize", photo, "-o", result, "--model", ours, "--overwrite"]
        pair = side_by_side(
            partial(launched, command), partial(launched, [sys.executable, "-c", BARE, theirs]), rounds=min(rounds, ROUNDS)
        )
    seconds, processor = (
        [statistics.median(getattr(run, what) for run in runs) for runs in pair] for what in ("seconds", "processor")
    )
    peaks = [max(run.peak for run in runs) / 1e6 for runs in pair]
    wall, work = ([1e3 * each for each in both] for both in (seconds, processor))
    return [
        Row("guest of 228 M parameters, 12 MP, beside its session", "ms", *wall, 1.05 * wall[1] + 200, None, *work),
        Row("guest of 228 M parameters, 12 MP, peak memory", "MB", *peaks, peaks[1] + 250),
    ]


def network() -> bytes:
    """Make the network: blocks of a depthwise and two pointwise convolutions, and a decoder of convolutions."""
    random = np.random.default_rng(0)
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []

    def convolve(source: str, shape: tuple[int, int, int], *, stride: int = 1, groups: int = 1) -> str:
        outer, inner, side = shape
        name = f"w{len(weights)}"
        values = (
            random.standard_normal((outer, inner // groups, side, side), np.float32) * (2 / (inner // groups * side**2)) ** 0.5
        )
        weights.append(numpy_helper.from_array(values, name))
        pads = [(side - stride) // 2 if stride == 1 else 0] * 4
        nodes.append(
            helper.make_node(
                "Conv", [source, name], [f"c{name}"], strides=[stride] * 2, pads=pads, group=groups, kernel_shape=[side] * 2
            )
        )
        return f"c{name}"

    def then(kind: str, *sources: str) -> str:
        nodes.append(helper.make_node(kind, list(sources), [f"n{len(nodes)}"]))
        return nodes[-1].output[0]

    weights.append(numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "doubled"))
    state, before = "input", 3
    for index, (channels, blocks) in enumerate(STAGES):
        step = 4 if index == 0 else 2
        state = convolve(state, (channels, before, step), stride=step)
        for _ in range(blocks):
            wide = then(
                "Relu", convolve(convolve(state, (channels, channels, 7), groups=channels), (4 * channels, channels, 1))
            )
            state = then("Add", state, then("Tanh", convolve(wide, (channels, 4 * channels, 1))))
        before = channels
    for channels in DECODER:
        nodes.append(helper.make_node("Resize", [state, "", "doubled"], [f"r{channels}{len(nodes)}"], mode="nearest"))
        state, before = then("Relu", convolve(nodes[-1].output[0], (channels, before, 3 if channels < 1024 else 1))), channels
    nodes.append(helper.make_node("Identity", [convolve(state, (2, before, 1))], ["output"]))
    inputs, outputs = (
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, count, SIDE, SIDE])
        for name, count in (("input", 3), ("output", 2))
    )
    graph = helper.make_graph(nodes, "guest", [inputs], [outputs], weights)
    content: bytes = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    return content
