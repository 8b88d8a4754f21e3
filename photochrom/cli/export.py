"""Write a model file: the command ``export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    pass

Output = Annotated[Path, Parameter(name=["--output", "-o"])]


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
        The model's name in its card; by default the name of the run's folder.
    newest
        Take the newest checkpoint instead of the one with the best validation score.
    """
    from photochrom.training.export import export as write

    done = write(run, output, data=data, name=name, newest=newest)
    print(f"{done.path}: {done.bytes / 1e6:.1f} MB; largest difference between torch and ONNX {done.largest_difference:.2g}")
    return 0
