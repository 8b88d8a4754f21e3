"""Run a training: one loop, counted in images seen. To resume, run it again."""

from __future__ import annotations

import csv
import json
import logging
import math
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import Tensor
from torch.utils.data import DataLoader

from photochrom import color
from photochrom.errors import ConfigError, TrainingError
from photochrom.shards import Member
from photochrom.training import checkpoint, dataset, validate
from photochrom.training.checkpoint import Progress
from photochrom.training.config import Config, Stage, to_table
from photochrom.training.discriminators import PatchGAN
from photochrom.training.generators import BinGenerator, build
from photochrom.training.losses import BinCrossEntropy, Perceptual
from photochrom.training.step import Networks, step, update_average

for _name in ("lightning.fabric", "lightning.pytorch"):
    logging.getLogger(_name).setLevel(logging.WARNING)  # here, so that spawned processes are quiet too

COLUMNS = (
    "images_seen", "stage", "rate", "bins", "l1", "perceptual", "adversarial", "real", "fake", "accuracy",
    "images_per_second", "seconds",
)  # fmt: skip


@dataclass(frozen=True)
class Report:
    """What the run tells whoever watches it."""

    images_seen: int
    images: int
    images_per_second: float
    losses: dict[str, float]
    validation: dict[str, float]


Reporter = Callable[[Report], None]


def train(
    config: Config,
    folders: Sequence[Path],
    *,
    run: Path,
    devices: int = 1,
    accelerator: str = "auto",
    workers: int = 0,
    report: Reporter | None = None,
) -> Progress:
    """Train a generator, or go on with a training that was interrupted.

    The run folder gets ``config.json``, ``log.csv``, ``validation.csv``, ``newest.pt``, ``best.pt``, ``samples/`` and
    TensorBoard's files. A crop depends on the seed and its position alone and every step reseeds torch, so an interrupted run
    gives the same losses as one that was not.

    Args:
        config: what to train.
        folders: prepared data; their ``train-*.tar`` shards, also in folders below.
        run: the folder of the run.
        devices: processes, each with a device of its own; the batch is split among them.
        accelerator: ``cpu``, ``cuda``, ``mps`` or ``auto``.
        workers: processes that decode photographs, for each device; 0 decodes in the training process.
        report: is called at every line of the log, by the first process; must be picklable when there are several.

    Raises:
        DataError: if a folder has no shards.
        ConfigError: if the run folder holds a run of another configuration, or the batch does not divide among the devices.
        TrainingError: if a loss is not finite or the discriminator has collapsed.
    """
    if config.batch % devices:
        raise ConfigError(f"batch is {config.batch}: expected a multiple of the {devices} devices")
    members = dataset.index(folders)
    _claim(run, config, folders)
    fabric = Fabric(
        accelerator=accelerator,
        devices=devices,
        strategy="auto" if devices == 1 else "ddp_spawn",
        precision=config.precision,
    )
    threads = torch.get_num_threads()
    job = Job(config, members, run, workers, report, max(1, threads // devices))
    outcome = fabric.launch(partial(_guarded, job=job))
    torch.set_num_threads(threads)
    if isinstance(outcome, TrainingError):
        raise outcome
    progress: Progress = outcome
    return progress


@dataclass(frozen=True)
class Job:
    """What each process of a run is given."""

    config: Config
    members: list[Member]
    run: Path
    workers: int
    report: Reporter | None
    threads: int


def _guarded(fabric: Fabric, job: Job) -> Progress | TrainingError:
    try:
        return _run(fabric, job)
    except TrainingError as error:  # a spawned process would wrap it in its traceback
        return error


def _run(fabric: Fabric, job: Job) -> Progress:
    config, run = job.config, job.run
    torch.set_num_threads(job.threads)
    teach, aside = dataset.set_aside(job.members, config.validation_photographs)
    crops = dataset.Crops(
        teach, size=config.size, seed=config.seed, smallest=config.smallest_crop, stretch=config.stretch, aging=config.aging
    )
    networks, statistics, progress = _set_up(fabric, config, crops, run)
    held = dataset.validation(aside, config.size)
    log = Log(run, progress.images_seen) if fabric.is_global_zero else None
    positions = dataset.Positions(progress.images_seen, config.batch, rank=fabric.global_rank, world=fabric.world_size)
    loader: DataLoader[Any] = DataLoader(
        crops,
        batch_sampler=positions,  # type: ignore[arg-type]
        num_workers=job.workers,
        persistent_workers=job.workers > 0,
        pin_memory=fabric.device.type == "cuda",
    )
    sums: dict[str, Tensor] = {}
    count, low, begin, before = 0, 0, time.monotonic(), progress.seconds
    mark, marked = begin, progress.images_seen
    batches = iter(loader)
    while progress.images_seen < config.images:
        stage, rate = _schedule(config, progress.images_seen)
        for optimizer, peak in (
            (networks.generator_optimizer, stage.rate),
            (networks.discriminator_optimizer, stage.critic_rate),
        ):
            for group in optimizer.param_groups:
                group["lr"] = peak * rate * group["share"]
        luma, chroma = (t.to(fabric.device, non_blocking=True) for t in next(batches))
        luma = luma.contiguous(memory_format=torch.channels_last)
        torch.manual_seed(config.seed * 1_000_003 + progress.images_seen)
        losses = step(fabric, networks, luma, chroma, config=config, stage=stage)
        progress.images_seen += config.batch
        progress.steps += 1
        if stage.kind != "critic":
            update_average(networks, min(config.ema, (1 + progress.steps) / (10 + progress.steps)))
        for name, value in losses.items():
            sums[name] = sums[name] + value if name in sums else value
        count += 1

        due = Due(progress.images_seen, config.batch, last=progress.images_seen >= config.images)
        save = due(config.checkpoint_every)
        if not (save or due(config.log_every) or due(config.validate_every)):
            continue
        means = {name: float(fabric.all_reduce(value / count, reduce_op="mean")) for name, value in sums.items()}
        sums, count = {}, 0
        now = time.monotonic()
        progress.seconds = before + now - begin
        speed = (progress.images_seen - marked) / max(now - mark, 1e-9)
        low = low + 1 if "real" in means and max(means["real"], means["fake"]) < config.collapse else 0
        _stop_if_broken(means, low, progress, run)
        scores: dict[str, float] = {}
        if log:
            log.row(progress, stage, rate * stage.rate, means, speed)
            if due(config.validate_every):
                scores = validate.score(networks.average, held, config.temperature, device=fabric.device)
                log.validation(progress, scores)
            if due(config.sample_every):
                validate.sample_sheet(
                    networks.average, held, run / "samples" / f"{progress.images_seen:09d}.jpg",
                    temperature=config.temperature, device=fabric.device,
                )  # fmt: skip
            better = scores and scores["score"] < progress.best_score
            if better:
                progress.best_score, progress.best_images = scores["score"], progress.images_seen
            if save or better:
                state = _state(config, networks, statistics, progress)
                if better:
                    checkpoint.save(run / checkpoint.BEST, state)
                if save:
                    checkpoint.save(run / checkpoint.NEWEST, state)
            if job.report:
                job.report(Report(progress.images_seen, config.images, speed, means, scores))
        fabric.barrier()
        mark, marked = time.monotonic(), progress.images_seen
    if log:
        log.close()
    return progress


@dataclass(frozen=True)
class Due:
    """Tell what is due after a step, by the images seen."""

    seen: int
    batch: int
    last: bool

    def __call__(self, every: int) -> bool:
        """Tell whether a multiple of ``every`` was passed in the last step, or the run is over."""
        return self.last or self.seen // every > (self.seen - self.batch) // every


def _schedule(config: Config, images_seen: int) -> tuple[Stage, float]:
    """Find the stage at a point of the run, and the factor of its learning rates."""
    start = 0
    for stage in config.stages:
        if images_seen < start + stage.images:
            break
        start += stage.images
    done = (images_seen - start) / stage.images
    warm = min(1.0, (images_seen - start + config.batch) / stage.warmup) if stage.warmup else 1.0
    if stage.schedule == "linear":
        return stage, warm * (1 - done)
    if stage.schedule == "cosine":
        return stage, warm * (1 + math.cos(math.pi * done)) / 2
    return stage, warm


def _claim(run: Path, config: Config, folders: Sequence[Path]) -> None:
    """Make the run folder, or check that it belongs to this configuration; the stages' lengths may change."""
    path = run / "config.json"
    table = to_table(config) | {"data": [str(folder) for folder in folders]}
    if path.exists():
        old = json.loads(path.read_text(encoding="utf-8"))
        ignored = ("data", "stages", "log_every", "validate_every", "checkpoint_every", "sample_every")
        different = [key for key in table if key not in ignored and table[key] != old.get(key)]
        if different:
            was = ", ".join(f"{key} was {old.get(key)!r}, is {table[key]!r}" for key in different)
            raise ConfigError(f"'{run}' holds a run of another configuration ({was}); choose another folder")
    elif run.exists() and any(run.iterdir()):
        raise ConfigError(f"'{run}' is not empty and holds no run; choose another folder")
    run.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    part.replace(path)


def _set_up(fabric: Fabric, config: Config, crops: dataset.Crops, run: Path) -> tuple[Networks, dict[str, Any], Progress]:
    path = run / checkpoint.NEWEST
    state = checkpoint.load(path) if path.exists() else None
    torch.manual_seed(config.seed)
    generator = build(config.generator, pretrained=config.pretrained and state is None)
    discriminator = PatchGAN(config.discriminator_width)
    if state:
        statistics = state["statistics"]
        generator.load_state_dict(state["generator"])
        discriminator.load_state_dict(state["discriminator"])
    else:
        statistics = chroma_statistics(crops)
        if isinstance(generator, BinGenerator):
            _calibrate(generator, crops)
    average = deepcopy(generator)
    if state:
        average.load_state_dict(state["average"])
    for network in (generator, average, discriminator):
        network.to(fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    encoder = list(generator.encoder.parameters()) if isinstance(generator, BinGenerator) and config.pretrained else []
    known = {id(p) for p in encoder}
    others = [p for p in generator.parameters() if id(p) not in known]
    groups = [{"params": others, "share": 1.0}, {"params": encoder, "share": config.encoder_rate}]
    options: dict[str, Any] = {"betas": (config.beta1, config.beta2), "weight_decay": config.weight_decay, "fused": True}
    adversarial = any(stage.kind == "adversarial" for stage in config.stages)
    perceptual = Perceptual().to(fabric.device).eval() if config.perceptual_weight and adversarial else None
    prior = torch.tensor(statistics["prior"]) if config.rebalance < 1 else None
    networks = Networks(
        generator=generator.train(),
        average=average.eval().requires_grad_(False),
        discriminator=discriminator.train(),
        generator_optimizer=torch.optim.AdamW([g for g in groups if g["params"]], **options),
        discriminator_optimizer=torch.optim.AdamW([{"params": list(discriminator.parameters()), "share": 1.0}], **options),
        bins=BinCrossEntropy(prior, config.rebalance).to(fabric.device),
        perceptual=perceptual,
    )
    if state:
        networks.generator_optimizer.load_state_dict(state["generator_optimizer"])
        networks.discriminator_optimizer.load_state_dict(state["discriminator_optimizer"])
    return networks, statistics, Progress(**state["progress"]) if state else Progress()


def _state(config: Config, networks: Networks, statistics: dict[str, Any], progress: Progress) -> dict[str, Any]:
    return {
        "config": to_table(config),
        "statistics": statistics,
        "progress": asdict(progress),
        "generator": networks.generator.state_dict(),
        "average": networks.average.state_dict(),
        "discriminator": networks.discriminator.state_dict(),
        "generator_optimizer": networks.generator_optimizer.state_dict(),
        "discriminator_optimizer": networks.discriminator_optimizer.state_dict(),
    }


def chroma_statistics(crops: dataset.Crops, count: int = 2048) -> dict[str, Any]:
    """Measure the first crops of a run: mean chroma, and the share of each chroma bin (smoothed by one pixel in all)."""
    table = torch.from_numpy(color.bin_table())
    histogram, total = torch.ones(len(color.bins())) / len(color.bins()), torch.zeros(2, dtype=torch.float64)
    count = min(count, len(crops))
    for position in range(count):
        _, chroma = crops[position]
        small = torch.nn.functional.avg_pool2d(chroma, 4)
        total += small.double().mean((1, 2))
        cells = (small / color.BIN_STEP).round().long().clamp(-10, 10) + 10
        histogram += torch.bincount(table[cells[0], cells[1]].flatten(), minlength=len(histogram))
    return {"prior": (histogram / histogram.sum()).tolist(), "mean_chroma": (total / count).tolist()}


def _calibrate(generator: BinGenerator, crops: dataset.Crops, count: int = 256) -> None:
    """Measure the encoder's batch norm statistics on luma, in place of those of color photographs."""
    norms = [m for m in generator.encoder.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches
        norm.train()
    with torch.no_grad():
        for start in range(0, min(count, len(crops)), 32):
            generator.encoder(torch.stack([crops[i][0] for i in range(start, min(start + 32, len(crops)))]))
    generator.train()


def _stop_if_broken(means: dict[str, float], low: int, progress: Progress, run: Path) -> None:
    good = run / checkpoint.NEWEST
    kept = f"the last good checkpoint is '{good}'" if good.exists() else "there is no checkpoint yet"
    bad = [name for name, value in means.items() if not math.isfinite(value)]
    if bad:
        raise TrainingError(
            f"the loss '{bad[0]}' is {means[bad[0]]} after {progress.images_seen} images: expected a finite number; "
            f"lower the learning rate; {kept}"
        )
    if low >= 50:
        raise TrainingError(
            f"the discriminator has collapsed: its loss stayed near 0 until {progress.images_seen} images; "
            f"lower critic_rate or raise l1_weight; {kept}"
        )


class Log:
    """Keep ``log.csv``, ``validation.csv`` and TensorBoard's files; rows after the checkpoint are dropped on resuming."""

    def __init__(self, run: Path, images_seen: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.path, self.scores = run / "log.csv", run / "validation.csv"
        self.board: Any = SummaryWriter(run / "tensorboard", purge_step=images_seen + 1)  # type: ignore[no-untyped-call]
        for path in (self.path, self.scores):
            if path.exists():
                with path.open(newline="", encoding="utf-8") as file:
                    head, *rows = list(csv.reader(file)) or [[]]
                kept = [row for row in rows if len(row) == len(head) and int(row[0]) <= images_seen]
                part = path.with_suffix(".part")
                with part.open("w", newline="", encoding="utf-8") as file:
                    csv.writer(file).writerows([head, *kept])
                part.replace(path)

    def row(self, progress: Progress, stage: Stage, rate: float, means: dict[str, float], speed: float) -> None:
        """Write one line of the log."""
        values: dict[str, Any] = {name: f"{value:.7g}" for name, value in means.items()}
        values |= {"images_seen": progress.images_seen, "stage": stage.kind, "rate": f"{rate:.6g}"}
        values |= {"images_per_second": f"{speed:.2f}", "seconds": f"{progress.seconds:.1f}"}
        _append(self.path, COLUMNS, [values.get(name, "") for name in COLUMNS])
        for name, value in means.items():
            self.board.add_scalar(f"loss/{name}", value, progress.images_seen)
        self.board.flush()

    def validation(self, progress: Progress, scores: dict[str, float]) -> None:
        """Write one line of validation scores."""
        _append(self.scores, ("images_seen", *scores), [progress.images_seen, *(f"{v:.6g}" for v in scores.values())])
        for name, value in scores.items():
            self.board.add_scalar(f"validation/{name}", value, progress.images_seen)

    def close(self) -> None:
        """Close TensorBoard's file."""
        self.board.close()


def _append(path: Path, head: Sequence[str], row: Sequence[Any]) -> None:
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(head)
        writer.writerow(row)


