"""Write maps of confidence."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from photochrom import files
from photochrom.colorizer import proxy, stream
from photochrom.colorizer.colorizer import Colorizer
from photochrom.photo import convert


def write_map(colorizer: Colorizer, source: Path, target: Path, *, overwrite: bool) -> None:
    """Write the map of confidence of a photograph as a grey PNG.

    Raises:
        PhotoError: the photograph is damaged or too large.
        OptionError: the model states no confidence, or a hint lies outside the photograph.
        OutputError: the target exists or cannot be written.
    """
    if scan := stream.scan(source):
        proxy.confidence(scan, colorizer, target, overwrite=overwrite)
        return
    read = convert.read(source, max_pixels=colorizer.options.max_pixels)
    file = io.BytesIO()
    Image.fromarray(colorizer.confidence(read.shown, orientation=read.orientation, profile=read.icc)).save(file, "PNG")
    files.save(file.getvalue(), target, overwrite=overwrite)
