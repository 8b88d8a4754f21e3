"""Decode the samples of a JPEG: what costs no sample is taken, and a file that lost some is refused.

libjpeg-turbo decodes through simplejpeg, which takes one plane by itself and reports each fault. Files of rare sampling
factors, which that interface does not take, are decoded by Pillow and checked by libvips.
"""

from __future__ import annotations

import io
import re
from dataclasses import replace

import numpy as np
import simplejpeg
from PIL import Image

from photochrom.color import Bytes
from photochrom.errors import PhotoError
from photochrom.photo import vips
from photochrom.photo.codecs.jpeg_segments import (
    APP0,
    APP14,
    END,
    JFIF,
    PROGRESSIVE,
    START,
    Header,
    lay_out,
)

MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""Any marker but a restart; in coded data 0xFF is followed by 0."""
EXTRANEOUS = re.compile(r"(\d+) extraneous bytes before marker 0x([0-9a-f]{2})")
IGNORED = "Invalid SOS parameters"
"""A fault in numbers that a baseline scan does not need."""
RARE = "Could not determine subsampling"
"""What the decoder says of sampling factors that its interface has no name for."""
LEAST = 16
"""Fewer bytes behind a picture are no content."""
PROBE = 64
"""Bytes by which a trailer is told from coded data."""
ZEROS = 8
"""Coded data hardly ever have as many zeros as one in so many bytes."""


def color_space(data: bytes, header: Header) -> str:
    """Return how the samples are coded: ``Gray``, ``YCbCr``, ``RGB``, ``CMYK`` or ``YCCK``.

    Raises:
        PhotoError: the decoder does not take the file.
    """
    try:
        return str(simplejpeg.decode_jpeg_header(data, strict=False)[2])
    except (ValueError, KeyError) as error:
        if (RARE in str(error) or isinstance(error, KeyError)) and len(header.components) in (1, 3, 4):
            return _color_space(header)
        raise PhotoError(f"a JPEG that cannot be read ({error}); convert it to PNG or TIFF first") from error


def decode(data: bytes, colorspace: str, *, header: Header) -> tuple[Bytes, bytes]:
    """Decode samples; a file that lost some of them is refused, a file that is odd only in form is taken.

    Args:
        data: the file.
        colorspace: ``GRAY``, ``RGB`` or ``CMYK``.
        header: what ``parse`` found.

    Returns:
        ``(H, W, channels)`` uint8, as stored in the file, neither turned nor inverted; and the file, its form set right.

    Raises:
        PhotoError: samples are missing or damaged.
    """
    try:
        return _decode(data, colorspace), data
    except ValueError as error:
        fault, cause = str(error), error
    if RARE in fault:
        return _rare(data, colorspace, header), data
    # A progressive file is not given the chance of a missing end marker: cut between two scans it would pass, blurred.
    if header.frame not in PROGRESSIVE and (ended := _ended(data, colorspace, header)) is not None:
        return _decode(ended, colorspace), ended
    if fault.startswith("Premature end") and header.frame not in PROGRESSIVE:
        raise PhotoError("a truncated JPEG: its last part is missing; restore the file from a good copy") from cause
    # The decoder tells of the first fault only: what is harmless is set right, so that another one is not hidden.
    if (tidy := _tidied(data, fault, header)) != data:
        return decode(tidy, colorspace, header=header)
    word = "truncated" if fault.startswith("Premature end") else "damaged"
    raise PhotoError(f"a {word} JPEG ({fault}); restore the file from a good copy") from cause


def in_order(data: bytes, header: Header) -> tuple[bytes, Header]:
    """Remove what stands between the segments of a header, which decoders skip; what a table lacks then, they notice."""
    plain = START + lay_out(header.segments)
    if header.scan <= len(plain):
        return data, header
    return plain + data[header.scan :], replace(header, scan=len(plain))


def thumbnail(data: bytes, *, side: int) -> Bytes:
    """Decode a color picture of a half to an eighth in size, its shorter side no smaller than asked where the file allows.

    Returns:
        ``(h, w, 3)`` uint8 RGB.
    """
    how = {"min_height": side, "min_width": side, "fastdct": True, "fastupsample": True, "strict": False}
    try:
        picture: Bytes = simplejpeg.decode_jpeg(data, colorspace="RGB", **how)
    except ValueError as error:
        if RARE not in str(error):
            raise
        return np.asarray(_opened(data).convert("RGB"))
    return picture


def behind(data: bytes, header: Header) -> bytes:
    """Return what follows the end marker of the picture; nothing where that is a few bytes, or zeros."""
    position = header.scan
    while found := MARKER.search(data, position):
        if found[0] == END:
            trailer = data[found.end() :]
            return trailer if len(trailer.strip(b"\0\xff")) >= LEAST else b""
        length = int.from_bytes(data[found.end() : found.end() + 2])
        position = found.end() + (0 if found[0] in (START, b"\xff\x01") else length)
    return b""


def _ended(data: bytes, colorspace: str, header: Header) -> bytes | None:
    """Add an end marker to a baseline file that has none behind its samples: at its end, or before a trailer.

    Returns:
        None where that does not make a file without a fault, as when it was cut.
    """
    coded = header.scan + 2 + int.from_bytes(data[header.scan + 2 : header.scan + 4])
    single = data[header.scan + 4 : header.scan + 5] == bytes([len(header.components)])
    marker = MARKER.search(data, coded) if single else None
    whole = data[: marker.start() if marker else len(data)]
    for attempt in range(4):
        try:
            _decode(whole + END, colorspace)
        except ValueError as error:
            found = EXTRANEOUS.search(str(error))
        else:
            return whole + END
        if found is None or found[2] != "d9":
            break
        end = len(whole) - int(found[1])
        # The decoder reads a few bytes ahead. What was coded before them must not look like the trailer, or the file was cut.
        if _uncoded(whole[end - 8 - PROBE // 4 : end - 8]) or not (_uncoded(whole[end : end + PROBE]) or attempt):
            break
        whole = whole[:end]
    return None


def _uncoded(part: bytes) -> bool:
    """Return whether bytes are plainly no coded samples: text, or with many zeros."""
    return part.count(0) * ZEROS > len(part) or all(byte < 127 for byte in part)


def _tidied(data: bytes, fault: str, header: Header) -> bytes:
    """Set right what the decoder finds fault with and what costs no sample; unchanged where that is all there is.

    Harmless are zeros that fill up a scan, and numbers that a baseline scan ignores. Other bytes that a scan leaves over show
    that its decoding went astray before.
    """
    if found := EXTRANEOUS.search(fault):
        filled = rb"(?<!\xff)\0{%d,}(?=\xff\x%s)" % (int(found[1]), found[2].encode())  # a zero behind 0xFF is coded data
        return re.sub(filled, b"", data)
    if fault.startswith(IGNORED) and header.frame not in PROGRESSIVE and header.scan > 0:
        end = header.scan + 2 + int.from_bytes(data[header.scan + 2 : header.scan + 4])
        return data[: end - 3] + b"\x00\x3f\x00" + data[end:]
    return data


def _decode(data: bytes, colorspace: str) -> Bytes:
    samples: Bytes = simplejpeg.decode_jpeg(data, colorspace=colorspace)
    return samples


def _color_space(header: Header) -> str:
    """Return the color space as libjpeg does: by the segments of JFIF and Adobe, or else by the names of the components."""
    if len(header.components) == 1:
        return "Gray"
    adobe = next(
        (body[11] for kind, body in header.segments if kind == APP14 and body[:5] == b"Adobe" and len(body) > 11), None
    )
    if len(header.components) == 4:
        return "YCCK" if adobe == 2 else "CMYK"
    jfif = any(kind == APP0 and body.startswith(JFIF) for kind, body in header.segments)
    return "RGB" if not jfif and (adobe == 0 or (adobe is None and header.components == (82, 71, 66))) else "YCbCr"


def _rare(data: bytes, colorspace: str, header: Header) -> Bytes:
    """Decode a file of rare sampling factors; libvips notices what is damaged, and Pillow gives luma by itself."""
    try:
        vips.load(data, "jpeg", max_pixels=header.width * header.height, strict=True)
        image = _opened(data)
        image.draft("L" if colorspace == "GRAY" else colorspace, None)
        samples = np.array(image)
    except OSError as error:
        word = "truncated" if "remature end" in str(error) else "damaged"
        raise PhotoError(f"a {word} JPEG ({error}); restore the file from a good copy") from error
    if colorspace == "CMYK" and header.inverted:
        samples = 255 - samples  # Pillow has set that right
    return samples.reshape(header.height, header.width, -1)


def _opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data), formats=("JPEG",))
