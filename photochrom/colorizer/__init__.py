"""Color photographs: a model's answer for luma, hints and variants, enlarged along edges, and written as a file."""
