"""Color a slice of photographs of a bucket: read and color each, record all, write results that replace nothing by accident.

A slice is the unit that is handed to threads or to other machines. Whatever dies in it, running it again does no harm: a result
is only put where there is none, or where the one is that is known.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import final

from photochrom.batch import parts
from photochrom.batch.join import RETOUCHED, Pair, settle
from photochrom.batch.parts import Record
from photochrom.batch.resume import recorded
from photochrom.batch.run import Outcome, Status
from photochrom.batch.stores import Store, opened
from photochrom.colorizer import provenance
from photochrom.colorizer.colorizer import Colorizer, Options, Result
from photochrom.colorizer.file import color_file, written_as
from photochrom.colorizer.model import Model
from photochrom.errors import OutputError, PhotochromError, one_line
from photochrom.photo.formats import SUFFIXES

STREAMED = frozenset({"TIFF", "PNG"})
"""Kinds that are copied to a scratch file first: huge ones are streamed from it."""
CONTENT_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "TIFF": "image/tiff", "AVIF": "image/avif"}
RECIPE, READ, SHA256, RUN = "photochrom-recipe", "photochrom-source-etag", "photochrom-sha256", "photochrom-run"
"""What is stored beside a result."""


@dataclass(frozen=True)
class Job:
    """Hold what all slices of a run share; it travels to other machines."""

    source: str
    """Address of the place of the photographs."""
    output: str
    options: Options
    model: bytes | None
    """A model file; none for the one in the package."""
    settings: Mapping[str, object]
    recipe: str
    run: str
    """Names this run, so that its own results are known when a slice is done twice."""
    overwrite: bool = False


@dataclass(frozen=True)
class _Draft:
    """A result that waits for the manifest."""

    pair: Pair
    path: Path
    record: Record
    result: Result
    seconds: float


def work(
    job: Job, pairs: Sequence[Pair], *, colorizer: Colorizer | None = None, ended: Callable[[], bool] = lambda: False
) -> list[Outcome]:
    """Color a slice; returns what became of each photograph, except those that were not begun when the run ended.

    Args:
        job: of the run.
        pairs: the slice.
        colorizer: a loaded model; none loads that of the job, once in a process.
        ended: says that the run was broken off.

    Raises:
        OutputError: the manifest cannot be written.
    """
    crew = _Crew(job, opened(job.source), opened(job.output), colorizer or _loaded(job.model, job.options))
    outcomes: list[Outcome] = []
    records: list[Record] = []
    drafts: list[_Draft] = []
    with TemporaryDirectory(prefix="photochrom-") as scratch:
        for number, pair in enumerate(pairs):
            if ended():
                break
            done = crew.color(pair, Path(scratch, f"{number}"))
            if isinstance(done, _Draft):
                drafts.append(done)
                records.append(done.record)
            else:
                outcomes.append(done[0])
                records += [done[1]] if done[1] else []
        name = parts.new_name()
        if records:
            parts.write(crew.output, name, records, dict(job.settings))
        written = {draft.record.output: crew.put(draft) for draft in drafts}
        outcomes += [outcome for outcome, _ in written.values()]
        if drafts:  # now with the ETags of the results
            last = [written[record.output][1] if record.output in written else record for record in records]
            parts.write(crew.output, name, last, dict(job.settings))
    return outcomes


def outcome_of(job: Job, pair: Pair, status: Status, *, error: PhotochromError | None = None, seconds: float = 0.0) -> Outcome:
    """Say what became of a photograph that was not colored now; what is known of it tells its judgement."""
    address, target = f"{job.source}/{pair.source.key}", f"{job.output}/{pair.target}"
    if error and error.path == pair.target:
        error = type(error)(error.reason, path=target)
    problem = error.at(address) if error else None
    return Outcome(
        source=address,
        output=target if status in ("colored", "kept") else None,
        status=status,
        seconds=seconds,
        judgement=pair.known.judgement if pair.known and not problem else None,
        error=one_line(problem) if problem else None,
        reason=problem.reason.replace(f"{target}: ", "the result: ") if problem else None,
    )


@final
@dataclass(frozen=True)
class _Crew:
    """Hold what a slice is colored with."""

    job: Job
    source: Store
    output: Store
    colorizer: Colorizer

    def color(self, pair: Pair, scratch: Path) -> _Draft | tuple[Outcome, Record | None]:
        """Color one photograph into a scratch file."""
        begin = time.perf_counter()
        address = self.source.address(pair.source.key)
        known = pair.known if pair.known and pair.known.sha256 else None
        record = Record(
            pair.target,
            address,
            "failed",
            self.job.recipe,
            read=pair.source.etag,
            sha256=known.sha256 if known else None,
            written=known.written if known else None,
        )
        foreign = known is not None and known.source != address
        try:
            todo = settle(pair, address, recipe=self.job.recipe, overwrite=self.job.overwrite)
            if todo == "look" and (kept := self._kept(pair, scratch)):
                seconds = round(time.perf_counter() - begin, 4)
                return outcome_of(self.job, pair, "kept", seconds=seconds), kept if kept.sha256 else None
            name, suffix = PurePosixPath(pair.source.key).name, PurePosixPath(pair.source.key).suffix
            place = scratch.with_suffix(suffix)
            target = scratch.with_name(f"{scratch.name}-result{PurePosixPath(pair.target).suffix}")
            contents = None
            if SUFFIXES.get(suffix.lower()) in STREAMED:
                etag = self.source.fetch(pair.source.key, place)
            else:
                found = self.source.get(pair.source.key)
                contents, etag = found.data, found.etag
            record = replace(record, read=etag)
            result = color_file(place, target, colorizer=self.colorizer, contents=contents, recorded_name=name)
            place.unlink(missing_ok=True)
            seconds = round(time.perf_counter() - begin, 4)
            record = replace(record, judgement=result.judgement.kind)
            if result.skipped:
                skipped = replace(outcome_of(self.job, pair, "skipped", seconds=seconds), judgement=result.judgement.kind)
                return skipped, replace(record, status="skipped")
            with target.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            before = pair.result.etag if pair.result else None
            record = replace(record, status="colored", sha256=sha256, written=None, before=before)
            return _Draft(pair, target, record, result, seconds)
        except PhotochromError as error:
            problem = type(error)(error.reason) if error.path and error.path.startswith(str(scratch)) else error
        except MemoryError:
            problem = OutputError("memory ran out, nothing was written; free some, or color a smaller copy")
        except Exception as error:  # a fault of ours or of a library must not cost the photographs that follow
            problem = OutputError(f"failed by {type(error).__name__} ({error}); please report this")
        failed = replace(record, error=problem.reason)
        again = foreign or (pair.known is not None and replace(failed, judgement=pair.known.judgement) == pair.known)
        seconds = round(time.perf_counter() - begin, 4)
        return outcome_of(self.job, pair, "failed", error=problem, seconds=seconds), None if again else failed

    def _kept(self, pair: Pair, scratch: Path) -> Record | None:
        """Return the record of a result that is up to date, though the manifest does not know its ETag; None to color it again.

        Raises:
            OutputError: the result is not ours, was made otherwise, or may have been retouched.
        """
        known, result = pair.known, pair.result
        assert result
        if known and known.sha256:  # a process was killed between the result and its ETag
            place = scratch.with_name(f"{scratch.name}-known")
            etag = self.output.fetch(pair.target, place)
            with place.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != known.sha256:
                    raise OutputError(RETOUCHED, path=self.output.address(pair.target))
            place.unlink()
            current = known.recipe == self.job.recipe and known.read == pair.source.etag and known.status == "colored"
            return replace(known, written=etag) if current else None
        address, stored = self.source.address(pair.source.key), self.output.metadata(pair.target)
        place = scratch.with_name(f"{scratch.name}-there{PurePosixPath(pair.target).suffix}")
        self.output.fetch(pair.target, place)
        record = Record(pair.target, address, "colored", self.job.recipe, read=pair.source.etag, written=result.etag)
        if stored.get(RECIPE) == self.job.recipe and stored.get(READ) == pair.source.etag:
            with place.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() == stored.get(SHA256):
                    return replace(record, sha256=stored[SHA256])
        found = recorded(place)
        place.unlink()
        if found is None:
            raise OutputError(
                "exists already; choose another output, or allow it to be replaced (--overwrite)",
                path=self.output.address(pair.target),
            )
        how = provenance.difference(
            found, self.colorizer, format=self.colorizer.options.format or written_as(Path(pair.target))
        )
        if not how and found.source_sha256 != hashlib.sha256(self.source.get(pair.source.key).data).hexdigest():
            how = "from another photograph, or from this one before it changed"
        if how:
            told = f"exists already, made {how}, and may have been retouched since"
            raise OutputError(
                f"{told}; move it away, or allow it to be replaced (--overwrite)", path=self.output.address(pair.target)
            )
        return record  # without a hash: it may have been retouched, which its metadata survive

    def put(self, draft: _Draft) -> tuple[Outcome, Record]:
        """Put a result into its place; another one that is there stays."""
        pair, record = draft.pair, draft.record
        metadata = {RECIPE: self.job.recipe, READ: record.read or "", SHA256: record.sha256 or "", RUN: self.job.run}
        if kind := CONTENT_TYPES.get(SUFFIXES.get(PurePosixPath(pair.target).suffix.lower(), "")):
            metadata["Content-Type"] = kind
        try:
            if pair.result:
                etag = self.output.put_unchanged(pair.target, draft.path, etag=pair.result.etag, metadata=metadata)
            else:
                etag = self.output.put_new(pair.target, draft.path, metadata=metadata)
            draft.path.unlink()
            if etag:
                return self._told(draft, "colored"), replace(record, written=etag, before=None)
            # Processors compute other last bits: what made the object counts, not its bytes.
            stored, found = self.output.metadata(pair.target), self.output.get(pair.target)
            sha256 = hashlib.sha256(found.data).hexdigest()
            if (stored.get(RECIPE) == self.job.recipe and stored.get(READ) == record.read) or sha256 == record.sha256:
                mine = stored.get(RUN, self.job.run) == self.job.run
                record = replace(record, sha256=sha256, written=found.etag, before=None)
                return self._told(draft, "colored" if mine else "kept"), record
            told = "came into being while the photograph was colored; choose another output"
            problem: PhotochromError = OutputError(told, path=self.output.address(pair.target))
        except PhotochromError as error:
            problem = error
        known = pair.known
        before = {"sha256": known.sha256, "written": known.written} if known else {"sha256": None}
        failed = replace(record, status="failed", error=problem.reason, before=None, **before)
        return outcome_of(self.job, pair, "failed", error=problem, seconds=draft.seconds), failed

    def _told(self, draft: _Draft, status: Status) -> Outcome:
        outcome = outcome_of(self.job, draft.pair, status, seconds=draft.seconds)
        return replace(outcome, judgement=draft.record.judgement, notes=draft.result.notes, luma=draft.result.luma)


@lru_cache(maxsize=1)
def _loaded(model: bytes | None, options: Options) -> Colorizer:
    return Colorizer(Model.load(threads=1) if model is None else Model(model, source="the model", threads=1), options)
