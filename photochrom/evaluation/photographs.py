"""Read photographs to look at or to measure: files, folders and shards; and draw them on a contact sheet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from photochrom.color import Picture
from photochrom.colorizer.contact_sheet import lay_out
from photochrom.errors import OptionError, PhotoError, one_line
from photochrom.evaluation.metrics import Predict
from photochrom.photo.formats import SUFFIXES
from photochrom.training.data.shards import evenly, members


def sheet(
    photos: Sequence[Path],
    *predicts: Predict,
    height: int = 256,
    columns: int = 2,
    limit: int | None = None,
    names: Sequence[str] = (),
) -> bytes:
    """Make a contact sheet of photographs, each as cells side by side: grey, colorized, and true where it is in color.

    Args:
        photos: photographs, folders of them (however deep) and prepared ``.tar`` shards.
        predicts: a cell for each; it turns ``(H, W)`` uint8 luma of full size into ``(H, W, 3)`` uint8 RGB.
        height: pixels of a cell.
        columns: photographs beside each other.
        limit: the most photographs of each folder or shard, spread evenly over it.
        names: what stands under the cell of each predictor; or none.

    Returns:
        A JPEG file.

    Raises:
        OptionError: height, columns or limit is below 1, or no photographs are named.
        PhotoError: a photograph is missing or cannot be decoded, or a folder holds none.
        DataError: a shard cannot be read.
        OutputError: the sheet is too large for JPEG.
    """
    for name, number in (("height", height), ("columns", columns), ("limit", limit)):
        if number is not None and number < 1:
            raise OptionError(f"{name} is {number}; a sheet needs 1 or more")
    if not photos:
        raise OptionError("no photograph was named; give at least one file, folder or shard")
    return lay_out(pictures(photos, limit=limit), *predicts, height=height, columns=columns, names=names)


def pictures(photos: Sequence[Path], *, limit: int | None = None) -> Iterator[Picture]:
    """Read photographs, folders of them and shards as upright ``(H, W, 3)`` uint8 RGB; raises as ``sheet`` does."""
    for path in photos:
        if path.suffix == ".tar":
            yield from (member.read() for member in members([path], limit=limit))
        elif path.is_dir():
            found = sorted(inside for inside in path.rglob("*") if inside.suffix.lower() in SUFFIXES)
            if not found:
                raise PhotoError(
                    f"no photograph ({', '.join(SUFFIXES)}) is in this folder; name one that holds some", path=path
                )
            yield from map(_read_file, evenly(found, limit))
        else:
            yield _read_file(path)


def _read_file(path: Path) -> Picture:
    try:
        with Image.open(path) as image:
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise PhotoError(
            f"{path} cannot be read ({one_line(error)}); leave it out or give a {', '.join(SUFFIXES)} file"
        ) from error
