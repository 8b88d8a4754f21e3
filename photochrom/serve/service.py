"""Hold what all requests share: the model, a bounded queue of work for a few threads, and figures for Prometheus."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, final

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from photochrom.colorizer.model import Model
from photochrom.serve.problems import Problem
from photochrom.serve.sessions import Store
from photochrom.serve.settings import Settings

T = TypeVar("T")

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the histogram, in seconds."""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
"""Any other method is counted as OTHER, so that no client adds series."""
SMOOTH = 0.1
"""Weight of the latest piece of work in the mean time that work takes."""
JSON_PART = 1 << 20
"""Bytes of a part of a form that is text, at most."""


@final
class Metrics:
    """Count what the server does; every method runs on the event loop."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._buckets: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}
        self._gauges: dict[str, tuple[str, Callable[[], float]]] = {}

    def gauge(self, name: str, help_text: str, value: Callable[[], float]) -> None:
        """Add a figure that is read when it is asked for."""
        self._gauges[name] = help_text, value

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request by the template of its route."""
        self._requests[method if method in METHODS else "OTHER", route, status] += 1
        buckets = self._buckets.setdefault(route, [0] * (len(BOUNDS) + 1))
        buckets[sum(seconds > bound for bound in BOUNDS)] += 1
        self._seconds[route] = self._seconds.get(route, 0.0) + seconds

    def text(self) -> str:
        """Write all figures in the text format."""
        lines = ["# HELP photochrom_requests_total Requests answered.", "# TYPE photochrom_requests_total counter"]
        for (method, route, status), count in sorted(self._requests.items()):
            lines.append(f'photochrom_requests_total{{method="{method}",route="{route}",status="{status}"}} {count}')
        name = "photochrom_request_seconds"
        lines += [f"# HELP {name} Time from the first byte of a request to the end of its answer.", f"# TYPE {name} histogram"]
        for route, buckets in sorted(self._buckets.items()):
            total = 0
            for bound, count in zip([*(f"{bound:g}" for bound in BOUNDS), "+Inf"], buckets, strict=True):
                total += count
                lines.append(f'{name}_bucket{{route="{route}",le="{bound}"}} {total}')
            lines += [f'{name}_sum{{route="{route}"}} {self._seconds[route]:.6f}', f'{name}_count{{route="{route}"}} {total}']
        for gauge, (help_text, value) in self._gauges.items():
            lines += [f"# HELP {gauge} {help_text}", f"# TYPE {gauge} gauge", f"{gauge} {value():g}"]
        return "\n".join(lines) + "\n"


@final
class Queue:
    """Run work in a few threads; what waits for them is bounded."""

    def __init__(self, workers: int, longest: int) -> None:
        """Make threads.

        Args:
            workers: threads.
            longest: pieces of work that may wait.
        """
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="serve")
        self._free = asyncio.Semaphore(workers)
        self._workers, self._longest = workers, longest
        self._seconds = 0.2
        self.waiting = self.running = 0

    async def run(self, request: Request, work: Callable[[], T]) -> T:
        """Run work in a thread as soon as one is free.

        Raises:
            Problem: too much work waits already, or the client has gone before its turn.
        """
        if self.waiting >= self._longest:
            seconds = max(1, math.ceil(self.waiting * self._seconds / self._workers))
            raise Problem("busy", f"{self.waiting} requests wait already; try again in {seconds} s", retry_after=seconds)
        self.waiting += 1
        try:
            await self._free.acquire()
        finally:
            self.waiting -= 1
        try:
            if await request.is_disconnected():
                raise Problem("client-gone", "the client closed the connection before its turn")
            future = asyncio.get_running_loop().run_in_executor(self._pool, self._timed, work)
        except BaseException:
            self._free.release()
            raise
        self.running += 1
        future.add_done_callback(self._done)
        # A request that is cancelled leaves its thread at work, and the thread's place taken until then.
        return await asyncio.shield(future)

    def close(self) -> None:
        """Drop what waits; what runs is finished."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _timed(self, work: Callable[[], T]) -> T:
        begin = time.monotonic()
        try:
            return work()
        finally:
            self._seconds += SMOOTH * (time.monotonic() - begin - self._seconds)

    def _done(self, future: asyncio.Future[T]) -> None:
        self.running -= 1
        self._free.release()
        if not future.cancelled():
            future.exception()  # it was seen, even if the request that asked is gone


@final
class Budget:
    """Count the bytes that uploads hold together."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.used = 0

    def take(self, count: int) -> None:
        """Take some bytes; raises Problem where they would be too many."""
        if self.used + count > self.total:
            raise Problem("busy", "the uploads on their way fill the memory; try again in 5 s", retry_after=5, close=True)
        self.used += count

    def give(self, count: int) -> None:
        """Give some bytes back."""
        self.used -= count


@final
class Service:
    """Hold what all requests share."""

    def __init__(self, settings: Settings, model: Model) -> None:
        self.settings = settings
        self.model = model
        self.metrics = Metrics()
        self.queue = Queue(settings.workers, settings.max_queue)
        self.uploads = Budget(settings.memory)
        self.sessions = Store(settings.memory, settings.session_seconds)
        self.draining = False
        self.metrics.gauge("photochrom_waiting", "Requests that wait for a thread.", lambda: self.queue.waiting)
        self.metrics.gauge("photochrom_running", "Requests that have a thread.", lambda: self.queue.running)
        self.metrics.gauge("photochrom_sessions", "Open sessions.", lambda: len(self.sessions))
        self.metrics.gauge("photochrom_session_bytes", "Bytes that open sessions hold.", lambda: self.sessions.bytes)
        self.metrics.gauge("photochrom_upload_bytes", "Bytes of uploads on their way.", lambda: self.uploads.used)


def service_of(request: Request) -> Service:
    """Give what all requests share."""
    found: Service = request.app.state.service
    return found


async def body_of(request: Request) -> bytes:
    """Read the body of a request, counted by the guard while it arrives; raises Problem if it is empty."""
    data = b"".join([part async for part in request.stream()])
    if not data:
        raise Problem("bad-request", "the body is empty: send the bytes of a file")
    return data


async def form_of(request: Request, *, most: int) -> FormData:
    """Read a form of several parts into memory, so that no part of it reaches the disk.

    Args:
        request: with a multipart body.
        most: bytes of a file.

    Raises:
        Problem: the form is malformed.
    """

    async def parts() -> AsyncGenerator[bytes, None]:
        async for part in request.stream():
            yield part

    parser = MultiPartParser(request.headers, parts(), max_files=3, max_fields=3, max_part_size=JSON_PART)
    parser.spool_max_size = most + 1
    try:
        return await parser.parse()
    except (MultiPartException, KeyError, ValueError) as error:
        raise Problem("bad-request", f"the multipart body is malformed: {error}") from error


async def file_of(form: FormData, name: str) -> tuple[bytes, str] | None:
    """Read a file of a form: its bytes and its name; none if there is no such part."""
    part = form.get(name)
    if part is None:
        return None
    if not isinstance(part, UploadFile):
        raise Problem("bad-request", f"the part '{name}' is no file: give it a file name")
    return await part.read(), part.filename or ""
