"""Addresses announced once more, a moment after they came up.

The kernel announces an address by itself when its interface comes up (sysctls ``arp_notify`` and ``ndisc_notify``), but
a port of a bridge may begin to forward only after its other end has spoken, and then nobody has heard it.
"""

from __future__ import annotations

import queue
import threading
import time

from weft.kernel.base import Kernel
from weft.plan.objects import Objects
from weft.plan.operations import announcements

#: Seconds after which an address is announced again.
DELAY = 0.1

_Due = tuple[float, Objects]


class Announcing:
    """One thread that repeats announcements.  What has gone meanwhile is not announced, and that is no error."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._due: queue.SimpleQueue[_Due | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="announcing", daemon=True)
        self._thread.start()

    def soon(self, objects: Objects) -> None:
        """Announce the interfaces among ``objects`` again in a moment."""
        self._due.put((time.monotonic() + DELAY, objects))

    def close(self) -> None:
        """End; what is not announced yet will not be."""
        self._due.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (entry := self._due.get()) is not None:
            moment, objects = entry
            time.sleep(max(0.0, moment - time.monotonic()))
            self._kernel.withdraw(announcements(objects))
