"""Measure a model: the command ``evaluate``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from photochrom.cli.summary import Bar, print_table
from photochrom.errors import OptionError
from photochrom.evaluation.goals import PROTOCOLS, SOURCES, Protocol
from photochrom.evaluation.protocols import Measured, Photographs

if TYPE_CHECKING:
    from photochrom.colorizer.colorizer import Colorizer


def evaluate(
    *models: Annotated[Path, Parameter(name="MODEL")],
    data: Annotated[list[Path] | None, Parameter(consume_multiple=True, negative="")] = None,
    video: Annotated[list[Path] | None, Parameter(consume_multiple=True, negative="")] = None,
    split: Literal["test", "train"] = "test",
    vividness: float | None = None,
    limit: int | None = None,
    protocol: Literal["scores", "all", Protocol] = "scores",
    json: Annotated[bool, Parameter(negative="")] = False,
    markdown: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Score models on test photographs, against grey and against the mean chroma of the training photographs.

    Parameters
    ----------
    models
        Model files of `photochrom export` or `photochrom adopt`, side by side in one table; without one, the model in the
        package.
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

    model, *others = models or (None,)
    if others and (video or protocol != "scores"):
        raise OptionError("--video and --protocol measure one model at a time: name one, or drop them to score several")
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
        found = scores.evaluate(model, data, others=others, split=split, vividness=vividness, limit=limit, progress=bar)
    if json:
        print(scores.to_json(found))
        return 0
    print_table(
        f"{found.model}, {found.split} photographs, vividness {found.vividness:g}", scores.SCORE_COLUMNS, scores.rows(found)
    )
    whose = f"The error of {found.subject}" if others else "The model's error"
    print_table(f"{whose} below each other's, in percent of grey's", scores.GAIN_COLUMNS, scores.gain_rows(found))
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
        print_table(title, footage.COLUMNS, footage.rows(tables))
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
            print_table(title, protocols.columns(table.protocol), protocols.cells(table))
            print(f"{protocols.notes(table)}\n")
    return 0


def _measure(colorizer: Colorizer, photographs: Photographs, names: Sequence[Protocol]) -> list[Measured]:
    """Measure by each protocol; among several, what the model does not do is left out and said to be."""
    from photochrom.evaluation import guidance, invariance, protocols

    card = colorizer.model.card
    lacking = {"hints": not card.clickable, "confidence": not card.confidence}
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
