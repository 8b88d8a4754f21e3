"""Color photographs in buckets, in parts, and on many machines; the command ``compact``."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from photochrom.cli.summary import Bar, Tally, terminable
from photochrom.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from photochrom.batch.cloud import Pool, Request
    from photochrom.batch.slices import Job
    from photochrom.colorizer.colorizer import Colorizer

Engine = Literal["local", "ray"]
Place = Path | str
"""A path, or the address of a bucket."""


def place_of(text: str) -> Place:
    """Return the address of a bucket as it is, and everything else as a path."""
    return text if text.partition("://")[0] in ("s3", "gs", "az") and "://" in text else Path(text)


def request_of(
    inputs: Sequence[Place],
    output: Place | None,
    *,
    part: str | None,
    include: Sequence[str],
    exclude: Sequence[str],
    overwrite: bool,
) -> Request:
    """Return what is to be colored, of the arguments of the command.

    Raises:
        OptionError: there are several inputs, or the part is none.
    """
    from photochrom.batch.cloud import Request
    from photochrom.batch.join import Share
    from photochrom.batch.run import Selection

    if len(inputs) > 1:
        raise OptionError(
            f"a bucket, --part and --engine take one input, and {len(inputs)} are given: run the command for each"
        )
    return Request(
        str(inputs[0]),
        None if output is None else str(output),
        selection=Selection(tuple(include), tuple(exclude)),
        share=Share.parse(part) if part else Share(),
        overwrite=overwrite,
    )


def colorize_cloud(
    colorizer: Colorizer,
    request: Request,
    *,
    engine: Engine,
    address: str | None,
    jobs: int | None,
    model: Path | None,
    tally: Tally,
) -> int:
    """Color the photographs of a bucket or folder by the engine; returns the exit code."""
    from photochrom.batch import cloud

    pool: Callable[[Job], Pool] | None = None
    if engine == "ray":
        from photochrom.batch.remote import connect

        pool = connect(address, jobs=jobs)
        jobs = None
    elif address is not None:
        raise OptionError("--address names a Ray cluster: give --engine ray too")
    content = model.read_bytes() if model else None
    with (
        terminable(),
        Bar("Coloring") as bar,
        closing(cloud.run(colorizer, request, jobs=jobs, pool=pool, model=content)) as outcomes,
    ):
        for outcome in outcomes:
            tally.tell(outcome)
            bar(tally.done, None)
    tally.sum_up()
    return tally.code


def compact(
    place: Annotated[str, Parameter(name="PLACE")],
    /,
    *,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative="")] = False,
) -> int:
    """Merge the manifest of a bucket into one sorted file, so that the next run reads it much faster.

    Parameters
    ----------
    place
        Where the results are: s3://BUCKET/PATH, gs://..., az://..., or a folder that was colored with --part or --engine.
    quiet
        Print nothing.
    """
    from photochrom.batch import cloud

    photographs, objects = cloud.compact(place)
    if not quiet:
        print(
            f"{place}: {photographs:,} photographs in one file, in place of {objects:,}"
            if objects
            else f"{place}: nothing to do"
        )
    return 0
