"""The agent's socket: one agent on a run directory, and nobody else at the door.

The directory is locked with flock(2) for as long as the listener lives, so of two agents that start at once exactly
one gets on; a socket file that a killed agent left behind is then known to be stale.  The socket is made under
another name, given its owner and mode, and renamed into place: it is never open wider than it should be.
"""

from __future__ import annotations

import fcntl
import grp
import os
import socket
import stat
from pathlib import Path
from typing import Self

from weft.model.errors import AgentRunning, Conflict, InvalidOption

#: Members of this group may use the API; without the group, root alone.
GROUP = "weft"
DIRECTORY_MODE = 0o750
SOCKET_MODE = 0o660
#: Callers that may wait to be let in; more of them wait in connect(2).
BACKLOG = 1024

#: sizeof(sun_path) without the terminating NUL (unix(7)).
_LONGEST_PATH = 107


class Listener:
    """A listening unix socket at ``path``, whose directory is made if need be; a context manager.

    An agent opens it before it touches anything else: whoever finds another agent there has then done no harm, and
    callers who come before the agent is ready wait for it.

    Raises AgentRunning when another agent has the directory, Conflict when something else is in the way, and
    InvalidOption when the directory cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if len(os.fsencode(path)) + len(".new") > _LONGEST_PATH:
            raise InvalidOption(f"{path} is too long for a socket", "Give a shorter --run-dir.")
        self._group = _group()
        self._directory = _open_directory(path.parent, self._group)
        try:
            _lock(self._directory, path.parent)
            _check_unused(path)
            self.socket = self._listen()
        except BaseException:
            os.close(self._directory)
            raise
        self._inode = path.stat().st_ino

    def _listen(self) -> socket.socket:
        fresh = self.path.with_name(self.path.name + ".new")
        fresh.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listening.bind(str(fresh))
            _give(fresh, SOCKET_MODE, self._group)
            listening.listen(BACKLOG)
            fresh.rename(self.path)
        except BaseException:
            listening.close()
            raise
        return listening

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the socket, if it is still this one, and give the directory free."""
        self.socket.close()
        try:
            if self.path.stat().st_ino == self._inode:
                self.path.unlink()
        except FileNotFoundError:
            pass
        os.close(self._directory)


def _group() -> int:
    try:
        return grp.getgrnam(GROUP).gr_gid
    except KeyError:
        return os.getegid()


def _open_directory(directory: Path, group: int) -> int:
    """Return a descriptor of ``directory``, which is made, or belongs to this user and is closed to all others."""
    try:
        directory.mkdir(mode=DIRECTORY_MODE, parents=True)
    except FileExistsError:
        pass
    else:
        _give(directory, DIRECTORY_MODE, group)
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise InvalidOption(f"the run directory {directory} cannot be opened: {error.strerror}") from None
    status = os.fstat(descriptor)
    if status.st_uid != os.geteuid() or status.st_mode & 0o027:
        os.close(descriptor)
        raise InvalidOption(
            f"the run directory {directory} is open to other users (mode {stat.S_IMODE(status.st_mode):04o})",
            "Give a directory that is weft's alone and has mode 0750, or one that does not exist yet.",
        )
    return descriptor


def _give(path: Path, mode: int, group: int) -> None:
    if os.geteuid() == 0:
        os.chown(path, 0, group)
    path.chmod(mode)


def _lock(descriptor: int, directory: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise AgentRunning(f"an agent runs already on {directory}") from None


def _check_unused(path: Path) -> None:
    """Refuse when somebody listens on ``path``, or when it is something that no agent left there."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise Conflict(f"{path} exists and is not a socket", "Remove it, or give another --run-dir.")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return
        except OSError:
            pass
    raise AgentRunning(f"somebody listens already on {path}")
