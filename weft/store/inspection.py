"""Whether a state file is sound, found out without changing a byte of it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from weft.model.errors import StoreFailed
from weft.store import database
from weft.store.faults import corrupt
from weft.store.rows import Damaged, Row

_ROWS = "SELECT key, value, revision, checksum FROM "


def inspect(path: Path) -> bool:
    """Return whether there is a state file at ``path``, after looking through all of it.

    Reads the file once: a few milliseconds for a thousand containers.  What it cannot see is the loss of the last
    writes when the end of the write-ahead log (``-wal``, there only after a crash) is damaged: SQLite takes that
    for a write that the crash interrupted.

    Raises StoreCorrupt; StoreFailed if a newer weft has written the file; sqlite3.Error and OSError.
    """
    log = path.with_name(path.name + "-wal")
    has_log = log.exists() and log.stat().st_size > 0
    if not path.exists():
        # Opening would make an empty database and throw the log away, and with it what could still be saved.
        if has_log:
            raise corrupt(path, f"it is missing, but its log {log} is there")
        return False
    if not path.stat().st_size:
        raise corrupt(path, "it is empty")
    _inspect_access(path)
    with closing(database.connect(path, read_only=True)) as db:
        # SQLite reads what is missing of the last page as zeros.  With a log, the page may be whole in there.
        if not has_log and path.stat().st_size % database.number(db, "PRAGMA page_size"):
            raise corrupt(path, "it has been cut off")
        _inspect_structure(db, path)
        _inspect_version(db, path)
        _inspect_rows(db, path)
    return True


def _inspect_access(path: Path) -> None:
    """Raise where SQLite would silently open the file for reading only, and fail much later."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        # Write and read version, 2 for a write-ahead log; unknown ones forbid writing (sqlite.org/fileformat2.html).
        if os.pread(descriptor, 2, 18) != b"\x02\x02":
            raise corrupt(path, "its header is not that of a database with a write-ahead log")
    finally:
        os.close(descriptor)


def _inspect_structure(db: sqlite3.Connection, path: Path) -> None:
    verdict = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise corrupt(path, str(verdict))


def _inspect_version(db: sqlite3.Connection, path: Path) -> None:
    if database.number(db, "PRAGMA application_id") != database.APPLICATION_ID or database.version(db) < 1:
        raise corrupt(path, "it is not a state file of weft")
    found, known = database.version(db), len(database.MIGRATIONS)
    if found > known:
        raise StoreFailed(
            f"state file {path} has schema version {found}; this weft knows versions up to {known}",
            "A newer weft has written it.  Start that one, or give this one a --state-dir of its own.",
            path=str(path),
        )


def _inspect_rows(db: sqlite3.Connection, path: Path) -> None:
    if database.version(db) < len(database.MIGRATIONS):
        return  # an older schema, whose rows are verified as they are read once it has been migrated
    try:
        for row in db.execute(_ROWS + "entries"):
            Row(*row).entry()
        for row in db.execute(_ROWS + "changes"):
            Row(*row).event()
    except Damaged as damage:
        raise corrupt(path, str(damage)) from damage
