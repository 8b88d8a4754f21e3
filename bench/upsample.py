"""Print what chroma upsampling is worth, in dB, and what it costs: ``python -m bench upsample``.

Photographs in color are made the network's answer by averaging their chroma over cells: "ideal" as it is, "soft" blurred by 0.8
cells as a network's answer is, "wrong" soft with slow errors of 0.03 on top, "grain" soft under luma with noise of 0.06.
"""

from __future__ import annotations

import io
import os
import resource
import statistics
import tarfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import skimage.data
from PIL import Image

from photochrom import color
from photochrom.colorizer import upsample

DATA = Path(os.environ.get("PHOTOCHROM_DATA", Path(__file__).parents[1] / "../shared/data"))
EXAMPLES = ("astronaut", "chelsea", "coffee", "rocket", "retina", "immunohistochemistry")


def resize(planes, size, kind):
    return np.stack([cv2.resize(plane, (size[1], size[0]), interpolation=kind) for plane in planes])


def low(chroma, short):
    height, width = chroma.shape[1:]
    scale = short / min(height, width)
    return resize(chroma, (round(height * scale), round(width * scale)), cv2.INTER_AREA)


def plain(kind):
    return lambda chroma, luma: resize(chroma, luma.shape, kind)


def guided(radius, noise):
    """Give the fast guided filter of He & Sun 2015 on the grid of the chroma."""

    def mean(plane):
        return cv2.blur(plane, (2 * radius + 1, 2 * radius + 1), borderType=cv2.BORDER_REFLECT)

    def run(chroma, luma):
        small = upsample.shrink(luma, *chroma.shape[1:]) / np.float32(255)
        center = mean(small)
        variance = mean(small * small) - center**2
        parts = []
        for plane in chroma:
            slope = (mean(plane * small) - mean(plane) * center) / (variance + noise**2)
            parts += [mean(slope), mean(mean(plane) - slope * center)]
        parts = resize(parts, luma.shape, cv2.INTER_LINEAR)
        return parts[::2] * (luma / np.float32(255)) + parts[1::2]

    return run


def ours(chroma, luma):
    return (np.stack(upsample.upsample(chroma, luma, step=1)).astype(np.float32) - 128) / 255


METHODS = {
    "bilinear": plain(cv2.INTER_LINEAR),
    "bicubic": plain(cv2.INTER_CUBIC),
    "fast guided r=1 eps=.02^2": guided(1, 0.02),
    "fast guided r=1 eps=.05^2": guided(1, 0.05),
    "fast guided r=2 eps=.02^2": guided(2, 0.02),
    "fast guided r=2 eps=.05^2": guided(2, 0.05),
    "photochrom.colorizer.upsample": ours,
}


def examples():
    for name in EXAMPLES:
        photo = Image.fromarray(getattr(skimage.data, name)())
        photo.thumbnail((800, 512) if photo.width > photo.height else (512, 800), Image.Resampling.LANCZOS)
        yield np.asarray(photo)


def thumbnails(count=60):
    path = DATA / "mix" / "train-00.tar"
    if not path.exists():
        return
    with tarfile.open(path) as tar:
        members = tar.getmembers()
        for member in members[:: len(members) // count][:count]:
            file = tar.extractfile(member)
            yield np.asarray(Image.open(io.BytesIO(file.read())).convert("RGB"))


def made_worse(chroma, luma, kind, rng):
    if kind != "ideal":
        chroma = np.stack([cv2.GaussianBlur(plane, (0, 0), 0.8) for plane in chroma])
    if kind == "wrong":
        chroma = chroma + resize(rng.normal(0, 0.03, (2, 5, 6)).astype(np.float32), chroma.shape[1:], cv2.INTER_CUBIC)
    if kind == "grain":
        luma = np.clip(luma + rng.normal(0, 0.06, luma.shape), 0, 1)
    return chroma, np.rint(luma * 255).astype(np.uint8)


def quality():
    sets = {"examples, 32 cells": (list(examples()), 32), "examples, 64 cells": (list(examples()), 64)}
    sets["mix, 18 cells"] = (list(thumbnails()), 18)
    for title, (photos, short) in sets.items():
        kinds = ("ideal", "soft", "wrong", "grain")
        print(f"\nPSNR of chroma, dB: {title}, {len(photos)} photographs\n{'':28}" + "".join(f"{kind:>8}" for kind in kinds))
        scores = {name: [] for name in METHODS}
        for kind in kinds if photos else ():
            rng = np.random.default_rng(0)
            errors = {name: [] for name in METHODS}
            for photo in photos:
                luma, truth = color.split(photo)
                chroma, guide = made_worse(low(truth, short), luma, kind, rng)
                for name, method in METHODS.items():
                    errors[name].append(-10 * np.log10(np.mean((method(chroma, guide) - truth) ** 2)))
            for name in METHODS:
                scores[name].append(np.mean(errors[name]))
        for name, row in scores.items():
            print(f"{name:28}" + "".join(f"{score:8.2f}" for score in row))


def speed(rounds=15):
    rng = np.random.default_rng(0)
    photo = Image.fromarray(skimage.data.astronaut()).resize((4000, 3000), Image.Resampling.BICUBIC)
    photo = Image.fromarray(cv2.add(np.asarray(photo), rng.integers(0, 20, (3000, 4000, 1), np.uint8).repeat(3, 2)))
    stored = io.BytesIO()
    photo.save(stored, "JPEG", quality=90)
    luma = np.asarray(photo.convert("L"))
    chroma = rng.normal(0, 0.1, (2, 48, 64)).astype(np.float32)

    def resave():
        with Image.open(io.BytesIO(stored.getvalue())) as image:
            image.save(io.BytesIO(), "JPEG", quality=90)

    jobs = {
        "Pillow: decode, save as RGB": resave,
        "upsample, step=2": lambda: upsample.upsample(chroma, luma, step=2),
        "upsample, step=1": lambda: upsample.upsample(chroma, luma, step=1),
        "shrink to 192 x 256": lambda: upsample.shrink(luma, 192, 256),
    }
    times = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            start = time.perf_counter(), time.process_time()
            job()
            times[name].append((time.perf_counter() - start[0], time.process_time() - start[1]))
    print(f"\n12 megapixels, {rounds} rounds side by side, ms\n{'':28}  median     min  CPU min   ratio")
    base = statistics.median(wall for wall, _ in times["Pillow: decode, save as RGB"])
    for name, row in times.items():
        wall, cpu = zip(*row, strict=True)
        middle = statistics.median(wall)
        print(f"{name:28}{middle * 1e3:8.1f}{min(wall) * 1e3:8.1f}{min(cpu) * 1e3:9.1f}{middle / base:8.2f}")


def peak_growth(step):
    luma = np.random.default_rng(0).integers(0, 256, (3000, 4000), np.uint8)
    chroma = np.zeros((2, 64, 85), np.float32)
    upsample.upsample(chroma, luma[:300, :400], step=step)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    upsample.upsample(chroma, luma, step=step)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / luma.size


def memory():
    # A peak never falls, so each step is measured in a process of its own.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        for step in (1, 2):
            print(
                f"peak memory, step={step}: {pool.submit(peak_growth, step).result():.1f} bytes a luma pixel, results included"
            )


def main():
    memory()
    speed()
    quality()


if __name__ == "__main__":
    main()
