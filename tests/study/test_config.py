from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from photochrom.errors import ConfigError
from photochrom.study import config as experiments
from photochrom.training import config
from photochrom.training import regularizers as pieces
from photochrom.training.regularizers import REGULARIZERS
from tests.support.studies import TABLE, study

DATA = {"hills": Path("a"), "lakes": Path("b")}


def table(**changes: object) -> dict:
    return json.loads(json.dumps(TABLE)) | changes


def test_the_grid_is_every_combination_in_order():
    runs = study(DATA).runs
    assert len(runs) == 2 * 1 * 2 * 3
    assert [run.name for run in runs[:4]] == [
        "hills-unet-none-s0", "hills-unet-none-s1", "hills-unet-none-s2", "hills-unet-spectral-d-s0",
    ]  # fmt: skip
    assert runs[6].data == "lakes"
    assert [run.config.seed for run in runs[:3]] == [0, 1, 2]
    assert {run.config.spectral for run in runs if run.regularizer == "none"} == {"none"}
    assert {run.config.spectral for run in runs if run.regularizer == "spectral-d"} == {"discriminator"}


def test_regularizers_combine_and_a_study_may_define_its_own():
    plan = experiments.from_tables(
        table(
            grid={"generators": ["unet"], "regularizers": ["none", "ema+noisy"]},
            regularizers={"noisy": {"instance_noise": 0.3}},
        ),
        DATA,
    )
    settings = plan.runs[1].config
    assert (settings.ema, settings.instance_noise) == (0.999, 0.3)
    assert plan.runs[1].name == "hills-unet-ema+noisy-s0"


def test_a_generator_may_replace_any_setting_and_a_regularizer_has_the_last_word():
    own = {"narrow": {"generator": "unet", "generator_width": 8, "spectral": "none"}, "bare": {"generator_width": 16}}
    plan = experiments.from_tables(
        table(generators=own, grid={"generators": ["narrow", "encoder-decoder"], "regularizers": ["spectral-d"]}), DATA
    )
    narrow, other = plan.runs[0].config, plan.runs[1].config
    assert (narrow.generator, narrow.generator_width, narrow.spectral) == ("unet", 8, "discriminator")
    assert (other.generator, other.generator_width) == ("encoder-decoder", 4)


def test_data_come_from_the_table_or_the_command_line_which_wins():
    plan = experiments.from_tables(table(data={"hills": {"path": "old"}, "seas": {"path": "c"}}), {"hills": Path("new")})
    assert plan.data == {"hills": Path("new"), "seas": Path("c")}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"grids": {}}, "unknown name 'grids'; did you mean grid"),
        ({"grid": {"generators": ["unett"]}}, "unknown name 'unett'; did you mean unet"),
        ({"grid": {"generators": ["unet"], "regularizers": ["spectral"]}}, "did you mean spectral-"),
        ({"grid": {"generators": ["unet"], "seed": [0]}}, "grid: unknown key 'seed'; did you mean seeds"),
        ({"grid": {"generators": ["unet"], "seeds": ["0"]}}, "grid: seeds.0 is '0': expected a whole number"),
        ({"grid": {"seeds": [0]}}, "generators is missing"),
        ({"grid": {"generators": ["unet"], "data": ["seas"]}}, "--data: unknown name 'hills'"),
        ({"test": {"limit": -1}}, "test: limit is -1: expected a whole number of at least 0"),
        ({"grid": {"generators": []}}, r"grid: generators is \[\]: expected a list of one or more"),
        ({"test": {"vividness": 3}}, "test: vividness is 3: expected a number of at most 2"),
        ({"test": {"frechet": "vgg"}}, "expected one of efficientnet-lite0, inception"),
        ({"base": {"sise": 32, "stages": []}}, "unknown key 'sise'; did you mean size"),
        (
            {"regularizers": {"a b": {}, "a-b": {}}, "grid": {"generators": ["unet"], "regularizers": ["a b", "a-b"]}},
            "share the",
        ),
        ({"generators": {"wide": 3}}, r"expected \[generators.NAME\]"),
    ],
)
def test_what_is_wrong_is_named(changes, message):
    with pytest.raises(ConfigError, match=message):
        experiments.from_tables(table(**changes), DATA)


def test_a_run_that_training_refuses_is_named_before_anything_runs():
    with pytest.raises(ConfigError, match="hills, unet, none, seed 0: size is 33"):
        experiments.from_tables(table(base=TABLE["base"] | {"size": 33}), DATA)
    with pytest.raises(ConfigError, match="give --data NAME=FOLDER"):
        experiments.from_tables(table(), {})


def test_a_written_table_is_the_same_configuration(tmp_path):
    run = study(DATA).runs[-1]
    path = tmp_path / "run.toml"
    path.write_text(experiments.to_toml(run.config))
    assert config.load(path) == run.config


@pytest.mark.parametrize("name", sorted(experiments.presets()))
def test_presets_load(name):
    plan = experiments.load(name, DATA)
    assert plan.title and plan.question and len(plan.runs) > 1
    assert all(run.config.images > 0 for run in plan.runs)


def test_the_original_study_trains_as_the_presets_of_its_networks():
    plan = experiments.load("original", DATA)
    cadence = dict.fromkeys(("log_every", "checkpoint_every", "validate_every", "validation_photographs", "sample_every"), 1)
    for generator, preset in (("pix2pix", "original-pix2pix"), ("encoder-decoder", "original-alternative")):
        found = next(run.config for run in plan.runs if run.generator == generator)
        assert replace(found, **cadence) == replace(config.load(preset), **cadence)


def test_the_regularizers_are_all_there_but_those_that_the_baseline_has():
    plan = experiments.load("regularizers", DATA)
    assert set(REGULARIZERS) - set(plan.grid.regularizers) == {"l1-100", "norm-batch"}
    plain = next(run.config for run in plan.runs if run.regularizer == "none")
    others = [run.config for run in plan.runs if run.seed == 0 and run.data == "hills" and run.regularizer != "none"]
    assert plain not in others
    for name in ("l1-100", "norm-batch"):
        same = experiments.from_table(
            pieces.apply(config.to_table(plain) | {"stages": [vars(s) for s in plain.stages]}, [name])
        )
        assert same == plain


def test_a_file_that_is_none_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"no study 'smok': expected a TOML file or one of the presets.*smoke"):
        experiments.load("smok", DATA)
    (tmp_path / "broken.toml").write_text("grid = [")
    with pytest.raises(ConfigError, match="cannot read the study"):
        experiments.load(tmp_path / "broken.toml", DATA)


def test_two_regularizers_of_one_cell_that_contradict_each_other_are_refused():
    with pytest.raises(ConfigError, match=r"'l1-1' and 'l1-10' contradict each other: l1_weight"):
        study(DATA, regularizers=["none", "l1-1+l1-10"])


def test_the_baseline_may_have_more_seeds_than_the_others():
    plan = study(DATA, more_baseline_seeds=[3, 4])
    seeds = {(run.data, run.regularizer): [] for run in plan.runs}
    for run in plan.runs:
        seeds[run.data, run.regularizer].append(run.seed)
    assert set(map(tuple, (found for (_, name), found in seeds.items() if name == "none"))) == {(0, 1, 2, 3, 4)}
    assert set(map(tuple, (found for (_, name), found in seeds.items() if name != "none"))) == {(0, 1, 2)}


def test_with_one_regularizer_the_first_generator_is_the_baseline():
    plan = study(DATA, generators=["unet", "unet-rgb"], regularizers=["none"], seeds=[0], more_baseline_seeds=[1])
    assert [(run.data, run.generator, run.seed) for run in plan.runs] == [
        ("hills", "unet", 0), ("hills", "unet-rgb", 0), ("lakes", "unet", 0), ("lakes", "unet-rgb", 0),
        ("hills", "unet", 1), ("lakes", "unet", 1),
    ]  # fmt: skip
