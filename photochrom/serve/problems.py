"""Say what went wrong as problem+json (RFC 9457): one ``type`` for each kind of problem."""

from __future__ import annotations

import http
import logging
from typing import Any, final

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from photochrom.errors import OptionError, OutputError, PhotochromError, SizeError, one_line

MEDIA_TYPE = "application/problem+json"
TYPE = "urn:photochrom:problem:"

KINDS: dict[str, tuple[int, str]] = {
    "bad-request": (400, "The request is malformed"),
    "no-token": (401, "A token is needed"),
    "foreign-host": (403, "The host name is not one of this server's"),
    "foreign-origin": (403, "The request comes from another site"),
    "not-found": (404, "There is nothing at this address"),
    "no-session": (404, "The session is gone"),
    "no-job": (404, "The job is gone"),
    "wrong-method": (405, "The address does not take this method"),
    "not-acceptable": (406, "The result cannot have the format asked for"),
    "not-finished": (409, "The film is not finished"),
    "body-too-large": (413, "The upload is too large"),
    "too-many-pixels": (413, "The photograph has too many pixels"),
    "unknown-format": (415, "The file is not a photograph of a known format"),
    "invalid-options": (422, "The options make no sense"),
    "unreadable-photograph": (422, "The photograph cannot be read"),
    "unreadable-film": (422, "The film cannot be read"),
    "in-color": (422, "The photograph is in color already"),
    "cannot-be-written": (422, "The result cannot be written as asked"),
    "key-reused": (422, "The idempotency key was used for another film"),
    "too-many-jobs": (429, "Too many films are waiting"),
    "client-gone": (499, "The client closed the connection"),
    "internal-error": (500, "The server failed"),
    "no-films": (501, "This server colors no films"),
    "busy": (503, "The server is busy"),
    "no-space": (507, "The server's disk is full"),
}
"""Status and title of each kind of problem."""
BY_STATUS = {400: "bad-request", 404: "not-found", 405: "wrong-method"}
"""What stands for an error of the web framework."""

log = logging.getLogger("photochrom.serve")


class ProblemBody(BaseModel):
    """Say what went wrong (RFC 9457)."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": f"{TYPE}too-many-pixels",
                "title": KINDS["too-many-pixels"][1],
                "status": 413,
                "detail": "20000 x 10000 = 200,000,000 pixels, over the limit of 100,000,000",
            }
        }
    )

    type: str
    title: str
    status: int
    detail: str


@final
class Problem(HTTPException):
    """A request cannot be answered, for a reason that has a kind."""

    def __init__(self, kind: str, detail: str, *, retry_after: int | None = None, close: bool = False) -> None:
        """Describe a problem.

        Args:
            kind: a key of ``KINDS``.
            detail: what happened, what was expected and what to do.
            retry_after: seconds until another try makes sense.
            close: whether the connection ends, since what is left of the body is not read.
        """
        self.kind = kind
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        if close:
            headers["Connection"] = "close"
        if kind == "no-token":
            headers["WWW-Authenticate"] = "Bearer"
        super().__init__(KINDS[kind][0], detail, headers)

    def body(self) -> dict[str, Any]:
        """Give the body of the answer."""
        return {"type": TYPE + self.kind, "title": KINDS[self.kind][1], "status": self.status_code, "detail": self.detail}


def answer(problem: Problem) -> JSONResponse:
    """Make the response for a problem."""
    return JSONResponse(problem.body(), problem.status_code, dict(problem.headers or {}), MEDIA_TYPE)


def problem_of(error: PhotochromError) -> Problem:
    """Find the kind of an error of the colorizer."""
    causes: list[BaseException] = [error]
    while causes[-1].__cause__ is not None:
        causes.append(causes[-1].__cause__)
    if any(isinstance(cause, SizeError) for cause in causes):
        return Problem("too-many-pixels", one_line(error))
    if isinstance(error, OptionError):
        return Problem("invalid-options", one_line(error))
    if isinstance(error, OutputError):
        return Problem("cannot-be-written", one_line(error))
    return Problem("unreadable-photograph", one_line(error))


async def on_http_error(_: Request, error: Exception) -> JSONResponse:
    """Answer an error of the web framework, or a problem."""
    assert isinstance(error, HTTPException)
    if isinstance(error, Problem):
        return answer(error)
    kind = BY_STATUS.get(error.status_code, "bad-request")
    body = {
        "type": TYPE + kind,
        "title": http.HTTPStatus(error.status_code).phrase if error.status_code not in BY_STATUS else KINDS[kind][1],
        "status": error.status_code,
        "detail": str(error.detail),
    }
    return JSONResponse(body, error.status_code, dict(error.headers or {}), MEDIA_TYPE)


async def on_invalid(_: Request, error: Exception) -> JSONResponse:
    """Answer a request whose parameters or JSON do not fit the schema."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return answer(Problem("invalid-options", f"{where}: {first['msg']}"))


async def on_colorizer_error(_: Request, error: Exception) -> JSONResponse:
    """Answer an error that the colorizer raised on purpose."""
    assert isinstance(error, PhotochromError)
    return answer(problem_of(error))


async def on_gone(_: Request, __: Exception) -> JSONResponse:
    """End a request whose client closed the connection before its body was whole; nobody reads the answer."""
    return answer(Problem("client-gone", "the client closed the connection"))


async def on_failure(request: Request, error: Exception) -> JSONResponse:
    """Answer an error that nobody expected, and log it."""
    identity = request.scope.get("state", {}).get("request_id", "")
    log.error("request %s failed", identity, exc_info=error)
    return answer(Problem("internal-error", f"an unexpected error; the server's log has it under request {identity}"))
