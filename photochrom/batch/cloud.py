"""Color the photographs of a bucket or a shared folder: plan by merged listings, hand out slices, tell what became of each.

The work is done by threads here, or by what ``remote`` reaches. Only as many slices are out as keep every worker busy.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Protocol, final

from photochrom.batch import join, parts, slices
from photochrom.batch.join import Naming, Pair, Share
from photochrom.batch.lease import Lease
from photochrom.batch.manifest import recipe_of
from photochrom.batch.run import MOST_JOBS, NAME, LeftOut, Outcome, Selection, default_jobs, settings_of
from photochrom.batch.selection import is_photograph
from photochrom.batch.slices import Job
from photochrom.batch.stores import Item, Store, opened
from photochrom.colorizer.colorizer import Colorizer
from photochrom.errors import OptionError, OutputError, PhotochromError, PhotoError
from photochrom.photo.formats import SUFFIXES

SLICE = 64
"""Photographs in a slice: one part of the manifest is written for each."""
FIRST_SLICE = 4
"""The first slices are small, each round is twice as large: results come soon, and few photographs keep all workers busy."""
TOLD = 256
"""Photographs that need no work and are told of at once."""
AHEAD = 2
"""Slices that are out for each worker: one that is colored, and one that waits."""


class Pool(Protocol):
    """What does the work on slices."""

    workers: int

    def submit(self, job: Job, pairs: list[Pair]) -> Future[list[Outcome]]:
        """Begin to work on a slice."""

    def end(self) -> None:
        """Stop; what is finished is kept."""


@dataclass(frozen=True)
class Request:
    """Say what is to be colored, and where to."""

    source: str
    """Address of a bucket, with the path of a folder or of one photograph in it; or the path of a folder."""
    output: str | None = None
    """The same for the results; None lets them lie beside the photographs."""
    selection: Selection = field(default_factory=Selection)
    share: Share = field(default_factory=Share)
    overwrite: bool = False
    left_out: LeftOut = field(default_factory=LeftOut)


def run(
    colorizer: Colorizer,
    request: Request,
    *,
    jobs: int | None = None,
    pool: Callable[[Job], Pool] | None = None,
    model: bytes | None = None,
) -> Generator[Outcome, None, None]:
    """Color photographs; yields what became of each, slice by slice.

    What the manifest knows as done is not done again, if the ETags of photograph and result, model and settings are the same.

    Args:
        colorizer: a loaded model that computes with one thread.
        request: what, and where to.
        jobs: slices that are worked on at the same time here; None for as many as there are processors.
        pool: makes what does the work; None for threads of this process.
        model: the model file, where it is not that of the package; for work elsewhere.

    Raises:
        OptionError: there are fewer than one job, or too many.
        PhotoError: a place cannot be listed, or holds no photograph.
        OutputError: another driver is at work there, or has taken over.
    """
    jobs = default_jobs() if jobs is None else jobs
    if not 1 <= jobs <= MOST_JOBS:
        raise OptionError(f"jobs is {jobs}: expected 1 to {MOST_JOBS}; more than the processors gain nothing")
    settings = settings_of(colorizer)
    store, single = _place(request.source)
    output = store if request.output is None else opened(request.output)
    job = Job(
        store.url,
        output.url,
        colorizer.options,
        model,
        settings,
        recipe_of(settings),
        uuid.uuid4().hex,
        overwrite=request.overwrite,
    )
    with ExitStack() as stack:
        lease = stack.enter_context(Lease(output, str(request.share)))
        workers = pool(job) if pool else _Threads(colorizer, jobs)
        stack.callback(workers.end)
        todo = _Todo(job, _pairs(store, output, single, colorizer, request))
        yield from _drive(job, todo, workers, lease)
    if not todo.count and request.share.count == 1:
        wanted = f"expected names that end in {', '.join(SUFFIXES)}"
        reasons = "; ".join(filter(None, (wanted, request.left_out.line)))
        raise PhotoError(f"no photograph is here; {reasons}", path=store.url)


def compact(address: str) -> tuple[int, int]:
    """Merge the manifest of a place into one sorted run, while no run is at work there; as ``parts.compact``.

    Raises:
        OutputError: a run is at work there.
    """
    store = opened(address)
    with Lease(store, "1/1"):
        return parts.compact(store)


@final
class _Todo:
    """Take what needs no work out of the pairs, and cut the rest into slices that grow."""

    def __init__(self, job: Job, pairs: Iterator[Pair]) -> None:
        self.count = 0
        self.settled: list[Outcome] = []
        self._job, self._pairs = job, pairs

    def _needs_work(self, pair: Pair) -> bool:
        self.count += 1
        address = f"{self._job.source}/{pair.source.key}"
        try:
            status = join.settle(pair, address, recipe=self._job.recipe, overwrite=self._job.overwrite)
        except PhotochromError as error:
            self.settled.append(slices.outcome_of(self._job, pair, "failed", error=error))
            return False
        if status not in ("kept", "skipped"):
            return True
        self.settled.append(slices.outcome_of(self._job, pair, status))
        return False

    def slices(self, workers: int) -> Iterator[list[Pair]]:
        """Yield the slices, and empty ones in between where much is settled: no more than that is held."""
        number, found = 0, []
        for pair in self._pairs:
            if self._needs_work(pair):
                found.append(pair)
            if len(found) == min(SLICE, FIRST_SLICE << min(number // workers, 10)):
                yield found
                number, found = number + 1, []
            elif len(self.settled) >= TOLD:
                yield []
        if found:
            yield found


def _drive(job: Job, todo: _Todo, workers: Pool, lease: Lease) -> Iterator[Outcome]:
    out: dict[Future[list[Outcome]], list[Pair]] = {}

    def finished(*, all_out: bool) -> Iterator[Outcome]:
        while out and (all_out or len(out) >= AHEAD * workers.workers):
            done, _ = wait(out, timeout=1.0, return_when=FIRST_COMPLETED)
            if lease.lost.is_set():
                raise OutputError(
                    "another run has taken over, since this one gave no sign of life for too long", path=job.output
                )
            for future in done:
                pairs = out.pop(future)
                try:
                    yield from future.result()
                except PhotochromError as error:
                    yield from (slices.outcome_of(job, pair, "failed", error=error) for pair in pairs)

    for found in todo.slices(workers.workers):
        yield from _taken(todo.settled)
        if found:
            out[workers.submit(job, found)] = found
        yield from finished(all_out=False)
    yield from _taken(todo.settled)
    yield from finished(all_out=True)


def _taken(outcomes: list[Outcome]) -> Iterable[Outcome]:
    taken = outcomes[:]
    outcomes.clear()
    return taken


@final
class _Threads:
    """Work on slices in threads of this process, which share one model."""

    def __init__(self, colorizer: Colorizer, jobs: int) -> None:
        self.workers = jobs
        self._colorizer, self._ended = colorizer, threading.Event()
        self._pool = ThreadPoolExecutor(jobs, thread_name_prefix=NAME)

    def submit(self, job: Job, pairs: list[Pair]) -> Future[list[Outcome]]:
        return self._pool.submit(slices.work, job, pairs, colorizer=self._colorizer, ended=self._ended.is_set)

    def end(self) -> None:
        self._ended.set()
        self._pool.shutdown(cancel_futures=True)


def _place(source: str) -> tuple[Store, str | None]:
    """Return the store of a folder; of one photograph, the store around it and its name."""
    place, _, name = source.rstrip("/").rpartition("/")
    if not source.endswith("/") and is_photograph(name) and place.partition("://")[2]:
        return opened(place), name
    return opened(source), None


def _pairs(store: Store, output: Store, single: str | None, colorizer: Colorizer, request: Request) -> Iterator[Pair]:
    same = output.url == store.url
    naming = Naming(colorizer.options.format, beside=request.output is None, same_place=same and request.output is not None)
    after = ""
    if single is None:
        leave = f"{output.url}/".removeprefix(f"{store.url}/") if output.url.startswith(f"{store.url}/") else None
        sources: Iterable[Item] = join.photographs(store.list(), request.selection, request.left_out, leave=leave)
    else:
        sources = _only(store, single)
        after = single.partition(".")[0]
    results = (item for item in output.list(after=after) if not item.key.startswith(parts.FOLDER))
    return join.pairs(sources, results, parts.records(output), naming=naming, share=request.share)


def _only(store: Store, name: str) -> Iterator[Item]:
    for item in store.list(after=name[:-1]):
        if item.key >= name:
            if item.key == name:
                yield item
            return
