"""What SQLite and the file system answer when they fail, as errors of weft."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from weft.model.errors import StoreCorrupt, StoreFailed, StoreFull, StoreInUse

# Primary result codes, https://sqlite.org/rescode.html.  The statements of this room are fixed and known to be
# right, so that a logic error (no such table) means that the file is not as it was written.
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}
_UNWRITABLE = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY}
# What the operating system refused without SQLite telling why.
_UNEXPLAINED = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}
_UNWRITABLE_ERRNO = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn errors of SQLite and of the operating system about the state file ``path`` into StoreFailed and its kin."""
    try:
        yield
    except sqlite3.Error as error:
        raise _from_sqlite(error, path) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise full(path, reason) if error.errno in _UNWRITABLE_ERRNO else _failed(path, reason) from error


def corrupt(path: Path, what: str) -> StoreCorrupt:
    """Return the error for a damaged state file: ``what`` is wrong with it."""
    return StoreCorrupt(
        f"state file {path} is damaged: {what}",
        f"weft has left it as it is.  Put a sound copy in its place, or move {path} and {path}-wal away and start"
        " again with no networks.",
        path=str(path),
    )


def full(path: Path, reason: str) -> StoreFull:
    """Return the error for a state file that cannot be written for want of space or permission."""
    return StoreFull(
        f"cannot write state file {path}: {reason}",
        f"Make room in {path.parent}, or make it writable.  What runs goes on running meanwhile.",
        path=str(path),
    )


def _failed(path: Path, reason: str) -> StoreFailed:
    return StoreFailed(f"cannot use state file {path}: {reason}", path=str(path))


def _from_sqlite(error: sqlite3.Error, path: Path) -> StoreFailed:
    # The low byte is the primary code.  Errors that Python's own layer raises, about text in the schema that is not
    # UTF-8 for one, carry none.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
    if code in _DAMAGED:
        return corrupt(path, str(error))
    if code in _UNWRITABLE or (code in _UNEXPLAINED and _is_unwritable(path.parent)):
        return full(path, str(error))
    if code == sqlite3.SQLITE_BUSY:
        return StoreInUse(f"{path} is in use by another program", "Close what else has it open.", path=str(path))
    return _failed(path, str(error))


def _is_unwritable(directory: Path) -> bool:
    try:
        state = os.statvfs(directory)
    except OSError:
        return False
    return 0 in (state.f_bavail, state.f_favail) or bool(state.f_flag & os.ST_RDONLY)
