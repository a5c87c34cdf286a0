"""How a console and its clients talk: the framing on a sandbox's ``console.sock``.

A frame is one byte that says what it is, the length of the payload (4 bytes, big-endian) and the payload.

    from the client        payload
    i  input               bytes for the command
    e  end of input        -  (a pipe is closed, a terminal gets ^D)
    w  window size         rows and columns, 2 bytes each, big-endian
    s  signal              number, 1 byte: sent to the command

    from the console
    o  output              bytes from the terminal, or from standard output
    r  error output        bytes from standard error (never with a terminal)
    x  exit                exit code, 1 byte: 128 + n for signal n.  The last frame.

Standard library only: both the sandbox and the command line import this file.
"""

from __future__ import annotations

INPUT = b"i"
END = b"e"
WINDOW = b"w"
SIGNAL = b"s"
OUTPUT = b"o"
ERROR = b"r"
EXIT = b"x"

_HEADER = 5
#: The longest payload (bytes) that either side sends or takes.
LIMIT = 65536


class BadFrame(ValueError):
    """The other side announced a payload that is longer than LIMIT."""


def pack(kind: bytes, payload: bytes = b"") -> bytes:
    """Return one frame."""
    return kind + len(payload).to_bytes(4, "big") + payload


def take(buffer: bytearray) -> list[tuple[bytes, bytes]]:
    """Remove the complete frames from the front of ``buffer``; return their kinds and payloads.  Raises BadFrame."""
    frames = []
    while len(buffer) >= _HEADER:
        length = int.from_bytes(buffer[1:_HEADER], "big")
        if length > LIMIT:
            raise BadFrame(f"frame of {length} bytes")
        if len(buffer) < _HEADER + length:
            break
        frames.append((bytes(buffer[:1]), bytes(buffer[_HEADER : _HEADER + length])))
        del buffer[: _HEADER + length]
    return frames
