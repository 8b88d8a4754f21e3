"""Color one photograph in one request."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile

from photochrom.colorizer.colorizer import Colorizer, in_color
from photochrom.colorizer.file import Source
from photochrom.colorizer.hints import reference
from photochrom.photo.formats import Format, Kind, kind_of, unknown
from photochrom.photo.target import format_of
from photochrom.photo.toning import judge
from photochrom.serve.options import MEDIA_TYPES, ColorizeOptions, accepted, attachment, file_name, image_body, result_name
from photochrom.serve.problems import MEDIA_TYPE, Problem, ProblemBody
from photochrom.serve.service import Service, body_of, file_of, form_of, service_of

router = APIRouter(prefix="/v1", tags=["photographs"])

FORM: dict[str, Any] = {
    "schema": {
        "type": "object",
        "required": ["photo"],
        "properties": {
            "photo": {"type": "string", "format": "binary", "description": "The photograph."},
            "options": {"$ref": "#/components/schemas/ColorizeOptions"},
            "reference": {"type": "string", "format": "binary", "description": "A color photograph whose palette leads."},
        },
    },
    "encoding": {"options": {"contentType": "application/json"}},
}
"""The multipart body, for OpenAPI."""


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the problems that a route answers with, for OpenAPI."""
    content = {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{ProblemBody.__name__}"}}}
    return {status: {"description": "A problem", "content": content} for status in (400, 401, 403, *statuses)}


def kind_or_problem(data: bytes) -> Kind:
    """Tell the kind of a photograph by its first bytes; raises Problem if it is none that is read."""
    kind = kind_of(data)
    if kind is None:
        raise Problem("unknown-format", unknown(data))
    return kind


@dataclass(frozen=True)
class Order:
    """Say what is to be colored, and how."""

    data: bytes
    name: str
    options: ColorizeOptions = field(default_factory=ColorizeOptions)
    reference: bytes | None = None


@router.post(
    "/colorize",
    summary="Color one photograph",
    response_class=Response,
    responses={
        200: {"description": "The photograph in color", "content": {kind: {} for kind in MEDIA_TYPES.values()}},
        **problems(406, 413, 415, 422, 503),
    },
    openapi_extra=image_body(form=FORM),
)
async def colorize(request: Request) -> Response:
    """Color a photograph, sent as the raw body or as the part ``photo`` of a form, and answer with the result's file.

    It is byte for byte what ``photochrom colorize`` writes, but for time stamps. The header ``X-File-Name`` (percent-encoded
    UTF-8), or the file name in the form, is recorded in the result's metadata. ``Accept`` chooses another format.
    """
    service = service_of(request)
    if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        order = await _order_of(await form_of(request, most=service.settings.max_body))
    else:
        order = Order(await body_of(request), file_name(request.headers.get("x-file-name")))
    format = accepted(request.headers.get("accept", ""), kind_or_problem(order.data))
    result, written = await service.queue.run(request, lambda: _work(service, order, format))
    headers = {"Content-Disposition": attachment(result_name(order.name, written)), "Vary": "Accept"}
    return Response(result, media_type=MEDIA_TYPES[written], headers=headers)


async def _order_of(form: FormData) -> Order:
    try:
        if unknown_parts := form.keys() - {"photo", "options", "reference"}:
            raise Problem("bad-request", f"there is no part '{min(unknown_parts)}': expected photo, options and reference")
        photo, lead = await file_of(form, "photo"), await file_of(form, "reference")
        if photo is None:
            raise Problem("bad-request", "the form has no part 'photo': send the photograph under that name")
        return Order(photo[0], file_name(photo[1]), await _options(form.get("options")), lead[0] if lead else None)
    finally:
        await form.close()


async def _options(part: UploadFile | str | None) -> ColorizeOptions:
    """Read the part of a form that holds options as JSON."""
    text = await part.read() if isinstance(part, UploadFile) else part
    if text is None:
        return ColorizeOptions()
    try:
        return ColorizeOptions.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(["options", *map(str, first["loc"])])
        raise Problem("invalid-options", f"{where}: {first['msg']}") from error


def _work(service: Service, order: Order, format: Format | None) -> tuple[bytes, Format]:
    limit = service.settings.max_pixels
    palette = None if order.reference is None else reference(order.reference, max_pixels=limit)
    colorizer = Colorizer(service.model, order.options.options(service.settings, format=format, palette=palette))
    source = Source.open(Path("photograph"), colorizer.options, contents=order.data)
    judgement = judge(source.photo)
    if judgement.kind == "color" and order.options.on_color != "recolor":
        raise Problem("in-color", str(in_color(judgement)))
    written = format_of(source.photo, format)
    assert written is not None
    colorizer.options.output.check_fit(written)
    return source.encoded(colorizer.colorize(source.photo), colorizer, recorded_name=order.name), written
