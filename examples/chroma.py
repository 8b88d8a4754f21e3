"""List photographs by how much color the model sees in them: ``python chroma.py PHOTO...``.

The planes of chroma are there for every use that is not a picture: a search, a statistic, a pipeline of your own.
"""

from __future__ import annotations

import sys

import numpy as np
from PIL import Image

from photochrom import Colorizer

colorizer = Colorizer.load()
luma = np.stack([np.asarray(Image.open(path).convert("L").resize((256, 256))) for path in sys.argv[1:]])
chroma = colorizer.chroma(luma)  # (N, H, W) uint8 in, (N, 2, H, W) float32 in [-0.5, 0.5] out
strength = np.hypot(chroma[:, 0], chroma[:, 1]).mean((1, 2))
for index in np.argsort(-strength):
    print(f"{strength[index]:.3f}  {sys.argv[1 + index]}")
