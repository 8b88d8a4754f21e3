"""Correct a photograph over HTTP: open a session, give a point its likeliest other color, and save the result.

Start ``photochrom serve`` first, then run: python examples/client.py PHOTO RESULT [ADDRESS]
"""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote


def call(address: str, method: str = "GET", body: bytes | None = None, headers: Mapping[str, str] | None = None) -> bytes:
    """Make a request; a problem of the server becomes the message of the program."""
    try:
        with urllib.request.urlopen(urllib.request.Request(address, body, dict(headers or {}), method=method)) as answer:
            found: bytes = answer.read()
            return found
    except urllib.error.HTTPError as error:
        sys.exit(f"{error.code}: {json.load(error)['detail']}")


def main(photo: Path, result: Path, server: str = "http://127.0.0.1:8000") -> None:
    """Color a photograph with one hint."""
    created: dict[str, Any] = json.loads(
        call(f"{server}/v1/sessions", "POST", photo.read_bytes(), {"X-File-Name": quote(photo.name)})
    )
    session = f"{server}/v1/sessions/{created['id']}"
    point = {"x": created["width"] // 2, "y": created["height"] // 2}
    likely = json.loads(call(f"{session}/suggestions?x={point['x']}&y={point['y']}"))
    for each in likely:
        print(f"{each['color']}: {each['share']:.0%} likely at {point['x']}, {point['y']}")
    hints = [{**point, "color": likely[min(1, len(likely) - 1)]["color"]}]
    call(f"{session}/hints", "POST", json.dumps({"hints": hints}).encode(), {"Content-Type": "application/json"})
    result.write_bytes(call(f"{session}/result"))
    call(session, "DELETE")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:4])
