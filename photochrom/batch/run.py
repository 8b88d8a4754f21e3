"""Color many photographs, several at a time: let no bad one stop the others, and do nothing twice.

Threads do the work. Decoding, the network, upsampling and encoding all run outside Python's lock, so that a few threads keep as
many cores busy as processes would, with one model and one set of libraries in memory.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import threading
import time
from collections.abc import Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Literal, final

from photochrom.batch.manifest import Manifest, Record, recipe_of
from photochrom.batch.plan import Task, check_suffix, plan
from photochrom.batch.resume import is_current
from photochrom.batch.selection import LeftOut, Selection
from photochrom.colorizer.colorizer import Colorizer, Result
from photochrom.colorizer.file import Source, color_file, save_confidence
from photochrom.errors import OptionError, OutputError, PhotochromError, PhotoError, one_line
from photochrom.files import Stamp, stamp, sweep
from photochrom.photo.photo import LumaWay

__all__ = ["LeftOut", "Outcome", "Selection", "Status", "Task", "check_suffix", "default_jobs", "plan", "run"]

Status = Literal["colored", "kept", "skipped", "failed"]

NAME = "photochrom"
"""Begins the names of the threads at work."""

MOST_JOBS = 1024
"""Each job is a thread, and a system has only so many."""

AHEAD = 16
"""Photographs that wait for each worker: enough that it never waits for the listing, few enough to forget."""

GRACE_S = 0.3
"""How long the workers may go on when a run is broken off: time enough to finish a line of the manifest."""


@dataclass(frozen=True)
class Outcome:
    """Say what became of one photograph."""

    source: str
    output: str | None
    status: Status
    """"kept" is a result of an earlier run that still holds."""
    seconds: float
    judgement: str | None
    error: str | None
    """One line that begins with the photograph's name."""
    reason: str | None = None
    """The error without names of files, so that alike ones can be counted."""
    notes: tuple[str, ...] = ()
    """What the result lacks of the photograph."""
    luma: LumaWay | None = None
    """How luma got into a JPEG that was written now."""


def run(
    colorizer: Colorizer,
    tasks: Iterable[Task],
    *,
    jobs: int = 1,
    overwrite: bool = False,
    verify: bool = False,
    confidence: Path | None = None,
) -> Generator[Outcome, None, None]:
    """Color photographs; yields what became of each, in order of completion, which for one job is that of the tasks.

    What the manifest of a task's home knows as done is not done again: the photograph, the result, the model and the settings
    must be the same, by size and time or else by content. A result that no manifest knows is kept where it says itself that it
    was made of this photograph, with this model and these settings. What a killed run left half written is removed.

    When the iteration ends early, in whatever way, nothing that is unfinished gets its name any more; threads in the middle of
    a photograph end with it, and an interpreter that exits waits for them.

    Args:
        colorizer: a loaded model; one that computes with one thread serves several jobs best.
        tasks: what ``plan`` lists; taken up as the work goes on.
        jobs: photographs that are worked on at the same time.
        overwrite: replace results that the manifest does not know.
        verify: compare photographs and results with the manifest by their contents, not by size and time alone.
        confidence: a PNG to write the confidence of a single photograph to.

    Raises:
        OptionError: if there are fewer than one job, or too many.
        OutputError: if a manifest cannot be read, or another run is at work in its folder.
    """
    if not 1 <= jobs <= MOST_JOBS:
        raise OptionError(f"jobs is {jobs}: expected 1 to {MOST_JOBS}; more than the processors gain nothing")
    crew = _Crew(colorizer, jobs, overwrite=overwrite, verify=verify, confidence=confidence)
    manifests: dict[Path, Manifest] = {}
    waiting, swept = 0, None
    try:
        for task in tasks:
            home = task.home
            if home is not None and home not in manifests:
                manifests[home] = Manifest(home)
            if swept != task.target.parent:
                swept = task.target.parent
                sweep(swept)
            crew.work.put((task, manifests[home] if home is not None else None))
            waiting += 1
            while waiting > AHEAD * jobs or not crew.done.empty():
                yield crew.done.get()
                waiting -= 1
        for _ in range(waiting):
            yield crew.done.get()
    finally:
        crew.end()
        for manifest in manifests.values():
            manifest.close()


def default_jobs() -> int:
    """Give one job more than there are processors for this process: while one waits for the disk, the others compute."""
    affinity = getattr(os, "sched_getaffinity", None)
    return (len(affinity(0)) if affinity else os.cpu_count() or 1) + 1


@final
class _Crew:
    """Hold the threads of a run and what they share."""

    def __init__(
        self, colorizer: Colorizer, jobs: int, *, overwrite: bool, verify: bool, confidence: Path | None = None
    ) -> None:
        self.work: SimpleQueue[tuple[Task, Manifest | None] | None] = SimpleQueue()
        self.done: SimpleQueue[Outcome] = SimpleQueue()
        self._colorizer, self._overwrite, self._verify, self._confidence = colorizer, overwrite, verify, confidence
        self._settings = settings_of(colorizer)
        self._recipe = recipe_of(self._settings)
        self._ended = threading.Event()
        self._places: dict[int, Path] = {}
        self._threads = [threading.Thread(target=self._serve, args=(n,), name=f"{NAME}-{n}", daemon=True) for n in range(jobs)]
        for thread in self._threads:
            thread.start()
        # An interpreter that exits would drop daemons in the midst of foreign code, and wait for other threads for ever.
        atexit.register(self.end, grace_s=None)

    def end(self, *, grace_s: float | None = GRACE_S) -> None:
        """Stop: no result gets its name from here on, and drafts are removed, of threads that cannot be waited for too."""
        self._ended.set()
        for _ in self._threads:
            self.work.put(None)
        deadline = None if grace_s is None else time.monotonic() + grace_s
        for thread in self._threads:
            thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
        if not any(thread.is_alive() for thread in self._threads):
            atexit.unregister(self.end)
            return
        for place in set(self._places.values()):
            sweep(place, own=True)

    def _serve(self, number: int) -> None:
        while (item := self.work.get()) and not self._ended.is_set():
            self._places[number] = item[0].target.parent
            self.done.put(self._outcome(*item))

    def _outcome(self, task: Task, manifest: Manifest | None) -> Outcome:
        begin = time.perf_counter()
        status: Status = "failed"
        judgement: str | None = None
        result: Result | None = None
        problem: PhotochromError | None = None
        try:
            if task.error:
                raise task.error
            status, judgement, result = self._named(task) if manifest is None else self._remembered(task, manifest)
            if self._confidence and status in ("colored", "kept"):
                known = result or self._colorizer.colorize(
                    Source.open(task.source, self._colorizer.options, contents=task.contents).photo
                )
                save_confidence(known, self._confidence, overwrite=self._overwrite)
        except PhotochromError as error:
            problem = error.at(task.source)
        except MemoryError:
            problem = OutputError("memory ran out, nothing was written; free some, or color a smaller copy", path=task.source)
        except Exception as error:  # a fault of ours or of a library must not cost the photographs that follow
            problem = OutputError(f"failed by {type(error).__name__} ({error}); please report this", path=task.source)
        output = os.fspath(task.target) if status in ("colored", "kept") else None
        seconds = round(time.perf_counter() - begin, 4)
        return Outcome(
            os.fspath(task.source),
            output,
            status,
            seconds,
            judgement,
            one_line(problem) if problem else None,
            _reason(problem, task) if problem else None,
            result.notes if result else (),
            result.luma if result else None,
        )

    def _named(self, task: Task) -> tuple[Status, str | None, Result | None]:
        """Color a photograph that no manifest remembers, unless its result says that it is just that."""
        sha256 = None if task.contents is None else hashlib.sha256(task.contents).hexdigest()
        if self._is_current(task, sha256=sha256):
            return "kept", None, None
        result = color_file(
            task.source,
            task.target,
            colorizer=self._colorizer,
            overwrite=self._overwrite,
            contents=task.contents,
            announce=lambda *_: self._go_on(),
            sha256=sha256,
        )
        return "skipped" if result.skipped else "colored", result.judgement.kind, result

    def _is_current(self, task: Task, *, sha256: str | None) -> bool:
        return not self._overwrite and is_current(task.source, task.target, colorizer=self._colorizer, sha256=sha256)

    def _go_on(self) -> None:
        if self._ended.is_set():
            raise OutputError("the run was broken off; run it again")

    def _remembered(self, task: Task, manifest: Manifest) -> tuple[Status, str | None, Result | None]:
        """Color a photograph unless the manifest knows it as done, and record what became of it."""
        assert task.home is not None
        output = task.target.relative_to(task.home).as_posix()
        known = manifest.find(output)
        written = known.written if known else None
        record = Record(output, _seen_from(task.home, task.source), "failed", self._recipe, written=written)
        ours = known is None or written is None or known.source == record.source
        try:
            read = stamp(task.source, known=known.read if known else None, verify=self._verify)
            record = replace(record, read=read)
            if known and known.read and known.read.sha256 == read.sha256:
                if (kept := self._still_holds(known, task.target)) is not None:
                    record = replace(kept, source=record.source, read=read)
                    if record != known:
                        manifest.add(record, self._settings, sync=False)
                    return "kept" if record.status == "colored" else "skipped", record.judgement, None
            elif known and not ours and not self._overwrite:
                theirs = task.home / known.source
                reason = f"{task.target}: is the result of {os.path.normpath(theirs)}"
                raise OutputError(f"{reason}; color them into two folders, or allow it to be replaced (--overwrite)")
            fresh = not known or read is not known.read
            return self._new(task, manifest, record, sha256=read.sha256 if fresh else None)
        except Exception as error:
            failed = replace(record, error=one_line(error))
            if record.read and ours and failed != known and not self._ended.is_set():
                with suppress(OutputError):  # it is told now, and tried again by the next run, recorded or not
                    manifest.add(failed, self._settings, sync=False)
            raise

    def _still_holds(self, known: Record, target: Path) -> Record | None:
        """Give what is known, its stamp brought up to date, if that is a result that needs no work; none if it does."""
        if known.status == "failed" or known.recipe != self._recipe:
            return None
        if known.status == "skipped":
            return known
        try:
            found = stamp(target, known=known.written, verify=self._verify)
        except PhotoError:
            return None
        return replace(known, written=found) if known.written and found.sha256 == known.written.sha256 else None

    def _new(
        self, task: Task, manifest: Manifest, record: Record, *, sha256: str | None
    ) -> tuple[Status, str | None, Result | None]:
        """Color a photograph and record it; the hash is for the result, where it was taken from the contents just now."""
        assert record.read is not None
        read = record.read
        if record.written is None and self._is_current(task, sha256=read.sha256):
            return "kept", None, None  # no line is added: nobody knows that it was not retouched
        if record.written and not self._overwrite and task.target.exists():
            found = stamp(task.target, known=record.written, verify=self._verify)
            if not manifest.wrote(record.output, found):
                reason = "was changed after it was written, perhaps retouched"
                raise OutputError(f"{reason}; move it away, or allow it to be replaced (--overwrite)", path=task.target)

        def announce(draft: Path, result: Result) -> None:
            self._go_on()
            _check_unchanged(task.source, read)
            colored = replace(record, status="colored", judgement=result.judgement.kind, written=stamp(draft))
            manifest.add(colored, self._settings)

        result = color_file(
            task.source,
            task.target,
            colorizer=self._colorizer,
            overwrite=self._overwrite or record.written is not None,
            announce=announce,
            sha256=sha256,
        )
        kind = result.judgement.kind
        if result.skipped:
            manifest.add(replace(record, status="skipped", judgement=kind), self._settings, sync=False)
            return "skipped", kind, result
        return "colored", kind, result


def settings_of(colorizer: Colorizer) -> dict[str, object]:
    """Return all that a result depends on besides its photograph."""
    settings = colorizer.options.recorded()
    # Recipes of unsigned results are those of the version before, so that its batches are resumed.
    settings |= {"signed": True} if colorizer.options.signing else {"certificate": None, "key": None}
    return {"model": colorizer.model.hash, "settings": settings}


def _reason(problem: PhotochromError, task: Task) -> str:
    text = problem.reason
    for path, name in ((task.target, "the result"), (task.target.parent, "its folder"), (task.source, "the photograph")):
        if path != Path():
            text = text.replace(f"{name} '{path}'", name).replace(f"'{path}'", name).replace(f"{path}: ", f"{name}: ")
    return " ".join(text.split())


def _seen_from(folder: Path, source: Path) -> str:
    try:
        return Path(os.path.relpath(source, folder)).as_posix()
    except ValueError:  # on two drives
        return source.absolute().as_posix()


def _check_unchanged(source: Path, read: Stamp) -> None:
    try:
        found = source.stat()
    except OSError as error:
        raise PhotoError(f"vanished while it was read ({error.strerror}); restore it, and run again", path=source) from error
    if (found.st_size, found.st_mtime_ns) != (read.size, read.mtime_ns):
        raise PhotoError("changed while it was read; run again when nothing writes to it", path=source)
