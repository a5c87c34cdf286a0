"""Rows of the state file, each with a checksum, and what they hold.

SQLite's own check finds a damaged structure but does not look into values: a flipped bit inside one would turn an
address into another.  The checksum of every row is compared whenever the row is read.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

from weft.store.base import Entry, Event


class Damaged(Exception):
    """A row is not as it was written."""


class Row(NamedTuple):
    """A row of either table; in a change, ``value`` None tells that the entry was deleted."""

    key: bytes
    value: bytes | None
    revision: int
    checksum: int

    @classmethod
    def of(cls, key: bytes, value: bytes | None, revision: int) -> Row:
        return cls(key, value, revision, _checksum(key, value, revision))

    def verify(self) -> None:
        """Raise Damaged if the row is not as it was written, in content or in type."""
        sound = isinstance(self.key, bytes) and isinstance(self.value, bytes | None) and isinstance(self.revision, int)
        if not sound or _checksum(self.key, self.value, self.revision) != self.checksum:
            raise Damaged(f"the checksum of entry {self.key!r} does not match")

    def entry(self) -> Entry:
        """Return the row as an entry; raise Damaged."""
        self.verify()
        if self.value is None:
            raise Damaged(f"entry {self.key!r} has no value")
        return Entry(key=self.key.decode(), value=self.value, revision=self.revision)

    def event(self) -> Event:
        """Return the row as a change; raise Damaged."""
        self.verify()
        return Event(key=self.key.decode(), value=self.value, revision=self.revision)


def _checksum(key: bytes, value: bytes | None, revision: int) -> int:
    # The zero byte ends the key, and tells a deleted entry from an empty one.
    return zlib.crc32(b"" if value is None else b"\0" + value, zlib.crc32(key, revision & 0xFFFFFFFF))
