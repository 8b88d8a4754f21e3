"""Lay photographs out on a contact sheet: grey, colorized and, where the source is in color, true."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from photochrom.color import Bytes, Picture
from photochrom.errors import OutputError
from photochrom.photo.convert import from_array
from photochrom.photo.toning import judge

Paint = Callable[[Bytes], Picture]
"""Color ``(H, W)`` uint8 luma: ``Colorizer.paint``."""

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


def lay_out(
    pictures: Iterable[Picture],
    *paints: Paint,
    height: int,
    columns: int,
    captions: Sequence[str] = (),
    names: Sequence[str] = (),
) -> bytes:
    """Make the sheet of pictures in memory.

    Args:
        pictures: upright, ``(H, W, 3)`` uint8 RGB.
        paints: a colorized cell of each picture for each of these.
        height: pixels of a cell.
        columns: pictures beside each other.
        captions: a line under each picture; or none.
        names: what stands under the cell of each paint; or none.

    Returns:
        A JPEG file.

    Raises:
        OutputError: it is too large.
    """
    strips = [_strip(picture, paints, height, names) for picture in pictures]
    widths = [max(strip.width for strip in strips[column::columns]) for column in range(min(columns, len(strips)))]
    rows, tall = -(-len(strips) // columns), height + (CAPTION_PIXELS if captions or names else 0) + GAP_PIXELS
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


def _strip(photo: Picture, paints: Sequence[Paint], height: int, names: Sequence[str]) -> Image.Image:
    image = Image.fromarray(photo)
    grey = image.convert("L")
    cells = [grey, *(Image.fromarray(paint(np.asarray(grey))) for paint in paints)]
    if judge(from_array(photo)).kind == "color":
        cells.append(image)
    scale = min(height / image.height, WIDEST * height / image.width)
    width, tall = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    whole = height + (CAPTION_PIXELS if names else 0)
    strip = Image.new("RGB", (len(cells) * (width + SEAM_PIXELS) - SEAM_PIXELS, whole), BACKGROUND)
    pen, font = ImageDraw.Draw(strip), ImageFont.load_default(CAPTION_PIXELS * 0.7)
    for index, cell in enumerate(cells):
        left = index * (width + SEAM_PIXELS)
        if 1 <= index <= len(names):
            name = names[index - 1]
            while name and font.getlength(name) > width:
                name = name[:-1]
            pen.text((left, height), name, fill=INK, font=font)
        strip.paste(cell.resize((width, tall), Image.Resampling.LANCZOS), (left, (height - tall) // 2))
    return strip
