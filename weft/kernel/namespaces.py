"""Network namespaces: opened and checked, entered, made and removed.

Nothing here forks.  A thread enters a namespace, does its work there and ends, so no thread that goes on living is
ever in the wrong one.  A namespace is held by a descriptor while it is worked on: what a path leads to can change
between two looks (a pid is given to another process), what a descriptor refers to cannot.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from weft.kernel import syscalls
from weft.kernel.refusals import refusal
from weft.model.container import Namespace
from weft.model.errors import NamespaceNotFound

T = TypeVar("T")

#: The calling thread's own network namespace.  Not /proc/self: that is the main thread's.
OWN = "/proc/thread-self/ns/net"

# netdevice(7): struct ifreq is a name of 16 octets and a union of 24.
_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1


def in_namespace(fd: int, function: Callable[[], T]) -> T:
    """Return ``function()``, called by a thread that enters the network namespace ``fd`` and ends."""
    return _in_thread(lambda: syscalls.setns(fd, syscalls.CLONE_NEWNET), function)


def in_new_namespace(function: Callable[[], T]) -> T:
    """Return ``function()``, called in a new network namespace, which lives as long as something refers to it."""
    return _in_thread(lambda: syscalls.unshare(syscalls.CLONE_NEWNET), function)


def _in_thread(move: Callable[[], None], function: Callable[[], T]) -> T:
    results: list[T] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            move()
            results.append(function())
        except BaseException as error:  # handed on to the caller, whatever it is
            errors.append(error)

    thread = threading.Thread(target=work, name="weft-namespace")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


class Host:
    """The namespace that plays the host: that of the thread which makes this object."""

    def __init__(self) -> None:
        self._fd = os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)
        self.inode = os.fstat(self._fd).st_ino

    def run(self, function: Callable[[], T]) -> T:
        """Return ``function()``, called in the host's namespace, whichever the calling thread is in."""
        if os.stat(OWN).st_ino == self.inode:
            return function()
        return in_namespace(self._fd, function)

    def close(self) -> None:
        os.close(self._fd)


# --- opening ----------------------------------------------------------------------------------------------------


@contextmanager
def opened(path: str) -> Iterator[int]:
    """Give a descriptor of the network namespace that ``path`` leads to; raise NamespaceNotFound if it leads to none.

    The path is first opened without opening the file (O_PATH), because opening a device or a FIFO may have
    effects of its own; it is opened for real once it is known to lie on the file system of namespaces.
    """
    fd = _open(path)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def opened_same(namespace: Namespace) -> Iterator[int]:
    """As ``opened``, and raise NamespaceNotFound when the path leads to another namespace than it did."""
    with opened(namespace.path) as fd:
        inode = os.fstat(fd).st_ino
        if inode != namespace.inode:
            raise NamespaceNotFound(
                f"{namespace.path} is another network namespace now",
                "The container has ended, or was started anew.",
                path=namespace.path,
                inode=inode,
                expected=namespace.inode,
            )
        yield fd


def identify(path: str, host: Host) -> Namespace:
    """Return the namespace at ``path``; raise NamespaceNotFound if there is none or if it is the host's own."""
    with opened(path) as fd:
        inode = os.fstat(fd).st_ino
    if inode == host.inode:
        raise NamespaceNotFound(f"{path} is the host's own network namespace", path=path)
    return Namespace(path=path, inode=inode)


def is_same(namespace: Namespace) -> bool:
    """Whether the path of ``namespace`` still leads to it."""
    try:
        with opened_same(namespace):
            return True
    except NamespaceNotFound:
        return False


def _open(path: str) -> int:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise NamespaceNotFound(f"{path!r} cannot be opened: {reason}", path=path) from None
    try:
        if syscalls.filesystem_type(handle) != syscalls.NSFS_MAGIC:
            raise NamespaceNotFound(f"{path!r} is not a namespace", path=path)
        fd = os.open(f"/proc/self/fd/{handle}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(handle)
    if fcntl.ioctl(fd, syscalls.NS_GET_NSTYPE) != syscalls.CLONE_NEWNET:
        os.close(fd)
        raise NamespaceNotFound(f"{path!r} is a namespace of another kind", path=path)
    return fd


# --- making and removing ------------------------------------------------------------------------------------------


def create(path: str) -> Namespace:
    """Make a network namespace and bind it to the file ``path``, as ip-netns(8) does; ``lo`` is up in it.

    A plain file that a killed predecessor left at ``path`` is used.  Raises KernelRefused when ``path`` is a
    namespace already or cannot be made.
    """
    try:
        return in_new_namespace(lambda: _bind(path))
    except OSError as error:
        raise refusal(error.errno or errno.EIO, [f"ip netns add {os.path.basename(path)}"], path) from error


def _bind(path: str) -> Namespace:
    _lo_up()
    fd = os.open(path, os.O_CREAT | os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o400)
    try:
        if syscalls.filesystem_type(fd) == syscalls.NSFS_MAGIC:
            raise FileExistsError(errno.EEXIST, "it is one already")
    finally:
        os.close(fd)
    try:
        syscalls.mount(OWN, path, syscalls.MS_BIND)
    except OSError:
        os.unlink(path)
        raise
    return Namespace(path=path, inode=os.stat(OWN).st_ino, owned=True)


def _lo_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as handle:
        answer = fcntl.ioctl(handle, _SIOCGIFFLAGS, struct.pack("16sH22x", b"lo", 0))
        name, flags = struct.unpack("16sH22x", answer)
        fcntl.ioctl(handle, _SIOCSIFFLAGS, struct.pack("16sH22x", name, flags | _IFF_UP))


def remove(namespace: Namespace) -> None:
    """Undo ``create``.  What is not there any more is no error; what weft did not make is left alone."""
    if not namespace.owned:
        return
    try:
        with opened(namespace.path) as fd:
            if os.fstat(fd).st_ino != namespace.inode:
                return
        with suppress(FileNotFoundError):
            syscalls.umount(namespace.path, syscalls.MNT_DETACH)
    except NamespaceNotFound:
        pass  # not mounted: only the file is left, if that
    with suppress(FileNotFoundError):
        left = os.lstat(namespace.path)
        if stat.S_ISREG(left.st_mode) and left.st_size == 0:
            os.unlink(namespace.path)
