"""The command for film."""

from __future__ import annotations

import dataclasses
import json as jsonlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from photochrom import files
from photochrom.cli.colorize import Output
from photochrom.cli.progress import Bar
from photochrom.cli.summary import terminable

if TYPE_CHECKING:
    from photochrom.colorizer.colorizer import Colorizer


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

    Stopped or killed, the same command goes on where it was; until then its work lies in a hidden folder beside the output.
    Needs pip install 'photochrom[video]'.

    Parameters
    ----------
    film
        A film of any kind that FFmpeg reads.
    output
        The file to write; its ending says the container: .mp4, .mov, .mkv, .webm, .ts ... Without it, name.color.mp4 is written
        beside name.mp4.
    vividness
        From 0 (most faithful) over 1 to 2 (most vivid).
    on_color
        What to do with scenes that are in color already: leave them alone, color them anew by their luma, or fail.
    model
        A model file of `photochrom export` instead of the one in the package.
    hint
        Give a point of a frame its color, which holds through its scene: FRAME:X,Y=#RRGGBB, frames counted from 0, in pixels of
        the frame as a viewer shows it. May be repeated. For a model that was trained with hints.
    reference
        A color photograph whose palette leads the whole film, or, as FRAME:PHOTO, the scene of that frame. May be repeated.
    codec
        An encoder by FFmpeg's name: libx264, libx265, libvpx-vp9, libsvtav1, ffv1, or one of the hardware's, such as
        h264_nvenc. Without it, the usual one of the container.
    crf
        Constant quality in the encoder's own scale: lower is better and larger.
    preset
        The encoder's preset, such as fast or slow: what is slower is smaller.
    codec_option
        A further option of the encoder, as NAME=VALUE, such as tune=grain. May be repeated.
    drop
        Leave out the stream of this number. May be repeated.
    preview
        Write a contact sheet of so many scenes of the film instead, as a JPEG, with the numbers of their frames: it takes
        seconds, and neither hints nor what says how a film is written.
    overwrite
        Replace an output that exists.
    quiet
        Print failures alone.
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
    if preview is not None:
        ending = ".preview.jpg"
    target = output or film.with_name(film.stem + ending)
    if preview is not None:
        of_films = {"hint": hint, "codec": codec, "crf": crf, "preset": preset, "codec-option": codec_option, "drop": drop}
        if told := [f"--{name}" for name, given in of_films.items() if given is not None]:
            raise OptionError(f"--preview writes no film, so that {told[0]} would say nothing: leave one of the two out")
        if framed := [text for text in reference or [] if parse_reference(text)[0] is not None]:
            raise OptionError(f"--preview knows a reference of the whole film alone: leave --reference {framed[0]} out")
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
        report = colorize_film(film, target, colorizer=colorizer, options=options, progress=bar)
    if json:
        print(jsonlib.dumps({"source": str(film), "output": str(target), **dataclasses.asdict(report)}))
    elif not quiet:
        said = f" ({'; '.join(report.notes)})" if report.notes else ""
        print(f"{film} -> {target}{said}")
    for problem in report.problems:
        print(f"photochrom: {film}: {problem}", file=sys.stderr)
    return 1 if report.problems else 0


def _pairs(texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    from photochrom.errors import OptionError

    pairs = [text.partition("=") for text in texts]
    if wrong := [name + sign + value for name, sign, value in pairs if not (name and sign)]:
        raise OptionError(f"'{wrong[0]}' is no option of an encoder: expected NAME=VALUE")
    return tuple((name, value) for name, _, value in pairs)


def _preview(film: Path, target: Path, count: int, colorizer: Colorizer, *, overwrite: bool, quiet: bool, json: bool) -> int:
    from photochrom.errors import OptionError
    from photochrom.video.preview import scenes, sheet_of

    if target.suffix.lower() not in (".jpg", ".jpeg"):
        raise OptionError(f"--preview writes a JPEG: name the output .jpg, not {target.name}")
    moments = scenes(film, count, colorizer=colorizer)
    files.save(sheet_of(moments, colorizer), target, overwrite=overwrite)
    if json:
        frames = [moment.frame for moment in moments]
        print(jsonlib.dumps({"source": str(film), "output": str(target), "frames": frames}))
    elif not quiet:
        print(f"{film} -> {target}")
    return 0
