from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from photochrom.errors import DataError, OptionError
from photochrom.training.data.prepare import PrepareOptions, prepare
from photochrom.training.data.split_lists import read_lists


def photograph(seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(20, 236, (6, 6, 3), dtype=np.uint8))
    file = io.BytesIO()
    coarse.resize((96, 80), Image.Resampling.BICUBIC).save(file, "JPEG")
    return file.getvalue()


NAMES = [f"{1000 + index}_a.jpg" for index in range(7)]
SPLITS = {"train": NAMES[:3], "dev": NAMES[3:4], "test": NAMES[4:6]}
"""The last photograph stands in none, as 92 of Flickr8k's."""


@pytest.fixture
def archive(tmp_path):
    """Photographs as in Flickr8k_Dataset.zip, and lists as in Flickr8k_text.zip."""
    with zipfile.ZipFile(tmp_path / "Flickr8k_Dataset.zip", "w") as images:
        for index, name in enumerate(NAMES):
            images.writestr(f"Flicker8k_Dataset/{name}", photograph(index))
            images.writestr(f"__MACOSX/Flicker8k_Dataset/._{name}", b"fork")
    with zipfile.ZipFile(tmp_path / "Flickr8k_text.zip", "w") as text:
        text.writestr("Flickr8k.token.txt", "1000_a.jpg#0\tA dog .\n")
        text.writestr("readme.txt", "about")
        for split, names in SPLITS.items():
            text.writestr(f"Flickr_8k.{split}Images.txt", "\n".join(names) + "\n")
    return tmp_path


def kept(manifest):
    return {photo.name.rpartition("/")[2]: photo.split for photo in manifest.photographs}


EXPECTED = {name: {"dev": "validation"}.get(split, split) for split, names in SPLITS.items() for name in names}


def test_flickr8k_comes_with_its_official_splits(archive):
    options = PrepareOptions(splits="source", lists=(str(archive / "Flickr8k_text.zip"),), jobs=1)
    manifest = prepare(str(archive / "Flickr8k_Dataset.zip"), archive / "out", options=options)
    assert kept(manifest) == EXPECTED
    assert manifest.ignored == 7 + 1
    assert (archive / "out" / "test-00000.tar").exists()


def test_a_karpathy_json_and_lists_of_numbers_say_the_same(archive):
    table = {"images": [{"filename": name, "split": split} for name, split in EXPECTED.items()]}
    table["images"][0]["split"] = "restval"
    (archive / "dataset.json").write_text(json.dumps(table))
    for split, names in SPLITS.items():
        (archive / f"{split}.txt").write_text("\n".join(name.removesuffix(".jpg") for name in names))
    wanted = {name.removesuffix(".jpg"): split for name, split in EXPECTED.items()}
    assert read_lists([archive / "dataset.json"]) == wanted
    assert read_lists([archive / f"{split}.txt" for split in SPLITS]) == wanted


def test_what_is_no_list_is_refused(archive):
    (archive / "captions.txt").write_text("A dog .\n")
    with pytest.raises(DataError, match=r"captions.txt' lists no photographs"):
        read_lists([archive / "captions.txt"])
    with pytest.raises(DataError, match="cannot read the split list"):
        read_lists([archive / "nothing.txt"])
    (archive / "broken.json").write_text('{"pictures": []}')
    with pytest.raises(DataError, match="cannot read the split list"):
        read_lists([archive / "broken.json"])
    (archive / "train.txt").write_text("a.jpg\n")
    (archive / "test.txt").write_text("a.jpg\n")
    with pytest.raises(DataError, match="has 'a' in test, another list in train"):
        read_lists([archive / "train.txt", archive / "test.txt"])
    with pytest.raises(DataError, match="none of the 7 photographs stands in the lists"):
        prepare(
            str(archive / "Flickr8k_Dataset.zip"),
            archive / "out",
            options=PrepareOptions(splits="source", lists=(str(archive / "train.txt"),), jobs=1),
        )
    assert not (archive / "out").exists()
    with pytest.raises(OptionError, match="lists are given, but splits is 'hash'"):
        PrepareOptions(lists=("a.txt",))
