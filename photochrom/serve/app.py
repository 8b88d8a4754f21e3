"""Put the application together: the API, the page, its documentation, and what an operator watches."""

from __future__ import annotations

import asyncio
import importlib.util
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import FileResponse, PlainTextResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.staticfiles import StaticFiles

from photochrom.colorizer.model import Model
from photochrom.errors import PhotochromError
from photochrom.serve import corrections, jobs, photographs, problems
from photochrom.serve.guard import COOKIE, Guard, cookie_for, is_token
from photochrom.serve.options import MEDIA_TYPES, ColorizeOptions
from photochrom.serve.photographs import problems as described
from photochrom.serve.problems import Problem, ProblemBody
from photochrom.serve.service import Service, service_of
from photochrom.serve.settings import Settings
from photochrom.version import __version__

STATIC = Path(__file__).parent / "static"
SWEEP_SECONDS = 5.0
"""Sessions and films whose time is over are looked for so often."""

router = APIRouter()


class ModelBody(BaseModel):
    """Say what the model and the server can do."""

    name: str
    sha256: str
    version: str
    hints: bool
    palettes: bool
    confidence: bool
    films: bool
    formats: list[str]
    max_pixels: int
    max_body: int


class Login(BaseModel):
    """Hold the token that a person typed."""

    token: Annotated[str, Field(max_length=4096)]


@router.get("/v1/model", tags=["server"], summary="Describe the model and the limits", responses=described())
async def model(request: Request) -> ModelBody:
    """Say which model colors the photographs, what it takes, and what the server's limits are."""
    service = service_of(request)
    card = service.model.card
    return ModelBody(
        name=card.name,
        sha256=service.model.hash,
        version=__version__,
        hints=card.clickable,
        palettes=card.palettes,
        confidence=bool(card.confidence),
        films=importlib.util.find_spec("av") is not None,
        formats=list(MEDIA_TYPES.values()),
        max_pixels=service.settings.max_pixels,
        max_body=service.settings.max_body,
    )


@router.post("/v1/login", status_code=204, tags=["server"], summary="Trade the token for a cookie", responses=described(422))
async def login(request: Request, response: Response, body: Login) -> None:
    """Check the token and set a cookie that stands for it, which no script can read."""
    token = service_of(request).settings.token
    if token is not None:
        if not is_token(body.token, token):
            raise Problem("no-token", "the token is wrong")
        secure = request.headers.get("x-forwarded-proto", request.url.scheme) == "https"
        # Without a path the browser takes the folder of this address, so it fits whatever path a proxy adds.
        response.set_cookie(COOKIE, cookie_for(token), httponly=True, samesite="strict", secure=secure, path=None)


@router.get("/healthz", tags=["server"], summary="Tell whether the process lives", response_class=PlainTextResponse)
async def health() -> str:
    """Answer whenever the event loop runs."""
    return "ok\n"


@router.get(
    "/readyz",
    tags=["server"],
    summary="Tell whether work is taken on",
    response_class=PlainTextResponse,
    responses=described(503),
)
async def ready(request: Request) -> str:
    """Answer 503 while the server shuts down or its queue is full."""
    service = service_of(request)
    if service.draining or service.queue.waiting >= service.settings.max_queue:
        raise Problem("busy", "the server is shutting down, or its queue is full", retry_after=5)
    return "ready\n"


@router.get("/metrics", tags=["server"], summary="Get figures for Prometheus", response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """Write counters, durations and gauges in the text format of Prometheus."""
    return PlainTextResponse(service_of(request).metrics.text(), media_type="text/plain; version=0.0.4")


@router.get("/", include_in_schema=False)
async def page() -> FileResponse:
    """Show the page."""
    return FileResponse(STATIC / "index.html")


@router.get("/docs", include_in_schema=False)
async def docs() -> FileResponse:
    """Show the API's documentation, from this server only."""
    return FileResponse(STATIC / "docs.html")


def create_app(settings: Settings, model: Model) -> FastAPI:
    """Make the application.

    Args:
        settings: limits and access.
        model: a loaded model; one thread for each call serves many of them best.
    """
    service, films = Service(settings, model), jobs.Jobs(settings)
    service.metrics.gauge("photochrom_films", "Films that wait or are being colored.", lambda: films.open)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        sweeper = asyncio.create_task(_sweep(service, films))
        yield
        sweeper.cancel()
        with suppress(asyncio.CancelledError):
            await sweeper
        service.queue.close()
        await asyncio.to_thread(films.close)

    app = FastAPI(title="Photochrom", version=__version__, docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.service, app.state.jobs = service, films
    app.include_router(photographs.router)
    app.include_router(corrections.router)
    app.include_router(jobs.router)
    app.include_router(router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    for kind, handler in (
        (HTTPException, problems.on_http_error),
        (RequestValidationError, problems.on_invalid),
        (PhotochromError, problems.on_colorizer_error),
        (ClientDisconnect, problems.on_gone),
        (Exception, problems.on_failure),
    ):
        app.add_exception_handler(kind, handler)
    app.add_middleware(Guard, service=service)
    app.openapi = lambda: _schema(app)  # type: ignore[method-assign]
    return app


async def _sweep(service: Service, films: jobs.Jobs) -> None:
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        service.sessions.sweep()
        films.sweep(time.monotonic())


def _schema(app: FastAPI) -> dict[str, Any]:
    """Describe the API, with what no parameter names: problems, and the options in a form."""
    if app.openapi_schema is None:
        about = (
            "Colors black-and-white photographs. The colors are a guess; the photograph's own luma is kept. "
            "Errors are problem+json (RFC 9457)."
        )
        schema = get_openapi(title=app.title, version=app.version, summary=about, routes=app.routes)
        parts = schema.setdefault("components", {}).setdefault("schemas", {})
        for body in (ProblemBody, ColorizeOptions):
            table = body.model_json_schema(ref_template="#/components/schemas/{model}")
            parts.update(table.pop("$defs", {}))
            parts[body.__name__] = table
        for unused in ("HTTPValidationError", "ValidationError"):
            parts.pop(unused, None)
        app.openapi_schema = schema
    return app.openapi_schema
