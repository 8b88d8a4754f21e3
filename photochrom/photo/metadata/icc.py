"""Make a source's ICC profile right for a color file.

A grey profile cannot describe RGB. Its tone curve can: with that curve on all three channels, and the primaries of sRGB, a
luma sample keeps its value and its appearance. Other spaces (CMYK, Lab, RGB whose equal samples are not grey) have no luma
to keep; their pictures are converted to sRGB.
"""

from __future__ import annotations

import io
import struct
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

SRGB_XYZ = {
    b"rXYZ": (0.43607, 0.22249, 0.01392),
    b"gXYZ": (0.38515, 0.71687, 0.09708),
    b"bXYZ": (0.14307, 0.06061, 0.71410),
}
"""Primaries of sRGB, adapted to D50 (ICC's registered sRGB profile)."""

D50 = (0.9642, 1.0, 0.8249)
"""White of the connection space (ICC.1, 7.2.16)."""

PRIMARIES = {
    9: ("Rec. 2020", ((0.67348, 0.27904, -0.00194), (0.16566, 0.67534, 0.02998), (0.12505, 0.04561, 0.79684))),
    12: ("Display P3", ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))),
}
"""Wide gamuts that an AVIF or HEIC may state by number: red, green and blue, adapted to D50."""

BRIGHT = {16: "PQ", 18: "HLG"}
"""Transfer characteristics of high dynamic range (ITU-T H.273, table 3)."""

NEUTRAL = 6.0
"""Most that a grey may lean to a hue, in a* or b*, before equal samples no longer count as grey."""

DAMAGED = (OSError, ImageCms.PyCMSError)
"""What Pillow raises on a profile that cannot be used, when it is opened or when it is applied."""

GREY = frozenset({"1", "L", "LA", "La", "I;16"})
"""Pillow's modes of one channel, which a grey profile describes; to RGB it does not apply, and is ignored."""

SPACES = {b"GRAY": "L", b"RGB ": "RGB", b"CMYK": "CMYK", b"Lab ": "LAB"}


def space(profile: bytes) -> str:
    """Return the Pillow mode that a profile describes: ``L``, ``RGB``, ``CMYK``, ``LAB``, or nothing for any other."""
    return SPACES.get(profile[16:20], "") if len(profile) >= 132 and profile[36:40] == b"acsp" else ""


def for_color(profile: bytes | None, mode: str) -> bytes | None:
    """Return the profile that belongs on the color file: RGB as it is, grey made RGB, none (sRGB) for any other.

    Args:
        profile: the source's.
        mode: the source's samples, as Pillow names them; ink and Lab are converted, so that their profile no longer applies.
    """
    if profile is None or mode in ("CMYK", "LAB"):
        return None
    if space(profile) == "L":
        return _from_grey(profile) if mode in GREY else None
    return profile if space(profile) == "RGB" and is_neutral(profile) else None


def is_neutral(profile: bytes | None) -> bool:
    """Return whether equal red, green and blue are a grey under an RGB profile.

    A matrix profile always says so. A table may say anything: XYB-coded JPEG relies on it.
    """
    if profile is None or space(profile) != "RGB" or b"A2B0" not in tags(profile):
        return True
    ramp = np.repeat(np.arange(0, 256, 15, dtype=np.uint8)[None, :, None], 3, 2)
    try:
        lab = to_lab(Image.fromarray(ramp), profile)
    except DAMAGED:
        return True  # what cannot be read cannot be applied by anybody
    return bool(np.abs(lab[..., 1:]).max() <= NEUTRAL)


def to_lab(image: Image.Image, profile: bytes) -> NDArray[np.float32]:
    """Convert a picture to CIE Lab, relative to the medium's white.

    Returns:
        ``(H, W, 3)`` float32: L* in [0, 100], a* and b* in [-128, 127], in steps of 8 bits.

    Raises:
        OSError, ImageCms.PyCMSError: the profile is damaged or is not for this picture.
    """
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    lab = ImageCms.profileToProfile(
        image, source, _lab(), renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC, outputMode="LAB"
    )
    assert lab is not None
    samples = np.asarray(lab).astype(np.float32)
    samples[..., 0] *= 100 / 255
    samples[..., 1:] = np.asarray(lab)[..., 1:].view(np.int8)
    return samples


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert a CMYK, Lab or RGB picture to sRGB by its profile; CMYK without one by ``(1 - ink) (1 - black)``."""
    if profile is not None and space(profile) == image.mode:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            return _converted(image, source)
        except DAMAGED:
            pass  # a damaged profile: nobody can apply it, so the picture is shown without it everywhere
    if image.mode == "LAB":
        return _converted(image, _lab())
    return image.convert("RGB")


def of_primaries(number: int) -> bytes | None:
    """Make a display profile with sRGB's curve for primaries that ITU-T H.273 numbers; None for sRGB's own and unknown ones."""
    found = PRIMARIES.get(number)
    if found is None:
        return None
    name, xyz = found
    # Parametric curve of type 3 (ICC.1, 10.18), with the numbers of sRGB (IEC 61966-2-1).
    numbers = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    curve = b"para\0\0\0\0" + struct.pack(">HH5i", 3, 0, *(round(value * 65536) for value in numbers))
    return _matrix_profile(b"\4\x30\0\0", curve, name=name, primaries=xyz)


def of_gamma(gamma: float) -> bytes:
    """Make a display profile of a tone curve that is a power, with sRGB's primaries (ICC.1, 10.6)."""
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, min(round(gamma * 256), 65535))
    return _matrix_profile(b"\2\x10\0\0", curve, name=f"Gamma {gamma:.2f}, sRGB primaries")


def _converted(image: Image.Image, source: ImageCms.ImageCmsProfile) -> Image.Image:
    converted = ImageCms.profileToProfile(
        image,
        source,
        _srgb(),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    assert converted is not None
    return converted


@cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


@cache
def _lab() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))


def tags(profile: bytes) -> dict[bytes, bytes]:
    """Read the table of tags (ICC.1, 7.3); a tag that reaches past the end is left out."""
    found = {}
    (count,) = struct.unpack_from(">I", profile, 128)
    for index in range(min(count, (len(profile) - 132) // 12)):
        name, offset, size = struct.unpack_from(">4sII", profile, 132 + 12 * index)
        if offset + size <= len(profile):
            found[name] = profile[offset : offset + size]
    return found


def _from_grey(profile: bytes) -> bytes | None:
    found = tags(profile)
    curve = found.get(b"kTRC")
    if curve is None or profile[20:24] != b"XYZ " or b"A2B0" in found:
        curve = _sampled(profile)  # a curve in L*, or a table: asked of littlecms, whose answer has 8 bits
    return None if curve is None else _matrix_profile(profile[8:12], curve)


def _sampled(profile: bytes) -> bytes | None:
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    try:
        lightness = to_lab(ramp, profile)[0, :, 0].astype(np.float64)
    except DAMAGED:
        return None  # a damaged profile: nobody can apply it, so the picture is shown without it everywhere
    root = (lightness + 16) / 116
    linear = np.where(lightness > 8, root**3, lightness / 903.3)
    table: bytes = np.rint(linear * 65535).astype(">u2").tobytes()
    return b"curv\0\0\0\0" + struct.pack(">I", 256) + table


def _matrix_profile(
    version: bytes,
    curve: bytes,
    *,
    name: str = "Grey tone curve, sRGB primaries",
    primaries: tuple[tuple[float, float, float], ...] = tuple(SRGB_XYZ.values()),
) -> bytes:
    """Build a display profile from one tone curve (ICC.1, 8.3.3): header, table of tags, data aligned to four bytes."""
    rights = "No copyright"
    modern = version[0] >= 4  # text has another form from version 4 on (ICC.1, 10.15)
    parts = {
        b"desc": _localized(name) if modern else _described(name),
        b"cprt": _localized(rights) if modern else b"text\0\0\0\0" + rights.encode("ascii") + b"\0",
        b"wtpt": _xyz(D50),
        **{tag: _xyz(value) for tag, value in zip(SRGB_XYZ, primaries, strict=True)},
        b"rTRC": curve,
    }
    shared = (b"gTRC", b"bTRC")
    offset = 132 + 12 * (len(parts) + len(shared))
    table, body = [], b""
    for tag, data in parts.items():
        entry = struct.pack(">II", offset + len(body), len(data))
        table.append(tag + entry)
        body += data + b"\0" * (-len(data) % 4)
    table += [tag + entry for tag in shared]  # the last entry is the curve's
    header = struct.pack(
        ">I4s4s4s4s4s12s4s4sI4s4sQI12s4s",
        offset + len(body),
        b"\0\0\0\0",
        version,
        b"mntr",
        b"RGB ",
        b"XYZ ",
        struct.pack(">6H", 2000, 1, 1, 0, 0, 0),  # a fixed date: the same source gives the same bytes
        b"acsp",
        b"\0\0\0\0",
        0,
        b"\0\0\0\0",
        b"\0\0\0\0",
        0,
        0,
        struct.pack(">3i", *(round(value * 65536) for value in D50)),
        b"\0\0\0\0",
    ).ljust(128, b"\0")
    return header + struct.pack(">I", len(table)) + b"".join(table) + body


def _xyz(value: tuple[float, float, float]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(part * 65536) for part in value))


def _localized(text: str) -> bytes:
    encoded = text.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">II4sII", 1, 12, b"enUS", len(encoded), 28) + encoded


def _described(text: str) -> bytes:
    """Lay out version 2's description: ASCII, then an empty Unicode and an empty Macintosh one (ICC.1:2001-04, 6.5.17)."""
    ascii_text = text.encode("ascii") + b"\0"
    return b"desc\0\0\0\0" + struct.pack(">I", len(ascii_text)) + ascii_text + b"\0" * (8 + 3 + 67)
