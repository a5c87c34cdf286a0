"""What a command's standard input, output and error are connected to, when it has a console."""

from __future__ import annotations

import fcntl
import os
import struct
import termios
from typing import Protocol

from weft.api import frames


class Line(Protocol):
    """One way of connecting descriptors 0, 1 and 2 of a command."""

    #: Descriptors to read from, and the kind of frame that what was read becomes.
    sources: dict[int, bytes]
    #: Descriptor to write input to.
    sink: int
    #: How the command gets its end: file actions of posix_spawn(3).
    files: list[tuple[int, ...]]
    #: What is written as the end of input; if empty, the sink is closed.
    end: bytes

    def started(self) -> None:
        """Take note that the command has its end."""

    def resize(self, rows: int, columns: int) -> None:
        """Set the size of the window."""


class Terminal:
    """A pseudoterminal.

    Its other end is kept open here: a command may close its terminal and go on, and reading would fail from then on.
    """

    end = b"\x04"  # ^D, which a terminal in its usual mode turns into the end of input.

    def __init__(self) -> None:
        master, slave = os.openpty()
        self.sources = {master: frames.OUTPUT}
        self.sink = os.dup(master)
        # Opened by the leader of a new session, it becomes the controlling terminal (tty(4)).
        name = os.ttyname(slave)
        self.files: list[tuple[int, ...]] = [
            (os.POSIX_SPAWN_OPEN, 0, name, os.O_RDWR, 0),  # type: ignore[list-item]
            (os.POSIX_SPAWN_DUP2, 0, 1),
            (os.POSIX_SPAWN_DUP2, 0, 2),
        ]
        self.resize(24, 80)

    def started(self) -> None:
        pass

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.sink, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))


class Pipes:
    """Three pipes."""

    end = b""

    def __init__(self) -> None:
        theirs_in, self.sink = os.pipe()
        output, theirs_out = os.pipe()
        errors, theirs_err = os.pipe()
        self.sources = {output: frames.OUTPUT, errors: frames.ERROR}
        self._theirs = [theirs_in, theirs_out, theirs_err]
        self.files: list[tuple[int, ...]] = [
            (os.POSIX_SPAWN_DUP2, ours, number) for number, ours in enumerate(self._theirs)
        ]

    def started(self) -> None:
        for descriptor in self._theirs:
            os.close(descriptor)

    def resize(self, rows: int, columns: int) -> None:
        pass
