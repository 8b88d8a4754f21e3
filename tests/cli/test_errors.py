"""Every bad input: one clear line, an exit code that is not 0, nothing written, nothing left behind, nothing lost."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photochrom.cli import main
from photochrom.colorizer import file
from tests.support import testdata

MODEL = Path(file.__file__).parent / "weights" / "photochrom.onnx"


def jpeg(height: int = 48, width: int = 64) -> bytes:
    return testdata.file(testdata.grey(height, width), "JPEG", {"quality": 92})


def foreign_model() -> bytes:
    """A valid ONNX file that is not one of ours."""
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    kinds = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "somebody", kinds[:1], kinds[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    content: bytes = model.SerializeToString()
    return content


def noise(count: int) -> bytes:
    return np.random.default_rng(0).bytes(count)


def state(folder: Path) -> dict[str, str]:
    """Hash every file below a folder, hidden ones too; a folder counts by its name."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in folder.rglob("*")
    }


@pytest.fixture
def refuse(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Run a command that must fail with one line, and leave the folder as it was; gives the line."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str, code: int | None = None) -> str:
        before = state(tmp_path)
        code = code or (3 if arguments[0] == "colorize" else 1)  # all its photographs failed
        with pytest.raises(SystemExit) as left:
            main(arguments)
        out, err = capfd.readouterr()
        assert (left.value.code, out) == (code, "")
        assert err.count("\n") == 1, err
        assert err.startswith("photochrom: ")
        assert "Traceback" not in err
        assert state(tmp_path) == before
        return err

    yield call


@pytest.mark.parametrize("command", ["colorize", "info"])
@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "cannot be read (No such file or directory); check the path"),
        (jpeg()[:-300], "a truncated JPEG: its last part is missing; restore the file from a good copy"),
        (jpeg()[:40], "JPEG"),
        (b"Dear Sir,\n", "not a photograph of a known kind; JPEG, PNG, WEBP, TIFF, AVIF, BMP, PNM, GIF, HEIC and JPEG 2000"),
        (b"", "the file is empty; restore it from a good copy"),
        (b"\xff\xd8\xff" + noise(2000), "JPEG"),
        (testdata.file(testdata.grey(48, 64), "PNG")[:-400], "PNG"),
        (testdata.file(testdata.grey(48, 64), "TIFF")[:-400], "TIFF"),
        (testdata.file(testdata.grey(48, 64), "WEBP")[:-100], "WEBP"),
        (testdata.file(Image.new("F", (40, 40)), "TIFF"), "a TIFF of 32-bit floats"),
    ],
)
def test_what_is_no_photograph(refuse: Callable[..., str], command: str, content: bytes | None, text: str) -> None:
    if content is not None:
        Path("bad.jpg").write_bytes(content)
    line = refuse(command, "bad.jpg")
    assert line.startswith("photochrom: bad.jpg: ")
    assert text in line


def test_warnings_of_libraries_are_not_shown(refuse: Callable[..., str]) -> None:
    content = testdata.file(Image.fromarray(testdata.grey(48, 64)).convert("1"), "TIFF", {"compression": "group4"})
    Path("cut.tif").write_bytes(content[: -len(content) // 4])
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        assert "cut.tif: a damaged TIFF: it has no directory" in refuse("colorize", "cut.tif")
    assert not [warning for warning in heard if "PIL" in warning.filename]


def test_places_without_photographs(refuse: Callable[..., str]) -> None:
    Path("empty/deeper").mkdir(parents=True)
    Path("empty/letter.txt").write_text("Dear Sir,")
    assert "empty: no photograph is here; expected files named .jpg, " in refuse("colorize", "empty")
    assert "no photograph is here" in refuse("colorize", "empty", "-o", "out")
    assert "empty: is a folder" in refuse("info", "empty")
    assert "/dev/null: is neither a file nor a folder" in refuse("colorize", "/dev/null")


@pytest.mark.parametrize(
    "output", ["file/x.jpg", "file/deeper/x.jpg", "file", "/proc/x.jpg", "/proc/none/x.jpg", f"{'x' * 300}.jpg"]
)
def test_an_output_that_cannot_be_written(refuse: Callable[..., str], output: str) -> None:
    Path("a.jpg").write_bytes(jpeg())
    Path("file").write_bytes(b"precious")
    line = refuse("colorize", "a.jpg", "-o", output)
    assert line.startswith("photochrom: a.jpg: ")
    assert output.removesuffix("/x.jpg") in line
    assert "; choose another" in line


def test_an_output_folder_that_cannot_be_made(refuse: Callable[..., str]) -> None:
    Path("in").mkdir()
    Path("in/a.jpg").write_bytes(jpeg())
    Path("file").write_bytes(b"precious")
    assert "file: cannot be made a folder (File exists); choose another output" in refuse("colorize", "in", "-o", "file")


def test_a_full_disk(refuse: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    Path("a.jpg").write_bytes(jpeg())

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert "a.jpg: a.color.jpg: cannot be written (No space left on device)" in refuse("colorize", "a.jpg")


def test_an_output_that_exists(refuse: Callable[..., str]) -> None:
    Path("a.jpg").write_bytes(jpeg())
    Path("x.jpg").write_bytes(b"precious")
    Path("dead.jpg").symlink_to("nowhere.jpg")
    assert "x.jpg: exists already; choose another name, or allow it to be replaced (--overwrite)" in refuse(
        "colorize", "a.jpg", "-o", "x.jpg"
    )
    assert "dead.jpg: exists already" in refuse("colorize", "a.jpg", "-o", "dead.jpg")
    for output in ("a.jpg", "."):
        assert "would replace the photograph a.jpg" in refuse("colorize", "a.jpg", "-o", output, "--overwrite")


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        (
            "none.onnx",
            None,
            "cannot read the model 'none.onnx': No such file or directory; expected a file of `photochrom export`",
        ),
        ("empty.onnx", b"", "'empty.onnx'"),
        ("noise.onnx", noise(100_000), "cannot load the model 'noise.onnx'"),
        ("cut.onnx", MODEL.read_bytes()[:-100_000], "cannot load the model 'cut.onnx'"),
        ("short.onnx", MODEL.read_bytes()[:1000], "'short.onnx'"),
        (
            "other.onnx",
            "foreign",
            "'other.onnx' is an ONNX file, but not one of Photochrom's: expected a file of `photochrom export`",
        ),
        ("photo.onnx", jpeg(), "'photo.onnx'"),
    ],
)
@pytest.mark.parametrize("command", ["colorize", "sheet"])
def test_a_model_that_is_not_ours(
    refuse: Callable[..., str], command: str, name: str, content: bytes | str | None, text: str
) -> None:
    Path("a.jpg").write_bytes(jpeg())
    if content is not None:
        Path(name).write_bytes(foreign_model() if isinstance(content, str) else content)
    line = refuse(command, "a.jpg", "-o", "x.jpg", "--model", name)
    assert text in line
    assert "photochrom export" in line


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["colorize"], "INPUT requires an argument"),
        (["colorize", "a.jpg", "-o"], "-o requires an argument"),
        (["colorize", "a.jpg", "--wrong"], "there is no option --wrong"),
        (["colorize", "--wrong", "a.jpg"], "there is no option --wrong"),
        (["colorize", "a.jpg", "-x"], "there is no option -x"),
        (["colorize", ""], "an argument is empty"),
        (["colorize", "a.jpg", "-o", ""], "an argument is empty"),
        (["colorize", "a.jpg", "--vividness", "3"], "vividness is 3.0: expected 0 (most faithful) to 2 (most vivid)"),
        (["colorize", "a.jpg", "--vividness", "-0.1"], "vividness is -0.1"),
        (["colorize", "a.jpg", "--vividness", "nan"], "vividness is nan"),
        (["colorize", "a.jpg", "--vividness", "much"], 'unable to convert "much" into float'),
        (["colorize", "a.jpg", "--on-color", "maybe"], '"skip", "recolor", "error"'),
        (["colorize", "a.jpg", "--format", "gif"], '"jpeg", "png", "webp", "tiff"'),
        (["colorize", "a.jpg", "--format", "png", "-o", "x.jpg"], "is a JPEG by its name, but PNG is asked for"),
        (["colorize", "a.jpg", "-o", "x.gif"], "'x.gif' names no file that can be written: expected a name that ends in .jpg"),
        (["colorize", "a.jpg", "b.jpg", "-o", "x.jpg"], "'x.jpg' is one file for several photographs: name a folder"),
        (["colorize", "a.jpg", "--max-pixels", "0"], "max_pixels is 0: expected 1 or more"),
        (["colorize", "a.jpg", "--quality", "0"], "quality is 0: expected 1 (smallest file) to 100 (finest)"),
        (["colorize", "a.jpg", "--quality", "101"], "quality is 101"),
        (["colorize", "a.jpg", "--quality", "80", "--luma", "lossless"], "but luma is 'lossless', which has the source's"),
        (
            ["colorize", "a.jpg", "--quality", "80", "--format", "png"],
            "quality is 80, which is for JPEG, WEBP, AVIF and TIFF, but the result is PNG: drop one of them",
        ),
        (["colorize", "a.jpg", "--quality", "80", "-o", "x.png"], "quality is 80, which is for JPEG, WEBP, AVIF and TIFF"),
        (
            ["colorize", "a.jpg", "--quality", "80", "-o", "x.tif", "--compression", "lzw"],
            "quality is 80, but 'lzw' compresses without loss: drop one of them",
        ),
        (
            ["colorize", "a.jpg", "--compression", "lzw"],
            "compression is lzw, which is for TIFF, but the result is JPEG: drop one of them",
        ),
        (
            ["colorize", "a.jpg", "--subsampling", "444", "-o", "x.webp"],
            "subsampling is 444, which is for JPEG and AVIF, but the result is WEBP: drop one of them",
        ),
        (
            ["colorize", "a.jpg", "b.jpg", "--subsampling", "444", "--format", "tiff"],
            "subsampling is 444, which is for JPEG and",
        ),
        (["colorize", "a.jpg", "--subsampling", "411"], '"444", "422", "420"'),
        (["colorize", "a.jpg", "--compression", "zip"], '"none", "lzw", "deflate", "jpeg"'),
        (["colorize", "-", "a.jpg"], "'-' is standard input"),
        (["info"], "PHOTO requires an argument"),
        (["sheet", "a.jpg"], "requires an argument"),
        (["paint", "a.jpg"], 'Unknown command "paint"'),
        (["--wrong"], "--wrong"),
    ],
)
def test_misuse(refuse: Callable[..., str], arguments: list[str], text: str) -> None:
    for name in ("a.jpg", "b.jpg"):
        Path(name).write_bytes(jpeg())
    assert text in refuse(*arguments, code=2)


def test_a_name_that_begins_with_a_hyphen(refuse: Callable[..., str], capfd: pytest.CaptureFixture[str]) -> None:
    Path("-a.jpg").write_bytes(jpeg())
    assert "a file of that name is ./-a.jpg" in refuse("colorize", "-a.jpg", code=2)
    with pytest.raises(SystemExit) as left:
        main(["colorize", "./-a.jpg"])
    assert (left.value.code, *capfd.readouterr()) == (0, "-a.jpg -> -a.color.jpg\n", "")


def test_too_many_pixels(refuse: Callable[..., str]) -> None:
    Path("a.jpg").write_bytes(jpeg())
    assert "a.jpg: 64 x 48 = 3,072 pixels, over the limit of 100; raise it with --max-pixels" in refuse(
        "colorize", "a.jpg", "--max-pixels", "100"
    )


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("vividnes = 1", "vividnes"),
        ("aging = 7", "aging"),
        ("batch = -1", "batch"),
        ("batch = 'many'", "batch"),
        ("generator = 'resnet'", "resnet"),
        ("size = 100", "size"),
        ("= 3", "Invalid statement"),
    ],
)
def test_a_configuration_that_is_wrong(refuse: Callable[..., str], setting: str, text: str, prepared: Path) -> None:
    pytest.importorskip("torch")
    preset = Path(file.__file__).parents[1] / "training" / "presets" / "photochrom.toml"
    key = setting.partition(" ")[0]
    others = [line for line in preset.read_text("utf-8").splitlines() if not line.startswith(f"{key} ")]
    Path("mine.toml").write_text("\n".join([setting, *others]), "utf-8")
    line = refuse("train", "mine.toml", "--data", str(prepared), "-o", "run")
    assert "mine.toml" in line
    assert text in line
    settings = ["--set", setting.replace(" ", "").replace("'", '"')]
    if text != "Invalid statement":
        assert text in refuse("train", "photochrom", *settings, "--data", str(prepared), "-o", "run")


def test_data_that_are_not_prepared(refuse: Callable[..., str]) -> None:
    pytest.importorskip("torch")
    Path("photos").mkdir()
    Path("photos/a.jpg").write_bytes(jpeg())
    for arguments in (
        ("train", "photochrom", "--data", "photos", "-o", "run"),
        ("train", "photochrom", "--data", "none", "-o", "run"),
        ("evaluate", "--data", "photos"),
        ("evaluate", "--data", "none"),
    ):
        line = refuse(*arguments)
        assert "photochrom prepare" in line
        assert arguments[arguments.index("--data") + 1] in line


def test_a_run_that_is_none(refuse: Callable[..., str]) -> None:
    pytest.importorskip("torch")
    Path("run").mkdir()
    for run in ("run", "none"):
        assert f"'{run}' has no checkpoint" in refuse("export", run, "-o", "x.onnx")
    assert "none" in refuse("prepare", "none", "-o", "out")
    assert "none" in refuse("train", "none.toml", "--data", "run", "-o", "out")


def test_one_bad_among_ten(tmp_path: Path) -> None:
    """The whole command, as a user runs it: nine come out, one line tells of the tenth."""
    (tmp_path / "in").mkdir()
    for index in range(10):
        (tmp_path / f"in/{index}.jpg").write_bytes(jpeg()[: -300 if index == 6 else None])
    before = state(tmp_path / "in")
    command = [sys.executable, "-m", "photochrom", "colorize", "in", "-o", "out", "--jobs", "1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("photochrom: in/6.jpg: a truncated JPEG")
    assert done.stderr.count("in/6.jpg") == 2  # a line of its own, and the table's
    assert done.stderr.count("\n") == 7
    assert done.stdout.splitlines() == [f"in/{index}.jpg -> out/{index}.jpg" for index in range(10) if index != 6]
    assert state(tmp_path / "in") == before
    assert sorted(state(tmp_path / "out"))[1:] == [f"{index}.jpg" for index in range(10) if index != 6]
