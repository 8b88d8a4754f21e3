"""Turn photographs of any kind into the shards that training reads: small JPEGs in WebDataset tars, and a manifest.

    source -> read -> examine (in parallel: decode, shrink, judge, encode) -> drop copies -> shards by key -> manifest.json

The same source and options give the same bytes, for any number of jobs. ``webdataset.TarWriter`` would serve, but it imports
torch, which this module and its worker processes can do without; a shard is a plain tar of ``KEY.jpg``.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import re
import shutil
import signal
import tarfile
import tempfile
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Literal, final

import numpy as np

from photochrom.errors import DataError, OptionError, OutputError, PhotoError, one_line
from photochrom.training.data.filter import Examined, examine
from photochrom.training.data.manifest import REASONS, Kept, Manifest, Rejected, Shard, measure, to_json
from photochrom.training.data.sources import READ_ERRORS, SPLITS, Member, Source, open_source
from photochrom.training.data.split_lists import read_lists, take_listed
from photochrom.version import __version__

TWIN = 5.0
"""Mean difference of two 8 x 8 miniatures, in levels of 255, up to which pictures are copies. Of 20,691 photographs two pairs
lie below it, each of one moment, and two more below 8; 4,010 re-encoded and rescaled copies were all found, the last at 2.9."""


@dataclass(frozen=True)
class PrepareOptions:
    """How to prepare photographs for training."""

    size: int = 128
    """Side of the square, or short side, of the prepared pictures, in pixels; smaller ones are enlarged."""
    crop: Literal["square", "none"] = "square"
    """Cut the centered square, or keep the whole picture."""
    quality: int = 95
    """JPEG quality of the prepared pictures, 1 to 100; their color is stored at full resolution."""
    splits: Literal["hash", "source"] = "hash"
    """Split by a hash of each file, or keep the source's own splits (folders or splits named train, val, test)."""
    lists: tuple[str, ...] = ()
    """Files of the source's official splits, for splits = source: .txt lists of names, a Karpathy JSON, or a zip of these."""
    test_share: float = 0.1
    """Share of the photographs that goes to the test split; no effect with the source's own splits."""
    validation_share: float = 0.0
    """Share that goes to a validation split; 0 = none, training then sets some of its own aside."""
    min_side: int = 64
    """Photographs with a shorter side than this, in pixels, are rejected as tiny."""
    max_pixels: int = 100_000_000
    """Photographs with more pixels than this are rejected as too large; Pillow's own limit is 178,956,970."""
    shard_bytes: int = 50_000_000
    """Size at which a shard ends and the next begins, in bytes."""
    column: str | None = None
    """Image column of a Hugging Face data set; needed only if it has several."""
    jobs: int = 2
    """Processes that decode."""
    overwrite: bool = False
    """Replace a folder that an earlier preparation made."""

    def __post_init__(self) -> None:
        for name, least, most in (
            ("size", 16, 4096), ("quality", 1, 100), ("test_share", 0, 1), ("validation_share", 0, 1), ("min_side", 1, 4096),
            ("max_pixels", 1, 178_956_970), ("shard_bytes", 1, 1 << 40), ("jobs", 1, 1024),
        ):  # fmt: skip
            if not least <= getattr(self, name) <= most:
                raise OptionError(f"{name} is {getattr(self, name)}: expected {least} to {most}")
        for name, known in (("crop", ("square", "none")), ("splits", ("hash", "source"))):
            if getattr(self, name) not in known:
                raise OptionError(f"{name} is '{getattr(self, name)}': expected {' or '.join(known)}")
        if self.lists and self.splits != "source":
            raise OptionError(f"lists are given, but splits is '{self.splits}': set it to source, or leave the lists out")
        if self.test_share + self.validation_share >= 1:
            raise OptionError(
                f"test_share {self.test_share} and validation_share {self.validation_share} leave nothing to train on: "
                "expected a sum below 1"
            )


@dataclass(frozen=True)
class _Spooled:
    """Where an encoded picture waits for its shard."""

    kept: Kept
    offset: int
    size: int


def prepare(
    source: str,
    output: Path,
    *,
    options: PrepareOptions | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> Manifest:
    """Write the photographs of a source as shards for training, and say what became of each.

    The output appears as a whole or not at all.

    Args:
        source: a folder, a zip, a tar, or ``hf:owner/name`` with an optional ``:split``.
        output: the folder to make.
        options: None = the defaults.
        progress: called after each photograph with the number done and the number there are.

    Raises:
        DataError: if the source is missing, damaged, or has no photograph that can be used.
        OutputError: if the output exists and may not be replaced, or cannot be written.
    """
    options = options or PrepareOptions()
    output = output.resolve()
    _check_output(source, output, overwrite=options.overwrite)
    scratch = None
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
        result = scratch / "result"
        result.mkdir()
        lists = read_lists([Path(path) for path in options.lists])
        with open_source(source, scratch, column=options.column) as opened:
            chosen = take_listed(opened, lists) if options.lists else opened
            manifest = _fill(source, chosen, scratch, options=options, progress=progress)
        (result / "manifest.json").write_text(to_json(manifest), encoding="ascii")
        _replace(output, result, scratch / "old")
    except OSError as error:
        raise OutputError(f"cannot write '{output}': {one_line(error)}") from error
    finally:
        if scratch:
            shutil.rmtree(scratch, ignore_errors=True)
    return manifest


def _fill(
    source: str,
    opened: Source,
    scratch: Path,
    *,
    options: PrepareOptions,
    progress: Callable[[int, int | None], None] | None,
) -> Manifest:
    """Examine every photograph, keep the first of each, and write the shards into ``scratch/result``."""
    if options.splits == "source":
        strays = [member.name for member in opened.members if member.split is None]
        if strays:
            raise DataError(
                f"'{strays[0]}' stands in none of the source's own splits: expected folders or splits named train, "
                "validation or test, or their lists; move it, name the lists, or split by hash"
            )
    sizes: list[tuple[int, int]] = []
    rejected: list[Rejected] = []
    spooled: list[_Spooled] = []
    twins = _Twins()
    with (scratch / "spool").open("w+b") as spool, closing(_examine_all(opened, options)) as examined:
        for done, (member, found) in enumerate(examined, 1):
            if found.size:
                sizes.append(found.size)
            twin = None if found.reason else twins.add(member.name, found)
            if found.reason:
                rejected.append(Rejected(member.name, found.reason, found.detail))
            elif twin:
                rejected.append(Rejected(member.name, "duplicate", f"a copy of {twin}"))
            else:
                split = (member.split if options.splits == "source" else None) or _hash_split(found.key, options)
                spooled.append(_Spooled(Kept(found.key, split, member.name), spool.tell(), len(found.jpeg)))
                spool.write(found.jpeg)
            if progress:
                progress(done, len(opened.members))
        counts = Counter(item.reason for item in rejected)
        rejections = {reason: counts[reason] for reason in REASONS}
        if not spooled:
            causes = ", ".join(f"{count} {reason}" for reason, count in rejections.items() if count)
            first = rejected[0]
            raise DataError(
                f"none of the {len(rejected)} photographs in '{source}' can be used ({causes}; '{first.name}': "
                f"{first.detail}): expected color photographs"
            )
        # By key, so in random order: a source sorted by class would otherwise give shards of one class each.
        spooled.sort(key=lambda item: (SPLITS.index(item.kept.split), item.kept.key))
        shards = _write_shards(spool, spooled, scratch / "result", limit=options.shard_bytes)
    splits = Counter(item.kept.split for item in spooled)
    return Manifest(
        tool=f"photochrom {__version__}",
        source=source,
        kind=opened.kind,
        options={name: value for name, value in asdict(options).items() if name not in ("jobs", "overwrite")},
        found=len(opened.members),
        kept=len(spooled),
        splits={split: splits[split] for split in reversed(SPLITS)},
        rejections={str(reason): count for reason, count in rejections.items()},
        ignored=opened.ignored,
        sizes=measure(sizes, options.size),
        shards=tuple(shards),
        rejected=tuple(rejected),
        photographs=tuple(item.kept for item in spooled),
    )


def _examine_all(source: Source, options: PrepareOptions) -> Generator[tuple[Member, Examined], None, None]:
    """Examine the members in worker processes, in their order, a few at a time so that memory stays bounded."""
    if options.jobs == 1:
        for member in source.members:
            yield member, _examine(_read(source, member), options)
        return
    # Spawned, not forked: a fork of a process with threads (onnxruntime's, torch's) can hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.jobs, mp_context=context, initializer=_leave_interrupts) as pool:
        pending: deque[tuple[Member, Future[Examined]]] = deque()

        def first() -> tuple[Member, Examined]:
            member, future = pending.popleft()
            try:
                return member, future.result()
            except BrokenProcessPool as error:
                raise DataError(f"a worker process died near '{member.name}': run with one job to see why") from error

        for member in source.members:
            pending.append((member, pool.submit(_examine, _read(source, member), options)))
            if len(pending) >= 4 * options.jobs:
                yield first()
        while pending:
            yield first()


def _leave_interrupts() -> None:
    """Let only the parent answer Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _read(source: Source, member: Member) -> bytes | Examined:
    try:
        return source.read(member)
    except PhotoError as error:
        return Examined("too_large", one_line(error))
    except READ_ERRORS as error:
        return Examined("unreadable", getattr(error, "strerror", None) or one_line(error))


def _examine(data: bytes | Examined, options: PrepareOptions) -> Examined:
    if isinstance(data, Examined):
        return data
    return examine(
        data,
        size=options.size,
        crop=options.crop,
        quality=options.quality,
        min_side=options.min_side,
        max_pixels=options.max_pixels,
    )


@final
class _Twins:
    """The pictures so far, to find copies: candidates by an eighth of the difference hash, decided by the miniatures."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.miniatures: list[bytes] = []
        self.eighths: defaultdict[tuple[int, bytes], list[int]] = defaultdict(list)

    def add(self, name: str, found: Examined) -> str | None:
        """Return the name of the picture that this one copies, or remember this one."""
        keys = [(place, found.bits[place : place + 2]) for place in range(0, 16, 2)]
        candidates = sorted({index for key in keys for index in self.eighths[key]})
        if candidates:
            stack = np.frombuffer(b"".join(self.miniatures[index] for index in candidates), np.uint8)
            own = np.frombuffer(found.miniature, np.uint8).astype(np.float32)
            far = np.abs(stack.reshape(len(candidates), -1) - own).mean(1)
            if far.min() <= TWIN:
                return self.names[candidates[int(far.argmin())]]
        for key in keys:
            self.eighths[key].append(len(self.names))
        self.names.append(name)
        self.miniatures.append(found.miniature)
        return None


def _hash_split(key: str, options: PrepareOptions) -> str:
    """Split by the key, so that a photograph stays where it is whatever else the source holds."""
    place = int(key, 16) / 16 ** len(key)
    if place < options.test_share:
        return "test"
    return "validation" if place < options.test_share + options.validation_share else "train"


def _write_shards(spool: BinaryIO, spooled: Sequence[_Spooled], folder: Path, *, limit: int) -> list[Shard]:
    """Write pictures that are sorted by split into ``SPLIT-00000.tar``, ..., each of at least one and else up to a limit."""
    groups: list[list[_Spooled]] = []
    filled = 0
    for item in spooled:
        filled += item.size
        if not groups or groups[-1][0].kept.split != item.kept.split or filled > limit:
            groups.append([])
            filled = item.size
        groups[-1].append(item)
    numbers: Counter[str] = Counter()
    shards = []
    for group in groups:
        split = group[0].kept.split
        path = folder / f"{split}-{numbers[split]:05d}.tar"
        numbers[split] += 1
        with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
            for item in group:
                spool.seek(item.offset)
                entry = tarfile.TarInfo(f"{item.kept.key}.jpg")  # its owner, 0, and time, 0, are the same everywhere
                entry.size = item.size
                tar.addfile(entry, BytesIO(spool.read(item.size)))
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        shards.append(Shard(path.name, split, len(group), path.stat().st_size, digest))
    return shards


def _check_output(source: str, output: Path, *, overwrite: bool) -> None:
    """Refuse an output that would cost the user something."""
    if not output.exists():
        return
    if not output.is_dir():
        raise OutputError(f"'{output}' is a file: expected a folder to make; choose another")
    if not source.startswith("hf:") and Path(source).resolve().is_relative_to(output):
        raise OutputError(f"the output '{output}' holds the source '{source}': choose another folder")
    names = sorted(path.name for path in output.iterdir())
    others = [name for name in names if not re.fullmatch(rf"manifest\.json|({'|'.join(SPLITS)})-\d{{5}}\.tar", name)]
    if others:
        raise OutputError(f"'{output}' holds '{others[0]}', which no preparation made: choose a new folder")
    if names and not overwrite:
        raise OutputError(f"'{output}' holds prepared photographs already: choose another folder, or overwrite it")


def _replace(output: Path, result: Path, old: Path) -> None:
    """Put the result in place of the output, or leave the output as it was."""
    if output.exists():
        output.rename(old)
    try:
        result.rename(output)
    except OSError:
        if old.exists():
            old.rename(output)
        raise
