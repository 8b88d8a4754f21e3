"""Write a trained generator as one self-describing ONNX file, and prove that it answers as torch does."""

from __future__ import annotations

import dataclasses
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from photochrom import color, files
from photochrom.colorizer.model import CARD_FORMAT, CARD_KEY, Card, Model
from photochrom.errors import TrainingError
from photochrom.training import checkpoint, regularizers, validate
from photochrom.training.config import from_table
from photochrom.training.data import dataset
from photochrom.training.data.shards import shards
from photochrom.training.networks.generators import BinGenerator, Generator
from photochrom.training.networks.layers import silence
from photochrom.training.onnx_import import unfold
from photochrom.training.setup import generator_of
from photochrom.version import __version__

OPSET = 18
TOLERANCE = 1 / 255
"""Largest difference between torch and ONNX that may ship: one level of 8-bit chroma."""
SILENCED = "trained with it; this file answers without, with the statistics of training, so that an answer repeats"
HALF_FROM = 256
"""Weights of at least so many numbers are stored as float16; onnxruntime widens them once, when it loads."""


@dataclass(frozen=True)
class Export:
    """What was written, and how it was checked."""

    path: Path
    bytes: int
    largest_difference: float
    """Largest |torch - ONNX| of chroma over the checked inputs, in units of the range 1."""
    card: Card


@final
class _Shipped(nn.Module):
    """The graph of a generator of the study: luma and temperature in, chroma out."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, luma: Tensor, temperature: Tensor) -> Tensor:
        return self.generator.decode(self.generator(luma), temperature)


@final
class _ShippedBins(nn.Module):
    """The graph of the generator photochrom: luma, temperature, guides in; chroma, the peak's share and all shares out."""

    def __init__(self, generator: BinGenerator) -> None:
        super().__init__()
        self.generator = generator

    def forward(
        self, luma: Tensor, temperature: Tensor, hints: Tensor | None = None, palette: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        head = self.generator.head
        # Bins last: onnxruntime's softmax over the second of four axes takes twenty times as long.
        rows = self.generator.features(luma, hints, palette).permute(0, 2, 3, 1)
        share = torch.softmax(F.linear(rows, head.weight.flatten(1), head.bias) / temperature, -1)
        chroma, peak = share @ self.generator.bins, share.amax(-1, keepdim=True)
        return chroma.permute(0, 3, 1, 2), peak.permute(0, 3, 1, 2), share.permute(0, 3, 1, 2)


def export(run: Path, output: Path, *, data: list[Path] | None = None, name: str | None = None, newest: bool = False) -> Export:
    """Export a run's averaged generator at its best checkpoint.

    The vividness scale is calibrated on the validation photographs of the run's own training data. Noise at generation stays
    out of the file, whose answers could not be proven otherwise; the card says so.

    Args:
        run: a folder that ``photochrom train`` made.
        output: the ONNX file to write; an existing one is replaced.
        data: the prepared data of the run; None takes the folders that the run noted.
        name: the model's name in its card; None takes the run folder's.
        newest: take the newest checkpoint instead of the best.

    Raises:
        TrainingError: if the run has no checkpoint, or torch and ONNX differ by more than one level of 8-bit chroma.
        DataError: if the training data are not there.
    """
    path = run / (checkpoint.NEWEST if newest or not (run / checkpoint.BEST).exists() else checkpoint.BEST)
    if not path.exists():
        raise TrainingError(f"'{run}' has no checkpoint: expected a folder of `photochrom train`")
    state = checkpoint.load(path)
    config = from_table(state["config"])
    generator = generator_of(config, pretrained=False)
    generator.load_state_dict(state["average"])
    generator.eval().requires_grad_(False)
    regularizers.release_spectrum(generator)
    silence(generator)
    folders = data or [Path(folder) for folder in json.loads((run / "config.json").read_text(encoding="utf-8"))["data"]]
    members = dataset.index(folders)
    teach, aside = dataset.set_aside(members, config.validation_photographs)
    held = dataset.validation(dataset.validating(folders, config.validation_photographs) or aside, config.size)
    progress = state["progress"]
    bins = isinstance(generator, BinGenerator)
    card = Card(
        name=name or run.resolve().name,
        generator=config.generator,
        size=config.size,
        stride=generator.stride,
        fixed=not bins,
        mean_chroma=tuple(state["statistics"]["mean_chroma"]),
        hints=config.hints > 0,
        palettes=config.palettes > 0,
        **calibrated(generator, held),
        training={
            "config": state["config"],
            "data": {"sets": sorted(shards(folders, "train")), "photographs": len(teach)},
            "seed": config.seed,
            **({"noise_at_generation": SILENCED} if config.noise_at_generation else {}),
            "commit": checkpoint.commit(),
            **({"trained_by": state["statistics"]["commits"]} if "commits" in state["statistics"] else {}),
            "images_seen": progress["images_seen"],
            **({"init": state["statistics"]["init"]} if "init" in state["statistics"] else {}),
            "hours": round(progress["seconds"] / 3600, 3),
            "versions": {"photochrom": __version__, "torch": torch.__version__, "onnx": onnx.__version__},
        },
    )
    content = to_onnx(generator, card)
    difference = largest_difference(generator, Model(content, source=str(output)), held[0][:4])
    if difference > TOLERANCE:
        raise TrainingError(f"torch and ONNX differ by {difference:.2g}: expected at most {TOLERANCE:.2g}; nothing was written")
    output.parent.mkdir(parents=True, exist_ok=True)
    files.save(content, output, overwrite=True)
    return Export(output, len(content), difference, card)


def calibrated(generator: Generator, held: tuple[Tensor, Tensor]) -> dict[str, Any]:
    """Return the fields of a card that are measured on held photographs: vividness, confidence, belief, cast and faint."""
    belief, factor = 0.0, None
    if isinstance(generator, BinGenerator):
        ratios = validate.believed_ratios(generator, held[0])
        belief = round(float(ratios.mean()), 4)
        factor = (ratios / belief).clamp(1 / color.BELIEF_MOST, color.BELIEF_MOST)
    vividness = validate.calibrate(generator, held, factor)
    confidence: tuple[Any, ...] = ()
    if isinstance(generator, BinGenerator):
        confidence = validate.calibrate_confidence(generator, held, vividness, factor)
    return {
        "vividness": vividness,
        "confidence": confidence,
        "belief": belief,
        "cast": validate.CAST,
        "faint": validate.FAINT,
    }


def recalibrate(model: Path, output: Path, *, data: list[Path], name: str | None = None) -> Export:
    """Write a model file again with a card whose vividness, confidence and belief are measured anew; its weights stay.

    Args:
        model: a file of ``export``.
        output: the ONNX file to write; an existing one is replaced.
        data: prepared data; the photographs that validate are used.
        name: the model's name in its card; None keeps it.

    Raises:
        TrainingError: if the file is no model of ours, or one of a guest.
        DataError: if the data are not there.
    """
    content = model.read_bytes()
    card = Model(content, source=str(model)).card
    config = from_table(card.training["config"])
    generator = generator_of(config, pretrained=config.pretrained)
    _, aside = dataset.set_aside(dataset.index(data), config.validation_photographs)
    held = dataset.validation(dataset.validating(data, config.validation_photographs) or aside, config.size)
    unfold(generator, model)
    generator.eval().requires_grad_(False)
    difference = largest_difference(generator, Model(content, source=str(model)), held[0][:4])
    if difference > TOLERANCE:
        raise TrainingError(f"torch and ONNX differ by {difference:.2g}: expected at most {TOLERANCE:.2g}; nothing was written")
    card = dataclasses.replace(card, name=name or card.name, **calibrated(generator, held))
    graph = onnx.load_from_string(content)
    del graph.metadata_props[:]
    onnx.helper.set_model_props(graph, {CARD_KEY: card_text(card)})
    written = graph.SerializeToString(deterministic=True)
    files.save(written, output, overwrite=True)
    return Export(output, len(written), difference, card)


def card_text(card: Card) -> str:
    """Return a card as it lies in the file."""
    return json.dumps(dataclasses.asdict(card) | {"format": CARD_FORMAT}, sort_keys=True)


def to_onnx(generator: Generator, card: Card) -> bytes:
    """Convert a generator to an ONNX file with batch norm folded in, float16 storage of weights, and its card.

    The generator must be in evaluation mode: then the exporter folds the encoder's batch norm into its convolutions.
    """
    bins = isinstance(generator, BinGenerator)
    network = (_ShippedBins(generator) if isinstance(generator, BinGenerator) else _Shipped(generator)).eval()
    height, width = card.size, card.size + (0 if card.fixed else card.stride)
    any_size = torch.export.Dim.DYNAMIC
    dimensions = {0: any_size} if card.fixed else {0: any_size, 2: any_size, 3: any_size}
    inputs = {"luma": torch.zeros(2, 1, height, width), "temperature": torch.tensor(1.0)}
    shapes: dict[str, Any] = {"luma": dimensions, "temperature": None}
    if card.guided:
        inputs |= {"hints": torch.zeros(2, 3, height, width), "palette": torch.zeros(2, len(color.bins()))}
        shapes |= {"hints": dimensions, "palette": {0: any_size}}
    with _quiet():
        program = torch.onnx.export(
            network,
            tuple(inputs.values()),
            input_names=list(inputs),
            output_names=["chroma", "peak", "share"] if bins else ["chroma"],
            dynamic_shapes=shapes,
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    graph = program.model_proto
    _name_offsets(graph)
    _store_as_half(graph)
    graph.doc_string = ""
    for node in graph.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    del graph.graph.value_info[:]
    del graph.metadata_props[:]
    graph.ir_version = min(graph.ir_version, 10)  # onnxruntime 1.18 reads up to 10
    onnx.helper.set_model_props(graph, {CARD_KEY: card_text(card)})
    onnx.checker.check_model(graph)
    content: bytes = graph.SerializeToString(deterministic=True)
    return content


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the exporter says of itself off the screen: of torchvision, which is not needed, and of its own old code."""
    log = logging.getLogger("torch.onnx")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        log.setLevel(before)


def largest_difference(generator: Generator, model: Model, luma: Tensor) -> float:
    """Compare torch and ONNX on photographs, at three sizes and three temperatures; gives the largest |difference|.

    A network that takes hints is shown random ones, one at every third pixel, and a random palette.
    """
    random = torch.Generator().manual_seed(0)
    stride, size = generator.stride, model.card.size
    worst = 0.0
    shapes = (
        {(size, size), (size, size + stride), (size + stride, size)} if isinstance(generator, BinGenerator) else {(size, size)}
    )
    for shape in sorted(shapes):
        scaled = torch.nn.functional.interpolate(luma, shape, mode="bilinear")
        guides: list[Tensor] = []
        if model.card.guided:
            mask = (torch.rand(len(luma), 1, *shape, generator=random) < 1 / 3).float()
            hints = torch.cat([(torch.rand(len(luma), 2, *shape, generator=random) - 0.5) * 0.4 * mask, mask], 1)
            guides = [hints, torch.rand(len(luma), len(color.bins()), generator=random).softmax(1)]
        for vividness in range(len(model.card.vividness)):
            temperature, gain = model.decoding(vividness)
            with torch.no_grad():
                ours = generator.decode(generator(scaled, *guides), temperature).numpy()
            theirs, _ = model.run(scaled.numpy(), temperature, *(guide.numpy() for guide in guides))
            worst = max(worst, gain * float(np.abs(ours - theirs).max()))
    return worst


def _name_offsets(graph: onnx.ModelProto) -> None:
    """Name the offsets of convolutions with batch norm folded in as ``unfold`` looks for them; the exporter has other names."""
    names = {tensor.name: tensor.name.replace(".weight_bias", ".bias") for tensor in graph.graph.initializer}
    for tensor in graph.graph.initializer:
        tensor.name = names[tensor.name]
    for node in graph.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]


def _store_as_half(graph: onnx.ModelProto) -> None:
    """Keep large float32 weights as float16 and widen them by a Cast, which onnxruntime computes once."""
    casts = []
    for tensor in graph.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < HALF_FROM:
            continue
        name = tensor.name
        tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), name + ".half"))
        casts.append(onnx.helper.make_node("Cast", [name + ".half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = list(graph.graph.node)
    del graph.graph.node[:]
    graph.graph.node.extend(casts + nodes)
