"""Color photographs: a model's answer for luma, hints and variants, enlarged along edges, and written as a file."""

__all__ = [
    "adopt",
    "colorizer",
    "contact_sheet",
    "file",
    "guests",
    "hints",
    "model",
    "provenance",
    "proxy",
    "stream",
    "upsample",
    "variants",
]
