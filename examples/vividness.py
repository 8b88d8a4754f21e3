"""Show what vividness does, 0 to 2 from left to right: ``python vividness.py PHOTO RESULT``."""

from __future__ import annotations

import sys

from PIL import Image

import photochrom

photo, result = sys.argv[1:]
with Image.open(photo) as grey:
    steps = [photochrom.colorize(grey, options=photochrom.Options(vividness=vividness)) for vividness in (0, 0.5, 1, 1.5, 2)]
strip = Image.new("RGB", (len(steps) * steps[0].width, steps[0].height))
for column, step in enumerate(steps):
    strip.paste(step, (column * step.width, 0))
strip.save(result)
