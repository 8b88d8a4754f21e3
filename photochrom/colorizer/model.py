"""Load a model: an ONNX file that carries its own card."""

from __future__ import annotations

import hashlib
import json
import threading
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from mmap import mmap
from pathlib import Path
from typing import Any, final

import numpy as np

from photochrom import color
from photochrom.color import BINS, Float
from photochrom.colorizer.guests import convert, onnx_file
from photochrom.colorizer.guests.session import OURS, answered, check_names, mapped, open_session
from photochrom.colorizer.guests.spec import Guest, of_table
from photochrom.errors import ModelError, OptionError, one_line

CARD_KEY = "photochrom"
"""Name of the metadata entry of the ONNX file that holds the card, as JSON."""
CARD_FORMAT = 4
"""Format of the cards that are written; each adds fields to the one before, which are read with their defaults."""
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
    hints: bool = False
    """Whether the network was trained to follow the colors of single points."""
    palettes: bool = False
    """Whether it was trained to follow a palette."""
    confidence: tuple[tuple[tuple[float, float], ...], ...] = ()
    """For each row of ``vividness`` a rising curve: the share of the likeliest bin, and the share of pixels within 10 dE
    (CIE76) of the truth where it is that high, on photographs set aside; none where the network states no distribution."""
    cast: float = 1.0
    """Share of the gain that the mean chroma of a photograph gets (``color.enliven``)."""
    belief: float = 0.0
    """The mean of ``color.believed_ratio`` over photographs. The gain of a photograph is multiplied by its own ratio over this
    one, within a factor of ``color.BELIEF_MOST``; 0 gives every photograph the same gain."""
    faint: float = 0.0
    """Chroma of this magnitude is halved at vividness 1 and above, and what is fainter fades; at 0 all stays as it is."""

    guest: Guest | None = None
    """What goes in and out of a network that was trained elsewhere; None for one of ours."""

    @property
    def guided(self) -> bool:
        """Whether the network takes anything but luma."""
        return self.hints or self.palettes

    @property
    def clickable(self) -> bool:
        """Whether points can be given colors: to the network, or to a guest's answer (``hints.settle``)."""
        return self.hints or self.guest is not None

    @property
    def padded(self) -> bool:
        """Whether a photograph keeps its shape inside the square that the network takes."""
        return self.guest is not None and self.guest.fit == "pad"


def takes_none(name: str, what: str) -> OptionError:
    """Make the error for a model that was not trained with hints or a palette, or that states no confidence."""
    return OptionError(f"the model '{name}' has no {what}: leave that out, or choose a model that was trained with it")


@final
class Model:
    """Predict chroma from small luma."""

    def __init__(self, data: bytes | mmap, *, source: str, threads: int = 0, path: Path | None = None) -> None:
        """Open an ONNX file.

        Args:
            data: the file's bytes.
            source: the file's name, for messages.
            threads: cores to compute on; 0 takes all. A guest takes all: it runs for one photograph at a time, since the memory
                that a large network works in would multiply.
            path: where the file lies, so that ONNX Runtime reads a guest's weights from there and not from a second copy.

        Raises:
            ModelError: if the file is damaged or carries no card of ours, or a guest's needs more than itself.
        """
        try:
            card = onnx_file.metadata(data).get(CARD_KEY)
        except ValueError:
            card = None  # the file is damaged: ONNX Runtime says so below
        found = None if card is None else parsed(card, source)
        guest = None if found is None else found.guest
        if guest:
            onnx_file.check(data, source)
        self._content = path if guest and path else bytes(data)
        self._state = _state(path) if guest and path else None
        self._session = open_session(self._content, source, threads=0 if guest else threads)
        if found is None:
            raise ModelError(f"'{source}' is an ONNX file, but not one of Photochrom's: expected {OURS}")
        self.card = found
        self._outputs = {item.name for item in self._session.get_outputs()}
        self._turn = threading.Lock() if guest else nullcontext()
        if guest:
            check_names(self._session, guest, source)

    @classmethod
    def load(cls, path: str | Path | None = None, *, threads: int = 0) -> Model:
        """Read a model from a file, or the one that comes with the package.

        Raises:
            ModelError: if there is no such file, or it is damaged or not one of ours.
        """
        path = Path(__file__).parent / "weights" / BUNDLED if path is None else Path(path)
        return cls(mapped(path), source=str(path), threads=threads, path=path)

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the model file, as 64 hexadecimal digits; raises ModelError where a guest's file is another one by now."""
        if isinstance(self._content, bytes):
            return hashlib.sha256(self._content).hexdigest()
        if _state(self._content) != self._state:
            raise ModelError(f"the model '{self._content}' has changed since it was loaded: start again")
        with self._content.open("rb") as file:  # which is read piece by piece: a guest may have a gigabyte
            return hashlib.file_digest(file, "sha256").hexdigest()

    def chroma(self, luma: Float, *, vividness: float = 1.0, hints: Float | None = None, palette: Float | None = None) -> Float:
        """Predict chroma: the first part of what ``answer`` gives."""
        return self.answer(luma, vividness=vividness, hints=hints, palette=palette)[0]

    def answer(
        self, luma: Float, *, vividness: float = 1.0, hints: Float | None = None, palette: Float | None = None
    ) -> tuple[Float, Float | None]:
        """Predict chroma, and how likely it is to be right.

        Args:
            luma: ``(N, 1, H, W)`` float32 in [0, 1], H and W multiples of ``card.stride``.
            vividness: from 0, the expected chroma, over 1, the default, to 2, the most vivid.
            hints: ``(N, 3, H, W)`` float32: Cb, Cr and 1 at points whose color is given, 0 elsewhere.
            palette: ``(N, 323)`` float32, the share of each chroma bin in a picture to be followed (``color.palette``).

        Returns:
            ``(N, 2, h, w)`` float32 chroma in [-0.5, 0.5], h and w at the network's own scale; and ``(N, h, w)`` float32
            confidence, the share of such pixels that lie within 10 dE (CIE76) of the truth, or None if the card has no curve.

        Raises:
            OptionError: the vividness is out of range, or the network takes no hints or no palette.
        """
        temperature, gain = self.decoding(vividness)
        inputs = self._unvivid(gain, hints, palette)
        if self.card.belief and "share" in self._outputs:
            chroma, peak, share = self._fetch(["chroma", "peak", "share"], luma, temperature, *inputs)
            return self._finished(chroma, peak, vividness, share)
        return self._finished(*self.run(luma, temperature, *inputs), vividness)

    def distribution(
        self, luma: Float, *, vividness: float = 1.0, hints: Float | None = None, palette: Float | None = None
    ) -> tuple[Float, Float | None, Float]:
        """Predict what ``answer`` does and, in the same run, the ``(N, 323, h, w)`` share of each bin before the gain.

        Raises:
            OptionError: as ``answer`` does, or the network states no distribution.
        """
        temperature, gain = self.decoding(vividness)
        if self.card.guest or "share" not in self._outputs:
            raise takes_none(self.card.name, "distribution")
        inputs = self._unvivid(gain, hints, palette)
        chroma, peak, share = self._fetch(["chroma", "peak", "share"], luma, temperature, *inputs)
        return *self._finished(chroma, peak, vividness, share), share

    def _finished(
        self, chroma: Float, peak: Float | None, vividness: float, share: Float | None = None
    ) -> tuple[Float, Float | None]:
        """Make the network's chroma as vivid as asked, and its peak a confidence."""
        gain: Any = self.decoding(vividness)[1]
        if self.card.belief and share is not None:
            length = np.tensordot(color.bin_lengths(), share, (0, 1))
            gain = gain * color.believed_factor(chroma, length, self.card.belief, vividness)
        confidence = None if peak is None or not self.card.confidence else self._confidence(peak, vividness)
        faint = self.card.faint * min(vividness, 1.0)
        return color.enliven(chroma, gain, cast=self.card.cast, faint=faint).clip(-0.5, 0.5), confidence

    def run(
        self, luma: Float, temperature: float, hints: Float | None = None, palette: Float | None = None
    ) -> tuple[Float, Float | None]:
        """Run the network as it is: chroma at a temperature, and ``(N, 1, h, w)`` the likeliest bin's share if it has bins.

        Raises:
            ModelError: a guest's answer is not what its card says.
        """
        if self.card.guest:
            found = [
                self._guest(self.card.guest, plane[0], temperature, None if hints is None else hints[index])
                for index, plane in enumerate(np.asarray(luma, np.float32))
            ]
            return np.stack(found), None
        if "peak" in self._outputs:
            chroma, peak = self._fetch(["chroma", "peak"], luma, temperature, hints, palette)
            return chroma, peak
        return self._fetch(["chroma"], luma, temperature, hints, palette)[0], None

    def _unvivid(self, gain: float, hints: Float | None, palette: Float | None) -> tuple[Float | None, Float | None]:
        """Divide what guides the network by the gain: the answer is multiplied by it, and is to have the given colors then."""
        for what, given, taken in (("hints", hints, self.card.hints), ("palette", palette, self.card.palettes)):
            if given is not None and not taken:
                raise takes_none(self.card.name, what)
        faded = None if palette is None else _faded(palette, gain)
        return None if hints is None else hints / np.array([gain, gain, 1], np.float32)[:, None, None], faded

    def _fetch(
        self, outputs: list[str], luma: Float, temperature: float, hints: Float | None, palette: Float | None
    ) -> list[Float]:
        count, _, height, width = luma.shape
        inputs = [item.name for item in self._session.get_inputs()]
        if "hints" in inputs:
            hints = np.zeros((count, 3, height, width), np.float32) if hints is None else hints
            palette = np.zeros((count, BINS), np.float32) if palette is None else palette
        feeds = {"luma": luma, "temperature": np.array(temperature), "hints": hints, "palette": palette}
        answers: list[Float] = self._session.run(
            outputs, {name: np.ascontiguousarray(feeds[name], dtype=np.float32) for name in inputs}
        )
        return answers

    def _guest(self, guest: Guest, luma: Float, temperature: float, hints: Float | None) -> Float:
        shape, card = luma.shape, self.card
        if card.padded:
            luma = convert.padded(luma, card.size)
            hints = None if hints is None else np.pad(hints, [(0, 0), *((0, card.size - side) for side in shape)])
        with self._turn:
            answer = answered(self._session, guest, luma, hints=hints, name=card.name)
        found = convert.chroma(guest, answer, luma, temperature=temperature)
        return convert.cropped(found, shape, card.size) if card.padded else found

    def _confidence(self, peak: Float, vividness: float) -> Float:
        """Read the curves of the two rows around a vividness, and mix them."""
        low = min(int(vividness), len(self.card.confidence) - 2)
        below, above = (np.interp(peak[:, 0], *np.array(self.card.confidence[low + i]).T) for i in (0, 1))
        mixed: Float = ((1 - (vividness - low)) * below + (vividness - low) * above).astype(np.float32)
        return mixed

    def decoding(self, vividness: float) -> tuple[float, float]:
        """Give the temperature and the gain for a vividness in [0, 2]; raises OptionError outside."""
        rows = self.card.vividness
        if not 0 <= vividness <= len(rows) - 1:
            raise OptionError(f"vividness is {vividness:g}: expected 0 (most faithful) to {len(rows) - 1} (most vivid)")
        places = range(len(rows))
        temperature, gain = (float(np.interp(vividness, places, column)) for column in zip(*rows, strict=True))
        return temperature, gain


def _state(path: Path) -> tuple[int, int] | None:
    """Tell one state of a file from another, by size and time; None where it is gone."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _faded(palette: Float, gain: float) -> Float:
    """Move what a palette has in each bin to the bin of that chroma divided by the gain."""
    places = np.clip(np.rint(color.bins() / (gain * color.BIN_STEP)).astype(np.intp), -10, 10) + 10
    faded = np.zeros_like(palette)
    for bin, place in enumerate(color.bin_table()[places[:, 0], places[:, 1]]):
        faded[:, place] += palette[:, bin]
    return faded


def told_apart(*models: Model) -> tuple[str, ...]:
    """Name models so that all names differ: those that share one get their hash; raises OptionError for one model twice."""
    names = [model.card.name for model in models]
    for index, model in enumerate(models):
        if any(model.hash == other.hash for other in models[:index]):
            raise OptionError(f"the model '{model.card.name}' is named twice: leave it out once")
    return tuple(
        f"{name} ({model.hash[:12]})" if names.count(name) > 1 else name for name, model in zip(names, models, strict=True)
    )


def parsed(text: str, source: str) -> Card:
    """Read the card of a file named ``source``; raises ModelError where it is damaged, or newer than this version."""
    try:
        table = json.loads(text)
        if table.pop("format") not in range(1, CARD_FORMAT + 1):
            raise ModelError(f"'{source}' has a card of another format: expected at most {CARD_FORMAT}; update photochrom")
        table["vividness"] = tuple((float(t), float(g)) for t, g in table["vividness"])
        table["mean_chroma"] = tuple(table["mean_chroma"])
        table["confidence"] = tuple(tuple((float(x), float(y)) for x, y in curve) for curve in table.get("confidence", ()))
        if table.get("guest") is not None:
            table["guest"] = of_table(table["guest"])
        card = Card(**table)
        refuse_wrong(card)
        return card
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"the card of the model '{source}' is damaged: {one_line(error)}; export the model again") from error


def refuse_wrong(card: Card) -> None:
    """Refuse a card that contradicts itself, with ValueError."""
    if len(card.confidence) not in (0, len(card.vividness)) or not all(card.confidence):
        raise ValueError("confidence has not a curve for each row of vividness")
    if len(card.vividness) != 3 or len(card.mean_chroma) != 2 or card.size < 1 or card.stride < 1:
        raise ValueError("vividness has not three rows, mean_chroma not two numbers, or size or stride is not above 0")
    if card.padded and (not card.fixed or card.size % card.stride):
        raise ValueError("fit 'pad' is for a network that takes only squares, whose side is a multiple of the stride")
