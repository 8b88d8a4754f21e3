"""Describe a study, one table of TOML, and expand it into the training runs of its grid."""

from __future__ import annotations

import difflib
import itertools
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

from msgspec import Meta

from photochrom.errors import ConfigError
from photochrom.evaluation.features import Features
from photochrom.training import regularizers as pieces
from photochrom.training.config import Config, from_table, read, to_table

Table = dict[str, Any]


@dataclass(frozen=True)
class Grid:
    """What is combined with what."""

    generators: Annotated[tuple[str, ...], Meta(min_length=1)]
    """Names of the study's own ``[generators.NAME]`` tables, or of generators of the training."""
    regularizers: Annotated[tuple[str, ...], Meta(min_length=1)] = ("none",)
    """Names of the study's own ``[regularizers.NAME]`` tables, or of regularizers of the training; ``a+b`` applies both."""
    seeds: Annotated[tuple[int, ...], Meta(min_length=1)] = (0,)
    """Each run is repeated with each seed."""
    more_baseline_seeds: tuple[int, ...] = ()
    """Further seeds of what all else is compared to, whose luck blurs every comparison: of the first regularizer, and in a grid
    with one regularizer of the first generator."""
    data: tuple[str, ...] = ()
    """Names of data sets; empty = every one that has a path."""


@dataclass(frozen=True)
class Test:
    """How the models are scored, all alike."""

    limit: Annotated[int, Meta(ge=0)] = 0
    """The most test photographs of each data set, spread evenly over it; 0 = all."""
    vividness: Annotated[float, Meta(ge=0, le=2)] = 0.0
    """0 takes a network's own answer; above it, chroma is scaled to a share of the truth's colorfulness."""
    frechet: Features = "efficientnet-lite0"
    """The network whose features the Frechet distance compares."""


@dataclass(frozen=True)
class Run:
    """One training run of the grid."""

    name: str
    """Its folder's name."""
    data: str
    generator: str
    regularizer: str
    seed: int
    config: Config = field(repr=False)


@dataclass(frozen=True)
class Study:
    """A study, expanded: the baseline is the first regularizer on the first generator."""

    title: str
    question: str
    """What the study is to answer, in a sentence or two; opens the report."""
    data: dict[str, Path]
    grid: Grid
    test: Test
    runs: tuple[Run, ...]


def presets() -> dict[str, Path]:
    """List the studies that come with the package, by name."""
    folder = Path(str(resources.files("photochrom.study"))) / "presets"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def load(source: str | Path, data: Mapping[str, Path]) -> Study:
    """Read a study from a preset's name or a TOML file.

    Args:
        source: the name of a preset, or the path of a TOML file.
        data: prepared folders by the name of their data set; they replace those of the file.

    Raises:
        ConfigError: there is no such file, a key or a name is unknown, a value is wrong, or a run of the grid is one that
            ``photochrom train`` refuses.
    """
    known = presets()
    try:
        table = tomllib.loads(known.get(str(source), Path(source)).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"no study '{source}': expected a TOML file or one of the presets {', '.join(known)}") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"cannot read the study '{source}': {error}") from error
    return from_tables(table, data, where=str(source))


def from_tables(table: Table, data: Mapping[str, Path], *, where: str = "study") -> Study:
    """Make a study of nested tables, as TOML has them; raises ConfigError as ``load`` does."""
    check_names(table, ("title", "question", "base", "grid", "test", "data", "generators", "regularizers"), where)
    for name in ("base", "grid"):
        if not isinstance(table.get(name), dict):
            raise ConfigError(f"{where}: the table [{name}] is missing; every study needs it")
    own = {kind: _tables(table, kind, where) for kind in ("data", "generators", "regularizers")}
    for name, row in own["data"].items():
        check_names(row, ("path",), f"{where}: data.{name}")
    paths = {name: Path(row["path"]) for name, row in own["data"].items() if "path" in row} | dict(data)
    grid = read(Grid, table["grid"], f"{where}: grid")
    test = read(Test, table.get("test", {}), f"{where}: test")
    grid = replace(grid, data=grid.data or tuple(paths))
    if not grid.data:
        raise ConfigError(f"{where} names no data: give --data NAME=FOLDER, once for each data set")
    check_names(data, {*grid.data, *own["data"]}, f"{where}: --data")
    for name in grid.data:
        if name not in paths:
            raise ConfigError(f"{where}: the data set '{name}' has no folder: give --data {name}=FOLDER")
    runs = tuple(_runs(table["base"], grid, own["generators"], own["regularizers"], where=where))
    title, question = str(table.get("title", where)), str(table.get("question", ""))
    return Study(title, question, {name: paths[name] for name in grid.data}, grid, test, runs)


def _runs(
    base: Table, grid: Grid, generators: Mapping[str, Table], regularizers: Mapping[str, Table], *, where: str
) -> Iterable[Run]:
    trained = get_args(get_type_hints(Config)["generator"])
    names: dict[str, str] = {}
    for data, generator, regularizer, seed in _cells(grid):
        cell = f"{data}, {generator}, {regularizer}, seed {seed}"
        check_names([generator], {*generators, *trained}, f"{where}: generators")
        table = base | generators.get(generator, {"generator": generator})
        parts = regularizer.split("+")
        check_names(parts, {*regularizers, *pieces.REGULARIZERS}, f"{where}: regularizers")
        # All at once: apply refuses two that contradict each other.
        table = pieces.apply(table, [part for part in parts if part not in regularizers])
        for part in parts:
            table = table | regularizers.get(part, {})
        config = from_table(table | {"seed": seed}, where=f"{where}: {cell}")
        name = re.sub(r"[^a-z0-9.+_]+", "-", f"{data}-{generator}-{regularizer}-s{seed}".lower())
        if name in names:
            raise ConfigError(f"{where}: {names[name]} and {cell} would share the folder '{name}': rename one of them")
        names[name] = cell
        yield Run(name, data, generator, regularizer, seed, config)


def _cells(grid: Grid) -> Iterable[tuple[str, str, str, int]]:
    """List the runs of a grid: data set, generator, regularizer and seed."""
    yield from itertools.product(grid.data, grid.generators, grid.regularizers, grid.seeds)
    compared = grid.generators if len(grid.regularizers) > 1 else grid.generators[:1]
    yield from itertools.product(grid.data, compared, grid.regularizers[:1], grid.more_baseline_seeds)


def check_names(found: Iterable[str], known: Iterable[str], where: str) -> None:
    """Refuse a name that is not known, with the closest ones that are.

    Raises:
        ConfigError: a name is unknown.
    """
    listed = sorted(known)
    for name in found:
        if name not in listed:
            close = difflib.get_close_matches(name, listed, n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(listed)}"
            raise ConfigError(f"{where}: unknown name '{name}'; {hint}")


def _tables(table: Table, kind: str, where: str) -> dict[str, Table]:
    found = table.get(kind, {})
    if not isinstance(found, dict) or not all(isinstance(row, dict) for row in found.values()):
        raise ConfigError(f"{where}: [{kind}] holds something else than tables: expected [{kind}.NAME] with settings")
    return dict(found)


def to_toml(config: Config) -> str:
    """Write a training configuration as TOML, every setting with its value, for ``photochrom train``."""

    def line(name: str, value: Any) -> str:
        return f"{name} = {json.dumps(value, ensure_ascii=False)}"  # TOML writes these values as JSON does

    table = to_table(config)
    stages = table.pop("stages")
    lines = [line(name, value) for name, value in table.items() if value is not None]
    for stage in stages:
        lines += ["", "[[stages]]", *(line(name, value) for name, value in stage.items() if value is not None)]
    return "\n".join(lines) + "\n"
