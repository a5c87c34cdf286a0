"""The system calls that Python 3.11 lacks, each four lines over the C library; all raise OSError."""

from __future__ import annotations

import ctypes
import os

#: clone(2): a network namespace.  Also what ioctl NS_GET_NSTYPE answers for one (ioctl_ns(2)).
CLONE_NEWNET = 0x40000000
#: mount(2), umount2(2).
MS_BIND = 0x1000
MNT_DETACH = 2
#: statfs(2): the file system that namespaces live on (include/uapi/linux/magic.h).
NSFS_MAGIC = 0x6E736673
#: ioctl_ns(2): _IO(0xb7, 3), which kind of namespace a descriptor refers to.
NS_GET_NSTYPE = 0xB703

_libc = ctypes.CDLL(None, use_errno=True)


class _StatFs(ctypes.Structure):
    # struct statfs of <sys/statfs.h>: the type comes first, the rest (at most 120 octets in all) is of no interest.
    _fields_ = [("f_type", ctypes.c_long), ("_rest", ctypes.c_byte * 248)]


def setns(fd: int, kind: int) -> None:
    """Move the calling thread into the namespace that ``fd`` refers to (setns(2))."""
    _check(_libc.setns(fd, kind))


def unshare(flags: int) -> None:
    """Give the calling thread namespaces of its own (unshare(2))."""
    _check(_libc.unshare(flags))


def mount(source: str, target: str, flags: int) -> None:
    """Mount ``source`` on ``target`` (mount(2)); no file system type, so for MS_BIND and its like only."""
    _check(_libc.mount(os.fsencode(source), os.fsencode(target), None, ctypes.c_ulong(flags), None), target)


def umount(target: str, flags: int) -> None:
    """Take away what is mounted on ``target`` (umount2(2))."""
    _check(_libc.umount2(os.fsencode(target), flags), target)


def filesystem_type(fd: int) -> int:
    """Return the magic number of the file system that ``fd`` is on (fstatfs(2)); O_PATH descriptors will do."""
    result = _StatFs()
    _check(_libc.fstatfs(fd, ctypes.byref(result)))
    return int(result.f_type)


def _check(result: int, path: str | None = None) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
