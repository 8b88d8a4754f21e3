"""Color photographs: the command ``colorize``."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter, Token

from photochrom import files
from photochrom.cli.cloud import Engine, Place, colorize_cloud, place_of, request_of
from photochrom.cli.summary import ALL_FAILED, Bar, Count, Tally, terminable
from photochrom.errors import OptionError, PhotochromError
from photochrom.files import is_folder

if TYPE_CHECKING:
    from photochrom.batch.run import Task
    from photochrom.colorizer.colorizer import Colorizer
    from photochrom.colorizer.model import Model
    from photochrom.photo.formats import Format

Output = Annotated[Path | None, Parameter(name=["--output", "-o"])]


FormatName = Literal["jpeg", "png", "webp", "tiff", "avif", "bmp", "pnm"]


STREAM = Path("-")


def _inputs(_: object, tokens: Sequence[Token]) -> list[Place]:
    """Take `-` for standard input, and nothing else that begins so: it would be a misspelled option."""
    for token in tokens:
        if token.value.startswith("-") and token.value != "-":
            raise ValueError(f"there is no option {token.value}; a file of that name is ./{token.value}.")
    return [place_of(token.value) for token in tokens]


def _output(_: object, tokens: Sequence[Token]) -> Place:
    """Take `-` for standard output, and nothing else that begins so: it would be the next option."""
    (token,) = tokens
    if token.value.startswith("-") and token.value != "-":
        raise ValueError(f"{token.keyword} requires an argument, got {token.value}.")
    return place_of(token.value)


def colorize(
    inputs: Annotated[
        list[Place], Parameter(name="INPUT", consume_multiple=True, allow_leading_hyphen=True, converter=_inputs)
    ],
    /,
    *,
    output: Annotated[
        Place | None, Parameter(name=["--output", "-o"], allow_leading_hyphen=True, converter=_output, n_tokens=1)
    ] = None,
    include: Annotated[list[str] | None, Parameter(negative="")] = None,
    exclude: Annotated[list[str] | None, Parameter(negative="")] = None,
    vividness: float = 1.0,
    on_color: Literal["skip", "recolor", "error"] = "skip",
    format: FormatName | None = None,
    luma: Literal["lossless", "encoded", "fast"] | None = None,
    quality: int | None = None,
    subsampling: Literal["444", "422", "420"] | None = None,
    compression: Literal["none", "lzw", "deflate", "jpeg"] | None = None,
    model: Path | None = None,
    hint: Annotated[list[str] | None, Parameter(negative="")] = None,
    hints: Path | None = None,
    reference: Path | None = None,
    confidence: Path | None = None,
    variants: int | None = None,
    c2pa: str | None = None,
    c2pa_key: str | None = None,
    max_pixels: int = 200_000_000,
    overwrite: Annotated[bool, Parameter(negative="")] = False,
    jobs: Annotated[int | None, Parameter(name=["--jobs", "-j"])] = None,
    part: str | None = None,
    engine: Engine = "local",
    address: str | None = None,
    verify: Annotated[bool, Parameter(negative="")] = False,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Color photographs: files, folders however deep, or buckets. `-` reads standard input and writes standard output.

    Parameters
    ----------
    inputs
        Photographs (JPEG, PNG, TIFF, WebP, AVIF, HEIC, JPEG 2000, GIF, BMP, PNM) and folders of them; or one bucket or a path
        in it: s3://, gs:// or az://BUCKET/PATH. Needs pip install 'photochrom[cloud]'.
    output
        A file, for one photograph; or a folder, in which the tree of an input folder is mirrored. `-` is standard output, for
        one photograph. Without it, name.color.jpg is written beside name.jpg.
    include
        Of what lies in folders, color only photographs whose name or path inside the folder matches this pattern, like '*.tif'
        or '1920/*'. May be repeated.
    exclude
        Leave out what matches this pattern, folders too. May be repeated.
    vividness
        From 0 (most faithful) over 1 to 2 (most vivid).
    on_color
        What to do with a photograph that is in color already: skip it and say so, color it again by its luma, or fail.
    format
        Write this format instead of the source's. GIF and JPEG 2000 come back as PNG, HEIC as JPEG.
    luma
        How luma is written to a JPEG. lossless: copy the source's luma coefficients (grey and YCbCr JPEGs only). encoded:
        encode it again. fast: the quicker of the two. Default: lossless where possible.
    quality
        Of results that are JPEG, WebP, AVIF, or TIFF with JPEG inside, from 1 to 100: luma is then encoded anew, and a WebP is
        lossy. Left out, a JPEG keeps its source's, a lossy WebP and an AVIF get 95, and a TIFF with JPEG inside 98.
    subsampling
        How finely results that are JPEG or AVIF hold chroma: at full size (444), at half the width (422), or at half of both
        sides (420). Left out, as finely as the source.
    compression
        Of results that are TIFF; jpeg loses luma, and is for 8 bits without transparency. Left out, that of the source.
    model
        A model file of `photochrom export` or `photochrom adopt` instead of the one in the package.
    hint
        Give a point its color, which spreads to similar areas: X,Y=#RRGGBB or X,Y=NAME, in pixels of the photograph as a viewer
        shows it. May be repeated. For one photograph, and a model that was trained with hints or adopted.
    hints
        A JSON file of such points: [{"x": 120, "y": 80, "color": "#c04030"}, ...].
    reference
        A color photograph whose palette leads.
    confidence
        Write a PNG of the photograph's size that says how likely each color is near the truth: white is certain. For one
        photograph.
    variants
        Write up to so many clearly different answers, those that the network is surest of first: name.color.jpg,
        name-2.color.jpg ... For one photograph; the hints that lead to each are printed.
    c2pa
        A PEM file of certificates: the result gets a C2PA manifest, signed with the first of them, that says what was done to
        which photograph. Needs pip install 'photochrom[c2pa]'.
    c2pa_key
        A PEM file of that certificate's private key.
    max_pixels
        Refuse larger photographs; a plain TIFF or PNG of over 16 megapixels, which is streamed, may have ten times as many.
    overwrite
        Replace files that stand where results go. In a folder, results that its manifest knows as up to date stay as they are.
    jobs
        Photographs that are worked on at the same time; left out, one more than there are processors.
    part
        Color only the I-th of N parts of a folder or bucket (I/N): for N processes at the same time, on any machines.
    engine
        Who does the work: local, this machine; ray, the machines of a Ray cluster. Needs pip install 'photochrom[ray]'.
    address
        Of the Ray cluster: auto, or ray://HOST:10001. Left out, Ray is started on this machine.
    verify
        Compare photographs and results of earlier runs by their contents, not only by size and time.
    quiet
        Print only failures and the table at the end.
    json
        Print one line of JSON for each photograph: source, output, status, seconds, judgement, error, reason,
        notes, luma (lossless or encoded, of a JPEG that was written). The last line has the summary: how many photographs
        there were, how many of each status, and what was left out.

    The exit code is 0 if no photograph failed, 1 if some failed, 2 if the command is wrong, 3 if all failed.
    """
    photos = [place for place in inputs if isinstance(place, Path)]
    target = output if isinstance(output, Path) else None
    many = bool(part or address) or engine != "local" or len(photos) < len(inputs) or isinstance(output, str)
    alone = not many and len(photos) == 1 and not is_folder(photos[0])
    # Several photographs at a time leave no processor for a second thread of the network.
    loading = _loading(model, threads=0 if alone else 1)
    from photochrom.batch import run
    from photochrom.colorizer import hints as guides
    from photochrom.colorizer.colorizer import Colorizer, Options
    from photochrom.colorizer.file import written_as

    points = [guides.parse(text) for text in hint or []] + list(guides.load(hints) if hints else [])
    if (points or confidence or variants) and not alone:
        raise OptionError("--hint, --hints, --confidence and --variants are for one photograph: name one file")
    _check_extras(photos, confidence, variants, json=json)
    options = Options(
        vividness=vividness,
        on_color=on_color,
        format=_format(format),
        luma=luma,
        quality=quality,
        subsampling=subsampling,
        compression=compression,
        certificate=c2pa,
        key=c2pa_key,
        max_pixels=max_pixels,
        hints=tuple(points),
        palette=guides.reference(reference) if reference else None,
    )

    if many:
        asked = request_of(inputs, output, part=part, include=include or (), exclude=exclude or (), overwrite=overwrite)
        tally = Tally(json=json, quiet=quiet, left_out=asked.left_out)
        colorizer = Colorizer(loading.result(), options)
        return colorize_cloud(colorizer, asked, engine=engine, address=address, jobs=jobs, model=model, tally=tally)
    left_out = run.LeftOut()
    if STREAM in (*photos, target):
        _check_stream(photos, target, json=json)
        if target in (None, STREAM):
            return _to_stdout(photos[0], Colorizer(loading.result(), options))
        run.check_suffix(target, options.format)
        tasks: Iterable[run.Task] = [run.Task(STREAM, target, contents=_standard_input())]
        count = Count(tasks)
    else:
        selection = run.Selection(tuple(include or ()), tuple(exclude or ()))
        tasks = run.plan(photos, target, format=options.format, selection=selection, left_out=left_out)
        count = Count(run.plan(photos, target, format=options.format, selection=selection))
    if alone:
        tasks = list(tasks)
        options.output.check_fit(options.format or written_as(tasks[0].target))
    jobs = jobs if jobs is not None else 1 if alone else run.default_jobs()
    colorizer = Colorizer(loading.result(), options)
    if confidence:
        files.refuse_existing(confidence, overwrite=overwrite)
    if variants:
        return _variants(colorizer, next(iter(tasks)), variants, overwrite=overwrite)
    tally = Tally(json=json, quiet=quiet, left_out=left_out, single=alone)
    with (
        terminable(),
        Bar("Coloring") as bar,
        closing(run.run(colorizer, tasks, jobs=jobs, overwrite=overwrite, verify=verify, confidence=confidence)) as outcomes,
    ):
        try:
            for outcome in outcomes:
                tally.tell(outcome)
                bar(tally.done, count.total)
        except PhotochromError as error:
            if tally.code == ALL_FAILED or not tally.done:
                raise
            print(f"photochrom: {error}", file=sys.stderr)
            return 1
    tally.sum_up()
    return tally.code


def _variants(colorizer: Colorizer, task: Task, count: int, *, overwrite: bool) -> int:
    """Write the variants of a photograph, which is read and judged once; the network runs once for each try."""
    from photochrom.colorizer.colorizer import Colorizer, in_color
    from photochrom.colorizer.file import MARK, Source, written_as
    from photochrom.colorizer.variants import variants

    if task.error:
        raise task.error
    stem = task.target.stem
    ending = MARK if stem.endswith(MARK) else ""
    options = colorizer.options.fitted(colorizer.options.format or written_as(task.target))
    colorizer = Colorizer(colorizer.model, options)
    try:
        files.refuse_existing(task.target, overwrite=overwrite)
        source = Source.open(task.source, options)
        found = variants(colorizer, source.photo, count)
        automatic = colorizer.colorize(source.photo, answer=found[0].answer)
        if automatic.skipped:
            raise in_color(automatic.judgement)
        for number, variant in enumerate(found, 1):
            target = task.target if number == 1 else task.target.with_stem(f"{stem.removesuffix(MARK)}-{number}{ending}")
            hinted = Colorizer(colorizer.model, dataclasses.replace(options, hints=variant.hints))
            result = dataclasses.replace(automatic, low=variant.answer.low, confidence=variant.answer.confidence)
            source.save(result, target, colorizer=hinted, overwrite=overwrite)
            print(f"{task.source} -> {target}", *(f"--hint {point.x},{point.y}={point.color}" for point in variant.hints))
    except PhotochromError as error:
        raise error.at(task.source) from error
    return 0


def _check_extras(photos: Sequence[Path], confidence: Path | None, variants: int | None, *, json: bool) -> None:
    if variants and (STREAM in photos or json):
        raise OptionError("--variants writes the answers for a photograph's file and prints lines: give a file, without --json")
    if confidence and (STREAM in photos or confidence.suffix.lower() != ".png"):
        raise OptionError(f"--confidence writes the map of a photograph's file to a PNG: got {confidence} for {photos[0]}")


def _check_stream(inputs: Sequence[Path], output: Path | None, *, json: bool) -> None:
    if len(inputs) > 1:
        what = "'-' is standard input: it stands alone" if STREAM in inputs else "'-o -' is standard output: it takes one"
        raise OptionError(f"{what}, without other photographs")
    if output not in (None, STREAM):
        return
    if is_folder(inputs[0]):
        raise OptionError(f"'-o -' is standard output, which takes one photograph, and {inputs[0]} is a folder: name a file")
    if json:
        raise OptionError("--json and the photograph would both go to standard output: name a file with -o, or drop --json")
    if sys.stdout.isatty():
        raise OptionError("the photograph would go to a terminal: name a file with -o, or redirect standard output")
    if getattr(sys.stdout, "name", "") == os.devnull:  # only `cli.main` opens it by that name
        raise OptionError("the photograph would go to standard output, which is closed: name a file with -o")


def _to_stdout(source: Path, colorizer: Colorizer) -> int:
    from photochrom.colorizer.file import encoded

    data = _standard_input() if source == STREAM else files.contents(source)
    name = "standard input" if source == STREAM else str(source)
    sys.stdout.buffer.write(encoded(data, colorizer, name=name))
    sys.stdout.buffer.flush()
    return 0


def _standard_input() -> bytes:
    if getattr(sys.stdin, "name", "") == os.devnull:  # only `cli.main` opens it by that name
        raise OptionError("standard input is closed: name a file, or pipe a photograph in")
    return sys.stdin.buffer.read()


def _loading(path: Path | None, *, threads: int) -> Future[Model]:
    """Begin to load a model in a thread of its own, which computes while the rest of the package is imported."""
    from photochrom.colorizer.model import Model

    pool = ThreadPoolExecutor(1)
    loading = pool.submit(Model.load, path, threads=threads)
    pool.shutdown(wait=False)
    return loading


def _format(name: FormatName | None) -> Format | None:
    from photochrom.photo.formats import FORMATS

    return next((format for format in FORMATS if name and format == name.upper()), None)
