"""Correct a photograph that is kept in memory: hints, suggestions, confidence, variants, and the result."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

import numpy as np
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict

from photochrom.colorizer import hints as guides
from photochrom.colorizer.colorizer import Colorizer, Options
from photochrom.colorizer.variants import MOST
from photochrom.serve import answers
from photochrom.serve.answers import Doubt, Suggestion, Variant
from photochrom.serve.options import (
    MEDIA_TYPES,
    FileOptions,
    FormatName,
    Points,
    Quality,
    Vividness,
    attachment,
    file_name,
    format_named,
    image_body,
    result_name,
)
from photochrom.serve.photographs import kind_or_problem, problems
from photochrom.serve.problems import Problem
from photochrom.serve.service import Service, body_of, service_of
from photochrom.serve.sessions import Session, opened, packed_model

router = APIRouter(prefix="/v1/sessions", tags=["sessions"])

Identity = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="Of the session.")]
Side = Annotated[int, Query(ge=16, le=16384, description="Longest side at most, in pixels.")]


class SessionBody(BaseModel):
    """Describe a photograph that is kept for corrections."""

    id: str
    name: str
    width: int
    """As a viewer shows it."""
    height: int
    format: str
    result_name: str
    bits: int
    kind: Literal["grey", "toned", "color", "blank"]
    reason: str
    notes: list[str]
    expires_in: float
    """Seconds without use after which it is dropped."""


class StateBody(BaseModel):
    """Say what the colors of a session are to follow."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"hints": [{"x": 0, "y": 0, "color": "#c04030"}], "vividness": 1.0}}
    )

    hints: Points = []
    vividness: Vividness = 1.0


def _described(session: Session, service: Service) -> SessionBody:
    height, width = session.luma.shape
    return SessionBody(
        id=session.id,
        name=session.name,
        width=width,
        height=height,
        format=session.format.lower(),
        result_name=result_name(session.name, session.format),
        bits=session.bits,
        kind=session.judgement.kind,
        reason=session.judgement.reason,
        notes=list(session.notes),
        expires_in=service.settings.session_seconds,
    )


@router.post(
    "",
    status_code=201,
    summary="Keep a photograph in memory",
    responses={**problems(413, 415, 422, 503)},
    openapi_extra=image_body(),
)
async def create(request: Request, response: Response) -> SessionBody:
    """Read a photograph and keep it in memory until it is deleted or not used for a while. Nothing is written to disk."""
    service = service_of(request)
    data = await body_of(request)
    kind_or_problem(data)
    name, limit = file_name(request.headers.get("x-file-name")), service.settings.max_pixels
    session = await service.queue.run(request, lambda: opened(data, name, max_pixels=limit))
    service.sessions.add(session)
    response.headers["Location"] = f"sessions/{session.id}"
    return _described(session, service)


@router.get("/{identity}", summary="Describe a photograph", responses=problems(404, 422))
async def describe(request: Request, identity: Identity) -> SessionBody:
    """Describe the photograph, which keeps it from being dropped."""
    service = service_of(request)
    return _described(service.sessions.get(identity), service)


@router.delete("/{identity}", status_code=204, summary="Forget a photograph", responses=problems(404, 422))
async def forget(request: Request, identity: Identity) -> None:
    """Forget the photograph and all that was said about it."""
    if not service_of(request).sessions.drop(identity):
        raise Problem("no-session", "there is no such session")


@router.get(
    "/{identity}/luma",
    summary="Get the photograph in grey",
    response_class=Response,
    responses={200: {"content": {"image/png": {}, "image/jpeg": {}}}, **problems(404, 422, 503)},
)
async def luma(request: Request, identity: Identity, side: Side = 4096) -> Response:
    """Answer with the luma as sRGB, upright: a PNG up to 4 megapixels, and else a JPEG of quality 95."""
    service = service_of(request)
    session = service.sessions.get(identity)
    data, kind = await service.queue.run(request, lambda: answers.grey(answers.scaled(session.luma, side)))
    return Response(data, media_type=kind)


@router.post(
    "/{identity}/hints",
    summary="Set hints and vividness, and get the colors",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}}, **problems(404, 422, 503)},
)
async def hints(request: Request, identity: Identity, body: StateBody) -> Response:
    """Replace the hints and the vividness of the session; answer with the model of the upsampling for a shader.

    ``PCM1``, height and width (little-endian uint32), then for blue and for red ``height * width`` texels of four half floats:
    the color's excess over luma is ``clamp(offset + slope * (luma - 128), lower, upper)``, in levels of 255, interpolated
    linearly between texels, and scaled towards 0 where it would leave the gamut.
    """
    service = service_of(request)
    session = service.sessions.get(identity)
    state = dataclasses.replace(session.state, hints=tuple(point.hint() for point in body.hints), vividness=body.vividness)
    data = await service.queue.run(request, lambda: packed_model(answers.answer(service, session, state)[0], session.luma))
    # A reference may have come meanwhile: only what was asked for changes.
    session.state = dataclasses.replace(session.state, hints=state.hints, vividness=state.vividness)
    return Response(data, media_type="application/octet-stream")


@router.put(
    "/{identity}/reference",
    status_code=204,
    summary="Let a color photograph lead",
    responses=problems(404, 413, 415, 422, 503),
    openapi_extra=image_body(),
)
async def lead(request: Request, identity: Identity) -> None:
    """Take the palette of a color photograph, sent as the raw body; the next colors follow it."""
    service = service_of(request)
    session = service.sessions.get(identity)
    data, limit = await body_of(request), service.settings.max_pixels
    kind_or_problem(data)

    def work() -> tuple[float, ...]:
        palette = guides.reference(data, max_pixels=limit)
        Colorizer(service.model, Options(palette=palette))  # refuses a palette that the model was not trained for
        return palette

    palette = await service.queue.run(request, work)
    session.state = dataclasses.replace(session.state, palette=palette)


@router.delete("/{identity}/reference", status_code=204, summary="Let no photograph lead", responses=problems(404, 422))
async def follow_nothing(request: Request, identity: Identity) -> None:
    """Forget the palette of the reference."""
    session = service_of(request).sessions.get(identity)
    session.state = dataclasses.replace(session.state, palette=None)


@router.get("/{identity}/suggestions", summary="Get likely colors of a point", responses=problems(404, 422, 503))
async def suggestions(
    request: Request,
    identity: Identity,
    x: Annotated[int, Query(ge=0, description="Column of the point.", openapi_examples={"left": {"value": 0}})],
    y: Annotated[int, Query(ge=0, description="Row of the point.", openapi_examples={"top": {"value": 0}})],
) -> list[Suggestion]:
    """List up to 8 clearly different colors that are likely at a point, the likeliest first, as they would look there."""
    service = service_of(request)
    session = service.sessions.get(identity)
    if y >= session.luma.shape[0] or x >= session.luma.shape[1]:
        high, wide = session.luma.shape
        raise Problem("invalid-options", f"the point {x},{y} is outside: expected x below {wide} and y below {high}")
    return await service.queue.run(request, lambda: answers.suggestions(service, session, x, y))


@router.get(
    "/{identity}/confidence",
    summary="Get a map of confidence",
    response_class=Response,
    responses={200: {"content": {"image/png": {}}}, **problems(404, 422, 503)},
)
async def confidence(request: Request, identity: Identity) -> Response:
    """Answer with a small grey PNG, upright: how likely each color is within 10 dE (CIE76) of the truth, white for certain."""
    service = service_of(request)
    session = service.sessions.get(identity)

    def work() -> bytes:
        found = answers.confidence(service, session)
        return answers.saved(np.rint(found * 255).clip(0, 255).astype(np.uint8), "PNG")

    return Response(await service.queue.run(request, work), media_type="image/png")


@router.get("/{identity}/doubts", summary="Find where a hint helps most", responses=problems(404, 422, 503))
async def doubts(request: Request, identity: Identity) -> list[Doubt]:
    """List up to 3 points around which the colors are the least certain over the largest area, and no hint is near."""
    service = service_of(request)
    session = service.sessions.get(identity)
    return await service.queue.run(request, lambda: answers.doubts(answers.confidence(service, session), session))


@router.get("/{identity}/variants", summary="Get several plausible answers", responses=problems(404, 422, 503))
async def get_variants(request: Request, identity: Identity, count: Annotated[int, Query(ge=1, le=MOST)] = 4) -> list[Variant]:
    """Find clearly different answers, those that the network is surest of first; each is a list of hints."""
    service = service_of(request)
    session = service.sessions.get(identity)
    return await service.queue.run(request, lambda: answers.find_variants(service, session, count))


@router.get(
    "/{identity}/picture",
    summary="Get a picture for the screen",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}}, **problems(404, 422, 503)},
)
async def picture(request: Request, identity: Identity, side: Side = 2048) -> Response:
    """Answer with the colored photograph as an sRGB JPEG of a size for the screen, for browsers without WebGL 2."""
    service = service_of(request)
    session = service.sessions.get(identity)
    data = await service.queue.run(
        request, lambda: answers.painted(answers.answer(service, session, session.state)[0], session.luma, side)
    )
    return Response(data, media_type="image/jpeg")


@router.get(
    "/{identity}/result",
    summary="Get the result's file",
    response_class=Response,
    responses={200: {"content": {kind: {} for kind in MEDIA_TYPES.values()}}, **problems(404, 422, 503)},
)
async def result(
    request: Request, identity: Identity, format: FormatName | None = None, quality: Quality | None = None
) -> Response:
    """Answer with the file that the command would write, in the photograph's own format, depth and size by default."""
    service = service_of(request)
    session = service.sessions.get(identity)
    written = format_named(format) or session.format
    file = FileOptions(quality=quality)
    data = await service.queue.run(request, lambda: answers.result_file(service, session, file, format))
    headers = {"Content-Disposition": attachment(result_name(session.name, written))}
    return Response(data, media_type=MEDIA_TYPES[written], headers=headers)
