"""Measure what is streamed: scans of 100 and 400 megapixels with 16 bits, beside libvips copying the same file.

The scans are made anew in a temporary folder, which has to hold about 4 GB, and are deleted after.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import pyvips
import skimage.data

from bench.speed import Row, Sample, exponents, launched, side_by_side, times

COPY = (
    "import sys, pyvips; image = pyvips.Image.new_from_file(sys.argv[1], access='sequential'); "
    "image.tiffsave(sys.argv[2], compression=sys.argv[3], predictor='horizontal' if sys.argv[3] != 'none' else 'none')"
)
"""Copies a TIFF in its own compression, as a program."""
SYNC = "; import os; os.fsync(os.open(sys.argv[2], os.O_RDWR))"
"""Puts the copy on the disk, where a result of ours lies too when the command ends."""
SIDES = (5_000, 10_000, 20_000)
"""Of the scans by which growth is measured."""
ROUNDS = 3
"""More would take too long."""
GRAIN = 600
"""Standard deviation of the grain, of 65535: a scanner's."""


def huge(rounds: int) -> list[Row]:
    """Color scans by the command, against libvips copying them: time, and the largest peak of memory."""
    rows = []
    with TemporaryDirectory() as folder:
        scan, ours, theirs = (str(Path(folder, name)) for name in ("scan.tif", "ours.tif", "copy.tif"))
        command = [sys.executable, "-m", "photochrom", "colorize", scan, "-o", ours, "--overwrite"]
        for compression in ("none", "lzw", "deflate"):
            make(scan, 10_000, compression)
            for program, what in ((COPY, "libvips"), (COPY + SYNC, "libvips and the disk")):
                copy = [sys.executable, "-c", program, scan, theirs, compression]
                pair = side_by_side(partial(launched, command), partial(launched, copy), rounds=min(rounds, ROUNDS))
                name = f"100 MP of 16 bits, {compression}, beside {what}"
                rows.append(times(name, *pair, required_ratio=3 if program == COPY else None))
            rows.append(peak(f"100 MP of 16 bits, {compression}, peak memory", *pair, required=500))
        Path(theirs).unlink()
        taken = {}
        for side in SIDES:
            make(scan, side, "none")
            taken[side] = [launched(command) for _ in range(min(rounds, ROUNDS))]
        rows.append(peak("400 MP of 16 bits, none, peak memory", taken[SIDES[-1]], required=1000))
        rows += exponents("growth, 25 to 400 MP of 16 bits, none", [side**2 for side in SIDES], list(taken.values()))
    return rows


def peak(name: str, ours: list[Sample], theirs: list[Sample] | None = None, *, required: float) -> Row:
    most = [max(run.peak for run in runs) / 1e6 if runs else None for runs in (ours, theirs)]
    return Row(name, "MB", *most, required=required)


def make(path: str, side: int, compression: str) -> None:
    """Write a square grey scan: a photograph enlarged, with grain that does not repeat within 500 rows."""
    photo = skimage.data.camera().astype(np.float32) * 256
    grain = np.random.default_rng(0).normal(0, GRAIN, (500, side)).astype(np.float32)
    pixels = np.empty((side, side), np.uint16)
    for top in range(0, side, 500):
        rows = (np.arange(top, top + 500) + 0.5) * (len(photo) / side) - 0.5
        columns = (np.arange(side) + 0.5) * (len(photo) / side) - 0.5
        grid = np.meshgrid(columns.astype(np.float32), rows.astype(np.float32))
        band = cv2.remap(photo, *grid, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        pixels[top : top + 500] = np.clip(band + grain, 0, 65535)
    image = pyvips.Image.new_from_array(pixels[..., None]).copy(interpretation="grey16")
    image.tiffsave(path, compression=compression, predictor="none" if compression == "none" else "horizontal")
