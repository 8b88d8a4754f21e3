"""Define how a server listens, whom it lets in, and how much it takes on."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field
from pathlib import Path

from photochrom.errors import OptionError

TOKEN_CHARACTERS = 16
"""Shorter tokens could be guessed."""


@dataclass(frozen=True)
class Settings:
    """Say how a server listens, whom it lets in, and how much it takes on."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = 8000
    """TCP port to listen on; 0 takes a free one."""
    token: str | None = field(default=None, repr=False)
    """Secret that every request to the API must carry; needed on any address but the loopback."""
    names: tuple[str, ...] = ()
    """Host names by which browsers reach the server, besides localhost and IP addresses."""
    max_pixels: int = 100_000_000
    """Photographs with more pixels than this are refused before they are decoded."""
    max_body: int = 256 << 20
    """Bytes of a photograph's file at most."""
    max_film: int = 8 << 30
    """Bytes of a film's file at most."""
    max_queue: int = 64
    """Requests that wait for a processor at most; further ones get 503."""
    max_jobs: int = 4
    """Films that wait or are being colored at most; further ones get 429."""
    memory: int = 1 << 30
    """Bytes that uploads on their way may hold together, and as many again that open sessions may hold."""
    model: Path | None = None
    """A model file; None takes the one in the package. Each film loads it in a process of its own."""
    session_seconds: float = 1800.0
    """A session that is not used for so long is dropped."""
    job_seconds: float = 24 * 3600.0
    """A film that was finished so long ago is deleted."""
    workers: int = (os.cpu_count() or 1) + 1
    """Photographs that are worked on at the same time, each with one thread."""

    def __post_init__(self) -> None:
        """Refuse values out of range, and an open address without a token."""
        if not 0 <= self.port <= 65535:
            raise OptionError(f"port is {self.port}: expected 0 (any free one) to 65535")
        for name in ("max_pixels", "max_body", "max_film", "max_queue", "max_jobs", "memory", "workers"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name} is {getattr(self, name)}: expected 1 or more")
        if self.token is not None and (len(self.token) < TOKEN_CHARACTERS or not self.token.isascii()):
            got = f"the token has {len(self.token)} characters"
            expected = f"{TOKEN_CHARACTERS} or more, all of them ASCII"
            raise OptionError(f"{got}: expected {expected}; `openssl rand -hex 32` makes one")
        if self.token is None and not is_loopback(self.host):
            raise OptionError(f"host is {self.host}, which others can reach: give a token (--token FILE), or use 127.0.0.1")


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def read_token(path: Path) -> str:
    """Read a token from a file, without the white space around it.

    Raises:
        OptionError: the file cannot be read.
    """
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise OptionError(f"cannot read the token file '{path}': {reason}; expected one line of text") from error
