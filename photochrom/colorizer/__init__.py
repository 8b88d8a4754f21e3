"""Color photographs: a model's answer for luma, hints and variants, enlarged along edges, and written as a file."""

__all__ = ["colorizer", "contact_sheet", "file", "hints", "model", "provenance", "proxy", "stream", "upsample", "variants"]
