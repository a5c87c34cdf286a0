"""The client tells apart the ways in which an agent may not answer."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from weft.api.client import Client, segment
from weft.model.errors import (
    AgentUnreachable,
    Internal,
    InvalidName,
    RequestTooLarge,
    TimedOut,
    WeftError,
)


@contextmanager
def _answering(path: Path, answer: bytes) -> Iterator[Client]:
    """A server that reads a request, says ``answer`` and hangs up; with b'' it says nothing and holds the line."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    held: list[socket.socket] = []

    def answer_one() -> None:
        connection, _ = listener.accept()
        held.append(connection)
        connection.recv(65536)
        if answer:
            connection.sendall(answer)
            connection.close()

    thread = threading.Thread(target=answer_one, daemon=True)
    thread.start()
    yield Client(path)
    thread.join(10)
    listener.close()
    for connection in held:
        connection.close()


def test_no_agent_is_said_so_with_what_to_do(tmp_path: Path) -> None:
    """Whether there is no socket, no directory or a stale socket."""
    stale = tmp_path / "stale"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(stale))
    (tmp_path / "file").touch()
    for path in (
        tmp_path / "none",
        tmp_path / "no" / "directory",
        stale,
        tmp_path / "file" / "sock",
        tmp_path / "file",
    ):
        with pytest.raises(AgentUnreachable) as caught:
            Client(path).request("GET", "/v1/version")
        assert "weft up" in caught.value.hint


def test_who_may_not_use_the_socket_is_told_to_be_root(tmp_path: Path) -> None:
    """A user who is not in the group gets NeedsRoot, not a trace."""
    script = """
import os, sys
from weft.api.client import Client
from weft.model.errors import NeedsRoot
os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    Client(sys.argv[1]).request("GET", "/v1/version")
except NeedsRoot as error:
    print(error.hint)
"""
    path = tmp_path / "closed"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        done = subprocess.run(
            [sys.executable, "-c", script, str(path)], capture_output=True, text=True, cwd=os.getcwd()
        )
    assert (done.stdout, done.stderr) == ("Run it with sudo.\n", "")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[1,", AgentUnreachable),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[1", AgentUnreachable),
        (b"SSH-2.0-OpenSSH_9.2\r\n", AgentUnreachable),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[1,", Internal),
        (b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno", Internal),
        (b'HTTP/1.1 418 No\r\nContent-Length: 15\r\n\r\n{"code":"other"}', WeftError),
    ],
)
def test_an_answer_that_makes_no_sense_is_one_of_wefts_errors(
    answer: bytes, error: type[WeftError], tmp_path: Path
) -> None:
    """Cut off, of another protocol, not JSON, of a newer agent: never a trace."""
    with _answering(tmp_path / "s", answer) as client, pytest.raises(error):
        client.request("GET", "/v1/version")


def test_a_stream_that_is_cut_off_is_an_error(tmp_path: Path) -> None:
    """An agent that dies while a log is followed is not taken for the log's end."""
    with _answering(tmp_path / "s", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n") as client:
        pieces = client.stream("/v1/events")
        assert next(pieces) == b"hi"
        with pytest.raises(AgentUnreachable):
            next(pieces)
    with _answering(tmp_path / "t", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhi\nyo\r\n") as client:
        lines = client.lines("/v1/events")
        assert next(lines) == b"hi\n"
        with pytest.raises(AgentUnreachable):
            next(lines)


def test_an_agent_that_says_nothing_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    """After the time that the caller allows."""
    with _answering(tmp_path / "s", b"") as client, pytest.raises(TimedOut):
        client.request("GET", "/v1/version", timeout=0.2)


def test_a_full_backlog_is_waited_for(tmp_path: Path) -> None:
    """A caller among hundreds waits for its turn, and not for ever: an agent that takes nobody in is late."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listener, ExitStack() as stack:
        listener.bind(str(path))
        listener.listen(1)
        for _ in range(2):
            stack.enter_context(socket.socket(socket.AF_UNIX)).connect(str(path))
        with pytest.raises(TimedOut):
            Client(path).request("GET", "/v1/version", timeout=1.0)


def test_what_the_agent_would_not_read_is_not_sent(tmp_path: Path) -> None:
    """A body beyond the limit is refused with the reason, not with a broken connection."""
    with pytest.raises(RequestTooLarge):
        Client(tmp_path / "none").request("POST", "/v1/containers", {"command": ["x" * (1 << 20)]})


def test_an_empty_name_is_no_name() -> None:
    """It would otherwise ask for the list of all."""
    with pytest.raises(InvalidName):
        segment("")
