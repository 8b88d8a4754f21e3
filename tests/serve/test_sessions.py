"""Correct photographs over HTTP: hints, suggestions, confidence, variants, results, and how sessions end."""

from __future__ import annotations

import base64
import io
import struct
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from photochrom.colorizer.colorizer import Colorizer, Options
from photochrom.colorizer.file import colorize
from photochrom.colorizer.hints import Hint
from photochrom.colorizer.model import Model
from photochrom.photo import convert
from photochrom.photo.planes import upright
from photochrom.serve.problems import Problem
from photochrom.serve.sessions import Session, Store, opened, packed_model
from photochrom.serve.settings import Settings
from tests.serve.test_colorize import problem, timeless
from tests.support.servers import PHOTOS, client, in_color_jpeg

GREY = (PHOTOS / "camera.jpg").read_bytes()
HINTS = [{"x": 100, "y": 120, "color": "#c04030"}, {"x": 400, "y": 60, "color": "#3060c0"}]


@pytest.fixture(scope="module")
def bundled() -> Iterator[TestClient]:
    with client(model=Model.load(threads=1)) as found:
        yield found


@pytest.fixture(scope="module")
def small() -> Iterator[TestClient]:
    with client() as found:
        yield found


def session(api: TestClient, data: bytes = GREY, name: str = "camera.jpg") -> str:
    answer = api.post("/v1/sessions", content=data, headers={"X-File-Name": name})
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"sessions/{answer.json()['id']}"
    return f"/v1/sessions/{answer.json()['id']}"


def unpacked(data: bytes) -> np.ndarray:
    """Read the model of a session as (2, h, w, 4) floats."""
    assert data[:4] == b"PCM1"
    height, width = struct.unpack("<II", data[4:12])
    return np.frombuffer(data[12:], "<f2").reshape(2, height, width, 4).astype(np.float32)


def turned(orientation: int) -> bytes:
    """Make a JPEG of 60 x 40 pixels that a viewer turns."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.fromarray(np.arange(2400, dtype=np.uint32).astype(np.uint8).reshape(40, 60)).save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def test_a_session_describes_its_photograph(small: TestClient) -> None:
    found = small.get(session(small, (PHOTOS / "rocket.tif").read_bytes(), "old%20rocket.tif")).json()
    assert (found["width"], found["height"], found["bits"]) == (640, 427, 8)
    assert (found["name"], found["format"], found["result_name"]) == ("old rocket.tif", "tiff", "old rocket.color.tif")
    assert (found["kind"], found["notes"]) == ("grey", [])
    assert small.get(session(small, in_color_jpeg())).json()["kind"] == "color"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_width_height_and_luma_are_as_a_viewer_shows_them(orientation: int, small: TestClient) -> None:
    path = session(small, turned(orientation))
    found = small.get(path).json()
    assert (found["width"], found["height"]) == ((60, 40) if orientation < 5 else (40, 60))
    luma = np.asarray(Image.open(io.BytesIO(small.get(f"{path}/luma").content)))
    photo = convert.read(turned(orientation))
    np.testing.assert_array_equal(luma, upright(photo.shown, orientation))


def test_luma_is_as_small_as_asked_for(small: TestClient) -> None:
    path = session(small)
    assert Image.open(io.BytesIO(small.get(f"{path}/luma?side=100").content)).size == (100, 100)
    assert small.get(f"{path}/luma").headers["content-type"] == "image/png"
    problem(small.get(f"{path}/luma?side=1"), 422, "invalid-options")


def test_hints_change_the_model_around_them(bundled: TestClient) -> None:
    path = session(bundled)
    before = unpacked(bundled.post(f"{path}/hints", json={}).content)
    after = unpacked(bundled.post(f"{path}/hints", json={"hints": HINTS}).content)
    assert before.shape == after.shape == (2, 128, 128, 4)
    row, column = 120 * 128 // 512, 100 * 128 // 512
    assert np.abs(after - before)[:, row, column, 2:].max() > 20
    assert unpacked(bundled.post(f"{path}/hints", json={}).content).tolist() == before.tolist()


def test_the_model_gives_what_paint_gives(bundled: TestClient) -> None:
    path = session(bundled)
    model = unpacked(bundled.post(f"{path}/hints", json={"hints": HINTS, "vividness": 1.3}).content)
    luma = convert.read(GREY).shown
    hints = tuple(Hint(**each) for each in HINTS)
    painted = Colorizer.load(options=Options(hints=hints, vividness=1.3), threads=1).paint(luma)
    blue, red = (cv2.resize(part, (512, 512), interpolation=cv2.INTER_LINEAR) for part in model)
    y = luma.astype(np.float32)
    blue, red = (np.clip(m[..., 0] + m[..., 1] * (y - 128), m[..., 2], m[..., 3]) for m in (blue, red))
    green = -(0.114 * blue + 0.299 * red) / 0.587
    most, least = np.maximum(np.maximum(blue, red), green), np.minimum(np.minimum(blue, red), green)
    factor = np.minimum(1, np.minimum((255 - y) / (most + 1e-3), y / (1e-3 - least)))
    rgb = y[..., None] + factor[..., None] * np.stack([red, green, blue], -1)
    difference = np.abs(rgb - painted)
    assert difference.mean() <= 0.6
    assert (difference.max(-1) <= 6).mean() >= 0.99


def test_the_result_is_what_the_package_writes(bundled: TestClient) -> None:
    path = session(bundled, GREY, "")
    bundled.post(f"{path}/hints", json={"hints": HINTS, "vividness": 1.3})
    answer = bundled.get(f"{path}/result")
    hints = tuple(Hint(**each) for each in HINTS)
    assert timeless(answer.content) == timeless(colorize(GREY, options=Options(hints=hints, vividness=1.3)))
    png = bundled.get(f"{path}/result?format=png")
    assert (png.headers["content-type"], png.content[:4]) == ("image/png", b"\x89PNG")
    problem(bundled.get(f"{path}/result?format=bmp&quality=80"), 422, "invalid-options")
    problem(bundled.get(f"{path}/result?format=gif"), 422, "invalid-options")


def test_suggestions_are_different_colors_likeliest_first(bundled: TestClient) -> None:
    path = session(bundled)
    found = bundled.get(f"{path}/suggestions?x=100&y=120").json()
    shares = [each["share"] for each in found]
    assert 2 <= len(found) <= 8
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) <= 1.001
    assert len({each["color"] for each in found}) == len(found)
    luma = int(convert.read(GREY).shown[120, 100])
    red, green, blue = bytes.fromhex(found[0]["color"][1:])
    assert abs(0.299 * red + 0.587 * green + 0.114 * blue - luma) < 2
    bundled.post(f"{path}/hints", json={"hints": [{"x": 100, "y": 120, "color": "#c04030"}]})
    hinted = bundled.get(f"{path}/suggestions?x=100&y=120").json()[0]["color"]
    red, _, blue = bytes.fromhex(hinted[1:])
    assert red > blue
    problem(bundled.get(f"{path}/suggestions?x=512&y=0"), 422, "invalid-options")
    problem(bundled.get(f"{path}/suggestions?x=-1&y=0"), 422, "invalid-options")


def test_confidence_and_the_points_of_doubt(bundled: TestClient) -> None:
    path = session(bundled)
    found = np.asarray(Image.open(io.BytesIO(bundled.get(f"{path}/confidence").content)))
    assert (found.dtype, found.shape) == (np.uint8, (32, 32))
    points = bundled.get(f"{path}/doubts").json()
    assert 1 <= len(points) <= 3
    for point in points:
        assert point["confidence"] == pytest.approx(found[point["y"] // 16, point["x"] // 16] / 255, abs=0.01)
    first = points[0]
    bundled.post(f"{path}/hints", json={"hints": [{"x": first["x"], "y": first["y"], "color": "#808080"}]})
    for point in bundled.get(f"{path}/doubts").json():
        assert abs(point["x"] - first["x"]) + abs(point["y"] - first["y"]) > 60


def test_variants_are_hints_with_a_picture(bundled: TestClient) -> None:
    path = session(bundled)
    found = bundled.get(f"{path}/variants?count=3").json()
    assert 2 <= len(found) <= 3
    pictures = []
    for variant in found:
        kind, _, data = variant["preview"].partition(",")
        assert kind == "data:image/jpeg;base64"
        pictures.append(np.asarray(Image.open(io.BytesIO(base64.b64decode(data))), int))
        assert bundled.post(f"{path}/hints", json={"hints": variant["hints"]}).status_code == 200
    assert np.abs(pictures[0] - pictures[1]).mean() > 1
    problem(bundled.get(f"{path}/variants?count=9"), 422, "invalid-options")


def test_a_reference_leads_until_it_is_removed(bundled: TestClient) -> None:
    path = session(bundled)
    before = unpacked(bundled.post(f"{path}/hints", json={}).content)
    assert bundled.put(f"{path}/reference", content=in_color_jpeg()).status_code == 204
    led = unpacked(bundled.post(f"{path}/hints", json={}).content)
    assert np.abs(led - before).mean() > 1
    assert bundled.delete(f"{path}/reference").status_code == 204
    assert unpacked(bundled.post(f"{path}/hints", json={}).content).tolist() == before.tolist()
    problem(bundled.put(f"{path}/reference", content=GREY), 422, "unreadable-photograph")
    problem(bundled.put(f"{path}/reference", content=b"nothing"), 415, "unknown-format")


def test_a_hint_that_is_refused_changes_nothing(bundled: TestClient) -> None:
    path = session(bundled, GREY, "")
    bundled.post(f"{path}/hints", json={"hints": HINTS})
    before = timeless(bundled.get(f"{path}/result").content)
    problem(bundled.post(f"{path}/hints", json={"hints": [{"x": 600, "y": 0, "color": "#ffffff"}]}), 422, "invalid-options")
    problem(bundled.post(f"{path}/hints", json={"hints": HINTS * 101}), 422, "invalid-options")
    problem(bundled.post(f"{path}/hints", json={"vividness": 2.1}), 422, "invalid-options")
    problem(bundled.post(f"{path}/hints", content=b"{", headers={"Content-Type": "application/json"}), 422, "invalid-options")
    assert timeless(bundled.get(f"{path}/result").content) == before


def test_a_model_without_distribution_says_so(small: TestClient) -> None:
    path = session(small)
    problem(small.get(f"{path}/suggestions?x=1&y=1"), 422, "invalid-options")
    problem(small.get(f"{path}/variants"), 422, "invalid-options")
    assert small.get(f"{path}/confidence").status_code == 200


def test_a_session_that_is_deleted_is_gone(small: TestClient) -> None:
    path = session(small)
    assert small.delete(path).status_code == 204
    for answer in (small.delete(path), small.get(path), small.post(f"{path}/hints", json={}), small.get(f"{path}/result")):
        problem(answer, 404, "no-session")
    assert small.app.state.service.sessions.bytes == sum(  # type: ignore[attr-defined]
        each.bytes
        for each in small.app.state.service.sessions._sessions.values()  # type: ignore[attr-defined]
    )


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def made(name: str = "") -> Session:
    return opened(turned(1), name, max_pixels=10_000)


def test_a_thousand_abandoned_sessions_are_gone_after_their_time() -> None:
    clock = Clock()
    store = Store(4 << 30, 60.0, clock=clock)
    kept = made()
    store.add(kept)
    for _ in range(1000):
        store.add(made())
    assert len(store) == 1001
    clock.now = 59.0
    assert store.get(kept.id) is kept
    clock.now = 60.0
    store.sweep()
    assert len(store) == 1
    assert store.bytes == kept.bytes
    clock.now = 119.0
    with pytest.raises(Problem, match="no such session"):
        store.get(kept.id)
    assert (len(store), store.bytes) == (0, 0)


def test_the_session_unused_for_longest_gives_way_to_a_new_one() -> None:
    one, two, three = made(), made(), made()
    store = Store(one.bytes * 2, 60.0)
    store.add(one)
    store.add(two)
    store.get(one.id)
    store.add(three)
    assert store.get(one.id) is one
    with pytest.raises(Problem):
        store.get(two.id)
    with pytest.raises(Problem, match="bytes of memory"):
        Store(1000, 60.0).add(made())


def test_a_photograph_too_large_for_the_memory_is_refused() -> None:
    with client(Settings(memory=400_000)) as found:
        problem(found.post("/v1/sessions", content=GREY), 413, "body-too-large")


def test_the_packed_model_is_small_whatever_the_size() -> None:
    low = np.zeros((2, 32, 48), np.float32)
    sizes = {len(packed_model(low, np.zeros((64 * scale, 96 * scale), np.uint8))) for scale in (2, 10, 30)}
    assert sizes == {12 + 2 * 128 * 192 * 8}
