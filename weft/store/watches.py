"""Watches of a store whose every change passes through this process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from queue import SimpleQueue

from weft.store.base import Event

log = logging.getLogger(__name__)


class Watch:
    """A queue of changes and the thread that delivers them.

    Each watch has a thread of its own, so that one slow receiver holds up neither writers nor other watches.
    """

    def __init__(self, prefix: str, notify: Callable[[Event], None]) -> None:
        self._prefix = prefix
        self._notify = notify
        self._queue: SimpleQueue[Event | None] = SimpleQueue()
        self._ended = False
        self._thread = threading.Thread(target=self._deliver, name=f"watch {prefix!r}", daemon=True)
        self._thread.start()

    def offer(self, events: Iterable[Event]) -> None:
        """Queue the events that lie under the prefix; never blocks."""
        for event in events:
            if event.key.startswith(self._prefix):
                self._queue.put(event)

    def end(self) -> None:
        """Deliver nothing more; wait for a delivery that is under way, unless it is the one that calls."""
        self._ended = True
        self._queue.put(None)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _deliver(self) -> None:
        while (event := self._queue.get()) is not None and not self._ended:
            try:
                self._notify(event)
            except Exception:
                log.exception("a receiver of changes under %r failed on %r", self._prefix, event.key)
