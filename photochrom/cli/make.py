"""Commands for those who make a model: prepare, train, export, evaluate."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from photochrom.cli.bar import Bar
from photochrom.errors import OptionError
from photochrom.evaluation.goals import PROTOCOLS, SOURCES, Protocol
from photochrom.evaluation.protocols import Measured, Photographs
from photochrom.training.data.prepare import PrepareOptions

if TYPE_CHECKING:
    from photochrom.colorizer.colorizer import Colorizer
    from photochrom.training.loop import Report

Data = Annotated[list[Path], Parameter(consume_multiple=True, negative="")]
Output = Annotated[Path, Parameter(name=["--output", "-o"])]


def prepare(
    source: str,
    /,
    *,
    output: Output,
    options: Annotated[PrepareOptions | None, Parameter(name="*", negative_iterable="")] = None,
) -> int:
    """Turn photographs into the shards that training reads: small JPEGs in tar files, and a manifest.

    Photographs that are unreadable, grey or toned, tiny, or copies of others are left out and counted.

    Parameters
    ----------
    source
        A folder, a zip, a tar, or a data set of the Hugging Face hub as hf:owner/name or hf:owner/name:split.
    output
        The folder to make.
    options
        How to prepare.
    """
    from photochrom.training.data.manifest import describe
    from photochrom.training.data.prepare import prepare as run

    with Bar("Preparing") as bar:
        manifest = run(source, output, options=options, progress=bar)
    _table(f"{source} -> {output}", ("what", "figure"), describe(manifest))
    return 0


def train(
    config: str,
    /,
    *,
    data: Data,
    output: Output,
    devices: int = 1,
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    workers: int = 0,
    init: Path | None = None,
    set_: Annotated[list[str] | None, Parameter(name="--set", negative="")] = None,
) -> int:
    """Train a generator, or go on with a training that was stopped: the same command resumes it.

    Parameters
    ----------
    config
        A preset (release, photochrom, unet, plain, original-pix2pix, original-alternative) or a TOML file.
    data
        Folders that `photochrom prepare` made.
    output
        The folder of the run.
    devices
        Processes, each with a device of its own. On a CPU, one for each core is the fastest.
    accelerator
        Kind of the devices.
    workers
        Processes for each device that decode photographs.
    init
        A checkpoint of another run (its best.pt), or a model file, such as photochrom/colorizer/weights/photochrom.onnx, whose
        generator a new run starts from. A run that goes on has its own.
    set_
        Replace a setting of the configuration: --set batch=16 --set stages.0.images=50000.
    """
    from photochrom.training.config import load
    from photochrom.training.loop import train as run

    settings = load(config, set_ or [])
    if devices < 1 or workers < 0:
        raise OptionError(f"devices is {devices} and workers is {workers}: expected 1 or more, and 0 or more")
    progress = run(
        settings,
        data,
        run=output,
        devices=devices,
        accelerator=accelerator,
        workers=workers,
        init=init,
        report=Watcher(sys.stderr.isatty()),
    )
    print(
        f"{output}: {progress.images_seen} images in {progress.seconds / 3600:.2f} h; "
        f"best at {progress.best_images} images, score {progress.best_score:.3f}"
        + ("; stopped early" if progress.stopped_early else "")
    )
    return 0


def export(
    run: Path,
    /,
    *,
    output: Output,
    data: Annotated[list[Path] | None, Parameter(consume_multiple=True, negative="")] = None,
    name: str | None = None,
    newest: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Write a run's generator as one self-describing ONNX file, and prove that ONNX Runtime answers as torch does.

    Parameters
    ----------
    run
        A folder of `photochrom train`.
    output
        The ONNX file to write; an existing one is replaced.
    data
        The run's prepared data, where they have moved: vividness is calibrated on the photographs set aside for validation.
    name
        The model's name in its card; by default that of the run's folder.
    newest
        Take the newest checkpoint instead of the one with the best validation score.
    """
    from photochrom.training.export import export as write

    done = write(run, output, data=data, name=name, newest=newest)
    print(f"{done.path}: {done.bytes / 1e6:.1f} MB; largest difference between torch and ONNX {done.largest_difference:.2g}")
    return 0


def evaluate(
    model: Path | None = None,
    /,
    *,
    data: Annotated[list[Path] | None, Parameter(consume_multiple=True, negative="")] = None,
    video: Annotated[list[Path] | None, Parameter(consume_multiple=True, negative="")] = None,
    split: Literal["test", "train"] = "test",
    vividness: float | None = None,
    limit: int | None = None,
    protocol: Literal["scores", "all", Protocol] = "scores",
    json: Annotated[bool, Parameter(negative="")] = False,
    markdown: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Score a model file on test photographs, against grey and against the mean chroma of the training photographs.

    Parameters
    ----------
    model
        A model file of `photochrom export`; without it, the model in the package.
    data
        Folders that `photochrom prepare` made; needed but for --video.
    video
        Measure film instead of photographs: clips in color, and camera moves over the photographs of folders that `photochrom
        prepare` made, named here or as --data.
    split
        Which shards.
    vividness
        From 0 (most faithful) over 1, the default, to 2 (most vivid), for the protocol scores; every other has its own.
    limit
        Take at most so many photographs of each data set; with --video, so many films of each camera move.
    protocol
        What to measure: scores (against both baselines), or what a release must reach, beside what others published: frontier
        (from faithful to vivid), hints (what they add), confidence (whether it holds), robustness (to turning, mirroring,
        resizing, long pictures), recognition (by an ImageNet network), frechet (the distance to true photographs), or all of
        these.
    json
        Print one JSON object instead of tables.
    markdown
        Print Markdown instead of tables, for a model card or docs/steadiness.md; not for the protocol scores of photographs.
    """
    from photochrom.evaluation import scores

    if json and markdown:
        raise OptionError("--json and --markdown are two forms of the same output: drop one of them")
    if video:
        if protocol != "scores":
            raise OptionError("--video measures film, --protocol is for photographs: drop one of them")
        sources = [*video, *(data or [])]
        return _film(model, sources, split=split, vividness=vividness, limit=limit, json=json, markdown=markdown)
    if not data:
        raise OptionError("there is nothing to measure: give --data FOLDER, or --video CLIP")
    if protocol != "scores":
        if vividness is not None:
            raise OptionError(f"--vividness is for the protocol scores, but the protocol is {protocol}: drop one of them")
        return _protocols(protocol, model, Photographs(data, split, limit), json=json, markdown=markdown)
    if markdown:
        raise OptionError("--markdown is for every protocol but scores, and the protocol is scores: name another, or drop it")
    vividness = 1.0 if vividness is None else vividness
    with Bar("Scoring") as bar:
        found = scores.evaluate(model, data, split=split, vividness=vividness, limit=limit, progress=bar)
    if json:
        print(scores.to_json(found))
        return 0
    _table(f"{found.model}, {found.split} photographs, vividness {found.vividness:g}", scores.SCORE_COLUMNS, scores.rows(found))
    _table("The model's error below each baseline's, in percent of grey's", scores.GAIN_COLUMNS, scores.gain_rows(found))
    return 0


def _film(
    model: Path | None,
    sources: list[Path],
    *,
    split: Literal["test", "train"],
    vividness: float | None,
    limit: int | None,
    json: bool,
    markdown: bool,
) -> int:
    from photochrom.colorizer.colorizer import Colorizer, Options
    from photochrom.evaluation import video as footage

    colorizer = Colorizer.load(model, options=Options(vividness=1.0 if vividness is None else vividness))
    with Bar("Measuring") as bar:
        tables = footage.measure(colorizer, sources, split=split, limit=limit, progress=bar)
    title = f"{colorizer.model.card.name} ({colorizer.model.hash[:12]}), film, vividness {colorizer.options.vividness:g}"
    if json:
        print(footage.to_json(tables, model=colorizer.model.card.name, split=split))
    elif markdown:
        print(footage.markdown(tables, title=title), end="")
    else:
        _table(title, footage.COLUMNS, footage.rows(tables))
    return 0


def _protocols(
    protocol: Literal["all", Protocol], model: Path | None, photographs: Photographs, *, json: bool, markdown: bool
) -> int:
    from photochrom.colorizer.colorizer import Colorizer, Options
    from photochrom.evaluation import protocols

    colorizer = Colorizer.load(model, options=Options())
    card = colorizer.model.card
    named = f"{card.name} ({colorizer.model.hash[:12]})"
    tables = _measure(colorizer, photographs, PROTOCOLS if protocol == "all" else (protocol,))
    if json:
        print(protocols.to_json(tables, model=named, split=photographs.split))
    elif markdown:
        print(protocols.markdown(tables, model=named, split=photographs.split), end="")
    else:
        for table in tables:
            title = protocols.title(table, model=named, split=photographs.split)
            _table(title, protocols.columns(table.protocol), protocols.cells(table))
            print(f"{protocols.notes(table)}\n")
    return 0


def _measure(colorizer: Colorizer, photographs: Photographs, names: Sequence[Protocol]) -> list[Measured]:
    """Measure by each protocol; among several, what the model does not do is left out and said to be."""
    from photochrom.evaluation import guidance, invariance, protocols

    card = colorizer.model.card
    lacking = {"hints": not card.hints, "confidence": not card.confidence}
    without_torch = {
        "frontier": protocols.frontier,
        "hints": guidance.hints,
        "confidence": guidance.confidence,
        "robustness": invariance.robustness,
    }
    looks = None
    tables = []
    for name in names:
        if len(names) > 1 and lacking.get(name):
            tables.append(Measured(name, 0, {}, lacks=f"the model has no {name}"))
            continue
        with Bar(SOURCES[name].title) as bar:
            shown = replace(photographs, progress=bar)
            if name in without_torch:
                tables.append(without_torch[name](colorizer, shown))
            else:
                from photochrom.evaluation import features

                looks = looks or features.look(colorizer, shown)
                tables.append(features.recognition(looks) if name == "recognition" else features.frechet(looks))
    return tables


@dataclass
class Watcher:
    """Show a training: a bar on a terminal, a line for each line of the log elsewhere."""

    terminal: bool
    bar: Any = None

    def __call__(self, report: Report) -> None:
        """Show one report."""
        left = (report.images - report.images_seen) / max(report.images_per_second, 1e-9)
        text = "  ".join(f"{name} {value:.4g}" for name, value in (report.losses | report.validation).items())
        line = f"{report.images_seen}/{report.images} images  {report.images_per_second:.1f}/s  {_time(left)} left  {text}"
        if not self.terminal:
            print(line, file=sys.stderr, flush=True)
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        if self.bar is None:
            columns = (BarColumn(), TextColumn("{task.description}"))
            self.bar = Progress(*columns, console=Console(stderr=True))
            self.bar.start()
            self.bar.add_task(line, total=report.images)
        self.bar.update(0, completed=report.images_seen, description=line)
        if report.validation or report.images_seen >= report.images:
            self.bar.console.print(line)
        if report.images_seen >= report.images:
            self.bar.stop()


def _time(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"


def _table(title: str, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right")
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 200).print(table)
