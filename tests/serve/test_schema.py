"""Hold the server to its OpenAPI schema: schemathesis makes requests from it, malformed ones too."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.support.servers import PHOTOS, running

schemathesis = pytest.importorskip("schemathesis", reason="the schema is tested with schemathesis: pip install schemathesis")
checks = pytest.importorskip("schemathesis.specs.openapi.checks")

GREY = (PHOTOS / "camera.jpg").read_bytes()
ROUTES = {
    "/v1/colorize",
    "/v1/sessions",
    "/v1/sessions/{identity}",
    "/v1/sessions/{identity}/hints",
    "/v1/sessions/{identity}/suggestions",
    "/v1/sessions/{identity}/confidence",
    "/v1/sessions/{identity}/doubts",
    "/v1/sessions/{identity}/variants",
    "/v1/sessions/{identity}/reference",
    "/v1/sessions/{identity}/luma",
    "/v1/sessions/{identity}/picture",
    "/v1/sessions/{identity}/result",
    "/v1/jobs",
    "/v1/jobs/{identity}",
    "/v1/jobs/{identity}/events",
    "/v1/jobs/{identity}/result",
    "/v1/jobs/{identity}/preview",
    "/v1/model",
    "/v1/login",
    "/healthz",
    "/readyz",
    "/metrics",
}


@pytest.fixture(scope="module")
def api() -> Iterator[tuple[str, str]]:
    """Run the server with one open session; give its address and the session's name."""
    with running("--max-pixels", "1000000") as (address, _):
        with urllib.request.urlopen(urllib.request.Request(f"{address}v1/sessions", GREY)) as answer:
            session = json.load(answer)["id"]
        yield address, session


def test_the_schema_names_every_route_and_each_says_what_it_does(api: tuple[str, str]) -> None:
    with urllib.request.urlopen(f"{api[0]}openapi.json") as answer:
        document = json.load(answer)
    assert document["paths"].keys() == ROUTES
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], (method, path)
            assert operation["description"], (method, path)


@pytest.mark.parametrize("path", sorted(ROUTES))
def test_every_answer_fits_the_schema(path: str, api: tuple[str, str]) -> None:
    address, session = api
    operations = [each.ok() for each in schemathesis.openapi.from_url(f"{address}openapi.json").get_all_operations()]
    found = [each for each in operations if each.path == path]
    assert found

    for operation in found:

        @given(case=operation.as_strategy())
        @settings(max_examples=10, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        def check(case: Any) -> None:
            if case.path_parameters and case.method != "DELETE":
                case.path_parameters["identity"] = session
            response = case.call(base_url=address.rstrip("/"))
            assert response.status_code < 500
            # The schema cannot say how large a photograph is, or that bytes are a film: 422 is right for those.
            case.validate_response(response, excluded_checks=[checks.positive_data_acceptance])

        check()
