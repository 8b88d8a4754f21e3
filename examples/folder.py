"""Colorize a folder of photographs: ``python folder.py PHOTOS RESULTS``. A bad one does not stop the others."""

from __future__ import annotations

import sys
from pathlib import Path

import photochrom

photos, results = map(Path, sys.argv[1:])
results.mkdir(parents=True, exist_ok=True)
bad = 0
for photo in sorted(photos.iterdir()):
    try:
        colored = photochrom.colorize(photo.read_bytes())
    except photochrom.PhotochromError as error:
        print(f"{photo}: {error}", file=sys.stderr)
        bad += 1
    else:
        (results / photo.name).write_bytes(colored)
sys.exit(1 if bad else 0)
