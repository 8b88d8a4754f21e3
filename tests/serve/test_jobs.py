"""Color films over HTTP: progress, ranges, repeated requests, cancellation, and what is left on the disk."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from photochrom.colorizer.colorizer import Colorizer, Options
from tests.support.browser import opened
from tests.support.servers import PHOTOS, running

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytest.importorskip("av", reason="films are read with PyAV: pip install 'photochrom[video]'")

from photochrom.video.colorize import colorize_film
from tests.support import films


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("films") / "old film.mkv"
    films.write(path, [films.frame_of(luma, "yuv420p") for luma in films.moving(30, 64, 96)])
    return path


@pytest.fixture(scope="module")
def long_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("films") / "long.mp4"
    films.write(path, [films.frame_of(luma, "yuv420p") for luma in films.moving(400, 240, 320)])
    return path


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    with running() as (address, _):
        yield address
    assert list((tmp_path / "tmp").iterdir()) == [], "no file is left"


def ask(address: str, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
    place = urlsplit(address)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, content


def follow(address: str, path: str, **headers: str) -> list[tuple[int, dict[str, Any]]]:
    """Read the events of a job until they end."""
    status, sent, content = ask(address, "GET", f"{path}/events", **headers)
    assert (status, sent["x-accel-buffering"]) == (200, "no")
    assert sent["content-type"].startswith("text/event-stream")
    found = []
    for event in content.decode().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in event.splitlines() if not line.startswith(":"))
        if lines:
            found.append((int(lines["id"]), json.loads(lines["data"])))
    return found


def test_a_film_is_colored_and_followed(server: str, film: Path, tmp_path: Path) -> None:
    headers = {"X_File_Name": "..%2Fold%20film.mkv", "Idempotency_Key": "one"}
    status, sent, content = ask(server, "POST", "/v1/jobs?vividness=1.2", film.read_bytes(), **headers)
    job = json.loads(content)
    assert (status, sent["location"]) == (202, f"jobs/{job['id']}")
    assert (job["name"], job["status"] in ("waiting", "running")) == ("old film.mkv", True)
    path = f"/v1/jobs/{job['id']}"
    found = follow(server, path)
    assert [number for number, _ in found] == sorted({number for number, _ in found})
    last = found[-1][1]
    assert (last["status"], last["frames"], last["total"], last["preview"]) == ("done", 30, 30, True), last
    assert [each[0] for each in follow(server, path, Last_Event_ID=str(found[-2][0]))] == [found[-1][0]]

    status, sent, whole = ask(server, "GET", f"{path}/result")
    assert status == 200
    assert 'filename="old film.color.mkv"' in sent["content-disposition"]
    (tmp_path / "result.mkv").write_bytes(whole)
    colorize_film(film, tmp_path / "same.mkv", colorizer=Colorizer.load(options=Options(vividness=1.2), threads=1))
    assert len(whole) == pytest.approx((tmp_path / "same.mkv").stat().st_size, rel=0.02)
    status, sent, part = ask(server, "GET", f"{path}/result", Range="bytes=100-199")
    assert (status, sent["content-range"], part) == (206, f"bytes 100-199/{len(whole)}", whole[100:200])
    assert ask(server, "GET", f"{path}/result", Range="bytes=nothing")[0] == 400
    assert ask(server, "GET", f"{path}/preview")[2][:3] == b"\xff\xd8\xff"

    status, sent, content = ask(server, "POST", "/v1/jobs", film.read_bytes(), **headers)
    assert (status, json.loads(content)["id"]) == (202, job["id"]), "the same request gets the same job"
    status, _, content = ask(server, "POST", "/v1/jobs", film.read_bytes() + b"x", **headers)
    assert (status, json.loads(content)["type"]) == (422, "urn:photochrom:problem:key-reused")
    assert ask(server, "DELETE", path)[0] == 204
    assert ask(server, "GET", path)[0] == ask(server, "DELETE", path)[0] == 404


def test_a_film_is_canceled_at_once_and_the_next_one_begins(server: str, film: Path, long_film: Path) -> None:
    long = json.loads(ask(server, "POST", "/v1/jobs", long_film.read_bytes(), X_File_Name="long.mp4")[2])
    short = json.loads(ask(server, "POST", "/v1/jobs", film.read_bytes(), X_File_Name="short.mkv")[2])
    assert json.loads(ask(server, "GET", f"/v1/jobs/{short['id']}")[2])["status"] == "waiting"
    status, _, content = ask(server, "GET", f"/v1/jobs/{long['id']}/result")
    assert (status, json.loads(content)["type"]) == (409, "urn:photochrom:problem:not-finished")
    begin = time.monotonic()
    assert ask(server, "DELETE", f"/v1/jobs/{long['id']}")[0] == 204
    assert time.monotonic() - begin < 1
    assert follow(server, f"/v1/jobs/{short['id']}")[-1][1]["status"] == "done"


def test_what_is_no_film_and_too_many_films_are_refused(server: str, long_film: Path) -> None:
    status, _, content = ask(server, "POST", "/v1/jobs", b"no film" * 100)
    assert (status, json.loads(content)["type"]) == (422, "urn:photochrom:problem:unreadable-film")
    for _ in range(4):
        assert ask(server, "POST", "/v1/jobs", long_film.read_bytes())[0] == 202
    status, sent, content = ask(server, "POST", "/v1/jobs", long_film.read_bytes())
    assert (status, json.loads(content)["type"]) == (429, "urn:photochrom:problem:too-many-jobs")
    assert int(sent["retry-after"]) > 0
    for path in ("", "/events", "/result", "/preview"):
        assert ask(server, "GET", f"/v1/jobs/nothing{path}")[0] == 404


def test_the_progress_of_a_film_survives_a_reload(browser: Browser, server: str, long_film: Path, film: Path) -> None:
    with opened(browser, server) as page:
        page.set_input_files("#files", [long_film, film])
        page.get_by_text("Coloring,").first.wait_for(timeout=60_000)
        page.reload()
        page.wait_for_selector("html[data-ready]")
        page.get_by_text("Coloring,").first.wait_for(timeout=60_000)
        assert page.locator(".film progress").first.is_visible()
        page.click("button[aria-label='Cancel long.mp4']")
        page.locator(".film.done").wait_for(timeout=60_000)
        page.locator(".film summary").click()
        page.locator(".film img").wait_for()
        with page.expect_download() as download:
            page.get_by_role("link", name="Download").click()
        assert download.value.suggested_filename == "old film.color.mkv"
        page.click("button[aria-label='Remove old film.mkv']")
        assert page.locator(".film").count() == 0


def test_photographs_go_on_while_a_film_is_colored(server: str, long_film: Path) -> None:
    ask(server, "POST", "/v1/jobs", long_film.read_bytes())
    assert ask(server, "POST", "/v1/colorize", (PHOTOS / "camera.jpg").read_bytes())[0] == 200
