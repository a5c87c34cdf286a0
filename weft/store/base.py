"""The contract that every store keeps.

A store holds entries: a key (a path such as ``networks/3f…``), a value (bytes) and a revision.  Revisions are
positive, grow with every write of the store, and are what compare-and-swap compares.

A key is any text but the empty one that UTF-8 can encode; another raises InvalidInput.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from weft.model.base import Record


class Entry(Record):
    key: str
    value: bytes
    revision: int


class Put(Record, tag=True):
    """Write ``value`` if the entry's revision is ``revision``; 0 means that there must be no entry yet."""

    key: str
    value: bytes
    revision: int


class Delete(Record, tag=True):
    """Delete the entry if its revision is ``revision``; deleting what is not there is a conflict."""

    key: str
    revision: int


Write = Put | Delete


class Event(Record):
    """A change seen by a watch: ``value`` is None when the entry was deleted."""

    key: str
    value: bytes | None
    revision: int


class Store(Protocol):
    """All calls block and may be made from any thread.  Failures raise StoreFailed (StoreCorrupt, StoreFull)."""

    def revision(self) -> int:
        """Return the revision of the newest write, 0 before the first.

        To follow what is under a prefix: take the revision, then list, then watch from that revision.  What
        changes between the steps is seen twice, never missed.
        """

    def get(self, key: str) -> Entry | None:
        """Return the entry, None if there is none."""

    def list(self, prefix: str) -> tuple[Entry, ...]:
        """Return the entries whose keys begin with ``prefix``, ordered by key."""

    def write(self, writes: Sequence[Write], *, durable: bool = True) -> int:
        """Carry out all writes or none; return the revision that the written entries have now.

        Raises RevisionConflict if one of them finds another revision than it names, InvalidInput if two of them
        name one key.  No writes at all return the newest revision.  With ``durable`` False
        the write survives the death of this process but perhaps not that of the machine: enough for what
        only describes kernel state, which dies with the machine too.
        """

    def watch(self, prefix: str, since: int, notify: Callable[[Event], None]) -> Callable[[], None]:
        """Call ``notify`` with every change after revision ``since`` under ``prefix``, in order, from a thread of
        the store's own; return what ends the watch.

        Every change comes exactly once; an exception of ``notify`` is logged and the next change delivered.  Once
        the watch has been ended ``notify`` is not called again: ending waits for a call that is under way (unless
        it is made from within it), so do not end a watch while holding a lock that ``notify`` takes.

        Raises Compacted if the store no longer knows every change since then, or has not come so far yet (a store
        put back from an older copy): list again.
        """

    def close(self) -> None:
        """Release what is open."""
