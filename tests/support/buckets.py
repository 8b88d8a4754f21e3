"""Serve buckets on this machine, with versions, and with faults where a test asks for them."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

SECRET = "never-print-this-key"
BUSY = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


class Buckets:
    """A server of buckets; counts requests, and refuses those as a busy server does while ``refuse`` says so."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.refuse: Callable[[], bool] = lambda: False
        self.cut: Callable[[], bool] = lambda: False
        self._lock = threading.Lock()
        self._application = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._serve, threaded=True, request_handler=Quiet)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        keys = {"aws_access_key_id": "testing", "aws_secret_access_key": SECRET, "region_name": "us-east-1"}
        self.client: Any = boto3.client("s3", endpoint_url=self.url, **keys)

    def close(self) -> None:
        self._server.shutdown()

    def make(self, name: str) -> None:
        """Make a bucket that keeps all versions."""
        self.client.create_bucket(Bucket=name)
        self.client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})

    def put(self, bucket: str, key: str, data: bytes) -> None:
        self.client.put_object(Bucket=bucket, Key=key, Body=data)

    def read(self, bucket: str) -> dict[str, bytes]:
        """Return all objects by their keys."""
        return {key: self.client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in self.versions(bucket)}

    def versions(self, bucket: str) -> Counter[str]:
        """Return how many versions each object has, of those that are there now."""
        pages = self.client.get_paginator("list_object_versions").paginate(Bucket=bucket)
        found: list[dict[str, Any]] = [version for page in pages for version in page.get("Versions", [])]
        there = {version["Key"] for version in found if version["IsLatest"]}
        return Counter(version["Key"] for version in found if version["Key"] in there)

    def _serve(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        with self._lock:
            self.requests[method] += 1
            if self.cut():
                environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
                raise ConnectionError("cut by a test")
            if self.refuse():
                start("503 Slow Down", [("Content-Type", "application/xml")])
                return [BUSY]
        return self._application(environ, start)


class Quiet(MotoRequestHandler):
    def log(self, *_: object) -> None:
        pass


@contextmanager
def serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[Buckets]:
    """Serve buckets, and let this process and its children find them."""
    buckets = Buckets()
    environment = {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_ENDPOINT_URL": buckets.url,
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    try:
        yield buckets
    finally:
        buckets.close()
