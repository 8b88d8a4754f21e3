"""Measure Photochrom beside Pillow: warm, from a cold start, its memory; its growth with size; and the network alone.

Each round takes both once, and they take turns in going first, so that whatever else the machine does falls on both.
"""

from __future__ import annotations

import io
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

import photochrom
from bench import pictures
from photochrom.colorizer.colorizer import Colorizer, Options
from photochrom.colorizer.model import Model
from photochrom.photo.photo import LumaChoice

LAUNCH = Path(__file__).with_name("launch.py")
PILLOW = (
    "import sys; from PIL import Image; image = Image.open(sys.argv[1]); "
    f"(image if image.mode == 'RGB' else image.convert('RGB')).save(sys.argv[2], quality={pictures.QUALITY})"
)
"""What ``resave`` does, as a program."""


WARM: dict[LumaChoice, dict[str, float]] = {
    "fast": {"grey": 1.0, "grey as YCbCr": 1.3, "color": 1.3},
    "lossless": {"grey": 2.5},
}
"""The most that each may take, as a multiple of Pillow's time; for no figure nothing is asked."""
MEGAPIXELS = (1, 4, 16, 64)


@dataclass(frozen=True)
class Sample:
    """What one run took."""

    seconds: float
    processor: float
    """Seconds of processor time, of all threads together."""
    peak: int = 0
    """Bytes of memory at the most; 0 where it was not measured."""


@dataclass(frozen=True)
class Row:
    """A line of the table: our figure, Pillow's, and what is asked for."""

    name: str
    unit: str
    ours: float
    pillow: float | None = None
    required: float | None = None
    """The most that our figure may be."""
    required_ratio: float | None = None
    """The same as a multiple of Pillow's."""
    processor: float | None = None
    """Milliseconds of processor time, which a busy machine changes less."""
    pillow_processor: float | None = None

    @property
    def ratio(self) -> float | None:
        return self.ours / self.pillow if self.pillow else None

    @property
    def processor_ratio(self) -> float | None:
        return self.processor / self.pillow_processor if self.processor and self.pillow_processor else None

    @property
    def verdict(self) -> str:
        if self.required_ratio is not None:
            return "OK" if self.ratio is not None and self.ratio <= self.required_ratio else "MISSED"
        return "" if self.required is None else "OK" if self.ours <= self.required else "MISSED"


def warm(rounds: int) -> list[Row]:
    """Color a JPEG of 12 megapixels in memory by a loaded model, against Pillow decoding it and saving it as RGB."""
    model = Model.load()
    rows = []
    for luma, required in WARM.items():
        colorizer = Colorizer(model, Options(on_color="recolor", luma=luma))
        for name in ("grey", "grey as YCbCr", "color"):
            data = files()[name]
            ours = partial(timed, partial(photochrom.colorize, data, colorizer=colorizer))
            pair = side_by_side(ours, partial(timed, partial(resave, data)), rounds=rounds)
            rows.append(times(f"warm, {name}, {luma}", *pair, required_ratio=required.get(name)))
    return rows


def growth(rounds: int) -> list[Row]:
    """Give the exponent of time over pixels: the slope of a line through the logarithms of the medians."""
    model = Model.load()
    rows = []
    for luma in WARM:
        colorizer = Colorizer(model, Options(luma=luma))
        runs: list[list[Sample]] = [[] for _ in MEGAPIXELS]
        for _ in range(rounds + 1):
            for megapixels, samples in zip(MEGAPIXELS, runs, strict=True):
                samples.append(timed(partial(photochrom.colorize, large(megapixels), colorizer=colorizer)))
        name = f"growth, {MEGAPIXELS[0]} to {MEGAPIXELS[-1]} megapixels, {luma}"
        rows += exponents(name, MEGAPIXELS, [samples[1:] for samples in runs])
    return rows


def exponents(name: str, sizes: Sequence[float], runs: Sequence[Sequence[Sample]]) -> list[Row]:
    """Give the exponent of time, and of processor time, over sizes."""
    rows = []
    for what, attribute in (("time", "seconds"), ("processor", "processor")):
        medians = [statistics.median(getattr(run, attribute) for run in samples) for samples in runs]
        exponent = float(np.polyfit(np.log(sizes), np.log(medians), 1)[0])
        rows.append(Row(f"{name}, {what}", "", exponent, required=1.05))
    return rows


def cold(rounds: int) -> list[Row]:
    """Color one photograph by the command, against Python starting and Pillow decoding and saving."""
    required = {"grey": 4.0, "grey as YCbCr": 4.0}
    return [times(f"cold, {name}", *pair, required_ratio=required.get(name)) for name, pair in launches(rounds).items()]


def memory(rounds: int) -> list[Row]:
    """Give the peak memory of the runs of ``cold``: the largest, no median."""
    peaks = {name: [max(run.peak for run in runs) / 1e6 for runs in pair] for name, pair in launches(rounds).items()}
    return [Row(f"peak memory, {name}", "MB", *peak, required=400) for name, peak in peaks.items()]


def network(rounds: int) -> list[Row]:
    """Load the model, and run it forward on pictures of 4:3 and 3:2 at its own size, and on a larger one."""
    model = Model.load()
    rows = [times("network, load", [timed(Model.load) for _ in range(rounds)])]
    size, stride = model.card.size, model.card.stride
    wide = [round(size * sides / stride) * stride for sides in (4 / 3, 3 / 2)]
    for height, width in ((size, wide[0]), (size, wide[1]), (256, 256)):
        forward = partial(model.chroma, np.random.default_rng(0).random((1, 1, height, width), np.float32))
        forward()
        runs = [timed(forward) for _ in range(3 * rounds)]
        rows.append(times(f"network, {height} x {width}", runs, required=40 if height == size else None))
    return rows


@cache
def files() -> dict[str, bytes]:
    return pictures.files()


@cache
def large(megapixels: int) -> bytes:
    """Make a grey JPEG of 4:3."""
    with Image.open(io.BytesIO(files()["grey"])) as photo:
        size = round((megapixels * 4e6 / 3) ** 0.5), round((megapixels * 3e6 / 4) ** 0.5)
        return pictures.jpeg(photo.resize(size, Image.Resampling.BICUBIC))


@cache
def launches(rounds: int) -> dict[str, tuple[list[Sample], list[Sample]]]:
    """Start both commands again and again; the first time, when programs come from disk, does not count."""
    found = {}
    with TemporaryDirectory() as folder:
        source, ours, theirs = (str(Path(folder, name)) for name in ("photo.jpg", "ours.jpg", "pillow.jpg"))
        command = [sys.executable, "-m", "photochrom", "colorize", source, "-o", ours, "--overwrite"]
        baseline = [sys.executable, "-c", PILLOW, source, theirs]
        for name in ("grey", "grey as YCbCr", "grey, 1 megapixel"):
            Path(source).write_bytes(files()[name])
            found[name] = side_by_side(partial(launched, command), partial(launched, baseline), rounds=rounds)
    return found


def side_by_side(ours: Callable[[], Sample], theirs: Callable[[], Sample], *, rounds: int) -> tuple[list[Sample], list[Sample]]:
    jobs, samples = (ours, theirs), ([ours()], [theirs()])
    for turn in range(rounds):
        for one in (turn % 2, 1 - turn % 2):
            samples[one].append(jobs[one]())
    return samples[0][1:], samples[1][1:]


def times(
    name: str,
    ours: list[Sample],
    theirs: list[Sample] | None = None,
    *,
    required: float | None = None,
    required_ratio: float | None = None,
) -> Row:
    figures = [
        [1e3 * statistics.median(getattr(run, what) for run in runs) if runs else None for runs in (ours, theirs)]
        for what in ("seconds", "processor")
    ]
    return Row(name, "ms", *figures[0], required, required_ratio, *figures[1])


def timed(job: Callable[[], object]) -> Sample:
    wall, processor = time.perf_counter(), time.process_time()
    job()
    return Sample(time.perf_counter() - wall, time.process_time() - processor)


def launched(command: list[str]) -> Sample:
    done = subprocess.run([sys.executable, "-S", str(LAUNCH), *command], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return Sample(**json.loads(done.stdout))


def resave(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(data)) as image:
        # Pillow would copy a picture that is RGB already.
        (image if image.mode == "RGB" else image.convert("RGB")).save(buffer, "JPEG", quality=pictures.QUALITY)
    return buffer.getvalue()
