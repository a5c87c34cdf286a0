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
        self._epoll = select.epoll()
        self._watched: dict[int, str] = {}
        self._stop = os.eventfd(0, os.EFD_CLOEXEC)
        self._epoll.register(self._stop, select.EPOLLIN)
        self._thread = threading.Thread(target=self._run, name="reaper", daemon=True)
        self._thread.start()

    def watch(self, container: Container) -> None:
        """Wait for the end of ``container.pid``; a process that is gone already (pid 0, maybe) is reported at once."""
        with self._lock:
            if container.id in self._watched.values():
                return
        try:
            if not container.pid:
                raise ProcessLookupError
            descriptor = os.pidfd_open(container.pid)
        except ProcessLookupError:
            self._report(container.id)
            return
        with self._lock:
            self._watched[descriptor] = container.id
            self._epoll.register(descriptor, select.EPOLLIN)

    def forget(self, container: Container) -> None:
        """Wait for the end of a container's process no more."""
        with self._lock:
            for descriptor in [fd for fd, identifier in self._watched.items() if identifier == container.id]:
                self._release(descriptor)

    def close(self) -> None:
        """Stop waiting."""
        os.eventfd_write(self._stop, 1)
        self._thread.join()
        self._epoll.close()
        for descriptor in (*self._watched, self._stop):
            os.close(descriptor)

    def _run(self) -> None:
        while True:
            for descriptor, _ in self._epoll.poll():
                if descriptor == self._stop:
                    return
                with self._lock:
                    # Forgotten meanwhile, and the number perhaps given to the descriptor of another process?
                    if descriptor not in self._watched or not _has_ended(descriptor):
                        continue
                    identifier = self._release(descriptor)
                self._report(identifier)

    def _release(self, descriptor: int) -> str:
        """Let go of a descriptor (with the lock held); return whose it was."""
        self._epoll.unregister(descriptor)
        os.close(descriptor)
        return self._watched.pop(descriptor)

    def _report(self, identifier: str) -> None:
        try:
            self._ended(identifier)
        except Exception:
            log.exception("while concluding container %s", identifier[:12])


def _has_ended(descriptor: int) -> bool:
    """Whether the process of a descriptor has ended (pidfd_open(2): it is readable then)."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
