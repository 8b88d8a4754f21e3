"""Every format that is read: colored, written, read again, and compared; ``pytest -s`` prints the table of docs/formats.md."""

from __future__ import annotations

import io
import json
import re
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photochrom.colorizer import file
from photochrom.colorizer.colorizer import Colorizer, Options
from photochrom.errors import OptionError, OutputError, PhotoError
from photochrom.photo import convert, vips
from photochrom.photo.formats import Format
from photochrom.photo.metadata import exif
from tests.support import formats, odd, rendering, testdata, tools

PAGE = (Path(__file__).parents[2] / "docs" / "formats.md").read_text("utf-8")
SUBSTITUTES = {"GIF": "PNG", "JPEG 2000": "PNG", "HEIC": "JPEG"}

GREYS = {"grey gamma 1.8": formats.GAMMA, "dot gain": formats.PROFILE}


@pytest.fixture(scope="module")
def colorizer() -> Colorizer:
    return Colorizer.load(options=Options(on_color="recolor"))


def without_figures(text: str) -> str:
    """Take out what differs a little from one processor to another."""
    return re.sub(r"\| \d\.\d\d \|", "| ... |", text)


@pytest.mark.parametrize("case", [*formats.CASES, *formats.MORE, *formats.BY_TOOLS], ids=lambda case: case.name)
def test_a_format_keeps_what_it_holds(colorizer: Colorizer, case: formats.Case) -> None:
    if "HEIC" in case.name:
        pytest.importorskip("pi_heif")
    row = formats.color(case, colorizer)
    print(formats.line(row))
    assert without_figures(formats.line(row)) in without_figures(PAGE), (
        "docs/formats.md is old: python -m tests.support.formats"
    )
    assert row.depth
    assert row.luma
    assert {name for name, kept in row.kept.items() if kept} == set(case.carries)
    assert (row.right is not None) == ("ICC" in case.carries)
    assert row.right is None or row.right < 1
    kind = str(convert.read(case.make()).format)
    assert row.written == SUBSTITUTES.get(kind, kind)


@pytest.mark.parametrize("name", ["Adobe RGB", "Display P3", "grey gamma 1.8", "dot gain"])
def test_a_lost_or_wrong_profile_would_show(name: str) -> None:
    """What the column "ICC right" measures is below 1 for results, and more without the profile or with another."""
    grey = GREYS.get(name)
    picture = formats.SCENE if grey is None else formats.GREY
    source = testdata.file(picture, "PNG", {"icc_profile": grey or formats.RGB[name]})
    rgb = np.broadcast_to(picture.reshape(48, 64, -1), (48, 64, 3))
    for profile, right in ((formats.RGB[name], True), (None, False), (formats.RGB["Rec. 2020"], False)):
        result = testdata.file(np.ascontiguousarray(rgb), "PNG", {"icc_profile": profile} if profile else None)
        assert (rendering.distance(source, result, luma=grey is not None) < 1) == right


@pytest.mark.parametrize(("name", "make"), formats.REFUSED, ids=lambda value: value if isinstance(value, str) else "")
def test_what_is_refused_has_its_line(colorizer: Colorizer, name: str, make: Callable[[], bytes]) -> None:
    said = formats.outcome(make(), colorizer)
    print(f"| {name} | {said} |")
    assert said.startswith("refused: ")
    assert f"| {name} | {said} |" in PAGE, "docs/formats.md is old: python -m tests.support.formats"


@pytest.mark.parametrize("name", ["exiftool: JPEG", "exiftool: PNG", "exiftool: TIFF", "exiftool: WebP"])
def test_exiftool_finds_in_the_result_what_it_wrote_into_the_source(colorizer: Colorizer, name: str, tmp_path: Path) -> None:
    (case,) = (case for case in formats.BY_TOOLS if case.name == name)
    source = case.make()
    told = []
    for index, content in enumerate((source, file.encoded(convert.read(source), colorizer))):
        (tmp_path / f"{index}").write_bytes(content)
        command = [
            str(tools.found("exiftool")),
            "-j",
            "-n",
            "-Make",
            "-Orientation",
            "-Creator",
            "-By-line",
            "-ImageSize",
        ]
        command += ["-ColorSpaceData", "-ProfileDescription", "-Warning", "-Error", str(tmp_path / f"{index}")]
        (found,) = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        told.append({key: value for key, value in found.items() if key != "SourceFile"})
    before, after = told
    assert (before["Make"], before["Orientation"], before["Creator"]) == ("Kodak", 6, "Ada")
    assert after.pop("ColorSpaceData") == "RGB "
    grey = before.pop("ColorSpaceData") == "GRAY"
    if grey:
        assert after.pop("ProfileDescription") != before.pop("ProfileDescription")
    assert before == after


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PNM"])
@pytest.mark.parametrize("scale", [1, 4000, 65536])
def test_sixteen_bits_of_luma_come_back_exactly(colorizer: Colorizer, kind: Format, scale: int) -> None:
    """Dark, a part of the range, and noise over all of it, at the most vivid; other tools read the same."""
    vivid = Colorizer(colorizer.model, Options(vividness=2, on_color="recolor", format=kind))
    luma = np.random.default_rng(scale).integers(0, scale, (90, 130)).astype(np.uint16)
    luma[:30] += np.uint16(65536 - scale)
    content = file.encoded(convert.from_array(luma), vivid)
    assert np.array_equal(convert.read(content).luma, luma)
    if kind != "PNM":
        load = {"PNG": vips.library().Image.pngload_buffer, "TIFF": vips.library().Image.tiffload_buffer}[kind]
        red, green, blue = np.moveaxis(load(content).numpy().astype(np.int64), -1, 0)
        assert np.array_equal((299 * red + 587 * green + 114 * blue + 500) // 1000, luma)
        assert kind != "PNG" or scale == 1 or np.ptp([red, green, blue], 0).max() > 100


def test_an_array_of_sixteen_bits(colorizer: Colorizer) -> None:
    grey = np.random.default_rng(0).integers(0, 65536, (40, 50)).astype(np.uint16)
    rgb = file.colorize(grey, colorizer=colorizer)
    assert (rgb.dtype, rgb.shape) == (np.uint16, (40, 50, 3))
    assert np.array_equal(convert.from_array(rgb).luma, grey)


def test_smooth_sixteen_bit_colors_do_not_band(colorizer: Colorizer) -> None:
    ramp = np.linspace(20000, 40000, 400 * 600).reshape(400, 600).astype(np.uint16)
    rgb = file.colorize(ramp, colorizer=colorizer).astype(int)
    assert len(np.unique(rgb[..., 2] - rgb[..., 1])) > 512


@pytest.mark.parametrize("compression", ["lzw", "deflate", "packbits", "none"])
@pytest.mark.parametrize("tile", [False, True])
def test_layouts_of_deep_tiff(compression: str, tile: bool) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (70, 90, 3)).astype(np.uint16)
    image = vips.library().Image.new_from_array(deep).copy(interpretation="rgb16")
    options = {"compression": compression, "tile": tile, "tile_width": 16, "tile_height": 16}
    source = convert.read(bytes(image.tiffsave_buffer(**options)))
    assert np.array_equal(source.luma, convert.from_array(deep).luma)
    back = convert.read(convert.encode(source, *testdata.chroma((70, 90))))
    assert np.array_equal(back.luma, source.luma)
    assert back.compression == source.compression


def test_white_may_be_zero() -> None:
    image = testdata.file(testdata.grey(9, 12), "TIFF")
    directory = {**exif.read(image), 262: exif.Value(exif.SHORT, b"\0\0")}
    assert np.array_equal(convert.read(exif.splice(image, directory)).luma, 255 - testdata.grey(9, 12))


def test_pages_are_kept_with_their_sizes_depths_and_names(colorizer: Colorizer) -> None:
    named = [exif.splice(testdata.file(testdata.grey(20 + i, 30), "TIFF"), name(f"page {i}")) for i in range(2)]
    source = convert.read(exif.join([*named, formats.deep_tiff(1)]))
    assert [page.luma.shape for page in (source, *source.pages)] == [(20, 30), (21, 30), (48, 64)]
    content = file.encoded(source, colorizer)
    back = convert.read(content)
    for before, after in zip((source, *source.pages), (back, *back.pages), strict=True):
        assert np.array_equal(before.luma, after.luma)
        assert before.exif == after.exif
        assert after.thumbnail is not None
    with Image.open(io.BytesIO(content)) as image:
        assert image.n_frames == 3
        image.seek(1)
        assert (image.mode, image.size, image.tag_v2[270]) == ("RGB", (30, 21), "page 1")


def name(text: str) -> exif.Directory:
    return {270: exif.Value(2, text.encode() + b"\0")}


def test_a_page_in_color_is_not_recolored_unasked(colorizer: Colorizer) -> None:
    content = exif.join([testdata.file(testdata.grey(60, 80), "TIFF"), testdata.file(testdata.scene(60, 80), "TIFF")])
    for on_color in ("skip", "error"):
        with pytest.raises(PhotoError, match="in color already"):
            file.encoded(convert.read(content), Colorizer(colorizer.model, Options(on_color=on_color)))  # type: ignore[arg-type]
    with pytest.raises(OutputError, match="2 pages, and PNG holds one"):
        file.encoded(convert.read(content), Colorizer(colorizer.model, Options(on_color="recolor", format="PNG")))
    with pytest.raises(OptionError, match="1 pages of 2"):
        convert.encode(convert.read(content), *testdata.chroma((60, 80)))
    with pytest.raises(PhotoError, match="2 pages of 9,600 pixels"):
        convert.read(content, max_pixels=5000)


def test_a_damaged_fax_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    """A bit that flips breaks its line; 90 % and more are noticed, and nothing but our one line is said."""
    content = testdata.file(Image.fromarray(testdata.grey(120, 160)).convert("1"), "TIFF", {"compression": "group4"})
    (start,) = exif.numbers(exif.read(content), 273)
    (length,) = exif.numbers(exif.read(content), 279)
    rng, refused = np.random.default_rng(0), 0
    for _ in range(60):
        damaged = bytearray(content)
        damaged[start + int(rng.integers(length))] ^= 1 << int(rng.integers(8))
        try:
            convert.read(bytes(damaged))
        except PhotoError as error:
            refused += "\n" not in str(error)
    assert refused >= 54
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("mode", "compression"),
    [
        *(("RGB", compression) for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")),
        ("YCbCr", "tiff_lzw"),
        ("LAB", "tiff_adobe_deflate"),
    ],
)
def test_libraries_say_nothing_of_damaged_tiffs(mode: str, compression: str, capfd: pytest.CaptureFixture[str]) -> None:
    picture = Image.fromarray(testdata.scene(90, 120))
    picture = picture if mode == "RGB" else Image.frombytes(mode, picture.size, picture.convert("YCbCr").tobytes())
    content = testdata.file(picture, "TIFF", {"compression": compression})
    assert convert.read(content).luma.shape == (90, 120)
    rng = np.random.default_rng(0)
    for turn in range(20):
        damaged = bytearray(content)
        for place in rng.integers(8, len(content) - 300 * (turn % 2), 1 + turn):
            damaged[int(place)] ^= 255
        try:
            convert.read(bytes(damaged), max_pixels=1_000_000)
        except PhotoError as error:
            assert "\n" not in str(error)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("white", [256, 1023, 4095, 65535])
@pytest.mark.parametrize("ascii", [False, True])
def test_depths_between_eight_and_sixteen_are_widened_without_loss(white: int, ascii: bool) -> None:
    samples = np.random.default_rng(white).integers(0, white + 1, (20, 30))
    head = f"P{2 if ascii else 5}\n30 20\n{white}\n".encode()
    body = " ".join(map(str, samples.ravel())).encode() if ascii else samples.astype(">u2").tobytes()
    source = convert.read(head + body)
    assert (source.luma.dtype, source.bits) == (np.uint16, white.bit_length())
    assert np.array_equal(np.rint(source.luma / 65535 * white), samples)
    for length in (len(head) - 3, len(head) + 3):
        with pytest.raises(PhotoError, match=r"truncated|damaged"):
            convert.read((head + body)[:length])


def test_a_gif_says_that_it_is_the_first_frame() -> None:
    frames = {"save_all": True, "append_images": [Image.fromarray(255 - testdata.grey(9, 9))]}
    source = convert.read(testdata.file(testdata.grey(9, 9), "GIF", frames))
    assert np.array_equal(source.luma, testdata.grey(9, 9))
    assert testdata.target(source).notes == ("the first of 2 frames", "GIF is read only, so PNG is written")
    assert file.beside(Path("a.gif")) == Path("a.color.png")
    assert file.beside(Path("a.heic")) == Path("a.color.jpg")
    with pytest.raises(OptionError, match="read only; name a PNG"):
        file.written_as(Path("b.gif"))


def test_a_shallow_format_says_what_it_drops() -> None:
    source = convert.read(formats.deep_png(1))
    assert testdata.target(source).notes == ()
    assert testdata.target(source, "WEBP").notes == ("8 of 16 bits a channel, WEBP holds no more",)
    for kind in ("WEBP", "JPEG", "BMP"):
        back = convert.read(testdata.encode_as(source, *testdata.chroma((48, 64)), format=kind))
        assert np.abs(back.luma.astype(int) - source.shown).mean() < 4


@pytest.mark.parametrize("target", ["JPEG", "TIFF"])
@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_iptc_crosses_formats(kind: Format, target: Format) -> None:
    from photochrom.photo.codecs import jpeg_segments
    from photochrom.photo.metadata import iptc

    records = b"\x1c\x02\x78\x00\x04Ada!"
    content = testdata.file(testdata.grey(20, 30), kind)
    if kind == "JPEG":
        content = content[:2] + jpeg_segments.lay_out([(jpeg_segments.APP13, iptc.wrap(records))]) + content[2:]
    else:
        content = exif.splice(content, {exif.IPTC: exif.Value(exif.UNDEFINED, records)})
    source = convert.read(content)
    assert source.iptc == records
    assert convert.read(testdata.encode_as(source, *testdata.chroma((20, 30)), format=target)).iptc == records
    if target == "JPEG":
        back = testdata.opened(testdata.encode_as(source, *testdata.chroma((20, 30)), format=target))
        assert back.info["photoshop"][0x0404] == records


def test_resolution_reaches_formats_that_state_it_in_exif() -> None:
    source = convert.read(testdata.file(testdata.grey(20, 30), "PNG", {"dpi": (300, 300)}))
    for kind in ("WEBP", "AVIF"):
        back = testdata.opened(testdata.encode_as(source, *testdata.chroma((20, 30)), format=kind))
        assert float(back.getexif()[282]) == pytest.approx(300, abs=0.1)


def test_what_is_left_of_a_damaged_iptc_block_is_read() -> None:
    from photochrom.photo.metadata import iptc

    records = b"\x1c\x02\x78\x00\x04Ada!"
    whole = iptc.wrap(records)
    other = b"8BIM" + struct.pack(">HHI", 1, 0, 4) + b"abcd"
    begin = len(whole) - len(records) - len(records) % 2
    for length in range(len(whole) + 1):
        found = iptc.unwrap(whole[:length])
        assert found == (records[: length - begin] or None if length > begin else None)
    assert iptc.unwrap(iptc.HEAD + other + whole[len(iptc.HEAD) :]) == records
    assert iptc.unwrap(iptc.HEAD + other) is None


@pytest.mark.parametrize("name", sorted(odd.FILES))
def test_committed_files_have_their_line(colorizer: Colorizer, name: str) -> None:
    if name.endswith(".heic"):
        pytest.importorskip("pi_heif")
    said = formats.outcome(odd.DATA / name, colorizer)
    print(f"| {name} | {said} |")
    assert f"| {name} | {said} |" in PAGE, "docs/formats.md is old: python -m tests.support.formats"


def test_real_files_are_read_or_refused_in_one_line(colorizer: Colorizer) -> None:
    outcomes = {
        path.name: formats.outcome(path, colorizer) for path in sorted(testdata.data("odd").iterdir()) if path.suffix != ".csv"
    }
    for name_, said in outcomes.items():
        print(f"{name_}: {said}")
        assert "\n" not in said
        assert f"| {name_} | {said} |" in PAGE, "docs/formats.md is old: python -m tests.support.formats"
    refused = {name_ for name_, said in outcomes.items() if said.startswith("refused")}
    assert all("truncated" in name_ or name_.startswith(("libavif__cosmos", "libjpeg-turbo__monkey12")) for name_ in refused), (
        refused
    )
    assert len(outcomes) - len(refused) >= 26
