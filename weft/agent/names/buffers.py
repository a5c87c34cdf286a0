"""Room for bursts: larger receive buffers for another program's UDP sockets.

The kernel's default (net.core.rmem_default, 208 KiB) holds some 250 queries.  When a few hundred containers ask
within the same milliseconds the rest is lost, and a lost query costs its sender five seconds (resolv.conf(5),
'timeout').  dnsmasq has no option for the size, and the sysctl would be for the whole machine, so the agent borrows the
sockets of the process (pidfd_getfd(2)) and sets it on them.
"""

from __future__ import annotations

import ctypes
import logging
import os
import socket
from contextlib import suppress
from pathlib import Path

log = logging.getLogger("weft")

#: Octets; the kernel doubles it for its own bookkeeping.  About ten thousand queries, which dnsmasq answers in a tenth
#: of a second.
RECEIVE_BUFFER = 4 << 20

#: Numbers of <asm-generic/unistd.h> and <asm-generic/socket.h>, the same on all architectures that Debian has weft for.
_PIDFD_GETFD = 438
_SO_RCVBUFFORCE = 33

_libc = ctypes.CDLL(None, use_errno=True)


def widen(process: int, pid: int) -> None:
    """Give the UDP sockets of a process (by descriptor and number) the larger buffer; a refusal is logged only."""
    try:
        for number in _sockets(pid):
            with _borrow(process, number) as borrowed:
                if borrowed.type == socket.SOCK_DGRAM and borrowed.family in (socket.AF_INET, socket.AF_INET6):
                    borrowed.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER)
    except OSError as error:
        log.warning("receive buffers of the name server stay at their default: %s", error.strerror)


def _sockets(pid: int) -> list[int]:
    """Return the numbers of a process's descriptors that are sockets."""
    directory = Path(f"/proc/{pid}/fd")
    found = []
    for entry in os.listdir(directory):
        with suppress(FileNotFoundError):
            if os.readlink(directory / entry).startswith("socket:"):
                found.append(int(entry))
    return found


def _borrow(process: int, number: int) -> socket.socket:
    descriptor = _libc.syscall(_PIDFD_GETFD, process, number, 0)
    if descriptor < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return socket.socket(fileno=descriptor)
