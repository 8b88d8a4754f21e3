"""Hold one photograph as it is stored in its file: luma, and all that travels with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from photochrom.color import Bytes, Plane
from photochrom.errors import SizeError
from photochrom.photo import planes
from photochrom.photo.formats import Kind

if TYPE_CHECKING:
    from photochrom.photo.codecs.jpeg_lossless import Coded

LumaWay = Literal["lossless", "encoded"]
"""How a JPEG gets its luma: coefficient by coefficient from another, or encoded again from the plane."""

LumaChoice = Literal["lossless", "encoded", "fast"]
"""What a user may ask for: one of the two ways, or the faster one."""

Subsampling = Literal["444", "422", "420"]
"""How finely a JPEG or AVIF stores chroma: at full size, at half the width, or at half of both sides."""
SAMPLINGS: dict[Subsampling, tuple[int, int]] = {"444": (1, 1), "422": (1, 2), "420": (2, 2)}
"""Rows and columns that share a sample of chroma."""

Compression = Literal["none", "lzw", "deflate", "jpeg"]
"""How the pixels of a TIFF are packed."""

JPEG_QUALITY = 98
"""Lowest JPEG quality that kept luma within 2 levels in 99 % of the pixels of each of 218 photographs, with all tables."""

LOSSY_QUALITY = 95
"""Quality of a lossy WebP and of an AVIF unless another is asked for: it adds no visible loss to the source's."""

MAX_PIXELS = 200_000_000
"""Pictures with more pixels are refused unless asked for, since a small file can claim any size."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Photo:
    """A photograph as stored in its file, without its colors."""

    __module__ = "photochrom"

    luma: Plane
    """``(H, W)`` uint8, or uint16 where the source has more than 8 bits, not turned."""
    alpha: Plane | None = None
    """``(H, W)`` of luma's type: 0 is transparent, the largest value is opaque."""
    thumbnail: Bytes | None = None
    """``(h, w, 3)`` uint8 RGB of at most 256 pixels a side, not turned; None where the source has one channel."""
    orientation: int = 1
    """EXIF orientation, 1 to 8: how a viewer turns the stored pixels."""
    format: Kind | None = None
    """Format of the source; None for an array."""
    bits: int = 8
    """Bits of a sample in the source. Samples of 9 to 15 bits are widened to 16: white is 65535."""
    exif: bytes | None = None
    """EXIF block: a TIFF without pixels, its thumbnail unlinked."""
    xmp: bytes | None = None
    """XMP packet in UTF-8."""
    icc: bytes | None = None
    """ICC profile for RGB; None means sRGB."""
    iptc: bytes | None = None
    """IPTC records, which JPEG and TIFF hold."""
    dpi: tuple[float, float] | None = None
    """Dots per inch, across and down."""
    extras: tuple[tuple[bytes, bytes], ...] = ()
    """What only the source's own format can carry: segments of JPEG, chunks of PNG, blocks of TIFF."""
    coded: Coded | None = None
    """The JPEG file that luma comes from, where a JPEG made from it can have the very same coefficients."""
    quality: int = JPEG_QUALITY
    """Quality of a JPEG whose luma is encoded again: 1 to 100."""
    lossless: bool = True
    """Whether a WebP made from it keeps every pixel."""
    avif_sampling: tuple[int, int] = (1, 1)
    """Rows and columns, 1 or 2, that share a sample of chroma in an AVIF made from it."""
    sampling: tuple[int, int] = (2, 2)
    """Rows and columns, 1 or 2, that share a sample of chroma in a JPEG made from it."""
    compression: str = "tiff_lzw"
    """Compression of a TIFF made from it, as Pillow names it."""
    pages: tuple[Photo, ...] = ()
    """The second and further pages of a TIFF."""
    notes: tuple[str, ...] = ()
    """What of the source is not read, each in a few words."""
    reduced: int = 1
    """How many times smaller each side is than that of the file's picture: above 1 only for a proxy of a huge scan."""
    full: tuple[int, int] | None = None
    """Height and width of that picture, as stored; None where this is no proxy."""

    @property
    def shown(self) -> Bytes:
        """Return ``(H, W)`` uint8 luma, whatever its depth: what the network and the judgement see."""
        return planes.to_eight(self.luma)


def refuse_large(width: int, height: int, *, max_pixels: int) -> None:
    """Refuse a picture of more pixels than allowed.

    Raises:
        SizeError: it is too large.
    """
    if width * height > max_pixels:
        got = f"{width} x {height} = {width * height:,} pixels, over the limit of {max_pixels:,}"
        raise SizeError(f"{got}; raise it with --max-pixels if you trust the file")
