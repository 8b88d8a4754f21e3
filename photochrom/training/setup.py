"""Build what a training run works with, new or from its newest checkpoint, and give it back as a checkpoint's state."""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric

from photochrom import color
from photochrom.errors import ConfigError, TrainingError
from photochrom.training import checkpoint, regularizers
from photochrom.training.checkpoint import Progress
from photochrom.training.config import Config, to_table
from photochrom.training.data import dataset
from photochrom.training.launch import from_first
from photochrom.training.losses import BinCrossEntropy, Perceptual
from photochrom.training.networks.discriminators import PatchGAN
from photochrom.training.networks.generators import LAYOUTS, BinGenerator, Generator, Shape, build
from photochrom.training.step import Networks

SETTINGS = "config.json"
"""The file of a run that holds its configuration, the data folders, and the settings given beside the configuration."""
FREE = ("data", "set", "stages", "precision", "log_every", "validate_every", "checkpoint_every", "sample_every")
"""What may change when a run goes on."""
LATER = ("hint_", "palette", "attention")
"""Names of the layers that earlier checkpoints of the generator ``photochrom`` may lack begin so; new ones change nothing."""


def set_up(
    fabric: Fabric, config: Config, crops: dataset.Crops, run: Path, *, init: Path | None = None
) -> tuple[Networks, dict[str, Any], Progress]:
    """Build networks, optimizers and the data's statistics, or load them from the run's newest checkpoint.

    Args:
        fabric: says on which device; the first process reads and measures for all.
        config: what is trained.
        crops: the training crops, which a new run measures.
        run: the folder of the run.
        init: another run's checkpoint, whose averaged generator a new run starts from, or a model file.

    Raises:
        TrainingError: if a checkpoint is damaged, or ``init`` is of another generator.
    """
    path = run / checkpoint.NEWEST
    state = from_first(fabric, lambda: checkpoint.load(path) if path.exists() else None)
    torch.manual_seed(config.seed)
    generator = generator_of(config, pretrained=config.pretrained and state is None)
    discriminator = discriminator_of(config)
    if state:
        statistics = state["statistics"]
        generator.load_state_dict(state["generator"])
        discriminator.load_state_dict(state["discriminator"])
    else:
        statistics, weights = from_first(fabric, lambda: _begin(generator, crops, init))
        generator.load_state_dict(weights)
    commits = statistics.setdefault("commits", [])
    if checkpoint.commit() not in commits:
        commits.append(checkpoint.commit())
    if isinstance(generator, BinGenerator):
        generator.encoder.freeze(config.frozen)
    average = deepcopy(generator)
    if state:
        average.load_state_dict(state["average"])
    for network in (generator, average, discriminator):
        network.to(fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    learning = [p for p in generator.parameters() if p.requires_grad]
    known = (
        {id(p) for p in generator.encoder.parameters()} if isinstance(generator, BinGenerator) and config.pretrained else set()
    )
    encoder, others = ([p for p in learning if (id(p) in known) is inside] for inside in (True, False))
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
        bins=BinCrossEntropy(prior, config.rebalance).to(fabric.device) if config.bins_weight else None,
        perceptual=perceptual,
    )
    if state:
        networks.generator_optimizer.load_state_dict(state["generator_optimizer"])
        networks.discriminator_optimizer.load_state_dict(state["discriminator_optimizer"])
    return networks, statistics, Progress(**state["progress"]) if state else Progress()


def _begin(generator: Generator, crops: dataset.Crops, init: Path | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Measure the data of a new run and give them with the weights that the generator starts from."""
    statistics = chroma_statistics(crops)
    if isinstance(generator, BinGenerator):
        calibrate_norms(generator, crops)
    if init:
        from photochrom.training.onnx_import import unfold  # it loads the inference side, which few runs need

        statistics["init"] = unfold(generator, init) if init.suffix == ".onnx" else start_from(generator, init)
    return statistics, generator.state_dict()


def start_from(generator: Generator, path: Path) -> dict[str, Any]:
    """Load another run's averaged generator; layers for hints that it did not have yet stay as they are, at zero.

    Returns:
        What the model's card says of it: its configuration, images seen and hours, and what it started from itself.

    Raises:
        TrainingError: if the checkpoint is damaged or of another generator.
    """
    state = checkpoint.load(path)
    ours = generator.state_dict()
    theirs = state["average"]
    later = {name for name in ours if name.startswith(LATER)}
    if ours.keys() - later - theirs.keys() or any(
        name not in ours or value.shape != ours[name].shape for name, value in theirs.items()
    ):
        raise TrainingError(f"'{path}' holds a generator of another form: expected one like the run's, or leave --init out")
    generator.load_state_dict(theirs, strict=False)
    return {
        "config": state["config"],
        "images_seen": state["progress"]["images_seen"],
        "hours": round(state["progress"]["seconds"] / 3600, 3),
        "init": state["statistics"].get("init"),
    }


def generator_of(config: Config, *, pretrained: bool) -> Generator:
    """Build the generator of a configuration, its encoder with ImageNet weights if it is to start from them."""
    shape = Shape(
        size=config.size,
        width=config.generator_width,
        dropout=config.generator_dropout,
        normalization=config.generator_normalization,
        skips=config.skips,
        noise=config.noise_at_generation,
    )
    generator = build(
        config.generator,
        pretrained=pretrained,
        shape=shape,
        encoder=config.encoder,
        attention=config.attention,
        half_decoder=config.precision == "bf16-decoder",
    )
    if config.spectral == "both":
        regularizers.normalize_spectrum(generator)
    return generator


def discriminator_of(config: Config) -> PatchGAN:
    """Build the discriminator of a configuration."""
    discriminator = PatchGAN(
        config.discriminator_width,
        config.discriminator,
        size=config.size,
        rgb=config.generator in LAYOUTS and LAYOUTS[config.generator].output != "chroma",
        normalize=config.discriminator_normalization,
        drop=config.discriminator_dropout,
    )
    if config.spectral != "none":
        regularizers.normalize_spectrum(discriminator)
    return discriminator


def state_of(config: Config, networks: Networks, statistics: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Collect what a checkpoint holds: all that ``set_up`` needs to go on."""
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
        _, chroma, *_ = crops[position]
        small = torch.nn.functional.avg_pool2d(chroma, 4)
        total += small.double().mean((1, 2))
        cells = (small / color.BIN_STEP).round().long().clamp(-10, 10) + 10
        histogram += torch.bincount(table[cells[0], cells[1]].flatten(), minlength=len(histogram))
    return {"prior": (histogram / histogram.sum()).tolist(), "mean_chroma": (total / count).tolist()}


def calibrate_norms(generator: BinGenerator, crops: dataset.Crops, count: int = 256) -> None:
    """Measure the encoder's batch norm statistics on luma, in place of the statistics of color photographs."""
    norms = [m for m in generator.encoder.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches
        norm.train()
    with torch.no_grad():
        for start in range(0, min(count, len(crops)), 32):
            generator.encoder(torch.stack([crops[i][0] for i in range(start, min(start + 32, len(crops)))]))
    generator.train()


def claim(run: Path, config: Config, folders: Sequence[Path], overrides: Sequence[str] = ()) -> Config:
    """Make the run folder, or check that it belongs to this configuration; give the configuration back.

    The stages' lengths, the data folders and what a run writes when may change.

    Raises:
        ConfigError: if the folder holds a run of another configuration, or something else.
    """
    path = run / SETTINGS
    table = to_table(config) | {"data": [str(folder) for folder in folders], "set": list(overrides)}
    if path.exists():
        old = json.loads(path.read_text(encoding="utf-8"))
        old = {field.name: field.default for field in fields(Config)} | old  # settings that came after the run
        different = [key for key in table if key not in FREE and table[key] != old.get(key)]
        if different:
            was = ", ".join(f"{key} was {old.get(key)!r}, is {table[key]!r}" for key in different)
            raise ConfigError(f"'{run}' holds a run of another configuration ({was}); choose another folder")
    elif run.exists() and any(run.iterdir()):
        raise ConfigError(f"'{run}' is not empty and holds no run; choose another folder")
    run.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    part.replace(path)
    return config


def settings_of(run: Path) -> list[str]:
    """Read the settings ``key=value`` that a run was given beside its configuration; none where there is no run."""
    path = run / SETTINGS
    found: list[str] = json.loads(path.read_text(encoding="utf-8")).get("set", []) if path.exists() else []
    return found
