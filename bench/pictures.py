"""Make the photographs that are measured, from those that scikit-image carries: the same ones on every machine."""

from __future__ import annotations

import io

import numpy as np
import skimage.data
from PIL import Image, ImageOps

NAMES = (
    *("astronaut", "camera", "coffee", "chelsea"),
    *("rocket", "grass", "brick", "retina"),
    *("gravel", "immunohistochemistry", "moon", "coins"),
)
"""A row of the mosaic on each line."""
WIDTH, HEIGHT = 4000, 3000
TILE = 1000
GRAIN = 3.0
"""Standard deviation of the grain, of 255: it makes a file of about 3 MB, which a smooth photograph of this size has."""
QUALITY = 92


def color() -> Image.Image:
    """Make a photograph of 12 megapixels: a mosaic of twelve, enlarged, with grain on their luma alone."""
    photo = Image.new("RGB", (WIDTH, HEIGHT))
    for index, name in enumerate(NAMES):
        tile = Image.fromarray(getattr(skimage.data, name)()).convert("RGB")
        place = TILE * (index % (WIDTH // TILE)), TILE * (index // (WIDTH // TILE))
        photo.paste(ImageOps.fit(tile, (TILE, TILE), Image.Resampling.LANCZOS), place)
    grain = np.random.default_rng(0).normal(0, GRAIN, (HEIGHT, WIDTH, 1)).astype(np.float32)
    return Image.fromarray(np.clip(np.asarray(photo) + grain, 0, 255).astype(np.uint8))


def jpeg(photo: Image.Image) -> bytes:
    """Encode a photograph as a scanner or camera does."""
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=QUALITY, subsampling="4:2:0")
    return buffer.getvalue()


def files() -> dict[str, bytes]:
    """Make the JPEG files to measure, by what they are."""
    photo = color()
    grey = photo.convert("L")
    return {
        "grey": jpeg(grey),
        "grey as YCbCr": jpeg(grey.convert("RGB")),
        "color": jpeg(photo),
        "grey, 1 megapixel": jpeg(grey.resize((1155, 866), Image.Resampling.LANCZOS)),
    }
