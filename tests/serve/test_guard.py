"""Hold the server's doors: hosts, origins, tokens, headers, and what an operator sees."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from photochrom.errors import OptionError
from photochrom.serve.settings import Settings, read_token
from tests.serve.test_colorize import problem
from tests.support.servers import PHOTOS, client

TOKEN = "0123456789abcdef"
ROUTES = ["/", "/docs", "/openapi.json", "/healthz", "/readyz", "/metrics", "/v1/model", "/v1/sessions/abc", "/nothing"]


@pytest.fixture(scope="module")
def local() -> Iterator[TestClient]:
    with client(Settings(names=("photos.example.org",))) as found:
        yield found


@pytest.fixture
def guarded() -> Iterator[TestClient]:
    with client(Settings(token=TOKEN)) as found:
        yield found


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost@evil", "a b"])
def test_a_foreign_host_is_refused_on_every_route(path: str, host: str, local: TestClient) -> None:
    problem(local.get(path, headers={"Host": host}), 403, "foreign-host")


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:9000", "http://127.0.0.1.evil.example:8000"]
)
def test_a_foreign_origin_is_refused_on_every_route(path: str, origin: str, local: TestClient) -> None:
    problem(local.get(path, headers={"Origin": origin}), 403, "foreign-origin")
    problem(local.post(path, headers={"Origin": origin}), 403, "foreign-origin")


def test_a_request_of_another_site_without_origin_is_refused(local: TestClient) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    problem(local.get("/v1/model", headers=headers), 403, "foreign-origin")
    assert local.get("/docs", headers=headers | {"Sec-Fetch-Mode": "navigate"}).status_code == 200


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8000", "localhost", "[::1]:8000", "192.168.0.7:8000", "photos.example.org", "PHOTOS.example.org"]
)
def test_the_servers_own_names_and_addresses_are_let_in(host: str, local: TestClient) -> None:
    headers = {"Host": host, "Origin": f"https://{host}"}
    assert local.get("/v1/model", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "header", [None, "Bearer", "Bearer wrong-token-of-16", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer é"]
)
@pytest.mark.parametrize("path", ["/v1/model", "/metrics", "/v1/sessions/abc"])
def test_a_missing_or_wrong_token_is_refused(path: str, header: str | None, guarded: TestClient) -> None:
    answer = guarded.get(path, headers={} if header is None else {"Authorization": header.encode("latin-1")})
    problem(answer, 401, "no-token")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_the_token_lets_in_but_not_in_an_address(guarded: TestClient) -> None:
    assert guarded.get("/v1/model", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    problem(guarded.get(f"/v1/model?token={TOKEN}"), 401, "no-token")


def test_a_browser_trades_the_token_for_a_cookie(guarded: TestClient) -> None:
    problem(guarded.post("/v1/login", json={"token": "wrong"}), 401, "no-token")
    answer = guarded.post("/v1/login", json={"token": TOKEN})
    assert answer.status_code == 204
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie
    assert TOKEN not in cookie
    assert guarded.get("/v1/model").status_code == 200
    guarded.cookies.clear()
    problem(guarded.get("/v1/model", headers={"Cookie": f"photochrom={TOKEN}"}), 401, "no-token")


def test_the_cookie_is_secure_behind_https(guarded: TestClient) -> None:
    answer = guarded.post("/v1/login", json={"token": TOKEN}, headers={"X-Forwarded-Proto": "https"})
    assert "Secure" in answer.headers["set-cookie"]


def test_the_page_and_its_health_need_no_token(guarded: TestClient) -> None:
    for path in ("/", "/docs", "/openapi.json", "/healthz", "/readyz"):
        assert guarded.get(path).status_code == 200


def test_every_answer_carries_the_headers_of_safety(local: TestClient) -> None:
    for path in ROUTES:
        answer = local.get(path)
        assert answer.headers["content-security-policy"].startswith("default-src 'self';")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["server-timing"].startswith("total;dur=")
        assert len(answer.headers["x-request-id"]) == 16
    assert local.get("/v1/model").headers["cache-control"] == "no-store"


def test_a_request_id_is_kept_if_it_is_a_plain_word(local: TestClient) -> None:
    assert local.get("/healthz", headers={"X-Request-Id": "abc-1_2"}).headers["x-request-id"] == "abc-1_2"
    assert local.get("/healthz", headers={"X-Request-Id": "a b<script>"}).headers["x-request-id"] != "a b<script>"


def test_metrics_name_routes_by_their_templates() -> None:
    with client() as found:
        photo = (PHOTOS / "camera.jpg").read_bytes()
        one = found.post("/v1/sessions", content=photo).json()["id"]
        found.get(f"/v1/sessions/{one}")
        found.get("/v1/sessions/secret-name")
        found.get("/wp-admin/secret-name")
        found.request("BREW", "/healthz")
        text = found.get("/metrics").text
    assert 'photochrom_requests_total{method="GET",route="/v1/sessions/{identity}",status="200"} 1' in text
    assert 'photochrom_requests_total{method="GET",route="/v1/sessions/{identity}",status="404"} 1' in text
    assert 'method="OTHER"' in text and "BREW" not in text
    assert 'photochrom_request_seconds_bucket{route="/v1/sessions",le="+Inf"} 1' in text
    assert "photochrom_sessions 1" in text
    assert "secret-name" not in text and one not in text


def test_a_full_queue_answers_503_with_retry_after() -> None:
    with client(Settings(max_queue=1)) as found:
        found.app.state.service.queue.waiting = 1  # type: ignore[attr-defined]
        photo = (PHOTOS / "camera.jpg").read_bytes()
        for answer in (found.post("/v1/colorize", content=photo), found.get("/readyz")):
            problem(answer, 503, "busy")
            assert int(answer.headers["retry-after"]) >= 1


def test_a_server_that_ends_takes_on_nothing() -> None:
    with client() as found:
        found.app.state.service.draining = True  # type: ignore[attr-defined]
        for path in ("/v1/model", "/readyz"):
            answer = found.get(path)
            problem(answer, 503, "busy")
            assert answer.headers["retry-after"]
        assert found.get("/healthz").text == "ok\n"


def test_an_open_address_needs_a_token() -> None:
    for host in ("0.0.0.0", "192.168.0.7", "::", "photos.example.org"):
        with pytest.raises(OptionError, match="give a token"):
            Settings(host=host)
        assert Settings(host=host, token=TOKEN).host == host
    assert Settings(host="::1").token is None
    with pytest.raises(OptionError, match="expected 16 or more"):
        Settings(token="short")
    with pytest.raises(OptionError, match="port is 70000"):
        Settings(port=70000)
    with pytest.raises(OptionError, match="max_queue is 0"):
        Settings(max_queue=0)
    assert TOKEN not in repr(Settings(token=TOKEN))


def test_a_token_is_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    assert read_token(tmp_path / "token") == TOKEN
    with pytest.raises(OptionError, match="cannot read the token file"):
        read_token(tmp_path / "none")
