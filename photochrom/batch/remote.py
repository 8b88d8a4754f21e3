"""Color slices on the machines of a Ray cluster: tasks that keep the model in their process, and retries that are ours.

Photographs never travel through Ray: a task reads them from their bucket. Tasks rather than actors, since actors wait for ever
for a lost machine. A slice whose process dies is tried again, then halved, so that one photograph that kills its process
is one named failure.
"""

from __future__ import annotations

import logging
import os
import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, final

from photochrom.batch import slices
from photochrom.batch.cloud import Pool
from photochrom.batch.join import Pair
from photochrom.batch.run import Outcome
from photochrom.batch.slices import Job
from photochrom.errors import OptionError, OutputError, PhotochromError, one_line

TRIES = 2
"""How often a slice is tried before it is halved."""
SLOW = 3.0
"""A slice that takes this many times as long as the others is begun a second time where a worker has nothing else to do."""
LOOK_S = 0.5
"""How often it is looked for slices that died, and for machines that joined."""


def connect(address: str | None, *, jobs: int | None) -> Callable[[Job], Pool]:
    """Return what makes the workers of a run, on a Ray cluster or on one that is started here.

    Args:
        address: of the cluster: "auto", or ray://HOST:10001; None starts Ray on this machine.
        jobs: processes, where Ray is started here; None for one for each processor.

    Raises:
        OptionError: the cluster cannot be reached, or jobs are named for one that runs.
    """
    # The library would tell its maker of each cluster, and prints every line of every worker.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    if address and jobs is not None:
        raise OptionError("--jobs is for one machine, and a cluster has its own number of workers: drop --jobs or --address")
    try:
        here: dict[str, Any] = {} if address else {"num_cpus": jobs, "include_dashboard": False}
        ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **here)
    except Exception as error:
        where = f"the Ray cluster at '{address}' cannot be reached" if address else "Ray cannot be started here"
        raise OptionError(f"{where} ({one_line(error)[:200]}); check the address and the token of the cluster") from error
    return _Cluster


@dataclass
class _Work:
    """A slice that was handed in, and what is known of its photographs so far."""

    job: Any
    pairs: list[Pair]
    future: Future[list[Outcome]] = field(default_factory=Future)
    outcomes: list[Outcome] = field(default_factory=list)
    pieces: int = 1
    """Pieces of it that are not done."""


@dataclass(eq=False)
class _Piece:
    """A slice or a part of it, and how often it was begun."""

    work: _Work
    pairs: list[Pair]
    tries: int = 0
    since: float = 0.0
    doubled: bool = False
    done: bool = False


@final
class _Cluster:
    """Hold the workers of a run."""

    def __init__(self, job: Job) -> None:
        import ray

        self._ray: Any = ray
        self._task = ray.remote(num_cpus=1, max_retries=0)(slices.work)
        self._job = ray.put(job)  # with the model, once for each machine
        self._new: SimpleQueue[_Piece] = SimpleQueue()
        self._running: dict[Any, _Piece] = {}
        self._took: list[float] = []
        self._ended = threading.Event()
        self.workers = self._count()
        self._thread = threading.Thread(target=self._serve, name="ray", daemon=True)
        self._thread.start()

    def submit(self, job: Job, pairs: list[Pair]) -> Future[list[Outcome]]:
        """Begin to work on a slice."""
        work = _Work(job, pairs)
        self._new.put(_Piece(work, pairs))
        return work.future

    def end(self) -> None:
        """Leave the cluster; slices that are not done are dropped, and the next run does them."""
        self._ended.set()
        self._thread.join()
        self._ray.shutdown()

    def _count(self) -> int:
        return max(1, int(dict(self._ray.cluster_resources()).get("CPU", 1)))

    def _serve(self) -> None:
        looked = time.monotonic()
        while not self._ended.is_set():
            with suppress(Empty):
                while True:
                    self._begin(self._new.get(timeout=0 if self._running else LOOK_S))
            if self._running:
                done, _ = self._ray.wait(list(self._running), num_returns=1, timeout=LOOK_S / 10)
                for reference in done:
                    self._take(reference, self._running.pop(reference))
            if time.monotonic() - looked > LOOK_S:
                looked = time.monotonic()
                self.workers = self._count()
                self._double()

    def _begin(self, piece: _Piece) -> None:
        piece.tries += 1
        piece.since = time.monotonic()
        self._running[self._task.remote(self._job, piece.pairs)] = piece

    def _take(self, reference: Any, piece: _Piece) -> None:
        """Take what a task gave back; what died is tried again, halved, or given up."""
        try:
            outcomes = self._ray.get(reference)
        except PhotochromError as error:  # the manifest could not be written
            outcomes = [slices.outcome_of(piece.work.job, pair, "failed", error=error) for pair in piece.pairs]
        except Exception as error:
            if piece.done or piece in self._running.values():
                return  # its twin is done, or goes on
            if piece.tries < TRIES:
                self._begin(piece)
            elif len(piece.pairs) > 1:
                middle = len(piece.pairs) // 2
                piece.work.pieces += 1
                for pairs in (piece.pairs[:middle], piece.pairs[middle:]):
                    # One of the halves is as deadly as the whole: it has one try, and a single photograph has all of them.
                    self._begin(_Piece(piece.work, pairs, tries=TRIES - 1 if len(pairs) > 1 else 0))
            else:
                told = f"its process died {piece.tries} times ({type(error).__name__}); color a smaller copy, or report this"
                problem = OutputError(told)
                self._finish(piece, [slices.outcome_of(piece.work.job, piece.pairs[0], "failed", error=problem)])
            return
        self._took.append((time.monotonic() - piece.since) / len(piece.pairs))
        self._finish(piece, outcomes)

    def _finish(self, piece: _Piece, outcomes: list[Outcome]) -> None:
        if piece.done:
            return
        piece.done = True
        work = piece.work
        work.outcomes += outcomes
        work.pieces -= 1
        if not work.pieces:
            work.future.set_result(work.outcomes)

    def _double(self) -> None:
        """Begin the slowest slice a second time where a worker is free: its machine may be lost or busy. Both do no harm."""
        if len(self._running) >= self.workers or not self._took or not self._new.empty():
            return
        usual = statistics.median(self._took[-100:])
        now = time.monotonic()
        for piece in sorted(self._running.values(), key=lambda piece: piece.since):
            if not piece.doubled and now - piece.since > max(SLOW * usual * len(piece.pairs), LOOK_S):
                piece.doubled = True
                since = piece.since
                self._begin(piece)
                piece.tries, piece.since = piece.tries - 1, since
                return
