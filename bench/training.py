"""Print how fast a GAN trains here beside a plain PyTorch loop of pix2pix: ``python -m bench training``.

Both train the networks of ``photochrom train unet`` (U-Net and 70x70 PatchGAN at 128 px) on the same crops in the same order,
from the same initial weights, on all the machine's cores; all of the loop is timed, decoding too.
"""

from __future__ import annotations

import csv
import io
import statistics
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image
from torch.nn import functional as F
from torch.utils.data import DataLoader

from bench import pictures
from photochrom.training import config, loop, setup
from photochrom.training.data import dataset

PHOTOGRAPHS, SIDE = 96, 160
STEPS, ROUNDS = 8, 3
"""Steps of a run, of which the first is left out of the time, and how often each loop runs."""
PLAIN = "plain loop"


def shard(folder: Path) -> None:
    """Write photographs to train on: tiles of the mosaic."""
    photo = pictures.color()
    with tarfile.open(folder / "train-0000.tar", "w") as tar:
        for index in range(PHOTOGRAPHS):
            left, top = 331 * index % (photo.width - 500), 173 * index % (photo.height - 500)
            buffer = io.BytesIO()
            photo.resize((SIDE, SIDE), Image.Resampling.LANCZOS, (left, top, left + 500, top + 500)).save(
                buffer, "JPEG", quality=90
            )
            member = tarfile.TarInfo(f"{index:04d}.jpg")
            member.size = buffer.tell()
            buffer.seek(0)
            tar.addfile(member, buffer)


def ours(settings: config.Config, folder: Path, devices: int) -> tuple[float, list[dict[str, float]]]:
    """Train with the package; gives images/s and the losses of each line of the log."""
    with tempfile.TemporaryDirectory() as run:
        loop.train(settings, [folder], run=Path(run) / "run", compute=loop.Compute(devices=devices, accelerator="cpu"))
        with (Path(run) / "run" / "log.csv").open() as file:
            rows = list(csv.DictReader(file))
    names = ("generator", "l1", "real", "fake")
    return statistics.median(float(row["images_per_second"]) for row in rows[1:]), [
        {n: float(row[n]) for n in names} for row in rows
    ]


def plain(settings: config.Config, folder: Path, passes: int) -> tuple[float, list[dict[str, float]]]:
    """Train by the loop that a tutorial of pix2pix would have, its generator run once or twice a step."""
    torch.manual_seed(settings.seed)
    generator = setup.generator_of(settings, pretrained=False)
    discriminator = setup.discriminator_of(settings)
    adam = {"lr": 2e-4, "betas": (0.5, 0.999)}
    generator_adam = torch.optim.Adam(generator.parameters(), **adam)
    discriminator_adam = torch.optim.Adam(discriminator.parameters(), **adam)
    bce = F.binary_cross_entropy_with_logits
    lines, speeds, begin = [], [], time.perf_counter()
    for luma, chroma in batches(settings, folder):
        fake = generator(luma)
        real_score = discriminator(luma, chroma)
        fake_score = discriminator(luma, fake.detach())
        real, wrong = bce(real_score, torch.ones_like(real_score)), bce(fake_score, torch.zeros_like(fake_score))
        discriminator_adam.zero_grad()
        ((real + wrong) / 2).backward()
        discriminator_adam.step()

        if passes == 2:
            fake = generator(luma)
        score = discriminator(luma, fake)
        l1 = (fake - chroma).abs().mean()
        total = bce(score, torch.ones_like(score)) + settings.l1_weight * l1
        generator_adam.zero_grad()
        total.backward()
        generator_adam.step()

        lines.append({"generator": total.item(), "l1": 255 * l1.item(), "real": real.item(), "fake": wrong.item()})
        now = time.perf_counter()
        speeds.append(settings.batch / (now - begin))
        begin = now
    return statistics.median(speeds[1:]), lines


def batches(settings: config.Config, folder: Path) -> Iterator[list[torch.Tensor]]:
    photographs, _ = dataset.set_aside(dataset.index([folder]), settings.validation_photographs)
    crops = dataset.Crops(
        photographs, size=settings.size, seed=settings.seed, smallest=settings.smallest_crop, stretch=0, aging=0
    )
    loader = DataLoader(crops, batch_sampler=dataset.Positions(0, settings.batch, rank=0, world=1))
    return (batch for batch, _ in zip(loader, range(STEPS), strict=False))


def main() -> None:
    """Measure and print; ``PLAIN`` is the loop that both generator updates are compared with."""
    settings = config.load("unet", ["generator_dropout=0", "validation_photographs=16"])
    stage = replace(settings.stages[0], images=settings.batch * STEPS)
    never = 1_000_000_000
    settings = replace(
        settings,
        precision="32-true",
        stages=(stage,),
        log_every=settings.batch,
        validate_every=never,
        checkpoint_every=never,
        sample_every=never,
    )
    half = replace(settings, precision="bf16-mixed")
    variants = {
        PLAIN: lambda folder: plain(settings, folder, passes=1),
        "plain loop, generator run for each update": lambda folder: plain(settings, folder, passes=2),
        "photochrom, one process, float32": lambda folder: ours(settings, folder, devices=1),
        "photochrom, one process, bfloat16": lambda folder: ours(half, folder, devices=1),
        "photochrom, a process for each core, bfloat16": lambda folder: ours(half, folder, devices=torch.get_num_threads()),
    }
    speeds: dict[str, list[float]] = {name: [] for name in variants}
    losses: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as place:
        shard(Path(place))
        for _ in range(ROUNDS):
            for name, run in variants.items():
                speed, losses[name] = run(Path(place))
                speeds[name].append(speed)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} cores, {settings.size} px, batch {settings.batch}")
    print(f"Medians of {ROUNDS} rounds side by side.\n")
    print("| training the U-Net against the 70x70 PatchGAN | images/s | ratio to the plain loop | losses differ by at most |")
    print("|---|---|---|---|")
    for name, found in speeds.items():
        ratios = [mine / its for mine, its in zip(found, speeds[PLAIN], strict=True)]
        apart = max(abs(a[key] / b[key] - 1) for a, b in zip(losses[name], losses[PLAIN], strict=True) for key in b)
        print(f"| {name} | {statistics.median(found):.2f} | {statistics.median(ratios):.2f} x | {100 * apart:.2f} % |")


if __name__ == "__main__":  # the processes of a run import this module
    main()
