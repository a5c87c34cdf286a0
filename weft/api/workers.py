"""Threads in which the agent's blocking methods run, so that the event loop never waits for any of them.

There are two pools.  One serves calls that do their work and return; the other those that wait for something to
happen (a container's end, the next line of a log), so that however many wait, calls are served.  Both are bounded:
a caller whom no thread can serve in time gets an error, and memory stays flat.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from weft.model.errors import Exhausted, TimedOut

CALLS = 32
WATCHERS = 1024

T = TypeVar("T")


class Workers:
    """The two pools."""

    def __init__(self) -> None:
        self._calls = ThreadPoolExecutor(CALLS, "api-call")
        self._watchers = ThreadPoolExecutor(WATCHERS, "api-watch")
        self._watching = 0
        self._stopping = False

    def stopping(self) -> bool:
        """Whether streams should come to their end."""
        return self._stopping

    def begin_stop(self) -> None:
        """Let every stream and every wait end at its next step."""
        self._stopping = True

    def close(self) -> None:
        """Take no more work; what runs is not waited for."""
        self._stopping = True
        self._calls.shutdown(wait=False, cancel_futures=True)
        self._watchers.shutdown(wait=False, cancel_futures=True)

    def check_room(self) -> None:
        """Raise Exhausted when as many wait as there are threads to wait in."""
        if self._watching >= WATCHERS:
            raise Exhausted(f"{WATCHERS} callers are waiting for something already", "Try again when some have gone.")

    async def call(self, function: Callable[[], T], timeout: float, patient: bool = False) -> T:
        """Return what ``function`` returns; raise TimedOut if that takes longer than ``timeout`` seconds."""
        if not patient:
            return await _within(self._calls.submit(function), timeout)
        self.check_room()
        self._watching += 1
        try:
            return await _within(self._watchers.submit(function), timeout)
        finally:
            self._watching -= 1

    async def pull(self, stream: Generator[T, None, None]) -> AsyncIterator[T]:
        """Yield what ``stream`` yields, and close it when nobody listens any more."""
        self._watching += 1
        pending: Future[Any] = Future()
        pending.set_result(None)
        try:
            while not self._stopping:
                pending = self._watchers.submit(next, stream, None)
                piece = await asyncio.wrap_future(pending)
                if piece is None:
                    return
                yield piece
        finally:
            self._watching -= 1
            # A generator cannot be closed while a thread is in it.
            pending.add_done_callback(lambda _: stream.close())


async def _within(future: Future[T], timeout: float) -> T:
    wrapped = asyncio.wrap_future(future)
    await asyncio.wait({wrapped}, timeout=timeout)
    if not wrapped.done():
        wrapped.cancel()
        raise TimedOut(f"the agent has not finished within {timeout:g} s; it may still do so")
    return wrapped.result()
