"""Lay out photographs as the models of a study color them."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from photochrom.color import Picture
from photochrom.colorizer.colorizer import Colorizer, Options
from photochrom.evaluation import scores as evaluate
from photochrom.evaluation.metrics import Predict
from photochrom.study.config import Run, Study
from photochrom.study.results import baseline_scores, photograph_scores
from photochrom.study.worker import MODEL, RUNS, SCORES, test_photographs
from photochrom.training.data.shards import evenly

HEIGHT_PIXELS = 112
SHOWN = 3
"""Photographs of each test set in the panels."""
EXTREMES = 3
"""Best, and worst, photographs of a model."""

Cell = tuple[str, str, str]
"""Training data, generator, regularizer."""


@dataclass(frozen=True)
class Shown:
    """The photographs that the models are shown on."""

    study: Study
    own: tuple[Picture, ...] = ()
    """Photographs of one's own; none = some test photographs of each data set."""

    @property
    def sets(self) -> tuple[str, ...]:
        """Names of the sets of photographs; one without a name for one's own."""
        return ("",) if self.own else tuple(self.study.data)

    def title(self, test: str) -> str:
        """Return the heading over a set of photographs."""
        return "Photographs of no data set" if self.own else f"Test photographs of {test}"

    def of(self, test: str) -> tuple[Picture, ...]:
        """Read the photographs of a set."""
        if self.own:
            return self.own
        members = evenly(test_photographs(self.study.data[test], self.study.test.limit), SHOWN)
        return tuple(member.read() for member in members)


def first_runs(study: Study, output: Path) -> dict[Cell, Run]:
    """Find the finished run of each combination with the first seed."""
    found: dict[Cell, Run] = {}
    for run in study.runs:
        if (output / RUNS / run.name / SCORES).exists():
            found.setdefault((run.data, run.generator, run.regularizer), run)
    return found


def painter(study: Study, output: Path, run: Run) -> Predict:
    """Load a run's exported model to color luma with, as it was scored."""
    options = Options(vividness=study.test.vividness)
    return Colorizer.load(output / RUNS / run.name / MODEL, options=options, threads=1).paint


@dataclass(frozen=True)
class Shot:
    """One small picture of the page."""

    name: str
    uri: str
    """The picture itself, as an address."""


@dataclass(frozen=True)
class Strip:
    """One photograph, several times side by side."""

    shots: tuple[Shot, ...]
    note: str = ""


@dataclass(frozen=True)
class Block:
    """Strips under a heading."""

    title: str
    strips: tuple[Strip, ...]


def by_training_data(study: Study, output: Path, shown: Shown) -> list[Block]:
    """Show grey, truth and the models of each data set, in the first regularizer, for each generator: the original's panels."""
    runs = first_runs(study, output)
    regularizer = study.grid.regularizers[0]
    columns = {
        (f"{generator}, trained on {data}" if len(study.grid.generators) > 1 else f"trained on {data}"): run
        for generator in study.grid.generators
        for data in study.grid.data
        if (run := runs.get((data, generator, regularizer)))
    }
    return _blocks(study, output, {shown.title(test): (shown.of(test), columns) for test in shown.sets})


def by_regularizer(study: Study, output: Path, shown: Shown) -> list[Block]:
    """Show grey, truth and one model for each regularizer, trained on the data set that the photographs are of."""
    runs = first_runs(study, output)
    wanted: dict[str, tuple[Sequence[Picture], dict[str, Run]]] = {}
    for test in study.data:
        columns: dict[str, Run] = {}
        for generator in study.grid.generators:
            for regularizer in study.grid.regularizers:
                run = runs.get((test, generator, regularizer))
                name = f"{generator} / {regularizer}" if len(study.grid.generators) > 1 else regularizer
                if run:
                    columns[name] = run
        wanted[shown.title(test) if shown.sets != ("",) else f"Trained on {test}"] = shown.of(test), columns
    return _blocks(study, output, wanted)


def extremes(study: Study, output: Path, run: Run, test: str) -> list[Block]:
    """Show the photographs on which a run gains most over grey and those on which it loses most."""
    scores = photograph_scores(output, run, test)
    if not scores:
        return []
    grey = baseline_scores(output, test)["grey"]
    gains = np.array([before.disparity - after.disparity for after, before in zip(scores, grey, strict=True)])
    photographs = test_photographs(study.data[test], study.test.limit)
    paint = painter(study, output, run)
    order = [int(place) for place in np.argsort(-gains, kind="stable")]
    count = min(EXTREMES, len(order) // 2)
    blocks = []
    for title, places in (("Best", order[:count]), ("Worst", order[::-1][:count])):
        strips = []
        for place in places:
            truth = photographs[place].read()
            luma = evaluate.luma_of(truth)
            shots = _shots([("grey", evaluate.grey(luma)), ("model", paint(luma)), ("truth", truth)])
            strips.append(Strip(shots, f"{gains[place]:+.2f} points"))
        blocks.append(Block(f"{title}, by the disparity gained over grey", tuple(strips)))
    return blocks


def _blocks(study: Study, output: Path, wanted: Mapping[str, tuple[Sequence[Picture], Mapping[str, Run]]]) -> list[Block]:
    paint: dict[str, Predict] = {}
    blocks = []
    for title, (pictures, runs) in wanted.items():
        if not runs:
            continue
        for run in runs.values():
            paint.setdefault(run.name, painter(study, output, run))
        strips = []
        for truth in pictures:
            luma = evaluate.luma_of(truth)
            cells = [("grey", evaluate.grey(luma)), ("truth", truth)]
            strips.append(Strip(_shots([*cells, *((name, paint[run.name](luma)) for name, run in runs.items())])))
        blocks.append(Block(title, tuple(strips)))
    return blocks


def _shots(cells: Sequence[tuple[str, Picture]]) -> tuple[Shot, ...]:
    return tuple(Shot(name, picture_uri(picture.tobytes(), picture.shape)) for name, picture in cells)


@lru_cache(maxsize=64)
def picture_uri(pixels: bytes, shape: tuple[int, ...]) -> str:
    """Write an RGB picture of some (H, W, 3) shape as the address of a small JPEG inside the page."""
    image = Image.fromarray(np.frombuffer(pixels, np.uint8).reshape(shape))
    width = max(1, round(image.width * HEIGHT_PIXELS / image.height))
    file = io.BytesIO()
    image.resize((width, HEIGHT_PIXELS), Image.Resampling.LANCZOS).save(file, "JPEG", quality=88, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")
