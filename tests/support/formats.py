"""Color a file of every format that is read and tell what it kept; ``python -m tests.support.formats`` prints the tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photochrom.colorizer import file as api
from photochrom.colorizer.colorizer import Colorizer, Options
from photochrom.errors import PhotochromError
from photochrom.photo import convert, vips
from photochrom.photo.metadata import exif
from photochrom.photo.toning import judge
from tests.support import odd as small
from tests.support import rendering, testdata, tools
from tests.support.tools import exiftool, magick, tiffcp

PROFILE = testdata.grey_profile(testdata.dot_gain_curve())
GREY = testdata.grey(48, 64)
DEEP = np.random.default_rng(0).integers(0, 65536, (48, 64)).astype(np.uint16)


@dataclass(frozen=True)
class Case:
    """A file with all that its format can carry."""

    name: str
    make: Callable[[], bytes]
    bits: int = 8
    lossless: bool = True
    carries: tuple[str, ...] = ()
    """Of ICC, EXIF, alpha and orientation."""


def described(kind: str, *, alpha: bool = False, options: dict[str, Any] | None = None) -> bytes:
    """Write a picture with a profile, EXIF turned by 6 and, where asked, alpha."""
    image = Image.fromarray(GREY)
    if alpha:
        image = image.convert("RGBA" if kind in ("WEBP", "AVIF") else "LA")
        image.putalpha(Image.fromarray(testdata.grey(48, 64, seed=4)))
    carried: dict[str, Any] = {
        "exif": testdata.exif(6),
        "icc_profile": PROFILE if image.mode in ("L", "LA") and kind != "WEBP" else testdata.srgb_profile(),
    }
    return testdata.file(image, kind, carried | (options or {}))


def deep_tiff(channels: int, compression: str = "lzw") -> bytes:
    samples = np.repeat(DEEP[..., None], channels, 2)
    meaning = "grey16" if channels < 3 else "rgb16"
    image = vips.library().Image.new_from_array(samples).copy(interpretation=meaning)
    return bytes(
        image.tiffsave_buffer(compression=compression, tile=compression == "deflate", bigtiff=compression == "packbits")
    )


def deep_png(channels: int) -> bytes:
    image = vips.library().Image.new_from_array(np.repeat(DEEP[..., None], channels, 2))
    return bytes(image.copy(interpretation="grey16" if channels < 3 else "rgb16").pngsave_buffer(bitdepth=16))


def deep_pnm() -> bytes:
    return b"P5\n# a comment\n64 48 65535\n" + DEEP.astype(">u2").tobytes()


def pages() -> bytes:
    return exif.join([testdata.file(GREY, "TIFF"), testdata.file(testdata.grey(30, 20), "TIFF", {"compression": "tiff_lzw"})])


ALL = ("ICC", "EXIF", "alpha", "orientation")
CASES = (
    Case("JPEG", lambda: described("JPEG", options={"quality": 95}), carries=("ICC", "EXIF", "orientation")),
    Case("PNG", lambda: described("PNG", alpha=True), carries=ALL),
    Case("PNG, 1 bit", lambda: testdata.file(Image.fromarray(GREY).convert("1"), "PNG"), bits=1),
    Case("PNG, palette", lambda: testdata.file(Image.fromarray(testdata.scene(48, 64)).quantize(32), "PNG")),
    Case("PNG, 16 bits", lambda: deep_png(1), bits=16),
    Case("PNG, 16 bits, RGB and alpha", lambda: deep_png(4), bits=16, carries=("alpha",)),
    Case("TIFF", lambda: described("TIFF"), carries=("ICC", "EXIF", "orientation")),
    Case(
        "TIFF, alpha",
        lambda: testdata.file(Image.fromarray(np.stack([GREY, 255 - GREY], -1), "LA"), "TIFF"),
        carries=("alpha",),
    ),
    *(
        Case(f"TIFF, {name}", lambda option=option: testdata.file(testdata.scene(48, 64), "TIFF", {"compression": option}))
        for name, option in (("LZW", "tiff_lzw"), ("Deflate", "tiff_adobe_deflate"), ("PackBits", "packbits"), ("JPEG", "jpeg"))
    ),
    Case("TIFF, fax", lambda: testdata.file(Image.fromarray(GREY).convert("1"), "TIFF", {"compression": "group4"}), bits=1),
    Case("TIFF, palette", lambda: testdata.file(Image.fromarray(testdata.scene(48, 64)).quantize(32), "TIFF")),
    Case("TIFF, CMYK", lambda: testdata.file(Image.fromarray(testdata.scene(48, 64)).convert("CMYK"), "TIFF")),
    Case(
        "TIFF, Lab", lambda: testdata.file(Image.merge("LAB", [Image.fromarray(GREY), *[Image.new("L", (64, 48))] * 2]), "TIFF")
    ),
    Case("TIFF, 16 bits", lambda: deep_tiff(1), bits=16),
    Case("TIFF, 16 bits, RGB, tiles", lambda: deep_tiff(3, "deflate"), bits=16),
    Case("BigTIFF, 16 bits, alpha", lambda: deep_tiff(4, "packbits"), bits=16, carries=("alpha",)),
    Case("TIFF, 2 pages", pages),
    Case("WebP, lossless", lambda: described("WEBP", alpha=True, options={"lossless": True, "exact": True}), carries=ALL),
    Case(
        "WebP, lossy",
        lambda: described("WEBP", options={"quality": 90}),
        lossless=False,
        carries=("ICC", "EXIF", "orientation"),
    ),
    Case("AVIF", lambda: described("AVIF", alpha=True, options={"quality": 95}), lossless=False, carries=ALL),
    Case("BMP", lambda: testdata.file(GREY, "BMP")),
    Case("PNM", lambda: testdata.file(GREY, "PNM")),
    Case("PNM, 16 bits", deep_pnm, bits=16),
    Case("GIF", lambda: testdata.file(GREY, "GIF")),
    Case("JPEG 2000", lambda: testdata.file(GREY, "JPEG2000")),
)

SCENE = testdata.scene(48, 64)
GAMMA = testdata.grey_profile(testdata.gamma_curve(1.8))
RGB = rendering.profiles()


def profiled(kind: str, picture: NDArray[Any], profile: bytes, options: dict[str, Any] | None = None) -> Callable[[], bytes]:
    return lambda: testdata.file(picture, kind, {"icc_profile": profile, **(options or {})})


def deep_profiled(kind: str, picture: NDArray[Any], profile: bytes) -> Callable[[], bytes]:
    """Write 16 bits, or 10 in an AVIF, of which the upper 8 are the picture's."""
    lower = np.random.default_rng(1).integers(0, 256, picture.shape)
    samples = (picture.astype(np.uint16) << 8 | lower.astype(np.uint16)).reshape(48, 64, -1)
    how: dict[str, Any] = {"png": {"bitdepth": 16}, "tiff": {"compression": "lzw"}}.get(kind, {})
    if kind == "heif":
        how = {"compression": "av1", "bitdepth": 10, "Q": 95, "subsample_mode": "off"}

    def make() -> bytes:
        meaning = "grey16" if samples.shape[2] == 1 else "rgb16"
        image = vips.library().Image.new_from_array(samples).copy(interpretation=meaning)
        image.set_type(vips.library().GValue.blob_type, "icc-profile-data", profile)
        return bytes(getattr(image, f"{kind}save_buffer")(**how))

    return make


def frames(kind: str) -> Callable[[], bytes]:
    more = {"save_all": True, "append_images": [Image.fromarray(255 - GREY), Image.fromarray(GREY)]}
    return lambda: testdata.file(GREY, kind, more)


ONE = ("ICC",)
MORE = (
    Case("JPEG, grey gamma 1.8", profiled("JPEG", GREY, GAMMA), lossless=False, carries=ONE),
    Case("JPEG, Adobe RGB", profiled("JPEG", SCENE, RGB["Adobe RGB"], {"quality": 95}), lossless=False, carries=ONE),
    Case("JPEG, Display P3", profiled("JPEG", SCENE, RGB["Display P3"], {"subsampling": 0}), lossless=False, carries=ONE),
    Case("PNG, Adobe RGB", profiled("PNG", SCENE, RGB["Adobe RGB"]), carries=ONE),
    Case("PNG, Display P3", profiled("PNG", SCENE, RGB["Display P3"]), carries=ONE),
    Case("PNG, 16 bits, grey gamma 1.8", deep_profiled("png", GREY, GAMMA), bits=16, carries=ONE),
    Case("PNG, 16 bits, Display P3", deep_profiled("png", SCENE, RGB["Display P3"]), bits=16, carries=ONE),
    Case("TIFF, Adobe RGB", profiled("TIFF", SCENE, RGB["Adobe RGB"]), carries=ONE),
    Case("TIFF, Rec. 2020", profiled("TIFF", SCENE, RGB["Rec. 2020"]), carries=ONE),
    Case("TIFF, 16 bits, dot gain", deep_profiled("tiff", GREY, PROFILE), bits=16, carries=ONE),
    Case("TIFF, 16 bits, Adobe RGB", deep_profiled("tiff", SCENE, RGB["Adobe RGB"]), bits=16, carries=ONE),
    Case("WebP, lossless, Display P3", profiled("WEBP", SCENE, RGB["Display P3"], {"lossless": True}), carries=ONE),
    Case("WebP, lossy, Adobe RGB", profiled("WEBP", SCENE, RGB["Adobe RGB"], {"quality": 95}), lossless=False, carries=ONE),
    Case(
        "AVIF, Display P3",
        profiled("AVIF", SCENE, RGB["Display P3"], {"quality": 90, "subsampling": "4:4:4"}),
        lossless=False,
        carries=ONE,
    ),
    Case("AVIF, 10 bits, Adobe RGB", deep_profiled("heif", SCENE, RGB["Adobe RGB"]), bits=10, lossless=False, carries=ONE),
    Case("GIF, 3 frames", frames("GIF")),
    Case("JPEG 2000, color", lambda: testdata.file(SCENE, "JPEG2000")),
    Case("JPEG 2000, 16 bits", lambda: testdata.file(Image.fromarray(DEEP), "JPEG2000"), bits=16),
)
"""Files in spaces of their own, and further ones; apart from the others, of which ``tests.fuzz`` damages each."""

REFUSED = (
    ("PNG, 3 frames", frames("PNG")),
    ("WebP, 3 frames", frames("WEBP")),
    ("AVIF, 3 frames", frames("AVIF")),
    ("ImageMagick: JPEG 2000, 16 bits, RGB", magick("-depth 16", ".jp2", lambda: deep_png(3))),
)
"""Files that are refused."""


def grey_jpeg() -> bytes:
    return testdata.file(GREY, "JPEG")


def grey_tiff() -> bytes:
    return testdata.file(GREY, "TIFF")


def color_tiff() -> bytes:
    return testdata.file(testdata.scene(48, 64), "TIFF")


def color_png() -> bytes:
    return tools.png(color=True)


def grey_png() -> bytes:
    return tools.png(color=False)


def bilevel_tiff() -> bytes:
    return testdata.file(Image.fromarray(GREY).convert("1"), "TIFF")


SRGB = testdata.srgb_profile()
TOLD = ("ICC", "EXIF", "orientation")
BY_TOOLS = (
    Case("libtiff: LZW with differences", tiffcp("-c lzw:2", grey_tiff)),
    Case("libtiff: Deflate, tiles", tiffcp("-c zip -t -w 32 -l 16", grey_tiff)),
    Case("libtiff: PackBits, big-endian", tiffcp("-c packbits -B", grey_tiff)),
    Case("libtiff: BigTIFF, 16 bits", tiffcp("-8 -c zip:2", lambda: deep_tiff(1)), bits=16),
    Case("libtiff: planes apart", tiffcp("-c lzw -p separate", color_tiff)),
    Case("libtiff: JPEG", tiffcp("-c jpeg:90", grey_tiff), lossless=False),
    Case("libtiff: fax 3", tiffcp("-c g3:2d", bilevel_tiff), bits=1),
    Case("libtiff: fax 4, white as 0", tiffcp("-c g4", bilevel_tiff), bits=1),
    Case("ImageMagick: JPEG, grey", magick("-quality 92", ".jpg", grey_png), lossless=False),
    Case(
        "ImageMagick: JPEG, 4:4:4, progressive",
        magick("-sampling-factor 4:4:4 -interlace JPEG", ".jpg", color_png),
        lossless=False,
    ),
    Case("ImageMagick: JPEG, CMYK", magick("-colorspace CMYK", ".jpg", color_png), lossless=False),
    Case("ImageMagick: PNG, palette", magick("-type Palette", ".png", color_png)),
    Case("ImageMagick: PNG, 2 bits", magick("-colors 4 -define png:bit-depth=2", ".png", grey_png)),
    Case("ImageMagick: PNG, 16 bits", magick("-depth 16 -evaluate Multiply 0.77", ".png", lambda: deep_png(1)), bits=16),
    Case("ImageMagick: TIFF, 16 bits, CMYK", magick("-depth 16 -colorspace CMYK", ".tif", color_png), bits=16),
    Case("ImageMagick: TIFF, alpha", magick("-alpha on -channel A -evaluate set 60%", ".tif", color_png), carries=("alpha",)),
    Case("ImageMagick: WebP, lossless", magick("-define webp:lossless=true", ".webp", color_png)),
    Case("ImageMagick: GIF", magick("", ".gif", grey_png)),
    Case("ImageMagick: BMP, 3", magick("-type TrueColor", ".bmp", color_png)),
    Case("ImageMagick: PNM, 16 bits", magick("-depth 16", ".ppm", lambda: deep_png(3)), bits=16),
    Case("ImageMagick: JPEG 2000", magick("-quality 100", ".jp2", color_png)),
    Case("ImageMagick: HEIC", magick("-quality 90", ".heic", color_png), lossless=False),
    Case("ImageMagick: HEIC, grey", magick("-quality 90", ".heic", grey_png), lossless=False),
    Case("ImageMagick: AVIF", magick("-quality 90", ".avif", color_png), lossless=False),
    Case(
        "exiftool: JPEG", exiftool(".jpg", lambda: testdata.file(GREY, "JPEG"), profile=PROFILE), lossless=False, carries=TOLD
    ),
    Case("exiftool: PNG", exiftool(".png", color_png, profile=SRGB), carries=TOLD),
    Case("exiftool: TIFF", exiftool(".tif", grey_tiff, profile=PROFILE), carries=TOLD),
    Case(
        "exiftool: WebP",
        exiftool(".webp", lambda: testdata.file(testdata.scene(48, 64), "WEBP", {"lossless": True}), profile=SRGB),
        carries=TOLD,
    ),
    Case(
        "exiftool: HEIC",
        exiftool(".heic", magick("-quality 90", ".heic", color_png), profile=None),
        lossless=False,
        carries=("EXIF",),
    ),
    Case(
        "exiftool: AVIF",
        exiftool(".avif", magick("-quality 90", ".avif", color_png), profile=None),
        lossless=False,
        carries=("EXIF",),
    ),
)
"""Files that other people's programs made or described."""


@dataclass(frozen=True)
class Row:
    """What became of a case: what is written, and whether depth, luma and all that it carries were kept."""

    case: Case
    written: str
    depth: bool
    luma: bool
    kept: dict[str, bool]
    right: float | None
    """How far the result looks from the source, each through its profile: mean CIEDE2000. None where there is no profile."""


def color(case: Case, colorizer: Colorizer) -> Row:
    content = case.make()
    source = convert.read(content)
    result = api.encoded(source, colorizer)
    back = convert.read(result)
    differ = np.abs(back.luma.astype(int) - source.luma)
    step = np.iinfo(source.luma.dtype).max // 255
    close = differ.mean() < 3 * step if case.name in ("JPEG", "TIFF, JPEG") or not case.lossless else not differ.any()
    alpha = source.alpha is not None and back.alpha is not None and np.abs(back.alpha.astype(int) - source.alpha).max() <= 16
    kept = {
        "ICC": source.icc is not None and back.icc == source.icc,
        "EXIF": b"Kodak" in (back.exif or b""),
        "alpha": bool(alpha),
        "orientation": source.orientation == back.orientation == 6 and back.luma.shape == source.luma.shape,
    }
    depth = source.bits == case.bits and back.luma.dtype == source.luma.dtype == (np.uint16 if case.bits > 8 else np.uint8)
    whole = len(back.pages) == len(source.pages)
    right = rendering.right(content, result) if "ICC" in case.carries else None
    return Row(case, str(back.format), depth, bool(close) and whole, kept, right)


def outcome(file: Path | bytes, colorizer: Colorizer) -> str:
    """Say in a line what becomes of a file."""
    try:
        source = convert.read(file, name="it")
        back = convert.read(api.encoded(source, colorizer))
    except PhotochromError as error:
        return "refused: " + str(error).removeprefix("it: ")
    same = "luma unchanged" if np.array_equal(source.luma, back.luma) else "luma within its own loss"
    notes = "".join(f"; {note}" for note in testdata.target(source).notes)
    return f"{source.format}, {source.bits} bits, {judge(source).kind} -> {back.format}; {same}{notes}"


def line(row: Row) -> str:
    """Give a row of the first table; a dash stands where the file has nothing of the kind."""
    marks = ["yes" if row.kept[name] else "no" if name in row.case.carries else "-" for name in ALL]
    marks.insert(1, "-" if row.right is None else f"{row.right:.2f}")
    return f"| {' | '.join([row.case.name, row.written, *('yes' if ok else 'no' for ok in (row.depth, row.luma)), *marks])} |"


def tables(colorizer: Colorizer, odd: Path) -> str:
    heads = ["source", "written", "depth kept", "luma kept", *(f"{name} kept" for name in ALL)]
    heads.insert(5, "ICC right, dE")
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    lines += [line(color(case, colorizer)) for case in (*CASES, *MORE, *BY_TOOLS)]
    lines += ["", "| made file | outcome |", "|---|---|"]
    lines += [f"| {name} | {outcome(make(), colorizer)} |" for name, make in REFUSED]
    lines += ["", "| committed file | outcome |", "|---|---|"]
    lines += [f"| {path.name} | {outcome(path, colorizer)} |" for path in sorted(small.DATA.iterdir())]
    if odd.exists():
        lines += ["", "| real file | outcome |", "|---|---|"]
        lines += [f"| {path.name} | {outcome(path, colorizer)} |" for path in sorted(odd.iterdir()) if path.suffix != ".csv"]
    return "\n".join(lines)


if __name__ == "__main__":
    print(tables(Colorizer.load(options=Options(on_color="recolor")), testdata.DATA / "odd"))
