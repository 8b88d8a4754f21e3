"""Run the application on a socket, close slow connections, keep memory flat, and end in order."""

from __future__ import annotations

import asyncio
import ctypes
import signal
import socket
import struct
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, final

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from photochrom.colorizer.model import Model
from photochrom.errors import OptionError
from photochrom.serve.app import create_app
from photochrom.serve.service import Service
from photochrom.serve.settings import Settings

WINDOW_SECONDS = 7.0
"""A client that stalls over a whole window is cut off, so within two of them at most."""
LEAST_BYTES = 1024
"""A client that is to send, and sends less than this in a window, stalls."""
RESET = struct.pack("ii", 1, 0)
"""The value of ``SO_LINGER`` that drops what was not sent."""
HEADER_BYTES = 64 << 10
KEEP_ALIVE_SECONDS = 5
DRAIN_SECONDS = 8
"""Requests that run when the server is told to end have so long to finish."""

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
"""Parameters of glibc's ``mallopt``."""
LARGE_BYTES = 1 << 20
ARENAS = 2


@final
class TimedProtocol(H11Protocol):
    """Close connections whose client is silent or too slow, which uvicorn keeps open for good."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to watch a connection."""
        super().connection_made(transport)
        self._received = 0
        self._seen: tuple[bool, Any, int] = (True, None, 0)
        self._timer = self.loop.call_later(WINDOW_SECONDS, self._check)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop watching."""
        self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what arrives."""
        self._received += len(data)
        super().data_received(data)

    def _check(self) -> None:
        """Close the connection if its client stalled over the whole window: it did not send, or not read."""
        receiving = self.conn.their_state in (h11.IDLE, h11.SEND_BODY) and not self.flow.read_paused
        unsent = self.transport.get_write_buffer_size()
        waited, cycle, unsent_before = self._seen
        silent = receiving and waited and cycle is self.cycle and self._received < LEAST_BYTES
        if silent or 0 < unsent == unsent_before:
            # Reset it: the system would go on trying to send what a client does not read.
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self.transport.abort()
            return
        self._seen, self._received = (receiving, self.cycle, unsent), 0
        self._timer = self.loop.call_later(WINDOW_SECONDS, self._check)


@final
class _Server(uvicorn.Server):
    """Tell when the server listens, and take on no new work once it is to end."""

    def __init__(self, config: uvicorn.Config, service: Service, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._service, self._announce = service, announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._announce()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._service.draining = True
        super().handle_exit(sig, frame)


def run(settings: Settings, *, announce: Callable[[str], None]) -> None:
    """Serve until the process is told to end by SIGINT or SIGTERM; requests that run are finished first.

    Args:
        settings: limits and access.
        announce: is called with the server's address as soon as it listens.

    Raises:
        OptionError: the address cannot be listened on.
        ModelError: the model is missing or damaged.
    """
    keep_memory_flat()
    listening = _listen(settings)
    port = listening.getsockname()[1]
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    app = create_app(settings, Model.load(settings.model, threads=1))
    config = uvicorn.Config(
        app,
        http=TimedProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        h11_max_incomplete_event_size=HEADER_BYTES,
    )
    server = _Server(config, app.state.service, lambda: announce(f"http://{host}:{port}/"))
    # uvicorn raises the signals that it caught once more after it has ended; that is no failure.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    with listening:
        server.run([listening])


def _listen(settings: Settings) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        return socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    except OSError as error:
        got = f"cannot listen on {settings.host}, port {settings.port}: {error.strerror or error}"
        raise OptionError(f"{got}; choose another one (--host, --port)") from error


def keep_memory_flat() -> None:
    """Have glibc give large blocks back to the system at once, and use few arenas; elsewhere nothing is to be done."""
    if sys.platform != "linux":
        return
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is None:
        return
    for parameter, value in ((M_MMAP_THRESHOLD, LARGE_BYTES), (M_TRIM_THRESHOLD, 16 * LARGE_BYTES), (M_ARENA_MAX, ARENAS)):
        set_option(parameter, value)
