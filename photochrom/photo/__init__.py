"""Read and write photographs: luma as stored, and all that travels with it."""

__all__ = [
    "codecs",
    "color_management",
    "convert",
    "formats",
    "metadata",
    "photo",
    "planes",
    "prints",
    "scan",
    "target",
    "toning",
    "vips",
]
