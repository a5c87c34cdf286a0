"""The near end of a console: joins this process's terminal or pipes to a sandbox's command.

Standard library only, so that ``weft run -i -t`` starts quickly.  The frames are described in ``weft.api.frames``.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import struct
import termios
import tty as terminal_modes
from collections.abc import Iterator

from weft.api import frames
from weft.model.errors import ContainerNotRunning, NeedsRoot

#: Ctrl-P Ctrl-Q, the engines' keys for leaving a terminal without ending what runs in it.
_LEAVE = b"\x10\x11"
#: Signals to this process that are meant for the command.
_PASSED_ON = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
#: Exit code of a sandbox that ended without leaving one: as if by SIGKILL.
_UNKNOWN = 128 + signal.SIGKILL


def attach(path: str, tty: bool) -> int:
    """Relay between the console at ``path`` and descriptors 0, 1 and 2 until the command ends; return its exit code.

    With ``tty`` a local terminal is in raw mode meanwhile and its size is passed on; Ctrl-P Ctrl-Q leaves early, with
    code 0.  SIGINT, SIGQUIT and SIGTERM go to the command; SIGHUP (the terminal is gone) leaves with code 129.  The
    terminal and the handlers of signals are restored in any case.  Must be called from the main thread.  Raises
    ContainerNotRunning when nobody listens at ``path``, NeedsRoot when only others may connect.
    """
    with _connect(path) as console, _signals() as arrivals, _raw(tty):
        code = _Session(console, arrivals, tty).run()
    return _left_behind(path) if code is None else code


class _Session:
    """One attachment.  It goes on reading output while the command does not take input, and else neither would."""

    def __init__(self, console: socket.socket, arrivals: int, tty: bool) -> None:
        self._console = console
        self._arrivals = arrivals
        self._tty = tty
        self._incoming = bytearray()
        self._outgoing = bytearray()
        self._input_open = True
        #: Keys that may be the beginning of _LEAVE.
        self._held = b""
        self._done = False
        self._code: int | None = None

    def run(self) -> int | None:
        """Relay; return the exit code, None if the console went away without one."""
        self._send_window()
        while not self._done:
            poller = select.poll()
            poller.register(self._console, select.POLLIN | (select.POLLOUT if self._outgoing else 0))
            poller.register(self._arrivals, select.POLLIN)
            if self._input_open and len(self._outgoing) < frames.LIMIT:
                poller.register(0, select.POLLIN)
            for descriptor, _ in poller.poll():
                if descriptor == 0:
                    self._read_input()
                elif descriptor == self._arrivals:
                    self._take_signals()
                else:
                    self._converse()
        return self._code

    def _finish(self, code: int | None) -> None:
        self._done, self._code = True, code

    def _send(self, kind: bytes, payload: bytes = b"") -> None:
        self._outgoing += frames.pack(kind, payload)

    def _send_window(self) -> None:
        if self._tty and os.isatty(0):
            size = os.get_terminal_size(0)
            self._send(frames.WINDOW, struct.pack(">HH", size.lines, size.columns))

    def _read_input(self) -> None:
        try:
            data = os.read(0, frames.LIMIT // 2)
        except OSError:  # EIO: the terminal is gone.
            data = b""
        if not data:
            self._input_open = False
            self._send(frames.END)
        elif self._tty:
            self._type(self._held + data)
        else:
            self._send(frames.INPUT, data)

    def _type(self, keys: bytes) -> None:
        """Send keys of a terminal, watching for those that leave it."""
        before, leave, _ = keys.partition(_LEAVE)
        self._held = b"" if leave or not before.endswith(_LEAVE[:1]) else _LEAVE[:1]
        self._send(frames.INPUT, before.removesuffix(self._held))
        if leave:
            self._finish(0)

    def _take_signals(self) -> None:
        for number in os.read(self._arrivals, 64):
            if number == signal.SIGWINCH:
                self._send_window()
            elif number == signal.SIGHUP:
                self._finish(128 + signal.SIGHUP)
            else:
                self._send(frames.SIGNAL, bytes([number]))

    def _converse(self) -> None:
        try:
            if self._outgoing:
                del self._outgoing[: self._console.send(self._outgoing)]
        except BlockingIOError:
            pass
        except OSError:  # It has ended.  What it sent before can still be read.
            self._outgoing.clear()
        try:
            data = self._console.recv(frames.LIMIT)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        self._incoming += data
        for kind, payload in frames.take(self._incoming):
            if kind == frames.EXIT:
                return self._finish(payload[0])
            _write(2 if kind == frames.ERROR else 1, payload)
        if not data:
            self._finish(None)


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


@contextlib.contextmanager
def _connect(path: str) -> Iterator[socket.socket]:
    console = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    directory, name = os.path.split(os.path.abspath(path))
    with console:
        try:
            # The path may be longer than the 107 bytes that a socket's address has room for (unix(7)).
            descriptor = os.open(directory, os.O_PATH)
            try:
                console.connect(f"/proc/self/fd/{descriptor}/{name}")
            finally:
                os.close(descriptor)
        except (FileNotFoundError, ConnectionRefusedError):
            raise ContainerNotRunning("the container is not running") from None
        except PermissionError:
            raise NeedsRoot("only root may use the console of a container") from None
        console.setblocking(False)
        yield console


@contextlib.contextmanager
def _raw(tty: bool) -> Iterator[None]:
    """Put the terminal, if there is one and ``tty`` asks for it, into raw mode."""
    if not (tty and os.isatty(0)):
        yield
        return
    saved = termios.tcgetattr(0)
    terminal_modes.setraw(0, termios.TCSADRAIN)
    try:
        yield
    finally:
        with contextlib.suppress(termios.error):  # The terminal is gone.
            termios.tcsetattr(0, termios.TCSADRAIN, saved)


@contextlib.contextmanager
def _signals() -> Iterator[int]:
    """Yield a descriptor from which arriving signals are read, one byte each."""
    arrivals, arriving = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    before = signal.set_wakeup_fd(arriving)
    numbers = (signal.SIGWINCH, signal.SIGHUP, *_PASSED_ON)
    handlers = {number: signal.signal(number, lambda *_: None) for number in numbers}
    try:
        yield arrivals
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(before)
        os.close(arrivals)
        os.close(arriving)


def _left_behind(path: str) -> int:
    """Return the exit code that a sandbox left beside its console."""
    try:
        with open(os.path.join(os.path.dirname(path), "exit"), encoding="ascii") as file:
            return int(file.read())
    except FileNotFoundError:
        return _UNKNOWN
