"""Color film: what PyAV decodes and encodes, and what is kept of it meanwhile."""

__all__ = ["coloring", "colorize", "media", "preview", "temporal"]
