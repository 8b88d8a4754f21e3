"""Describe a training run: one frozen dataclass, read from TOML, checked once."""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from photochrom.errors import ConfigError

Normalization = Literal["batch", "instance", "none"]
EncoderKind = Literal["lite0", "lite2"]
Precision = Literal["auto", "32-true", "bf16-mixed", "bf16-decoder"]


@dataclass(frozen=True)
class Stage:
    """One stage of a training run."""

    kind: Literal["generator", "critic", "adversarial"]
    """What learns: the generator alone, the discriminator alone, or both against each other."""
    images: int
    """Length, in training crops seen."""
    rate: float = 1e-3
    """Learning rate of the generator."""
    critic_rate: float = 2e-4
    """Learning rate of the discriminator."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """How both rates move over the stage: not at all, or down to zero."""
    warmup: int = 0
    """Crops over which both rates rise from zero."""


@dataclass(frozen=True)
class Config:
    """A training run. Presets are files of these fields in ``photochrom/training/presets``."""

    stages: tuple[Stage, ...]
    """The stages, in order."""
    generator: Literal["photochrom", "unet", "unet-rgb", "encoder-decoder"] = "photochrom"
    """Which generator to train; all but ``photochrom`` are the study's."""
    generator_width: int = 64
    """Channels of the first layer of a generator of the study."""
    generator_dropout: float = 0.5
    """Probability of dropout in the first two blocks on the way back of a generator of the study."""
    generator_normalization: Literal["batch", "instance", "none"] = "batch"
    """How a generator of the study normalizes its layers."""
    skips: bool = False
    """Skip connections in the generator ``encoder-decoder`` (the U-Nets have them always)."""
    noise_at_generation: bool = False
    """Keep dropout and the batch's own statistics when a generator of the study answers, as pix2pix does."""
    encoder: EncoderKind = "lite0"
    """EfficientNet of the generator ``photochrom``: Lite0, or Lite2, larger and slower."""
    pretrained: bool = True
    """Start the encoder from ImageNet weights, where the generator has one."""
    attention: int = 0
    """Self-attention blocks of the generator ``photochrom`` at stride 32, and as many at stride 16."""
    discriminator: Literal["patch70", "patch8", "global"] = "patch70"
    """Which discriminator to train: patches of 70 px, the study's with an 8x8 grid at its end, or one score for all."""
    discriminator_width: int = 64
    """Channels of the discriminator's first layer."""
    discriminator_dropout: float = 0.0
    """Probability of dropout in all layers of the discriminator but the first."""
    discriminator_normalization: Literal["batch", "instance", "none"] = "batch"
    """How the discriminator normalizes its layers."""
    adversarial_loss: Literal["bce", "lsgan", "hinge", "wgan"] = "bce"
    """The form of the adversarial loss."""
    critic_steps: int = 1
    """Updates of the discriminator, each with a batch of its own, for each of the generator."""
    spectral: Literal["none", "discriminator", "both"] = "none"
    """Which network's convolutions have a spectral norm of 1."""
    r1: float = 0.0
    """Gamma of the R1 penalty on the discriminator."""
    r1_every: int = 1
    """Steps between two R1 penalties, each so many times as heavy."""
    gradient_penalty: float = 0.0
    """Weight of the gradient penalty of WGAN-GP on the discriminator."""
    real_target: float = 1.0
    """What the discriminator is to answer to true photographs, losses ``bce`` and ``lsgan``; below 1 it is label smoothing."""
    instance_noise: float = 0.0
    """Standard deviation, at the start, of the noise on the colors that the discriminator sees, in units of the range 1."""
    instance_noise_share: float = 0.5
    """Share of the run over which that noise falls to 0."""
    augment: bool = False
    """Show the discriminator true and generated photographs translated and partly covered (DiffAugment)."""
    adversarial_weight: float = 1.0
    """Weight of the adversarial loss in the generator's sum."""
    bins_weight: float = 0.0
    """Weight of the cross-entropy over chroma bins (generator ``photochrom`` alone)."""
    l1_weight: float = 0.0
    """Weight of the mean absolute error of chroma, which spans -0.5 to 0.5 (the log shows the error in levels of 255)."""
    perceptual_weight: float = 0.0
    """Weight of the perceptual loss on the frozen ImageNet encoder, in adversarial stages."""
    rebalance: float = 1.0
    """Lambda of the class rebalancing of Zhang et al. 2016: 1 = none, 0.5 = theirs."""
    temperature: float = 0.6
    """Temperature of the annealed mean that the discriminator, the L1 loss and the sample sheets see."""
    positions: int = 256
    """Positions of each crop that the cross-entropy looks at, chosen at random in each step."""
    size: int = 128
    """Side of a training crop, in pixels."""
    smallest_crop: float = 0.7
    """Smallest share of the short side that a crop takes."""
    stretch: float = 0.2
    """Largest random change of a crop's aspect ratio, as a logarithm."""
    mirror: float = 0.5
    """Probability that a crop is mirrored."""
    turns: float = 0.0
    """Probability that a crop is turned by a quarter, to either side, as scans of prints often lie."""
    aging: float = 0.0
    """Probability that a crop's luma is aged: faded, low in contrast, blind to red, blurred, dark in the corners, grained."""
    hints: float = 0.0
    """Share of the crops of which the generator ``photochrom`` is shown points of true chroma."""
    repaints: float = 0.0
    """Share of those crops that are repainted around a point, in any color, and show it: what suits nothing stays near."""
    palettes: float = 0.0
    """Share of the crops of which it is shown the palette: how much there is of each chroma bin."""
    batch: int = 32
    """Crops in a step, over all devices."""
    seed: int = 0
    """Seed of the initial weights, of the order and of every random choice."""
    frozen: int = 0
    """Blocks of the encoder of ``photochrom``, from its first layer on, that do not learn; a step then takes less time."""
    encoder_rate: float = 0.3
    """Learning rate of a pretrained encoder, as a share of the stage's."""
    weight_decay: float = 0.01
    """Decoupled weight decay (AdamW)."""
    beta1: float = 0.9
    """Adam's decay of the first moment."""
    beta2: float = 0.999
    """Adam's decay of the second moment."""
    clip: float = 1.0
    """Largest norm of the gradients in a step; 0 = no limit."""
    ema: float = 0.999
    """Decay by step of the averaged weights, which are the ones that ship; 0 = no averaging."""
    precision: Precision = "32-true"
    """Arithmetic of the networks: float32, bfloat16, or bfloat16 in the decoder of ``photochrom`` only, whose convolutions are
    full ones; auto takes the fastest of the three."""
    log_every: int = 960
    """Crops between two lines of the log."""
    checkpoint_every: int = 9600
    """Crops between two checkpoints."""
    validate_every: int = 9600
    """Crops between two validations."""
    validation_photographs: int = 256
    """Photographs that validate, of the shards ``val-*.tar`` where there are some; as many training photographs are set aside
    by key, and validate where there are no such shards."""
    sample_every: int = 19200
    """Crops between two sample sheets."""
    collapse: float = 0.01
    """A discriminator whose loss stays below this for 50 log lines has collapsed; 0 = never."""
    stop_on: Literal["none", "collapse", "grey", "both"] = "collapse"
    """Which alarms end the run: a collapsed discriminator, or three validations in a row with nearly grey answers."""
    patience: int = 0
    """Validations in a row without a better score that end the run; 0 = never."""

    @property
    def hinted(self) -> bool:
        """Whether the generator is shown anything but luma."""
        return bool(self.hints or self.palettes)

    @property
    def images(self) -> int:
        """Length of the whole run, in training crops."""
        return sum(stage.images for stage in self.stages)


LEAST: dict[str, float] = {
    "images": 1, "rate": 0, "critic_rate": 0, "warmup": 0, "discriminator_width": 1, "adversarial_weight": 0,
    "bins_weight": 0, "l1_weight": 0, "perceptual_weight": 0, "rebalance": 0.01, "temperature": 0.01, "positions": 1,
    "size": 32, "smallest_crop": 0.05, "stretch": 0, "aging": 0, "batch": 1, "seed": 0, "encoder_rate": 0,
    "weight_decay": 0, "beta1": 0, "beta2": 0, "clip": 0, "ema": 0, "log_every": 1, "checkpoint_every": 1,
    "validate_every": 1, "validation_photographs": 1, "sample_every": 1, "collapse": 0, "generator_width": 1,
    "generator_dropout": 0, "discriminator_dropout": 0, "critic_steps": 1, "r1": 0, "r1_every": 1, "gradient_penalty": 0,
    "real_target": 0.5, "instance_noise": 0, "instance_noise_share": 0.001, "mirror": 0, "patience": 0,
    "hints": 0, "palettes": 0, "turns": 0, "repaints": 0, "frozen": 0, "attention": 0,
}  # fmt: skip
MOST: dict[str, float] = {
    "rebalance": 1, "smallest_crop": 1, "aging": 1, "beta1": 0.9999, "beta2": 0.99999, "ema": 0.99999, "mirror": 1,
    "generator_dropout": 0.95, "discriminator_dropout": 0.95, "real_target": 1, "instance_noise_share": 1, "hints": 1,
    "palettes": 1, "turns": 1, "repaints": 1, "frozen": 16, "attention": 8,
}  # fmt: skip


def presets() -> dict[str, Path]:
    """List the presets that come with the package, by name."""
    folder = resources.files("photochrom.training") / "presets"
    return {Path(str(item)).stem: Path(str(item)) for item in sorted(folder.iterdir(), key=str) if str(item).endswith(".toml")}


def load(source: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read a configuration from a preset's name or a TOML file.

    Args:
        source: the name of a preset, or the path of a TOML file with the fields of ``Config``.
        overrides: settings that replace those of the file, as ``key=value`` with a TOML value; ``stages.0.images=1000``
            reaches into the stages.

    Raises:
        ConfigError: if there is no such file, a key is unknown, a value has the wrong type or is out of range, or two
            settings contradict each other.
    """
    known = presets()
    path = known.get(str(source), Path(source))
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(
            f"no configuration '{source}': expected a TOML file or one of the presets {', '.join(known)}"
        ) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"cannot read the configuration '{source}': {error}") from error
    for setting in overrides:
        _override(table, setting)
    return from_table(table, where=str(source))


def from_table(table: dict[str, Any], *, where: str = "configuration") -> Config:
    """Make a configuration of nested tables, as TOML or JSON has them; raises ConfigError as ``load`` does."""
    config: Config = _build(Config, table, where)
    _check(config, where)
    return config


def to_table(config: Config) -> dict[str, Any]:
    """Give the configuration as plain tables, which ``from_table`` reads."""
    table = dataclasses.asdict(config)
    table["stages"] = list(table["stages"])
    return table


def _override(table: dict[str, Any], setting: str) -> None:
    key, equals, text = setting.partition("=")
    if not equals:
        raise ConfigError(f"'{setting}' is not a setting: expected key=value")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *path, last = key.split(".")
    target: Any = table
    try:
        for part in path:
            target = target[int(part)] if isinstance(target, list) else target[part]
        if isinstance(target, list):
            target[int(last)] = value
        else:
            target[last] = value
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise ConfigError(f"the setting '{key}' leads nowhere: expected a key of the configuration") from error


def _build(kind: Any, table: dict[str, Any], where: str) -> Any:
    hints = typing.get_type_hints(kind)
    names = [field.name for field in fields(kind)]
    for key in table:
        if key not in names:
            close = difflib.get_close_matches(key, names, n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(close)}?" if close else f"known keys: {', '.join(names)}"
            raise ConfigError(f"{where}: unknown key '{key}'; {hint}")
    missing = [f.name for f in fields(kind) if f.default is dataclasses.MISSING and f.name not in table]
    if missing:
        raise ConfigError(f"{where}: {', '.join(missing)} missing; every {kind.__name__.lower()} needs it")
    return kind(**{key: _value(hints[key], value, f"{where}: {key}") for key, value in table.items()})


def _value(hint: Any, value: Any, where: str) -> Any:
    origin = get_origin(hint)
    if origin is tuple:
        if not isinstance(value, list) or not value or not all(isinstance(item, dict) for item in value):
            raise ConfigError(f"{where} is {value!r}: expected one or more tables")
        return tuple(_build(get_args(hint)[0], item, f"{where}.{index}") for index, item in enumerate(value))
    if origin is Literal:
        if value not in get_args(hint):
            raise ConfigError(f"{where} is {value!r}: expected one of {', '.join(map(str, get_args(hint)))}")
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, hint) or (hint is not bool and isinstance(value, bool)):
        raise ConfigError(f"{where} is {value!r}: expected {'a number' if hint is float else 'an ' + hint.__name__}")
    name = where.rpartition(": ")[2]
    least, most = LEAST.get(name, float("-inf")), MOST.get(name, float("inf"))
    if hint in (int, float) and not least <= value <= most:
        limits = f"{least:g} to {most:g}" if most < float("inf") else f"{least:g} or more"
        raise ConfigError(f"{where} is {value}: expected {limits}")
    return value


def _check(config: Config, where: str) -> None:
    for wrong, said in _contradictions(config):
        if wrong:
            raise ConfigError(f"{where}: {said}")


def _contradictions(c: Config) -> Iterator[tuple[bool, str]]:
    """List what no configuration may have, with the sentence that says so."""
    study, rgb = c.generator != "photochrom", c.generator in ("unet-rgb", "encoder-decoder")
    learns = any(stage.kind == "generator" for stage in c.stages)
    penalty = "r1" if c.r1 else "gradient_penalty"
    yield (
        study and bool(c.bins_weight),
        f"bins_weight is {c.bins_weight:g}, but the generator {c.generator} has no chroma bins; set it to 0",
    )
    yield bool(c.size % 32), f"size is {c.size}: expected a multiple of 32"
    yield (
        study and c.size not in (32, 64) and bool(c.size % 128),
        f"size is {c.size}, but the generator {c.generator} takes 32, 64 or multiples of 128",
    )
    for name in ("hints", "palettes", "frozen", "attention"):
        value = getattr(c, name)
        yield (
            study and bool(value),
            f"{name} is {value:g}, but the generator {c.generator} has no such part; set it to 0, or take photochrom",
        )
    yield (
        study and c.precision == "bf16-decoder",
        f"precision is bf16-decoder, but the generator {c.generator} is of one piece; take bf16-mixed",
    )
    yield bool(c.repaints) and not c.hints, f"repaints is {c.repaints:g} without hints: give hints a share, or set it to 0"
    for name in ("generator_width", "generator_normalization", "noise_at_generation"):
        value = getattr(c, name)
        yield (
            not study and value != getattr(Config, name),
            f"{name} is {value}, but the generator photochrom has but one form; leave it out, or take a generator of the study",
        )
    yield (
        study and c.encoder != "lite0",
        f"encoder is {c.encoder}, but the generator {c.generator} has none; leave it out, or take photochrom",
    )
    yield (
        c.skips and c.generator != "encoder-decoder",
        f"skips is true, but the generator {c.generator} has no such choice; only encoder-decoder has",
    )
    yield (
        rgb and bool(c.perceptual_weight),
        f"perceptual_weight is {c.perceptual_weight:g}, but the generator {c.generator} paints RGB and the loss compares "
        "chroma; set it to 0",
    )
    yield (
        not study and c.spectral == "both",
        "spectral is both, but the generator photochrom starts from weights that it would undo; set it to discriminator",
    )
    yield (
        bool(c.r1 or c.gradient_penalty) and c.discriminator_normalization == "batch",
        f"{penalty} is {getattr(c, penalty):g}, but discriminator_normalization is batch and the penalty is on each photograph "
        "alone; set it to instance or none",
    )
    yield (
        c.adversarial_loss == "wgan" and not c.gradient_penalty and c.spectral == "none",
        "adversarial_loss is wgan and nothing bounds the discriminator; set gradient_penalty to 10, or spectral",
    )
    yield (
        c.real_target < 1 and c.adversarial_loss not in ("bce", "lsgan"),
        f"real_target is {c.real_target:g}, but the adversarial_loss {c.adversarial_loss} has no target; set it to 1",
    )
    yield learns and not (c.bins_weight or c.l1_weight), "a generator stage needs bins_weight or l1_weight above 0"
    yield c.batch > c.images, f"batch is {c.batch}, but the stages have {c.images} images in all"
