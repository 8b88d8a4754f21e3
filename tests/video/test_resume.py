"""Kill the coloring of a film, break it off, cut its source short, fill its disk: what is done stays, and nothing is lost."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from photochrom.errors import FilmError, OutputError
from photochrom.video import resume, shots
from photochrom.video.colorize import FilmOptions, colorize_film
from tests.support import films
from tests.support.films import LOSSLESS

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["photochrom.video.colorize", "onnxruntime", "pytest", "tests.support.films"])


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make many segments of a short film."""
    for name, value in SHORT.items():
        monkeypatch.setattr(shots, name, value)


SHORT = {"PIECE_FRAMES": 4, "SEGMENT_FRAMES": 8, "SEGMENT_LEAST": 4}


def color(folder: str | Path, target: str = "out.mkv", **options: Any) -> Any:
    chosen = FilmOptions(codec_options=(("preset", "veryfast"),), **options)
    progress = options.pop("progress", None)
    return colorize_film(
        Path(folder, "in.mkv"), Path(folder, target), colorizer=films.colorizer(), options=chosen, progress=progress
    )


def broken_off(folder: Path, at: int, *, target: str = "out.mkv") -> None:
    """Color up to a frame, and fail there."""

    class BrokenOffError(Exception):
        pass

    def stop(done: int, _: int | None) -> None:
        if done == at:
            raise BrokenOffError

    with pytest.raises(BrokenOffError):
        colorize_film(
            folder / "in.mkv",
            folder / target,
            colorizer=films.colorizer(),
            options=FilmOptions(codec_options=(("preset", "veryfast"),)),
            progress=stop,
        )


def killed_at(folder: str, event: str, name: str, count: int) -> None:
    """Color in a process of its own, which kills itself when a file of that name is opened, renamed to or removed again."""
    for key, value in SHORT.items():
        setattr(shots, key, value)
    left = count

    def watch(happened: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        paths = [Path(os.fsdecode(one)).name for one in arguments[:2] if isinstance(one, str | bytes | os.PathLike)]
        if happened == event and name in paths:
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    color(folder)


POINTS = [
    ("open", "manifest.json.part", 1),
    ("os.rename", "manifest.json", 1),
    ("os.remove", "check.part", 1),
    ("open", "000000.part", 1),
    ("os.rename", "000000.segment", 1),
    ("open", "000002.part", 1),
    ("os.rename", "000003.segment", 1),
    ("os.rename", "manifest.json", 2),
    ("os.link", "out.mkv", 1),
    ("os.remove", "000001.segment", 1),
    ("os.rmdir", ".out.mkv.photochrom", 1),
]
"""Where a run is killed: just before the event happens to that file for the n-th time. The film has four segments."""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of another kind")
@pytest.mark.parametrize(("event", "name", "count"), POINTS, ids=[f"{event} {name} {count}" for event, name, count in POINTS])
def test_a_run_that_is_killed_goes_on_to_the_same_file(tmp_path: Path, event: str, name: str, count: int) -> None:
    films.grey_film(tmp_path / "in.mkv", 32, extras=True)
    color(tmp_path, "whole.mkv")
    process = FORKS.Process(target=killed_at, args=(str(tmp_path), event, name, count))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL, "the point was not reached"
    if (tmp_path / "out.mkv").exists():
        assert (tmp_path / "out.mkv").read_bytes() == (tmp_path / "whole.mkv").read_bytes()
        (tmp_path / "out.mkv").unlink()
    assert color(tmp_path).frames == 32
    assert (tmp_path / "out.mkv").read_bytes() == (tmp_path / "whole.mkv").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mkv", "out.mkv", "whole.mkv"]


def test_a_run_goes_on_where_it_was(tmp_path: Path) -> None:
    films.grey_film(tmp_path / "in.mkv", 40)
    assert color(tmp_path, "whole.mkv").resumed == 0
    broken_off(tmp_path, 21)
    assert not (tmp_path / "out.mkv").exists()
    assert color(tmp_path).resumed == 16
    assert (tmp_path / "out.mkv").read_bytes() == (tmp_path / "whole.mkv").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mkv", "out.mkv", "whole.mkv"]


def test_segments_are_as_good_as_one_encoding(tmp_path: Path) -> None:
    films.grey_film(tmp_path / "in.mkv", 40)
    colorize_film(
        tmp_path / "in.mkv", tmp_path / "out.mp4", colorizer=films.colorizer(), options=FilmOptions(codec_options=LOSSLESS)
    )
    before, after = films.decoded(tmp_path / "in.mkv"), films.decoded(tmp_path / "out.mp4")
    assert len(after) == 40
    assert all(np.array_equal(films.planes(a)[0], films.planes(b)[0]) for a, b in zip(before, after, strict=True))
    assert [round(time * 24) for time in films.times(tmp_path / "out.mp4")] == list(range(40))


def test_a_damaged_segment_and_all_after_it_are_made_again(tmp_path: Path) -> None:
    films.grey_film(tmp_path / "in.mkv", 40)
    color(tmp_path, "whole.mkv")
    broken_off(tmp_path, 30)
    folder = resume.folder_of(tmp_path / "out.mkv")
    second = sorted(folder.glob("*.segment"))[1]
    content = bytearray(second.read_bytes())
    content[10] ^= 1
    second.write_bytes(content)
    assert color(tmp_path).resumed == 8
    assert (tmp_path / "out.mkv").read_bytes() == (tmp_path / "whole.mkv").read_bytes()


def test_other_settings_begin_anew(tmp_path: Path) -> None:
    films.grey_film(tmp_path / "in.mkv", 40)
    broken_off(tmp_path, 30)
    assert color(tmp_path, crf=30).resumed == 0
    (tmp_path / "out.mkv").unlink()
    broken_off(tmp_path, 30)
    films.grey_film(tmp_path / "in.mkv", 40, seed=1)
    assert color(tmp_path).resumed == 0


def test_killed_between_its_name_and_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    films.grey_film(tmp_path / "in.mkv", 12)
    with monkeypatch.context() as patch:
        patch.setattr(resume.Work, "remove", resume.Work.close)
        color(tmp_path)
    assert resume.folder_of(tmp_path / "out.mkv").exists()
    content = (tmp_path / "out.mkv").read_bytes()
    assert color(tmp_path).frames == 12
    assert (tmp_path / "out.mkv").read_bytes() == content
    assert not resume.folder_of(tmp_path / "out.mkv").exists()
    with pytest.raises(OutputError, match="exists already"):
        color(tmp_path)


def test_two_runs_at_a_time(tmp_path: Path) -> None:
    films.grey_film(tmp_path / "in.mkv", 8)

    def another(*_: object) -> None:
        with pytest.raises(OutputError, match="another run is at work"):
            color(tmp_path)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        colorize_film(
            tmp_path / "in.mkv",
            tmp_path / "out.mkv",
            colorizer=films.colorizer(),
            options=FilmOptions(codec_options=(("preset", "veryfast"),)),
            progress=another,
        )


@pytest.mark.parametrize("container", ["mkv", "ts", "mp4"])
def test_a_truncated_film_ends_with_what_was_readable(tmp_path: Path, container: str) -> None:
    options = {"movflags": "faststart"} if container == "mp4" else {}
    source = films.grey_film(tmp_path / f"in.{container}", 60, extras=container != "ts", container_options=options)
    content = source.read_bytes()
    source.write_bytes(content[: len(content) * 6 // 10])
    readable = len(films.readable(source))
    assert 20 < readable < 50
    target = tmp_path / f"out.{container}"
    report = colorize_film(source, target, colorizer=films.colorizer(), options=FilmOptions(codec_options=LOSSLESS))
    assert report.frames == readable == len(films.decoded(target))
    assert len(report.problems) == 1
    assert "is in the result" in report.problems[0]


@pytest.mark.parametrize("packet", [188, 192])
def test_a_transport_stream_that_ends_within_a_packet(tmp_path: Path, packet: int) -> None:
    name = "in.ts" if packet == 188 else "in.m2ts"
    options = {"mpegts_m2ts_mode": "1"} if packet == 192 else {}
    content = films.grey_film(tmp_path / name, 30, container_options=options).read_bytes()
    assert len(content) % packet == 0

    def problems(length: int) -> tuple[str, ...]:
        (tmp_path / name).write_bytes(content[:length])
        chosen = FilmOptions(codec_options=LOSSLESS, overwrite=True)
        return colorize_film(tmp_path / name, tmp_path / "out.mkv", colorizer=films.colorizer(), options=chosen).problems

    assert problems(len(content)) == ()
    assert problems(len(content) // packet // 2 * packet + 100) == (
        "is cut off: its last transport packet is not whole; what was readable is in the result",
    )


@pytest.mark.parametrize("codec", ["mpeg2video", "mpeg1video"])
def test_a_program_stream_that_ends_within_a_packet(tmp_path: Path, codec: str) -> None:
    source = films.grey_film(tmp_path / "in.mpg", 60, codec=codec, options={}, extras=True, sound_codec="mp2")
    content = source.read_bytes()

    def problems(length: int, more: bytes = b"") -> tuple[str, ...]:
        source.write_bytes(content[:length] + more)
        chosen = FilmOptions(codec_options=LOSSLESS, overwrite=True)
        return colorize_film(source, tmp_path / "out.mkv", colorizer=films.colorizer(), options=chosen).problems

    for more in (b"", b"\0\0\1\xb9", b"\0" * 3000):
        assert problems(len(content), more) == ()
    pack = content.rindex(b"\0\0\1\xba", 0, len(content) * 3 // 4)
    for rest in (30, 200):
        assert problems(pack + rest) == ("is cut off: its last packet is not whole; what was readable is in the result",)


def test_a_film_with_damage_inside(tmp_path: Path) -> None:
    frames = [films.frame_of(luma, "yuv420p") for luma in films.moving(40)]
    source = films.write(tmp_path / "in.mkv", frames, codec="ffv1", options={"slicecrc": "1", "level": "3", "g": "1"})
    content = bytearray(source.read_bytes())
    for place in range(len(content) // 2, len(content) // 2 + 4000):
        content[place] ^= 0x5A
    source.write_bytes(content)
    report = colorize_film(
        source, tmp_path / "out.mkv", colorizer=films.colorizer(), options=FilmOptions(codec_options=LOSSLESS)
    )
    assert len(report.problems) == 1
    assert 10 < report.frames <= 40
    assert len(films.decoded(tmp_path / "out.mkv")) == report.frames


@pytest.mark.parametrize("content", [b"", b"Dear Sir,\n" * 100, b"\0\0\0\x20ftypisom" + b"\0" * 500])
def test_what_is_no_film(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "in.mp4").write_bytes(content)
    with pytest.raises(FilmError, match=r"in\.mp4: .*; "):
        colorize_film(tmp_path / "in.mp4", tmp_path / "out.mp4", colorizer=films.colorizer())
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_a_full_disk_is_told_of_in_one_line(tmp_path: Path, small_disk: Path) -> None:
    films.grey_film(tmp_path / "in.mkv", 40)
    with pytest.raises(OutputError, match="No space left on device"):
        color(tmp_path, "out/out.mkv", crf=1)
    assert not (small_disk / "out.mkv").exists()
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    assert color(tmp_path, "out/out.mkv", crf=1).frames == 40
    assert [path.name for path in small_disk.iterdir()] == ["out.mkv"]


def test_the_manifest_says_what_the_work_rests_on(tmp_path: Path) -> None:
    films.grey_film(tmp_path / "in.mkv", 12)
    broken_off(tmp_path, 9)
    manifest = json.loads((resume.folder_of(tmp_path / "out.mkv") / resume.MANIFEST).read_text())
    assert manifest["settings"].keys() >= {"source", "model", "coloring", "codec", "options", "software"}
