from __future__ import annotations

import json
from typing import Annotated, get_origin, get_type_hints

import pytest

from photochrom.errors import ConfigError
from photochrom.training import config

STAGE = {"kind": "generator", "images": 100}
GOOD = {"bins_weight": 1.0, "stages": [STAGE]}
STUDY = {"generator": "unet", "l1_weight": 1.0, "stages": [STAGE]}


@pytest.mark.parametrize("name", config.presets())
def test_every_preset_loads_and_survives_a_round_trip(name):
    loaded = config.load(name)
    assert config.from_table(json.loads(json.dumps(config.to_table(loaded)))) == loaded
    assert loaded.images > 0


def test_the_presets_are_there():
    assert set(config.presets()) == {"release", "photochrom", "unet", "plain", "original-pix2pix", "original-alternative"}


def test_every_number_has_a_range():
    for kind in (config.Config, config.Stage):
        for name, hint in get_type_hints(kind, include_extras=True).items():
            assert hint not in (int, float), f"{name} may be any number"
            if get_origin(hint) is Annotated:
                assert hint.__metadata__[0].ge is not None or name == "stages"


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (GOOD | {"lerning_rate": 1}, "unknown key 'lerning_rate'"),
        (GOOD | {"bach": 1}, "did you mean batch"),
        (GOOD | {"batch": 0}, "batch is 0: expected a whole number of at least 1"),
        (GOOD | {"aging": 1.5}, "aging is 1.5: expected a number of at most 1"),
        (GOOD | {"batch": "many"}, "batch is 'many': expected a whole number"),
        (GOOD | {"batch": True}, "batch is True: expected a whole number"),
        (GOOD | {"ema": "x"}, "ema is 'x': expected a number"),
        (GOOD | {"generator": "vgg"}, "expected one of photochrom, unet"),
        (GOOD | {"size": 100}, "expected a multiple of 32"),
        (GOOD | {"generator": "unet"}, "has no chroma bins"),
        ({"stages": [STAGE]}, "needs bins_weight or l1_weight"),
        ({}, "my.toml: stages is missing"),
        (GOOD | {"stages": []}, "stages is []: expected a list of one or more"),
        (GOOD | {"stages": [{"kind": "generator"}]}, "stages.0: images is missing"),
        (GOOD | {"stages": [STAGE | {"rat": 1}]}, "did you mean rate"),
        (GOOD | {"batch": 101}, "batch is 101, but the stages have 100 images"),
        (STUDY | {"size": 96}, "size is 96, but the generator unet takes 32, 64 or multiples of 128"),
        (STUDY | {"skips": True}, "skips is true, but the generator unet has no such choice"),
        (
            STUDY | {"generator": "unet-rgb", "perceptual_weight": 1.0},
            "but the generator unet-rgb paints RGB",
        ),
        (GOOD | {"generator_width": 8}, "generator_width is 8, but the generator photochrom has but one form"),
        (GOOD | {"noise_at_generation": True}, "noise_at_generation is True, but the generator photochrom"),
        (GOOD | {"spectral": "both"}, "spectral is both, but the generator photochrom"),
        (STUDY | {"r1": 10.0}, "r1 is 10, but discriminator_normalization is batch"),
        (STUDY | {"gradient_penalty": 1.0}, "gradient_penalty is 1, but discriminator_normalization is batch"),
        (STUDY | {"adversarial_loss": "wgan"}, "adversarial_loss is wgan and nothing bounds the discriminator"),
        (STUDY | {"adversarial_loss": "hinge", "real_target": 0.9}, "real_target is 0.9, but the adversarial_loss hinge"),
        (STUDY | {"real_target": 1.1}, "real_target is 1.1: expected a number of at most 1"),
        (STUDY | {"discriminator": "patch9"}, "discriminator is 'patch9': expected one of patch70, patch8, global"),
        (STUDY | {"discriminator": 9}, "discriminator is 9: expected one of patch70, patch8, global"),
        (GOOD | {"stages": [STAGE | {"warmup": -1}]}, "stages.0.warmup is -1: expected a whole number of at least 0"),
        (GOOD | {"stages": [STAGE | {"rate": float("nan")}]}, "stages.0.rate is nan: expected a number of at least 0"),
        (GOOD | {"stages": 3}, "stages is 3: expected a list"),
        (GOOD | {"stages": [3]}, "stages.0 is 3: expected a table"),
        (GOOD | {"pretrained": 1}, "pretrained is 1: expected true or false"),
        (GOOD | {"smallest_crop": 0.01}, "smallest_crop is 0.01: expected a number of at least 0.05"),
    ],
)
def test_a_wrong_table_is_refused_in_one_line(table, said):
    with pytest.raises(ConfigError) as caught:
        config.from_table(table, where="my.toml")
    assert said in str(caught.value) and "my.toml" in str(caught.value) and "\n" not in str(caught.value)


def test_settings_replace_those_of_the_file():
    loaded = config.load("photochrom", ["batch=16", "stages.0.images=320", "adversarial_loss=lsgan"])
    assert (loaded.batch, loaded.stages[0].images, loaded.adversarial_loss) == (16, 320, "lsgan")


@pytest.mark.parametrize("setting", ["batch", "stages.9.images=1", "stages.x.images=1", "no.such.key=1"])
def test_a_setting_that_leads_nowhere_is_refused(setting):
    with pytest.raises(ConfigError):
        config.load("photochrom", [setting])


def test_a_file_that_is_no_toml_or_not_there_is_refused(tmp_path):
    bad = tmp_path / "bad.toml"
    bad.write_text("batch = = 1")
    for source in (bad, tmp_path / "none.toml", "nopreset"):
        with pytest.raises(ConfigError, match=r"configuration"):
            config.load(source)
