"""Run the server for tests: inside the test's process, or as the command on a port of its own."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from PIL import Image
from starlette.testclient import TestClient

from photochrom.colorizer.model import Model
from photochrom.serve.app import create_app
from photochrom.serve.settings import Settings
from tests.support.models import POINTER, pointer
from tests.support.testdata import picture

ROOT = Path(__file__).parents[2]
PHOTOS = ROOT / "examples/photos"
BASE = "http://127.0.0.1:8000"


def small_model() -> Model:
    """Load a model whose chroma is the hints, and that states confidence but no distribution."""
    return Model(pointer(replace(POINTER)), source="pointer")


def in_color_jpeg() -> bytes:
    """Make the file of a small photograph in color."""
    buffer = io.BytesIO()
    Image.fromarray(picture("coffee")).resize((300, 200)).save(buffer, "JPEG")
    return buffer.getvalue()


@contextmanager
def client(settings: Settings | None = None, model: Model | None = None) -> Iterator[TestClient]:
    """Give a client of an application in this process."""
    with TestClient(create_app(settings or Settings(), model or small_model()), base_url=BASE) as found:
        yield found


@contextmanager
def running(*arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run ``photochrom serve`` on a free port; give its address and its process."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "photochrom", "serve", "--port", "0", *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=ROOT
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        line = process.stdout.readline()
        assert " listens on " in line, line + process.stderr.read()
        try:
            yield line.split(" listens on ")[1].split()[0], process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.communicate(timeout=20)
