"""Describe what a request may ask for, and turn it into options of the colorizer."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import quote, unquote

from pydantic import BaseModel, ConfigDict, Field

from photochrom.colorizer.colorizer import OnColor, Options
from photochrom.colorizer.file import MARK
from photochrom.colorizer.hints import Hint
from photochrom.photo.formats import FORMATS, SUBSTITUTES, SUFFIXES, Format, Kind, ending
from photochrom.photo.photo import Compression, LumaChoice, Subsampling
from photochrom.serve.problems import Problem
from photochrom.serve.settings import Settings

MEDIA_TYPES: dict[Format, str] = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "TIFF": "image/tiff",
    "AVIF": "image/avif",
    "BMP": "image/bmp",
    "PNM": "image/x-portable-anymap",
}
MOST_HINTS = 200
FormatName = Literal["jpeg", "png", "webp", "tiff", "avif", "bmp", "pnm"]


class Point(BaseModel):
    """Give a color to a point of a photograph."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"x": 120, "y": 80, "color": "#c04030"}})

    x: Annotated[int, Field(ge=0, lt=1 << 31, strict=True, description="Column, in pixels from the left as a viewer shows it.")]
    y: Annotated[int, Field(ge=0, lt=1 << 31, strict=True, description="Row, in pixels from the top.")]
    color: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$", description="sRGB; hue and chroma are taken.")]

    def hint(self) -> Hint:
        """Give the point as the colorizer takes it."""
        return Hint(self.x, self.y, self.color)


Points = Annotated[list[Point], Field(max_length=MOST_HINTS)]
Vividness = Annotated[float, Field(ge=0, le=2, description="From 0 (most faithful) over 1 to 2 (most vivid).")]
Quality = Annotated[int, Field(ge=1, le=100, description="Of a JPEG, WebP, AVIF, or TIFF with JPEG inside.")]


class FileOptions(BaseModel):
    """Say how the file of a result is written."""

    model_config = ConfigDict(extra="forbid")

    luma: Annotated[LumaChoice | None, Field(description="How a JPEG gets its luma.")] = None
    quality: Quality | None = None
    subsampling: Annotated[Subsampling | None, Field(description="How finely a JPEG or AVIF holds chroma.")] = None
    compression: Annotated[Compression | None, Field(description="Of a TIFF.")] = None


class ColorizeOptions(FileOptions):
    """Say how a photograph is colored and written; every option is one of the command ``photochrom colorize``."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"vividness": 1.2, "hints": [{"x": 120, "y": 80, "color": "#c04030"}]}},
    )

    vividness: Vividness = 1.0
    on_color: Annotated[OnColor, Field(description="For a photograph in color: skip and error refuse it.")] = "skip"
    hints: Points = []

    def options(self, settings: Settings, *, format: Format | None, palette: tuple[float, ...] | None) -> Options:
        """Give the options as the colorizer takes them; raises OptionError where they contradict each other."""
        return Options(
            vividness=self.vividness,
            on_color=self.on_color,
            format=format,
            luma=self.luma,
            quality=self.quality,
            subsampling=self.subsampling,
            compression=self.compression,
            max_pixels=settings.max_pixels,
            hints=tuple(point.hint() for point in self.hints),
            palette=palette,
        )


def format_named(name: str | None) -> Format | None:
    """Give the format of a name."""
    return next((format for format in FORMATS if name and format == name.upper()), None)


def accepted(accept: str, kind: Kind) -> Format | None:
    """Choose the format to write by an ``Accept`` header (RFC 9110, section 12.5.1).

    Args:
        accept: the header's value; nothing accepts all.
        kind: the source's.

    Returns:
        None for the source's own format, or what stands for it, where nothing is preferred to that.

    Raises:
        Problem: no format is accepted.
    """
    own = SUBSTITUTES.get(kind) or format_named(kind)
    assert own is not None
    weights: dict[Format, float] = {format: _weight(accept, MEDIA_TYPES[format]) for format in FORMATS}
    best = max(weights.values())
    if best <= 0:
        offered = ", ".join(MEDIA_TYPES.values())
        expected = f"expected */* for the photograph's own format, or {offered}"
        raise Problem("not-acceptable", f"Accept is '{accept[:200]}': {expected}")
    wanted: Format = max(FORMATS, key=lambda format: weights[format])
    return None if weights[own] == best else wanted


def _weight(accept: str, media_type: str) -> float:
    """Give the weight of a media type, that of the most specific range which holds it."""
    found, specific = (0.0, -1) if accept.strip() else (1.0, 3)
    for item in accept.split(","):
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        rank = {media_type: 2, "image/*": 1, "*/*": 0}.get(name, -1)
        if rank > specific:
            weight = next((value[2:] for value in parameters if value.startswith("q=")), "1")
            try:
                found, specific = float(weight), rank
            except ValueError:
                found, specific = 0.0, rank
    return found


def file_name(given: str | None) -> str:
    """Give the name of an uploaded file without folders and control characters; nothing where it has none.

    Args:
        given: percent-encoded UTF-8, as the header ``X-File-Name`` has it.
    """
    name = unquote(given or "", errors="replace").replace("\\", "/").rpartition("/")[2]
    return "".join(character for character in name if character.isprintable())[:255]


def result_name(name: str, format: Format) -> str:
    """Name a result after its source: ``name.color.jpg`` for ``name.jpg``."""
    stem, dot, suffix = name.rpartition(".")
    known = SUFFIXES.get(f".{suffix.lower()}") if dot and stem else None
    suffix = f".{suffix}" if known == format else ending(format)
    return f"{(stem if known else name) or 'photograph'}{MARK}{suffix}"


def attachment(name: str) -> str:
    """Write the value of ``Content-Disposition`` for a download (RFC 6266)."""
    plain = "".join(character if character.isascii() and character not in '"\\;%' else "_" for character in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def image_body(*, form: dict[str, Any] | None = None) -> dict[str, Any]:
    """Describe a request whose body is a photograph, for OpenAPI."""
    content: dict[str, Any] = {"image/*": {"schema": {"type": "string", "format": "binary"}}}
    if form is not None:
        content["multipart/form-data"] = form
    return {"requestBody": {"required": True, "content": content}}
