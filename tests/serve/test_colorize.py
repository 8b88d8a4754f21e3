"""Color photographs over HTTP: the same bytes as the command, every option, and every refusal."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from photochrom.colorizer.model import Model
from photochrom.photo.formats import FORMATS
from photochrom.serve.options import MEDIA_TYPES, accepted, file_name, result_name
from photochrom.serve.problems import KINDS, Problem
from photochrom.serve.settings import Settings
from tests.fuzz.damage import case
from tests.support.models import run
from tests.support.servers import PHOTOS, client, in_color_jpeg

GREY = PHOTOS / "camera.jpg"
NAMES = sorted(path.name for path in PHOTOS.iterdir())


@pytest.fixture(scope="module")
def bundled() -> Iterator[TestClient]:
    with client(model=Model.load(threads=1)) as found:
        yield found


@pytest.fixture(scope="module")
def small() -> Iterator[TestClient]:
    with client(Settings(max_pixels=300_000, max_body=400_000)) as found:
        yield found


def timeless(data: bytes) -> bytes:
    """Blank the time stamps."""
    return re.sub(rb"\d{4}[-:]\d\d[-:]\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?", b"TIME", data)


def problem(answer: object, status: int, kind: str) -> dict[str, object]:
    assert answer.status_code == status, answer.text  # type: ignore[attr-defined]
    assert answer.headers["content-type"] == "application/problem+json"  # type: ignore[attr-defined]
    body: dict[str, object] = answer.json()  # type: ignore[attr-defined]
    assert body["type"] == f"urn:photochrom:problem:{kind}"
    assert body["status"] == status
    assert body["title"] == KINDS[kind][1]
    assert body["detail"]
    return body


@pytest.mark.parametrize("name", NAMES)
def test_the_result_is_what_the_command_writes(name: str, bundled: TestClient, tmp_path: Path) -> None:
    target = tmp_path / f"result{Path(name).suffix}"
    assert run("colorize", str(PHOTOS / name), "-o", str(target), "--on-color", "recolor", "--vividness", "1.2") == 0
    options = json.dumps({"vividness": 1.2, "on_color": "recolor"})
    answer = bundled.post("/v1/colorize", files={"photo": (name, (PHOTOS / name).read_bytes())}, data={"options": options})
    assert answer.status_code == 200, answer.text
    assert timeless(answer.content) == timeless(target.read_bytes())


def test_a_raw_body_with_a_name_gives_the_same(bundled: TestClient, tmp_path: Path) -> None:
    target = tmp_path / "result.jpg"
    assert run("colorize", str(GREY), "-o", str(target)) == 0
    answer = bundled.post("/v1/colorize", content=GREY.read_bytes(), headers={"X-File-Name": GREY.name})
    assert timeless(answer.content) == timeless(target.read_bytes())
    assert answer.headers["content-disposition"].startswith('attachment; filename="camera.color.jpg"')


def test_every_option_of_the_command_is_taken(bundled: TestClient, tmp_path: Path) -> None:
    target, reference = tmp_path / "result.tif", tmp_path / "color.jpg"
    reference.write_bytes(in_color_jpeg())
    options = {"compression": "jpeg", "quality": 80, "vividness": 0.5, "hints": [{"x": 40, "y": 60, "color": "#c04030"}]}
    arguments = ["--compression", "jpeg", "--quality", "80", "--vividness", "0.5", "--hint", "40,60=#c04030"]
    assert run("colorize", str(GREY), "-o", str(target), *arguments, "--reference", str(reference)) == 0
    files = {"photo": (GREY.name, GREY.read_bytes()), "reference": (reference.name, reference.read_bytes())}
    answer = bundled.post("/v1/colorize", files=files, data={"options": json.dumps(options)}, headers={"Accept": "image/tiff"})
    assert answer.status_code == 200, answer.text
    assert timeless(answer.content) == timeless(target.read_bytes())


@pytest.mark.parametrize("format", FORMATS)
def test_accept_chooses_the_format(format: str, bundled: TestClient) -> None:
    kind = MEDIA_TYPES[format]  # type: ignore[index]
    answer = bundled.post("/v1/colorize", content=GREY.read_bytes(), headers={"Accept": f"text/html, {kind};q=0.9"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == kind
    picture = np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB")).astype(int)
    assert picture.shape == (512, 512, 3)
    assert np.ptp(picture, axis=2).max() > 20


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", None),
        ("*/*", None),
        ("image/*", None),
        ("image/avif,image/webp,*/*;q=0.8", "WEBP"),
        ("image/png;q=0.5, image/tiff;q=0.7", "TIFF"),
        ("image/jpeg;q=0, */*", "PNG"),
        ("image/jpeg, image/png", None),
    ],
)
def test_the_most_wanted_format_wins_and_the_own_one_on_a_tie(accept: str, expected: str | None) -> None:
    assert accepted(accept, "JPEG") == expected


def test_a_heic_is_answered_as_jpeg_unless_another_format_is_wanted() -> None:
    assert accepted("image/jpeg, image/png", "HEIC") is None
    assert accepted("image/png", "HEIC") == "PNG"


@pytest.mark.parametrize("accept", ["text/html", "image/gif", "image/jpeg;q=0", "image/png;q=high"])
def test_a_format_that_is_not_written_is_refused(accept: str, small: TestClient) -> None:
    answer = small.post("/v1/colorize", content=GREY.read_bytes(), headers={"Accept": accept})
    assert "image/jpeg" in str(problem(answer, 406, "not-acceptable")["detail"])


def test_refusals_have_their_kind(small: TestClient) -> None:
    grey = GREY.read_bytes()
    problem(small.post("/v1/colorize", content=b""), 400, "bad-request")
    problem(small.post("/v1/colorize", content=b"no photograph"), 415, "unknown-format")
    problem(small.post("/v1/colorize", content=grey[:3000]), 422, "unreadable-photograph")
    problem(small.post("/v1/colorize", content=bytes(400_001)), 413, "body-too-large")
    problem(small.post("/v1/colorize", content=in_color_jpeg()), 422, "in-color")
    small_body = {"photo": ("a.jpg", grey)}
    for options, kind in (
        ('{"vividness": 3}', "invalid-options"),
        ('{"vivid": 1}', "invalid-options"),
        ("no json", "invalid-options"),
        ('{"luma": "lossless", "quality": 90}', "invalid-options"),
        ('{"compression": "lzw"}', "invalid-options"),
        ('{"hints": [{"x": 512, "y": 0, "color": "#ff0000"}]}', "invalid-options"),
        ('{"hints": [{"x": 1, "y": 0, "color": "red"}]}', "invalid-options"),
    ):
        problem(small.post("/v1/colorize", files=small_body, data={"options": options}), 422, kind)
    problem(small.post("/v1/colorize", files=small_body, data={"other": "1"}), 400, "bad-request")
    problem(small.post("/v1/colorize", files={"options": ("a", b"{}")}), 400, "bad-request")
    broken = {"Content-Type": "multipart/form-data; boundary=x"}
    problem(small.post("/v1/colorize", content=b"--x\r\nno part", headers=broken), 400, "bad-request")
    problem(small.get("/v1/colorize"), 405, "wrong-method")
    problem(small.get("/v1/nothing"), 404, "not-found")


def test_a_body_without_a_length_is_counted_while_it_arrives(small: TestClient) -> None:
    def parts() -> Iterator[bytes]:
        yield GREY.read_bytes()
        yield from (bytes(10_000) for _ in range(100))

    problem(small.post("/v1/colorize", content=parts()), 413, "body-too-large")


def test_pixels_are_counted_in_the_header(small: TestClient) -> None:
    buffer = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(buffer, "PNG")
    assert len(buffer.getvalue()) < 100_000
    body = problem(small.post("/v1/colorize", content=buffer.getvalue()), 413, "too-many-pixels")
    assert "400,000,000" in str(body["detail"])


def test_what_uploads_hold_together_is_bounded() -> None:
    with client(Settings(memory=50_000)) as found:
        answer = found.post("/v1/colorize", content=bytes(60_000))
        problem(answer, 503, "busy")
        assert int(answer.headers["retry-after"]) > 0
        assert found.app.state.service.uploads.used == 0  # type: ignore[attr-defined]


def test_file_names_lose_folders_and_control_characters() -> None:
    assert file_name("..%2F..%2Fetc%2Fpasswd") == "passwd"
    assert file_name("C:%5CUsers%5Cme%5Cold photo.jpg") == "old photo.jpg"
    assert file_name("a%0D%0ASet-Cookie:%20x.jpg") == "aSet-Cookie: x.jpg"
    assert file_name("K%C3%B6ln.tif") == "Köln.tif"
    assert file_name(None) == ""


def test_results_are_named_after_their_source() -> None:
    assert result_name("portrait.JPG", "JPEG") == "portrait.color.JPG"
    assert result_name("portrait.heic", "JPEG") == "portrait.color.jpg"
    assert result_name("no ending", "PNG") == "no ending.color.png"
    assert result_name("v1.2", "PNG") == "v1.2.color.png"
    assert result_name("", "TIFF") == "photograph.color.tif"


def test_a_name_in_the_header_cannot_add_a_header(small: TestClient) -> None:
    answer = small.post("/v1/colorize", content=GREY.read_bytes(), headers={"X-File-Name": 'a"%0D%0AX-Evil: 1%E2%82%AC.jpg'})
    assert answer.status_code == 200
    assert "x-evil" not in answer.headers
    assert answer.headers["content-disposition"].count('"') == 2


def test_problems_know_their_status() -> None:
    for kind, (status, _) in KINDS.items():
        assert Problem(kind, "why").status_code == status


def test_damaged_files_are_colored_or_refused_and_nothing_is_left() -> None:
    with client(Settings(max_pixels=1_000_000)) as found:
        statuses = set()
        for number in range(300):
            _, _, content = case(17, number)
            answer = found.post("/v1/colorize", content=content or b"-")
            statuses.add(answer.status_code)
            assert answer.status_code in (200, 413, 415, 422), answer.text
            if answer.status_code != 200:
                assert answer.headers["content-type"] == "application/problem+json"
                assert "\n" not in answer.json()["detail"]
        assert found.app.state.service.uploads.used == 0  # type: ignore[attr-defined]
        assert found.app.state.service.queue.running == 0  # type: ignore[attr-defined]
    assert {200, 422} <= statuses


def test_pages_that_are_too_many_together_are_too_large(small: TestClient) -> None:
    page, buffer = Image.new("1", (500, 500)), io.BytesIO()
    page.save(buffer, "TIFF", compression="group4", save_all=True, append_images=[page] * 3)
    body = problem(small.post("/v1/colorize", content=buffer.getvalue()), 413, "too-many-pixels")
    assert "4 pages of 1,000,000 pixels" in str(body["detail"])
