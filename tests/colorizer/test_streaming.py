"""Scans that are streamed: the same result as in memory, luma untouched, everything carried along, faults said."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import data

from photochrom.cli import main
from photochrom.colorizer import proxy, stream, upsample
from photochrom.colorizer.colorizer import Colorizer, Options
from photochrom.colorizer.file import Source, color_file, colorize, recorded
from photochrom.colorizer.hints import Hint
from photochrom.colorizer.variants import variants
from photochrom.errors import OutputError, PhotoError
from photochrom.photo import convert, photo, vips
from photochrom.photo import scan as scan_files
from photochrom.photo.codecs import png
from photochrom.photo.convert import to_array
from photochrom.photo.metadata import exif
from tests.support import testdata

SIZE = 407, 635


@pytest.fixture(scope="module")
def colorizer() -> Colorizer:
    return Colorizer.load(options=Options(on_color="recolor"))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stream what has a thousand pixels, in many bands, by a stand-in of half its sides."""
    monkeypatch.setattr(stream, "HUGE", 1000)
    monkeypatch.setattr(proxy, "PROXY_PIXELS", 70_000)
    monkeypatch.setattr(stream, "BAND_PIXELS", 16 * SIZE[1])


def samples(bits: int, channels: int) -> Any:
    """Make ``(H, W, C)`` samples that use all of their bits; the last of two or four is alpha."""
    rng = np.random.default_rng(3)
    picture = testdata.scene(*SIZE) if channels > 2 else testdata.grey(*SIZE)[..., None]
    if channels in (2, 4):
        picture = np.concatenate([picture, testdata.grey(*SIZE, seed=5)[..., None]], 2)
    return picture if bits == 8 else (picture.astype(np.uint16) * 257) ^ rng.integers(0, 256, picture.shape).astype(np.uint16)


def write(path: Path, array: Any, **options: Any) -> Path:
    """Write samples as a TIFF by libvips."""
    meaning = {(1, 1): "b-w", (2, 1): "grey16", (1, 3): "srgb", (2, 3): "rgb16"}[
        array.dtype.itemsize, 3 if array.shape[2] > 2 else 1
    ]
    image = vips.library().Image.new_from_array(array).copy(interpretation=meaning)
    for name in ("icc-profile-data", "xmp-data"):
        if name in options:
            image.set_type(vips.library().GValue.blob_type, name, options.pop(name))
    image.tiffsave(str(path), **options)
    return path


def read(path: Path) -> Any:
    image = vips.library().Image.tiffload(str(path), fail_on="warning")
    return image.numpy().reshape(image.height, image.width, -1)


def tags(path: Path) -> exif.Directory:
    return exif.read(path.read_bytes())


def luma(array: Any) -> Any:
    """Give grey as the definition has it: exactly, rounded."""
    if array.shape[2] < 3:
        return array[..., 0]
    return np.floor(array[..., :3].astype(np.int64) @ np.array([299, 587, 114]) / 1000 + 0.5)


KINDS: dict[str, tuple[int, int, dict[str, Any]]] = {
    "grey": (16, 1, {"compression": "none"}),
    "grey, LZW": (16, 1, {"compression": "lzw", "predictor": "horizontal"}),
    "grey, white is zero": (8, 1, {"compression": "packbits", "miniswhite": True}),
    "grey, 8 bits, tiles, Deflate": (8, 1, {"compression": "deflate", "tile": True, "tile_width": 64, "tile_height": 32}),
    "grey with alpha, tiles": (16, 2, {"compression": "none", "tile": True, "tile_width": 512, "tile_height": 512}),
    "RGB, Deflate": (16, 3, {"compression": "deflate", "predictor": "none"}),
    "RGB, 8 bits": (8, 3, {"compression": "none"}),
    "RGB with alpha, BigTIFF": (16, 4, {"compression": "lzw", "bigtiff": True}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_streamed_scan_is_what_memory_makes_of_it(
    kind: str, tmp_path: Path, colorizer: Colorizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    bits, channels, options = KINDS[kind]
    given = samples(bits, channels)
    source = write(tmp_path / "scan.tif", given, **options)
    color_file(source, tmp_path / "streamed.tif", colorizer=colorizer)
    monkeypatch.setattr(stream, "HUGE", 1 << 24)
    color_file(source, tmp_path / "whole.tif", colorizer=colorizer)
    streamed, whole = read(tmp_path / "streamed.tif"), read(tmp_path / "whole.tif")
    assert streamed.dtype == given.dtype
    assert streamed.shape == whole.shape
    # The stand-in is rounded to 8 bits at other places than a picture that is halved in memory.
    away = np.abs(streamed[..., :3].astype(float) - whole[..., :3]) * 255 / np.iinfo(given.dtype).max
    assert away.mean() < 0.8, away.mean()
    assert np.percentile(away, 99.9) < 6
    assert np.ptp(streamed[..., :3].astype(int), axis=2).max() > 10 * np.iinfo(given.dtype).max / 255
    if bits == 16:
        assert np.array_equal(luma(streamed), luma(given))
    else:
        assert np.array_equal(testdata.luma((tmp_path / "streamed.tif").read_bytes()), testdata.luma(source.read_bytes()))
    if channels in (2, 4):
        assert np.array_equal(streamed[..., 3], given[..., -1])


@pytest.mark.parametrize("kind", ["grey", "RGB with alpha, BigTIFF"])
def test_bands_join_without_a_seam(kind: str, tmp_path: Path, colorizer: Colorizer, monkeypatch: pytest.MonkeyPatch) -> None:
    bits, channels, options = KINDS[kind]
    source = write(tmp_path / "scan.tif", samples(bits, channels), **options)
    monkeypatch.setattr(upsample, "POINTS", 2)
    results = []
    for band, colored in ((16, 4), (1000, 1000)):
        monkeypatch.setattr(stream, "BAND_PIXELS", band * SIZE[1])
        monkeypatch.setattr(stream, "COLORED_PIXELS", colored * SIZE[1])
        color_file(source, tmp_path / f"{band}.tif", colorizer=colorizer)
        results.append(read(tmp_path / f"{band}.tif"))
    assert np.array_equal(*results)


@pytest.mark.parametrize("kind", KINDS)
def test_layout_and_compression_stay(kind: str, tmp_path: Path, colorizer: Colorizer) -> None:
    bits, channels, options = KINDS[kind]
    source = write(tmp_path / "scan.tif", samples(bits, channels), **options)
    color_file(source, tmp_path / "out.tif", colorizer=colorizer)
    before, after = tags(source), tags(tmp_path / "out.tif")
    assert exif.numbers(after, exif.COMPRESSION) == exif.numbers(before, exif.COMPRESSION)
    assert (stream.TILE_WIDTH in after) == (stream.TILE_WIDTH in before) == ("tile" in options)
    assert all(
        side <= scan_files.TILE_SIDE for tag in (stream.TILE_WIDTH, stream.TILE_HEIGHT) for side in exif.numbers(after, tag)
    )
    predicted = options["compression"] in stream.PREDICTED
    assert exif.numbers(after, stream.PREDICTOR) == ((2,) if predicted else ())


PNGS = [(bits, channels) for bits in (8, 16) for channels in (1, 2, 3, 4)]


def write_png(path: Path, array: Any, *chunks: png.Chunk, **options: Any) -> Path:
    """Write samples as a PNG of 600 dots an inch by libvips, with chunks of one's own."""
    meaning = ("b-w", "srgb", "grey16", "rgb16")[2 * (array.dtype.itemsize > 1) + (array.shape[2] > 2)]
    image = vips.library().Image.new_from_array(array).copy(interpretation=meaning, xres=600 / 25.4, yres=600 / 25.4)
    path.write_bytes(png.splice(image.pngsave_buffer(keep="none", **options), chunks))
    return path


def read_png(path: Path) -> Any:
    image = vips.library().Image.pngload(str(path), fail_on="warning")
    return image.numpy().reshape(image.height, image.width, -1)


@pytest.mark.parametrize(("bits", "channels"), PNGS)
def test_a_streamed_png_is_what_memory_makes_of_it(
    bits: int, channels: int, tmp_path: Path, colorizer: Colorizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = samples(bits, channels)
    source = write_png(tmp_path / "scan.png", given)
    color_file(source, tmp_path / "streamed.png", colorizer=colorizer)
    monkeypatch.setattr(stream, "HUGE", 1 << 24)
    color_file(source, tmp_path / "whole.png", colorizer=colorizer)
    streamed, whole = read_png(tmp_path / "streamed.png"), read_png(tmp_path / "whole.png")
    assert streamed.dtype == given.dtype
    assert streamed.shape == whole.shape
    away = np.abs(streamed[..., :3].astype(float) - whole[..., :3]) * 255 / np.iinfo(given.dtype).max
    assert away.mean() < 0.8, away.mean()
    assert np.ptp(streamed[..., :3].astype(int), axis=2).max() > 10 * np.iinfo(given.dtype).max / 255
    if bits == 16:
        assert np.array_equal(luma(streamed), luma(given))
    else:
        assert np.array_equal(testdata.luma((tmp_path / "streamed.png").read_bytes()), testdata.luma(source.read_bytes()))
    if channels in (2, 4):
        assert np.array_equal(streamed[..., 3], given[..., -1])


def test_a_streamed_png_carries_what_describes_it(tmp_path: Path, colorizer: Colorizer) -> None:
    packet = b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""/></rdf:RDF>'
    profile = testdata.grey_profile(testdata.gamma_curve(1.8))
    chunks = png.build([(b"tEXt", b"Author\0Ada")], exif=testdata.exif(6)[6:], xmp=packet, icc=profile, dpi=None)
    source = write_png(tmp_path / "scan.png", samples(16, 1), *chunks)
    color_file(source, tmp_path / "out.png", colorizer=colorizer)
    before, after = convert.read(source), convert.read(tmp_path / "out.png")
    assert (after.exif, after.orientation) == (before.exif, 6)
    assert after.dpi == pytest.approx((600, 600), abs=0.1)
    assert after.icc is not None
    assert after.icc[16:20] == b"RGB "
    assert (b"tEXt", b"Author\0Ada") in after.extras
    assert recorded(tmp_path / "out.png").source == "scan.png"
    packed = zlib.compress(packet)
    assert png.xmp([(b"iTXt", png.XMP + b"\1\0en\0\0" + packed)]) == packet


def test_only_a_plain_png_is_streamed(tmp_path: Path) -> None:
    assert stream.scan(write_png(tmp_path / "plain.png", samples(8, 3)))
    assert stream.scan(write_png(tmp_path / "interlaced.png", samples(8, 3), interlace=True)) is None
    assert stream.scan(write_png(tmp_path / "palette.png", samples(8, 3), palette=True)) is None
    assert stream.scan(write_png(tmp_path / "bits.png", samples(8, 1), bitdepth=2)) is None
    assert stream.scan(write_png(tmp_path / "clear.png", samples(8, 1), (b"tRNS", b"\0\1"))) is None
    assert stream.scan(write_png(tmp_path / "broken.png", samples(8, 1), (b"iCCP", b"x\0\0xxxx"))) is None
    assert stream.scan(write_png(tmp_path / "text.png", samples(8, 1), (b"iTXt", png.XMP + b"\0"))) is None


@pytest.mark.parametrize("suffix", ["tif", "png"])
def test_a_row_too_long_for_bands_is_read_as_every_other_photograph(
    suffix: str, tmp_path: Path, colorizer: Colorizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = (write if suffix == "tif" else write_png)(tmp_path / f"scan.{suffix}", samples(8, 1))
    monkeypatch.setattr(scan_files, "WIDEST", SIZE[1])
    assert stream.scan(source)
    monkeypatch.setattr(scan_files, "WIDEST", SIZE[1] - 1)
    assert stream.scan(source) is None
    fitting = Colorizer(colorizer.model, replace(colorizer.options, max_pixels=SIZE[0] * SIZE[1] - 1))
    with pytest.raises(PhotoError, match=r"635 x 407 = 258,445 pixels, over the limit of 258,444; raise it with --max-pixels"):
        color_file(source, tmp_path / f"out.{suffix}", colorizer=fitting)


@pytest.mark.parametrize("left", [0.1, 0.6, 0.97])
def test_a_png_that_breaks_off_or_is_damaged_is_refused(left: float, tmp_path: Path, colorizer: Colorizer) -> None:
    content = write_png(tmp_path / "scan.png", samples(16, 1)).read_bytes()
    place = int(len(content) * left)
    for damaged in (content[:place], content[:place] + bytes([content[place] ^ 16]) + content[place + 1 :]):
        (tmp_path / "cut.png").write_bytes(damaged)
        with pytest.raises(PhotoError, match=r"cut\.png: a .*PNG .*; restore"):
            color_file(tmp_path / "cut.png", tmp_path / "out" / "cut.png", colorizer=colorizer)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_inside_stays_jpeg(channels: int, tmp_path: Path, colorizer: Colorizer) -> None:
    source = write(tmp_path / "scan.tif", samples(8, channels), compression="jpeg", Q=80)
    assert exif.numbers(tags(source), exif.PHOTOMETRIC) == ((1,) if channels == 1 else (6,))
    assert stream.scan(source)
    color_file(source, tmp_path / "out.tif", colorizer=colorizer)
    assert exif.numbers(tags(tmp_path / "out.tif"), exif.COMPRESSION) == (7,)
    assert np.abs(luma(read(tmp_path / "out.tif")) - luma(read(source)).astype(float)).mean() < 1


@pytest.mark.parametrize("tile", [False, True])
@pytest.mark.parametrize(("compression", "value"), [("none", 1), ("lzw", 5), ("deflate", 8), ("jpeg", 7)])
def test_compression_is_that_asked_for(
    compression: photo.Compression, value: int, tile: bool, tmp_path: Path, colorizer: Colorizer
) -> None:
    given = samples(8, 1)
    source = write(tmp_path / "scan.tif", given, compression="none" if compression == "lzw" else "lzw", tile=tile)
    asked = Colorizer(colorizer.model, replace(colorizer.options, compression=compression))
    color_file(source, tmp_path / "out.tif", colorizer=asked)
    after = tags(tmp_path / "out.tif")
    assert exif.numbers(after, exif.COMPRESSION) == (value,)
    assert exif.numbers(after, stream.PREDICTOR) == ((2,) if compression in stream.PREDICTED else ())
    away = np.abs(testdata.luma((tmp_path / "out.tif").read_bytes()) - given[..., 0])
    assert away.max() == 0 if compression != "jpeg" else away.mean() < 1


def test_quality_of_jpeg_inside_is_that_asked_for(tmp_path: Path, colorizer: Colorizer) -> None:
    source = write(tmp_path / "scan.tif", samples(8, 1), compression="jpeg")
    sizes = []
    for quality in (30, 70, 95, None):
        asked = Colorizer(colorizer.model, replace(colorizer.options, quality=quality))
        color_file(source, tmp_path / f"{quality}.tif", colorizer=asked)
        sizes.append((tmp_path / f"{quality}.tif").stat().st_size)
        assert read(tmp_path / f"{quality}.tif").shape == (*SIZE, 3)
    assert sizes[0] < 0.8 * sizes[1] < 0.5 * sizes[2] < 0.5 * sizes[3]


@pytest.mark.parametrize(("bits", "what"), [(16, "16 bits a channel"), (8, "transparency")])
def test_jpeg_inside_is_refused_before_the_work(
    bits: int, what: str, tmp_path: Path, colorizer: Colorizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path / "scan.tif", samples(bits, 1 if bits == 16 else 2))
    asked = Colorizer(colorizer.model, replace(colorizer.options, compression="jpeg"))
    monkeypatch.delattr(Colorizer, "look")
    with pytest.raises(OutputError, match=rf"scan\.tif: JPEG inside a TIFF does not keep {what}; choose compression deflate"):
        color_file(source, tmp_path / "out.tif", colorizer=asked)
    assert not (tmp_path / "out.tif").exists()


def test_alpha_beside_jpeg_inside_is_kept_in_memory(tmp_path: Path, colorizer: Colorizer) -> None:
    """It is not streamed, since libvips would drop it."""
    picture = Image.fromarray(np.dstack([samples(8, 3), testdata.grey(*SIZE, seed=5)]))
    source = tmp_path / "scan.tif"
    picture.save(source, compression="jpeg", quality=95)
    assert stream.scan(source) is None
    color_file(source, tmp_path / "out.tif", colorizer=colorizer)
    away = np.abs(read(tmp_path / "out.tif")[..., 3].astype(int) - testdata.grey(*SIZE, seed=5))
    assert away.mean() < 3


def test_what_describes_the_scan_is_carried(tmp_path: Path, colorizer: Colorizer) -> None:
    profile, note = testdata.grey_profile(testdata.gamma_curve(1.8)), b'<own:a xmlns:own="http://example.org/">1910</own:a>'
    xmp = b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="">' + note
    xmp += b"</rdf:Description></rdf:RDF>"
    plain = write(tmp_path / "plain.tif", samples(16, 1), **{"icc-profile-data": profile, "xmp-data": xmp})
    extra = {
        **exif.read(testdata.exif(6)[6:]),
        **exif.resolution(600, 600),
        33723: exif.Value(exif.UNDEFINED, b"\x1c\x02\x05\0\1A"),
    }
    source = tmp_path / "scan.tif"
    source.write_bytes(exif.splice(plain.read_bytes(), extra))
    color_file(source, tmp_path / "out.tif", colorizer=colorizer)
    before, after = tags(source), tags(tmp_path / "out.tif")
    for tag in (271, 274, 282, 283, 296, 33723, 34665, 34853):
        assert after[tag] == before[tag], tag
    assert note in after[exif.XMP].data
    assert after[exif.ICC].data[16:20] == b"RGB "
    assert testdata.opened((tmp_path / "out.tif").read_bytes()).size == (SIZE[0], SIZE[1])  # which Pillow turns


def test_the_network_sees_a_turned_scan_upright(tmp_path: Path, colorizer: Colorizer) -> None:
    upright = samples(16, 1)
    write(tmp_path / "upright.tif", upright)
    turned = write(tmp_path / "turned.tif", np.ascontiguousarray(np.rot90(upright)))
    turned.write_bytes(exif.splice(turned.read_bytes(), {exif.ORIENTATION: exif.Value(exif.SHORT, b"\6\0")}))
    for name in ("upright", "turned"):
        color_file(tmp_path / f"{name}.tif", tmp_path / f"{name}.color.tif", colorizer=colorizer)
    expected, found = read(tmp_path / "upright.color.tif"), read(tmp_path / "turned.color.tif")
    away = np.abs(expected.astype(float) - np.rot90(found, -1)) / 257
    assert away.mean() < 0.6


def test_past_four_gigabytes_it_is_a_bigtiff() -> None:
    long, offsets = exif.Value(exif.LONG, b"\1\2\3\4"), np.array([16, 1 << 33], "<u8").tobytes()
    directory = {256: long, 273: exif.Value(exif.LONG8, offsets), 34665: exif.Value(exif.LONG, b"", {33434: long})}
    head, body = exif.head([directory], 1 << 33)
    assert head[:4] == b"II+\0"
    assert int.from_bytes(head[8:], "little") == 1 << 33
    # Read at the front of a file, the same bytes hold every offset that fits there.
    moved = exif._write(directory, 16, order="<", big=True)
    found = exif.read(b"II+\0\x08\0\0\0" + (16).to_bytes(8, "little") + moved)
    assert found == directory
    assert len(body) == len(moved)
    small, _ = exif.head([directory], 16)
    assert small[:4] == b"II*\0"


def test_only_plain_pages_are_streamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write(tmp_path / "scan.tif", samples(16, 1))
    assert stream.scan(source) is not None
    pages = tmp_path / "pages.tif"
    pages.write_bytes(exif.join([source.read_bytes()] * 2))
    assert stream.scan(pages) is not None
    one = testdata.file(Image.fromarray(testdata.grey(60, 80)).convert("1"), "TIFF", {"compression": "group4"})
    pages.write_bytes(exif.join([source.read_bytes(), one]))
    assert stream.scan(pages) is None
    mask = exif.splice(source.read_bytes(), {scan_files.SUBFILE: exif.Value(exif.LONG, b"\4\0\0\0")})
    pages.write_bytes(exif.join([source.read_bytes(), mask]))
    assert stream.scan(pages) is None
    table = write(tmp_path / "table.tif", samples(8, 3), **{"icc-profile-data": testdata.srgb_profile()})
    assert stream.scan(table) is not None
    floats = tmp_path / "floats.tif"
    vips.library().Image.new_from_array(samples(16, 1).astype(np.float32)).tiffsave(str(floats))
    assert stream.scan(floats) is None
    tiles = write(tmp_path / "tiles.tif", samples(16, 1), tile=True)
    assert stream.scan(tiles)
    tiles.write_bytes(exif.splice(tiles.read_bytes(), {stream.TILE_HEIGHT: exif.Value(exif.SHORT, b"\0\0")}))
    assert stream.scan(tiles) is None
    empty, text = tmp_path / "empty.tif", tmp_path / "text.tif"
    empty.touch()
    text.write_bytes(b"II*\0" + b"x" * 100)
    assert stream.scan(empty) is stream.scan(text) is stream.scan(tmp_path / "missing.tif") is stream.scan(tmp_path) is None
    monkeypatch.setattr(stream, "HUGE", SIZE[0] * SIZE[1])
    assert stream.scan(source) is None


def pages_of(path: Path) -> Path:
    """Write a scan of 16 bits, a small copy of it that is named as one, a page of another size and depth, and a tiny one."""
    files = []
    for number, array in enumerate((samples(16, 1), samples(16, 1)[::4, ::4], samples(8, 3)[:201], samples(8, 1)[:30, :20])):
        part = write(path.with_suffix(f".{number}"), np.ascontiguousarray(array), compression=("lzw", "none")[number % 2])
        named = {270: exif.Value(2, f"page {number}".encode() + b"\0")}
        reduced = {scan_files.SUBFILE: exif.Value(exif.LONG, bytes([number == 1, 0, 0, 0]))}
        files.append(exif.splice(part.read_bytes(), named | reduced))
        part.unlink()
    path.write_bytes(exif.join(files))
    return path


def test_streamed_pages_are_what_memory_makes_of_them(
    tmp_path: Path, colorizer: Colorizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The network's own answer: vividness would multiply what differs since the small pictures were made in two ways.
    colorizer = Colorizer(colorizer.model, replace(colorizer.options, vividness=0.0))
    source = pages_of(tmp_path / "scan.tif")
    with monkeypatch.context() as patch:
        patch.delattr(convert, "read")
        streamed = color_file(source, tmp_path / "streamed.tif", colorizer=colorizer)
    assert len(streamed.pages) == 3
    monkeypatch.setattr(stream, "HUGE", 1 << 24)
    color_file(source, tmp_path / "whole.tif", colorizer=colorizer)
    given = convert.read(source)
    found, expected = (convert.read(tmp_path / f"{name}.tif") for name in ("streamed", "whole"))
    assert len(found.pages) == len(expected.pages) == 3
    for number, (one, two, own) in enumerate(zip(*((each, *each.pages) for each in (found, expected, given)), strict=True)):
        assert (one.bits, one.exif, one.extras, one.compression) == (two.bits, two.exif, two.extras, two.compression)
        assert np.array_equal(one.luma, own.luma), number
        assert (b"photochrom" in (one.xmp or b"")) == (number == 0)
        pictures = [
            vips.library().Image.tiffload(str(tmp_path / f"{name}.tif"), page=number).numpy()[..., :3].astype(float)
            for name in ("streamed", "whole")
        ]
        away = np.abs(pictures[0] - pictures[1]) / (257 if own.bits == 16 else 1)
        assert away.mean() < 1.5, (number, away.mean())
        assert np.ptp(pictures[0], axis=2).max() > 5


def test_a_page_in_color_skips_the_scan(tmp_path: Path, colorizer: Colorizer, capsys: pytest.CaptureFixture[str]) -> None:
    source = pages_of(tmp_path / "scan.tif")
    result = color_file(source, tmp_path / "out.tif", colorizer=Colorizer(colorizer.model, Options()))
    assert (result.chroma, result.judgement.kind, (tmp_path / "out.tif").exists()) == (None, "color", False)
    assert "16 bits, 4 pages, orientation 1" in told(capsys, "info", source)[0]
    pixels = SIZE[0] * SIZE[1]
    tight = Colorizer(colorizer.model, replace(colorizer.options, max_pixels=-(-pixels // 10)))
    with pytest.raises(PhotoError, match=r"scan\.tif: 4 pages of 402,898 pixels in all, over the limit of 258,450; raise it"):
        color_file(source, tmp_path / "out.tif", colorizer=tight)


@pytest.mark.parametrize("streamed", [True, False])
def test_smaller_copies_inside_a_page_are_left_out_and_that_is_said(
    streamed: bool, tmp_path: Path, colorizer: Colorizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pyramid = {"pyramid": True, "subifd": True, "tile": True, "tile_width": 64, "tile_height": 64}
    source = write(tmp_path / "scan.tif", samples(8, 1), **pyramid)
    monkeypatch.setattr(stream, "HUGE", 1000 if streamed else 1 << 24)
    assert (stream.scan(source) is not None) == streamed
    result = color_file(source, tmp_path / "out.tif", colorizer=colorizer)
    assert result.notes == ("the smaller copies inside it left out",)
    assert exif.COPIES not in tags(tmp_path / "out.tif")
    assert read(tmp_path / "out.tif").shape == (*SIZE, 3)


def test_past_four_gigabytes_pages_are_linked_in_a_bigtiff() -> None:
    one = {256: exif.Value(exif.LONG, b"\1\2\3\4"), 270: exif.Value(2, b"a text that no entry holds\0")}
    for base in (16, 1 << 33):
        head, body = exif.head([one, {}, one], base)
        assert len(head) == 16
        order = "<Q" if base > 16 else "<I"
        count, entry = (8, 20) if base > 16 else (2, 12)
        place, found = 0, []
        for _ in range(3):
            (number,) = struct.unpack_from("<Q" if base > 16 else "<H", body, place)
            found.append(number)
            (link,) = struct.unpack_from(order, body, place + count + entry * number)
            assert place % 2 == 0
            place = link - base
        assert (found, link) == ([2, 0, 2], 0)


def test_a_result_of_another_format_is_made_in_memory(
    tmp_path: Path, colorizer: Colorizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path / "scan.tif", samples(8, 1))
    monkeypatch.delattr(proxy, "read")
    color_file(source, tmp_path / "out.png", colorizer=colorizer)
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("compression", ["none", "lzw", "deflate"])
@pytest.mark.parametrize("left", [0.4, 0.97])
def test_a_scan_that_breaks_off_is_refused_and_nothing_is_written(
    compression: str, left: float, tmp_path: Path, colorizer: Colorizer
) -> None:
    whole = write(tmp_path / "scan.tif", samples(16, 1), compression=compression).read_bytes()
    # With its directory in front, as scanners write it, the file still says how large it should be.
    moved = dict(exif.read(whole))
    _, directory = exif.head([moved], 16)
    shift = 16 + len(directory) + len(directory) % 2
    offsets = [offset + shift for offset in exif.numbers(moved, stream.STRIP_OFFSETS)]
    moved[stream.STRIP_OFFSETS] = exif.Value(exif.LONG, np.array(offsets, "<u4").tobytes())
    head, directory = exif.head([moved], 16)
    content = (head + directory).ljust(shift, b"\0") + whole
    source = tmp_path / "cut.tif"
    source.write_bytes(content)
    color_file(source, tmp_path / "out" / "whole.tif", colorizer=colorizer)
    source.write_bytes(content[: int(len(content) * left)])
    with pytest.raises(PhotoError, match=r"cut\.tif: a damaged or cut off TIFF \(.+\); restore") as caught:
        color_file(source, tmp_path / "out" / "cut.tif", colorizer=colorizer)
    assert "\n" not in str(caught.value)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["whole.tif"]


def test_damage_met_while_painting_leaves_nothing(tmp_path: Path, colorizer: Colorizer) -> None:
    source = write(tmp_path / "scan.tif", samples(16, 1), compression="deflate")
    opened = Source.open(source, colorizer.options)
    result = colorizer.colorize(opened.photo)
    last = exif.numbers(tags(source), stream.STRIP_OFFSETS)[-1]
    damaged = bytearray(source.read_bytes())
    damaged[last : last + 100] = bytes(100)
    source.write_bytes(damaged)
    with pytest.raises(PhotoError, match="damaged"):
        opened.save(result, tmp_path / "out.tif", colorizer=colorizer)
    assert {path.name for path in tmp_path.iterdir()} == {"scan.tif"}


def test_a_scan_may_have_ten_times_the_pixels(tmp_path: Path, colorizer: Colorizer) -> None:
    source = write(tmp_path / "scan.tif", samples(8, 1))
    pixels = SIZE[0] * SIZE[1]
    fitting = Colorizer(colorizer.model, replace(colorizer.options, max_pixels=-(-pixels // 10)))
    color_file(source, tmp_path / "out.tif", colorizer=fitting)
    tight = Colorizer(colorizer.model, replace(colorizer.options, max_pixels=pixels // 10 - 1))
    with pytest.raises(PhotoError, match=r"635 x 407 = 258,445 pixels, over the limit of 258,430; raise it with --max-pixels"):
        color_file(source, tmp_path / "other.tif", colorizer=tight)


def test_a_scan_in_color_is_skipped_and_nothing_is_written(tmp_path: Path, colorizer: Colorizer) -> None:
    source = write(tmp_path / "scan.tif", samples(16, 3))
    result = color_file(source, tmp_path / "out" / "x.tif", colorizer=Colorizer(colorizer.model, Options()))
    assert result.chroma is None
    assert result.judgement.kind == "color"
    assert not (tmp_path / "out").exists()


def test_an_existing_result_stays(tmp_path: Path, colorizer: Colorizer) -> None:
    source = write(tmp_path / "scan.tif", samples(16, 1))
    target = colorize(source, colorizer=colorizer)
    before = target.read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        colorize(source, colorizer=colorizer)
    target.write_bytes(b"")
    color_file(source, target, colorizer=colorizer, overwrite=True)
    assert target.read_bytes() == before


def test_the_photograph_of_the_result_is_the_proxy(tmp_path: Path, colorizer: Colorizer) -> None:
    source = write(tmp_path / "scan.tif", samples(16, 3))
    result = color_file(source, tmp_path / "out.tif", colorizer=colorizer)
    assert result.photo.luma.shape == (-(-SIZE[0] // 2), -(-SIZE[1] // 2))
    assert result.chroma is not None
    small = to_array(result.photo, *result.chroma)
    large = read(tmp_path / "out.tif")[: SIZE[0] // 2 * 2, : SIZE[1] // 2 * 2] / 257
    means = large.reshape(SIZE[0] // 2, 2, SIZE[1] // 2, 2, 3).mean((1, 3))
    assert np.abs(means - small[: means.shape[0], : means.shape[1]]).mean() < 2


@pytest.mark.parametrize("kind", ["grey with alpha, tiles", "RGB, Deflate", "PNG"])
def test_info_says_of_a_scan_what_it_says_of_it_in_memory(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "scan"
    if kind == "PNG":
        write_png(source, samples(16, 3))
    else:
        bits, channels, options = KINDS[kind]
        write(
            source, samples(bits, channels), **{"icc-profile-data": testdata.srgb_profile()} if channels > 2 else {}, **options
        )
        extra = {**exif.read(testdata.exif(6)[6:]), 33723: exif.Value(exif.UNDEFINED, b"\x1c\x02\x05\0\1A")}
        source.write_bytes(exif.splice(source.read_bytes(), extra))
    pixels = SIZE[0] * SIZE[1]
    with monkeypatch.context() as patch:
        patch.setattr(stream, "HUGE", 1 << 24)
        whole, _ = told(capsys, "info", source)
    with monkeypatch.context() as patch:
        patch.delattr(convert, "read")
        streamed, _ = told(capsys, "info", source, "--max-pixels", -(-pixels // 10))
    assert "635 x 407" in streamed
    assert streamed.partition("(")[0] == whole.partition("(")[0]
    assert told(capsys, "info", source, "--max-pixels", pixels // 10 - 1) == (
        "",
        f"photochrom: {source}: 635 x 407 = 258,445 pixels, over the limit of 258,430; raise it with --max-pixels if you trust "
        "the file\n",
    )


def told(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[str, str]:
    """Run a command; gives what it printed to its two streams."""
    with pytest.raises(SystemExit):
        main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return out, err


@pytest.mark.parametrize("orientation", [1, 6])
def test_the_map_of_confidence_of_a_scan_has_its_size_and_is_upright(
    orientation: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path / "scan.tif", samples(16, 1))
    source.write_bytes(exif.splice(source.read_bytes(), exif.read(testdata.exif(orientation)[6:])))
    options = "--hint", "600,390=#806040" if orientation == 1 else "390,600=#806040"
    with monkeypatch.context() as patch:
        patch.setattr(stream, "HUGE", 1 << 24)
        told(capsys, "colorize", source, "-o", tmp_path / "1.tif", "--confidence", tmp_path / "whole.png", *options)
    with monkeypatch.context() as patch:
        patch.delattr(convert, "read")
        command = "colorize", source, "-o", tmp_path / "2.tif", "--confidence", tmp_path / "map.png", *options
        assert told(capsys, *command)[1] == ""
        assert "exists already" in told(capsys, *command, "--verify")[1]
    whole, drawn = (testdata.opened((tmp_path / name).read_bytes()) for name in ("whole.png", "map.png"))
    assert drawn.mode == "L"
    assert drawn.size == whole.size == (SIZE[::-1] if orientation == 1 else SIZE)
    away = np.abs(np.asarray(drawn).astype(float) - np.asarray(whole))
    assert np.ptp(np.asarray(whole)) > 50
    upside_down = np.abs(np.asarray(drawn)[::-1].astype(float) - np.asarray(whole)).mean()
    assert away.mean() < min(8, upside_down / 2), (away.mean(), upside_down)


@pytest.mark.parametrize("orientation", [1, 6])
def test_the_hints_of_variants_of_a_scan_are_in_its_pixels(orientation: int, tmp_path: Path, colorizer: Colorizer) -> None:
    source = write(tmp_path / "scan.tif", samples(16, 1))
    source.write_bytes(exif.splice(source.read_bytes(), exif.read(testdata.exif(orientation)[6:])))
    wide, high = SIZE[::-1] if orientation == 1 else SIZE
    given = Hint(wide - 4, high - 2, "#806040")
    hinted = Colorizer(colorizer.model, replace(colorizer.options, hints=(given,), vividness=2.0))
    opened = Source.open(source, hinted.options)
    assert opened.photo.reduced == 2
    found = variants(hinted, opened.photo, 4)
    assert len(found) > 1 and all(variant.hints[0] == given for variant in found)
    places = [(hint.x, hint.y) for variant in found for hint in variant.hints[1:]]
    assert all(x < wide and y < high for x, y in places)
    for variant in found:  # the network sees the same where the command is given the hints that it printed
        again = Colorizer(colorizer.model, replace(hinted.options, hints=variant.hints)).look(opened.photo)
        assert np.allclose(again.low, variant.answer.low, atol=1e-5)


def test_variants_of_a_scan_are_written_without_reading_it_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = np.asarray(Image.fromarray(data.coffee()).convert("L"))[..., None]
    source = write(tmp_path / "scan.tif", picture)
    monkeypatch.delattr(convert, "read")
    with pytest.raises(SystemExit) as left:
        main(["colorize", str(source), "-o", str(tmp_path / "out.tif"), "--variants", "2", "--vividness", "2"])
    assert left.value.code == 0
    assert not np.array_equal(read(tmp_path / "out.tif"), read(tmp_path / "out-2.tif"))


@pytest.mark.parametrize("command", ["colorize", "colorize --confidence", "info", "colorize of pages"])
def test_memory_stays_bounded(command: str, tmp_path: Path) -> None:
    """Color two scans, one of nine times the pixels of the other, and compare the peaks of the two processes."""
    code = (
        "import sys, resource; from photochrom.colorizer import proxy, stream\n"
        "stream.HUGE, proxy.PROXY_PIXELS, stream.BAND_PIXELS = 1000, 1 << 18, 1 << 16\n"
        "from photochrom.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    peaks = []
    for side in (800, 2400):
        source = tmp_path / f"{side}.tif"
        row = vips.library().Image.new_from_array(np.tile(samples(16, 1), (1, side // SIZE[1] + 1, 1))[:, :side])
        row.replicate(1, side // SIZE[0] + 1).crop(0, 0, side, side).copy(interpretation="grey16").tiffsave(str(source))
        if command.endswith("pages"):  # the large one first, as scanners write them, then a small copy of it
            small = write(tmp_path / "small.tif", samples(16, 1)[::4, ::4].copy()).read_bytes()
            source.write_bytes(exif.join([source.read_bytes(), small]))
        name, *more = command.removesuffix(" of pages").split()
        more += [tmp_path / "map.png"] if more else []
        arguments = [name, source, *more, *(["-o", tmp_path / "out.tif"] if name == "colorize" else [])]
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout.split()[-1]) / 1024)
        for made in ("out.tif", "map.png"):
            (tmp_path / made).unlink(missing_ok=True)
    # 5 million pixels more are 10 MB read and 31 MB written.
    assert peaks[1] - peaks[0] < 12, peaks
