"""Notices the end of processes: one thread that waits on a process descriptor for each.

A descriptor (pidfd_open(2)) means one process and never another that was given the same number later.
"""

from __future__ import annotations

import logging
import os
import select
import threading
from collections.abc import Callable

from weft.model.container import Container

log = logging.getLogger("weft")


class Reaper:
    """Calls ``ended(container id)`` once when the process of a watched container has ended."""

    def __init__(self, ended: Callable[[str], None]) -> None:
        self._ended = ended
        self._lock = threading.Lock()
        self._poll = select.poll()
        self._watched: dict[int, str] = {}
        self._wakeup, self._alarm = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._poll.register(self._wakeup, select.POLLIN)
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="reaper", daemon=True)
        self._thread.start()

    def watch(self, container: Container) -> None:
        """Wait for the end of ``container.pid``; a process that is gone already is reported at once."""
        try:
            descriptor = os.pidfd_open(container.pid)
        except ProcessLookupError:
            self._report(container.id)
            return
        with self._lock:
            self._watched[descriptor] = container.id
            self._poll.register(descriptor, select.POLLIN)
        os.write(self._alarm, b"+")

    def close(self) -> None:
        """Stop waiting."""
        self._closing = True
        os.write(self._alarm, b"-")
        self._thread.join()
        for descriptor in (*self._watched, self._wakeup, self._alarm):
            os.close(descriptor)

    def _run(self) -> None:
        while not self._closing:
            for descriptor, _ in self._poll.poll():
                if descriptor == self._wakeup:
                    os.read(self._wakeup, 4096)
                    continue
                with self._lock:
                    identifier = self._watched.pop(descriptor, None)
                    self._poll.unregister(descriptor)
                os.close(descriptor)
                if identifier is not None:
                    self._report(identifier)

    def _report(self, identifier: str) -> None:
        try:
            self._ended(identifier)
        except Exception:
            log.exception("while concluding container %s", identifier[:12])
