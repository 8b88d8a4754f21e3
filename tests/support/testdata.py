"""Make the photographs, profiles and files that the tests of reading and writing share."""

from __future__ import annotations

import io
import os
import select
import signal
import struct
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import Image, ImageCms, TiffImagePlugin

from photochrom import color
from photochrom.color import Plane
from photochrom.photo import convert
from photochrom.photo.formats import Format
from photochrom.photo.photo import Photo
from photochrom.photo.target import OutputOptions, Target, decide

DATA = Path(os.environ.get("PHOTOCHROM_DATA", Path(__file__).parents[3] / "shared" / "data"))


def data(*parts: str) -> Path:
    """Give a path among the shared photographs, or skip the test where there are none."""
    path = DATA.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"{path} is not here: development photographs are no part of the project, set PHOTOCHROM_DATA")
    return path


def old() -> list[Path]:
    """Give the real old photographs among the shared ones, or skip the test."""
    return sorted(path for path in data("legacy").iterdir() if path.suffix in (".jpg", ".png"))


def golden(name: str) -> Path:
    """Give the path of a photograph that lies beside the tests, in color."""
    return Path(__file__).parents[1] / "golden" / f"{name}.png"


def encoded(pixels: NDArray[np.uint8], kind: str = "png") -> bytes:
    """Write pixels as the bytes of a file, without loss where the format can."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, lossless=True)
    return file.getvalue()


def shard(path: Path, contents: dict[str, bytes]) -> Path:
    """Write files as a shard: an uncompressed tar."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def scene(height: int, width: int, *, seed: int = 0) -> NDArray[np.uint8]:
    """Paint an (H, W, 3) picture with areas, edges, a gradient and grain, in many hues."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(30, 226, (max(2, height // 24), max(2, width // 24), 3)).astype(np.uint8)
    picture = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)).astype(float)
    picture += 20 * (np.indices((height, width)).sum(0) // 16 % 2)[..., None] + rng.normal(0, 2, (height, width, 1))
    return np.clip(picture, 0, 255).astype(np.uint8)


def grey(height: int, width: int, *, seed: int = 0) -> NDArray[np.uint8]:
    return np.array(Image.fromarray(scene(height, width, seed=seed)).convert("L"))


def file(picture: NDArray[np.uint8] | Image.Image, kind: str, options: dict[str, object] | None = None) -> bytes:
    """Write a picture with Pillow."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    buffer = io.BytesIO()
    image.save(buffer, {"PNM": "PPM"}.get(kind, kind), **(options or {}))
    return buffer.getvalue()


def broken_off(folder: Path, number: int, *, jobs: int, seconds: float = 0) -> tuple[int, list[str], str, float]:
    """Color ``in`` into ``out`` by the command line, and send a signal some time after its first line.

    Returns:
        The exit code, the lines of standard output, standard error, and the seconds from the signal to the end.
    """
    command = [sys.executable, "-m", "photochrom", "colorize", "in", "-o", "out", "--json", "--jobs", str(jobs)]
    with subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored where the tests run in the background
    ) as process:
        assert process.stdout
        first = process.stdout.readline()
        time.sleep(seconds)
        process.send_signal(number)
        begin = time.monotonic()
        rest, error = process.communicate(timeout=60)
        took = time.monotonic() - begin
    return process.returncode, [first, *rest.splitlines()], error, took


def on_terminal(command: list[str], folder: Path, *, pipe: bool) -> tuple[str, str]:
    """Run a command whose standard error is a terminal; gives what went to the pipe, if any, and to the terminal."""
    import pty  # which Windows has not

    ours, theirs = pty.openpty()
    shown = b""
    with subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if pipe else theirs,
        stderr=theirs,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "200"},
    ) as process:
        os.close(theirs)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and select.select([ours], [], [], 60)[0]:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            shown += part
        piped = process.stdout.read() if process.stdout else b""
        assert process.wait(60) == 0
    os.close(ours)
    return piped.decode(), shown.decode()


def opened(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def luma(content: bytes) -> NDArray[np.int64]:
    """Decode a file and convert it to grey as anybody would."""
    return np.asarray(opened(content).convert("L")).astype(np.int64)


def exif(orientation: int = 1) -> bytes:
    """Make an EXIF block with a maker, an exposure, a place and the orientation."""
    block = Image.Exif()
    block[271], block[274] = "Kodak", orientation
    block.get_ifd(0x8769)[33434] = TiffImagePlugin.IFDRational(1, 125)
    block.get_ifd(0x8825)[1] = "N"
    return block.tobytes()


def chroma(shape: tuple[int, ...], *, seed: int = 1) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Make gentle random chroma of a size."""
    rng = np.random.default_rng(seed)
    return rng.integers(125, 132, shape).astype(np.uint8), rng.integers(125, 132, shape).astype(np.uint8)


def gamma_curve(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))


def dot_gain_curve() -> bytes:
    """A tabulated curve that is no power of anything, as scanners and presses have it."""
    table = np.linspace(0, 1, 256) ** 1.75 * 0.97 + 0.003
    return b"curv\0\0\0\0" + struct.pack(">I", 256) + np.rint(table * 65535).astype(">u2").tobytes()


def grey_profile(curve: bytes, *, connection: bytes = b"XYZ ", version: int = 2) -> bytes:
    """Build an ICC profile for one channel from its tone curve."""
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    text = b"desc\0\0\0\0" + struct.pack(">I", 2) + b"g\0" + b"\0" * 78
    parts = {b"desc": text, b"cprt": b"text\0\0\0\0-\0", b"wtpt": white, b"kTRC": curve}
    offset, table, body = 132 + 12 * len(parts), b"", b""
    for tag, part in parts.items():
        table += struct.pack(">4sII", tag, offset + len(body), len(part))
        body += part + b"\0" * (-len(part) % 4)
    head = struct.pack(">I4x4B4s4s4s12x4s", offset + len(body), version, 16, 0, 0, b"mntr", b"GRAY", connection, b"acsp")
    head = (head.ljust(68, b"\0") + white[8:]).ljust(128, b"\0")
    return head + struct.pack(">I", len(parts)) + table + body


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


PICTURES = ("astronaut", "chelsea", "coffee", "rocket")


def picture(name: str) -> np.ndarray:
    """Give a color photograph that comes with scikit-image, (H, W, 3) uint8."""
    return getattr(skimage.data, name)()


def write_shard(path: Path, pictures: list[np.ndarray]) -> None:
    contents = {}
    for index, array in enumerate(pictures):
        buffer = io.BytesIO()
        Image.fromarray(array).save(buffer, "JPEG", quality=95, subsampling=0)
        contents[f"{index:016x}.jpg"] = buffer.getvalue()
    shard(path, contents)


def texture(height: int, width: int, *, seed: int) -> np.ndarray:
    """Blobs of many sizes, with edges in all directions."""
    noise = np.random.default_rng(seed).normal(size=(height, width))
    layers = [cv2.GaussianBlur(noise, (0, 0), size) * size for size in (1.5, 3, 6)]
    whole = sum(layers)
    return np.clip(128 + 45 * whole / np.std(whole), 0, 255).astype(np.uint8)


def pan(count: int, *, step: float = 1.0, height: int = 64) -> list[np.ndarray]:
    """A camera that pans over a picture, in small frames."""
    width = height * 3 // 2
    wide = texture(height, width + 24 + int(step * count), seed=0)
    shift = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
    frames = []
    for index in range(count):
        shift[0, 2] = step * index
        frames.append(cv2.warpAffine(wide, shift, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP))
    return frames


def encode_as(photo: Photo, cb: Plane, cr: Plane, *, pages: Sequence[tuple[Plane, Plane]] = (), **output: Any) -> bytes:
    """Write a photograph with new colors, as ``OutputOptions`` of these fields say."""
    return convert.encode(photo, cb, cr, decide(photo, OutputOptions(**output)), pages=pages)


def target(photo: Photo, format: Format | None = None, **output: Any) -> Target:
    """Decide how a photograph is written, as ``OutputOptions`` of these fields say."""
    return decide(photo, OutputOptions(format, **output))


def joined(luma: NDArray[np.uint8], chroma: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Make the RGB picture of ``(H, W)`` luma and ``(2, H, W)`` chroma, inside the gamut."""
    unit = luma.astype(np.float32) / 255
    factor = color.headroom(unit, *chroma, minimum=np.minimum, maximum=np.maximum)
    return color.join(unit, factor * chroma)
