"""A relayed UDP port: each client gets a socket of its own to the target, so that answers find back."""

from __future__ import annotations

import socket
import time
from contextlib import suppress

from weft.agent.relays.relayloop import READ, Loop

#: Seconds without a datagram after which a client is forgotten (the kernel's tracking forgets after 30 to 120).
IDLE = 60.0

#: Octets of the largest datagram, and datagrams that are passed on before others get their turn.
_LARGEST = 1 << 16
_BATCH = 64

Address = tuple[str, int]


class UdpPort:
    """Everything here runs in the loop's thread."""

    def __init__(self, loop: Loop, listener: socket.socket, target: Address) -> None:
        self._loop = loop
        self._listener = listener
        self._target = target
        self._family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
        #: Clients by address, the one that was silent longest at the head.
        self._clients: dict[Address, _Client] = {}
        self._stop_sweeping = _nothing

    def open(self) -> None:
        self._stop_sweeping = self._loop.every_second(self._sweep)
        self._loop.want(self._listener, READ, self._inward)

    def close(self) -> None:
        self._stop_sweeping()
        self._loop.drop(self._listener)
        while self._clients:
            self._forget(next(iter(self._clients)))

    def _inward(self, _: int) -> None:
        for _ in range(_BATCH):
            try:
                datagram, address = self._listener.recvfrom(_LARGEST)
            except OSError:
                return
            client = self._client(address)
            if client is not None:
                with suppress(OSError):  # the target's refusal of an earlier one, or no room: UDP may lose datagrams
                    client.socket.send(datagram)

    def _outward(self, address: Address) -> None:
        client = self._clients[address]
        for _ in range(_BATCH):
            try:
                datagram = client.socket.recv(_LARGEST)
            except BlockingIOError:
                return
            except OSError:  # nobody listens at the target; the client may try again
                continue
            self._touch(address, client)
            with suppress(OSError):
                self._listener.sendto(datagram, address)

    def _client(self, address: Address) -> _Client | None:
        """Return the client's entry, a new one if need be; with all places taken, in place of a silent one of ours."""
        client = self._clients.get(address)
        if client is None:
            if not self._loop.admit(_nothing):
                if not self._clients:
                    return None
                self._forget(next(iter(self._clients)))
                self._loop.admit(_nothing)
            client = _Client(self._family, self._target)
            self._loop.want(client.socket, READ, lambda _: self._outward(address))
        self._touch(address, client)
        return client

    def _touch(self, address: Address, client: _Client) -> None:
        client.heard = time.monotonic()
        self._clients.pop(address, None)
        self._clients[address] = client

    def _sweep(self) -> None:
        oldest = time.monotonic() - IDLE
        for address in [address for address, client in self._clients.items() if client.heard < oldest]:
            self._forget(address)

    def _forget(self, address: Address) -> None:
        self._loop.drop(self._clients.pop(address).socket)
        self._loop.leave()


class _Client:
    def __init__(self, family: socket.AddressFamily, target: Address) -> None:
        self.heard = 0.0
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.connect(target)


def _nothing() -> None:
    """Do nothing: a datagram that finds no place is lost, and nobody waits for one."""
