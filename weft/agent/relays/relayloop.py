"""The thread that serves all relayed ports: it waits for sockets and calls their handlers."""

from __future__ import annotations

import logging
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable

log = logging.getLogger("weft")

READ = selectors.EVENT_READ
WRITE = selectors.EVENT_WRITE

#: Called with the events (READ, WRITE) that a socket is ready for.
Handler = Callable[[int], None]


class Loop:
    """Handlers, ``want``, ``every_second`` and ``admit`` run or are called in the loop's own thread; ``call`` and
    ``close`` are for others."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._served = 0
        self._turned_away: list[Callable[[], None]] = []
        self._selector = selectors.DefaultSelector()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._selector.register(self._wake, READ, lambda _: self._work_off())
        self._work: list[Callable[[], None]] = []
        self._sweeps: list[Callable[[], None]] = []
        self._running = True
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self._thread.start()

    def call(self, work: Callable[[], None]) -> None:
        """Have ``work`` done by the thread and wait until it is."""
        done = threading.Event()
        self._work += [work, done.set]
        os.eventfd_write(self._wake, 1)
        done.wait()

    def close(self) -> None:
        """End the thread."""
        self.call(self._finish)
        self._thread.join()
        self._selector.close()
        os.close(self._wake)

    def want(self, handle: socket.socket, events: int, handler: Handler) -> None:
        """Have ``handler`` called when a socket is ready for ``events``, from now on; 0 is never."""
        known = handle in self._selector.get_map()
        if known and not events:
            self._selector.unregister(handle)
        elif known and self._selector.get_key(handle).events != events:
            self._selector.modify(handle, events, handler)
        elif events and not known:
            self._selector.register(handle, events, handler)

    def drop(self, handle: socket.socket) -> None:
        """Close a socket and forget it."""
        if handle in self._selector.get_map():
            self._selector.unregister(handle)
        handle.close()

    def every_second(self, sweep: Callable[[], None]) -> Callable[[], None]:
        """Have ``sweep`` called about every second; return what ends that."""
        self._sweeps.append(sweep)
        return lambda: self._sweeps.remove(sweep)

    def admit(self, when_free: Callable[[], None]) -> bool:
        """Take one of the places for those who are served; if none is free, call ``when_free`` once one may be."""
        if self._served >= self._limit:
            self._turned_away.append(when_free)
            return False
        self._served += 1
        return True

    def leave(self) -> None:
        """Give a place back."""
        self._served -= 1
        waiting, self._turned_away = self._turned_away, []
        for when_free in waiting:
            when_free()

    def _run(self) -> None:
        swept = time.monotonic()
        while self._running:
            ready = self._selector.select(1.0 if self._sweeps else None)
            for key, events in ready:
                # A handler before this one may have closed this socket.  One that it only gave other events is
                # reported again.
                if self._selector.get_map().get(key.fd) is key:
                    _guarded(lambda handler=key.data, events=events: handler(events))  # type: ignore[misc]
            if time.monotonic() - swept >= 1.0:
                swept = time.monotonic()
                for sweep in list(self._sweeps):
                    _guarded(sweep)

    def _work_off(self) -> None:
        os.eventfd_read(self._wake)
        while self._work:
            _guarded(self._work.pop(0))

    def _finish(self) -> None:
        self._running = False


def _guarded(work: Callable[[], None]) -> None:
    """Do ``work``; what goes wrong with one connection must not end the others."""
    try:
        work()
    except Exception:
        log.exception("in the relay of published ports")
