"""Let one driver work at a place at a time, or one for each part: an object says who, and is written again as a sign of life.

No clock of another machine is trusted: a lease ends when nobody has written it for as long as it holds, measured here. So a
driver that was killed does not stop the next one for longer.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Self, final

from photochrom.batch.parts import FOLDER
from photochrom.batch.stores import Item, Store
from photochrom.errors import OutputError, PhotoError

LEASES = f"{FOLDER}leases/"
HOLDS_S = "PHOTOCHROM_LEASE_S"
"""Environment variable: seconds for which a lease holds; the same for all drivers of a place."""
BEATS = 4
"""Signs of life in that time."""


@final
class Lease:
    """Hold the lease of a share of a place, as a context; ``lost`` is set if another driver has taken it."""

    def __init__(self, store: Store, share: str) -> None:
        """Take the store of the results, and the share, like "1/8"; "1/1" is everything."""
        self._store, self._share = store, share
        self._key = f"{LEASES}{share.replace('/', '-of-')}.json"
        self._seconds = float(os.environ.get(HOLDS_S, "60"))
        self._ended = threading.Event()
        self.lost = threading.Event()
        self._etag = ""
        self._beats = 0
        self._thread = threading.Thread(target=self._beat, name="lease", daemon=True)

    def __enter__(self) -> Self:
        """Take the lease.

        Raises:
            OutputError: another driver holds it, or one of another division into parts works there.
        """
        rivals = [item for item in self._leases() if self._rivals(item.key)]
        if rivals:
            self._wait_for(rivals)
        etag = self._store.put_new(self._key, self._content())
        if etag is None:  # another driver was quicker
            self._refuse(self._key)
        self._etag = etag or ""
        if others := [item.key for item in self._leases() if self._rivals(item.key) and item.key != self._key]:
            self._store.delete(self._key)  # both may meet here, and neither works
            self._refuse(others[0])
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()
        if not self.lost.is_set():
            with suppress(OutputError):  # it ends by itself
                self._store.delete(self._key)

    def _rivals(self, key: str) -> bool:
        """Return whether a lease and ours exclude each other: the same share, or shares of different sizes."""
        return key == self._key or key.rpartition("-of-")[2] != self._key.rpartition("-of-")[2]

    def _leases(self) -> list[Item]:
        found = []
        for item in self._store.list(after=LEASES):
            if not item.key.startswith(LEASES):
                break
            found.append(item)
        return found

    def _wait_for(self, rivals: list[Item]) -> None:
        """Wait until rivals have shown no sign of life for as long as a lease holds, and remove theirs.

        Raises:
            OutputError: one did.
        """
        seen = {item.key: item.etag for item in rivals}
        deadline = time.monotonic() + self._seconds
        while time.monotonic() < deadline:
            time.sleep(self._seconds / BEATS / 2)
            now = {item.key: item.etag for item in self._leases()}
            for key, etag in seen.items():
                if now.get(key, etag) != etag:
                    self._refuse(key)
            if not seen.keys() & now.keys():
                return
        for key, etag in seen.items():
            # Only one of several drivers that have waited gets past here.
            if self._store.put_unchanged(key, b"{}", etag=etag) is not None:
                self._store.delete(key)

    def _refuse(self, key: str) -> None:
        try:
            found = json.loads(self._store.get(key).data)
            who = f" ({found['host']}, process {found['process']}, part {found['share']})"
        except (PhotoError, KeyError, ValueError):
            who = ""
        told = f"another run is at work there{who}; wait until it has ended, or choose another output"
        raise OutputError(told, path=self._store.url)

    def _content(self) -> bytes:
        self._beats += 1
        who = {"share": self._share, "host": socket.gethostname(), "process": os.getpid(), "beats": self._beats}
        return json.dumps(who).encode()

    def _beat(self) -> None:
        renewed = time.monotonic()
        while not self._ended.wait(self._seconds / BEATS):
            try:
                etag = self._store.put_unchanged(self._key, self._content(), etag=self._etag)
            except OutputError:
                if time.monotonic() - renewed < self._seconds:
                    continue
                etag = None
            if etag is None:
                self.lost.set()
                return
            self._etag, renewed = etag, time.monotonic()
