"""What happens, told to whoever listens: ``weft events``."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

#: Events that a listener may fall behind by before it is cut off.
BACKLOG = 1024
#: Seconds after which an idle stream yields an empty event, so that a listener that has gone is noticed.
KEEPALIVE = 5.0


class Events:
    """Hands every event to every listener; never blocks the one who tells."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: set[queue.SimpleQueue[dict[str, Any] | None]] = set()

    def tell(self, kind: str, action: str, identifier: str, name: str, **details: Any) -> None:
        """Announce that ``action`` happened to an object of ``kind`` (network, container, endpoint, agent)."""
        event = {"time": now(), "type": kind, "action": action, "id": identifier, "name": name, **details}
        with self._lock:
            listeners = tuple(self._listeners)
        for listener in listeners:
            if listener.qsize() < BACKLOG:
                listener.put(event)
            else:
                listener.put(None)

    def listen(self) -> Iterator[dict[str, Any]]:
        """Yield events from now on, and {} every few seconds in between; ends when the listener fell behind."""
        mailbox: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        with self._lock:
            self._listeners.add(mailbox)
        return self._drain(mailbox)

    def close(self) -> None:
        """End every stream."""
        with self._lock:
            for listener in self._listeners:
                listener.put(None)

    def _drain(self, mailbox: queue.SimpleQueue[dict[str, Any] | None]) -> Iterator[dict[str, Any]]:
        try:
            while True:
                try:
                    event = mailbox.get(timeout=KEEPALIVE)
                except queue.Empty:
                    event = {}
                if event is None:
                    return
                yield event
        finally:
            with self._lock:
                self._listeners.discard(mailbox)


def now() -> str:
    """Return the time as RFC 3339 text in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
