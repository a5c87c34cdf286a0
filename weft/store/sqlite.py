"""The default store: one SQLite file on this host, opened by one agent."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from weft.model.errors import Compacted, InvalidInput, RevisionConflict, StoreFailed
from weft.store import database
from weft.store.base import Delete, Entry, Event, Write
from weft.store.faults import corrupt, explained
from weft.store.inspection import inspect
from weft.store.lockfile import LockFile
from weft.store.rows import Damaged, Row
from weft.store.watches import Watch

#: How many revisions a watch can go back.
HISTORY = 1000

_GET = "SELECT key, value, revision, checksum FROM entries WHERE key = ?"
# UTF-8 never holds the byte ff, so that every key with the prefix lies before prefix + ff.
_LIST = "SELECT key, value, revision, checksum FROM entries WHERE key >= ? AND key < ? ORDER BY key"
_PUT = "INSERT OR REPLACE INTO entries (key, value, revision, checksum) VALUES (?, ?, ?, ?)"
_DELETE = "DELETE FROM entries WHERE key = ?"
_RECORD = "INSERT INTO changes (key, value, revision, checksum, position) VALUES (?, ?, ?, ?, ?)"
_SINCE = "SELECT key, value, revision, checksum FROM changes WHERE revision > ? ORDER BY revision, position"
_FORGET = "DELETE FROM changes WHERE revision <= ?"
_NEWEST = "SELECT coalesce(max(revision), 0) FROM changes"
_OLDEST = "SELECT coalesce(min(revision), 1) FROM changes"


class SqliteStore:
    """A store in the file ``path``, made if it is not there (mode 0600; its directory, if made, 0700).

    One guarded connection serves all threads: a write takes a fraction of a millisecond, less than handing it to
    another connection would gain.  The log is written ahead (WAL); a durable write is on the disk when it returns
    (synchronous=FULL), another one is in the kernel's hands (synchronous=NORMAL).

    ``history`` is the number of revisions that a watch can go back.

    Raises StoreInUse while another agent has the file open, StoreCorrupt if it is damaged (it is left as it is),
    StoreFull if it cannot be written, StoreFailed if a newer weft has written it.
    """

    def __init__(self, path: Path | str, *, history: int = HISTORY) -> None:
        self.path = Path(path).absolute()
        self._history = history
        self._lock = threading.Lock()
        self._watches: list[Watch] = []
        self._synchronous = ""
        with explained(self.path):
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._owner = LockFile(self.path.with_name(self.path.name + ".lock"), self.path)
            try:
                self._db: sqlite3.Connection | None = self._open()
            except BaseException:
                self._owner.release()
                raise

    # --- reading

    def revision(self) -> int:
        with self._access() as db:
            return database.number(db, _NEWEST)

    def get(self, key: str) -> Entry | None:
        with self._access() as db:
            row = db.execute(_GET, (_encode(key),)).fetchone()
            return None if row is None else Row(*row).entry()

    def list(self, prefix: str) -> tuple[Entry, ...]:
        first = _encode(prefix) if prefix else b""
        with self._access() as db:
            return tuple(Row(*row).entry() for row in db.execute(_LIST, (first, first + b"\xff")))

    # --- writing

    def write(self, writes: Sequence[Write], *, durable: bool = True) -> int:
        keys = [_encode(write.key) for write in writes]
        if len(set(keys)) < len(keys):
            raise InvalidInput("one transaction names a key twice", keys=[write.key for write in writes])
        with self._access() as db:
            revision = database.number(db, _NEWEST)
            if not writes:
                return revision
            revision += 1
            self._set_synchronous(db, "FULL" if durable else "NORMAL")
            with database.transaction(db):
                for position, (key, write) in enumerate(zip(keys, writes, strict=True)):
                    _carry_out(db, key, write, revision, position)
                db.execute(_FORGET, (revision - self._history,))
            if self._watches:
                self._announce(writes, revision)
            return revision

    def _set_synchronous(self, db: sqlite3.Connection, level: str) -> None:
        if self._synchronous != level:
            db.execute(f"PRAGMA synchronous = {level}")
            self._synchronous = level

    # --- watching

    def watch(self, prefix: str, since: int, notify: Callable[[Event], None]) -> Callable[[], None]:
        with self._access() as db:
            # No write can come between: what is not in the history now is announced.
            past = _changes(db, since)
            watch = Watch(prefix, notify)
            watch.offer(past)
            self._watches.append(watch)
        return lambda: self._end(watch)

    def _announce(self, writes: Sequence[Write], revision: int) -> None:
        events = [
            Event(key=write.key, value=None if isinstance(write, Delete) else write.value, revision=revision)
            for write in writes
        ]
        for watch in self._watches:
            watch.offer(events)

    def _end(self, watch: Watch) -> None:
        with self._lock:
            if watch in self._watches:
                self._watches.remove(watch)
        # Not under the lock: a delivery that is under way may be waiting for it.
        watch.end()

    # --- opening and closing

    def close(self) -> None:
        """End the watches and let go of the file; any other call raises StoreFailed after that."""
        with self._lock:
            db, self._db = self._db, None
            watches, self._watches = self._watches, []
        for watch in watches:
            watch.end()
        if db is not None:
            db.close()
            self._owner.release()

    def _open(self) -> sqlite3.Connection:
        if not inspect(self.path):
            database.create(self.path)
        db = database.connect(self.path)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            database.migrate(db, database.MIGRATIONS)
        except BaseException:
            db.close()
            raise
        return db

    @contextmanager
    def _access(self) -> Iterator[sqlite3.Connection]:
        """Hold the connection; errors leave as errors of weft."""
        with self._lock, explained(self.path):
            if self._db is None:
                raise StoreFailed(f"state file {self.path} has been closed")
            try:
                yield self._db
            except Damaged as damage:
                raise corrupt(self.path, str(damage)) from damage


def _encode(key: str) -> bytes:
    try:
        encoded = key.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(f"key {key!r} cannot be stored: {error.reason}") from None
    if not encoded:
        raise InvalidInput("a key cannot be empty")
    return encoded


def _carry_out(db: sqlite3.Connection, key: bytes, write: Write, revision: int, position: int) -> None:
    found = db.execute("SELECT revision FROM entries WHERE key = ?", (key,)).fetchone()
    present = 0 if found is None else found[0]
    if present != write.revision or (isinstance(write, Delete) and not present):
        raise RevisionConflict(
            f"{write.key!r} has revision {present}, not {write.revision}", key=write.key, revision=present
        )
    row = Row.of(key, None if isinstance(write, Delete) else write.value, revision)
    if isinstance(write, Delete):
        db.execute(_DELETE, (key,))
    else:
        db.execute(_PUT, row)
    db.execute(_RECORD, (*row, position))


def _changes(db: sqlite3.Connection, since: int) -> list[Event]:
    """Return all changes after revision ``since``; raise Compacted if they are not known (any more, or yet)."""
    oldest, newest = database.number(db, _OLDEST) - 1, database.number(db, _NEWEST)
    if not oldest <= since <= newest:
        raise Compacted(
            f"the changes since revision {since} are not known, only those since {oldest} to {newest}",
            "List the entries and watch from the revision of that moment.",
            since=since,
            oldest=oldest,
            newest=newest,
        )
    return [Row(*row).event() for row in db.execute(_SINCE, (since,))]
