"""Colorize one photograph: ``python one_photograph.py PHOTO RESULT``, both in the same format."""

from __future__ import annotations

import sys
from pathlib import Path

import photochrom

photo, result = map(Path, sys.argv[1:])
result.write_bytes(photochrom.colorize(photo.read_bytes()))
