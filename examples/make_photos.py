"""Make the grey photographs of ``examples/photos`` again, from pictures that come inside installed packages.

Run by hand, from anywhere: ``pip install scikit-image scikit-learn``, then ``python examples/make_photos.py``.
``examples/CREDITS.md`` names authors and licenses. The photographs keep their size; no color and no metadata is kept.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from PIL import Image

PHOTOS = Path(__file__).parent / "photos"
SIDE_MAX = 1024
"""Pixels on the longer side, at most."""

SOURCES = {
    "astronaut.jpg": ("skimage", "data/astronaut.png"),
    "camera.jpg": ("skimage", "data/camera.png"),
    "cat.png": ("skimage", "data/chelsea.png"),
    "coffee.jpg": ("skimage", "data/coffee.png"),
    "dahlia.webp": ("sklearn", "datasets/images/flower.jpg"),
    "pagoda.jpg": ("sklearn", "datasets/images/china.jpg"),
    "rocket.tif": ("skimage", "data/rocket.jpg"),
}
"""Our file, and the package and the path inside it that it is made from."""

SETTINGS: dict[str, dict[str, int | str | bool]] = {
    ".jpg": {"quality": 95, "optimize": True},
    ".png": {"optimize": True},
    ".tif": {"compression": "tiff_adobe_deflate"},
    ".webp": {"quality": 95, "method": 6},
}
"""How each format is written."""


def packaged(package: str, path: str) -> Path:
    """Locate a file inside an installed package without importing it.

    Raises:
        SystemExit: when the package is not installed.
    """
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise SystemExit(f"the package {package} is missing: pip install scikit-image scikit-learn, and run again")
    return Path(spec.origin).parent / path


def main() -> None:
    """Write every photograph of the table."""
    PHOTOS.mkdir(exist_ok=True)
    for name, (package, path) in SOURCES.items():
        target = PHOTOS / name
        with Image.open(packaged(package, path)) as picture:
            grey = picture.convert("L")
        grey.thumbnail((SIDE_MAX, SIDE_MAX), Image.Resampling.LANCZOS)
        grey.info.clear()  # an RGB profile of the source makes no sense on a grey picture
        grey.save(target, **SETTINGS[target.suffix])
        print(f"{target.name}: {grey.width} x {grey.height}, {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
