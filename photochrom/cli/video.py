"""Color a film: the command ``video``."""

from __future__ import annotations

import dataclasses
import json as jsonlib
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, final

from cyclopts import Parameter

from photochrom import files
from photochrom.cli.colorize import Output
from photochrom.cli.summary import Bar, terminable

if TYPE_CHECKING:
    from photochrom.colorizer.colorizer import Colorizer


MINUTE_S = 60.0
"""Seconds between two lines of a ``Heartbeat``."""


def video(
    film: Path,
    /,
    *,
    output: Output = None,
    vividness: float = 1.0,
    on_color: Literal["skip", "recolor", "error"] = "skip",
    model: Path | None = None,
    hint: Annotated[list[str] | None, Parameter(negative="")] = None,
    reference: Annotated[list[str] | None, Parameter(negative="")] = None,
    codec: str | None = None,
    crf: float | None = None,
    preset: str | None = None,
    codec_option: Annotated[list[str] | None, Parameter(negative="")] = None,
    drop: Annotated[list[int] | None, Parameter(negative="")] = None,
    preview: int | None = None,
    overwrite: Annotated[bool, Parameter(negative="")] = False,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Color a film. Its luma, sound, subtitles, chapters, attachments, metadata and time stamps stay as they are.

    If it is stopped or killed, the same command continues where it was. Until then, its work lies in a hidden folder beside the
    output. Needs pip install 'photochrom[video]'.

    Parameters
    ----------
    film
        A film of any kind FFmpeg reads.
    output
        The file to write. Its ending chooses the container: .mkv, .mp4, .mov, .webm, .ts, .avi or .mxf. Without it,
        name.color.mp4 is written beside name.mp4.
    vividness
        From 0 (most faithful) over 1 to 2 (most vivid).
    on_color
        What to do with scenes that are in color already: keep their color, color them again from their luma, or fail.
    model
        A model file of `photochrom export` or `photochrom adopt` instead of the one in the package.
    hint
        The color of a point, as FRAME:X,Y=#RRGGBB: frames count from 0, X and Y are pixels of the frame as a viewer shows it.
        It holds through the scene. May be repeated. Needs a model trained with hints, or an adopted one.
    reference
        A color photograph whose palette leads the whole film, or, as FRAME:PHOTO, the scene of that frame. May be repeated.
    codec
        An encoder by FFmpeg's name: libx264, libx265, libvpx-vp9, libsvtav1, ffv1; prores_ks (ProRes 422 HQ, .mov) or dnxhd
        (DNxHR HQX) for editing; or one of the hardware, such as h264_nvenc. Default: the usual one of the container.
    crf
        Constant quality in the encoder's own scale: lower is better and larger.
    preset
        The encoder's preset, such as fast or slow: a slower one makes smaller files.
    codec_option
        A further option of the encoder, as NAME=VALUE, such as tune=grain. May be repeated.
    drop
        Number of a stream to leave out, from 0. May be repeated.
    preview
        Write a contact sheet of this many scenes instead, as a JPEG with frame numbers. It takes seconds. Hints and options for
        encoding do not apply.
    overwrite
        Replace an output that exists.
    quiet
        Print only failures.
    json
        Print one line of JSON: source, output, frames, kept, resumed, seconds, notes, problems; of a preview source, output and
        the frames that it shows.
    """
    from photochrom.colorizer import hints
    from photochrom.colorizer.colorizer import Colorizer, Options
    from photochrom.errors import OptionError
    from photochrom.video.coloring import FrameReference, parse_hint, parse_reference
    from photochrom.video.colorize import FilmOptions, colorize_film
    from photochrom.video.media.mux import CONTAINERS

    ending = ".color" + (film.suffix if film.suffix.lower() in CONTAINERS else ".mp4")
    target = output or film.with_name(film.stem + (ending if preview is None else ".preview.jpg"))
    if preview is not None:
        of_films = {"hint": hint, "codec": codec, "crf": crf, "preset": preset, "codec-option": codec_option, "drop": drop}
        if told := [f"--{name}" for name, given in of_films.items() if given is not None]:
            raise OptionError(f"--preview writes no film: {told[0]} does not apply; leave one of the two out")
        if framed := [text for text in reference or [] if parse_reference(text)[0] is not None]:
            raise OptionError(f"--preview takes only a reference for the whole film: leave out --reference {framed[0]}")
    leading = [parse_reference(text) for text in reference or []]
    if len(whole := [path for frame, path in leading if frame is None]) > 1:
        two = f"{whole[0]} and {whole[1]} would both lead the whole film"
        raise OptionError(f"{two}: name one, or the scene of each by a frame (--reference FRAME:PHOTO)")
    options = FilmOptions(
        codec=codec,
        crf=crf,
        preset=preset,
        codec_options=_pairs(codec_option or []),
        hints=tuple(parse_hint(text) for text in hint or []),
        references=tuple(FrameReference(frame, hints.reference(path)) for frame, path in leading if frame is not None),
        dropped=tuple(drop or ()),
        overwrite=overwrite,
    )
    palette = hints.reference(whole[0]) if whole else None
    colorizer = Colorizer.load(model, options=Options(vividness=vividness, on_color=on_color, palette=palette), threads=1)
    if preview is not None:
        return _preview(film, target, preview, colorizer, overwrite=overwrite, quiet=quiet, json=json)
    with terminable(), Bar("Coloring", unit="frames") as bar:
        progress = bar if quiet or sys.stderr.isatty() else Heartbeat(film)
        report = colorize_film(film, target, colorizer=colorizer, options=options, progress=progress)
    if json:
        print(jsonlib.dumps({"source": str(film), "output": str(target), **dataclasses.asdict(report)}))
    elif not quiet:
        said = f" ({'; '.join(report.notes)})" if report.notes else ""
        print(f"{film} -> {target}{said}")
        if report.kept:
            what = f"{report.kept:,} of {report.frames:,} frames are in color already and keep their color"
            print(f"{film}: {what}; --on-color recolor colors them again")
    for problem in report.problems:
        print(f"photochrom: {film}: {problem}", file=sys.stderr)
    return 1 if report.problems else 0


@final
class Heartbeat:
    """Print how far a film is, once a minute, where standard error is no terminal."""

    def __init__(self, film: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with the film, and a clock in seconds."""
        self._film, self._clock = film, clock
        self._begin = self._last = clock()

    def __call__(self, done: int, total: int | None) -> None:
        """Print a line if a minute has passed since the last one."""
        now = self._clock()
        if now - self._last >= MINUTE_S:
            self._last = now
            of = f" of {total:,}" if total else ""
            print(f"{self._film}: {done:,}{of} frames, {done / (now - self._begin):.1f} a second", file=sys.stderr, flush=True)


def _pairs(texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    from photochrom.errors import OptionError

    pairs = [text.partition("=") for text in texts]
    if wrong := [name + sign + value for name, sign, value in pairs if not (name and sign)]:
        raise OptionError(f"invalid encoder option '{wrong[0]}': expected NAME=VALUE")
    return tuple((name, value) for name, _, value in pairs)


def _preview(film: Path, target: Path, count: int, colorizer: Colorizer, *, overwrite: bool, quiet: bool, json: bool) -> int:
    from photochrom.errors import OptionError
    from photochrom.video.preview import scenes, sheet_of

    if target.suffix.lower() not in (".jpg", ".jpeg"):
        raise OptionError(f"--preview writes a JPEG, not '{target.name}': expected a name that ends with .jpg")
    moments = scenes(film, count, colorizer=colorizer)
    files.save(sheet_of(moments, colorizer), target, overwrite=overwrite)
    if json:
        frames = [moment.frame for moment in moments]
        print(jsonlib.dumps({"source": str(film), "output": str(target), "frames": frames}))
    elif not quiet:
        print(f"{film} -> {target}")
    return 0
