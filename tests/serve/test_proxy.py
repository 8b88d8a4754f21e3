"""Serve the page behind nginx under a path of its own, as docs/serve.md says."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.serve.test_page import hint, saved
from tests.support.browser import add, color_at, opened
from tests.support.servers import PHOTOS, ROOT, running

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NGINX = shutil.which("nginx") or "/usr/sbin/nginx"


def documented() -> str:
    """Give the part of a configuration that docs/serve.md shows."""
    found = re.search(r"^```nginx\n(.*?)^```$", (ROOT / "docs/serve.md").read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert found
    return found[1]


def listens(port: int) -> bool:
    """Tell whether something listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def nginx(folder: Path, behind: str) -> Iterator[str]:
    """Run nginx before a server; give the address under which it shows that."""
    if not Path(NGINX).exists():
        pytest.skip("the server is tested behind nginx: apt-get install nginx")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    location = documented().replace("http://127.0.0.1:8000/", behind)
    assert behind in location
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    user = "user root;" if os.getuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"{user} daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}\n"
        f"http {{ access_log off; {temporary}\nserver {{ listen 127.0.0.1:{port};\n{location}\n}} }}\n"
    )
    with subprocess.Popen([NGINX, "-c", str(folder / "nginx.conf")], stderr=subprocess.PIPE, text=True) as process:
        try:
            deadline = time.monotonic() + 10
            while not listens(port):
                assert process.poll() is None, process.stderr and process.stderr.read()
                assert time.monotonic() < deadline
            yield f"http://127.0.0.1:{port}/photos/"
        finally:
            process.terminate()


def test_everything_works_under_a_path(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("0123456789abcdef")
    with running("--token", str(tmp_path / "token")) as (behind, _), nginx(tmp_path, behind) as address:
        with opened(browser, address) as page:
            page.locator("#login[open]").wait_for()
            page.fill("#token", "0123456789abcdef")
            page.click("#login button")
            add(page, PHOTOS / "camera.jpg")
            before = color_at(page, 0.52, 0.5)
            hint(page, 0.5, 0.5, "#c02020")
            red, _, blue = color_at(page, 0.52, 0.5)
            assert red - blue > before[0] - before[2] + 10
            assert saved(page, "#download")[0] == "camera.color.jpg"
        with opened(browser, f"{address}docs") as page:
            assert page.locator(".operation").count() > 10
        large = os.urandom(2 << 20)
        headers = {"Authorization": "Bearer 0123456789abcdef"}
        with pytest.raises(urllib.error.HTTPError) as refused:  # by the server, not by nginx, whose own limit is 1 MiB
            urllib.request.urlopen(urllib.request.Request(f"{address}v1/colorize", large, headers))
        assert refused.value.headers["Content-Type"] == "application/problem+json"
        refused.value.close()
