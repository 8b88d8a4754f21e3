"""Describe a training run: one frozen dataclass, read from TOML, checked once."""

from __future__ import annotations

import dataclasses
import difflib
import re
import tomllib
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import msgspec
from msgspec import Meta

from photochrom.errors import ConfigError

Kind = TypeVar("Kind")
Count = Annotated[int, Meta(ge=1)]
Number = Annotated[int, Meta(ge=0)]
Amount = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Normalization = Literal["batch", "instance", "none"]
EncoderKind = Literal["lite0", "lite2"]
Precision = Literal["auto", "32-true", "bf16-mixed", "bf16-decoder"]


@dataclass(frozen=True)
class Stage:
    """One stage of a training run."""

    kind: Literal["generator", "critic", "adversarial"]
    """What learns: only the generator, only the discriminator, or both against each other."""
    images: Count
    """Length, in training crops seen."""
    rate: Amount = 1e-3
    """Learning rate of the generator."""
    critic_rate: Amount = 2e-4
    """Learning rate of the discriminator."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """How both rates move over the stage: not at all, or down to zero."""
    warmup: Number = 0
    """Crops over which both rates rise from zero."""


@dataclass(frozen=True)
class Config:
    """A training run. Presets are files of these fields in ``photochrom/training/presets``."""

    stages: Annotated[tuple[Stage, ...], Meta(min_length=1)]
    """The stages, in order."""
    generator: Literal["photochrom", "unet", "unet-rgb", "encoder-decoder"] = "photochrom"
    """Which generator to train; all but ``photochrom`` are the study's."""
    generator_width: Count = 64
    """Channels of the first layer of a generator of the study."""
    generator_dropout: Annotated[float, Meta(ge=0, le=0.95)] = 0.5
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
    attention: Annotated[int, Meta(ge=0, le=8)] = 0
    """Self-attention blocks of the generator ``photochrom`` at stride 32, and as many at stride 16."""
    discriminator: Literal["patch70", "patch8", "global"] = "patch70"
    """Which discriminator to train: patches of 70 px, the study's with an 8x8 grid at its end, or one score for all."""
    discriminator_width: Count = 64
    """Channels of the discriminator's first layer."""
    discriminator_dropout: Annotated[float, Meta(ge=0, le=0.95)] = 0.0
    """Probability of dropout in all layers of the discriminator but the first."""
    discriminator_normalization: Literal["batch", "instance", "none"] = "batch"
    """How the discriminator normalizes its layers."""
    adversarial_loss: Literal["bce", "lsgan", "hinge", "wgan"] = "bce"
    """The form of the adversarial loss."""
    critic_steps: Count = 1
    """Updates of the discriminator, each with a batch of its own, for each of the generator."""
    spectral: Literal["none", "discriminator", "both"] = "none"
    """Which network's convolutions have a spectral norm of 1."""
    r1: Amount = 0.0
    """Gamma of the R1 penalty on the discriminator."""
    r1_every: Count = 1
    """Steps between two R1 penalties, each so many times as heavy."""
    gradient_penalty: Amount = 0.0
    """Weight of the gradient penalty of WGAN-GP on the discriminator."""
    real_target: Annotated[float, Meta(ge=0.5, le=1)] = 1.0
    """What the discriminator is to answer to true photographs, losses ``bce`` and ``lsgan``; below 1 it is label smoothing."""
    instance_noise: Amount = 0.0
    """Standard deviation, at the start, of the noise on the colors that the discriminator sees, in units of the range 1."""
    instance_noise_share: Annotated[float, Meta(ge=0.001, le=1)] = 0.5
    """Share of the run over which that noise falls to 0."""
    augment: bool = False
    """Show the discriminator true and generated photographs translated and partly covered (DiffAugment)."""
    adversarial_weight: Amount = 1.0
    """Weight of the adversarial loss in the generator's sum."""
    bins_weight: Amount = 0.0
    """Weight of the cross-entropy over chroma bins (only the generator ``photochrom``)."""
    l1_weight: Amount = 0.0
    """Weight of the mean absolute error of chroma, which spans -0.5 to 0.5 (the log shows the error in levels of 255)."""
    perceptual_weight: Amount = 0.0
    """Weight of the perceptual loss on the frozen ImageNet encoder, in adversarial stages."""
    rebalance: Annotated[float, Meta(ge=0.01, le=1)] = 1.0
    """Lambda of the class rebalancing of Zhang et al. 2016: 1 = none, 0.5 = theirs."""
    temperature: Annotated[float, Meta(ge=0.01)] = 0.6
    """Temperature of the annealed mean that the discriminator, the L1 loss and the sample sheets see."""
    positions: Count = 256
    """Positions of each crop that the cross-entropy looks at, chosen at random in each step."""
    size: Annotated[int, Meta(ge=32)] = 128
    """Side of a training crop, in pixels."""
    smallest_crop: Annotated[float, Meta(ge=0.05, le=1)] = 0.7
    """Smallest share of the short side that a crop takes."""
    stretch: Amount = 0.2
    """Largest random change of a crop's aspect ratio, as a logarithm."""
    mirror: Share = 0.5
    """Probability that a crop is mirrored."""
    turns: Share = 0.0
    """Probability that a crop is turned by a quarter, to either side, as scans of prints often lie."""
    aging: Share = 0.0
    """Probability that a crop's luma is aged: faded, low in contrast, blind to red, blurred, dark in the corners, grained."""
    hints: Share = 0.0
    """Share of the crops for which the generator ``photochrom`` is shown points of true chroma."""
    repaints: Share = 0.0
    """Share of those crops that are repainted around a point, in any color, and show it: what suits nothing stays near."""
    palettes: Share = 0.0
    """Share of the crops for which it is shown the palette: how much there is of each chroma bin."""
    batch: Count = 32
    """Crops in a step, over all devices."""
    seed: Number = 0
    """Seed of the initial weights, of the order and of every random choice."""
    frozen: Annotated[int, Meta(ge=0, le=16)] = 0
    """Blocks of the encoder of ``photochrom``, from its first layer on, that do not learn; a step then takes less time."""
    encoder_rate: Amount = 0.3
    """Learning rate of a pretrained encoder, as a share of the stage's."""
    weight_decay: Amount = 0.01
    """Decoupled weight decay (AdamW)."""
    beta1: Annotated[float, Meta(ge=0, le=0.9999)] = 0.9
    """Adam's decay of the first moment."""
    beta2: Annotated[float, Meta(ge=0, le=0.99999)] = 0.999
    """Adam's decay of the second moment."""
    clip: Amount = 1.0
    """Largest norm of the gradients in a step; 0 = no limit."""
    ema: Annotated[float, Meta(ge=0, le=0.99999)] = 0.999
    """Decay by step of the averaged weights, which are the ones that ship; 0 = no averaging."""
    precision: Precision = "32-true"
    """Arithmetic of the networks: float32, bfloat16, or bfloat16 in the decoder of ``photochrom`` only, whose convolutions are
    full ones; auto takes the fastest of the three."""
    log_every: Count = 960
    """Crops between two lines of the log."""
    checkpoint_every: Count = 9600
    """Crops between two checkpoints."""
    validate_every: Count = 9600
    """Crops between two validations."""
    validation_photographs: Count = 256
    """Photographs that validate, of the shards ``val-*.tar`` where there are some; as many training photographs are set aside
    by key, and validate where there are no such shards."""
    sample_every: Count = 19200
    """Crops between two sample sheets."""
    collapse: Amount = 0.01
    """A discriminator whose loss stays below this for 50 log lines has collapsed; 0 = never."""
    stop_on: Literal["none", "collapse", "grey", "both"] = "collapse"
    """Which alarms end the run: a collapsed discriminator, or three validations in a row with nearly grey answers."""
    patience: Number = 0
    """Validations in a row without a better score that end the run; 0 = never."""

    @property
    def hinted(self) -> bool:
        """Whether the generator is shown anything but luma."""
        return bool(self.hints or self.palettes)

    @property
    def images(self) -> int:
        """Length of the whole run, in training crops."""
        return sum(stage.images for stage in self.stages)


WORDS = {
    r"^Expected": "expected", r", got .*": "", r"\bint\b": "a whole number", r"\bfloat\b": "a number", r"\bstr\b": "a text",
    r"\bbool\b": "true or false", r"\barray\b": "a list", r"\bobject\b": "a table", r" of length >= 1": " of one or more",
    r">= (\S+?)(\.0)?$": r"of at least \1", r"<= (\S+?)(\.0)?$": r"of at most \1",
}  # fmt: skip
"""Turns msgspec's words into plain ones."""


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
    config = read(Config, table, where)
    _check(config, where)
    return config


def to_table(config: Config) -> dict[str, Any]:
    """Return the configuration as plain tables, which ``from_table`` reads."""
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


def read(kind: type[Kind], table: dict[str, Any], where: str) -> Kind:
    """Make a dataclass of nested tables, as TOML or JSON has them; msgspec checks types and ranges.

    Args:
        kind: a dataclass whose fields are numbers, texts, ``Literal``, tuples of these and other dataclasses.
        table: its fields by name.
        where: what the table is, for messages.

    Raises:
        ConfigError: if a key is unknown or missing, or a value has the wrong type or is out of range.
    """
    _refuse_unknown(kind, table, where)
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {_explained(str(error), kind, table)}") from error


def _refuse_unknown(kind: Any, table: dict[str, Any], where: str) -> None:
    hints = typing.get_type_hints(kind)
    for key, value in table.items():
        if key not in hints:
            close = difflib.get_close_matches(key, hints, n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(close)}?" if close else f"known keys: {', '.join(hints)}"
            raise ConfigError(f"{where}: unknown key '{key}'; {hint}")
        inside = (get_args(hints[key]) or (None,))[0]
        for index, item in enumerate(value) if dataclasses.is_dataclass(inside) and isinstance(value, list) else ():
            if isinstance(item, dict):
                _refuse_unknown(inside, item, f"{where}: {key}.{index}")


def _explained(said: str, kind: Any, table: Any) -> str:
    """Put key, value and choices into what msgspec says, such as "Expected `int` >= 1 - at `$.stages[0].images`"."""
    what, _, path = said.replace("`", "").partition(" - at $")
    keys = re.findall(r"\w+", path)
    for key in keys:
        hint = typing.get_type_hints(kind)[key] if dataclasses.is_dataclass(kind) else (get_args(kind) or (kind,))[0]
        kind, table = hint, table[int(key)] if isinstance(table, list) else table[key]
    name = ".".join(keys)
    if what.startswith("Object missing"):
        return f"{name + ': ' if name else ''}{what.split()[-1]} is missing"
    if get_origin(kind) is Literal:
        return f"{name} is {table!r}: expected one of {', '.join(map(str, get_args(kind)))}"
    for theirs, ours in WORDS.items():
        what = re.sub(theirs, ours, what)
    return f"{name} is {table!r}: {what}"


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
        f"{penalty} is {getattr(c, penalty):g}, but discriminator_normalization is batch and the penalty looks at "
        "one photograph at a time; set it to instance or none",
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
