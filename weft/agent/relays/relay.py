"""Published ports on ``[::1]``: a relay in the agent, because the kernel will not translate that address.

IPv6 knows no counterpart of ``route_localnet``: a packet to ::1 never leaves the loopback interface, whatever it is
rewritten to (RFC 4291, section 2.5.3).  The relay listens there itself and passes on what it gets.  One thread serves
all ports; all sockets are non-blocking.  Connections end with the agent, unlike those through the kernel.
"""

from __future__ import annotations

import errno
import socket
import threading
from typing import Literal

from weft.agent.relays.relayloop import Loop
from weft.agent.relays.relaytcp import TcpPort
from weft.agent.relays.relayudp import UdpPort
from weft.model.base import Record
from weft.model.errors import NotFound, PortInUse, Unsupported, WeftError

#: How many TCP connections and UDP clients are served at a time, all ports together.
LIMIT = 1_000

#: What is listened on: protocol, address, port.
Key = tuple[str, str, int]


class Forward(Record):
    """One relayed port: what comes to ``address``:``port`` of the host goes to ``target``:``target_port``."""

    protocol: Literal["tcp", "udp"]
    address: str
    port: int
    target: str
    target_port: int

    @property
    def key(self) -> Key:
        return (self.protocol, self.address, self.port)

    def __str__(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}/{self.protocol}"


class Relay:
    """Relays any number of ports.  Methods may be called from any thread of the host's network namespace; the first
    port starts the thread that serves them."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._loop: Loop | None = None
        self._ports: dict[Key, tuple[Forward, TcpPort | UdpPort]] = {}

    def add(self, forward: Forward) -> None:
        """Begin to relay a port; connections are taken when this returns.

        A port that is relayed there already is left alone; one that is relayed elsewhere ends its connections and
        changes over.  Raises PortInUse, and Unsupported where the host has no such address.
        """
        with self._lock:
            present = self._ports.get(forward.key)
            if present is not None and present[0] == forward:
                return
            if present is not None:
                self._end(forward.key)
            listener = _listener(forward)
            self._loop = self._loop or Loop(self._limit)
            kind = TcpPort if forward.protocol == "tcp" else UdpPort
            port = kind(self._loop, listener, (forward.target, forward.target_port))
            self._ports[forward.key] = (forward, port)
            self._loop.call(port.open)

    def remove(self, forward: Forward) -> None:
        """Stop relaying a port and end its connections; raise NotFound if it is not relayed."""
        with self._lock:
            if forward.key not in self._ports:
                raise NotFound(f"{forward} is not relayed")
            self._end(forward.key)

    def forwards(self) -> tuple[Forward, ...]:
        """Return what is relayed."""
        with self._lock:
            return tuple(forward for forward, _ in self._ports.values())

    def close(self) -> None:
        """Stop relaying altogether."""
        with self._lock:
            for key in list(self._ports):
                self._end(key)
            if self._loop is not None:
                self._loop.close()
                self._loop = None

    def _end(self, key: Key) -> None:
        _, port = self._ports.pop(key)
        if self._loop is not None:
            self._loop.call(port.close)


def _listener(forward: Forward) -> socket.socket:
    """Return a socket that listens for ``forward``."""
    stream = forward.protocol == "tcp"
    family = socket.AF_INET6 if ":" in forward.address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM)
    try:
        listener.setblocking(False)
        if stream:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((forward.address, forward.port))
        if stream:
            listener.listen(128)
    except OSError as error:
        listener.close()
        raise _refusal(forward, error) from error
    return listener


def _refusal(forward: Forward, error: OSError) -> WeftError:
    if error.errno == errno.EADDRINUSE:
        return PortInUse(f"{forward} is in use by a process of the host", port=forward.port)
    return Unsupported(f"{forward} cannot be listened on: {error.strerror}", errno=error.errno)
