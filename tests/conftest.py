"""Make the small data that many tests share."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Generator, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support import testdata
from tests.support.testdata import PICTURES, picture, write_shard


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared folder of 48 training and 6 test photographs of 80 x 96 px, cut from scikit-image's."""
    folder = tmp_path_factory.mktemp("prepared")
    rng = np.random.default_rng(0)
    cuts = []
    for index in range(54):
        whole = Image.fromarray(picture(PICTURES[index % 4]))
        left, top = (int(rng.integers(0, side - 150)) for side in whole.size)
        cuts.append(np.asarray(whole.crop((left, top, left + 144, top + 120)).resize((96, 80))))
    write_shard(folder / "train-00000.tar", cuts[:48])
    write_shard(folder / "test-00000.tar", cuts[48:])
    return folder


@pytest.fixture(scope="session")
def photographs() -> Path:
    """The folder of development photographs, where there is one."""
    return testdata.data()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give the folder ``out``, a disk of its own of 64 kB."""
    disk = tmp_path / "out"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("no small disk can be mounted here: that takes root")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


COMPLETE = os.environ.get("PHOTOCHROM_TESTS") == "complete"
"""Whether everything that tests need is said to be here, as in CI: a test that skips is then a failure."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if COMPLETE and report.skipped and not hasattr(report, "wasxfail"):
        where = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome, report.longrepr = "failed", f"skipped, but PHOTOCHROM_TESTS=complete: {where}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if COMPLETE and report.skipped:
        report.outcome, report.longrepr = "failed", f"skipped, but PHOTOCHROM_TESTS=complete: {report.longrepr}"  # type: ignore[assignment]
    return report
