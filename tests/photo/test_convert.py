"""One photograph in, one out: every format and kind of samples, all that travels along, every refusal."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from skimage import data

from photochrom.errors import OptionError, OutputError, PhotoError
from photochrom.photo import convert, formats, photo, planes, vips
from photochrom.photo.codecs import jpeg_segments, png
from photochrom.photo.metadata import exif
from tests.support import testdata

LOSSLESS: dict[str, dict[str, Any]] = {
    "PNG": {},
    "TIFF": {"compression": "tiff_lzw"},
    "WEBP": {"lossless": True, "exact": True},
}
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>mine</x:xmpmeta>"


def samples(mode: str) -> Image.Image:
    """Make a picture of 45 x 38 pixels in a mode."""
    image = Image.fromarray(testdata.scene(45, 38))
    alpha = Image.fromarray(testdata.grey(45, 38, seed=5))
    if mode in ("LA", "RGBA"):
        image = image.convert(mode)
        image.putalpha(alpha)
        return image
    if mode == "P":
        return image.quantize(64)
    return image.convert(mode)


def recolored(source: photo.Photo, format: formats.Format | None = None) -> bytes:
    """Write with gentle chroma where there is room for it, and none near black and white."""
    cb, cr = testdata.chroma(source.luma.shape)
    edge = (source.luma < 8) | (source.luma > 247)
    cb[edge] = cr[edge] = 128
    return testdata.encode_as(source, cb, cr, format=format)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
@pytest.mark.parametrize("kind", LOSSLESS)
def test_lossless_formats_keep_every_luma_and_alpha(kind: str, mode: str) -> None:
    image = samples(mode)
    if kind == "WEBP" and mode in ("1", "LA", "P"):
        image = image.convert("RGBA" if mode == "LA" else "RGB")
    content = testdata.file(image, kind, LOSSLESS[kind])
    source = convert.read(content)
    assert source.format == kind
    grey = np.asarray(
        testdata.opened(content).convert("L") if mode != "P" else testdata.opened(content).convert("RGB").convert("L")
    )
    assert np.array_equal(source.luma, grey)
    assert (source.thumbnail is None) == (testdata.opened(content).mode in ("1", "L", "LA"))
    out = testdata.opened(recolored(source))
    assert out.format == kind
    assert out.mode == ("RGBA" if mode in ("LA", "RGBA") else "RGB")
    assert np.array_equal(testdata.luma(recolored(source)), source.luma)
    colored = np.ptp(np.asarray(out.convert("RGB")).astype(int), -1).max() > 0
    assert colored or mode == "1"  # black and white have no room for color
    if mode in ("LA", "RGBA"):
        assert source.alpha is not None
        assert np.array_equal(np.asarray(out.getchannel("A")), np.asarray(image.getchannel("A")))
    else:
        assert source.alpha is None


def test_transparency_of_a_palette_and_of_one_value() -> None:
    palette = samples("P")
    palette.info["transparency"] = 3
    source = convert.read(testdata.file(palette, "PNG"))
    assert source.alpha is not None
    assert np.array_equal(source.alpha == 0, np.asarray(palette) == 3)
    grey = samples("L")
    value = int(np.asarray(grey)[0, 0])
    source = convert.read(testdata.file(grey, "PNG", {"transparency": value}))
    assert source.alpha is not None
    assert source.thumbnail is None
    assert np.array_equal(source.alpha == 0, np.asarray(grey) == value)


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "LAB"])
def test_other_spaces_in_tiff(mode: str) -> None:
    scene = testdata.scene(45, 38)
    image = Image.fromarray(scene)
    if mode == "LAB":
        grey = testdata.grey(45, 38)
        image = Image.merge("LAB", [Image.fromarray(grey), *[Image.new("L", (38, 45), 0)] * 2])
        content = testdata.file(image, "TIFF")
        source = convert.read(content)
        assert np.corrcoef(source.luma.ravel(), grey.ravel())[0, 1] > 0.99
    else:
        content = testdata.file(image.convert(mode), "TIFF")
        source = convert.read(content)
        assert np.abs(source.luma.astype(int) - testdata.grey(45, 38)).max() <= 1
    assert testdata.opened(recolored(source)).mode == "RGB"
    assert np.array_equal(testdata.luma(recolored(source)), source.luma)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "group4"])
def test_the_compression_of_a_tiff_is_kept(compression: str) -> None:
    image = samples("1" if compression == "group4" else "L")
    source = convert.read(testdata.file(image, "TIFF", {"compression": compression}))
    out = testdata.opened(recolored(source))
    assert out.info["compression"] == ("tiff_adobe_deflate" if compression == "group4" else compression)


def test_a_lossy_webp_stays_lossy() -> None:
    scene = testdata.scene(200, 300)
    source = convert.read(testdata.file(scene, "WEBP", {"quality": 80}))
    assert not source.lossless
    out = recolored(source)
    assert b"VP8 " in out
    assert not convert.read(out).lossless
    assert np.mean(np.abs(testdata.luma(out) - source.luma)) < 2


@pytest.mark.parametrize("kind", ["WEBP", "AVIF", "AVIF of 10 bits"])
@pytest.mark.parametrize("quality", [60, 98])
def test_the_quality_of_a_lossy_webp_or_avif_is_95_unless_another_is_asked_for(kind: str, quality: int) -> None:
    scene = data.astronaut()[:200, :200]
    if "10" in kind:
        content = vips.avif(scene.astype(np.uint16) * 257, bits=10, quality=quality, subsampled=False, carried={})
    else:
        content = testdata.file(scene, kind, {"quality": quality})
    source = convert.read(content)
    grey = np.full(source.luma.shape, 128, np.uint8)
    written = convert.encode(source, grey, grey)
    assert written == testdata.encode_as(source, grey, grey, quality=95)
    assert written != testdata.encode_as(source, grey, grey, quality=90)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF", "AVIF of 12 bits"])
@pytest.mark.parametrize("own", [False, True])
def test_a_quality_that_is_asked_for_is_written(kind: str, own: bool) -> None:
    grey = testdata.grey(120, 90)
    format = next(format for format in formats.FORMATS if kind.startswith(format))
    if "12" in kind:
        source = convert.from_array(grey.astype(np.uint16) * 257)
    else:
        source = convert.read(testdata.file(grey, format if own else "PNG"))
    none = np.full(grey.shape, 128, np.uint8)
    sizes = []
    for quality in (20, 60, 95):
        out = testdata.encode_as(source, none, none, format=format, quality=quality)
        sizes.append(len(out))
        if format == "JPEG":
            assert jpeg_segments.parse(out).luma_table == jpeg_segments._luma_table(quality)
        if format == "WEBP":
            assert b"VP8 " in out
    assert sizes[0] < 0.8 * sizes[1] < 0.6 * sizes[2]
    with pytest.raises(OptionError, match="quality is 80, but luma is 'lossless'"):
        testdata.encode_as(source, none, none, format="JPEG", luma="lossless", quality=80)


def test_what_a_format_has_no_place_for_is_said() -> None:
    records = b"\x1c\x02\x05\0\1A"
    plain = convert.read(testdata.file(testdata.grey(20, 20), "JPEG"))
    every: tuple[formats.Format, ...] = ("JPEG", "TIFF", "PNG", "WEBP", "AVIF")
    assert [testdata.target(plain, format).notes for format in every] == [()] * 5
    source = replace(plain, iptc=records)
    assert [testdata.target(source, format).notes for format in ("JPEG", "TIFF")] == [(), ()]
    for format in every[2:]:
        assert testdata.target(source, format).notes == (f"IPTC left out, {format} has no place for it",)
        assert records not in recolored(source, format)
    assert testdata.target(convert.read(testdata.file(testdata.grey(20, 20), "BMP"))).notes == (
        "the record of the run left out, BMP has no place for it",
    )
    rich = replace(source, exif=testdata.exif()[6:], xmp=XMP, icc=testdata.srgb_profile(), dpi=(300.0, 300.0))
    carried = "EXIF, XMP, the profile, IPTC"
    assert testdata.target(rich, "BMP").notes == (f"{carried} and the record of the run left out, BMP has no place for them",)
    assert testdata.target(rich, "PNM").notes == (
        f"{carried}, the resolution and the record of the run left out, PNM has no place for them",
    )


def test_the_quality_of_jpeg_inside_a_tiff_is_that_asked_for() -> None:
    source = convert.read(testdata.file(testdata.grey(120, 90), "TIFF", {"compression": "jpeg", "quality": 70}))
    none = np.full((120, 90), 128, np.uint8)
    tables = {}
    for quality in (None, 60, 95):
        tables[quality] = jpeg_tables(testdata.encode_as(source, none, none, quality=quality))
    assert tables[60][:64] == jpeg_segments._luma_table(60)
    assert tables[95][:64] == jpeg_segments._luma_table(95)
    assert tables[None][:64] == jpeg_segments._luma_table(98)


def jpeg_tables(content: bytes) -> tuple[int, ...]:
    """Read the quantization steps that a TIFF shares among its strips."""
    block = exif.read(content)[347].data
    return tuple(block[block.index(b"\xff\xdb") + 5 :][:64])


@pytest.mark.parametrize("format", ["JPEG", "AVIF"])
@pytest.mark.parametrize(("subsampling", "sampling"), [("444", (1, 1)), ("422", (1, 2)), ("420", (2, 2))])
@pytest.mark.parametrize("kind", ["JPEG", "AVIF", "PNG"])
def test_subsampling_is_that_asked_for(
    kind: str, format: formats.Format, subsampling: photo.Subsampling, sampling: tuple[int, int]
) -> None:
    for own in ("4:4:4", "4:2:0"):
        source = convert.read(testdata.file(testdata.scene(61, 83), kind, {} if kind == "PNG" else {"subsampling": own}))
        edges = np.full((61, 83), 128, np.uint8)
        edges[:, 1::2] = 100  # what chroma of half the width cannot hold
        out = testdata.encode_as(source, edges, edges, format=format, subsampling=subsampling)
        found = convert.read(out)
        assert (found.sampling if format == "JPEG" else found.avif_sampling) == sampling
        assert found.luma.shape == source.luma.shape
        seen = np.asarray(testdata.opened(out).convert("YCbCr"))[..., 1].astype(int)
        assert (np.abs(np.diff(seen)).mean() > 12) == (sampling == (1, 1))


@pytest.mark.parametrize("subsampling", ["444", "422", "420"])
def test_luma_of_a_jpeg_stays_lossless_whatever_the_subsampling(subsampling: photo.Subsampling) -> None:
    source = convert.read(testdata.file(testdata.scene(61, 83), "JPEG", {"subsampling": 0, "quality": 90}))
    out = testdata.encode_as(source, *testdata.chroma((61, 83)), luma="lossless", subsampling=subsampling)
    assert np.array_equal(convert.read(out).luma, source.luma)


def test_an_avif_of_four_two_two_stays_one() -> None:
    source = convert.read(testdata.file(testdata.scene(60, 80), "AVIF", {"subsampling": "4:2:2"}))
    assert convert.read(convert.encode(source, *testdata.chroma((60, 80)))).avif_sampling == (1, 2)
    deep = convert.from_array(testdata.grey(60, 80).astype(np.uint16) * 257)
    with pytest.raises(OutputError, match="an AVIF of more than 8 bits is written with subsampling 444 or 420"):
        testdata.target(deep, "AVIF", subsampling="422")
    for subsampling in ("444", "420"):
        out = testdata.encode_as(deep, *testdata.chroma((60, 80)), format="AVIF", subsampling=subsampling)
        assert convert.read(out).avif_sampling == ((1, 1) if subsampling == "444" else (2, 2))


@pytest.mark.parametrize(("compression", "value"), [("none", 1), ("lzw", 5), ("deflate", 8), ("jpeg", 7)])
@pytest.mark.parametrize("kind", ["TIFF", "PNG", "two pages", "16 bits"])
def test_compression_is_that_asked_for(kind: str, compression: photo.Compression, value: int) -> None:
    grey = testdata.grey(60, 80)
    if kind == "16 bits":
        source = convert.from_array(grey.astype(np.uint16) * 257)
    elif kind == "two pages":
        pages = [testdata.file(grey, "TIFF", {"compression": own}) for own in ("packbits", "tiff_lzw")]
        source = convert.read(exif.join(pages))
    else:
        source = convert.read(testdata.file(grey, kind))
    if (kind, compression) == ("16 bits", "jpeg"):
        with pytest.raises(OutputError, match="JPEG inside a TIFF does not keep 16 bits a channel; choose"):
            testdata.target(source, "TIFF", compression=compression)
        return
    chroma = testdata.chroma((60, 80))
    out = testdata.encode_as(source, *chroma, format="TIFF", compression=compression, pages=[chroma] * len(source.pages))
    found = [exif.numbers(page, exif.COMPRESSION) for page in exif.every(out)]
    assert found == [(value,)] * (1 + len(source.pages))
    away = np.abs(convert.read(out).luma.astype(int) - source.luma)
    assert away.max() == 0 if compression != "jpeg" else away.mean() < 2
    with pytest.raises(OptionError, match="which is for TIFF, but the result is PNG"):
        testdata.target(source, "PNG", compression=compression)


def test_jpeg_inside_a_tiff_is_refused_to_what_is_transparent() -> None:
    source = convert.read(testdata.file(Image.fromarray(np.dstack([testdata.grey(60, 80)] * 2), "LA"), "PNG"))
    with pytest.raises(OutputError, match=r"does not keep transparency; choose compression deflate \(--compression deflate\)"):
        testdata.target(source, "TIFF", compression="jpeg")


def test_texts_of_a_png_that_another_format_leaves_out_are_named() -> None:
    texts = PngImagePlugin.PngInfo()
    for number, keyword in enumerate(("Author", "Title", "Author", "Description")):
        texts.add_text(keyword, "Ada", zip=number == 1)
    texts.add_itxt("Copyright", "© Ada")
    texts.add_itxt("XML:com.adobe.xmp", "<a/>")
    source = convert.read(testdata.file(testdata.grey(9, 9), "PNG", {"pnginfo": texts}))
    told = "its texts (Author, Title, Description, Copyright)"
    for kind in ("JPEG", "WEBP", "TIFF", "AVIF"):
        assert testdata.target(source, kind).notes == (f"{told} left out, {kind} has no place for them",)
    assert testdata.target(source, "BMP").notes == (
        f"XMP, {told} and the record of the run left out, BMP has no place for them",
    )
    assert testdata.target(source).notes == testdata.target(source, "PNG").notes == ()
    assert png.texts([(b"tEXt", b"A\n\x1bb\0c"), *((b"tEXt", b"%d\0" % number) for number in range(9))])[:2] == ["Ab", "0"]
    many = replace(source, extras=tuple((b"tEXt", b"%d\0" % number) for number in range(9)))
    assert testdata.target(many, "JPEG").notes == ("its texts (0, 1, 2, 3, 4, ...) left out, JPEG has no place for them",)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_what_a_photograph_carries_comes_along(kind: formats.Format) -> None:
    profile = testdata.srgb_profile()
    options: dict[str, Any] = {"exif": testdata.exif(), "icc_profile": profile, "dpi": (300, 300)}
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", "Ada")
    text.add_itxt("XML:com.adobe.xmp", XMP.decode())
    options |= {"PNG": {"pnginfo": text}, "TIFF": {"tiffinfo": {700: XMP}}}.get(kind, {"xmp": XMP})
    if kind == "WEBP":
        del options["dpi"]
    content = testdata.file(testdata.grey(40, 50), kind, options)
    if kind == "TIFF":  # Pillow writes either tiffinfo or EXIF, so that the latter is added here
        from photochrom.photo.metadata import exif

        content = exif.splice(content, exif.carried(exif.read(testdata.exif()[6:])))
    before, out = testdata.opened(content), testdata.opened(recolored(convert.read(content)))
    assert out.info["icc_profile"] == profile
    assert out.getexif()[271] == "Kodak"
    assert out.getexif().get_ifd(0x8769)[33434] == 1 / 125
    assert out.getexif().get_ifd(0x8825)[1] == "N"
    assert (out.tag_v2[700] if kind == "TIFF" else out.info["xmp"]) == XMP
    assert out.info.get("dpi") == before.info.get("dpi")
    if kind == "PNG":
        assert out.text["Author"] == "Ada"


@pytest.mark.parametrize("target", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_another_format_carries_it_too(kind: formats.Format, target: formats.Format) -> None:
    options = {"exif": testdata.exif(orientation=8), "icc_profile": testdata.srgb_profile()}
    source = convert.read(testdata.file(testdata.grey(40, 50), kind, options))
    assert source.orientation == 8
    back = convert.read(recolored(source, target))
    assert (back.format, back.orientation, back.icc) == (target, 8, source.icc)
    assert back.luma.shape == source.luma.shape
    assert np.mean(np.abs(back.luma.astype(int) - source.luma) <= 2) >= (0.99 if target != "WEBP" else 0.7)
    assert testdata.opened(recolored(source, target)).getexif()[271] == "Kodak"


def test_resolution_crosses_formats() -> None:
    source = convert.read(testdata.file(testdata.grey(16, 16), "JPEG", {"dpi": (600, 600)}))
    for target in ("PNG", "TIFF"):
        assert testdata.opened(recolored(source, target)).info["dpi"] == pytest.approx((600, 600), abs=0.02)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_a_grey_profile_becomes_one_for_rgb(kind: str) -> None:
    source = convert.read(
        testdata.file(testdata.grey(16, 16), kind, {"icc_profile": testdata.grey_profile(testdata.dot_gain_curve())})
    )
    out = testdata.opened(recolored(source))
    assert out.mode == "RGB"
    assert out.info["icc_profile"][16:20] == b"RGB "
    assert testdata.dot_gain_curve() in out.info["icc_profile"]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pixels_stay_as_stored_and_the_tag_beside_them(kind: str, orientation: int) -> None:
    stored = testdata.grey(24, 40)
    options: dict[str, Any] = {"exif": testdata.exif(orientation)} | ({"lossless": True} if kind == "WEBP" else {})
    source = convert.read(testdata.file(Image.fromarray(stored), kind, options))
    assert source.orientation == orientation
    assert source.luma.shape == stored.shape
    assert np.mean(np.abs(source.luma.astype(int) - stored)) < 3
    back = convert.read(recolored(source))
    assert back.orientation == orientation
    assert np.mean(np.abs(back.luma.astype(int) - stored)) < 3


def test_colors_of_a_turned_tiff_land_in_place() -> None:
    source = convert.read(testdata.file(testdata.grey(24, 40), "TIFF", {"exif": testdata.exif(6)}))
    cb = np.full((24, 40), 128, np.uint8)
    cb[:12] = 140
    back = convert.read(convert.encode(source, cb, np.full_like(cb, 128)))
    assert back.thumbnail is not None
    blue = back.thumbnail[..., 2].astype(int) - back.thumbnail[..., 1]
    assert blue.shape == (24, 40)  # not turned, as nothing is
    assert blue[:12].mean() > blue[12:].mean() + 10


def deep_png(color_type: int, channels: int) -> bytes:
    rows = b"".join(b"\0" + b"\x12\x34" * channels * 4 for _ in range(4))
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", 4, 4, 16, color_type, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize(("color_type", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_sixteen_bits_of_png_are_read(color_type: int, channels: int) -> None:
    source = convert.read(deep_png(color_type, channels))
    assert (source.bits, source.luma.dtype) == (16, np.uint16)
    assert (source.luma == 0x1234).all()
    assert (source.alpha is not None) == (channels in (2, 4))
    assert source.alpha is None or (source.alpha == 0x1234).all()
    assert (source.thumbnail is None) == (channels < 3)


@pytest.mark.parametrize(("mode", "message"), [("F", "32-bit floats"), ("I", "signed|32 bits a channel")])
def test_numbers_without_black_and_white_are_refused(mode: str, message: str) -> None:
    with pytest.raises(PhotoError, match=message):
        convert.read(testdata.file(Image.new(mode, (4, 4)), "TIFF"))


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "AVIF"])
def test_several_pictures_in_one_file_are_refused(kind: str) -> None:
    two = {"save_all": True, "append_images": [Image.fromarray(255 - testdata.grey(9, 9))]}
    with pytest.raises(PhotoError, match="animated"):
        convert.read(testdata.file(testdata.grey(9, 9), kind, two))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_the_limit_is_named_and_so_is_the_way_round_it(kind: str) -> None:
    content = testdata.file(testdata.grey(20, 30), kind)
    assert convert.read(content, max_pixels=600).luma.shape == (20, 30)
    with pytest.raises(PhotoError, match=r"30 x 20 = 600 pixels, over the limit of 599; raise it with --max-pixels"):
        convert.read(content, max_pixels=599)


def test_our_limit_replaces_pillows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert convert.read(testdata.file(testdata.grey(20, 30), "PNG")).luma.shape == (20, 30)
    assert Image.MAX_IMAGE_PIXELS == 10


@pytest.mark.parametrize("kind", [*formats.FORMATS, "GIF", "JPEG2000"])
@pytest.mark.parametrize("share", [0, 0.02, 0.3, 0.9])
def test_a_cut_file_is_refused_in_one_line_with_its_name(kind: str, share: float, tmp_path: Path) -> None:
    content = testdata.file(testdata.scene(90, 120), kind)
    path = tmp_path / "aunt ada.jpg"
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(PhotoError) as caught:
        convert.read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert "0x" not in str(caught.value)


def test_what_is_no_photograph(tmp_path: Path) -> None:
    text = tmp_path / "text.jpg"
    text.write_text("Dear Ada,\n" * 50)
    with pytest.raises(PhotoError, match=r"text\.jpg: not a photograph"):
        convert.read(text)
    with pytest.raises(PhotoError, match="standard input: the file is empty"):
        convert.read(b"", name="standard input")
    with pytest.raises(PhotoError, match=r"none\.jpg: cannot be read \(No such file"):
        convert.read(tmp_path / "none.jpg")
    with pytest.raises(PhotoError, match="is a folder"):
        convert.read(tmp_path)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "AVIF", "BMP", "PNM", "GIF", "JPEG2000"])
@pytest.mark.parametrize("seed", range(12))
def test_flipped_bytes_end_in_a_photograph_or_one_clear_line(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    carried = (
        {"exif": testdata.exif(), "icc_profile": testdata.srgb_profile()} if kind in ("PNG", "WEBP", "TIFF", "AVIF") else {}
    )
    content = bytearray(testdata.file(testdata.scene(40, 60), kind, carried))
    for place in rng.integers(4, len(content), 1 + seed % 6):
        content[place] = rng.integers(256)
    try:
        source = convert.read(bytes(content), max_pixels=1_000_000)
    except PhotoError as error:
        assert "\n" not in str(error)
        return
    back = convert.read(recolored(source))
    assert back.luma.shape == source.luma.shape
    lossless = source.lossless and kind != "AVIF"
    assert np.abs(back.shown.astype(int) - source.shown).mean() <= (0 if lossless else 4)


def test_arrays() -> None:
    scene, grey = testdata.scene(20, 30), testdata.grey(20, 30)
    colored, plain = convert.from_array(scene), convert.from_array(grey[:, ::-1])
    assert np.array_equal(colored.luma, grey)
    assert colored.thumbnail is not None
    assert np.array_equal(plain.luma, grey[:, ::-1])
    assert plain.thumbnail is None
    rgb = convert.to_array(plain, *testdata.chroma((10, 15)))
    assert rgb.shape == (20, 30, 3)
    assert rgb.dtype == np.uint8
    with pytest.raises(OptionError, match="format is None"):
        convert.encode(plain, *testdata.chroma((20, 30)))
    assert testdata.opened(testdata.encode_as(plain, *testdata.chroma((20, 30)), format="PNG")).size == (30, 20)


@pytest.mark.parametrize(
    "array", [np.zeros((4, 4)), np.zeros((4, 4, 2), np.uint8), np.zeros((0, 4), np.uint8), np.zeros(4, np.uint8)]
)
def test_other_arrays_are_refused(array: np.ndarray) -> None:
    with pytest.raises(PhotoError, match="uint8 or uint16 of shape"):
        convert.from_array(array)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV"])
def test_pillow_images(mode: str) -> None:
    image = samples(mode)
    image.info |= {"exif": testdata.exif(5), "icc_profile": testdata.srgb_profile(), "dpi": (300, 300)}
    source = convert.from_pil(image)
    assert (source.orientation, source.format, source.dpi) == (5, None, (300, 300))
    out = convert.to_pil(source, *testdata.chroma(source.luma.shape))
    assert out.mode == ("RGBA" if mode in ("LA", "RGBA") else "RGB")
    assert out.size == image.size
    assert out.getexif()[274] == 5
    assert out.info["dpi"] == (300, 300)
    assert out.info.get("icc_profile") == (None if mode == "CMYK" else testdata.srgb_profile())


def test_a_pillow_image_of_an_open_file() -> None:
    image = Image.open(io.BytesIO(testdata.file(testdata.grey(20, 30), "TIFF", {"exif": testdata.exif(6)})))
    source = convert.from_pil(image)
    assert (source.format, source.orientation, source.luma.shape) == ("TIFF", 1, (30, 20))  # Pillow has turned it
    out = convert.to_pil(source, *testdata.chroma(source.luma.shape))
    assert out.getexif()[271] == "Kodak"
    assert 273 not in out.getexif()
    cut = testdata.file(testdata.scene(90, 120), "PNG")
    with pytest.raises(PhotoError, match="cannot be loaded"):
        convert.from_pil(Image.open(io.BytesIO(cut[: len(cut) // 2])))
    with pytest.raises(PhotoError, match="beyond 0 to 65535"):
        convert.from_pil(Image.new("I", (4, 4), 70000))
    with pytest.raises(PhotoError, match="mode F"):
        convert.from_pil(Image.new("F", (4, 4)))


def test_jpeg_has_no_room_for_transparency() -> None:
    source = convert.read(testdata.file(samples("RGBA"), "PNG"))
    with pytest.raises(OutputError, match="transparent in part"):
        recolored(source, "JPEG")
    opaque = samples("RGB").convert("RGBA")
    assert testdata.opened(recolored(convert.read(testdata.file(opaque, "PNG")), "JPEG")).mode == "RGB"


def test_sides_too_long_for_webp() -> None:
    source = convert.from_array(np.zeros((1, 20_000), np.uint8))
    with pytest.raises(OutputError, match="20000 x 1 pixels cannot be written as WEBP"):
        testdata.encode_as(source, *testdata.chroma((1, 20_000)), format="WEBP")


def test_the_step_of_chroma() -> None:
    source = convert.read(testdata.file(testdata.grey(9, 9), "JPEG"))
    assert (testdata.target(source).step, testdata.target(source, "PNG").step) == (2, 1)
    assert planes.half(source.luma.shape) == (5, 5)
    with pytest.raises(OptionError, match="chroma is uint8"):
        convert.encode(source, *testdata.chroma((4, 4)))
    with pytest.raises(OptionError, match="format is 'GIF'"):
        testdata.encode_as(source, *testdata.chroma((9, 9)), format="GIF")  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (17, 31), (2000, 3)])
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_odd_sizes(kind: str, size: tuple[int, int]) -> None:
    for picture in (testdata.grey(*size), testdata.scene(*size)):
        source = convert.read(testdata.file(picture, kind, LOSSLESS[kind]))
        assert testdata.opened(convert.encode(source, *testdata.chroma(planes.half(size)))).size == size[::-1]
        assert np.array_equal(testdata.luma(recolored(source)), source.luma)


def test_chunks_of_png_stay() -> None:
    info = PngImagePlugin.PngInfo()
    info.add(b"gAMA", struct.pack(">I", 45455))
    info.add(b"tIME", struct.pack(">HBBBBB", 1912, 4, 15, 2, 20, 0))
    info.add_text("Title", "Am Fluß", zip=True)
    out = recolored(convert.read(testdata.file(testdata.grey(9, 9), "PNG", {"pnginfo": info})))
    from photochrom.photo.codecs import png

    chunks = dict(png.parse(out))
    assert chunks[b"gAMA"] == struct.pack(">I", 45455)
    assert chunks[b"tIME"][:2] == b"\x07\x78"
    assert testdata.opened(out).text["Title"] == "Am Fluß"
