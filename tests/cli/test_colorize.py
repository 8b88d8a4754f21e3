"""The command line of those who use a model: what it writes, prints and returns."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from photochrom.cli import main
from photochrom.colorizer import file
from photochrom.colorizer.model import Model
from photochrom.photo.codecs import avif, jpeg_segments
from photochrom.photo.metadata import exif
from photochrom.version import __version__
from tests.support import testdata

COMMAND = [sys.executable, "-m", "photochrom", "colorize"]

Run = Callable[..., tuple[int, list[str], list[str]]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in a fresh folder; gives its exit code and the lines of its two streams."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, list[str], list[str]]:
        with pytest.raises(SystemExit) as left:
            main(arguments)
        out, err = capsys.readouterr()
        return int(left.value.code or 0), out.splitlines(), err.splitlines()

    return call


def put(name: str, picture: np.ndarray | None = None) -> Path:
    """Write a photograph, grey unless one is given, in the format of its name."""
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(testdata.grey(48, 64) if picture is None else picture).save(path)
    return path


def tree() -> list[str]:
    return sorted(path.as_posix() for path in Path().rglob("*") if path.is_file())


def chroma(path: str) -> float:
    """Mean distance of the largest and the smallest channel of a file."""
    with Image.open(path) as image:
        return float(np.ptp(np.asarray(image.convert("RGB")).astype(int), -1).mean())


def test_one_photograph(run: Run) -> None:
    put("a.jpg")
    assert run("colorize", "a.jpg") == (0, ["a.jpg -> a.color.jpg"], [])
    assert tree() == ["a.color.jpg", "a.jpg"]
    assert chroma("a.color.jpg") > 0.5


@pytest.mark.parametrize(
    ("output", "kind"), [("x.jpg", "JPEG"), ("x.PNG", "PNG"), ("deep/er/x.webp", "WEBP"), ("x.tiff", "TIFF")]
)
def test_an_output_file_says_its_format(run: Run, output: str, kind: str) -> None:
    put("a.jpg")
    assert run("colorize", "a.jpg", "-o", output) == (0, [f"a.jpg -> {output}"], [])
    with Image.open(output) as image:
        assert image.format == kind


def test_folders(run: Run) -> None:
    for name in ("in/a.jpg", "in/deep/b.png", "c.tif"):
        put(name)
    assert run("colorize", "in", "c.tif", "-o", "out", "--jobs", "1") == (
        0,
        ["in/a.jpg -> out/a.jpg", "in/deep/b.png -> out/deep/b.png", "c.tif -> out/c.tif"],
        [],
    )
    assert [name for name in tree() if name.startswith("out/")] == [
        "out/.photochrom.jsonl",
        "out/a.jpg",
        "out/c.tif",
        "out/deep/b.png",
    ]
    code, out, _ = run("colorize", "in")
    assert (code, sorted(out)) == (0, ["in/a.jpg -> in/a.color.jpg", "in/deep/b.png -> in/deep/b.color.png"])
    assert run("colorize", "in") == (0, [], [])  # results of earlier runs are no sources, and are kept
    Path("in/.photochrom.jsonl").unlink()
    assert run("colorize", "in") == (0, [], [])  # they say themselves what they are
    code, _, err = run("colorize", "in", "--vividness", "0.5")
    assert (code, len(err)) == (3, 7)
    assert sum("exists already, made with other settings (vividness)" in line for line in err) == 3


def test_a_format(run: Run) -> None:
    for name in ("in/a.jpg", "in/b.png"):
        put(name)
    assert run("colorize", "in", "-o", "out", "--format", "webp", "--jobs", "1")[:2] == (
        0,
        ["in/a.jpg -> out/a.webp", "in/b.png -> out/b.webp"],
    )
    assert run("colorize", "in/a.jpg", "--format", "png")[1] == ["in/a.jpg -> in/a.color.png"]
    with Image.open("in/a.color.png") as image:
        assert image.format == "PNG"


def test_overwrite(run: Run) -> None:
    put("a.jpg")
    Path("x.jpg").write_bytes(b"precious")
    code, out, err = run("colorize", "a.jpg", "-o", "x.jpg")
    assert (code, out) == (3, [])
    assert err == ["photochrom: a.jpg: x.jpg: exists already; choose another name, or allow it to be replaced (--overwrite)"]
    assert Path("x.jpg").read_bytes() == b"precious"
    assert run("colorize", "a.jpg", "-o", "x.jpg", "--overwrite")[0] == 0
    assert chroma("x.jpg") > 0.5


def test_vividness(run: Run) -> None:
    put("a.png", np.array(Image.fromarray(data.coffee()).convert("L")))
    figures = []
    for vividness in ("0", "1", "2"):
        assert run("colorize", "a.png", "-o", f"{vividness}.png", "--vividness", vividness)[0] == 0
        figures.append(chroma(f"{vividness}.png"))
    assert figures == sorted(set(figures))


def test_what_is_in_color_already(run: Run) -> None:
    put("a.png", testdata.scene(48, 64))
    already = "it is in color already; --on-color recolor colors it again"
    for quiet in ([], ["--quiet"]):  # a photograph that is named by itself is never skipped in silence
        said = [f"photochrom: a.png: NOT COLORED, nothing was written: {already}"]
        assert run("colorize", "a.png", *quiet) == (0, [], said)
    Path("in").mkdir()
    for name in ("b.png", "c.png"):
        put(f"in/{name}", testdata.scene(48, 64))
    code, out, err = run("colorize", "in", "-o", "out", "--jobs", "1")
    assert (code, out) == (0, [f"in/{name}: skipped, {already}" for name in ("b.png", "c.png")])
    assert err[-1] == "  2  skipped  in color already; --on-color recolor colors them again"
    shutil.rmtree("in")
    shutil.rmtree("out", ignore_errors=True)
    code, out, err = run("colorize", "a.png", "--on-color", "error")
    assert (code, out, len(err)) == (3, [], 1)
    assert err[0].startswith("photochrom: a.png: the photograph is in color already: ")
    assert tree() == ["a.png"]
    assert run("colorize", "a.png", "--on-color", "recolor")[:2] == (0, ["a.png -> a.color.png"])


def test_another_model(run: Run) -> None:
    put("a.png")
    model = Path(file.__file__).parent / "weights" / "photochrom.onnx"
    Path("mine.onnx").write_bytes(model.read_bytes())
    assert run("colorize", "a.png", "--model", "mine.onnx")[0] == 0
    assert run("colorize", "a.png", "-o", "b.png")[0] == 0
    assert Path("a.color.png").read_bytes() == Path("b.png").read_bytes()


def test_json(run: Run) -> None:
    put("in/a.jpg")
    put("in/b.png", testdata.scene(48, 64))
    Path("in/c.jpg").write_bytes(b"")
    code, out, err = run("colorize", "in", "-o", "out", "--json", "--jobs", "1")
    assert (code, err) == (1, [])
    *found, last = [json.loads(line) for line in out]
    assert last["summary"].pop("seconds") > 0
    counts = {"photographs": 3, "colored": 1, "kept": 0, "skipped": 1, "failed": 1}
    counts = {**counts, "skipped_because": "in color already; --on-color recolor colors them again"}
    assert last == {"summary": counts | {"left_out_files": {}, "left_out_folders": {}}}
    names = ["source", "output", "status", "seconds", "judgement", "error", "reason", "notes", "luma"]
    assert all(list(row) == names for row in found)
    assert all(isinstance(row.pop("seconds"), float) for row in found)
    assert [row.pop("reason") for row in found] == [None, None, "the file is empty; restore it from a good copy"]
    assert [(row.pop("notes"), row.pop("luma")) for row in found] == [([], "lossless"), ([], None), ([], None)]
    assert found == [
        {"source": "in/a.jpg", "output": "out/a.jpg", "status": "colored", "judgement": "grey", "error": None},
        {"source": "in/b.png", "output": None, "status": "skipped", "judgement": "color", "error": None},
        {
            "source": "in/c.jpg",
            "output": None,
            "status": "failed",
            "judgement": None,
            "error": "in/c.jpg: the file is empty; restore it from a good copy",
        },
    ]


@pytest.mark.parametrize(
    "name", [b'quo"te.jpg', b"back\\slash.jpg", b"new\nline.jpg", b"not-\xff-text.jpg", "päß 🎞.jpg".encode()]
)
def test_names_of_every_kind(run: Run, name: bytes) -> None:
    Path("in").mkdir()
    source = Path("in") / os.fsdecode(name)
    source.write_bytes(testdata.file(testdata.grey(20, 20), "JPEG"))
    code, out, err = run("colorize", "in", "-o", "out", "--json")
    assert (code, len(out), err) == (0, 2, [])
    row = json.loads(out[0])
    assert os.fsencode(row["source"]) == b"in/" + name
    assert os.fsencode(row["output"]) == b"out/" + name
    assert (Path("out") / os.fsdecode(name)).exists()
    code, out, err = run("colorize", "in", "-o", "out", "--json")
    assert (code, json.loads(out[0])["status"], err) == (0, "kept", [])
    Path("out/.photochrom.jsonl").unlink()
    code, out, err = run("colorize", "in", "-o", "out")
    assert (code, err) == (0, [])
    assert out[-1].endswith(" (kept, it is up to date)")
    assert run("colorize", "in", "-o", "out", "--overwrite")[0] == 0
    assert run("info", str(source))[0] == 0


@pytest.fixture
def standard_input(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    def give(content: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

    return give


def test_standard_input_to_standard_output(
    standard_input: Callable[[bytes], None],
    capfdbinary: pytest.CaptureFixture[bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    content = testdata.file(testdata.grey(48, 64), "JPEG")
    for options, kind in (((), "JPEG"), (("--format", "png"), "PNG")):
        standard_input(content)
        with pytest.raises(SystemExit) as left:
            main(["colorize", "-", *options])
        out, err = capfdbinary.readouterr()
        assert (left.value.code, err) == (0, b"")
        assert testdata.opened(out).format == kind
    assert tree() == []


def test_standard_input_to_a_file(run: Run, standard_input: Callable[[bytes], None]) -> None:
    content = testdata.file(testdata.grey(48, 64), "JPEG")
    standard_input(content)
    assert run("colorize", "-", "-o", "x.png") == (0, ["- -> x.png"], [])
    with Image.open("x.png") as image:
        assert image.format == "PNG"
    standard_input(content)
    code, out, _ = run("colorize", "-", "-o", "y.jpg", "--json")
    assert code == 0
    row = json.loads(out[0])
    assert (row["source"], row["output"], row["status"], row["judgement"]) == ("-", "y.jpg", "colored", "grey")
    standard_input(content)
    assert run("colorize", "-", "-o", "y.jpg") == (0, ["- -> y.jpg (kept, it is up to date)"], [])
    standard_input(testdata.file(testdata.grey(48, 64, seed=1), "JPEG"))
    code, _, err = run("colorize", "-", "-o", "y.jpg")
    assert (code, len(err)) == (3, 1)
    assert "y.jpg: exists already, made from another photograph" in err[0]


def test_standard_input_is_refused_with_reason(run: Run, standard_input: Callable[[bytes], None]) -> None:
    put("a.jpg")
    for arguments, code, text in (
        (("-", "a.jpg"), 2, "'-' is standard input: it stands alone"),
        (("-", "--json"), 2, "--json and the photograph would both go to standard output"),
        (("-", "-o", "folder"), 2, "names no file that can be written"),
        (("-",), 3, "standard input: the file is empty"),
    ):
        standard_input(b"")
        found = run("colorize", *arguments)
        assert (found[0], found[1], len(found[2])) == (code, [], 1)
        assert found[2][0].startswith("photochrom: ")
        assert text in found[2][0]
    standard_input(testdata.file(testdata.scene(40, 40), "PNG"))
    assert "standard input is in color already" in run("colorize", "-")[2][0]
    assert tree() == ["a.jpg"]


def test_info(run: Run) -> None:
    Path("a.jpg").write_bytes(testdata.file(testdata.grey(48, 64), "JPEG", {"exif": testdata.exif(6)}))
    said = "a.jpg: JPEG, 64 x 48, 8 bits, orientation 6, with exif; grey (it has one channel)"
    assert run("info", "a.jpg") == (0, [said], [])
    code, out, err = run("info", "none.jpg", "a.jpg", "--json")
    assert (code, len(out), len(err)) == (1, 1, 1)
    assert json.loads(out[0])["judgement"] == "grey"


def test_quality(run: Run) -> None:
    Path("in").mkdir()
    for name in ("a.jpg", "b.webp", "c.png"):
        put(f"in/{name}")
    code, out, err = run("colorize", "in", "-o", "out", "--quality", "60", "--json")
    assert (code, len(out), err) == (0, 4, [])
    assert [json.loads(line)["luma"] for line in sorted(out) if "a.jpg" in line] == ["encoded"]
    assert jpeg_segments.parse(Path("out/a.jpg").read_bytes()).luma_table == jpeg_segments._luma_table(60)
    assert b"VP8 " in Path("out/b.webp").read_bytes()
    assert run("replay", "out/a.jpg", "--source", "in/a.jpg", "-o", "again.jpg")[0] == 0
    assert Path("again.jpg").read_bytes() == Path("out/a.jpg").read_bytes()


def test_subsampling_and_compression(run: Run) -> None:
    """Each goes to the formats that have it, is recorded with them alone, and comes back in a replay; a change of it counts."""
    Path("in").mkdir()
    for name in ("a.jpg", "b.avif", "c.tif", "d.png"):
        put(f"in/{name}")
    asked = "--quality", "80", "--subsampling", "422", "--compression", "jpeg"
    code, out, err = run("colorize", "in", "-o", "out", *asked)
    assert (code, len(out), err) == (0, 4, [])
    assert jpeg_segments.parse(Path("out/a.jpg").read_bytes()).sampling[0] == (2, 1)
    assert avif.coding(Path("out/b.avif").read_bytes()).sampling == (1, 2)
    assert exif.numbers(exif.read(Path("out/c.tif").read_bytes()), exif.COMPRESSION) == (7,)
    recorded = {}
    for name in ("a.jpg", "b.avif", "c.tif", "d.png"):
        settings = json.loads(file.recorded(Path("out", name)).settings)
        recorded[name] = tuple(settings[key] for key in ("quality", "subsampling", "compression"))
        assert run("replay", f"out/{name}", "--source", f"in/{name}", "-o", f"again/{name}")[0] == 0
        assert Path("again", name).read_bytes() == Path("out", name).read_bytes()
    assert recorded == {
        "a.jpg": (80, "422", None),
        "b.avif": (80, "422", None),
        "c.tif": (80, None, "jpeg"),
        "d.png": (None, None, None),
    }
    before = Path("out/c.tif").read_bytes()
    assert run("colorize", "in", "-o", "out", *asked, "--json")[1][2].count('"kept"') == 1
    assert run("colorize", "in", "-o", "out", *asked[:-1], "deflate")[0] == 0
    assert Path("out/c.tif").read_bytes() != before


def test_standard_input_of_a_format_without_quality() -> None:
    command = [*COMMAND, "-", "--quality", "80"]
    done = subprocess.run(command, input=testdata.file(testdata.grey(48, 64), "PNG"), capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"photochrom: quality is 80, which is for JPEG, WEBP, AVIF and TIFF, but the result is PNG")


def test_sheet(run: Run) -> None:
    put("a.jpg")
    assert run("sheet", "a.jpg", "-o", "sheet.jpg", "--height", "64") == (0, ["sheet.jpg"], [])
    assert run("sheet", "a.jpg", "-o", "sheet.jpg", "--height", "64")[0] == 1


def test_a_sheet_leaves_mounts_without_color_as_colorize_does(run: Run) -> None:
    mount = np.full((280, 360), 176, np.uint8)
    mount[40:240, 40:320] = np.asarray(Image.fromarray(data.camera()).resize((280, 200)))
    put("mount.png", mount)
    assert run("sheet", "mount.png", "-o", "sheet.jpg", "--height", "280")[0] == 0
    with Image.open("sheet.jpg") as sheet:
        cell = np.asarray(sheet.convert("RGB").crop((10 + 360 + 2, 10, 10 + 2 * 360 + 2, 10 + 280))).astype(int)
    colors = np.ptp(cell, 2)
    assert colors[:30].max() <= 2 and colors[60:220, 60:300].mean() > 6


def test_the_environment_gives_defaults(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    put("a.png")
    monkeypatch.setenv("PHOTOCHROM_COLORIZE_VIVIDNESS", "0")
    monkeypatch.setenv("PHOTOCHROM_COLORIZE_FORMAT", "tiff")
    assert run("colorize", "a.png", "-o", "b.tif")[0] == 0
    assert run("colorize", "a.png", "-o", "c.tif", "--vividness", "2")[0] == 0
    assert chroma("b.tif") < chroma("c.tif")
    monkeypatch.setenv("PHOTOCHROM_COLORIZE_VIVIDNESS", "7")
    assert run("colorize", "a.png", "-o", "d.tif")[0] == 2
    assert "PHOTOCHROM_COLORIZE_VIVIDNESS" in " ".join(run("colorize", "--help")[1])


def test_completion_is_installed_for_the_shell(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(Path.cwd()))
    monkeypatch.setenv("SHELL", "/bin/bash")
    assert run("--install-completion")[0] == 0
    assert {".bashrc", ".local/share/bash-completion/completions/photochrom"} <= set(tree())


def test_version_and_help(run: Run) -> None:
    assert run("--version") == (0, [__version__], [])
    for command in ("colorize", "sheet", "info"):
        code, out, err = run(command, "--help")
        assert (code, err) == (0, [])
        assert any(command in line for line in out)


def test_colorize_help_is_light() -> None:
    code = "import sys; from photochrom.cli import main\ntry: main(['colorize', '--help'])\nfinally: print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "onnxruntime", "cv2", "PIL", "numpy"} & set(done.stdout.splitlines()[-1].split())


def test_a_bar_on_a_terminal_and_results_in_the_pipe(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / "in" / name).write_bytes(testdata.file(testdata.grey(40, 40), "JPEG"))
    piped, shown = testdata.on_terminal([*COMMAND, "in", "-o", "out", "--jobs", "1"], tmp_path, pipe=True)
    assert piped == "in/a.jpg -> out/a.jpg\nin/b.jpg -> out/b.jpg\n"
    assert "Coloring" in shown
    assert "->" not in shown
    _, shown = testdata.on_terminal([*COMMAND, "in", "-o", "out2"], tmp_path, pipe=False)
    assert "Coloring" in shown
    assert "in/a.jpg -> out2/a.jpg" in shown
    assert "2 photographs in " in shown
    assert "  2  colored" in shown
    _, shown = testdata.on_terminal([*COMMAND, "in", "-o", "out3", "--quiet"], tmp_path, pipe=False)
    assert "->" not in shown
    _, shown = testdata.on_terminal([*COMMAND, "in", "-o", "out3"], tmp_path, pipe=False)
    assert "  2  kept     results of an earlier run that still hold" in shown


def test_alike_failures_are_one_reason(run: Run) -> None:
    for name in ("in/a.jpg", "in/deep/b.jpg", "in/c.jpg", "in/d.jpg"):
        put(name)
        Path(name).write_bytes(Path(name).read_bytes()[:-200])
    for size in (30, 40):
        put(f"in/{size}.png", testdata.grey(size, 50))
    Path("in/e.png").write_bytes(b"")
    put("in/f.png", testdata.grey(9, 9))
    code, out, err = run("colorize", "in", "-o", "out", "--max-pixels", "100", "--jobs", "1", "--on-color", "recolor")
    assert (code, out) == (1, ["in/f.png -> out/f.png"])
    head, *table = err[7:]
    assert head.startswith("8 photographs in ")
    assert table == [
        "  1  colored",
        "  7  failed",
        "reasons:",
        "  6  50 x 30 = 1,500 pixels, over the limit of 100; raise it with --max-pixels if you trust the file",
        "     in/30.png, in/40.png, in/a.jpg and 3 more",
        "  1  the file is empty; restore it from a good copy",
        "     in/e.png",
    ]


def test_a_run_has_one_job_at_least(run: Run) -> None:
    put("in/a.jpg")
    assert run("colorize", "in", "--jobs", "0") == (
        2,
        [],
        ["photochrom: jobs is 0: expected 1 to 1024; more than the processors gain nothing"],
    )


def test_an_interruption_leaves_no_half_file(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/000.png").write_bytes(testdata.file(testdata.grey(900, 1200), "PNG"))
    for index in range(1, 200):
        os.link(tmp_path / "in/000.png", tmp_path / f"in/{index:03}.png")
    code, lines, said, took = testdata.broken_off(
        tmp_path, signal.SIGINT, jobs=1, seconds=0.05
    )  # into the middle of a photograph
    assert code == 130
    assert said == "photochrom: interrupted; what was finished is kept\n"
    assert took < 3  # 0.35 were measured; a machine that tests is busy
    reported = len(lines)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names.pop(0) == ".photochrom.jsonl"
    assert 0 < len(names) < 200
    assert names == [f"{index:03}.png" for index in range(len(names))]
    assert reported <= len(names) <= reported + 1
    for name in names:
        with Image.open(tmp_path / "out" / name) as image:
            image.load()


def test_a_reader_that_leaves_ends_it_quietly(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(testdata.file(testdata.grey(40, 40), "JPEG"))
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*COMMAND, "a.jpg"], cwd=tmp_path, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a system without /dev/full")
def test_a_full_disk_behind_standard_output_is_one_line(tmp_path: Path) -> None:
    content = testdata.file(testdata.grey(40, 40), "JPEG")
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([*COMMAND, "-"], cwd=tmp_path, input=content, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr.decode().splitlines() == [
        "photochrom: the system refused: [Errno 28] No space left on device; make room or choose another place"
    ]


def test_the_model_is_loaded_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    loads = []
    load = Model.load.__func__  # type: ignore[attr-defined]
    monkeypatch.setattr(Model, "load", classmethod(lambda *a, **k: loads.append(1) or load(*a, **k)))
    for index in range(3):
        put(f"in/{index}.png")
    assert run("colorize", "in")[0] == 0
    assert len(loads) == 1


def test_card_prints_what_the_bundled_model_carries(run: Run) -> None:
    code, out, err = run("card")
    card = json.loads("\n".join(out))
    assert (code, err) == (0, []) and len(card["sha256"]) == 64 and card["generator"] == "photochrom"
    assert {"config", "data", "seed", "commit", "images_seen", "hours", "versions"} <= card["training"].keys()
