"""Make photographs with other people's tools: libtiff's, ImageMagick and exiftool, of Debian's packages."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support import testdata

PACKAGES = {"tiffcp": "libtiff-tools", "magick": "imagemagick", "exiftool": "libimage-exiftool-perl"}


@cache
def found(tool: str) -> str | None:
    """Give the path of a tool; ImageMagick's goes by several names, of which ``convert`` alone may be anything."""
    names = ("magick", "convert-im7.q16", "convert-im6.q16") if tool == "magick" else (tool,)
    return next(filter(None, map(shutil.which, names)), None)


def run(tool: str, arguments: str, ending: str, content: bytes, *, extras: dict[str, bytes] | None = None) -> bytes:
    """Run a tool on a file, or skip the test where the tool is not.

    Args:
        tool: one of ``PACKAGES``.
        arguments: separated by spaces; IN and OUT stand for the files. Without OUT the tool changes IN.
        ending: of the file that is made, with its dot.
        content: the file to begin with, of an ending that its first bytes say.
        extras: further files, by name.
    """
    path = found(tool)
    if path is None:
        pytest.skip(f"{tool} is not here: apt-get install {PACKAGES[tool]}")
    with TemporaryDirectory(prefix="photochrom-") as folder:
        source, target = Path(folder, "in" if "OUT" in arguments else f"in{ending}"), Path(folder, f"out{ending}")
        for name, extra in {source.name: content, **(extras or {})}.items():
            Path(folder, name).write_bytes(extra)
        words = [word.replace("IN", source.name).replace("OUT", target.name) for word in arguments.split()]
        subprocess.run([path, *words], cwd=folder, check=True, capture_output=True)
        return (target if "OUT" in arguments else source).read_bytes()


def tiffcp(options: str, make: Callable[[], bytes]) -> Callable[[], bytes]:
    return lambda: run("tiffcp", f"{options} IN OUT", ".tif", make())


def magick(options: str, ending: str, make: Callable[[], bytes]) -> Callable[[], bytes]:
    return lambda: run("magick", f"IN {options} OUT", ending, make())


def exiftool(ending: str, make: Callable[[], bytes], *, profile: bytes | None) -> Callable[[], bytes]:
    """Write a maker, an orientation, IPTC, XMP and a profile into a file."""
    tags = "-Make=Kodak -Orientation#=6 -XMP-dc:Creator=Ada -overwrite_original"
    tags += " -IPTC:By-line=Ada" if ending in (".jpg", ".tif") else ""
    tags += " -ICC_Profile<=profile.icc" if profile else ""
    return lambda: run("exiftool", f"{tags} IN", ending, make(), extras={"profile.icc": profile or b""})


def png(*, color: bool) -> bytes:
    return testdata.file(testdata.scene(48, 64) if color else testdata.grey(48, 64), "PNG")
