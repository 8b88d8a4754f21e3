from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from photochrom import color
from photochrom.training.data import dataset


def crops(prepared, seed=0, aging=0.5):
    photographs = dataset.index([prepared])
    return dataset.Crops(photographs, size=64, seed=seed, smallest=0.7, stretch=0.2, aging=aging)


def test_a_crop_depends_on_its_position_alone(prepared):
    first, second = crops(prepared), crops(prepared)
    backwards = {i: second[i] for i in reversed(range(60))}
    for position in range(60):
        for one, two in zip(first[position], backwards[position], strict=True):
            assert torch.equal(one, two)
    assert not torch.equal(first[0][0], crops(prepared, seed=1)[0][0])


def test_an_epoch_shows_every_photograph_once(prepared):
    data = crops(prepared)
    for epoch in range(3):
        assert sorted(dataset._order(0, epoch, len(data))) == list(range(len(data)))
    assert list(dataset._order(0, 0, len(data))) != list(dataset._order(0, 1, len(data)))


def test_crops_have_shape_and_range_and_unaged_ones_are_luma_and_chroma_of_one_picture(prepared):
    luma, chroma = crops(prepared, aging=0)[3]
    assert luma.shape == (1, 64, 64) and chroma.shape == (2, 64, 64) and luma.dtype == chroma.dtype == torch.float32
    rgb = np.stack(color.ycbcr_to_rgb(luma[0].numpy(), *chroma.numpy()))
    assert rgb.min() > -1e-3 and rgb.max() < 1 + 1e-3
    assert chroma.abs().max() > 0.02


def test_aging_changes_luma_and_takes_color_from_borders_alone(prepared):
    plain, aged = crops(prepared, aging=0), crops(prepared, aging=1)
    bordered = 0
    for position in range(24):
        (luma, chroma), (old, faded) = plain[position], aged[position]
        assert not torch.equal(luma, old) and old.min() >= 0 and old.max() <= 1
        kept = (faded == chroma).all(0)
        assert (faded[:, ~kept] == 0).all()
        assert kept[16:48, 16:48].all()
        bordered += not kept.all()
    assert 3 <= bordered <= 14


def test_two_processes_share_the_batches_of_one():
    whole = iter(dataset.Positions(40, 8, rank=0, world=1))
    halves = [iter(dataset.Positions(40, 8, rank=rank, world=2)) for rank in range(2)]
    for _ in range(3):
        batch, parts = next(whole), [next(half) for half in halves]
        assert sorted([*parts[0], *parts[1]]) == batch and parts[0] == batch[0::2]
    assert next(iter(dataset.Positions(48, 8, rank=0, world=1)))[0] == 48


def test_validation_photographs_do_not_teach_and_stay_the_same_when_others_join(prepared):
    photographs = dataset.index([prepared])
    many = [dataset.Member(m.shard, f"{i}-{m.name}", m.offset_bytes, m.size_bytes) for i in range(20) for m in photographs]
    teach, aside = dataset.set_aside(many, 1000)
    assert aside and not {m.name for m in teach} & {m.name for m in aside}
    assert len(teach) + len(aside) == len(many)
    fewer, aside_of_fewer = dataset.set_aside(many[:500], 1000)
    assert {m.name for m in aside_of_fewer} <= {m.name for m in aside}
    assert {m.name for m in fewer} <= {m.name for m in teach}


def test_a_crop_takes_the_share_it_is_told_to():
    ramp = Image.fromarray(np.tile(np.arange(200, dtype=np.uint8)[:, None, None], (1, 300, 3)))
    rng = np.random.default_rng(0)
    for _ in range(20):
        cut = np.asarray(dataset.random_crop(ramp, 64, rng, smallest=0.5, stretch=0))
        assert 0.45 * 200 <= float(cut[-1, 0, 0]) - float(cut[0, 0, 0]) <= 200


def test_a_whole_square_that_is_not_mirrored_is_the_picture_itself():
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    cuts = [
        np.asarray(dataset.random_crop(picture, 64, np.random.default_rng(seed), smallest=1, stretch=0, mirror=mirror))
        for mirror in (0, 1)
        for seed in range(4)
    ]
    assert all(np.array_equal(cut, np.asarray(picture)) for cut in cuts[:4])
    assert all(np.array_equal(cut, np.asarray(picture)[:, ::-1]) for cut in cuts[4:])


def test_crops_are_turned_by_a_quarter_to_either_side(prepared):
    members = dataset.index([prepared])[:1]

    def crops(turns):
        found = dataset.Crops(members, size=32, seed=0, smallest=1, stretch=0, aging=0, mirror=0, turns=turns)
        return [found[position][0][0] for position in range(12)]

    sides = set()
    for plain, turned in zip(crops(0), crops(1), strict=True):
        sides.add(next(quarter for quarter in (1, 2, 3, 0) if torch.equal(turned, torch.rot90(plain, quarter))))
    assert sides == {1, 3}


CODECS = {"simplejpeg", "pyvips", "jpeglib", "pi_heif", "onnxruntime", "cv2", "av"}


@pytest.mark.parametrize(
    ("code", "unwanted"),
    [
        ("import photochrom.training.data.dataset", {*CODECS, "onnx", "photochrom.photo", "photochrom.colorizer"}),
        (
            "import photochrom.cli, photochrom.cli.train, photochrom.training.loop",
            {*CODECS, "photochrom.evaluation", "photochrom.study", "photochrom.training.data.prepare"},
        ),
    ],
)
def test_a_worker_loads_no_codec_and_training_neither_evaluation_nor_preparation(code, unwanted):
    code += "; import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names = set(done.stdout.split())
    assert code.split()[1].rstrip(";,") in names
    assert not names & unwanted
