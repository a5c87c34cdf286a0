"""One agent for each state file: a lock that the kernel takes back when its holder dies."""

from __future__ import annotations

import fcntl
import os
import shlex
import sys
from pathlib import Path

from weft.model.errors import StoreInUse


class LockFile:
    """A file that this process holds locked (flock(2)) until ``release``.

    The kernel drops the lock with the process, however it ends, so there is never a stale one to clear away.  The
    file itself stays: were it removed, a second process could lock the old one and a third the new one.
    """

    def __init__(self, path: Path, what: Path) -> None:
        """Lock ``path`` on behalf of ``what``; raise StoreInUse, naming the holder, if another has it locked."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._file, 4096, 0).decode(errors="replace").strip() or "another process"
            os.close(self._file)
            raise StoreInUse(f"{what} is in use by {holder}", path=str(what), holder=holder) from None
        self._sign()

    def release(self) -> None:
        """Unlock; the object is spent after that."""
        os.close(self._file)

    def _sign(self) -> None:
        """Write down who holds the lock, for people; the lock holds without it, so a full disk is no error here."""
        try:
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"process {os.getpid()} ({shlex.join(sys.argv)})\n".encode(errors="replace"), 0)
        except OSError:
            pass
