"""Print how fast Photochrom is, beside what is asked of it: ``python -m bench [NAME...]``."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import os
import platform
from importlib.metadata import version

from bench import batch, film, guest, huge, speed

TABLES = {
    "warm": speed.warm,
    "cold": speed.cold,
    "memory": speed.memory,
    "growth": speed.growth,
    "network": speed.network,
    "huge": huge.huge,
    "batch": batch.batch,
    "film": film.film,
    "guest": guest.guest,
    "long": film.whole,
}
LONG = ("guest", "long")
"""Tables that take long, and are printed only where they are named."""
PROGRAMS = ("nodes", "stages", "training", "upsample")
"""Modules that print a table of their own."""
LIBRARIES = ("numpy", "onnxruntime", "opencv-python-headless", "pillow", "simplejpeg")
HEAD = ("", "Photochrom", "Pillow", "ratio", "required", "", "processor ms", "Pillow's", "ratio")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        default=[*(name for name in TABLES if name not in LONG), "training"],
        help=f"{', '.join(TABLES)} and training (all but {', '.join(LONG)} without a NAME), or nodes, stages, upsample",
    )
    parser.add_argument("--rounds", type=int, default=15, help="how often each is run")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - {*TABLES, *PROGRAMS}
    if unknown or arguments.rounds < 1:
        parser.error(f"unknown: {', '.join(unknown)}" if unknown else "--rounds must be 1 or more")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what is measured is installed, and so compiled
    machine = {
        "processors": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
    }
    rows = [row for name in arguments.names if name in TABLES for row in TABLES[name](arguments.rounds)]
    if arguments.json:
        print(json.dumps({"machine": machine, "rounds": arguments.rounds, "rows": [as_dict(row) for row in rows]}, indent=2))
    elif rows:
        print("; ".join(f"{name} {value}" for name, value in machine.items()))
        print(f"Medians of {arguments.rounds} rounds side by side; 12 megapixels but where said; peak memory is the largest.\n")
        print_table([HEAD, *map(cells, rows)])
        if machine["load"] > 0.5:
            print(f"\nOther programs were running (load {machine['load']}): times are too long, ratios are what counts.")
    for name in arguments.names:
        if name in PROGRAMS and not arguments.json:
            print()
            importlib.import_module(f"bench.{name}").main()  # not before: torch would take memory and threads from the others


def as_dict(row: speed.Row) -> dict[str, object]:
    return dataclasses.asdict(row) | {name: getattr(row, name) for name in ("ratio", "processor_ratio", "verdict")}


def cells(row: speed.Row) -> tuple[str, ...]:
    required = f"{row.required_ratio:.1f} x" if row.required_ratio else amount(row.required, row.unit)
    return (
        row.name,
        amount(row.ours, row.unit),
        amount(row.pillow, row.unit),
        ratio(row.ratio),
        required and f"<= {required}",
        row.verdict,
        amount(row.processor),
        amount(row.pillow_processor),
        ratio(row.processor_ratio),
    )


def amount(value: float | None, unit: str = "") -> str:
    return "" if value is None else f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f} {unit}".rstrip()


def ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f} x"


def print_table(rows: list[tuple[str, ...]]) -> None:
    """Print a table that is Markdown too."""
    widths = [max(3, *map(len, column)) for column in zip(*rows, strict=True)]
    for number, row in enumerate(rows):
        print("| " + " | ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) + " |")
        if number == 0:
            print("|" + "|".join(["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])]) + "|")


if __name__ == "__main__":
    main()
