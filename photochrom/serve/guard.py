"""Guard every request: whom it comes from, what it may do, how long its body is; and complete every answer's headers."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import secrets
import time
from typing import final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from photochrom.serve.problems import Problem, answer
from photochrom.serve.service import Service
from photochrom.serve.settings import Settings

COOKIE = "photochrom"
"""Name of the cookie that stands for the token in a browser."""
PROTECTED = ("/v1/", "/metrics")
"""Paths that need the token; the rest holds nothing of anybody."""
LOGIN = "/v1/login"
JSON_BODY = 1 << 20
"""Bytes of a body that is JSON, at most."""
POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@final
class Guard:
    """Let a request in, or answer it with a problem."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin, service, headers = time.perf_counter(), self._service, Headers(scope=scope)
        given = headers.get("x-request-id", "")
        identity = given if REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = identity
        status, held, private = 500, 0, scope["path"].startswith(PROTECTED)
        counted = not scope["path"].startswith("/v1/jobs")  # films go to the disk as they arrive
        limit, received = body_limit(scope["path"], scope["method"], service.settings), 0

        async def counting() -> Message:
            nonlocal received, held
            message = await receive()
            if message["type"] == "http.request":
                size = len(message.get("body", b""))
                received += size
                if received > limit:
                    raise _too_large(limit)
                if counted:
                    service.uploads.take(size)
                    held += size
            return message

        async def completing(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                complete = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    complete.setdefault(name, value)
                complete["X-Request-Id"] = identity
                complete["Server-Timing"] = f"total;dur={1000 * (time.perf_counter() - begin):.1f}"
                if private:
                    complete.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            check_host(headers, service.settings)
            check_token(headers, scope["path"], service.settings.token)
            announced = headers.get("content-length", "0")
            if announced.isascii() and announced.isdigit() and int(announced) > limit:
                raise _too_large(limit)
            if service.draining and private:
                raise Problem("busy", "the server is shutting down; try again in 10 s", retry_after=10, close=True)
        except Problem as problem:
            await answer(problem)(scope, receive, completing)
        else:
            await self._app(scope, counting, completing)
        finally:
            service.uploads.give(held)
            route = getattr(scope.get("route"), "path", "other")
            service.metrics.request(scope["method"], route, status, time.perf_counter() - begin)


def body_limit(path: str, method: str, settings: Settings) -> int:
    """Give the bytes that the body of a request may have."""
    if method == "POST" and path == "/v1/jobs":
        return settings.max_film
    photographs = path in ("/v1/colorize", "/v1/sessions") or path.endswith("/reference")
    return settings.max_body if photographs else JSON_BODY


def check_host(headers: Headers, settings: Settings) -> None:
    """Refuse a request by a name that is not the server's (DNS rebinding), or sent by another site's page.

    An IP address cannot be rebound, so each is taken for the server's.

    Raises:
        Problem: the host or the origin is foreign.
    """
    hosts = headers.getlist("host")
    host = hosts[0].lower() if len(hosts) == 1 else ""
    name = _name(host)
    known = {"localhost", settings.host.lower(), *(each.lower() for each in settings.names)}
    if not name or not (name in known or _is_address(name)):
        got = f"this server is not called '{name}'; if it should be, start it with --name {name or 'NAME'}"
        raise Problem("foreign-host", got, close=True)
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin.lower()).netloc != host:
        raise Problem("foreign-origin", f"the page that sent this is of {origin}, not of {host}", close=True)
    if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate":
        raise Problem("foreign-origin", "the page that sent this is of another site", close=True)


def check_token(headers: Headers, path: str, token: str | None) -> None:
    """Refuse a request without the token, which a program sends as a header and a browser as a cookie.

    Raises:
        Problem: the token is missing or wrong.
    """
    if token is None or path == LOGIN or not path.startswith(PROTECTED):
        return
    kind, _, given = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and is_token(given.strip(), token):
        return
    cookies = (part.strip().partition("=") for part in headers.get("cookie", "").split(";"))
    stand_in = next((value for name, _, value in cookies if name == COOKIE), "")
    if not hmac.compare_digest(stand_in.encode("utf-8", "replace"), cookie_for(token).encode()):
        raise Problem("no-token", "send the header 'Authorization: Bearer TOKEN' with the server's token", close=True)


def is_token(given: str, token: str) -> bool:
    """Compare a token in a time that does not depend on it."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())


def cookie_for(token: str) -> str:
    """Derive the cookie's value from the token, so that no browser stores the token itself."""
    return hmac.new(token.encode(), b"photochrom cookie", hashlib.sha256).hexdigest()


def _too_large(limit: int) -> Problem:
    return Problem("body-too-large", f"over the limit of {limit:,} bytes; send a smaller file, or raise --max-body", close=True)


def _name(host: str) -> str:
    """Give a host without its port and brackets; nothing if it is malformed."""
    found = re.fullmatch(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?", host)
    return found[1].strip("[]") if found else ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
