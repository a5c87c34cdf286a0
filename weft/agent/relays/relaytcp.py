"""A relayed TCP port: connections passed on octet by octet, each direction closed when its sender closes it."""

from __future__ import annotations

import socket
from contextlib import suppress

from weft.agent.relays.relayloop import READ, WRITE, Loop

#: Octets that are read at once, and at most wait for a slow reader in one direction of a connection.
CHUNK = 1 << 16

#: Connections that are accepted before others get their turn.
_BATCH = 16

Address = tuple[str, int]


class TcpPort:
    """Everything here runs in the loop's thread."""

    def __init__(self, loop: Loop, listener: socket.socket, target: Address) -> None:
        self._loop = loop
        self._listener = listener
        self._target = target
        self._connections: set[_Connection] = set()

    def open(self) -> None:
        self._loop.want(self._listener, READ, self._accept)

    def close(self) -> None:
        self._loop.drop(self._listener)
        for connection in list(self._connections):
            connection.close()

    def _accept(self, _: int) -> None:
        for _ in range(_BATCH):
            if not self._loop.admit(self._resume):
                self._loop.want(self._listener, 0, self._accept)  # the kernel's queue holds the others back
                return
            try:
                client, _ = self._listener.accept()
            except OSError:  # none is left, or it has gone away again
                self._loop.leave()
                return
            try:
                self._connections.add(_Connection(self, client, self._target))
            except OSError:  # no descriptor is left for the other half
                client.close()
                self._loop.leave()

    def _resume(self) -> None:
        if self._listener.fileno() >= 0:
            self.open()

    @property
    def loop(self) -> Loop:
        return self._loop

    def ended(self, connection: _Connection) -> None:
        self._connections.discard(connection)
        self._loop.leave()


class _Flow:
    """One direction of a connection."""

    def __init__(self, source: socket.socket, sink: socket.socket) -> None:
        self.source = source
        self.sink = sink
        self.waiting = bytearray()
        self.ended = False
        self.done = False

    @property
    def may_read(self) -> bool:
        return not self.ended and len(self.waiting) < CHUNK

    def read(self) -> None:
        if self.may_read:
            with suppress(BlockingIOError):
                octets = self.source.recv(CHUNK)
                self.waiting += octets
                self.ended = not octets

    def write(self) -> None:
        if self.waiting:
            with suppress(BlockingIOError):
                del self.waiting[: self.sink.send(self.waiting)]
        if self.ended and not self.waiting and not self.done:
            self.sink.shutdown(socket.SHUT_WR)
            self.done = True


class _Connection:
    def __init__(self, port: TcpPort, client: socket.socket, target: Address) -> None:
        self._port = port
        self._client = client
        family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
        self._server = socket.socket(family, socket.SOCK_STREAM)
        self._flows = (_Flow(client, self._server), _Flow(self._server, client))
        self._closed = False
        for handle in (client, self._server):
            handle.setblocking(False)
            handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._server.connect_ex(target)  # how it went is told when the socket can be written to
        port.loop.want(self._server, WRITE, self._connected)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._port.loop.drop(self._client)
            self._port.loop.drop(self._server)
            self._port.ended(self)

    def _connected(self, _: int) -> None:
        if self._server.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.close()
            return
        self._port.loop.want(self._server, 0, self._connected)
        self._wait()

    def _move(self, _: int) -> None:
        """Pass on what can be passed on; an error on either side ends both."""
        try:
            for flow in self._flows:
                flow.read()
                flow.write()
        except OSError:
            self.close()
            return
        if all(flow.done for flow in self._flows):
            self.close()
        else:
            self._wait()

    def _wait(self) -> None:
        """Wait for what can go on: reading where there is room, writing where something waits."""
        upward, downward = self._flows
        for handle, incoming, outgoing in ((self._client, upward, downward), (self._server, downward, upward)):
            events = (READ if incoming.may_read else 0) | (WRITE if outgoing.waiting else 0)
            self._port.loop.want(handle, events, self._move)
