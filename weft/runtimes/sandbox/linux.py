"""The system calls that a sandbox needs and Python 3.11 has no function for.

Thin wrappers: they take Python's values, raise OSError, and add nothing.  Standard library only, because the shim
imports this file (see shim.py).
"""

from __future__ import annotations

import ctypes
import os
import sys

# sched.h, see namespaces(7)
CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

# sys/mount.h, see mount(2) and umount(2)
MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_SLAVE = 0x80000
MNT_DETACH = 0x2

# linux/prctl.h, see prctl(2)
_PR_SET_NAME = 15
_PR_CAPBSET_READ = 23
_PR_CAPBSET_DROP = 24

# linux/capability.h, see capget(2)
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, subject: str = "") -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), subject or None)


def setns(descriptor: int, kind: int) -> None:
    """Enter the namespace that ``descriptor`` refers to; ``kind`` is its CLONE_NEW… constant.  See setns(2)."""
    _check(_libc.setns(descriptor, kind))


def unshare(kinds: int) -> None:
    """Leave namespaces for new ones; a new pid namespace is entered only by the next child.  See unshare(2)."""
    _check(_libc.unshare(kinds))


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Mount, bind or remount.  See mount(2)."""
    words = [os.fsencode(word) for word in (source, target, kind)]
    _check(_libc.mount(*words, ctypes.c_ulong(flags), os.fsencode(options)), target)


def unmount(target: str, flags: int = 0) -> None:
    """Undo a mount.  See umount(2)."""
    _check(_libc.umount2(os.fsencode(target), flags), target)


def set_host_name(name: str) -> None:
    """Set the host name of this UTS namespace.  See sethostname(2)."""
    data = os.fsencode(name)
    _check(_libc.sethostname(data, ctypes.c_size_t(len(data))), name)


def set_process_name(name: str) -> None:
    """Set what ``ps -o comm`` shows for this process; 15 bytes are kept.  See PR_SET_NAME in prctl(2)."""
    _check(_libc.prctl(_PR_SET_NAME, os.fsencode(name)))


def signal_descriptor(numbers: set[int]) -> int:
    """Return a descriptor from which the signals ``numbers``, which must be blocked, are read.  See signalfd(2)."""
    mask = sum(1 << (number - 1) for number in numbers)
    # sigset_t has room for 1024 signals; the kernel looks at the first 64.
    words = mask.to_bytes(8, sys.byteorder) + bytes(120)
    descriptor: int = _libc.signalfd(-1, words, os.O_CLOEXEC | os.O_NONBLOCK)
    _check(descriptor)
    return descriptor


class _CapabilityHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _CapabilityData(ctypes.Structure):
    """One half of the three sets: capabilities 0 to 31, or 32 to 63."""

    _fields_ = [("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32)]


def keep_capabilities(kept: frozenset[int]) -> None:
    """Give up every capability but ``kept``, for this process and all that it will execute.

    A program executed by root gets what is in the bounding set or inheritable (capabilities(7), "Programs and root"),
    so both are cut down beside the process's own sets.  Ambient capabilities go with the inheritable ones.
    """
    number = 0
    while _libc.prctl(_PR_CAPBSET_READ, ctypes.c_ulong(number)) >= 0:
        if number not in kept:
            _check(_libc.prctl(_PR_CAPBSET_DROP, ctypes.c_ulong(number)))
        number += 1
    header = _CapabilityHeader(_CAPABILITY_VERSION_3, 0)
    data = (_CapabilityData * 2)()
    _check(_libc.capget(ctypes.byref(header), data))
    mask = sum(1 << number for number in kept)
    for half in data:
        half.permitted &= mask & 0xFFFFFFFF
        half.effective = half.permitted
        half.inheritable = 0
        mask >>= 32
    _check(_libc.capset(ctypes.byref(header), data))
