"""Turn photographs into training data: the command ``prepare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from photochrom.cli.summary import Bar, print_table
from photochrom.training.data.prepare import PrepareOptions

if TYPE_CHECKING:
    pass

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
    print_table(f"{source} -> {output}", ("what", "figure"), describe(manifest))
    return 0
