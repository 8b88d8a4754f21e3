"""Many photographs: which ones, into which places, and what happens when one is bad."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from photochrom.batch import run
from photochrom.colorizer.colorizer import Colorizer, Options
from photochrom.errors import OptionError, PhotochromError, PhotoError
from tests.support import testdata


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())


def places(tasks: list[run.Task], root: Path) -> dict[str, str]:
    """Give sources and targets relative to a folder, of the tasks without an error."""
    return {
        task.source.relative_to(root).as_posix(): task.target.relative_to(root).as_posix() for task in tasks if not task.error
    }


def errors(tasks: list[run.Task]) -> list[str]:
    return [str(task.error) for task in tasks if task.error]


def plan(*arguments: object, **options: object) -> list[run.Task]:
    return list(run.plan(*arguments, **options))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def colorizer() -> Colorizer:
    return Colorizer.load()


def test_results_lie_beside_their_sources(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "in/b.PNG", "in/deep/er/c.tif", "in/letter.txt", "in/d.webp")
    assert places(plan([tmp_path / "a.jpg", tmp_path / "in"]), tmp_path) == {
        "a.jpg": "a.color.jpg",
        "in/b.PNG": "in/b.color.PNG",
        "in/d.webp": "in/d.color.webp",
        "in/deep/er/c.tif": "in/deep/er/c.color.tif",
    }


def test_a_tree_is_mirrored(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "in/b.png", "in/deep/er/c.tif")
    assert places(plan([tmp_path / "in"], tmp_path / "out"), tmp_path) == {
        "in/b.png": "out/b.png",
        "in/deep/er/c.tif": "out/deep/er/c.tif",
    }
    assert places(plan([tmp_path / "in", tmp_path / "a.jpg"], tmp_path / "out"), tmp_path) == {
        "in/b.png": "out/b.png",
        "in/deep/er/c.tif": "out/deep/er/c.tif",
        "a.jpg": "out/a.jpg",
    }


def test_several_trees_keep_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "x/a.jpg", "y/a.jpg", "z/x/a.jpg")
    assert places(plan([tmp_path / "x", tmp_path / "y"], tmp_path / "out"), tmp_path) == {
        "x/a.jpg": "out/x/a.jpg",
        "y/a.jpg": "out/y/a.jpg",
    }
    with pytest.raises(OptionError, match=r"x' and '.*z/x' would share the place '.*out/x': color them into two folders"):
        plan([tmp_path / "x", tmp_path / "z/x"], tmp_path / "out")
    monkeypatch.chdir(tmp_path / "x")
    assert [task.target for task in plan([Path(), Path("../y")], Path("out"))] == [
        Path("out/x/a.jpg"),
        Path("out/y/a.jpg"),
    ]


def test_an_output_folder_inside_the_input_is_no_source(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.jpg", "in/out/a.jpg", "in/out/b.jpg", "in/outer/c.jpg")
    expected = {"in/a.jpg": "in/out/a.jpg", "in/outer/c.jpg": "in/out/outer/c.jpg"}
    assert places(plan([tmp_path / "in"], tmp_path / "in/out"), tmp_path) == expected
    assert places(plan([tmp_path / "in"], tmp_path / "in/outer/../out"), tmp_path).keys() == expected.keys()
    (tmp_path / "link").symlink_to(tmp_path / "in")
    assert len(plan([tmp_path / "link"], tmp_path / "in/out")) == 2


def test_an_input_inside_the_output_folder_is_a_source(tmp_path: Path) -> None:
    touch(tmp_path, "all/in/a.jpg")
    assert places(plan([tmp_path / "all/in"], tmp_path / "all"), tmp_path) == {"all/in/a.jpg": "all/a.jpg"}


def test_a_source_is_never_replaced(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.jpg", "in/b.png", "in/b.jpg")
    tasks = plan([tmp_path / "in"], tmp_path / "in")
    assert len(errors(tasks)) == len(tasks) == 3
    assert all("would replace the photograph" in error for error in errors(tasks))
    # The result of one source would be another source.
    tasks = plan([tmp_path / "in"], tmp_path / "in", format="PNG")
    assert places(tasks, tmp_path) == {"in/a.jpg": "in/a.png", "in/b.jpg": "in/b.jpg.png"}
    (error,) = errors(tasks)
    assert f"would replace the photograph {tmp_path / 'in/b.png'}" in error
    touch(tmp_path, "in/a.color.jpg")
    tasks = plan([tmp_path / "in/a.jpg", tmp_path / "in/a.color.jpg"])
    assert places(tasks, tmp_path) == {"in/a.color.jpg": "in/a.color.color.jpg"}


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_source_is_known_behind_links(tmp_path: Path, link: object) -> None:
    touch(tmp_path, "a.jpg")
    link(tmp_path / "a.jpg", tmp_path / "b.jpg")  # type: ignore[operator]
    (task,) = plan([tmp_path / "a.jpg"], tmp_path / "b.jpg")
    assert "would replace" in str(task.error)


def test_links(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.jpg", "elsewhere/b.jpg")
    (tmp_path / "in/loop").symlink_to(tmp_path / "in")
    (tmp_path / "in/away").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in/b.jpg").symlink_to(tmp_path / "elsewhere/b.jpg")
    (tmp_path / "in/dead.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / "in/self.jpg").symlink_to("self.jpg")
    assert places(plan([tmp_path / "in"], tmp_path / "out"), tmp_path) == {
        "in/a.jpg": "out/a.jpg",
        "in/b.jpg": "out/b.jpg",
        "in/dead.jpg": "out/dead.jpg",
        "in/self.jpg": "out/self.jpg",
    }


def test_hidden_files_and_results_are_no_sources(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.jpg", "in/.b.jpg", "in/.cache/c.jpg", "in/a.color.jpg", "in/.photochrom-00.part")
    for output in (None, tmp_path / "out"):
        assert list(places(plan([tmp_path / "in"], output), tmp_path)) == ["in/a.jpg"]
    # Named, they are.
    assert places(plan([tmp_path / "in/.b.jpg", tmp_path / "in/a.color.jpg"]), tmp_path) == {
        "in/.b.jpg": "in/.b.color.jpg",
        "in/a.color.jpg": "in/a.color.color.jpg",
    }


def test_a_format_renames_and_names_never_collide(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.jpg", "in/a.tif", "in/b.jpeg", "in/c.png", "in/c.jpg", "in/d.jpg", "in/d.webp", "in/d.jpg.png")
    touch(tmp_path, "gif/a.gif", "gif/a.png", "gif/b.gif")
    assert places(plan([tmp_path / "gif"], tmp_path / "out"), tmp_path) == {
        "gif/a.gif": "out/a.gif.png",
        "gif/a.png": "out/a.png",
        "gif/b.gif": "out/b.png",
    }
    assert places(plan([tmp_path / "in"], tmp_path / "out", format="PNG"), tmp_path) == {
        "in/a.jpg": "out/a.jpg.png",
        "in/a.tif": "out/a.tif.png",
        "in/b.jpeg": "out/b.png",
        "in/c.jpg": "out/c.jpg.png",
        "in/c.png": "out/c.png",
        "in/d.jpg": "out/d.jpg.png.png",
        "in/d.jpg.png": "out/d.jpg.png",
        "in/d.webp": "out/d.webp.png",
    }
    beside = places(plan([tmp_path / "in"], format="PNG"), tmp_path)
    assert beside["in/a.tif"] == "in/a.tif.color.png"
    assert len(set(beside.values())) == 8
    # A photograph named by itself comes first.
    tasks = plan([tmp_path / "in", tmp_path / "b.png"], tmp_path / "out", format="PNG")
    expected = f"the result '{tmp_path}/out/b.png' is that of {tmp_path}/b.png already; color them into two folders"
    assert [error.partition(": ")[2] for error in errors(tasks)] == [expected]
    (task,) = (task for task in plan([tmp_path / "in", tmp_path / "b.png"], tmp_path / "out", format="PNG") if task.error)
    (outcome,) = run.run(Colorizer.load(), [task])
    assert outcome.reason == f"the result is that of {tmp_path}/b.png already; color them into two folders"
    assert places(plan([tmp_path / "in/b.jpeg"], format="JPEG"), tmp_path) == {"in/b.jpeg": "in/b.color.jpeg"}
    assert places(plan([tmp_path / "in/b.jpeg"], format="WEBP"), tmp_path) == {"in/b.jpeg": "in/b.color.webp"}


def test_names_without_an_ending(tmp_path: Path) -> None:
    touch(tmp_path, "scan", "family.1920")
    found = plan([tmp_path / "scan", tmp_path / "family.1920"])
    assert places(found, tmp_path) == {"scan": "scan.color", "family.1920": "family.color.1920"}
    found = plan([tmp_path / "scan", tmp_path / "family.1920"], tmp_path / "out", format="PNG")
    assert places(found, tmp_path) == {"scan": "out/scan.png", "family.1920": "out/family.1920.png"}


def test_a_photograph_named_twice_is_colored_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "in/a.jpg", "in/b.jpg")
    assert len(plan([tmp_path / "in", tmp_path / "in/a.jpg", tmp_path / "in"])) == 2
    monkeypatch.chdir(tmp_path)
    twice = [Path("in/a.jpg"), tmp_path / "in/a.jpg"]
    assert [task.target for task in plan(twice, format="PNG")] == [Path("in/a.color.png")]
    assert [task.target for task in plan(twice, Path("out"), format="PNG")] == [Path("out/a.png")]


def test_names_in_two_folders_that_collide_are_refused(tmp_path: Path) -> None:
    """Whole names would not tell them apart; each keeps the name that it would have alone."""
    touch(tmp_path, "x/a.jpg", "y/a.jpg", "y/b.jpg", "y/b.tif")
    names = ("x/a.jpg", "y/a.jpg", "y/b.jpg", "y/b.tif")
    tasks = plan([tmp_path / name for name in names], tmp_path / "out", format="PNG")
    assert places(tasks, tmp_path) == {"x/a.jpg": "out/a.png", "y/b.jpg": "out/b.jpg.png", "y/b.tif": "out/b.tif.png"}
    assert [error.partition(": ")[2] for error in errors(tasks)] == [
        f"the result '{tmp_path}/out/a.png' is that of {tmp_path}/x/a.jpg already; color them into two folders"
    ]


def test_an_output_file(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "b.jpg", "in/c.jpg")
    assert places(plan([tmp_path / "a.jpg"], tmp_path / "x.png"), tmp_path) == {"a.jpg": "x.png"}
    for inputs in ([tmp_path / "a.jpg", tmp_path / "b.jpg"], [tmp_path / "in"]):
        with pytest.raises(OptionError, match="one file for several photographs"):
            plan(inputs, tmp_path / "x.png")
    with pytest.raises(OptionError, match=r"x\.gif.*names no file that can be written.*\.webp"):
        plan([tmp_path / "a.jpg"], tmp_path / "x.gif")
    with pytest.raises(OptionError, match=r"x\.jpg' is a JPEG by its name, but PNG is asked for"):
        plan([tmp_path / "a.jpg"], tmp_path / "x.jpg", format="PNG")


def test_a_folder_may_have_a_dot_in_its_name(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "in/c.jpg")
    assert places(plan([tmp_path / "in"], tmp_path / "scans.1920"), tmp_path) == {"in/c.jpg": "scans.1920/c.jpg"}
    (tmp_path / "out.jpg").mkdir()
    assert places(plan([tmp_path / "a.jpg"], tmp_path / "out.jpg"), tmp_path) == {"a.jpg": "out.jpg/a.jpg"}


def test_no_photograph_at_all(tmp_path: Path) -> None:
    touch(tmp_path, "in/letter.txt")
    with pytest.raises(PhotoError, match="no photograph is here"):
        plan([tmp_path / "in"])


def test_a_folder_that_cannot_be_listed_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "in/a.jpg", "in/closed/b.jpg")
    scandir = os.scandir

    def closed(path: str) -> object:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    tasks = plan([tmp_path / "in"], tmp_path / "out")
    assert places(tasks, tmp_path) == {"in/a.jpg": "out/a.jpg"}
    assert "closed: cannot be listed (Permission denied)" in errors(tasks)[0]


def test_one_bad_photograph_among_ten(tmp_path: Path, colorizer: Colorizer) -> None:
    (tmp_path / "in").mkdir()
    for index in range(10):
        (tmp_path / f"in/{index}.jpg").write_bytes(testdata.file(testdata.grey(40, 50, seed=index), "JPEG"))
    bad = tmp_path / "in/4.jpg"
    bad.write_bytes(bad.read_bytes()[:-200])
    outcomes = list(run.run(colorizer, plan([tmp_path / "in"], tmp_path / "out")))
    assert [outcome.status for outcome in outcomes] == ["colored"] * 4 + ["failed"] + ["colored"] * 5
    reason = "a truncated JPEG: its last part is missing; restore the file from a good copy"
    assert outcomes[4] == run.Outcome(str(bad), None, "failed", outcomes[4].seconds, None, outcomes[4].error, reason)
    assert outcomes[4].error is not None
    assert outcomes[4].error.startswith(f"{bad}: a truncated JPEG")
    assert sorted(path.name for path in (tmp_path / "out").glob("*.jpg")) == [f"{n}.jpg" for n in range(10) if n != 4]
    assert outcomes[0].output == str(tmp_path / "out/0.jpg")
    assert outcomes[0].judgement == "grey"


def test_errors_of_every_kind_are_one_line_and_name_the_photograph(
    tmp_path: Path, colorizer: Colorizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.jpg", "new\nline.jpg"):
        (tmp_path / name).write_bytes(testdata.file(testdata.grey(20, 20), "JPEG"))
    raised: list[BaseException] = [MemoryError(), ValueError("odd\nthings"), PhotochromError("no")]
    for problem in raised:

        def fail(*_: object, problem: BaseException = problem, **__: object) -> None:
            raise problem

        monkeypatch.setattr(Colorizer, "colorize", fail)
        for name in ("a.jpg", "new\nline.jpg"):
            (outcome,) = run.run(colorizer, [run.Task(tmp_path / name, tmp_path / "out.jpg")])
            assert outcome.status == "failed"
            assert outcome.error is not None
            assert outcome.error.count("\n") == 0
            assert outcome.error.startswith(" ".join(str(tmp_path / name).split()) + ": ")
    assert not (tmp_path / "out.jpg").exists()


def test_results_are_of_the_format_of_their_names(tmp_path: Path, colorizer: Colorizer) -> None:
    (tmp_path / "a.jpg").write_bytes(testdata.file(testdata.grey(30, 41), "JPEG"))
    (tmp_path / "wrong.jpg").write_bytes(testdata.file(testdata.grey(30, 41), "PNG"))
    kinds = {".jpg": "JPEG", ".png": "PNG", ".webp": "WEBP", ".tif": "TIFF"}
    for ending, kind in kinds.items():
        (task,) = plan([tmp_path / "a.jpg"], tmp_path / f"out{ending}")
        assert next(run.run(colorizer, [task])).error is None
        assert testdata.opened(task.target.read_bytes()).format == kind
    as_png = Colorizer(colorizer.model, Options(format="PNG"))
    for name, kind in (("a", "PNG"), ("wrong", "PNG")):
        (task,) = plan([tmp_path / f"{name}.jpg"], format="PNG")
        assert next(run.run(as_png, [task])).error is None
        assert testdata.opened((tmp_path / f"{name}.color.png").read_bytes()).format == kind
    (task,) = plan([tmp_path / "wrong.jpg"])
    assert next(run.run(colorizer, [task])).error is None
    assert testdata.opened((tmp_path / "wrong.color.jpg").read_bytes()).format == "JPEG"
