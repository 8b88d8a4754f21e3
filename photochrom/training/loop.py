"""Run a training: one loop, counted in images seen. To resume, run it again."""

from __future__ import annotations

import json
import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, final

import torch
from lightning.fabric import Fabric
from torch import Tensor
from torch.utils.data import DataLoader

from photochrom.errors import ConfigError, TrainingError
from photochrom.training import checkpoint, validate
from photochrom.training.checkpoint import Progress
from photochrom.training.config import Config, Stage, to_table
from photochrom.training.data import dataset
from photochrom.training.data.hint_sampling import Shown
from photochrom.training.data.shards import Member
from photochrom.training.log import Log
from photochrom.training.losses import collapsed
from photochrom.training.networks.generators import LAYOUTS
from photochrom.training.setup import end_with_parent, set_up, state_of
from photochrom.training.step import Losses, Networks, generator_learns, step, update_average

for _name in ("lightning.fabric", "lightning.pytorch"):
    logging.getLogger(_name).setLevel(logging.WARNING)  # here, so that spawned processes are quiet too

COLLAPSED_LINES = 50
"""Lines of the log in a row with a discriminator loss near 0 that end a run."""
GREY_VALIDATIONS = 3
"""Validations in a row with nearly grey answers that end a run which is to stop on them."""


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
    init: Path | None = None,
) -> Progress:
    """Train a generator, or go on with a training that was interrupted.

    The run folder gets ``config.json``, ``log.csv``, ``validation.csv``, ``newest.pt``, ``best.pt``, ``samples/`` and
    TensorBoard's files. A crop depends on the seed and its position alone and every step reseeds torch, so an interrupted run
    gives the same losses as one that was not.

    Args:
        config: what to train.
        folders: prepared data; their ``train-*.tar`` shards, also in folders below. Their ``val-*.tar`` shards, where there are
            some, choose the best checkpoint; else training photographs set aside do.
        run: the folder of the run.
        devices: processes, each with a device of its own; the batch is split among them.
        accelerator: ``cpu``, ``cuda``, ``mps`` or ``auto``.
        workers: processes that decode photographs, for each device; 0 decodes in the training process.
        report: is called at every line of the log, by the first process; must be picklable when there are several.
        init: another run's checkpoint, whose averaged generator a new run starts from, or a model file; a run that goes on has
            its own.

    Raises:
        DataError: if a folder has no shards.
        ConfigError: if the run folder holds a run of another configuration, or the batch does not divide among the devices.
        TrainingError: if a loss is not finite, the discriminator has collapsed, or ``init`` is of another generator.
    """
    if config.batch % devices:
        raise ConfigError(f"batch is {config.batch}: expected a multiple of the {devices} devices")
    members = dataset.index(folders)
    precision = precision_of(config, accelerator)
    config = replace(config, precision=precision)
    _claim(run, config, folders)
    fabric = Fabric(
        accelerator=accelerator,
        devices=devices,
        strategy="auto" if devices == 1 else "ddp_spawn",
        precision="32-true" if precision == "bf16-decoder" else precision,
    )
    threads = torch.get_num_threads()
    validation = dataset.validating(folders, config.validation_photographs)
    job = Job(config, members, run, workers, report, max(1, threads // devices), init, validation)
    outcome = fabric.launch(partial(_guarded, job=job))
    torch.set_num_threads(threads)
    if isinstance(outcome, TrainingError):
        raise outcome
    progress: Progress = outcome
    return progress


def precision_of(config: Config, accelerator: str) -> Literal["32-true", "bf16-mixed", "bf16-decoder"]:
    """Resolve the precision ``auto``: bfloat16 where it is faster, on a CPU by instructions of its own in full convolutions.

    Depthwise convolutions, of which the encoder of ``photochrom`` consists, gain nothing from it on a CPU.
    """
    if config.precision != "auto":
        return config.precision
    if accelerator in ("auto", "cuda") and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    if accelerator not in ("auto", "cpu") or not native:
        return "32-true"
    return "bf16-mixed" if config.generator in LAYOUTS else "bf16-decoder"


@dataclass(frozen=True)
class Job:
    """What each process of a run is given."""

    config: Config
    members: list[Member]
    run: Path
    workers: int
    report: Reporter | None
    threads: int
    init: Path | None = None
    validation: Sequence[Member] = ()
    """Photographs of the shards ``val-*.tar``, where there are some."""


def _guarded(fabric: Fabric, job: Job) -> Progress | TrainingError:
    end_with_parent()
    try:
        return _run(fabric, job)
    except TrainingError as error:  # a spawned process would wrap it in its traceback
        return error


def _run(fabric: Fabric, job: Job) -> Progress:
    config = job.config
    torch.set_num_threads(job.threads)
    teach, aside = dataset.set_aside(job.members, config.validation_photographs)
    crops = _crops(config, teach)
    networks, statistics, progress = set_up(fabric, config, crops, job.run, init=job.init)
    sets = {"": job.validation or aside} | ({"aside_": aside} if job.validation else {})
    held = {prefix: dataset.validation(photographs, config.size) for prefix, photographs in sets.items()}
    log = Log(job.run, progress.images_seen) if fabric.is_global_zero else None
    batches = iter(_loader(fabric, job, crops, progress.images_seen))
    meter = Meter(progress)
    while progress.images_seen < config.images and not progress.stopped_early:
        stage, share = _schedule(config, progress.images_seen)
        _set_rates(networks, stage, share)
        luma, chroma, *shown = (part.to(fabric.device, non_blocking=True) for part in next(batches))
        luma = luma.contiguous(memory_format=torch.channels_last)
        torch.manual_seed(config.seed * 1_000_003 + progress.images_seen)
        meter.add(
            step(fabric, networks, luma, chroma, config=config, stage=stage, images_seen=progress.images_seen, shown=shown)
        )
        learned = generator_learns(config, stage, progress.images_seen)
        progress.images_seen += config.batch
        progress.steps += 1
        if learned:
            update_average(networks, min(config.ema, (1 + progress.steps) / (10 + progress.steps)))

        due = Due(progress.images_seen, config.batch, last=progress.images_seen >= config.images)
        if not any(map(due, (config.log_every, config.checkpoint_every, config.validate_every))):
            continue
        means, speed = meter.read(fabric, progress)
        _stop_if_broken(means, config, progress, job.run)
        scores: dict[str, float] = {}
        if log:
            log.row(progress, stage, share * stage.rate, means, speed)
            if due(config.validate_every):
                scores = _validate(networks, held, config, stage, progress)
                log.validation(progress, scores)
        scores = fabric.broadcast(scores)  # every process must know whether to go on
        better = _judge(scores, config, progress, job.run)
        if log:
            if due(config.sample_every):
                sheet = job.run / "samples" / f"{progress.images_seen:09d}.jpg"
                validate.sample_sheet(networks.average, held[""], sheet, temperature=config.temperature)
            save = due(config.checkpoint_every) or progress.stopped_early
            if better or save:
                _keep(job.run, state_of(config, networks, statistics, progress), best=better, newest=save)
            if job.report:
                images = progress.images_seen if progress.stopped_early else config.images
                job.report(Report(progress.images_seen, images, speed, means, scores))
        fabric.barrier()
        meter.restart(progress)
    if log:
        log.close()
    return progress


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
        num_workers=job.workers,
        persistent_workers=job.workers > 0,
        pin_memory=fabric.device.type == "cuda",
    )


def _set_rates(networks: Networks, stage: Stage, share: float) -> None:
    for optimizer, peak in (
        (networks.generator_optimizer, stage.rate),
        (networks.discriminator_optimizer, stage.critic_rate),
    ):
        for group in optimizer.param_groups:
            group["lr"] = peak * share * group["share"]


def _keep(run: Path, state: dict[str, Any], *, best: bool, newest: bool) -> None:
    """Write the checkpoints that are due."""
    if best:
        checkpoint.save(run / checkpoint.BEST, state)
    if newest:
        checkpoint.save(run / checkpoint.NEWEST, state)


def _validate(
    networks: Networks, sets: dict[str, tuple[Tensor, Tensor]], config: Config, stage: Stage, progress: Progress
) -> dict[str, float]:
    """Score the averaged generator on each set, and the discriminator where it plays; an alarm is 1."""
    scores = {
        prefix + name: value
        for prefix, held in sets.items()
        for name, value in validate.score(networks.average, held, config.temperature).items()
    }
    held = sets[""]
    if config.hints:
        scores |= validate.hint_gains(networks.average, held)
    if stage.kind != "generator":
        scores["held_accuracy"] = validate.held_accuracy(networks.generator, networks.discriminator, held, config)
    scores["alarm_collapse"] = float(progress.collapsed_lines > 0)
    scores["alarm_grey"] = float(scores["chroma"] < validate.GREYISH)
    return scores


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


@final
class Meter:
    """Average losses and measure speed between two lines of the log."""

    def __init__(self, progress: Progress) -> None:
        self._begin = time.monotonic() - progress.seconds
        self.restart(progress)

    def restart(self, progress: Progress) -> None:
        """Begin the next line."""
        self._sums: dict[str, Tensor] = {}
        self._counts: Counter[str] = Counter()  # by name: some losses are not there in every step
        self._mark, self._images = time.monotonic(), progress.images_seen

    def add(self, losses: Losses) -> None:
        """Take in the losses of one step."""
        for name, value in losses.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value
            self._counts[name] += 1

    def read(self, fabric: Fabric, progress: Progress) -> tuple[dict[str, float], float]:
        """Give the mean losses over steps and processes, and images per second; notes the time in the progress."""
        means: dict[str, float] = {}
        for name, value in self._sums.items():
            mean: Any = fabric.all_reduce(value / self._counts[name], reduce_op="mean")
            means[name] = float(mean)
        now = time.monotonic()
        progress.seconds = now - self._begin
        return means, (progress.images_seen - self._images) / max(now - self._mark, 1e-9)


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
        ignored = ("data", "stages", "precision", "log_every", "validate_every", "checkpoint_every", "sample_every")
        old = {field.name: field.default for field in fields(Config)} | old  # settings that came after the run
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
