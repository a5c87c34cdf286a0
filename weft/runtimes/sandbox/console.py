"""The console of a sandbox with a terminal or piped input: relays between the command, its log and clients.

Clients (``weft run -i -t``) connect to ``console.sock`` in the sandbox's directory; several may, at any time, and
each may leave without the command noticing.  All see all output, any may write input.  The frames are described
in ``weft.api.frames``.

Nothing is lost or piled up: while one side does not take what is there for it, the other is not read.  The first
client comes a moment after the command began, so what was put out until then waits for it, PATIENCE seconds at
most, and so does the exit code of a command that has ended by then.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import time
from collections.abc import Iterator

from weft.api import frames
from weft.runtimes.sandbox.files import CONSOLE
from weft.runtimes.sandbox.lines import Line

#: How long output waits for the first client, from the start of the command (seconds).
PATIENCE = 2.0
#: How long clients have to take the last output when the command has ended (seconds).
FAREWELL = 10.0
_LOG = 1  # The shim's own standard output is the log.


class _Client:
    """One connection: what has come in but is no whole frame yet, and what has still to go out."""

    def __init__(self, connection: socket.socket, waiting: bytearray) -> None:
        self.socket = connection
        self.socket.setblocking(False)
        self.received = bytearray()
        self.waiting = waiting

    def send(self) -> None:
        if self.waiting:
            with contextlib.suppress(BlockingIOError):
                del self.waiting[: self.socket.send(self.waiting)]

    def receive(self) -> list[tuple[bytes, bytes]] | None:
        """Return the frames that have come, None at the end of the connection."""
        try:
            data = self.socket.recv(frames.LIMIT)
        except BlockingIOError:
            return []
        self.received += data
        return frames.take(self.received) if data else None


class Console:
    """Relays.  Its owner waits for the descriptors in ``interests`` and has them served."""

    def __init__(self, directory: str, line: Line) -> None:
        self._line = line
        self._path = f"{directory}/{CONSOLE}"
        self._listener = _listen(directory)
        self._clients: dict[int, _Client] = {}
        #: Output for the first client; None once it has come or its time is over.
        self._unclaimed: bytearray | None = bytearray()
        self._patience_ends = time.monotonic() + PATIENCE
        self._input = bytearray()
        self._input_open = True
        self._input_ending = False
        self._signals: list[int] = []
        for descriptor in (line.sink, *line.sources):
            os.set_blocking(descriptor, False)

    # --- what the owner calls

    @property
    def files(self) -> list[tuple[int, ...]]:
        """How the command gets its end: file actions of posix_spawn(3)."""
        return self._line.files

    def started(self) -> None:
        """Take note that the command was started."""
        self._line.started()

    def interests(self) -> Iterator[tuple[int, int]]:
        """Yield descriptors and the events of poll(2) to wait for."""
        self._lose_patience()
        yield self._listener.fileno(), select.POLLIN
        if all(len(waiting) < frames.LIMIT for waiting in self._outboxes()):
            yield from ((source, select.POLLIN) for source in self._line.sources)
        if self._input:
            yield self._line.sink, select.POLLOUT
        taking = select.POLLIN if len(self._input) < frames.LIMIT else 0
        for descriptor, client in self._clients.items():
            yield descriptor, taking | (select.POLLOUT if client.waiting else 0)

    def timeout(self) -> int | None:
        """Return how long to wait at most (milliseconds), None for ever."""
        if self._unclaimed is None:
            return None
        return max(0, int((self._patience_ends - time.monotonic()) * 1000)) + 1

    def serve(self, descriptor: int) -> None:
        """Handle an event of a descriptor."""
        if descriptor == self._listener.fileno():
            self._accept()
        elif descriptor in self._line.sources:
            self._read(descriptor)
        elif descriptor in self._clients:
            self._converse(descriptor)
        elif descriptor == self._line.sink:
            self._write_input()

    def take_signals(self) -> list[int]:
        """Return the signals that clients have sent since the last call."""
        signals, self._signals = self._signals, []
        return signals

    def finish(self, code: int) -> None:
        """Hand out what output there still is and the exit code, then close."""
        for descriptor in list(self._line.sources):
            while self._read(descriptor):
                pass
        self._close_input()
        self._send(frames.EXIT, bytes([code]))
        deadline = time.monotonic() + FAREWELL
        while any(self._outboxes()) and time.monotonic() < deadline:
            poller = select.poll()
            for descriptor, events in self.interests():
                poller.register(descriptor, events)
            for descriptor, _ in poller.poll(self.timeout() or 1000):
                self.serve(descriptor)
        os.unlink(self._path)

    # --- clients

    def _outboxes(self) -> Iterator[bytearray]:
        yield from (client.waiting for client in self._clients.values())
        if self._unclaimed is not None:
            yield self._unclaimed

    def _lose_patience(self) -> None:
        if time.monotonic() >= self._patience_ends:
            self._unclaimed = None

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        waiting, self._unclaimed = self._unclaimed or bytearray(), None
        self._clients[connection.fileno()] = _Client(connection, waiting)

    def _converse(self, descriptor: int) -> None:
        client = self._clients[descriptor]
        try:
            client.send()
            received = client.receive()
            for kind, payload in received or ():
                self._obey(kind, payload)
        except (OSError, ValueError):  # It left, or speaks something else.
            received = None
        if received is None:
            client.socket.close()
            del self._clients[descriptor]

    def _obey(self, kind: bytes, payload: bytes) -> None:
        """Do what a frame of a client says.  Raises ValueError if it says nothing known."""
        if kind == frames.INPUT:
            self._add_input(payload)
        elif kind == frames.END:
            self._input_ending = not self._line.end
            self._add_input(self._line.end)
        elif kind == frames.WINDOW and len(payload) == 4:
            self._line.resize(*struct.unpack(">HH", payload))
        elif kind == frames.SIGNAL and len(payload) == 1 and 1 <= payload[0] <= 64:
            self._signals.append(payload[0])
        else:
            raise frames.BadFrame(f"frame of kind {kind!r}")

    # --- output

    def _read(self, source: int) -> bool:
        """Relay some output; return whether there may be more now."""
        try:
            data = os.read(source, frames.LIMIT)
        except BlockingIOError:
            return False
        except OSError:  # EIO: nobody has the terminal open any more.
            data = b""
        if data:
            with contextlib.suppress(OSError):  # A full disk must not stop the command.
                os.write(_LOG, data)
            self._send(self._line.sources[source], data)
        else:
            del self._line.sources[source]
            os.close(source)
        return bool(data)

    def _send(self, kind: bytes, payload: bytes) -> None:
        frame = frames.pack(kind, payload)
        for waiting in self._outboxes():
            waiting += frame

    # --- input

    def _add_input(self, data: bytes) -> None:
        if self._input_open:
            self._input += data
            self._write_input()

    def _write_input(self) -> None:
        try:
            if self._input:
                del self._input[: os.write(self._line.sink, self._input)]
        except BlockingIOError:
            return
        except OSError:  # The command has closed its input.
            self._close_input()
        if self._input_ending and not self._input:
            self._close_input()

    def _close_input(self) -> None:
        self._input.clear()
        if self._input_open:
            self._input_open = False
            os.close(self._line.sink)


def _listen(directory: str) -> socket.socket:
    """Return a socket that listens in ``directory``; only root may connect."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # The path of the directory may be longer than the 107 bytes of a socket's address (unix(7)).
    os.chdir(directory)
    mask = os.umask(0o177)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(CONSOLE)
    listener.bind(CONSOLE)
    listener.listen()
    os.umask(mask)
    os.chdir("/")
    return listener
