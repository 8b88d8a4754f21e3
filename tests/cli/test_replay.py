"""photochrom replay: the same bytes again, and a clear line wherever they cannot be; and signed manifests."""

from __future__ import annotations

from pathlib import Path

import pytest

from photochrom.cli import main
from photochrom.colorizer import provenance, stream
from tests.support import testdata


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    found = capsys.readouterr()
    return int(left.value.code or 0), found.out, found.err


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "photo.jpg").write_bytes(testdata.file(testdata.grey(60, 80), "JPEG", {"exif": testdata.exif(6)}))
    return tmp_path


@pytest.fixture
def made(folder: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert run(capsys, "colorize", folder / "photo.jpg", "-o", folder / "made.jpg", "--vividness", "1.3")[0] == 0
    return folder / "made.jpg"


def test_the_same_bytes_come_again(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    again = made.with_name("again.jpg")
    assert run(capsys, "replay", made, "-o", again) == (0, f"{again}: the same bytes as {made}\n", "")
    assert again.read_bytes() == made.read_bytes()
    code, _, said = run(capsys, "replay", made, "-o", again)
    assert code == 1
    assert "exists already" in said


@pytest.mark.parametrize("format", ["png", "webp", "tiff", "avif"])
def test_in_every_format(format: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = folder / f"made.{format}"
    run(capsys, "colorize", folder / "photo.jpg", "-o", made)
    assert run(capsys, "replay", made, "-o", folder / f"again.{format}")[0] == 0


def test_a_streamed_scan_too(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "HUGE", 100)
    (tmp_path / "scan.tif").write_bytes(testdata.file(testdata.grey(200, 150), "TIFF"))
    run(capsys, "colorize", tmp_path / "scan.tif", "-o", tmp_path / "made.tif")
    assert run(capsys, "replay", tmp_path / "made.tif", "-o", tmp_path / "again.tif")[0] == 0


def test_the_source_may_have_moved_and_have_another_name(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    moved = made.with_name("elsewhere.jpeg")
    made.with_name("photo.jpg").rename(moved)
    again = made.with_name("again.jpg")
    code, _, said = run(capsys, "replay", made, "-o", again)
    assert code == 1
    assert said == (
        f"photochrom: {made.with_name('photo.jpg')}: is not here, but {made} was made from it; name it with --source\n"
    )
    assert run(capsys, "replay", made, "-o", again, "--source", moved)[0] == 0


def test_another_source_is_said(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = made.with_name("photo.jpg")
    source.write_bytes(testdata.file(testdata.grey(60, 80, seed=2), "JPEG"))
    code, _, said = run(capsys, "replay", made, "-o", made.with_name("again.jpg"))
    assert code == 1
    assert f"{source}: is not the photograph that {made} was made from: its SHA-256 is " in said
    assert not made.with_name("again.jpg").exists()


def test_another_model_is_said(made: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from photochrom.colorizer.model import Model

    monkeypatch.setattr(Model, "hash", "f" * 64)
    code, _, said = run(capsys, "replay", made, "-o", made.with_name("again.jpg"))
    assert code == 1
    assert "and this one has ffffffffffffffff...; name the right one with --model" in said
    assert not made.with_name("again.jpg").exists()


def test_another_version_is_said(made: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("photochrom.version.__version__", "9.9")
    monkeypatch.setattr(provenance, "__version__", "9.9")
    again = made.with_name("again.jpg")
    code, _, said = run(capsys, "replay", made, "-o", again)
    assert code == 1
    assert "and this is 9.9: the bytes may differ" in said
    assert f"{again}: other bytes than {made}" in said


def test_a_changed_result_is_said(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made.write_bytes(made.read_bytes() + b"\0")
    code, _, said = run(capsys, "replay", made, "-o", made.with_name("again.jpg"))
    assert code == 1
    assert "which was signed or changed after it was made" in said


def test_a_photograph_without_a_record_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, said = run(capsys, "replay", folder / "photo.jpg", "-o", folder / "again.jpg")
    assert code == 1
    assert "hold no record of Photochrom" in said
