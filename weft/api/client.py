"""The client of the agent's API: standard library only, because the command line must start fast.

    client = Client("/run/weft/weft.sock")
    client.request("GET", "/v1/containers", query={"all": True})

Errors arrive as the very classes of ``weft.model.errors`` that the agent raised.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from weft.api import limits
from weft.api.problem import from_problem
from weft.model.errors import (
    AgentUnreachable,
    Internal,
    InvalidName,
    InvalidOption,
    NeedsRoot,
    RequestTooLarge,
    TimedOut,
)

#: Seconds that an answer may take.  The agent answers every request within 60 s, if only to say that it is late.
TIMEOUT = 70.0
#: Bytes taken from a stream at a time.
CHUNK = 65536

Query = Mapping[str, str | bool | float | None]


class _UnixConnection(HTTPConnection):
    """HTTP/1.1 to a unix socket."""

    def __init__(self, path: str, timeout: float | None) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # With settimeout() the socket would not block, and then connect(2) fails at once when the agent's backlog is
        # full.  With a send timeout it waits for its turn (unix(7), socket(7)).
        patience = struct.pack("ll", int(self.timeout or TIMEOUT) or 1, 0)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, patience)
        self.sock.connect(self._path)
        self.sock.settimeout(self.timeout)


class Client:
    """Speaks to the agent whose socket is at ``socket_path``.  Every call opens a connection of its own."""

    def __init__(self, socket_path: str | Path) -> None:
        self._path = str(socket_path)

    def request(
        self, method: str, path: str, body: Any = None, query: Query | None = None, timeout: float | None = TIMEOUT
    ) -> Any:
        """Return the answer, decoded.

        Raises the error that the agent answers with, AgentUnreachable when there is no agent, NeedsRoot when it
        may not be spoken to, and TimedOut when it does not answer within ``timeout`` seconds.
        """
        with self._exchange(method, path, body, query, timeout) as response:
            data = response.read()
        try:
            return json.loads(data)
        except ValueError:
            raise Internal("the agent's answer is not JSON") from None

    def stream(self, path: str, query: Query | None = None) -> Iterator[bytes]:
        """Ask at once, and return the answer in pieces as it comes, until the agent ends it.  Raises as ``request``."""
        exchange = ExitStack()
        response = exchange.enter_context(self._exchange("GET", path, None, query, None))
        return _pieces(exchange, response)

    def lines(self, path: str, query: Query | None = None) -> Iterator[bytes]:
        """Ask at once, and return the answer line by line as it comes.  Raises as ``request``."""
        return _lines(self.stream(path, query))

    @contextmanager
    def _exchange(
        self, method: str, path: str, body: Any, query: Query | None, timeout: float | None
    ) -> Iterator[HTTPResponse]:
        """Send a request and hand out the response to be read; whatever goes wrong is one of weft's errors."""
        connection = _UnixConnection(self._path, timeout)
        data = None if body is None else json.dumps(body).encode()
        if data is not None and len(data) > limits.BODY:
            raise RequestTooLarge(f"the request is longer than {limits.BODY} bytes")
        try:
            connection.connect()
            connection.request(method, path + _query_text(query), data, {"Content-Type": "application/json"})
            response = connection.getresponse()
            if response.status >= 400:
                raise from_problem(_json_or_none(response.read()))
            yield response
        except PermissionError:
            raise NeedsRoot(f"you may not use the agent's socket {self._path}") from None
        except (TimeoutError, BlockingIOError):
            raise TimedOut(f"the agent has not answered within {timeout or TIMEOUT:g} s") from None
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            raise AgentUnreachable(f"no agent answers on {self._path}") from None
        except (ConnectionError, HTTPException) as error:
            raise AgentUnreachable(f"the agent went away while answering ({type(error).__name__})") from error
        except OSError as error:
            if error.errno is None:  # CPython's own complaint: AF_UNIX path too long
                raise InvalidOption(f"{self._path}: {error}", "Give a shorter --run-dir.") from None
            raise AgentUnreachable(f"the agent's socket {self._path} cannot be used: {error.strerror}") from error
        finally:
            connection.close()


def _pieces(exchange: ExitStack, response: HTTPResponse) -> Iterator[bytes]:
    with exchange:
        while piece := response.read1(CHUNK):
            yield piece


def _lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Cut into lines.  HTTPResponse.readline() would take a stream that was cut off for one that has ended."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield line + b"\n"


def segment(name: str) -> str:
    """Return ``name`` as one segment of a path, whatever characters it has; raise InvalidName for none at all."""
    if not name:
        raise InvalidName("the name is empty")
    return quote(name, safe="", errors="surrogateescape")


def _query_text(query: Query | None) -> str:
    given = {name: _text(value) for name, value in (query or {}).items() if value is not None}
    return "?" + urlencode(given, errors="surrogateescape") if given else ""


def _text(value: str | bool | float | None) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _json_or_none(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return None
