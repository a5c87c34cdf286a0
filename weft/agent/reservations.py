"""Host ports that are taken for publishing: each is held by a bound socket for as long as it is published.

A packet for a published port is translated before it could reach that socket.  The socket is there so that the
kernel itself answers whether the port is free, and refuses it to every other process afterwards.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable

from weft.model.errors import InvalidAddress, KernelRefused, PortInUse
from weft.model.network import parse_address
from weft.model.ports import RELAYED, PublishedPort

_TYPES = {
    "tcp": (socket.SOCK_STREAM, socket.IPPROTO_TCP),
    "udp": (socket.SOCK_DGRAM, socket.IPPROTO_UDP),
    "sctp": (socket.SOCK_STREAM, socket.IPPROTO_SCTP),
}
_Held = tuple[str, str, int]


class Reservations:
    """The sockets that hold published ports, by protocol, address and port."""

    def __init__(self) -> None:
        self._sockets: dict[_Held, socket.socket | None] = {}
        self._owners: dict[_Held, str] = {}

    def holder(self, port: PublishedPort) -> str | None:
        """Return who has published exactly this address and port, None if nobody has."""
        return self._owners.get(_held(port))

    def take(self, ports: Iterable[PublishedPort], owner: str, *, fresh: bool = False) -> None:
        """Hold all ``ports`` or none; with ``fresh`` only ports without connections of a server that has ended.

        Raises PortInUse if one is published or bound by a process, InvalidAddress if the host does not own an
        address.
        """
        taken: list[PublishedPort] = []
        try:
            for port in ports:
                self._take(port, owner, fresh)
                taken.append(port)
        except BaseException:
            self.release(taken)
            raise

    def release(self, ports: Iterable[PublishedPort]) -> None:
        """Let go of ``ports``; one that is not held is no error."""
        for port in ports:
            held = _held(port)
            self._owners.pop(held, None)
            bound = self._sockets.pop(held, None)
            if bound is not None:
                bound.close()

    def close(self) -> None:
        """Let go of everything."""
        for bound in self._sockets.values():
            if bound is not None:
                bound.close()
        self._sockets.clear()
        self._owners.clear()

    def _take(self, port: PublishedPort, owner: str, fresh: bool) -> None:
        held = _held(port)
        if held in self._owners:
            raise PortInUse(f"port {_text(port)} is published by {self._owners[held]!r}", owner=self._owners[held])
        try:
            # A relay listens on its ports itself.
            self._sockets[held] = None if port.host_ip == RELAYED else _bind(port, fresh)
        except PortInUse:
            self._blame(port)
            raise
        self._owners[held] = owner

    def _blame(self, port: PublishedPort) -> None:
        """Raise the better error where the port is held by a publication for every address, or for one of every."""
        for (protocol, host_ip, number), owner in self._owners.items():
            if (protocol, number) == (port.protocol, port.host_port) and _overlap(host_ip, port.host_ip):
                raise PortInUse(f"port {_text(port)} is published by {owner!r} on {host_ip}", owner=owner) from None


def _overlap(one: str, other: str) -> bool:
    """Whether two bind addresses are of one IP version and at least one of them is that of all addresses."""
    first, second = parse_address(one), parse_address(other)
    return first.version == second.version and (first.is_unspecified or second.is_unspecified)


def _bind(port: PublishedPort, fresh: bool) -> socket.socket | None:
    """Return a socket bound to the port; None where this kernel has no sockets of the protocol (SCTP)."""
    kind, protocol = _TYPES[port.protocol]
    family = socket.AF_INET6 if port.version == 6 else socket.AF_INET
    try:
        bound = socket.socket(family, kind | socket.SOCK_CLOEXEC, protocol)
    except OSError as error:
        if error.errno in (errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT, errno.EAFNOSUPPORT):
            return None  # nobody else can be bound to it either
        raise KernelRefused(f"no socket for port {_text(port)}: {error.strerror}", errno=error.errno) from error
    try:
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == socket.SOCK_DGRAM:
            # Nothing reads it; what arrives untranslated must not pile up.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        _claim(bound, port, fresh)
    except OSError as error:
        bound.close()
        raise _refusal(port, error) from error
    return bound


def _claim(bound: socket.socket, port: PublishedPort, fresh: bool) -> None:
    """Bind the socket, unless ``fresh`` is asked for also to a port where old connections linger in TIME_WAIT.

    With SO_REUSEADDR bind() passes these, as it does for every server that is restarted (socket(7)), but it would
    pass another such socket too.  The kernel checks again, and ends that sharing, when a socket begins to listen
    (inet_csk_get_port() in net/ipv4/inet_connection_sock.c).  It does not go on to: shutdown() ends that and
    leaves it bound.
    """
    address = (port.host_ip, port.host_port)
    try:
        bound.bind(address)
    except OSError as error:
        if error.errno != errno.EADDRINUSE or fresh or port.protocol != "tcp":
            raise
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(0)
        bound.shutdown(socket.SHUT_RD)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)


def _refusal(port: PublishedPort, error: OSError) -> Exception:
    if error.errno == errno.EADDRINUSE:
        return PortInUse(
            f"port {_text(port)} is in use by a process of this host",
            f"'ss -lntup sport = :{port.host_port}' shows which; choose another host port.",
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return InvalidAddress(f"this host has no address {port.host_ip}", "'ip address' lists those it has.")
    return KernelRefused(f"port {_text(port)} cannot be bound: {error.strerror}", errno=error.errno)


def _held(port: PublishedPort) -> _Held:
    return (port.protocol, port.host_ip, port.host_port)


def _text(port: PublishedPort) -> str:
    host = f"[{port.host_ip}]" if port.version == 6 else port.host_ip
    return f"{host}:{port.host_port}/{port.protocol}"
