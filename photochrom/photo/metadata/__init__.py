"""Read and write what describes a photograph: EXIF and other TIFF tags, ICC profiles, IPTC."""

__all__ = ["exif", "icc", "iptc", "xmp"]
