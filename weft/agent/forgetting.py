"""Tracked connections of addresses that were given back, forgotten behind the caller's back.

Finding them takes a walk over the kernel's whole table (tens of milliseconds with its default size), for which
nobody who detaches a container should wait.  Whoever gets such an address next waits instead, if the walk is not
over by then: a new container must not inherit the connections of the old one, nor lose its own with them.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence

log = logging.getLogger("weft")


class Forgetting:
    """One thread that calls ``flush`` with all addresses that have come together since its last call."""

    def __init__(self, flush: Callable[[Sequence[str]], None]) -> None:
        self._flush = flush
        self._changed = threading.Condition()
        self._waiting: set[str] = set()
        self._under_way: frozenset[str] = frozenset()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="forgetting", daemon=True)
        self._thread.start()

    def forget(self, addresses: Iterable[str]) -> None:
        """Have the connections of ``addresses`` forgotten soon."""
        with self._changed:
            self._waiting.update(addresses)
            self._changed.notify_all()

    def wait_for(self, addresses: Iterable[str]) -> None:
        """Return when no connection of an earlier life of ``addresses`` is tracked any more."""
        wanted = frozenset(addresses)
        with self._changed:
            self._changed.wait_for(lambda: not wanted & (self._waiting | self._under_way))

    def close(self) -> None:
        """Finish what was asked for and end."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                if not self._waiting:
                    return
                self._under_way = frozenset(self._waiting)
                self._waiting.clear()
            try:
                self._flush(sorted(self._under_way))
            except Exception:
                log.exception("while forgetting connections")
            with self._changed:
                self._under_way = frozenset()
                self._changed.notify_all()
