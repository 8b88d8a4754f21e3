"""Read and write objects in a bucket or a folder: sorted listings, whole objects, and writes that replace nothing by accident.

Buckets are reached through obstore, which is imported with the first of them. A folder has the same operations, so that a
shared file system serves as well as a bucket.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, final

from photochrom.errors import OptionError, OutputError, PhotoError
from photochrom.files import drafted

if sys.platform != "win32":
    import fcntl

SCHEMES = ("s3", "gs", "az")
"""Of the addresses of buckets: Amazon S3 and what speaks its protocol, Google Cloud Storage, Azure Blob Storage."""

PAGE = 1000
"""Keys in one answer to a listing: the most that S3 gives."""

LONGEST_REQUEST = timedelta(minutes=10)

ATTEMPTS, FIRST_WAIT_S, LONGEST_WAIT_S = 8, 0.2, 10.0
"""How often an operation is tried in all, and bounds of the random wait between two attempts, which doubles each time."""

LOCK = ".photochrom-lock"
"""File that is locked while an object of a folder is compared and replaced."""

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Item:
    """One entry of a listing."""

    key: str
    """From the store's own place on, with ``/``."""
    size: int
    etag: str
    """Differs between two states of one object."""


@dataclass(frozen=True)
class Object:
    """One object with its content."""

    data: bytes
    etag: str


class Store(ABC):
    """A place for objects with names: a bucket from some prefix on, or a folder. Safe to share between threads."""

    url: str
    """Address, without credentials."""

    @abstractmethod
    def list(self, *, after: str = "") -> Iterator[Item]:
        """Yield all objects behind a key, sorted by the bytes of their keys; raises PhotoError if it cannot."""

    @abstractmethod
    def get(self, key: str) -> Object:
        """Return an object with its content; raises PhotoError if it cannot be read."""

    @abstractmethod
    def metadata(self, key: str) -> Mapping[str, str]:
        """Return what was stored beside an object; nothing for a missing one; raises as ``get`` does."""

    @abstractmethod
    def put_new(self, key: str, data: bytes | Path, *, metadata: Mapping[str, str] | None = None) -> str | None:
        """Write an object unless there is one; return its ETag, or None where there is one; raises OutputError if it cannot."""

    @abstractmethod
    def put_unchanged(
        self, key: str, data: bytes | Path, *, etag: str, metadata: Mapping[str, str] | None = None
    ) -> str | None:
        """Replace an object that still has an ETag; return the new one, or None if it was changed or removed."""

    @abstractmethod
    def put(self, key: str, data: bytes | Path) -> str:
        """Write an object in any case, and return its ETag: for objects that only one process writes."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove an object, if there is one; raises OutputError if it cannot be removed."""

    @abstractmethod
    def fetch(self, key: str, path: Path) -> str:
        """Copy an object to a scratch file, and return its ETag; raises as ``get`` does."""

    def address(self, key: str) -> str:
        """Return the address of an object."""
        return f"{self.url}/{key}"


def is_bucket(text: str) -> bool:
    """Return whether a text is the address of a bucket: ``s3://``, ``gs://`` or ``az://``."""
    return text.partition("://")[0] in SCHEMES and "://" in text


def opened(address: str) -> Store:
    """Return the store at an address of a bucket, or at the path of a folder; nothing is read yet.

    Raises:
        OptionError: the address has no bucket, or holds credentials.
    """
    if not is_bucket(address):
        return Folder(Path(address).absolute())  # the same from every machine and every current folder
    scheme, _, rest = address.partition("://")
    place = rest.partition("/")[0]
    if "@" in place or "?" in rest:
        raise OptionError(
            f"an address of {scheme}:// holds credentials: give them by the environment, and only BUCKET/PATH here"
        )
    if not place:
        raise OptionError(f"'{address}' names no bucket: expected {scheme}://BUCKET/PATH")
    return Bucket(address.rstrip("/"))


@final
class Folder(Store):
    """A folder of a file system, which may be shared by several machines."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.url = os.fspath(root)

    def list(self, *, after: str = "") -> Iterator[Item]:  # noqa: D102
        try:
            yield from self._below(self._root, "", os.fsencode(after))
        except OSError as error:
            raise PhotoError(f"{error.filename}: cannot be listed ({error.strerror}); check its permissions") from error

    def _below(self, folder: Path, prefix: str, after: bytes) -> Iterator[Item]:
        try:
            with os.scandir(folder) as entries:
                found = [(entry.name + "/" * entry.is_dir(follow_symlinks=False), entry) for entry in entries]
        except FileNotFoundError:
            return
        for name, entry in sorted(found, key=lambda pair: os.fsencode(pair[0])):
            key = prefix + name
            if name.endswith("/"):
                if os.fsencode(key) > after or after.startswith(os.fsencode(key)):
                    yield from self._below(Path(entry.path), key, after)
            elif os.fsencode(key) > after and entry.is_file() and name != LOCK:
                with suppress(FileNotFoundError):
                    found_now = entry.stat()
                    yield Item(key, found_now.st_size, _etag(found_now))

    def get(self, key: str) -> Object:  # noqa: D102
        with self._opened(key) as file:
            return Object(file.read(), _etag(os.fstat(file.fileno())))

    def fetch(self, key: str, path: Path) -> str:  # noqa: D102
        with self._opened(key) as file, path.open("wb") as copy:
            shutil.copyfileobj(file, copy)
            return _etag(os.fstat(file.fileno()))

    def _opened(self, key: str) -> BinaryIO:
        path = self._root / key
        try:
            return path.open("rb")
        except OSError as error:
            raise PhotoError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from error

    def metadata(self, key: str) -> Mapping[str, str]:  # noqa: ARG002, D102
        return {}

    def put_new(self, key: str, data: bytes | Path, *, metadata: Mapping[str, str] | None = None) -> str | None:  # noqa: ARG002, D102
        sys.audit("photochrom.put", key)
        return None if os.path.lexists(self._root / key) else self._write(key, data, new=True)

    def put_unchanged(self, key: str, data: bytes | Path, *, etag: str, metadata: Any = None) -> str | None:  # noqa: ARG002, D102
        sys.audit("photochrom.put", key)
        with (self._root / LOCK).open("w") as lock:
            if sys.platform != "win32":
                fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                found = _etag((self._root / key).stat())
            except FileNotFoundError:
                return None
            return self._write(key, data, new=False) if found == etag else None

    def put(self, key: str, data: bytes | Path) -> str:  # noqa: D102
        sys.audit("photochrom.put", key)
        return self._write(key, data, new=False) or ""

    def _write(self, key: str, data: bytes | Path, *, new: bool) -> str | None:
        path = self._root / key
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{path.parent}: cannot be made a folder ({error.strerror}); choose another output") from error
        etag = ""

        def remember(draft: Path) -> None:
            nonlocal etag
            etag = _etag(draft.stat())

        try:
            with drafted(path, overwrite=not new, announce=remember) as draft:
                if isinstance(data, Path):
                    shutil.copyfile(data, draft)
                else:
                    draft.write_bytes(data)
        except OutputError as error:
            if new and isinstance(error.__cause__, FileExistsError):
                return None
            raise
        return etag

    def delete(self, key: str) -> None:  # noqa: D102
        sys.audit("photochrom.delete", key)
        try:
            (self._root / key).unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"{self._root / key}: cannot be removed ({error.strerror}); check its permissions") from error


@final
class Bucket(Store):
    """A bucket, from a prefix on. Credentials come from the environment, as the tools of each provider take them."""

    def __init__(self, url: str) -> None:
        import obstore
        from obstore.store import from_url

        self.url = url
        self._library = obstore
        try:
            # An upload of a large scan takes its time. Attempts are counted here, not by the library too.
            client = {"timeout": LONGEST_REQUEST, "allow_http": os.environ.get("AWS_ALLOW_HTTP", "").lower() == "true"}
            self._store: Any = from_url(url, client_options=client, retry_config={"max_retries": 0})  # type: ignore[call-overload]
        except Exception as error:
            raise OptionError(f"{url}: cannot be opened ({_reason(error)}); check the address") from None

    def list(self, *, after: str = "") -> Iterator[Item]:  # noqa: D102
        failed, before = 0, ""
        while True:  # a listing that breaks off goes on behind the last key
            try:
                # The library drops a slash at the end of the offset, so that keys before it may come too.
                for page in self._library.list(self._store, offset=after or None, chunk_size=PAGE):
                    for entry in page:
                        key = str(entry["path"])
                        if key.encode() <= before.encode():
                            raise PhotoError(f"{self.url}: lists '{key}' behind '{before}'; use a bucket that lists in order")
                        failed, before = 0, key
                        if key.encode() > after.encode():
                            yield Item(key, int(entry["size"]), str(entry["e_tag"]))
                return
            except PhotoError:
                raise
            except Exception as error:
                failed, after, before = failed + 1, max(after, before, key=str.encode), ""
                if failed == ATTEMPTS or not _passes(error):
                    told = f"cannot be listed ({_reason(error)}); check the address and the credentials"
                    raise PhotoError(f"{self.url}: {told}") from None
            _wait(failed)

    def get(self, key: str) -> Object:  # noqa: D102
        def read() -> Object:
            found = self._library.get(self._store, key)
            return Object(bytes(found.bytes()), str(found.meta["e_tag"]))

        return self._read(read, key)

    def fetch(self, key: str, path: Path) -> str:  # noqa: D102
        def copy() -> str:
            found = self._library.get(self._store, key)
            with path.open("wb") as file:
                for part in found:
                    file.write(part)
            return str(found.meta["e_tag"])

        return self._read(copy, key)

    def metadata(self, key: str) -> Mapping[str, str]:  # noqa: D102
        def look() -> Mapping[str, str]:
            try:
                found = self._library.get(self._store, key, options={"head": True})
                return {str(name): str(value) for name, value in found.attributes.items()}
            except FileNotFoundError:
                return {}

        return self._read(look, key)

    def put_new(self, key: str, data: bytes | Path, *, metadata: Mapping[str, str] | None = None) -> str | None:  # noqa: D102
        return self._put(key, data, "create", metadata)

    def put_unchanged(  # noqa: D102
        self, key: str, data: bytes | Path, *, etag: str, metadata: Mapping[str, str] | None = None
    ) -> str | None:
        return self._put(key, data, {"e_tag": etag}, metadata)

    def put(self, key: str, data: bytes | Path) -> str:  # noqa: D102
        return self._put(key, data, "overwrite", None) or ""

    def delete(self, key: str) -> None:  # noqa: D102
        sys.audit("photochrom.delete", key)
        try:
            _tried(lambda: self._library.delete(self._store, key))
        except FileNotFoundError:
            return
        except _RefusedError as error:
            raise OutputError(f"{self.address(key)}: cannot be removed ({error}); check the credentials") from None

    def _put(self, key: str, data: bytes | Path, mode: Any, metadata: Mapping[str, str] | None) -> str | None:
        sys.audit("photochrom.put", key)
        own = self._library.exceptions

        def write() -> str:
            # A conditional write is one request, of at most 5 GB.
            found = self._library.put(self._store, key, data, mode=mode, attributes=dict(metadata or {}), use_multipart=False)
            return str(found["e_tag"])

        try:
            return _tried(write)
        except (own.AlreadyExistsError, own.PreconditionError, FileNotFoundError):
            return None
        except _RefusedError as error:
            raise OutputError(
                f"{self.address(key)}: cannot be written ({error}); check the address and the credentials"
            ) from None

    def _read(self, operation: Callable[[], Answer], key: str) -> Answer:
        try:
            return _tried(operation)
        except FileNotFoundError:
            raise PhotoError(f"{self.address(key)}: cannot be read (no such object); check the address") from None
        except _RefusedError as error:
            raise PhotoError(f"{self.address(key)}: cannot be read ({error}); check the address and the credentials") from None


class _RefusedError(Exception):
    """An operation failed for good; the text holds no credentials."""


def _tried(operation: Callable[[], Answer]) -> Answer:
    """Try an operation again where it failed by what passes: a server that is busy, a connection that was cut."""
    attempt = 1
    while True:
        try:
            return operation()
        except FileNotFoundError:
            raise
        except Exception as error:
            if type(error).__name__ in ("AlreadyExistsError", "PreconditionError"):
                raise
            if attempt == ATTEMPTS or not _passes(error):
                raise _RefusedError(_reason(error)) from None
        _wait(attempt)
        attempt += 1


def _wait(attempt: int) -> None:
    """Wait a random time, so that many machines that were refused at once do not come back at once."""
    time.sleep(random.uniform(0, min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**attempt)))


def _passes(error: Exception) -> bool:
    """Return whether an error is one that passes: no answer, or 5xx, 408 (time out), 409 (conflict), 429 (too many)."""
    if type(error).__name__ != "GenericError":
        return False
    status = _status(error)
    return status is None or status >= 500 or status in (408, 409, 429)


def _status(error: Exception) -> int | None:
    found = re.search(r"status code: (\d{3})", str(error))
    return int(found[1]) if found else None


def _reason(error: Exception) -> str:
    """Say why an operation failed, without what the library and the server say of the request: that may hold credentials."""
    text = str(error)
    name = {"PermissionDeniedError": "access denied", "UnauthenticatedError": "not signed in"}.get(type(error).__name__)
    code = re.search(r"<Code>(\w+)</Code>", text)
    status = re.search(r"status code: (\d{3} [A-Z][A-Za-z ]*)", text)
    parts = [name, code[1] if code else None, f"HTTP {status[1].strip()}" if status else None]
    return ", ".join(filter(None, parts)) or ("no answer" if type(error).__name__ == "GenericError" else type(error).__name__)


def _etag(found: os.stat_result) -> str:
    return f"{found.st_size:x}-{found.st_mtime_ns:x}"
