"""The command for film: what it prints, its exit code, and what it writes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from photochrom.cli import main
from photochrom.cli.video import Heartbeat
from photochrom.video import resume
from tests.support import films, models, testdata

INSIDE = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
"""Environment of a process that imports the package and what the tests share."""
QUICK = ("--codec-option", "preset=ultrafast", "--model", "small.onnx")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("small.onnx").write_bytes(models.content(json.dumps(models.table())))
    return tmp_path


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert isinstance(left.value.code, int)
    return left.value.code


def test_it_says_where_the_result_is(capsys: pytest.CaptureFixture[str]) -> None:
    films.grey_film(Path("in.mp4"), 4)
    assert run("video", "in.mp4", *QUICK) == 0
    assert capsys.readouterr() == ("in.mp4 -> in.color.mp4\n", "")
    assert run("video", "in.mp4", *QUICK) == 1
    assert "in.color.mp4: exists already" in capsys.readouterr().err
    assert run("video", "in.mp4", *QUICK, "--overwrite", "--json", "-o", "in.color.mp4") == 0
    line = json.loads(capsys.readouterr().out)
    assert (line["frames"], line["output"], line["problems"]) == (4, "in.color.mp4", [])


def test_a_truncated_film_is_a_failure_with_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    content = films.grey_film(Path("in.mkv"), 60, extras=True).read_bytes()
    Path("in.mkv").write_bytes(content[: len(content) // 2])
    assert run("video", "in.mkv", "-o", "out.mkv", *QUICK) == 1
    out, err = capsys.readouterr()
    assert out == "in.mkv -> out.mkv\n"
    assert err.startswith("photochrom: in.mkv: ")
    assert err.count("\n") == 1
    assert 0 < len(films.decoded(Path("out.mkv"))) < 60


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["none.mp4"], 1, "none.mp4: cannot be read as a film (No such file or directory)"),
        (["in.mp4", "-o", "out.doc"], 2, "does not name a container for film"),
        (["in.mp4", "--codec-option", "grain"], 2, "invalid encoder option 'grain': expected NAME=VALUE"),
        (["in.mp4", "--hint", "1,2=#FF0000"], 2, "invalid hint '1,2=#FF0000': expected FRAME:X,Y=#RRGGBB"),
        (["in.mp4", "--hint", "0:1,2=#FF0000"], 2, "has no hints"),
        (["in.mp4", "--preview", "0"], 2, "invalid number of scenes 0: expected 1 or more"),
        (
            ["in.mp4", "--preview", "3", "--hint", "0:1,2=#FF0000"],
            2,
            "--preview writes no film: --hint does not apply",
        ),
        (["in.mp4", "--preview", "3", "--crf", "0"], 2, "--crf does not apply"),
        (["in.mp4", "--preview", "3", "--drop", "1", "--codec", "ffv1"], 2, "--codec does not apply"),
        (["in.mp4", "--preview", "3", "-o", "a.mp4"], 2, "--preview writes a JPEG"),
        (["in.mp4", "-o", "in.mp4", "--overwrite"], 1, "would replace the film itself"),
    ],
)
def test_errors_are_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, text: str) -> None:
    films.grey_film(Path("in.mp4"), 2)
    assert run("video", *arguments, "--model", "small.onnx") == code
    out, err = capsys.readouterr()
    assert out == ""
    assert text in err
    assert err.count("\n") == 1
    assert sorted(path.name for path in Path().iterdir()) == ["in.mp4", "small.onnx"]


INTERRUPTED = """
import os, signal, sys

def watch(event, arguments):
    if event == "open" and str(arguments[0]).endswith("000001.part"):
        os.kill(os.getpid(), signal.SIGINT)

sys.addaudithook(watch)
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
from photochrom.cli import main
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of another kind")
def test_a_signal_ends_it_cleanly_and_the_next_run_goes_on() -> None:
    films.grey_film(Path("in.mkv"), 300)
    begin = [sys.executable, "-c", INTERRUPTED, "video", "in.mkv", "-o", "out.mkv", *QUICK, "--json"]
    done = subprocess.run(begin, capture_output=True, text=True, env=INSIDE, check=False)
    assert (done.returncode, done.stderr) == (130, "photochrom: interrupted; what was finished is kept\n")
    assert not Path("out.mkv").exists()
    assert len(list(resume.folder_of(Path("out.mkv")).glob("*.segment"))) == 1
    assert run("video", "in.mkv", "-o", "out.mkv", *QUICK) == 0
    assert len(films.decoded(Path("out.mkv"))) == 300


def test_a_line_a_minute_says_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    times = iter((0.0, 1.0, 60.0, 70.0, 130.0, 130.1))
    beat = Heartbeat(Path("in.mkv"), clock=lambda: next(times))
    for done in (10, 600, 700, 1300):
        beat(done, 2400)
    beat(1301, None)
    assert capsys.readouterr() == (
        "",
        "in.mkv: 600 of 2,400 frames, 10.0 a second\nin.mkv: 1,300 of 2,400 frames, 10.0 a second\n",
    )


@pytest.mark.skipif(sys.platform == "win32", reason="terminals of another kind")
def test_a_bar_tells_frames_a_second_and_the_time_that_is_left(folder: Path) -> None:
    films.grey_film(Path("in.mkv"), 700)
    command = [sys.executable, "-m", "photochrom", "video", "in.mkv", "-o", "out.mkv", *QUICK]
    piped, shown = testdata.on_terminal(command, folder, pipe=True)
    assert piped == "in.mkv -> out.mkv\n"
    plain = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", shown)
    bars = re.findall(r"Coloring \S+ +(\d+)% (\d:\d\d:\d\d) (\d+) frames/s", plain)
    assert len({percent for percent, _, _ in bars}) > 2, plain
    assert all(0 < int(speed) < 20_000 for _, _, speed in bars)
    _, shown = testdata.on_terminal([*command, "--overwrite", "--quiet"], folder, pipe=False)
    assert "->" not in shown


MEASURED = """
from tests.support import films
from photochrom.video.colorize import colorize_film
colorize_film("in.mkv", "out.mkv", colorizer=films.colorizer())
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells how much memory was in use")
def test_memory_does_not_grow_with_the_film() -> None:
    peaks = []
    for frames in (400, 1600):
        lumas = films.moving(400, 144, 192)
        write = [films.frame_of(lumas[number % 400], "yuv420p") for number in range(frames)]
        films.write(Path("in.mkv"), write, options={"preset": "ultrafast", "crf": "30"})
        done = subprocess.run([sys.executable, "-c", MEASURED], check=True, capture_output=True, text=True, env=INSIDE)
        peaks.append(int(done.stdout))
        Path("out.mkv").unlink()
    assert peaks[1] < 1.15 * peaks[0], f"1,200 frames more took {peaks[1] - peaks[0]} kB; they have 48,600 kB"


WATCHED = """
import os, sys
from contextlib import suppress
from pathlib import Path
from tests.support import films
from photochrom.video.colorize import colorize_film

CHANGES = "os.remove", "os.rename", "os.truncate", "os.chmod", "os.chown", "os.utime", "os.link", "os.setxattr"
source, python, ffmpeg = Path("in.mkv").resolve(), [], []

def watch(event, arguments):
    if event == "open" or event in CHANGES:
        if source in [Path(os.fsdecode(one)).resolve() for one in arguments if isinstance(one, (str, bytes))]:
            python.append(arguments[2] if event == "open" else event)

def look(*_):  # FFmpeg opens files by itself
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # another thread has closed it
            if link.exists() and link.resolve() == source:
                ffmpeg.append(int(Path("/proc/self/fdinfo", link.name).read_text().split()[3], 8))

sys.addaudithook(watch)
colorize_film(source, "out.mkv", colorizer=films.colorizer(), progress=look)
writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
assert python and ffmpeg, "the test sees nothing"
assert not [how for how in python + ffmpeg if isinstance(how, str) or how & writing], (set(python), set(ffmpeg))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells how a file was opened")
def test_the_source_is_only_ever_opened_to_be_read() -> None:
    films.grey_film(Path("in.mkv"), 500, extras=True)
    before = Path("in.mkv").read_bytes()
    subprocess.run([sys.executable, "-c", WATCHED], check=True, env=INSIDE)
    assert Path("in.mkv").read_bytes() == before
