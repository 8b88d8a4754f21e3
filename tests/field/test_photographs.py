"""What photographs in the field have and others have not, each by its kind: the right value, a note, or one clear line."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photochrom.colorizer import file
from photochrom.colorizer.colorizer import Colorizer, Options
from photochrom.errors import PhotoError
from photochrom.photo import convert, vips
from photochrom.photo.codecs import jpeg_segments, png
from photochrom.photo.formats import Format
from photochrom.photo.metadata import exif, icc, iptc
from tests.support import odd, testdata
from tests.support.odd import GREY, SCENE, SIZE

GAMMA = testdata.grey_profile(testdata.gamma_curve(1.8))
CHROMA = testdata.chroma(SIZE)


@pytest.fixture(scope="module")
def colorizer() -> Colorizer:
    return Colorizer.load(options=Options(on_color="recolor"))


def written(content: bytes, format: Format | None = None) -> bytes:
    source = convert.read(content)
    return testdata.encode_as(source, *(np.resize(plane, source.luma.shape) for plane in CHROMA), format=format)


# 2. Camera raw


@pytest.mark.parametrize("kind", ["DNG", "NEF, ARW, 3FR", "linear", "no preview", "CR2", "CR3", "RAF", "ORF", "RW2"])
def test_camera_raw_is_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    heads = {
        "CR3": b"\0\0\0\x18ftypcrx \0\0\0\1crx isom",
        "RAF": b"FUJIFILMCCD-RAW 0201",
        "ORF": b"IIRO\x08\0\0\0",
        "RW2": b"IIU\0\x18\0\0\0",
    }
    content = {
        "DNG": lambda: odd.raw(dng=True),
        "NEF, ARW, 3FR": odd.raw,
        "linear": lambda: odd.raw(odd.LINEAR),
        "no preview": lambda: odd.tagged(testdata.file(GREY, "TIFF"), t262=odd.short(odd.CFA)),
        "CR2": lambda: odd.tagged(testdata.file(SCENE, "TIFF"), t254=odd.long(0)),
    }.get(kind, lambda: heads[kind] + b"\0" * 4000)()
    if kind == "CR2":
        content = content[:8] + b"CR\2\0" + content[12:]
    named = tmp_path / "photograph.tif"
    named.write_bytes(content)
    with pytest.raises(
        PhotoError, match=r"photograph.tif: camera raw.* is not read; develop it with a raw converter"
    ) as caught:
        convert.read(named)
    assert "\n" not in str(caught.value)


def test_a_tiff_with_smaller_copies_inside_is_not_raw() -> None:
    copy = exif.Value(exif.LONG, b"", {254: odd.long(1), 256: odd.short(8), 257: odd.short(6), 262: odd.short(1)})
    source = convert.read(odd.tagged(testdata.file(GREY, "TIFF"), t330=copy))
    assert (source.luma.shape, source.notes) == (SIZE, ("the smaller copies inside it left out",))


# 3. Extra samples that are no alpha


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize(("kinds", "alpha"), [((0,), None), ((2,), 3), ((0, 2), 4), ((2, 0), 3), ((0, 0), None)])
@pytest.mark.parametrize("meaning", ["rgb", "grey", "cmyk"])
def test_an_extra_channel_is_alpha_only_if_the_file_says_so(
    meaning: str, kinds: tuple[int, ...], alpha: int | None, depth: type[np.unsignedinteger]
) -> None:
    channels = {"grey": 1, "rgb": 3, "cmyk": 4}[meaning]
    names = {"grey": ("b-w", "grey16"), "rgb": ("srgb", "rgb16"), "cmyk": ("cmyk", "cmyk")}[meaning]
    rng = np.random.default_rng(0)
    samples = rng.integers(1, np.iinfo(depth).max // 2, (*SIZE, channels + len(kinds))).astype(depth)
    source = convert.read(odd.samples_tiff(samples, names[depth is np.uint16], t338=odd.short(*kinds)))
    plain = convert.read(odd.samples_tiff(np.ascontiguousarray(samples[..., :channels]), names[depth is np.uint16]))
    assert np.array_equal(source.luma, plain.luma)
    assert (source.alpha is None) == (alpha is None)
    if alpha is not None:
        assert np.array_equal(source.alpha, samples[..., alpha - 3 + channels])
    dropped = len(kinds) - (alpha is not None)
    said = f"{dropped} extra channel{'s' if dropped > 1 else ''} (infrared, spot color or mask) left out"
    assert source.notes == ((said,) if dropped else ())
    if alpha is None:  # so that it is as opaque as it was, whatever is written
        assert convert.read(testdata.encode_as(source, *CHROMA, format="JPEG")).luma.shape == SIZE
        assert convert.read(convert.encode(source, *CHROMA)).alpha is None


@pytest.mark.parametrize("kinds", [(1,), (1, 0), (0, 1)])
def test_colors_that_alpha_was_multiplied_into_are_divided_by_it(kinds: tuple[int, ...]) -> None:
    samples = np.full((*SIZE, 3 + len(kinds)), 50, np.uint8)
    samples[..., 3:], samples[..., 3 + kinds.index(1)] = 200, 100
    source = convert.read(odd.samples_tiff(samples, "srgb", t338=odd.short(*kinds)))
    assert source.alpha is not None
    assert (set(source.luma.ravel()), set(source.alpha.ravel())) == ({127}, {100})


def test_an_extra_channel_of_a_streamed_scan_is_no_alpha(
    colorizer: Colorizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = np.dstack([np.repeat(GREY[..., None], 3, 2), 255 - GREY]).astype(np.uint16) * 257
    (tmp_path / "a.tif").write_bytes(odd.samples_tiff(samples, "rgb16", t338=odd.short(0)))
    monkeypatch.setattr("photochrom.colorizer.stream.HUGE", 100)
    result = file.color_file(tmp_path / "a.tif", tmp_path / "b.tif", colorizer=colorizer)
    assert "1 extra channel (infrared, spot color or mask) left out" in result.notes
    back = convert.read(tmp_path / "b.tif")
    assert (back.alpha, back.bits) == (None, 16)
    assert np.array_equal(back.luma, samples[..., 0])


def test_a_channel_of_a_jpeg_2000_that_is_no_opacity_is_left_out() -> None:
    rgba = Image.fromarray(np.dstack([SCENE, 255 - GREY]), "RGBA")
    color = odd.box(b"colr", b"\1\0\0" + struct.pack(">I", 16))
    for kind, opaque in ((1, False), (0, True), (65535, True)):
        kinds = struct.pack(">H", 4) + b"".join(struct.pack(">3H", i, kind if i == 3 else 0, (i + 1) % 4) for i in range(4))
        source = convert.read(odd.jp2(rgba, header=color + odd.box(b"cdef", kinds)))
        assert (source.alpha is None) == opaque
        assert bool(source.notes) == opaque


# 4. Profiles


@pytest.mark.parametrize("kind", ["JPEG 2000", "BMP", "AVIF"])
def test_profiles_are_found_where_a_format_keeps_them(kind: str) -> None:
    if kind == "JPEG 2000":
        content = odd.jp2(GREY, header=odd.box(b"colr", b"\2\0\0" + GAMMA))
    elif kind == "AVIF":
        content = testdata.file(Image.fromarray(GREY), "AVIF", {"icc_profile": GAMMA, "subsampling": "4:0:0", "quality": 100})
    else:
        plain = testdata.file(GREY, "BMP")
        colors = plain[54 : 54 + 1024]
        head = struct.pack("<I", 124) + plain[18:54] + b"BGRs" * 0
        head = head.ljust(56, b"\0") + b"DEBM"
        head = head.ljust(112, b"\0") + struct.pack("<III", 124 + 1024 + GREY.size, len(GAMMA), 0)
        start = 14 + 124 + 1024
        content = b"BM" + struct.pack("<IHHI", start + GREY.size + len(GAMMA), 0, 0, start) + head + colors
        content += plain[54 + 1024 :] + GAMMA
    source = convert.read(content)
    assert source.icc == icc.for_color(GAMMA, "L")
    assert source.icc is not None
    assert source.thumbnail is None
    assert convert.read(testdata.encode_as(source, *CHROMA, format="PNG")).icc == source.icc


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG", "WEBP"])
def test_a_grey_profile_does_not_apply_to_rgb(kind: str) -> None:
    source = convert.read(testdata.file(SCENE, kind, {"icc_profile": GAMMA}))
    assert source.icc is None
    assert source.thumbnail is not None
    plain = convert.read(testdata.file(SCENE, kind))
    assert np.array_equal(source.luma, plain.luma)
    if kind != "WEBP":  # which has no grey
        assert convert.read(testdata.file(GREY, kind, {"icc_profile": GAMMA})).icc == icc.for_color(GAMMA, "L")


def test_the_profile_of_a_gif_is_found() -> None:
    plain, profile = testdata.file(GREY, "GIF"), icc.of_primaries(12) or b""
    blocks = b"".join(bytes([len(part)]) + part for part in (profile[at : at + 255] for at in range(0, len(profile), 255)))
    place = plain.index(b",", 13 + 3 * 256)
    source = convert.read(plain[:place] + b"\x21\xff\x0bICCRGBG1012" + blocks + b"\0" + plain[place:])
    assert source.icc == profile
    assert np.array_equal(source.luma, convert.read(plain).luma)
    assert convert.read(plain).icc is None


@pytest.mark.parametrize("picture", ["grey", "color"])
def test_a_space_that_a_png_states_without_a_profile_gets_one(picture: str) -> None:
    pixels = {"grey": GREY, "color": SCENE}[picture]

    def found(*chunks: tuple[bytes, bytes]) -> bytes | None:
        source = convert.read(odd.png_of(list(chunks), [], pixels))
        back = convert.read(testdata.encode_as(source, *CHROMA, format="TIFF"))
        assert back.icc == source.icc
        return source.icc

    gamma = (b"gAMA", struct.pack(">I", 55556))
    assert found((b"cICP", b"\x0c\x0d\0\1")) == icc.of_primaries(12)
    assert found(gamma) == icc.of_gamma(1.8)
    assert testdata.gamma_curve(1.8) in icc.of_gamma(1.8)
    assert found((b"gAMA", struct.pack(">I", 45455))) is None
    assert found((b"sRGB", b"\0"), gamma) is None
    assert found((b"cICP", b"\1\x0d\0\1"), gamma) is None
    with pytest.raises(PhotoError, match=r"high dynamic range \(PQ\) is not read"):
        found((b"cICP", b"\x09\x10\0\1"))


# 5. Chunks of a PNG behind its pixels


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("form", ["eXIf", "text of ImageMagick"])
def test_exif_of_a_png_is_found_wherever_it_stands(form: str, behind: bool) -> None:
    block, records = testdata.exif(6), b"\x1c\x02\x78\x00\x04Ada!"
    chunks = [(b"eXIf", block[6:]), (b"tEXt", b"Title\0Sea")]
    if form != "eXIf":
        profiles = {b"exif": block, b"iptc": iptc.wrap(records)[len(iptc.HEAD) :]}
        chunks = [
            (b"tEXt", b"Raw profile type %s\0\n%s\n %7d\n%s\n" % (name, name, len(data), data.hex().encode()))
            for name, data in profiles.items()
        ]
    source = convert.read(odd.png_of([], chunks) if behind else odd.png_of(chunks, []))
    assert source.orientation == 6
    assert b"Kodak" in (source.exif or b"")
    back = testdata.opened(convert.encode(source, *CHROMA))
    assert (back.getexif()[274], back.getexif()[271]) == (6, "Kodak")
    if form == "eXIf":
        assert back.text["Title"] == "Sea"
        deep = vips.library().Image.new_from_array(GREY.astype(np.uint16) * 257).copy(interpretation="grey16")
        packet = odd.XMP.format("<rdf:Description/>").encode()
        again = convert.read(
            odd.framed(
                bytes(deep.pngsave_buffer(bitdepth=16, keep="none")), [*chunks, (b"iTXt", png.XMP + b"\0\0\0\0" + packet)]
            )
        )
        assert (again.bits, again.orientation, again.xmp) == (16, 6, packet)
    else:
        assert source.iptc == records
        assert "Raw profile type exif" not in back.text
        assert convert.read(testdata.encode_as(source, *CHROMA, format="TIFF")).iptc == records


# 6. Tags of the world around a TIFF


GEO = exif.Value(12, struct.pack("<3d", 0.5, 0.5, 0))
AROUND = {
    "t33550": GEO,
    "t42112": exif.Value(2, b"<GDALMetadata/>\0"),
    "t286": exif.Value(5, struct.pack("<II", 3, 2)),
    "t65000": odd.long(7, 8),
}


@pytest.mark.parametrize("streamed", [False, True])
def test_tags_of_a_tiff_stay_in_a_tiff(
    streamed: bool, colorizer: Colorizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.tif").write_bytes(odd.tagged(testdata.file(GREY, "TIFF"), **AROUND))
    if streamed:
        monkeypatch.setattr("photochrom.colorizer.stream.HUGE", 100)
    file.color_file(tmp_path / "a.tif", tmp_path / "b.tif", colorizer=colorizer)
    kept = exif.read((tmp_path / "b.tif").read_bytes())
    for name, value in AROUND.items():
        assert kept[int(name[1:])] == value
    assert convert.read(tmp_path / "b.tif").luma.shape == SIZE
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_tags_that_another_format_has_no_place_for_are_named(format: Format) -> None:
    source = convert.read(odd.tagged(testdata.file(GREY, "TIFF"), **AROUND))
    named = "its tags (XPosition, ModelPixelScale, GDALMetadata, 65000) left out"
    (said,) = testdata.target(source, format).notes
    assert said.replace("ModelPixelScaleTag", "ModelPixelScale").replace("GDAL_METADATA", "GDALMetadata").replace(
        "42112", "GDALMetadata"
    ) == (f"{named}, {format} has no place for them")
    assert testdata.target(source).notes == ()


def test_layers_and_directories_of_others_are_named() -> None:
    inner = exif.Value(13, struct.pack("<I", 8))
    source = convert.read(odd.tagged(testdata.file(GREY, "TIFF"), t37724=exif.Value(7, b"layers" * 9), t65001=inner))
    assert source.notes == ("its layers left out", "its directories 65001 left out")
    kept = exif.read(written(odd.tagged(testdata.file(GREY, "TIFF"), t37724=exif.Value(7, b"layers" * 9), t65001=inner)))
    assert not {37724, 65001} & set(kept)


# 7. What hangs behind or beside the picture


def xmp_segment(text: str) -> tuple[bytes, bytes]:
    return jpeg_segments.APP1, jpeg_segments.XMP + odd.XMP.format(f"<rdf:Description {text}/>").encode()


@pytest.mark.parametrize("kind", ["pair", "gain map", "film", "film without XMP", "picture", "bytes", "nothing"])
def test_what_is_behind_the_picture_of_a_jpeg_is_noted(kind: str) -> None:
    plain = testdata.file(GREY, "JPEG", {"exif": testdata.exif()})
    film = b"\0\0\0\x18ftypmp42" + b"\0" * 300 + b"moov"
    content, said = {
        "pair": lambda: (
            testdata.file(GREY, "MPO", {"save_all": True, "append_images": [Image.fromarray(GREY)]}),
            "the main of 2 pictures",
        ),
        "gain map": lambda: (odd.with_segments(plain, xmp_segment("hdrgm:Version='1.0'")) + plain, "its gain map left out"),
        "film": lambda: (
            odd.with_segments(plain, xmp_segment("GCamera:MotionPhoto='1'")) + film,
            "the film behind it left out",
        ),
        "film without XMP": lambda: (plain + film, "the film behind it left out"),
        "picture": lambda: (plain + plain, "the picture behind it left out"),
        "bytes": lambda: (plain + b"PK\3\4" * 500, "2,000 bytes behind it left out"),
        "nothing": lambda: (odd.with_segments(plain, xmp_segment("GCamera:MotionPhoto='0'")) + b"\0" * 500, ""),
    }[kind]()
    source = convert.read(content)
    assert source.notes == ((said,) if said else ())
    assert np.array_equal(source.luma, convert.read(plain).luma)
    assert convert.read(convert.encode(source, *CHROMA)).notes == ()


@pytest.mark.parametrize("kind", ["P4", "P5", "P6", "P5 of 16 bits"])
def test_further_pictures_of_a_pnm_are_counted(kind: str) -> None:
    one = {
        "P4": lambda: testdata.file(Image.fromarray(GREY).convert("1"), "PNM"),
        "P5": lambda: testdata.file(GREY, "PNM"),
        "P6": lambda: testdata.file(SCENE, "PNM"),
        "P5 of 16 bits": lambda: b"P5\n64 48\n65535\n" + (GREY.astype(">u2") * 257).tobytes(),
    }[kind]()
    assert convert.read(one).notes == ()
    assert convert.read(one + b"\n" + one + one).notes == ("the first of 3 pictures",)


def test_what_is_behind_a_png_is_noted() -> None:
    plain = testdata.file(GREY, "PNG")
    assert convert.read(plain + b"\0" * 9).notes == ()
    assert convert.read(plain + plain).notes == ("what follows the picture left out",)


def test_what_is_behind_a_webp_or_avif_is_noted() -> None:
    for kind, behind, said in (
        ("WEBP", b"PK" * 50, "100 bytes behind it left out"),
        ("AVIF", odd.box(b"mpvd", b"x" * 50), "the film behind it left out"),
    ):
        plain = testdata.file(GREY, kind)
        assert convert.read(plain).notes == ()
        assert convert.read(plain + behind).notes == (said,)


@pytest.mark.parametrize(
    ("name", "named"), [("a.mpo", "a.jpg"), ("a.HIF", "a.jpg"), ("a.jpc", "a.png"), ("a.j2c", "a.png"), ("a.jif", "a.jif")]
)
def test_a_result_has_a_suffix_that_its_bytes_are(name: str, named: str) -> None:
    assert file.with_ending(Path(name), None) == Path(named)
    assert file.with_ending(Path(name), "TIFF") == Path("a.tif")


def test_a_stereo_pair_becomes_a_jpeg(colorizer: Colorizer, tmp_path: Path) -> None:
    path = tmp_path / "a.mpo"
    path.write_bytes(testdata.file(GREY, "MPO", {"save_all": True, "append_images": [Image.fromarray(GREY)]}))
    assert file.colorize(path, colorizer=colorizer) == tmp_path / "a.color.jpg"


# 8. One bit


@pytest.mark.parametrize("kind", ["TIFF", "PNG", "PNM", "BMP", "GIF", "JPEG of 8 bits"])
def test_a_picture_of_black_and_white_only_says_that_it_has_no_room_for_color(kind: str) -> None:
    bilevel = Image.fromarray(GREY).convert("1")
    if kind.startswith("JPEG"):
        content = testdata.file(np.where(np.indices(SIZE)[1] < 32, 0, 255).astype(np.uint8), "PNG")
    else:
        content = testdata.file(bilevel, kind, {"compression": "group4"} if kind == "TIFF" else {})
    said = "only black and white, which have no room for color"
    assert said in testdata.target(convert.read(content)).notes
    assert said not in testdata.target(convert.read(testdata.file(GREY, "PNG"))).notes
