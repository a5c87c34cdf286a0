"""A container in the foreground: its output here, Ctrl-C to it, its exit code ours."""

from __future__ import annotations

import signal
import sys
from contextlib import suppress
from typing import Any

from weft.api.client import Client
from weft.model.errors import WeftError

#: Seconds of one wait for the exit code; the agent allows no longer ones.
WAIT = 30.0
#: Seconds from SIGTERM to SIGKILL at the first Ctrl-C.  A second one kills.
GRACE = 10.0

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Foreground:
    """``container`` is what the agent answered when it was run; with ``remove`` it goes when it has ended."""

    def __init__(self, client: Client, container: dict[str, Any], remove: bool) -> None:
        self._client = client
        self._container = container
        self._path = f"/v1/containers/{container['id']}"
        self._remove = remove
        self._interrupts = 0

    def stay(self, interactive: bool, tty: bool) -> int:
        """Stay until the container has ended; return its exit code."""
        try:
            if interactive or tty:
                from weft.api.console import attach

                return attach(self._container["console"], tty)
            return self._follow()
        finally:
            if self._remove:
                self._client.request("DELETE", self._path, query={"force": True})

    def _follow(self) -> int:
        earlier = {number: signal.signal(number, self._interrupted) for number in _SIGNALS}
        try:
            for piece in self._client.stream(f"{self._path}/logs", {"follow": True}):
                sys.stdout.buffer.write(piece)
                sys.stdout.buffer.flush()
        except BrokenPipeError:
            self._stop(0.0)  # nobody reads what it says any more, as when 'head' has seen enough
            raise
        finally:
            for number, handler in earlier.items():
                signal.signal(number, handler)
        return self._exit_code()

    def _interrupted(self, number: int, frame: object) -> None:
        """Stop the container and go on reading: what it writes on its way out belongs to its output.

        In a thread, because a handler that waited would keep the output from being read.
        """
        from threading import Thread

        self._interrupts += 1
        grace = GRACE if self._interrupts == 1 else 0.0
        Thread(target=self._stop, args=(grace,), daemon=True).start()

    def _stop(self, grace: float) -> None:
        with suppress(WeftError):  # it may have ended by itself just now
            self._client.request("POST", f"{self._path}/stop", query={"timeout": grace})

    def _exit_code(self) -> int:
        while True:
            answer = self._client.request("POST", f"{self._path}/wait", query={"timeout": WAIT})
            if answer["exit_code"] is not None:
                return int(answer["exit_code"])
