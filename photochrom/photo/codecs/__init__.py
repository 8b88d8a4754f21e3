"""Read and write each format."""

__all__ = ["avif", "jpeg", "jpeg_2000", "jpeg_decode", "jpeg_segments", "jpeg_xmp", "pillow", "png", "tiff"]
