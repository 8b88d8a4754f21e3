from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile
import zlib
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from photochrom.errors import DataError, OptionError, OutputError, PhotochromError
from photochrom.photo import toning
from photochrom.training.data import shards, sources
from photochrom.training.data.filter import TONED
from photochrom.training.data.manifest import REASONS, Manifest, describe
from photochrom.training.data.prepare import PrepareOptions, prepare

ONE = PrepareOptions(jobs=1)


def photo(seed: int, width: int = 180, height: int = 150) -> Image.Image:
    """A smooth picture of many colors, like no other seed's."""
    noise = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, form: str = "JPEG", **options: object) -> bytes:
    target = io.BytesIO()
    image.save(target, form, **options)
    return target.getvalue()


def write(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def folder(root: Path, seeds: range | list[int]) -> Path:
    return write(root, {f"{seed:03d}.jpg": encoded(photo(seed), quality=90) for seed in seeds})


def contents(output: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(output.iterdir())}


def pictures(output: Path, split: str = "*") -> dict[str, Image.Image]:
    found: dict[str, Image.Image] = {}
    for path in sorted(output.glob(f"{split}-*.tar")):
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                file = tar.extractfile(member)
                assert file is not None
                assert member.name not in found
                found[member.name] = Image.open(io.BytesIO(file.read()))
    return found


def splits(manifest: Manifest) -> dict[str, str]:
    return {item.name: item.split for item in manifest.photographs}


@pytest.fixture(scope="module")
def forty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("forty"), range(40))


def test_shards_are_disjoint_and_complete(forty: Path, tmp_path: Path) -> None:
    options = replace(ONE, size=32, test_share=0.3, validation_share=0.3, shard_bytes=8000)
    manifest = prepare(str(forty), tmp_path / "out", options=options)
    by_split = {split: set(pictures(tmp_path / "out", split)) for split in ("train", "validation", "test")}
    keys = {hashlib.sha256(path.read_bytes()).hexdigest()[:16] + ".jpg" for path in forty.iterdir()}
    assert set().union(*by_split.values()) == keys
    assert sum(map(len, by_split.values())) == len(keys) == manifest.kept == manifest.found == 40
    assert {split: len(names) for split, names in by_split.items()} == manifest.splits
    assert all(3 <= count <= 25 for count in manifest.splits.values())
    for item in manifest.photographs:
        assert hashlib.sha256((forty / item.name).read_bytes()).hexdigest().startswith(item.key)
        assert f"{item.key}.jpg" in by_split[item.split]
    assert len([shard for shard in manifest.shards if shard.split == "train"]) > 1
    for shard in manifest.shards:
        data = (tmp_path / "out" / shard.name).read_bytes()
        assert hashlib.sha256(data).hexdigest() == shard.sha256
        assert len(data) == shard.bytes
        assert sum(len(data) for data in pictures_bytes(tmp_path / "out" / shard.name)) <= 8000 or shard.photographs == 1
        with tarfile.open(tmp_path / "out" / shard.name) as tar:
            assert tar.getnames() == sorted(tar.getnames())
    assert sum(shard.photographs for shard in manifest.shards) == 40
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        ["manifest.json", *(shard.name for shard in manifest.shards)]
    )
    assert json.loads((tmp_path / "out" / "manifest.json").read_text()) == json.loads(json.dumps(asdict(manifest)))


def pictures_bytes(shard: Path) -> list[bytes]:
    with tarfile.open(shard, "r:") as tar:
        files = [tar.extractfile(member) for member in tar]
        return [file.read() for file in files if file]


def test_same_bytes_for_any_number_of_jobs_and_again(forty: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    prepare(str(forty), tmp_path / "one", options=ONE, progress=lambda done, total: seen.append((done, total)))
    prepare(str(forty), tmp_path / "two", options=replace(ONE, jobs=2))
    prepare(str(forty), tmp_path / "again", options=ONE)
    assert contents(tmp_path / "one") == contents(tmp_path / "two") == contents(tmp_path / "again")
    assert seen == [(done, 40) for done in range(1, 41)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "one", "two"]


def test_tar_headers_say_nothing_of_this_machine(forty: Path, tmp_path: Path) -> None:
    prepare(str(forty), tmp_path / "out", options=ONE)
    with tarfile.open(tmp_path / "out" / "train-00000.tar") as tar:
        for member in tar:
            assert (member.mtime, member.uid, member.gid, member.uname, member.gname) == (0, 0, 0, "", "")


def test_every_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grey = photo(1).convert("L")
    luma = np.asarray(grey, dtype=np.float32)[..., None]
    sepia = Image.fromarray(np.clip(luma * [1.0, 0.87, 0.7] + [10, 4, 0], 0, 255).astype(np.uint8))
    whole = encoded(photo(2))
    monkeypatch.setattr(sources, "MAX_BYTES", 100_000)
    write(
        tmp_path / "in",
        {
            "a.jpg": whole,
            "again/a.jpg": whole,
            "again/small.png": encoded(photo(2).resize((144, 120), Image.Resampling.BICUBIC), "PNG"),
            "again/worse.jpg": encoded(photo(2), quality=40),
            "grey/stored.jpg": encoded(grey),
            "grey/as-rgb.png": encoded(grey.convert("RGB"), "PNG"),
            "grey/16-bit.png": encoded(Image.fromarray((luma[..., 0] * 256).astype(np.uint16)), "PNG"),
            "toned/sepia.jpg": encoded(sepia, quality=95),
            "blank/white.png": encoded(Image.new("RGB", (200, 200), "white"), "PNG"),
            "tiny.png": encoded(photo(3, 200, 63), "PNG"),
            "narrow.png": encoded(photo(3, 900, 100), "PNG"),
            "large/pixels.png": encoded(photo(4, 500, 401), "PNG"),
            "large/file.tif": encoded(photo(4, 300, 200), "TIFF"),
            "broken/cut.jpg": whole[: len(whole) // 2],
            "broken/empty.jpg": b"",
            "broken/text.jpg": b"a text",
            "notes.txt": b"no photograph",
            ".hidden.jpg": whole,
        },
    )
    (tmp_path / "in" / "broken" / "gone.jpg").symlink_to("nowhere")
    manifest = prepare(str(tmp_path / "in"), tmp_path / "out", options=replace(ONE, max_pixels=200_000))
    assert splits(manifest).keys() == {"a.jpg"}
    assert {item.name: item.reason for item in manifest.rejected} == {
        "again/a.jpg": "duplicate",
        "again/small.png": "duplicate",
        "again/worse.jpg": "duplicate",
        "grey/stored.jpg": "grey",
        "grey/as-rgb.png": "grey",
        "grey/16-bit.png": "grey",
        "toned/sepia.jpg": "toned",
        "blank/white.png": "blank",
        "tiny.png": "tiny",
        "narrow.png": "narrow",
        "large/pixels.png": "too_large",
        "large/file.tif": "too_large",
        "broken/cut.jpg": "unreadable",
        "broken/empty.jpg": "unreadable",
        "broken/text.jpg": "unreadable",
        "broken/gone.jpg": "unreadable",
    }
    assert all(item.detail and "\n" not in item.detail and " at 0x" not in item.detail for item in manifest.rejected)
    assert next(item.detail for item in manifest.rejected if item.name == "again/a.jpg") == "a copy of a.jpg"
    assert manifest.rejections == dict(zip(REASONS, (4, 2, 1, 1, 3, 1, 1, 3), strict=True))
    assert manifest.found == 17
    assert manifest.ignored == 2


def test_alike_is_not_the_same(tmp_path: Path) -> None:
    luma, cb, cr = photo(1).convert("YCbCr").split()
    files = {
        "a.png": photo(1),
        "other-colors.png": Image.merge("YCbCr", (luma, cr, cb)).convert("RGB"),
        "darker.png": photo(1).point(lambda level: level * 0.8),
        "mirrored.png": photo(1).transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    }
    write(tmp_path / "in", {name: encoded(image, "PNG") for name, image in files.items()})
    assert prepare(str(tmp_path / "in"), tmp_path / "out", options=ONE).kept == 4


def test_a_lawn_is_not_toned(tmp_path: Path) -> None:
    """The judge takes a picture of little more than one hue for a toned print; training needs it."""
    luma, cb, cr = photo(1, 128, 128).convert("YCbCr").split()
    faint = [plane.point(lambda level, base=base: base + (level - 128) * 0.16) for plane, base in ((cb, 90), (cr, 115))]
    rgb = Image.merge("YCbCr", (luma.point(lambda level: 80 + level * 0.4), *faint)).convert("RGB")
    judgement = toning.judge_picture(np.asarray(rgb.convert("L")), np.asarray(rgb))
    assert judgement.kind == "toned"
    assert TONED < judgement.figure < 1
    assert prepared(tmp_path, "lawn.png", encoded(rgb, "PNG")).shape == (128, 128, 3)


def test_a_bomb_is_too_large(tmp_path: Path) -> None:
    header = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (60_000).to_bytes(4) * 2 + b"\x08\x02\0\0\0"
    bomb = header + zlib.crc32(header[12:]).to_bytes(4) + b"\0\0\0\0IDAT" + zlib.crc32(b"IDAT").to_bytes(4)
    write(folder(tmp_path / "in", [1]), {"bomb.png": bomb})
    manifest = prepare(str(tmp_path / "in"), tmp_path / "out", options=ONE)
    assert [(item.name, item.reason) for item in manifest.rejected] == [("bomb.png", "too_large")]


def test_a_new_photograph_moves_no_other(forty: Path, tmp_path: Path) -> None:
    options = replace(ONE, size=32, test_share=0.4)
    before = splits(prepare(str(forty), tmp_path / "before", options=options))
    more = folder(tmp_path / "more", range(40, 44))
    write(more, {f"b/{path.name}": path.read_bytes() for path in forty.iterdir()})
    after = splits(prepare(str(more), tmp_path / "after", options=options))
    assert len(after) == 44
    assert {name.removeprefix("b/"): split for name, split in after.items() if name.startswith("b/")} == before
    wider = splits(prepare(str(forty), tmp_path / "wider", options=replace(options, validation_share=0.3)))
    assert {name for name, split in wider.items() if split == "test"} == {n for n, s in before.items() if s == "test"}
    assert "validation" in wider.values()


def test_size_and_crop(tmp_path: Path) -> None:
    write(
        tmp_path / "in",
        {
            "wide.jpg": encoded(photo(1, 1200, 800)),
            "high.png": encoded(photo(2, 90, 150), "PNG"),
            "even.webp": encoded(photo(3, 128, 128), "WEBP"),
        },
    )
    square = prepare(str(tmp_path / "in"), tmp_path / "square", options=ONE)
    assert {picture.size for picture in pictures(tmp_path / "square").values()} == {(128, 128)}
    whole = prepare(str(tmp_path / "in"), tmp_path / "whole", options=replace(ONE, crop="none", size=96))
    names = {f"{item.key}.jpg": item.name for item in whole.photographs}
    assert {names[key]: picture.size for key, picture in pictures(tmp_path / "whole").items()} == {
        "wide.jpg": (144, 96),
        "high.png": (96, 160),
        "even.webp": (96, 96),
    }
    assert splits(square) == splits(whole)
    for picture in pictures(tmp_path / "square").values():
        assert picture.format == "JPEG"
        assert picture.layer == [(1, 1, 1, 0), (2, 1, 1, 1), (3, 1, 1, 1)]  # type: ignore[attr-defined]  # 4:4:4


def only(output: Path) -> np.ndarray:
    (picture,) = pictures(output).values()
    return np.asarray(picture.convert("RGB"), dtype=np.float32)


def prepared(tmp_path: Path, name: str, data: bytes) -> np.ndarray:
    write(tmp_path / f"in-{name}", {name: data})
    prepare(str(tmp_path / f"in-{name}"), tmp_path / f"out-{name}", options=replace(ONE, crop="none"))
    return only(tmp_path / f"out-{name}")


@pytest.mark.parametrize("turn", range(1, 9))
def test_photographs_are_set_upright(tmp_path: Path, turn: int) -> None:
    upright = photo(1, 256, 192)
    back = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(back[turn]) if turn in back else upright
    exif = Image.Exif()
    exif[0x0112] = turn
    got = prepared(tmp_path, "a.jpg", encoded(stored, quality=95, exif=exif.tobytes()))
    want = np.asarray(upright.resize((171, 128), Image.Resampling.LANCZOS), dtype=np.float32)
    assert np.abs(got - want).mean() < 3


def test_large_photographs_stay_sharp(tmp_path: Path) -> None:
    cells = Image.fromarray(np.random.default_rng(0).integers(0, 256, (100, 100, 3), dtype=np.uint8))
    data = encoded(cells.resize((1400, 1400), Image.Resampling.NEAREST), quality=95)
    want = Image.open(io.BytesIO(data)).resize((128, 128), Image.Resampling.LANCZOS)
    got = prepared(tmp_path, "a.jpg", data)
    assert np.abs(got - np.asarray(want, dtype=np.float32)).mean() < 5


def test_transparency_lies_over_white(tmp_path: Path) -> None:
    image = photo(1, 128, 128).convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 128, 64))
    for name, data in {"a.png": encoded(image, "PNG"), "p.png": encoded(image.quantize(64), "PNG")}.items():
        got = prepared(tmp_path, name, data)
        assert got[:60].min() > 240
        assert got[68:].mean() < 200


def test_cmyk_and_palette_keep_their_colors(tmp_path: Path) -> None:
    image = photo(1, 128, 128)
    for name, stored, form in (("cmyk.jpg", image.convert("CMYK"), "JPEG"), ("palette.png", image.quantize(256), "PNG")):
        got = prepared(tmp_path, name, encoded(stored, form))
        assert np.abs(got - np.asarray(stored.convert("RGB"), dtype=np.float32)).mean() < 5


def test_profiles_are_converted_to_srgb(tmp_path: Path) -> None:
    # A profile with red and blue exchanged in its matrix columns shows at once whether it was applied.
    icc = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = icc.find(b"rXYZ"), icc.find(b"bXYZ")
    icc[red], icc[blue] = icc[blue], icc[red]
    image = photo(1, 128, 128)
    want = np.asarray(image, dtype=np.float32)[..., ::-1]
    got = prepared(tmp_path, "swapped.png", encoded(image, "PNG", icc_profile=bytes(icc)))
    assert np.abs(got - want).mean() < 5
    fits_not = prepared(tmp_path, "cmyk.jpg", encoded(image.convert("CMYK"), quality=95, icc_profile=bytes(icc)))
    assert np.abs(fits_not - want[..., ::-1]).mean() < 6


def archive(source: Path, target: Path, form: str) -> Path:
    paths = sorted((path for path in source.rglob("*") if path.is_file()), reverse=True)
    if form == "zip":
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
            for path in paths:
                packed.write(path, path.relative_to(source))
            packed.writestr("__MACOSX/._000.jpg", b"a resource fork")
    else:
        with tarfile.open(target, f"w:{form}") as tar:
            for path in paths:
                tar.add(path, f"./{path.relative_to(source)}")
            data = b"a resource fork"
            entry = tarfile.TarInfo("._000.jpg")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return target


@pytest.mark.parametrize("form", ["zip", "", "gz", "bz2", "xz"])
def test_an_archive_gives_what_its_folder_gives(tmp_path: Path, form: str) -> None:
    source = folder(tmp_path / "in", range(12))
    write(source, {"b/copy.jpg": (source / "003.jpg").read_bytes(), "b/cut.jpg": (source / "004.jpg").read_bytes()[:2000]})
    packed = archive(source, tmp_path / f"in.{form or 'tar'}", form)
    from_folder = prepare(str(source), tmp_path / "a", options=ONE)
    from_archive = prepare(str(packed), tmp_path / "b", options=ONE)
    assert from_archive.kind == ("zip" if form == "zip" else "tar")
    assert replace(from_archive, source=from_folder.source, kind="folder", ignored=0) == from_folder
    one, other = contents(tmp_path / "a"), contents(tmp_path / "b")
    del one["manifest.json"], other["manifest.json"]
    assert one == other
    assert from_archive.ignored == 1
    assert not list(tmp_path.glob(".*"))


def test_a_bad_member_of_a_zip_is_rejected_alone(tmp_path: Path) -> None:
    source = folder(tmp_path / "in", range(3))
    path = tmp_path / "in.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for file in sorted(source.iterdir()):
            packed.write(file, file.name)
        place = packed.getinfo("001.jpg").header_offset + 1000
    data = bytearray(path.read_bytes())
    data[place] ^= 0xFF
    path.write_bytes(data)
    manifest = prepare(str(path), tmp_path / "out", options=ONE)
    assert [(item.name, item.reason) for item in manifest.rejected] == [("001.jpg", "unreadable")]
    assert "CRC" in manifest.rejected[0].detail
    assert manifest.kept == 2


def test_official_splits_are_kept(tmp_path: Path) -> None:
    files = {f"{top}/{seed}.jpg": encoded(photo(seed)) for seed, top in enumerate(["train2017", "train2017", "val", "test"])}
    files["train2017/a-copy.jpg"] = files["val/2.jpg"]
    options = replace(ONE, splits="source")
    for prefix in ("", "my/"):
        source = write(tmp_path / f"in{prefix[:1]}", {prefix + name: data for name, data in files.items()})
        manifest = prepare(str(source), tmp_path / f"out{prefix[:1]}", options=options)
        assert splits(manifest) == {
            f"{prefix}train2017/0.jpg": "train",
            f"{prefix}train2017/1.jpg": "train",
            f"{prefix}val/2.jpg": "validation",
            f"{prefix}test/3.jpg": "test",
        }
        assert [(item.name, item.detail) for item in manifest.rejected] == [
            (f"{prefix}train2017/a-copy.jpg", f"a copy of {prefix}val/2.jpg")
        ]
    write(source, {"extra/9.jpg": encoded(photo(9))})
    with pytest.raises(DataError, match=r"'extra/9.jpg' stands in none of the source's own splits.*split by hash"):
        prepare(str(source), tmp_path / "no", options=options)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set on the disk, as the hub would deliver it: two splits of parquet, a label, one row without an image."""
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    features = datasets.Features({"label": datasets.Value("int64"), "picture": datasets.Image(), "thumb": datasets.Image()})
    root = tmp_path / "hub"
    (root / "data").mkdir(parents=True)
    for split, seeds in {"train": range(6), "test": range(5, 9)}.items():
        images: list[dict[str, object] | None] = [{"bytes": encoded(photo(seed), "PNG"), "path": None} for seed in seeds]
        table = datasets.Dataset.from_dict(
            {"label": [0] * (len(images) + 1), "picture": [*images, None], "thumb": [*images, None]}, features=features
        )
        table.to_parquet(root / "data" / f"{split}-00000-of-00001.parquet")
    return root


def test_huggingface(hub: Path, tmp_path: Path) -> None:
    options = replace(ONE, column="picture", splits="source")
    manifest = prepare(f"hf:{hub}", tmp_path / "out", options=options)
    assert manifest.kind == "huggingface"
    assert manifest.splits == {"train": 5, "validation": 0, "test": 4}
    assert [(item.name, item.reason) for item in manifest.rejected] == [
        ("test/00000004", "unreadable"),
        ("train/00000005", "duplicate"),
        ("train/00000006", "unreadable"),
    ]
    assert prepare(f"hf:{hub}:test", tmp_path / "test", options=options).splits == {"train": 0, "validation": 0, "test": 4}
    assert prepare(f"hf:{hub}:train[:3]", tmp_path / "some", options=options).splits["train"] == 3
    folder_of_them = folder_like(hub, tmp_path / "folder")
    by_hash = replace(ONE, column="picture")
    prepare(f"hf:{hub}:train", tmp_path / "a", options=by_hash)
    prepare(str(folder_of_them), tmp_path / "b", options=ONE)
    assert contents(tmp_path / "a").keys() == contents(tmp_path / "b").keys()
    assert contents(tmp_path / "a")["train-00000.tar"] == contents(tmp_path / "b")["train-00000.tar"]


def folder_like(_hub: Path, root: Path) -> Path:
    return write(root, {f"{seed}.png": encoded(photo(seed), "PNG") for seed in range(6)})


@pytest.mark.parametrize(
    ("address", "column", "line"),
    [
        ("", None, "has several image columns: name one of picture, thumb"),
        ("", "label", "has no image column 'label': expected one of picture, thumb"),
        (":dev", "picture", "cannot load 'hf:.*:dev' .*dev"),
        ("/none", "picture", "cannot load 'hf:.*none'"),
    ],
)
def test_huggingface_errors(hub: Path, tmp_path: Path, address: str, column: str | None, line: str) -> None:
    with pytest.raises(DataError, match=line) as caught:
        prepare(f"hf:{hub}{address}", tmp_path / "out", options=replace(ONE, column=column))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_folder_of_images_through_datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    source = folder_like(tmp_path, tmp_path / "in" / "train")
    manifest = prepare(f"hf:{source.parent}", tmp_path / "out", options=ONE)
    assert manifest.kept == 6


def test_errors_of_sources(tmp_path: Path) -> None:
    source = folder(tmp_path / "in", range(3))
    write(
        tmp_path,
        {
            "empty/notes.txt": b"",
            "grey/a.png": encoded(photo(1).convert("L"), "PNG"),
            "cut.zip": archive(source, tmp_path / "a.zip", "zip").read_bytes()[:-100],
            "cut.tar": archive(source, tmp_path / "a.tar", "").read_bytes()[:6000],
            "cut.tar.gz": archive(source, tmp_path / "a.tar.gz", "gz").read_bytes()[:6000],
            "start.tar.gz": archive(source, tmp_path / "a.tar.gz", "gz").read_bytes()[:40],
            "bad.tar.gz": gzip.compress(b"no tar"),
            "a.7z": b"7z\xbc\xaf\x27\x1c",
            "one.jpg": (source / "000.jpg").read_bytes(),
        },
    )
    for name, line in {
        "none": "no '.*none': expected a folder, a zip, a tar or hf:owner/name",
        "empty": "no photographs in '.*empty': 1 files, none named like one",
        "grey": r"none of the 1 photographs in '.*grey' can be used \(1 grey; 'a.png': stored without color\)",
        "cut.zip": "neither a folder nor a whole zip or tar",
        "cut.tar": "the archive '.*cut.tar' is damaged",
        "cut.tar.gz": "the archive '.*cut.tar.gz' is damaged",
        "start.tar.gz": "cannot read '.*start.tar.gz'|neither a folder nor a whole zip or tar",
        "bad.tar.gz": "neither a folder nor a whole zip or tar",
        "a.7z": "neither a folder nor a whole zip or tar",
        "one.jpg": "neither a folder nor a whole zip or tar",
    }.items():
        with pytest.raises(DataError, match=line) as caught:
            prepare(str(tmp_path / name), tmp_path / "out", options=ONE)
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "out").exists()
    with pytest.raises(DataError, match="only a Hugging Face source"):
        prepare(str(source), tmp_path / "out", options=replace(ONE, column="image"))
    assert not list(tmp_path.glob(".*"))


def test_existing_outputs(tmp_path: Path) -> None:
    source = str(folder(tmp_path / "in", range(3)))
    output = tmp_path / "deep" / "out"
    again = replace(ONE, overwrite=True, size=64)
    output.mkdir(parents=True)
    prepare(source, output, options=ONE)
    first = contents(output)
    with pytest.raises(OutputError, match="holds prepared photographs already"):
        prepare(source, output, options=ONE)
    with pytest.raises(DataError):
        prepare(str(tmp_path / "none"), output, options=again)
    assert contents(output) == first
    prepare(source, output, options=again)
    assert contents(output) != first
    assert [path.name for path in output.parent.iterdir()] == ["out"]
    (output / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"holds 'notes.txt', which no preparation made"):
        prepare(source, output, options=again)
    with pytest.raises(OutputError, match="holds the source"):
        prepare(source, tmp_path, options=again)
    with pytest.raises(OutputError, match="is a file"):
        prepare(source, tmp_path / "in" / "000.jpg", options=again)
    with pytest.raises(OutputError, match="cannot write"):
        prepare(source, tmp_path / "in" / "000.jpg" / "out", options=again)


def test_an_output_that_cannot_be_replaced_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = str(folder(tmp_path / "in", range(3)))
    prepare(source, tmp_path / "out", options=ONE)
    first = contents(tmp_path / "out")
    rename = Path.rename

    def fail(path: Path, target: Path) -> Path:
        if path.name == "result":
            raise OSError("no room")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OutputError, match=r"cannot write '.*out': no room"):
        prepare(source, tmp_path / "out", options=replace(ONE, overwrite=True, size=64))
    assert contents(tmp_path / "out") == first


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interruption_leaves_nothing_half(tmp_path: Path, jobs: int) -> None:
    source = str(folder(tmp_path / "in", range(20)))

    def interrupt(done: int, _total: int | None) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(source, tmp_path / "out", options=replace(ONE, jobs=jobs), progress=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_sizes_and_description(tmp_path: Path) -> None:
    files = {f"{side}.png": encoded(photo(side, 2 * side, side), "PNG") for side in range(100, 201, 10)}
    exif = Image.Exif()
    exif[0x0112] = 6
    files["turned.jpg"] = encoded(photo(999, 100, 400), exif=exif.tobytes())
    manifest = prepare(str(write(tmp_path / "in", files)), tmp_path / "out", options=ONE)
    sizes = manifest.sizes
    assert sizes.count == 12
    assert (sizes.width.minimum, sizes.width.maximum) == (200, 400)
    assert (sizes.height.minimum, sizes.height.median, sizes.height.maximum) == (100, 145, 200)
    assert (sizes.aspect.median, sizes.aspect.maximum) == (2, 4)
    assert sizes.megapixels.maximum == 0.08
    assert sizes.below_size == round(4 / 12, 4)
    rows = dict(describe(manifest))
    assert rows["kept"] == "12"
    assert rows["  width, px"].startswith("200 / ")
    assert rows["  short side below 128 px"] == "33.3 %"


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"size": 8}, "size is 8: expected 16 to 4096"),
        ({"quality": 101}, "quality is 101"),
        ({"jobs": 0}, "jobs is 0"),
        ({"crop": "center"}, "crop is 'center': expected square or none"),
        ({"splits": "random"}, "splits is 'random': expected hash or source"),
        ({"test_share": 0.6, "validation_share": 0.4}, "test_share 0.6 and validation_share 0.4"),
    ],
)
def test_options_that_make_no_sense(change: dict[str, object], line: str) -> None:
    with pytest.raises(OptionError, match=line) as caught:
        PrepareOptions(**change)  # type: ignore[arg-type]
    assert isinstance(caught.value, PhotochromError)


def test_neither_torch_nor_datasets_is_imported(tmp_path: Path) -> None:
    folder(tmp_path / "in", range(2))
    program = (
        "import sys; from pathlib import Path; from photochrom.training.data.prepare import PrepareOptions, prepare; "
        f"prepare({str(tmp_path / 'in')!r}, Path({str(tmp_path / 'out')!r}), options=PrepareOptions(jobs=1)); "
        "print(sorted({'torch', 'datasets', 'webdataset', 'onnxruntime'} & set(sys.modules)))"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(root)}
    )
    assert done.stdout == "[]\n", done.stderr


def test_the_loader_reads_the_shards(forty: Path, tmp_path: Path) -> None:
    manifest = prepare(str(forty), tmp_path / "out", options=ONE)
    (paths,) = shards.shards(tmp_path / "out", "train").values()
    members = shards.members(paths)
    assert [member.name for member in members] == [f"{kept.key}.jpg" for kept in manifest.photographs if kept.split == "train"]
    assert members[0].read().shape == (128, 128, 3)


def test_the_webdataset_library_reads_the_shards(tmp_path: Path) -> None:
    import webdataset

    prepare(str(folder(tmp_path / "in", range(8))), tmp_path / "out", options=replace(ONE, test_share=0.0))
    [shard] = (tmp_path / "out").glob("train-*.tar")
    samples = list(webdataset.WebDataset(str(shard), shardshuffle=False, empty_check=False))
    assert sorted(sample["__key__"] + ".jpg" for sample in samples) == sorted(pictures(tmp_path / "out"))
    assert all(Image.open(io.BytesIO(sample["jpg"])).size == (128, 128) for sample in samples)
