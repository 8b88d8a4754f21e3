"""Color a film: luma, sound and all else stay, and finished work is kept if a run is stopped."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, final

import av
import cv2
import numpy as np

from photochrom.colorizer.colorizer import Colorizer
from photochrom.colorizer.provenance import SOFTWARE, SOURCE_TYPE
from photochrom.errors import OptionError, OutputError
from photochrom.files import drafted, same_file, stamp, sweep
from photochrom.video import resume, shots
from photochrom.video.coloring import Coloring, FrameHint, FrameReference, Looked
from photochrom.video.media import decode, encode, mux, probe, streams, truncation
from photochrom.video.media.probe import Traits
from photochrom.video.media.streams import Made
from photochrom.video.prefetch import ahead
from photochrom.video.resume import Chunk, Draft, Segment, Work
from photochrom.video.shots import Picture, Piece
from photochrom.video.temporal import Carried, Point, Steadiness

Progress = Callable[[int, int | None], None]
"""Is told how many frames are done, and of how many where that is known."""


@dataclass(frozen=True)
class FilmOptions:
    """Options for writing a film; the colorizer's own options say how it is colored."""

    codec: str | None = None
    """FFmpeg's name of an encoder; none takes the usual one of the container."""
    crf: float | None = None
    """Constant quality in the encoder's own scale, lower is better; none takes a good one."""
    preset: str | None = None
    """The encoder's preset: how much time it takes to save space."""
    codec_options: tuple[tuple[str, str], ...] = ()
    """Further options of the encoder, by name."""
    hints: tuple[FrameHint, ...] = ()
    """Colors of single points."""
    references: tuple[FrameReference, ...] = ()
    """Palettes that lead single scenes, in place of the colorizer's own."""
    steadiness: Steadiness = dataclasses.field(default_factory=Steadiness)
    """How colors are kept steady."""
    dropped: tuple[int, ...] = ()
    """Numbers of streams that are left out."""
    overwrite: bool = False
    """Whether a target that exists is replaced."""


@dataclass(frozen=True)
class Report:
    """Outcome of coloring a film."""

    frames: int
    kept: int
    """Frames that were in color already."""
    resumed: int
    """Frames that an earlier run, which was broken off, had done."""
    seconds: float
    """That the run took."""
    notes: tuple[str, ...]
    """What the result lacks of the source, or is to be known of it."""
    problems: tuple[str, ...]
    """What of the source could not be read: the result holds what could."""


def colorize_film(
    source: str | Path,
    target: str | Path,
    *,
    colorizer: Colorizer | None = None,
    options: FilmOptions | None = None,
    progress: Progress | None = None,
) -> Report:
    """Color a film into a file of any container that FFmpeg writes.

    Luma is encoded as it was decoded; sound, subtitles, chapters, attachments and metadata are copied, and time stamps kept.
    A run that was broken off is gone on with, to the same result.

    Args:
        source: the film, which is only read.
        target: the file to write; its ending says the container. It gets its name when it is whole.
        colorizer: a loaded model and how to color; none takes the model in the package.
        options: how to write.
        progress: is told how far it is.

    Raises:
        FilmError: the film cannot be read at all.
        OptionError: an option does not fit the film, the encoder or the container.
        OutputError: the result cannot be written.
    """
    source, target = Path(source), Path(target)
    begin = time.monotonic()
    colorizer, options = colorizer or Colorizer.load(), options or FilmOptions()
    container = mux.container_of(target)
    if colorizer.options.hints:
        raise OptionError("hints for a film need a frame: give them in FilmOptions, not in the colorizer's options")
    if same_file(source, target):
        raise OutputError(f"{target}: would replace the film itself; choose another name")
    traits = probe.examine(source)
    streams.check_dropped(source, traits, options.dropped)
    made = _made(source, traits, container, colorizer, options)
    step = encode.chroma_step(made.codec, traits)
    coloring = Coloring(colorizer, traits, options.steadiness, options.hints, options.references, step)
    coloring.check()
    digest = stamp(source).sha256
    if target.exists() and not options.overwrite and not resume.folder_of(target).exists():
        raise OutputError(f"{target}: exists already; choose another name, or allow it to be replaced (--overwrite)")
    with Work(target, _settings(digest, made, colorizer, options, traits)) as work:
        sweep(target.parent)  # what a run that was killed had begun to put together
        if work.written and target.exists() and stamp(target, known=work.written) == work.written:
            done = work.done()
            work.remove()
            return _report(done, done, begin, [], [])
        if target.exists() and not options.overwrite:
            work.remove()
            raise OutputError(f"{target}: exists already; choose another name, or allow it to be replaced (--overwrite)")
        made = dataclasses.replace(made, threads=work.threads)
        done, watch = work.done(), _Watch(progress, traits.frames)
        notes = [*traits.notes, *mux.remarks(traits, made)]
        try:  # before there is anything to lose
            made, left = mux.check(source, work.folder / "check.part", traits=traits, made=made)
            with _steady_threads():
                looked = _look(source, work, coloring)
        except OptionError:
            if not done:
                work.remove()
            raise
        with _steady_threads():
            whole = [*done, *_color(source, work, len(done), coloring=coloring, looked=looked, made=made, watch=watch)]
        problems, notes = watch.findings.problems, [*notes, *left, *watch.findings.notes]
        reached = whole[-1].end * traits.time_base
        if (short := truncation.ends(source, traits, reached)) and not problems:
            problems.append(f"{short}; what was readable is in the result")
        with drafted(target, overwrite=options.overwrite, announce=lambda draft: work.announce(stamp(draft))) as draft:
            shifts = watch.findings.shifts
            problems += mux.assemble(source, draft, traits=traits, made=made, work=work, done=whole, shifts=shifts)
        work.remove()
    return _report(whole, done, begin, notes, problems)


def _report(whole: list[Segment], done: list[Segment], begin: float, notes: list[str], problems: list[str]) -> Report:
    return Report(
        frames=sum(segment.frames for segment in whole),
        kept=sum(segment.kept for segment in whole),
        resumed=sum(segment.frames for segment in done),
        seconds=time.monotonic() - begin,
        notes=tuple(notes),
        problems=tuple(problems),
    )


def _made(source: Path, traits: Traits, container: str, colorizer: Colorizer, options: FilmOptions) -> Made:
    codec = options.codec or encode.default_codec(container, traits.signal.bits, fallback="libx264")
    chosen = encode.options_of(codec, crf=options.crf, preset=options.preset, more=dict(options.codec_options))
    encode.pixel_format(codec, traits)
    card = colorizer.model.card
    references = len(options.references) + (colorizer.options.palette is not None)
    guides = "".join(
        f"{what}: {count}, " for what, count in (("hints", len(options.hints)), ("references", references)) if count
    )
    credit = (
        f"Colors are a machine's guess: {SOFTWARE}, model {card.name} ({colorizer.model.hash[:16]}), "
        f"vividness {colorizer.options.vividness:g}, {guides}from {source.name}; {SOURCE_TYPE}"
    )
    return Made(codec, chosen, 0, container, credit, frozenset(options.dropped))


def _settings(digest: str, made: Made, colorizer: Colorizer, options: FilmOptions, traits: Traits) -> dict[str, Any]:
    """Return everything a result depends on."""
    return {
        "source": digest,
        "model": colorizer.model.hash,
        "coloring": colorizer.options.recorded(),
        "hints": [dataclasses.asdict(hint) for hint in options.hints],
        "references": [dataclasses.asdict(reference) for reference in options.references],
        "steadiness": dataclasses.asdict(options.steadiness),
        "codec": made.codec,
        "options": dict(made.options),
        "fields": encode.fielded(made.codec, traits),
        "captions": traits.captions and encode.captioned(made.codec, traits),
        "container": made.container,
        "software": [SOFTWARE, f"av {av.__version__}", f"opencv {cv2.__version__}", f"numpy {np.__version__}"],
    }


def _look(source: Path, work: Work, coloring: Coloring) -> Looked:
    """Follow hints back to where their scenes begin, and find those of references, unless that has been done."""
    if not coloring.hints and not coloring.references:
        return Looked()
    if work.looked is None:
        cut = _pieces(source, coloring, decode.Findings())
        try:
            with closing(cut), TemporaryFile(dir=work.folder) as file:
                found = coloring.look(cut, file)
        except OSError as error:
            raise OutputError(
                f"{work.folder}: cannot be written ({probe.reason(error)}); make room, then run it again"
            ) from error
        points = {str(first): [dataclasses.astuple(point) for point in points] for first, points in found.later.items()}
        work.note_look({"later": points, "leads": {str(first): index for first, index in found.leads.items()}})
        return found
    later = {int(first): tuple(Point(*point) for point in points) for first, points in work.looked["later"].items()}
    return Looked(later, {int(first): index for first, index in work.looked["leads"].items()})


def _pieces(source: Path, coloring: Coloring, findings: decode.Findings) -> Generator[Piece]:
    frames = decode.frames(source, coloring.traits, findings)
    return ahead(shots.cut(frames, coloring.traits, coloring.colorizer, step=coloring.step))


def _color(
    source: Path, work: Work, done: int, *, coloring: Coloring, looked: Looked, made: Made, watch: _Watch
) -> list[Segment]:
    """Color and encode the segments from ``done`` on."""
    left = work.carried(done - 1) if done else b""
    before = Carried.from_bytes(left) if left else None
    cut = _pieces(source, coloring, watch.findings)
    finished: list[Segment] = []
    segment: _Encoded | None = None
    with closing(ahead(coloring.color(cut, skip=done, before=before, looked=looked))) as colored:
        try:
            for piece, carried in colored:
                if piece.segment >= done and segment is None:
                    segment = _Encoded(work.path(piece.segment), made, coloring.traits)
                for picture in piece.pictures:
                    if segment:
                        segment.add(picture, kept=piece.kept)
                    watch.tell()
                if piece.ends and segment:
                    segment.finish(carried)
                    finished.append(work.finished(piece.segment))
                    segment = None
        except OSError as error:
            what = f"{work.folder}: cannot be written ({probe.reason(error)})"
            raise OutputError(f"{what}; make room, then run it again to go on") from error
        finally:
            if segment:
                segment.close()
    return finished


@contextmanager
def _steady_threads() -> Iterator[None]:
    """Keep OpenCV to the threads that call it.

    Its optical flow depends on how many threads share a frame, and they are fewer where another thread has them: the same film
    would not get the same colors twice. The stages of the work are parallel enough.
    """
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


@final
class _Watch:
    """Count frames for whoever watches, and gather what could not be read."""

    def __init__(self, progress: Progress | None, total: int | None) -> None:
        self.findings = decode.Findings()
        self._progress, self._total, self._count = progress, total, 0

    def tell(self) -> None:
        self._count += 1
        if self._progress:
            self._progress(self._count, self._total)


@final
class _Encoded:
    """A segment on its way to the disk."""

    def __init__(self, path: Path, made: Made, traits: Traits) -> None:
        self._encoder = mux.encoder(made, traits)
        self._draft = Draft(path)
        self._times: list[int] = []
        self._lengths: list[int] = []
        self._kept = 0

    def add(self, picture: Picture, *, kept: bool) -> None:
        self._times.append(picture.time)
        self._lengths.append(picture.length)
        self._kept += kept
        self._write(self._encoder.encode(picture.frame))

    def finish(self, carried: bytes) -> None:
        self._write(self._encoder.finish())
        extradata = self._encoder.extradata
        self._draft.finish(times=self._times, lengths=self._lengths, extradata=extradata, kept=self._kept, carried=carried)

    def close(self) -> None:
        self._draft.close()

    def _write(self, chunks: Iterator[Chunk]) -> None:
        for chunk in chunks:
            self._draft.add(chunk)
