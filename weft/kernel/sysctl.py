"""Sysctls as files below /proc/sys (proc_sys(5)).

/proc/sys/net shows the settings of the *calling thread's* network namespace, so whoever calls these functions
decides by that whose settings they read and write.
"""

from __future__ import annotations

import errno
import os

from weft.kernel.refusals import refusal
from weft.model.errors import KernelRefused
from weft.plan import commands
from weft.plan.objects import Sysctl

_ROOT = "/proc/sys/"


def read(path: str) -> str | None:
    """Return the value of ``path`` ('net/ipv4/ip_forward'), fields separated by one blank; None if there is none."""
    try:
        fd = os.open(_file(path), os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return _normal(os.read(fd, 4096).decode(errors="replace"))
    finally:
        os.close(fd)


def write(setting: Sysctl) -> str | None:
    """Set ``setting`` and return the value it had; None when it had this value already, or is optional and missing.

    Raises KernelRefused when there is no such sysctl or the kernel does not take the value.
    """
    try:
        before = read(setting.path)
        if before is None:
            if setting.optional:
                return None
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        if before == _normal(setting.value):
            return None
        _write(setting)
        return before
    except OSError as error:
        raise refusal(error.errno or errno.EIO, commands.add(setting)) from error


def _write(setting: Sysctl) -> None:
    fd = os.open(_file(setting.path), os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, setting.value.encode())
    finally:
        os.close(fd)


def _file(path: str) -> str:
    # Interface names come from users: none may lead out of net/.
    parts = path.split("/")
    if parts[0] != "net" or len(parts) < 2 or "\0" in path or not {"", ".", ".."}.isdisjoint(parts):
        raise KernelRefused(f"{path!r} is not a sysctl of the network", errno="EINVAL", command=f"sysctl {path}")
    return _ROOT + path


def _normal(value: str) -> str:
    return " ".join(value.split())
