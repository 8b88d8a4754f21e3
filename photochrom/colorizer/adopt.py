"""Make a guest of somebody else's ONNX file: write a card into it that says what goes in and out."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from photochrom import color
from photochrom.color import Float, Picture
from photochrom.colorizer.colorizer import Colorizer, Options
from photochrom.colorizer.guests import kinds, onnx_file
from photochrom.colorizer.guests.kinds import Kind, Port
from photochrom.colorizer.guests.session import answered, ask, check_names, mapped, open_session
from photochrom.colorizer.guests.spec import OF_A_CARD, OF_A_GUEST, Guest, checked, of_table
from photochrom.colorizer.model import CARD_FORMAT, CARD_KEY, Card, parsed, refuse_wrong
from photochrom.errors import DataError, ModelError, OptionError, one_line
from photochrom.files import drafted

GAINS = (0.6, 1.0, 1.4)
"""Chroma gains of vividness 0, 1 and 2, where they are not calibrated: 1 is the model's own answer."""
COLORFULNESS = (0.74, 1.02)
"""Colorfulness at vividness 1 and 2, as a share of the truth's, to which a calibration brings a guest: as our own models."""
LEAST_GAIN, MOST_GAIN = 0.1, 4.0
"""Where a calibration looks for gains."""
STEPS = 12
"""How often it halves that range."""
SIZE, STRIDE = 256, 32
"""Of a network of no known kind that takes any size, where its card does not say."""


@dataclass(frozen=True)
class _Graph:
    """What a graph takes and gives, and how to run it."""

    source: str
    """The file's name, for messages."""
    session: Any
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    tensors: frozenset[str]

    @property
    def side(self) -> int | None:
        """The side of the squares that the graph takes; None where it takes any size."""
        return self.inputs[0].side

    def __str__(self) -> str:
        return f"it takes {_told(self.inputs)} and gives {_told(self.outputs)}"


def adopt(model: Path, output: Path, *, kind: Kind | None = None, card: Path | None = None, overwrite: bool = False) -> Card:
    """Write a copy of an ONNX file that carries a card, so that ``Model.load`` takes it.

    Args:
        model: somebody else's ONNX file, or one that was adopted before.
        output: the file to write, in a folder that exists.
        kind: what the model is; None recognizes it.
        card: a TOML file of what differs from the kind, or of all that a model of another kind takes and gives.
        overwrite: replace a file that exists.

    Returns:
        The card that was written.

    Raises:
        ModelError: the file is damaged, needs other files or libraries, or is not what is said of it.
        OptionError: the card is damaged, or it is not sure what the model is.
        OutputError: the output exists, or cannot be written.
    """
    data = mapped(model, expected="an ONNX file")
    onnx_file.check(data, str(model))
    old = onnx_file.metadata(data).get(CARD_KEY)
    if old is not None and parsed(old, str(model)).guest is None:
        raise ModelError(f"'{model}' is one of Photochrom's own models: use it as it is")
    written = {} if card is None else _written(card)
    graph = _graph(model, onnx_file.tensor_names(data))
    changes = {key: value for key, value in written.items() if key in OF_A_GUEST}
    digest = hashlib.sha256(data).hexdigest()
    try:
        size, stride, guest = _described(graph, changes) if _complete(kind, changes) else _recognized(graph, kind, changes)
        guest = dataclasses.replace(guest, sha256=digest)
        found = _card(guest, written, name=model.stem, size=graph.side or size, stride=stride, fixed=graph.side is not None)
        refuse_wrong(found)
    except ValueError as error:
        raise OptionError(f"cannot make a card for '{model}': {one_line(error)} (docs/models.md)") from error
    side = found.size if found.fixed else -(-found.size // found.stride) * found.stride
    answered(graph.session, guest, kinds.probe(side), name=found.name)
    write(data, found, output, overwrite=overwrite)
    return found


def write(data: bytes | mmap, card: Card, output: Path, *, overwrite: bool = False) -> None:
    """Write a model's file with another card; raises OutputError where it cannot be written."""
    text = json.dumps(dataclasses.asdict(card) | {"format": CARD_FORMAT}, sort_keys=True)
    with drafted(output, overwrite=overwrite) as draft, draft.open("wb") as file:
        file.writelines(onnx_file.with_metadata(data, CARD_KEY, text))


def calibrate(path: Path, pictures: Iterable[Picture]) -> Card:
    """Find the gains of vividness 0, 1 and 2 of an adopted file on photographs in color, and write them into its card.

    1 and 2 bring the colorfulness (Hasler & Suesstrunk 2003) of all photographs together to ``COLORFULNESS``. 0 is the gain of
    the least mean squared error of chroma, at most that of 1.

    Args:
        path: a file of ``adopt``; it is replaced.
        pictures: ``(H, W, 3)`` uint8.

    Returns:
        The card with the gains.

    Raises:
        DataError: there are no photographs, or none of them has color, or the model gives them none.
        ModelError: it is no model, or its answer is not what its card says.
    """
    colorizer = Colorizer.load(path, options=Options())
    card = colorizer.model.card
    temperature, own = card.vividness[1]
    triples = [_at_scale(colorizer, picture, own) for picture in pictures]
    square = float(np.mean([np.square(answer).mean() for _, answer, _ in triples])) if triples else 0.0
    target = _colorfulness([(luma, truth) for luma, _, truth in triples]) if triples else 0.0
    if not square or not target:
        raise DataError("there is nothing to calibrate on: give photographs in color, which the model gives color too")
    gains = [_gain(triples, share * target) for share in COLORFULNESS]
    product = float(np.mean([(answer * truth).mean() for _, answer, truth in triples]))
    faithful = min(max(product / square, LEAST_GAIN), gains[0])
    card = dataclasses.replace(card, vividness=tuple((temperature, round(gain, 3)) for gain in (faithful, *gains)))
    write(mapped(path), card, path, overwrite=True)
    return card


def summary(card: Card) -> str:
    """Tell in a line what a guest's card says."""
    guest = card.guest
    if guest is None:
        raise OptionError(f"the model '{card.name}' is no guest: it was trained here")
    size = f"squares of {card.size}" if card.fixed else f"short side {card.size}, multiples of {card.stride}"
    shown = {"luma": "luma", "lightness": "L* of Lab", "rgb": "grey RGB"}[guest.shows]
    given = {"ab": "ab of Lab", "rgb": "a picture", "cbcr": "Cb and Cr"}.get(guest.gives, f"{len(guest.points)} bins of ab")
    gains = ", ".join(f"{gain:g}" for _, gain in card.vividness)
    terms = f"; license {guest.license}" if guest.license else ""
    return f"{guest.kind}: {shown} in, {size}; {given} out; chroma gains {gains}{terms}"


def _gain(triples: Sequence[tuple[Float, Float, Float]], target: float) -> float:
    low, high = LEAST_GAIN, MOST_GAIN
    for _ in range(STEPS):
        gain = (low + high) / 2
        reached = _colorfulness([(luma, gain * answer) for luma, answer, _ in triples])
        low, high = (gain, high) if reached < target else (low, gain)
    return (low + high) / 2


def _at_scale(colorizer: Colorizer, picture: Picture, own: float) -> tuple[Float, Float, Float]:
    """Give luma, the answer's chroma without its gain and the true chroma, at the scale of the answer or the picture."""
    luma, truth = color.split(picture)
    answer = colorizer.small_chroma(np.rint(luma * 255).astype(np.uint8)) / np.float32(own)
    high, wide = (min(cells, pixels) for cells, pixels in zip(answer.shape[1:], luma.shape, strict=True))
    planes = [cv2.resize(plane, (wide, high), interpolation=cv2.INTER_AREA) for plane in (luma, *answer, *truth)]
    return np.asarray(planes[0]), np.stack(planes[1:3]), np.stack(planes[3:])


def _colorfulness(pictures: Sequence[tuple[Float, Float]]) -> float:
    """Average the colorfulness of pictures, brought inside the gamut."""
    values = []
    for luma, chroma in pictures:
        factor = color.headroom(luma, *chroma, minimum=np.minimum, maximum=np.maximum)
        values.append(color.colorfulness(color.join(luma, factor * chroma)))
    return float(np.mean(values))


def _written(path: Path) -> dict[str, Any]:
    """Read the card that a person wrote."""
    try:
        return checked(tomllib.loads(path.read_text(encoding="utf-8")), OF_A_GUEST | OF_A_CARD)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else one_line(error)
        raise OptionError(f"cannot read the card '{path}': {reason} (docs/models.md)") from error


def _graph(model: Path, tensors: frozenset[str]) -> _Graph:
    session = open_session(model, str(model), expected="an ONNX file")
    inputs = []
    for item in session.get_inputs():
        sides = item.shape[2:]
        fixed = all(isinstance(side, int) for side in sides)
        if (
            item.type not in ("tensor(float)", "tensor(float16)")
            or len(item.shape) != 4
            or not isinstance(item.shape[1], int)
            or (fixed and sides[0] != sides[1])
        ):
            reason = f"its input '{item.name}' is {item.type} of shape {item.shape}"
            raise ModelError(f"cannot adopt '{model}': {reason}: expected float or float16 (N, C, H, W), squares or any size")
        inputs.append(Port(item.name, item.shape[1], sides[0] if fixed else None))
    outputs = []
    for item in session.get_outputs():
        channels = item.shape[1] if len(item.shape or ()) == 4 else None
        outputs.append(Port(item.name, channels if isinstance(channels, int) else None, None))
    return _Graph(str(model), session, tuple(inputs), tuple(outputs), tensors)


def _complete(kind: Kind | None, changes: Mapping[str, Any]) -> bool:
    """Tell whether a card says all that there is to know of a model."""
    return kind is None and {"shows", "gives"} <= changes.keys()


def _described(graph: _Graph, changes: Mapping[str, Any]) -> tuple[int, int, Guest]:
    """Make the guest that a card describes; raises ValueError where it leaves something open."""
    names: dict[str, Any] = {}
    for name, ports in (("image", graph.inputs), ("answer", graph.outputs)):
        if len(ports) == 1:
            names[name] = ports[0].name
    guest = of_table(names | dict(changes))
    check_names(graph.session, guest, graph.source)
    return SIZE, STRIDE, guest


def _recognized(graph: _Graph, kind: Kind | None, changes: Mapping[str, Any]) -> tuple[int, int, Guest]:
    """Find the kind whose inputs, outputs and answers a graph has."""
    rows = [each for each in kinds.candidates(graph.inputs, graph.outputs, graph.tensors) if kind in (None, each[0].kind)]
    if not rows:
        what = "a model of no kind that is known" if kind is None else f"no {kind}"
        raise OptionError(f"this is {what}: {graph}; describe it in a card (--card)")
    named = sorted({row.kind for row, _ in rows})
    if len(named) > 1:
        raise OptionError(f"this may be {' or '.join(named)}, which take and give the same: say which with --as")
    guests = {id(row): kinds.guest_of(row, graph.inputs, port, changes) for row, port in rows}
    check_names(graph.session, guests[id(rows[0][0])], graph.source)
    luma = kinds.probe(graph.side or SIZE)
    if kind and len(rows) == 1:
        row = rows[0][0]
        return row.size, row.stride, guests[id(row)]
    fits = []
    for row, _ in rows:
        error = kinds.misfit(guests[id(row)], ask(graph.session, guests[id(row)], luma), luma)
        if error is not None:
            fits.append((error, row))
    best = kinds.best(fits)
    if best is None:
        reason = "none of the ways to show it a picture" if not fits else "more than one of the ways to show it a picture"
        raise OptionError(f"this looks like {named[0]}, but {reason} fits its answer: describe it in a card (--card)")
    return best.size, best.stride, guests[id(best)]


def _card(guest: Guest, written: Mapping[str, Any], *, name: str, size: int, stride: int, fixed: bool) -> Card:
    size = size if fixed else written.get("size", size)
    stride = written.get("stride", stride if size % stride == 0 else 1)
    gains, temperature = written.get("vividness", GAINS), written.get("temperature", 1.0)
    if len(gains) != 3 or min(*gains, temperature) <= 0:
        raise ValueError("vividness is not three gains above 0, or temperature is not above 0")
    if fixed and written.get("size", size) != size:
        raise ValueError(f"size is {written['size']}, and the network takes only squares of {size}")
    return Card(
        name=written.get("name", name),
        generator=guest.kind,
        size=size,
        stride=stride,
        fixed=fixed,
        vividness=tuple((temperature, gain) for gain in gains),
        mean_chroma=(0.0, 0.0),
        training={},
        hints=bool(guest.hint_ab),
        guest=guest,
    )


def _told(ports: Sequence[Port]) -> str:
    """Describe inputs or outputs in a message."""
    return ", ".join(
        f"'{port.name}' of {port.channels or 'any number of'} channels" + (f" in squares of {port.side}" if port.side else "")
        for port in ports
    )
