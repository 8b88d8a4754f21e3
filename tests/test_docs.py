"""Hold the documentation to what is there: commands, options, links, code, presets, examples, credits."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from photochrom.training import config

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.md")])
PHOTO = ROOT / "examples/photos/astronaut.jpg"


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def commands(program: str) -> list[tuple[str, ...]]:
    """List the words of every command of a program in the pages, in blocks and in running text."""
    lines: list[str] = []
    for page in PAGES:
        text = page.read_text("utf-8")
        lines += [line for block in blocks(page, "sh") for line in block.replace("\\\n", " ").splitlines()]
        lines += re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)
    words = (line.split(" #")[0].split() for line in lines if line.startswith(f"{program} "))
    return sorted({tuple(line[1:]) for line in words})


def run(*arguments: str | Path, folder: Path = ROOT) -> str:
    environment = os.environ | {"COLUMNS": "200", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, cwd=folder, env=environment, timeout=60
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@cache
def help_of(verb: str) -> str:
    return run("-c", "from photochrom.cli import main; main()", verb, "--help")


def test_readme_opens_with_the_two_commands() -> None:
    first = blocks(ROOT / "README.md", "sh")[0]
    assert [line.split(" #")[0].strip() for line in first.splitlines()] == ["make demo", "make test"]


@pytest.mark.parametrize("words", commands("photochrom"), ids=" ".join)
def test_commands_exist(words: tuple[str, ...]) -> None:
    if words[0].startswith("-"):
        return
    text = help_of(words[0])
    assert re.search(rf"Usage: \S+ {words[0]}\b", text), text
    for option in (word.partition("=")[0] for word in words[1:]):
        assert not re.fullmatch(r"--?[a-z][a-z-]*", option) or re.search(rf"(?<![\w-]){option}(?![\w-])", text), option


@pytest.mark.parametrize("words", commands("make"), ids=" ".join)
def test_make_targets_exist(words: tuple[str, ...]) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert words[0] in targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    missing = [link for link in links if link and not (page.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize(
    "block", [block for page in PAGES for block in blocks(page, "python")], ids=lambda block: block.partition("\n")[0]
)
def test_python_blocks_run(block: str, tmp_path: Path) -> None:
    shutil.copy(PHOTO, tmp_path / "portrait.jpg")
    run("-c", block, folder=tmp_path)


@pytest.mark.parametrize("name", sorted(config.presets()))
def test_presets_load(name: str) -> None:
    assert config.load(name).images > 0


def test_command_line_reference_is_current() -> None:
    page = (ROOT / "docs/cli.md").read_text("utf-8")
    assert page == run("-m", "photochrom.cli.docs"), "docs/cli.md is old: make docs"


EXAMPLES = {
    "one_photograph.py": ([PHOTO, "result.jpg"], ["result.jpg"]),
    "folder.py": ([PHOTO.parent, "results"], [f"results/{photo.name}" for photo in PHOTO.parent.iterdir()]),
    "vividness.py": ([PHOTO, "strip.png"], ["strip.png"]),
    "chroma.py": ([*sorted(PHOTO.parent.iterdir())], []),
}
"""Arguments of each example, and the files that it makes; tests/serve/test_server.py runs client.py."""


def test_every_example_is_tried() -> None:
    assert EXAMPLES.keys() | {"make_photos.py", "client.py"} == {path.name for path in ROOT.glob("examples/*.py")}


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_run(name: str, tmp_path: Path) -> None:
    arguments, files = EXAMPLES[name]
    printed = run(ROOT / "examples" / name, *arguments, folder=tmp_path)
    assert all((tmp_path / file).stat().st_size > 0 for file in files)
    assert files or printed


def test_credits_name_every_photograph() -> None:
    credited = re.findall(r"^\| `(photos/[^`]+)`", (ROOT / "examples/CREDITS.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(credited) == sorted(path.relative_to(ROOT / "examples").as_posix() for path in PHOTO.parent.iterdir())
