"""Photographs named one by one, again: what their results say of themselves decides, since no manifest does."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from photochrom.batch import resume
from photochrom.batch import run as batch
from photochrom.colorizer import file, provenance
from photochrom.colorizer.colorizer import Colorizer, Options
from photochrom.errors import OutputError
from photochrom.photo import convert
from photochrom.photo.codecs import png
from photochrom.photo.convert import packet
from tests.support import testdata

Run = Callable[..., dict[str, tuple[batch.Status, str]]]
REFUSED = "and may have been retouched since; move it away, or allow it to be replaced (--overwrite)"


@pytest.fixture(scope="module")
def colorizer() -> Colorizer:
    return Colorizer.load(threads=1)


@pytest.fixture
def run(tmp_path: Path, colorizer: Colorizer, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Color files that are named; gives the status of each, and its error."""
    monkeypatch.chdir(tmp_path)

    def call(
        *names: str, options: Options | None = None, output: Path | None = None, **how: bool
    ) -> dict[str, tuple[batch.Status, str]]:
        chosen = options or Options()
        tasks = batch.plan([Path(name) for name in names], output, format=chosen.format)
        outcomes = batch.run(Colorizer(colorizer.model, chosen), tasks, **how)
        return {outcome.source: (outcome.status, outcome.error or "") for outcome in outcomes}

    return call


def put(name: str, *, seed: int = 0) -> Path:
    kind = {".jpg": "JPEG", ".tif": "TIFF", ".pgm": "PNM"}.get(Path(name).suffix, Path(name).suffix[1:].upper())
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_bytes(testdata.file(testdata.grey(24, 32, seed=seed), kind))
    return Path(name)


def results() -> dict[str, tuple[int, bytes]]:
    return {path.name: (path.stat().st_ino, path.read_bytes()) for path in Path().rglob("*.color.*")}


def pattern(ending: str = "*") -> list[str]:
    return sorted(path.name for path in Path().glob(ending))


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif", "avif", "gif", "jpeg2000"])
def test_a_pattern_used_again_keeps_what_is_done(run: Run, ending: str) -> None:
    for index in range(3):
        put(f"{index}.{ending}", seed=index)
    named = pattern()
    assert run(*named) == dict.fromkeys(named, ("colored", ""))
    before = results()
    assert len(before) == 3
    assert run(*pattern()) == dict.fromkeys(named, ("kept", ""))  # the results, which the pattern finds now, are no sources
    put(f"3.{ending}", seed=3)
    assert run(*pattern())[f"3.{ending}"] == ("colored", "")
    assert before.items() <= results().items()
    assert list(Path().glob(".*")) == []


def test_an_output_file_that_is_up_to_date_is_kept(run: Run) -> None:
    put("a.jpg")
    for status in ("colored", "kept"):
        assert run("a.jpg", output=Path("x.png")) == {"a.jpg": (status, "")}
    # The same photograph by another name is the same.
    Path("a.jpg").rename("b.jpg")
    assert run("b.jpg", output=Path("x.png")) == {"b.jpg": ("kept", "")}


def test_what_was_made_otherwise_is_refused_and_stays(run: Run) -> None:
    put("a.jpg")
    run("a.jpg")
    before = results()
    for options, how in (
        (Options(vividness=0.5), "with other settings (vividness)"),
        (Options(quality=50, luma="encoded"), "with other settings (luma, quality)"),
    ):
        said = f"a.jpg: a.color.jpg: exists already, made {how}, {REFUSED}"
        assert run("a.jpg", options=options) == {"a.jpg": ("failed", said)}
    put("a.jpg", seed=1)
    how = "from another photograph, or from this one before it changed"
    assert run("a.jpg") == {"a.jpg": ("failed", f"a.jpg: a.color.jpg: exists already, made {how}, {REFUSED}")}
    assert results() == before
    assert run("a.jpg", overwrite=True) == {"a.jpg": ("colored", "")}
    assert results() != before
    assert run(*pattern()) == {"a.jpg": ("kept", "")}


def test_another_model_is_told(run: Run, colorizer: Colorizer) -> None:
    source = put("a.jpg")
    run("a.jpg")
    found = resume.recorded(Path("a.color.jpg"))
    assert found
    assert provenance.difference(found, colorizer, format="JPEG") == ""
    other = replace(found, model_sha256="0" * 64)
    Path("b.jpg").write_bytes(testdata.file(testdata.grey(24, 32), "JPEG", {"xmp": provenance.merged(None, other)}))
    with pytest.raises(OutputError, match=rf"b\.jpg: exists already, made with another model \({found.model}\), and may"):
        resume.is_current(source, Path("b.jpg"), colorizer=colorizer)
    for settings in ("[]", "{", "3"):
        told = provenance.difference(replace(found, settings=settings), colorizer, format="JPEG")
        assert told.startswith("with ")


def test_limits_of_size_do_not_matter_and_new_settings_of_no_effect_neither(run: Run, colorizer: Colorizer) -> None:
    put("a.jpg")
    run("a.jpg")
    assert run("a.jpg", options=Options(max_pixels=10**6)) == {"a.jpg": ("kept", "")}
    found = resume.recorded(Path("a.color.jpg"))
    assert found
    old = replace(found, settings=found.settings.replace('"quality": null, ', ""))
    assert old != found
    assert provenance.difference(old, colorizer, format="JPEG") == ""


def test_settings_of_another_format_do_not_matter(run: Run) -> None:
    put("a.png")
    put("b.jpg")
    put("c.jpg").rename("c")  # what it becomes is not in its name
    assert {status for status, _ in run("a.png", "b.jpg", "c").values()} == {"colored"}
    again = run("a.png", "b.jpg", "c", options=Options(compression="lzw"))
    assert {name: status for name, (status, _) in again.items()} == dict.fromkeys(("a.png", "b.jpg", "c"), "kept")
    again = run("a.png", "b.jpg", "c", options=Options(quality=80))
    assert {name: status for name, (status, _) in again.items()} == {"a.png": "kept", "b.jpg": "failed", "c": "failed"}


def test_a_result_that_is_overwritten_is_made_anew(run: Run) -> None:
    """No record tells whether it was retouched: who asks for it gets it."""
    put("a.png")
    run("a.png")
    whole = Path("a.color.png").read_bytes()
    with Image.open("a.color.png") as image:
        xmp = image.info["xmp"]
    retouched = testdata.file(testdata.scene(24, 32), "PNG")
    Path("a.color.png").write_bytes(png.splice(retouched, png.build((), exif=None, xmp=xmp, icc=None, dpi=None)))
    assert convert.read(Path("a.color.png")).xmp == xmp
    assert run("a.png") == {"a.png": ("kept", "")}
    assert run("a.png", overwrite=True) == {"a.png": ("colored", "")}
    assert Path("a.color.png").read_bytes() == whole


@pytest.mark.parametrize("ending", ["bmp", "pgm"])
def test_formats_that_say_nothing_are_refused_as_any_file_in_the_way(run: Run, ending: str) -> None:
    put(f"a.{ending}")
    run(f"a.{ending}")
    said = f"a.{ending}: a.color.{ending}: exists already; choose another name, or allow it to be replaced (--overwrite)"
    assert run(f"a.{ending}") == {f"a.{ending}": ("failed", said)}


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # Pillow tells of it; the command line keeps it quiet
@pytest.mark.parametrize(
    "content",
    [b"", b"precious", b"\xff\xd8\xff\xe1\0\4ab", b"\x89PNG\r\n\x1a\n" + bytes(40), b"II*\0" + b"\xff" * 90],
    ids=["empty", "text", "JPEG", "PNG", "TIFF"],
)
def test_a_file_in_the_way_is_refused(run: Run, content: bytes) -> None:
    put("a.jpg")
    Path("a.color.jpg").write_bytes(content)
    status, said = run("a.jpg")["a.jpg"]
    assert (status, said.count("\n")) == ("failed", 0)
    assert "a.color.jpg: exists already; choose another name" in said
    assert Path("a.color.jpg").read_bytes() == content


def test_a_photograph_named_like_a_result_is_a_source(run: Run) -> None:
    """Only what says so is a result: this one is never replaced, whatever is allowed."""
    put("a.jpg")
    content = put("a.color.jpg", seed=1).read_bytes()
    for overwrite in (False, True):
        found = run("a.jpg", "a.color.jpg", overwrite=overwrite)
        status, said = found["a.jpg"]
        assert status == "failed"
        assert "would replace the photograph a.color.jpg; choose another output" in said
        assert found["a.color.jpg"] == ("colored", "")
        assert Path("a.color.jpg").read_bytes() == content


def test_a_signature_asked_for_is_not_told_by_a_record(run: Run, colorizer: Colorizer) -> None:
    source = put("a.jpg")
    run("a.jpg")
    signing = Colorizer(colorizer.model, Options(certificate="c.pem", key="k.pem"))
    assert resume.is_current(source, Path("a.color.jpg"), colorizer=colorizer)
    assert not resume.is_current(source, Path("a.color.jpg"), colorizer=signing)


def test_results_that_a_manifest_does_not_know_are_kept_too(run: Run) -> None:
    put("in/a.jpg")
    put("in/b.jpg", seed=1)
    run("in/a.jpg")
    before = results()
    for status in ("colored", "kept"):
        assert run("in") == {"in/a.jpg": ("kept", ""), "in/b.jpg": (status, "")}
    # What was kept so may have been retouched: no line makes it a result that may be replaced.
    assert "in/a.jpg: in/a.color.jpg: exists already, made with" in run("in", options=Options(vividness=2))["in/a.jpg"][1]
    assert before.items() <= results().items()


def test_names_that_would_collide_are_kept_whole(run: Run) -> None:
    for index, ending in enumerate(("webp", "tif", "jpg")):
        put(f"a.{ending}", seed=index)
    as_webp = Options(format="WEBP")
    assert set(run("a.webp", "a.tif", options=as_webp).values()) == {("colored", "")}
    assert sorted(results()) == ["a.tif.color.webp", "a.webp.color.webp"]
    assert set(run(*pattern("a.tif*"), *pattern("a.webp*"), options=as_webp).values()) == {("kept", "")}
    assert sorted(results()) == ["a.tif.color.webp", "a.webp.color.webp"]
    found = run("a.webp", "a.tif", "a.jpg", options=as_webp, output=Path("out"))
    assert set(found.values()) == {("colored", "")}
    assert sorted(path.name for path in Path("out").glob("a*")) == ["a.jpg.webp", "a.tif.webp", "a.webp"]


def test_pixels_are_not_read(tmp_path: Path, colorizer: Colorizer) -> None:
    """A header is enough, also of a picture that is larger than Pillow likes."""
    source = tmp_path / "a.png"
    source.write_bytes(testdata.file(testdata.grey(40, 50), "PNG"))
    for ending in ("jpg", "png", "webp", "tif", "avif"):
        target = tmp_path / f"b.{ending}"
        file.color_file(source, target, colorizer=colorizer)
        whole = packet(target)
        assert whole
        assert provenance.find(whole) == file.recorded(target)
    path = tmp_path / "huge.png"
    content = bytearray((tmp_path / "b.png").read_bytes())
    content[16:24] = (60000).to_bytes(4) * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4)
    path.write_bytes(content)
    assert packet(path) == packet(tmp_path / "b.png")
    assert packet(tmp_path / "none.png") is None
