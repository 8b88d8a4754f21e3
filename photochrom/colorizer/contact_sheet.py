"""Lay photographs out on a contact sheet: grey, colorized and, where the source is in color, true."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from photochrom.color import Picture
from photochrom.errors import OptionError, OutputError, PhotoError, one_line
from photochrom.evaluation.metrics import Predict
from photochrom.photo.convert import from_array
from photochrom.photo.formats import SUFFIXES
from photochrom.photo.toning import judge
from photochrom.training.data.shards import evenly, members

GAP_PIXELS, SEAM_PIXELS = 10, 2
"""Distance of photographs, and of the cells of one."""

BACKGROUND, INK = (245, 245, 245), (40, 40, 40)

CAPTION_PIXELS = 20
"""Height of the line under a photograph, where there is one."""

WIDEST = 2
"""A cell is at most this many times as wide as high, so that one panorama does not stretch its whole column."""

JPEG_QUALITY = 90
JPEG_LONGEST_PIXELS = 65_500
"""Longest side that libjpeg encodes."""


def sheet(photos: Sequence[Path], predict: Predict, *, height: int = 256, columns: int = 2, limit: int | None = None) -> bytes:
    """Make a contact sheet of photographs, each as two or three cells side by side.

    Args:
        photos: photographs, folders of them (however deep) and prepared ``.tar`` shards.
        predict: turns ``(H, W)`` uint8 luma into ``(H, W, 3)`` uint8 RGB; it gets the photographs at full size.
        height: pixels of a cell.
        columns: photographs beside each other.
        limit: the most photographs of each folder or shard, spread evenly over it.

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
    return lay_out(pictures(photos, limit=limit), predict, height=height, columns=columns)


def lay_out(pictures: Iterable[Picture], predict: Predict, *, height: int, columns: int, captions: Sequence[str] = ()) -> bytes:
    """Make the sheet of pictures in memory, upright ``(H, W, 3)`` uint8 RGB, with a caption under each where there are some.

    Raises:
        OutputError: it is too large.
    """
    strips = [_strip(picture, predict, height) for picture in pictures]
    widths = [max(strip.width for strip in strips[column::columns]) for column in range(min(columns, len(strips)))]
    rows, tall = -(-len(strips) // columns), height + (CAPTION_PIXELS if captions else 0) + GAP_PIXELS
    size = sum(widths) + GAP_PIXELS * (len(widths) + 1), rows * tall + GAP_PIXELS
    if max(size) > JPEG_LONGEST_PIXELS:
        raise OutputError(
            f"a sheet of {len(strips)} photographs would be {size[0]} x {size[1]} pixels, a JPEG file holds at most "
            f"{JPEG_LONGEST_PIXELS} a side; ask for fewer photographs, a lower height or another number of columns"
        )
    page = Image.new("RGB", size, BACKGROUND)
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(CAPTION_PIXELS * 0.7)
    for index, strip in enumerate(strips):
        row, column = divmod(index, columns)
        left, top = sum(widths[:column]) + GAP_PIXELS * (column + 1), row * tall + GAP_PIXELS
        page.paste(strip, (left, top))
        if captions:
            pen.text((left, top + height), captions[index], fill=INK, font=font)
    file = io.BytesIO()
    # Chroma at full size: halved, it would bleed over the seam into the grey cell.
    page.save(file, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return file.getvalue()


def _strip(photo: Picture, predict: Predict, height: int) -> Image.Image:
    image = Image.fromarray(photo)
    grey = image.convert("L")
    cells = [grey, Image.fromarray(predict(np.asarray(grey)))]
    if judge(from_array(photo)).kind == "color":
        cells.append(image)
    scale = min(height / image.height, WIDEST * height / image.width)
    width, tall = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    strip = Image.new("RGB", (len(cells) * (width + SEAM_PIXELS) - SEAM_PIXELS, height), BACKGROUND)
    for index, cell in enumerate(cells):
        strip.paste(cell.resize((width, tall), Image.Resampling.LANCZOS), (index * (width + SEAM_PIXELS), (height - tall) // 2))
    return strip


def pictures(photos: Sequence[Path], *, limit: int | None = None) -> Iterator[Picture]:
    """Read photographs, folders of them and shards as upright ``(H, W, 3)`` uint8 RGB; raises as ``sheet`` does."""
    for path in photos:
        if path.suffix == ".tar":
            yield from (member.read() for member in members([path], limit=limit))
        elif path.is_dir():
            found = sorted(inside for inside in path.rglob("*") if inside.suffix.lower() in SUFFIXES)
            if not found:
                raise PhotoError(f"{path}: no photograph ({', '.join(SUFFIXES)}) is in this folder; name one that holds some")
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
