"""Read and write each format."""

__all__ = ["jpeg", "jpeg_segments", "jpeg_xmp", "pillow", "png", "pnm", "tiff"]
