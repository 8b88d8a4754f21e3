"""Color films, each in a process of its own that can be ended at once; tell how far they are."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import json
import multiprocessing
import re
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Annotated, Any, Literal, final

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import BaseModel

from photochrom.errors import PhotochromError
from photochrom.serve.options import Vividness, attachment, file_name
from photochrom.serve.photographs import problems
from photochrom.serve.problems import Problem
from photochrom.serve.service import service_of
from photochrom.serve.settings import Settings

router = APIRouter(prefix="/v1/jobs", tags=["films"])

Identity = Annotated[str, PathParameter(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="Of the job.")]
Status = Literal["waiting", "running", "done", "failed"]

ENDINGS = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts"})
"""Of films that are written into a container like their own; others become MP4."""
FILM, PREVIEW = "film", "preview.jpg"
"""Names inside the folder of a job; those of uploads are never paths."""
SCENES = 6
TELL_SECONDS = 0.25
"""Progress is told so often at most."""
LOOK_SECONDS, PING_SECONDS = 1.0, 10.0
"""How often a stream of events looks whether the server ends, and how often it shows that it lives."""
RETRY_SECONDS = 30
RANGE = re.compile(r"bytes=(\d+-\d*|-\d+)(, *(\d+-\d*|-\d+))*")
"""Of a file (RFC 9110, section 14.1.2)."""


class JobBody(BaseModel):
    """Say how far a film is."""

    id: str
    name: str
    status: Status
    frames: int
    """That are colored."""
    total: int | None
    """None where the film does not say how many frames it has."""
    preview: bool
    """Whether a contact sheet of its scenes is there."""
    detail: str
    """Why it failed; or what the result lacks of the source."""


@dataclass(eq=False)
class Job:
    """Hold a film and what becomes of it."""

    id: str
    folder: Path
    name: str
    vividness: float
    key: str | None
    sha256: str
    status: Status = "waiting"
    frames: int = 0
    total: int | None = None
    detail: str = ""
    number: int = 1
    """Of the latest event."""
    ended: float | None = None
    """Time at which it was done or failed."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def target(self) -> Path:
        """The film in color."""
        suffix = Path(self.name).suffix.lower()
        return self.folder / f"result{suffix if suffix in ENDINGS else '.mp4'}"

    def body(self) -> JobBody:
        """Describe the job."""
        return JobBody(
            id=self.id,
            name=self.name,
            status=self.status,
            frames=self.frames,
            total=self.total,
            preview=(self.folder / PREVIEW).exists(),
            detail=self.detail,
        )

    def tell(self) -> None:
        """Wake those who follow the job."""
        self.number += 1
        self.changed.set()
        self.changed = asyncio.Event()


@final
class Jobs:
    """Color films one after the other."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._jobs: dict[str, Job] = {}
        self._folder: Path | None = None
        self._running: tuple[Job, Any] | None = None
        self.arriving = 0

    @property
    def open(self) -> int:
        """Count the films that arrive, wait or are being colored."""
        return self.arriving + sum(job.ended is None for job in self._jobs.values())

    def get(self, identity: str) -> Job:
        """Find a job; raises Problem if there is none."""
        job = self._jobs.get(identity)
        if job is None:
            raise Problem("no-job", "there is no such job, or it was deleted")
        return job

    def keyed(self, key: str | None) -> Job | None:
        """Find the job of an idempotency key."""
        return next((job for job in self._jobs.values() if key is not None and job.key == key), None)

    def new_folder(self) -> Path:
        """Make a folder that only this process may read."""
        self._folder = self._folder or Path(tempfile.mkdtemp(prefix="photochrom-"))
        return Path(tempfile.mkdtemp(dir=self._folder))

    def add(self, job: Job) -> None:
        """Color a film as soon as those before it are done."""
        self._jobs[job.id] = job
        self._start()

    def remove(self, identity: str) -> None:
        """End a job at once and delete its files; raises Problem if there is none."""
        job = self.get(identity)
        del self._jobs[identity]
        if self._running and self._running[0] is job:
            self._running[1].kill()
            self._running[1].join()
        shutil.rmtree(job.folder, ignore_errors=True)
        job.tell()

    def sweep(self, now: float) -> None:
        """Delete the films that were finished long ago."""
        for job in list(self._jobs.values()):
            if job.ended is not None and now - job.ended >= self._settings.job_seconds:
                self.remove(job.id)

    def close(self) -> None:
        """End what runs and delete every file."""
        for identity in list(self._jobs):
            self.remove(identity)
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self) -> None:
        job = next((job for job in self._jobs.values() if job.status == "waiting"), None)
        if self._running or job is None:
            return
        context = multiprocessing.get_context("spawn")
        receiving, sending = context.Pipe(duplex=False)
        arguments = (job.folder, job.target, self._settings.model, job.vividness, sending)
        process = context.Process(target=color_film, args=arguments, daemon=True)
        process.start()
        sending.close()
        job.status = "running"
        job.tell()
        self._running = job, process
        loop = asyncio.get_running_loop()

        def follow() -> None:
            try:
                while True:
                    loop.call_soon_threadsafe(self._note, job, receiving.recv())
            except (EOFError, OSError):
                process.join()
                loop.call_soon_threadsafe(self._ended, job, process.exitcode)

        threading.Thread(target=follow, name=f"film-{job.id}", daemon=True).start()

    def _note(self, job: Job, news: dict[str, Any]) -> None:
        """Take what the process of a film tells."""
        for name, value in news.items():
            setattr(job, name, value)
        if job.status in ("done", "failed"):
            job.ended = time.monotonic()
        job.tell()

    def _ended(self, job: Job, code: int | None) -> None:
        if job.ended is None:
            self._note(job, {"status": "failed", "detail": f"the process ended with code {code}; see the server's log"})
        self._running = None
        self._start()


def color_film(folder: Path, target: Path, model: Path | None, vividness: float, news: Connection) -> None:
    """Color the film of a job's folder in a process of its own, and tell how far it is."""
    from photochrom.colorizer.colorizer import Colorizer, Options
    from photochrom.video.colorize import colorize_film
    from photochrom.video.preview import scenes, sheet_of

    last = 0.0

    def progress(done: int, total: int | None) -> None:
        nonlocal last
        if time.monotonic() - last >= TELL_SECONDS:
            last = time.monotonic()
            news.send({"frames": done, "total": total})

    try:
        colorizer = Colorizer.load(model, options=Options(vividness=vividness), threads=1)
        (folder / PREVIEW).write_bytes(sheet_of(scenes(folder / FILM, SCENES, colorizer=colorizer), colorizer))
        news.send({})
        report = colorize_film(folder / FILM, target, colorizer=colorizer, progress=progress)
        said = "; ".join((*report.notes, *report.problems))
        news.send({"status": "done", "frames": report.frames, "total": report.frames, "detail": said})
    except PhotochromError as error:
        news.send({"status": "failed", "detail": error.reason})


def jobs_of(request: Request) -> Jobs:
    """Give the films of the server."""
    found: Jobs = request.app.state.jobs
    return found


@router.post(
    "",
    status_code=202,
    summary="Color a film",
    responses=problems(413, 422, 429, 501, 503),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def create(
    request: Request,
    response: Response,
    vividness: Annotated[Vividness, Query()] = 1.0,
    idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
) -> JobBody:
    """Take a film as the raw body, and color it when its turn comes.

    The header ``X-File-Name`` (percent-encoded UTF-8) names it; its ending says the container of the result. A request that is
    sent again with the same ``Idempotency-Key`` and film gets the first one's job. The film lies on the server's disk until the
    job is deleted, or for a day after it is done.
    """
    jobs, settings = jobs_of(request), service_of(request).settings
    if importlib.util.find_spec("av") is None:
        raise Problem("no-films", "this server colors no films; install it with pip install 'photochrom[serve,video]'")
    known = jobs.keyed(idempotency_key)
    if known is None and jobs.open >= settings.max_jobs:
        got = f"{jobs.open} films are waiting or being colored; try again in {RETRY_SECONDS} s"
        raise Problem("too-many-jobs", got, retry_after=RETRY_SECONDS, close=True)
    jobs.arriving += 1
    folder = jobs.new_folder()
    try:
        name, digest = file_name(request.headers.get("x-file-name")) or "film.mp4", hashlib.sha256()
        with (folder / FILM).open("wb") as file:
            async for part in request.stream():
                digest.update(part)
                await asyncio.to_thread(file.write, part)
        sha256 = digest.hexdigest()
        if known := jobs.keyed(idempotency_key):
            if known.sha256 != sha256:
                raise Problem("key-reused", "this Idempotency-Key was sent with another film: choose a new one")
            job = known
        else:
            await asyncio.to_thread(_examine, folder / FILM)
            job = Job(secrets.token_urlsafe(16), folder, name, vividness, idempotency_key, sha256)
            jobs.add(job)
    except OSError as error:
        raise Problem("no-space", f"the film cannot be kept ({error.strerror}): make room on the server's disk") from error
    finally:
        jobs.arriving -= 1
        if not any(job.folder == folder for job in jobs._jobs.values()):
            shutil.rmtree(folder, ignore_errors=True)
    response.headers["Location"] = f"jobs/{job.id}"
    return job.body()


def _examine(source: Path) -> None:
    """Refuse a file that is no film; raises Problem."""
    from photochrom.video.media import probe

    try:
        probe.examine(source)
    except PhotochromError as error:
        raise Problem("unreadable-film", error.reason) from error


@router.get("/{identity}", summary="Tell how far a film is", responses=problems(404, 422))
async def describe(request: Request, identity: Identity) -> JobBody:
    """Describe the job."""
    return jobs_of(request).get(identity).body()


@router.delete("/{identity}", status_code=204, summary="Cancel a film, or delete it", responses=problems(404, 422))
async def cancel(request: Request, identity: Identity) -> None:
    """End the job at once, wherever it is, and delete the film and its result."""
    jobs_of(request).remove(identity)


@router.get(
    "/{identity}/events",
    summary="Follow a film",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}, **problems(404, 422)},
)
async def events(
    request: Request, identity: Identity, last_event_id: Annotated[str | None, Header(max_length=20)] = None
) -> StreamingResponse:
    """Send the job as JSON each time that it changes (server-sent events), and end when it is over.

    ``Last-Event-ID`` leaves out what was seen already.
    """
    jobs, service = jobs_of(request), service_of(request)
    job = jobs.get(identity)
    seen = int(last_event_id) if last_event_id and last_event_id.isascii() and last_event_id.isdigit() else 0

    async def stream(seen: int) -> AsyncIterator[str]:
        spoken = time.monotonic()
        yield ": open\n\n"
        while not service.draining:
            changed = job.changed
            if job.number != seen:
                seen, spoken = job.number, time.monotonic()
                yield f"id: {seen}\ndata: {json.dumps(job.body().model_dump())}\n\n"
            if job.ended is not None or identity not in jobs._jobs:
                return
            try:
                await asyncio.wait_for(changed.wait(), LOOK_SECONDS)
            except TimeoutError:
                if time.monotonic() - spoken >= PING_SECONDS:
                    spoken = time.monotonic()
                    yield ": ping\n\n"

    headers = {"X-Accel-Buffering": "no", "Cache-Control": "no-store"}
    return StreamingResponse(stream(seen), media_type="text/event-stream", headers=headers)


@router.get(
    "/{identity}/result",
    summary="Get the film in color",
    response_class=FileResponse,
    responses={
        200: {"content": {"video/*": {}}},
        206: {"description": "A part of it"},
        416: {"description": "No such part"},
        **problems(404, 409, 422),
    },
)
async def result(request: Request, identity: Identity) -> FileResponse:
    """Answer with the film's file, or with the part of it that ``Range`` asks for."""
    job = jobs_of(request).get(identity)
    if job.status != "done":
        raise Problem("not-finished", f"the film is {job.status}: wait until it is done")
    if not RANGE.fullmatch(request.headers.get("range", "bytes=0-")):
        raise Problem("bad-request", "the Range is malformed: expected bytes=FIRST-LAST")
    name = f"{Path(job.name).stem}.color{job.target.suffix}"
    return FileResponse(job.target, headers={"Content-Disposition": attachment(name)})


@router.get(
    "/{identity}/preview",
    summary="See a film's scenes",
    response_class=FileResponse,
    responses={200: {"content": {"image/jpeg": {}}}, **problems(404, 409, 422)},
)
async def preview(request: Request, identity: Identity) -> FileResponse:
    """Answer with a contact sheet of six scenes, in grey and in color, as a JPEG."""
    job = jobs_of(request).get(identity)
    if not (job.folder / PREVIEW).exists():
        raise Problem("not-finished", "the preview is not made yet: wait until preview is true")
    return FileResponse(job.folder / PREVIEW)
