"""The state file as a SQLite database: connecting, its schema, and how an older schema becomes the present one."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

Migration = tuple[str, ...]

#: 'weft' in ASCII, in the header of the file (PRAGMA application_id), so that file(1) and weft can tell whose it is.
APPLICATION_ID = 0x77656674

#: Statements that lead from one schema version to the next.  The version (PRAGMA user_version) is the number of
#: migrations that the file has been through; published ones are never edited, new ones are added at the end.
MIGRATIONS: tuple[Migration, ...] = (
    (
        """
        CREATE TABLE entries (
            key BLOB NOT NULL PRIMARY KEY,
            value BLOB NOT NULL,
            revision INTEGER NOT NULL,
            checksum INTEGER NOT NULL
        ) WITHOUT ROWID
        """,
        # The last changes, for watches.  The newest row is never deleted: its revision is the store's.
        """
        CREATE TABLE changes (
            revision INTEGER NOT NULL,
            position INTEGER NOT NULL,
            key BLOB NOT NULL,
            value BLOB,
            checksum INTEGER NOT NULL,
            PRIMARY KEY (revision, position)
        ) WITHOUT ROWID
        """,
    ),
)

_BUSY_SECONDS = 2.0


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open the existing database ``path`` for this process alone.

    Locking mode EXCLUSIVE keeps others, such as a sqlite3 shell, from writing behind weft's back, and it keeps the
    index of the write-ahead log in memory instead of in a mapped file, where a full disk would end the process
    with SIGBUS.  To read only, SQLite's own locks have to be off (they need a writable file): the caller's lock
    file stands in for them.
    """
    options = "mode=ro&vfs=unix-none" if read_only else "mode=rw"
    db = sqlite3.connect(
        f"{path.as_uri()}?{options}", uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    # https://sqlite.org/security.html: what to set where the file itself may be damaged or hostile.
    for pragma in ("locking_mode=EXCLUSIVE", "trusted_schema=OFF", "cell_size_check=ON"):
        db.execute(f"PRAGMA {pragma}")
    return db


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Commit what the block does, or undo all of it when the block or the commit fails."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        # Some failures (disk full, I/O) have rolled back by themselves.
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def number(db: sqlite3.Connection, query: str) -> int:
    """Return the one number that ``query`` asks for."""
    found = db.execute(query).fetchone()[0]
    if not isinstance(found, int):
        raise sqlite3.DatabaseError(f"{query!r} gives {found!r}")
    return found


def version(db: sqlite3.Connection) -> int:
    """Return the schema version of the file."""
    return number(db, "PRAGMA user_version")


def migrate(db: sqlite3.Connection, migrations: Sequence[Migration]) -> None:
    """Bring the schema to the version ``len(migrations)``, each step all or nothing."""
    for target in range(version(db) + 1, len(migrations) + 1):
        with transaction(db):
            for statement in migrations[target - 1]:
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {target}")


def create(path: Path) -> None:
    """Make an empty state file at ``path``, readable by its owner only.

    It is made under another name first, so that a file at ``path`` is always a whole one: an empty file there is
    damage, never a creation that was interrupted.
    """
    unfinished = path.with_name(path.name + ".new")
    _remove(unfinished)
    try:
        os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        _fill(unfinished)
        unfinished.rename(path)
    except BaseException:
        _remove(unfinished)
        raise
    # SQLite has synced the file; that it has its name now is on the disk when the directory is.
    _sync(path.parent)


def _fill(path: Path) -> None:
    db = connect(path)
    try:
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute("PRAGMA journal_mode = WAL")
        migrate(db, MIGRATIONS)
    finally:
        db.close()


def _remove(unfinished: Path) -> None:
    for suffix in ("", "-journal", "-wal"):
        unfinished.with_name(unfinished.name + suffix).unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
