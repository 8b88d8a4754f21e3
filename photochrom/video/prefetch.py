"""Make one item while the one before it is used."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")
LOOK_S = 0.1
"""How often a thread that waits looks whether it is still needed."""


@dataclass(frozen=True)
class _Passed(Generic[Item]):
    """What a thread hands over: an item, the end, or what went wrong."""

    items: tuple[Item, ...] = ()
    error: BaseException | None = None


def ahead(items: Iterator[Item]) -> Generator[Item]:
    """Yield items that another thread makes, one of them in advance; what it raises is raised here.

    Closing the generator ends the thread at its next item, without waiting for it.
    """
    handed: queue.Queue[_Passed[Item]] = queue.Queue(1)
    over = threading.Event()

    def offer(what: _Passed[Item]) -> bool:
        while not over.is_set():
            try:
                handed.put(what, timeout=LOOK_S)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not offer(_Passed((item,))):
                    return
                del item  # or it would be held while the next is made
            offer(_Passed())
        except BaseException as error:  # whatever it is, it belongs to the thread that waits
            offer(_Passed(error=error))
        finally:
            if isinstance(items, Generator):
                items.close()

    threading.Thread(target=work, name="photochrom-film", daemon=True).start()
    try:
        while True:
            passed = handed.get()
            if passed.error:
                raise passed.error
            if not passed.items:
                return
            yield passed.items[0]
            del passed
    finally:
        over.set()
