"""Run the command itself: how it begins and ends, slow clients, many clients, nothing on disk."""

from __future__ import annotations

import http.client
import io
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image

from photochrom.serve.server import DRAIN_SECONDS, WINDOW_SECONDS
from tests.support.models import run
from tests.support.servers import PHOTOS, ROOT, running

GREY = (PHOTOS / "camera.jpg").read_bytes()
FOREVER = 2 * WINDOW_SECONDS + 5


def post(address: str, data: bytes = GREY) -> tuple[int, bytes, dict[str, str]]:
    place = urlsplit(address)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
    connection.request("POST", "/v1/colorize", data)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body, {name.lower(): value for name, value in answer.getheaders()}


def test_the_command_says_where_it_listens_and_ends_in_order() -> None:
    with running() as (address, process):
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(f"{address}healthz") as answer:
            assert answer.read() == b"ok\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=DRAIN_SECONDS + 2) == 0
        assert process.stderr is not None
        assert process.stderr.read() == "Photochrom has ended\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_requests_that_run_are_finished_first(number: signal.Signals) -> None:
    with running() as (address, process), ThreadPoolExecutor(12) as pool:
        answers = [pool.submit(post, address) for _ in range(12)]
        while not any(each.done() for each in answers):
            time.sleep(0.01)
        process.send_signal(number)
        assert process.wait(timeout=DRAIN_SECONDS + 2) == 0
        statuses = Counter(each.result()[0] for each in answers if each.exception() is None)
    assert statuses[200] >= 1
    assert set(statuses) <= {200, 503}


def test_an_address_that_is_taken_and_a_missing_token_are_said_in_one_line(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert run("serve", "--port", str(taken.getsockname()[1])) == 2
    assert "cannot listen on 127.0.0.1, port" in capfd.readouterr().err
    assert run("serve", "--host", "0.0.0.0") == 2
    assert "give a token" in capfd.readouterr().err
    assert run("serve", "--token", str(tmp_path / "none")) == 2
    assert "cannot read the token file" in capfd.readouterr().err


SLOW = {
    "silent": b"",
    "half a header": b"POST /v1/colorize HTTP/1.1\r\nHost: 127.0.0.1\r\nX-",
    "no body": b"POST /v1/colorize HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\n",
    "half a body": b"POST /v1/colorize HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\n" + bytes(5000),
    "half a chunk": b"POST /v1/colorize HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\nabc",
    "half JSON": b"POST /v1/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{",
}


def test_slow_connections_are_closed_while_others_are_served() -> None:
    with running() as (address, _):
        place = urlsplit(address)
        began = time.monotonic()
        waiting: dict[socket.socket, str] = {}
        for name, start in SLOW.items():
            for _ in range(50):
                one = socket.create_connection((place.hostname or "", place.port))
                one.sendall(start)
                waiting[one] = name
        dripping = threading.Event()

        def drip(connections: list[socket.socket]) -> None:
            while not dripping.wait(1):
                for one in connections:
                    try:
                        one.sendall(b"a")
                    except OSError:
                        connections = [each for each in connections if each is not one]

        slow = [one for one, name in waiting.items() if name == "half a header"]
        thread = threading.Thread(target=drip, args=[slow])
        thread.start()
        try:
            served, closed_after = 0, 0.0
            while waiting and time.monotonic() - began < FOREVER:
                served += post(address)[0] == 200
                for one in select.select(list(waiting), [], [], 0)[0]:
                    try:
                        ended = not one.recv(65536)
                    except ConnectionError:
                        ended = True
                    if ended:
                        closed_after = time.monotonic() - began
                        waiting.pop(one)
                        one.close()
        finally:
            dripping.set()
            thread.join()
        assert not waiting, Counter(waiting.values())
        assert closed_after <= 15 + 1
        assert served >= 10


def test_a_client_that_never_reads_is_closed() -> None:
    with running() as (address, _):
        place = urlsplit(address)
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.connect((place.hostname, place.port))
        buffer = io.BytesIO()
        Image.open(io.BytesIO(GREY)).resize((2600, 2600)).save(buffer, "JPEG", quality=50)
        large = buffer.getvalue()  # 20 MB in color as BMP, more than the system buffers
        header = f"POST /v1/colorize HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: image/bmp\r\nContent-Length: {len(large)}\r\n\r\n"
        one.sendall(header.encode() + large)
        deadline, closed = time.monotonic() + FOREVER + 5, False
        poll = select.poll()
        poll.register(one, select.POLLERR | select.POLLHUP)
        while time.monotonic() < deadline and not closed:
            closed = bool(poll.poll(500))
        one.close()
        assert closed


def test_many_clients_are_served_and_what_is_too_much_gets_503() -> None:
    with running("--max-queue", "4") as (address, _), ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda _: post(address), range(96)))
    statuses = Counter(status for status, _, _ in answers)
    assert set(statuses) == {200, 503}
    assert statuses[200] >= 7  # three at work and four that wait
    for status, body, headers in answers:
        if status == 503:
            assert int(headers["retry-after"]) >= 1
            assert headers["content-type"] == "application/problem+json"
            assert b"urn:photochrom:problem:busy" in body
    with running() as (address, _), ThreadPoolExecutor(32) as pool:
        assert Counter(status for status, _, _ in pool.map(lambda _: post(address), range(64))) == {200: 64}


def test_no_file_is_left_and_none_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with running() as (address, process):
        opened = Path(f"/proc/{process.pid}/io").read_text()
        for _ in range(5):
            assert post(address)[0] == 200
        boundary = b"x" * 30
        form = b"--" + boundary + b'\r\nContent-Disposition: form-data; name="photo"; filename="../../a.jpg"\r\n\r\n' + GREY
        form += b"\r\n--" + boundary + b"--\r\n"
        kind = {"Content-Type": f"multipart/form-data; boundary={boundary.decode()}"}
        with urllib.request.urlopen(urllib.request.Request(f"{address}v1/colorize", form, kind)) as answer:
            assert 'filename="a.color.jpg"' in answer.headers["Content-Disposition"]
        written = Path(f"/proc/{process.pid}/io").read_text()
        assert list(tmp_path.iterdir()) == []
    counts = [int(text.split("\nwrite_bytes: ")[1].split()[0]) for text in (opened, written)]
    assert counts[1] - counts[0] < 4096 * 4, "nothing reaches the disk"
    assert list(tmp_path.iterdir()) == []


def test_the_example_of_a_client_corrects_a_photograph(tmp_path: Path) -> None:
    script, target = ROOT / "examples/client.py", tmp_path / "result.jpg"
    with running() as (address, _):
        command = [sys.executable, str(script), str(PHOTOS / "astronaut.jpg"), str(target), address.rstrip("/")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert "likely at 256, 256" in done.stdout
        assert target.read_bytes()[:3] == b"\xff\xd8\xff"
        command[2] = str(script)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("415: not a photograph of a known kind")
