"""One agent for each network namespace: a second one would take the first one's objects for leftovers."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from weft.model.errors import AgentRunning

#: Where the locks of all agents of the machine are, whichever run directories they have.
LOCKS = Path("/run/weft.agents")


class Sole:
    """Holds the lock of the network namespace that the calling thread is in; a context manager.

    The lock is on a file named after the namespace's inode, and the kernel releases it whenever and however the
    process ends.  (An abstract socket, which is per namespace by itself, could be taken by anybody on the host.)
    """

    def __init__(self, locks: Path = LOCKS) -> None:
        self._path = locks / str(os.stat("/proc/thread-self/ns/net").st_ino)
        locks.mkdir(mode=0o700, exist_ok=True)
        self._fd = -1

    def __enter__(self) -> Self:
        """Take the lock; raise AgentRunning if another agent holds it."""
        while True:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(self._fd, 32, 0).decode() or "?"
                os.close(self._fd)
                raise AgentRunning(
                    f"another agent, pid {holder}, serves this network namespace",
                    "One agent serves a host; 'weft status' with its --run-dir asks it.",
                ) from None
            if self._is_still_named():
                break
            os.close(self._fd)
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, str(os.getpid()).encode(), 0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._path.unlink(missing_ok=True)
        os.close(self._fd)

    def _is_still_named(self) -> bool:
        """Whether the locked file is the one at the path: its last holder deletes it before letting go."""
        with suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(self._fd), os.stat(self._path))
        return False
