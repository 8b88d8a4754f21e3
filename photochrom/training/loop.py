"""Run a training: one loop, counted in images seen. To resume, run it again."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, final

import torch
from lightning.fabric import Fabric
from torch import Tensor
from torch.utils.data import DataLoader

from photochrom.errors import ConfigError, PhotochromError, TrainingError
from photochrom.training import checkpoint, validate
from photochrom.training.checkpoint import Progress
from photochrom.training.config import Config, Stage
from photochrom.training.data import dataset
from photochrom.training.data.hint_sampling import Shown
from photochrom.training.data.shards import Member
from photochrom.training.launch import Termination, World, end_with_parent, fabric_of, from_first, parts_of, precision_of, world
from photochrom.training.log import Due, Log, Meter
from photochrom.training.losses import collapsed
from photochrom.training.setup import claim, set_up, state_of
from photochrom.training.step import Networks, generator_learns, set_rates, step, update_average

for _name in ("lightning.fabric", "lightning.pytorch"):
    logging.getLogger(_name).setLevel(logging.WARNING)  # here, so that spawned processes are quiet too

COLLAPSED_LINES = 50
"""Lines of the log in a row with a discriminator loss near 0 that end a run."""
GREY_VALIDATIONS = 3
"""Validations in a row with nearly grey answers that end a run which is to stop on them."""


@final
class TerminatedError(TrainingError):
    """A run was told to end (SIGTERM) and has kept a checkpoint."""


@dataclass(frozen=True)
class Report:
    """What the run tells whoever watches it."""

    images_seen: int
    images: int
    images_per_second: float
    losses: dict[str, float]
    """Empty in the first report, which comes before the first step."""
    validation: dict[str, float]


Reporter = Callable[[Report], None]


@dataclass(frozen=True)
class Compute:
    """How a run is computed; nothing here changes what it learns, up to rounding."""

    devices: int = 1
    """Processes on this machine, each with a device of its own; torchrun and srun bring their own number."""
    accelerator: str = "auto"
    """``cpu``, ``cuda``, ``mps`` or ``auto``."""
    workers: int = 0
    """Processes that decode photographs, for each device; 0 decodes in the training process."""
    at_once: int = 0
    """The most crops that a device takes at once; the gradients of a larger share of the batch are added up. 0 = no limit.
    Batch norm then takes the statistics of each part, and random draws differ from those without a limit."""


def train(
    config: Config,
    folders: Sequence[Path],
    *,
    run: Path,
    compute: Compute | None = None,
    report: Reporter | None = None,
    init: Path | None = None,
    overrides: Sequence[str] = (),
) -> Progress:
    """Train a generator, or go on with a training that was interrupted.

    The run folder gets ``config.json``, ``log.csv``, ``validation.csv``, ``losses.png``, ``newest.pt``, ``best.pt``,
    ``samples/`` and TensorBoard's files. A crop depends only on the seed and its position, and every step reseeds torch, so an
    interrupted run gives the same losses as one that was not. SIGTERM keeps a checkpoint and ends the run.

    Several processes share each batch. Only the first one reads and writes the run folder.

    Args:
        config: what to train.
        folders: prepared data; their ``train-*.tar`` shards, also in folders below. Their ``val-*.tar`` shards, where there are
            some, choose the best checkpoint; else training photographs set aside do.
        run: the folder of the run.
        compute: on which devices; None = on one.
        report: is called before the first step and at every line of the log, by the first process; must be picklable when
            there are several.
        init: another run's checkpoint, whose averaged generator a new run starts from, or a model file; a run that goes on has
            its own.
        overrides: the settings ``key=value`` by which ``config`` differs from a preset; the run folder notes them.

    Raises:
        DataError: if a folder has no shards.
        ConfigError: if the run folder holds a run of another configuration, or the batch does not divide among the processes.
        TrainingError: if a loss is not finite, the discriminator has collapsed, or ``init`` is of another generator.
        TerminatedError: if the run was told to end.
    """
    compute = compute or Compute()
    processes = world(compute.devices)
    if config.batch % processes.size:
        raise ConfigError(f"batch is {config.batch}: expected a multiple of the {processes.size} devices")
    members = dataset.index(folders)
    precision = precision_of(config, compute.accelerator)
    fabric = fabric_of(processes, compute.accelerator, "32-true" if precision == "bf16-decoder" else precision)
    threads = torch.get_num_threads()
    job = Job(
        config=replace(config, precision=precision),
        folders=folders,
        members=members,
        run=run,
        compute=compute,
        processes=processes,
        threads=max(1, threads // processes.local),
        report=report,
        init=init,
        overrides=overrides,
    )
    with Termination(forward=True):
        outcome = fabric.launch(partial(_guarded, job=job))
    torch.set_num_threads(threads)
    if isinstance(outcome, PhotochromError):
        raise outcome
    progress: Progress = outcome
    return progress


@dataclass(frozen=True)
class Job:
    """What each process of a run is given."""

    config: Config
    folders: Sequence[Path]
    members: list[Member]
    run: Path
    compute: Compute
    processes: World
    threads: int
    report: Reporter | None
    init: Path | None
    overrides: Sequence[str]


def _guarded(fabric: Fabric, job: Job) -> Progress | PhotochromError:
    end_with_parent()
    torch.set_num_threads(job.threads)
    try:
        with Termination() as termination:
            return _run(fabric, job, termination)
    except PhotochromError as error:  # a spawned process would wrap it in its traceback
        return error


def _run(fabric: Fabric, job: Job, termination: Termination) -> Progress:
    """Train in one of the processes.

    Raises:
        TerminatedError: if one of the processes was told to end.
    """
    config = from_first(fabric, lambda: claim(job.run, job.config, job.folders, job.overrides))
    teach, aside = dataset.set_aside(job.members, config.validation_photographs)
    crops = _crops(config, teach)
    networks, statistics, progress = set_up(fabric, config, crops, job.run, init=job.init)
    batches = iter(_loader(fabric, job, crops, progress.images_seen))
    watch = None
    if fabric.is_global_zero:
        known = dataset.validating(job.folders, config.validation_photographs)
        sets = {"": known or aside} | ({"aside_": aside} if known else {})
        held = {prefix: dataset.validation(photographs, config.size) for prefix, photographs in sets.items()}
        watch = Watch(job.run, config, Log(job.run, progress.images_seen), held, networks, statistics)
        if job.report:
            job.report(Report(progress.images_seen, config.images, 0.0, {}, {}))
    parts = parts_of(config.batch, fabric.world_size, job.compute.at_once)
    meter = Meter(progress)
    try:
        while progress.images_seen < config.images and not progress.stopped_early:
            stage, share = _schedule(config, progress.images_seen)
            set_rates(networks, stage, share)
            batch = [part.to(fabric.device, non_blocking=True) for part in next(batches)]
            batch[0] = batch[0].contiguous(memory_format=torch.channels_last)
            torch.manual_seed(config.seed * 1_000_003 + progress.images_seen)
            meter.add(step(fabric, networks, batch, config=config, stage=stage, images_seen=progress.images_seen, parts=parts))
            progress.steps += 1
            if generator_learns(config, stage, progress.images_seen):
                update_average(networks, min(config.ema, (1 + progress.steps) / (10 + progress.steps)))
            progress.images_seen += config.batch

            ending = termination.agreed(fabric, progress.steps)
            due = Due(progress.images_seen, config.batch, last=progress.images_seen >= config.images)
            if not (ending or any(map(due, (config.log_every, config.checkpoint_every, config.validate_every)))):
                continue
            means, speed = meter.read(fabric, progress)
            _stop_if_broken(means, config, progress, job.run)
            scores = watch.look(progress, means, speed, stage=stage, rate=share * stage.rate, due=due) if watch else {}
            scores = fabric.broadcast(scores)  # every process must know whether to go on
            better = _judge(scores, config, progress, job.run)
            if watch:
                watch.keep(progress, due, better=better, ending=ending)
                if job.report:
                    images = progress.images_seen if progress.stopped_early else config.images
                    job.report(Report(progress.images_seen, images, speed, means, scores))
            fabric.barrier()
            if ending and progress.images_seen < config.images:
                raise TerminatedError(
                    f"terminated after {progress.images_seen} of {config.images} images; '{job.run / checkpoint.NEWEST}' is "
                    "kept: run the same command to go on"
                )
            meter.restart(progress)
    finally:
        if watch:
            watch.log.close()
    return progress


@final
@dataclass(frozen=True)
class Watch:
    """What only the first process does between two steps: write the log, score, save, report."""

    run: Path
    config: Config
    log: Log
    held: dict[str, tuple[Tensor, Tensor]]
    networks: Networks
    statistics: dict[str, Any]

    def look(
        self, progress: Progress, means: dict[str, float], speed: float, *, stage: Stage, rate: float, due: Due
    ) -> dict[str, float]:
        """Write a line of the log, and score where a validation is due; gives the scores."""
        self.log.row(progress, stage, rate, means, speed)
        if not due(self.config.validate_every):
            return {}
        low = progress.collapsed_lines > 0
        scores = validate.validate(self.networks, self.held, self.config, stage, collapsed=low)
        self.log.validation(progress, scores)
        return scores

    def keep(self, progress: Progress, due: Due, *, better: bool, ending: bool) -> None:
        """Write the sample sheet and the checkpoints that are due."""
        config = self.config
        if due(config.sample_every):
            sheet = self.run / "samples" / f"{progress.images_seen:09d}.jpg"
            validate.sample_sheet(self.networks.average, self.held[""], sheet, temperature=config.temperature)
        newest = due(config.checkpoint_every) or progress.stopped_early or ending
        if better or newest:
            state = state_of(config, self.networks, self.statistics, progress)
            for wanted, name in ((better, checkpoint.BEST), (newest, checkpoint.NEWEST)):
                if wanted:
                    checkpoint.save(self.run / name, state)


def _crops(config: Config, photographs: Sequence[Member]) -> dataset.Crops:
    return dataset.Crops(
        photographs,
        size=config.size,
        seed=config.seed,
        smallest=config.smallest_crop,
        stretch=config.stretch,
        aging=config.aging,
        mirror=config.mirror,
        turns=config.turns,
        shown=Shown(config.hints, config.palettes, config.repaints) if config.hinted else None,
    )


def _loader(fabric: Fabric, job: Job, crops: dataset.Crops, images_seen: int) -> DataLoader[Any]:
    return DataLoader(
        crops,
        batch_sampler=dataset.Positions(images_seen, job.config.batch, rank=fabric.global_rank, world=fabric.world_size),
        num_workers=job.compute.workers,
        persistent_workers=job.compute.workers > 0,
        pin_memory=fabric.device.type == "cuda",
    )


def _judge(scores: dict[str, float], config: Config, progress: Progress, run: Path) -> bool:
    """Note in the progress what a validation says of the run; tells whether it is the best so far.

    Raises:
        TrainingError: if the answers stay nearly grey and the run is to stop on that.
    """
    if not scores:
        return False
    better = scores["score"] < progress.best_score
    if better:
        progress.best_score, progress.best_images = scores["score"], progress.images_seen
    progress.unimproved = 0 if better else progress.unimproved + 1
    progress.stopped_early = 0 < config.patience <= progress.unimproved
    progress.grey_validations = progress.grey_validations + 1 if scores["alarm_grey"] else 0
    if progress.grey_validations >= GREY_VALIDATIONS and config.stop_on in ("grey", "both"):
        raise TrainingError(
            f"the answers are nearly grey: {scores['chroma']:.3f} of the true chroma after {progress.images_seen} images; "
            f"lower l1_weight or raise the learning rate; {_last_good(run)}"
        )
    return better


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


def _stop_if_broken(means: dict[str, float], config: Config, progress: Progress, run: Path) -> None:
    """Note in the progress what a line of the log says of the run.

    Raises:
        TrainingError: if a loss is no finite number, or the discriminator has collapsed and the run is to stop on that.
    """
    bad = [name for name, value in means.items() if not math.isfinite(value)]
    if bad:
        what = "norm" if bad[0].startswith("grad_") else "loss"
        raise TrainingError(
            f"the {what} '{bad[0]}' is {means[bad[0]]} after {progress.images_seen} images: expected a finite number; "
            f"lower the learning rate; {_last_good(run)}"
        )
    if means.get("generator", math.inf) < progress.lowest_generator_loss:
        progress.lowest_generator_loss, progress.lowest_generator_images = means["generator"], progress.images_seen
    low = "real" in means and collapsed(
        config.adversarial_loss, means["real"], means["fake"], target=config.real_target, limit=config.collapse
    )
    progress.collapsed_lines = progress.collapsed_lines + 1 if low else 0
    if progress.collapsed_lines >= COLLAPSED_LINES and config.stop_on in ("collapse", "both"):
        raise TrainingError(
            f"the discriminator has collapsed: its loss stayed near 0 until {progress.images_seen} images; "
            f"lower critic_rate or raise l1_weight; {_last_good(run)}"
        )


def _last_good(run: Path) -> str:
    good = run / checkpoint.NEWEST
    return f"the last good checkpoint is '{good}'" if good.exists() else "there is no checkpoint yet"
