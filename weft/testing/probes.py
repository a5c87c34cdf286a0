"""Small clients and servers on sockets that were opened in a network namespace.

A socket stays in the namespace in which it was opened, whichever thread uses it later.  So only the opening is done
by a thread that enters the namespace; nothing forks, and a probe costs some hundred microseconds.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from ipaddress import ip_address
from typing import Literal, NamedTuple

Opener = Callable[[Callable[[], socket.socket]], socket.socket]
Outcome = Literal["reply", "refused", "timeout", "unreachable"]

#: Seconds that a probe waits for an answer, unless it is told otherwise.  The first packet after a link has come up
#: can be lost, because its bridge port does not forward yet; the kernel asks for the neighbour again a second later.
PATIENCE = 2.5
_UNREACHABLE = frozenset(
    {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EACCES, errno.EPERM, errno.EADDRNOTAVAIL, errno.EINVAL}
)


class Answer(NamedTuple):
    """What became of a probe.

    'reply' has the ``data`` that came back; 'refused' is a reset or port-unreachable; 'unreachable' is any other error
    that a router or the own kernel gave; 'timeout' is silence.
    """

    outcome: Outcome
    data: bytes = b""

    @property
    def text(self) -> str:
        return self.data.decode()


def family_of(address: str) -> socket.AddressFamily:
    """Return the address family of an address; '' is IPv6, which with dual-stack sockets is both."""
    return socket.AF_INET if address and ":" not in address else socket.AF_INET6


def plain(address: str) -> str:
    """Return ``address`` without a zone, and as IPv4 if it is an IPv4-mapped one (RFC 4291, section 2.5.5.2)."""
    parsed = ip_address(address.partition("%")[0])
    mapped = parsed.ipv4_mapped if parsed.version == 6 else None
    return str(mapped or parsed)


def attempt(probe: Callable[[], bytes]) -> Answer:
    """Run ``probe`` and say in an Answer what became of it."""
    try:
        return Answer("reply", probe())
    except TimeoutError:
        return Answer("timeout")
    except (ConnectionRefusedError, ConnectionResetError):
        return Answer("refused")
    except OSError as error:
        if error.errno in _UNREACHABLE:
            return Answer("unreachable")
        raise


def tcp(opened: Opener, address: str, port: int, send: bytes, source: str, timeout: float) -> Answer:
    """Connect, send, and read to the end; see Space.connect."""

    def probe() -> bytes:
        with opened(lambda: socket.socket(family_of(address), socket.SOCK_STREAM)) as sock:
            sock.settimeout(timeout)
            if source:
                sock.bind((source, 0))
            sock.connect((address, port))
            sock.sendall(send)
            if send:
                sock.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: sock.recv(65536), b""))

    return attempt(probe)


def udp(opened: Opener, address: str, port: int, send: bytes, source: str, timeout: float) -> Answer:
    """Send a datagram and wait for one back; see Space.send_udp."""

    def probe() -> bytes:
        with opened(lambda: socket.socket(family_of(address), socket.SOCK_DGRAM)) as sock:
            sock.settimeout(timeout)
            if source:
                sock.bind((source, 0))
            sock.connect((address, port))
            sock.send(send)
            return sock.recv(65536)

    return attempt(probe)


# --- ping -------------------------------------------------------------------------------------------------------

# RFC 792 and RFC 4443: type, code, checksum, identifier, sequence number.
_ECHO = struct.Struct("!BBHHH")


def checksum(data: bytes) -> int:
    """Return the Internet checksum of ``data`` (RFC 1071)."""
    padded = data + b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ping(opened: Opener, address: str, timeout: float) -> bool:
    """Send an echo request and say whether the reply came; see Space.ping."""
    six = ":" in address
    request, reply = (128, 129) if six else (8, 0)
    family, protocol = (
        (socket.AF_INET6, socket.IPPROTO_ICMPV6) if six else (socket.AF_INET, socket.IPPROTO_ICMP)
    )
    identifier = int.from_bytes(os.urandom(2), "big")
    message = _ECHO.pack(request, 0, 0, identifier, 1)
    if not six:  # the kernel fills in that of ICMPv6 (RFC 3542, section 3.1)
        message = _ECHO.pack(request, 0, checksum(message), identifier, 1)
    deadline = time.monotonic() + timeout
    with opened(lambda: socket.socket(family, socket.SOCK_RAW, protocol)) as sock:
        try:
            sock.sendto(message, (address, 0))
            while (left := deadline - time.monotonic()) > 0:
                sock.settimeout(left)
                data, sender = sock.recvfrom(2048)
                if not six:  # a raw IPv4 socket delivers the IP header too
                    data = data[(data[0] & 0xF) * 4 :]
                kind, _, _, echoed, _ = _ECHO.unpack_from(data)
                if (kind, echoed, plain(sender[0])) == (reply, identifier, plain(address)):
                    return True
        except OSError:
            pass
    return False


# --- servers ----------------------------------------------------------------------------------------------------


class Server:
    """Answers every client, from a thread, until it is closed.

    The answer is ``payload``; None answers with the client's address as the server saw it.  ``clients`` are
    those addresses, in order; ``received`` is what UDP clients sent.
    """

    def __init__(self, sock: socket.socket, payload: bytes | None) -> None:
        self.clients: list[str] = []
        self.received: list[bytes] = []
        self.port: int = sock.getsockname()[1]
        self._sock = sock
        self._payload = payload
        self._end = os.eventfd(0, os.EFD_CLOEXEC)
        serve = self._serve_stream if sock.type == socket.SOCK_STREAM else self._serve_datagram
        self._thread = threading.Thread(target=self._loop, args=(serve,), name="weft-test-server", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread and close the socket; again is fine."""
        if self._end < 0:
            return
        os.eventfd_write(self._end, 1)
        self._thread.join()
        self._sock.close()
        os.close(self._end)
        self._end = -1

    def _loop(self, serve: Callable[[], None]) -> None:
        while True:
            ready, _, _ = select.select([self._sock.fileno(), self._end], [], [])
            if self._end in ready:
                return
            try:
                serve()
            except OSError:
                continue  # this client went away; the next one is served all the same

    def _answer(self, client: str) -> bytes:
        self.clients.append(client)
        return client.encode() if self._payload is None else self._payload

    def _serve_stream(self) -> None:
        connection, address = self._sock.accept()
        with connection:
            connection.settimeout(PATIENCE)
            connection.sendall(self._answer(plain(address[0])))
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):  # closing with unread data would reset the connection
                pass

    def _serve_datagram(self) -> None:
        data, address = self._sock.recvfrom(65536)
        self.received.append(data)
        self._sock.sendto(self._answer(plain(address[0])), address)


def listen(kind: socket.SocketKind, address: str, port: int) -> socket.socket:
    """Return a bound socket; ``address`` '' is every address, IPv4 and IPv6."""
    sock = socket.socket(family_of(address), kind)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if not address:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind((address, port))
        if kind == socket.SOCK_STREAM:
            sock.listen(1024)
        return sock
    except OSError:
        sock.close()
        raise
