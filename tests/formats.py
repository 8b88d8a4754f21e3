"""Make a file of every format that is read, color it, and tell what it kept; ``python -m tests.formats`` prints the tables."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from photochrom import api, photo, tiff, vips
from photochrom.colorizer import Colorizer, Options
from photochrom.errors import PhotochromError
from photochrom.judge import judge

sys.path.insert(0, str(Path(__file__).parent))
import making
import making_tools
from making_tools import exiftool, magick, tiffcp

PROFILE = making.grey_profile(making.dot_gain_curve())
GREY = making.grey(48, 64)
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
        image.putalpha(Image.fromarray(making.grey(48, 64, seed=4)))
    carried: dict[str, Any] = {
        "exif": making.exif(6),
        "icc_profile": PROFILE if image.mode in ("L", "LA") else making.srgb_profile(),
    }
    return making.file(image, kind, carried | (options or {}))


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
    return tiff.join([making.file(GREY, "TIFF"), making.file(making.grey(30, 20), "TIFF", {"compression": "tiff_lzw"})])


ALL = ("ICC", "EXIF", "alpha", "orientation")
CASES = (
    Case("JPEG", lambda: described("JPEG", options={"quality": 95}), carries=("ICC", "EXIF", "orientation")),
    Case("PNG", lambda: described("PNG", alpha=True), carries=ALL),
    Case("PNG, 1 bit", lambda: making.file(Image.fromarray(GREY).convert("1"), "PNG"), bits=1),
    Case("PNG, palette", lambda: making.file(Image.fromarray(making.scene(48, 64)).quantize(32), "PNG")),
    Case("PNG, 16 bits", lambda: deep_png(1), bits=16),
    Case("PNG, 16 bits, RGB and alpha", lambda: deep_png(4), bits=16, carries=("alpha",)),
    Case("TIFF", lambda: described("TIFF"), carries=("ICC", "EXIF", "orientation")),
    Case(
        "TIFF, alpha", lambda: making.file(Image.fromarray(np.stack([GREY, 255 - GREY], -1), "LA"), "TIFF"), carries=("alpha",)
    ),
    *(
        Case(f"TIFF, {name}", lambda option=option: making.file(making.scene(48, 64), "TIFF", {"compression": option}))
        for name, option in (("LZW", "tiff_lzw"), ("Deflate", "tiff_adobe_deflate"), ("PackBits", "packbits"), ("JPEG", "jpeg"))
    ),
    Case("TIFF, fax", lambda: making.file(Image.fromarray(GREY).convert("1"), "TIFF", {"compression": "group4"}), bits=1),
    Case("TIFF, palette", lambda: making.file(Image.fromarray(making.scene(48, 64)).quantize(32), "TIFF")),
    Case("TIFF, CMYK", lambda: making.file(Image.fromarray(making.scene(48, 64)).convert("CMYK"), "TIFF")),
    Case(
        "TIFF, Lab", lambda: making.file(Image.merge("LAB", [Image.fromarray(GREY), *[Image.new("L", (64, 48))] * 2]), "TIFF")
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
    Case("BMP", lambda: making.file(GREY, "BMP")),
    Case("PNM", lambda: making.file(GREY, "PNM")),
    Case("PNM, 16 bits", deep_pnm, bits=16),
    Case("GIF", lambda: making.file(GREY, "GIF")),
    Case("JPEG 2000", lambda: making.file(GREY, "JPEG2000")),
)


def grey_tiff() -> bytes:
    return making.file(GREY, "TIFF")


def color_tiff() -> bytes:
    return making.file(making.scene(48, 64), "TIFF")


def color_png() -> bytes:
    return making_tools.png(color=True)


def grey_png() -> bytes:
    return making_tools.png(color=False)


def bilevel_tiff() -> bytes:
    return making.file(Image.fromarray(GREY).convert("1"), "TIFF")


SRGB = making.srgb_profile()
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
    Case("exiftool: JPEG", exiftool(".jpg", lambda: making.file(GREY, "JPEG"), profile=PROFILE), lossless=False, carries=TOLD),
    Case("exiftool: PNG", exiftool(".png", color_png, profile=SRGB), carries=TOLD),
    Case("exiftool: TIFF", exiftool(".tif", grey_tiff, profile=PROFILE), carries=TOLD),
    Case(
        "exiftool: WebP",
        exiftool(".webp", lambda: making.file(making.scene(48, 64), "WEBP", {"lossless": True}), profile=SRGB),
        carries=TOLD,
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


def color(case: Case, colorizer: Colorizer) -> Row:
    source = photo.read(case.make())
    back = photo.read(api.encoded(source, colorizer))
    differ = np.abs(back.luma.astype(int) - source.luma)
    close = differ.mean() < 3 if case.name in ("JPEG", "TIFF, JPEG") or not case.lossless else not differ.any()
    alpha = source.alpha is not None and back.alpha is not None and np.abs(back.alpha.astype(int) - source.alpha).max() <= 16
    kept = {
        "ICC": source.icc is not None and back.icc == source.icc,
        "EXIF": b"Kodak" in (back.exif or b""),
        "alpha": bool(alpha),
        "orientation": source.orientation == back.orientation == 6 and back.luma.shape == source.luma.shape,
    }
    depth = source.bits == case.bits and back.luma.dtype == source.luma.dtype == (np.uint16 if case.bits > 8 else np.uint8)
    whole = len(back.pages) == len(source.pages)
    return Row(case, str(back.format), depth, bool(close) and whole, kept)


def outcome(path: Path, colorizer: Colorizer) -> str:
    """Say in a line what becomes of a real file."""
    try:
        source = photo.read(path)
        back = photo.read(api.encoded(source, colorizer))
    except PhotochromError as error:
        return "refused: " + str(error).removeprefix(f"{path}: ")
    same = "luma unchanged" if np.array_equal(source.luma, back.luma) else "luma within its own loss"
    notes = "".join(f"; {note}" for note in source.notes)
    return f"{source.format}, {source.bits} bits, {judge(source).kind} -> {back.format}; {same}{notes}"


def line(row: Row) -> str:
    """Give a row of the first table; a dash stands where the file has nothing of the kind."""
    marks = ["yes" if row.kept[name] else "no" if name in row.case.carries else "-" for name in ALL]
    return f"| {' | '.join([row.case.name, row.written, *('yes' if ok else 'no' for ok in (row.depth, row.luma)), *marks])} |"


def tables(colorizer: Colorizer, odd: Path) -> str:
    lines = [f"| source | written | depth kept | luma kept | {' | '.join(f'{name} kept' for name in ALL)} |", "|" + "---|" * 8]
    lines += [line(color(case, colorizer)) for case in (*CASES, *BY_TOOLS)]
    if odd.exists():
        lines += ["", "| real file | outcome |", "|---|---|"]
        lines += [f"| {path.name} | {outcome(path, colorizer)} |" for path in sorted(odd.iterdir()) if path.suffix != ".csv"]
    return "\n".join(lines)


if __name__ == "__main__":
    print(tables(Colorizer.load(options=Options(on_color="recolor")), making.DATA / "odd"))
