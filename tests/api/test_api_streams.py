"""Logs and events: streams end when they should, and those who listen never keep others from being served."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.api.recording import EVENT, RecordingAgent
from weft.api import workers
from weft.api.client import Client
from weft.api.listener import Listener
from weft.api.server import Server
from weft.model.errors import ContainerNotFound, Exhausted, NotFound


def _eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_log_is_read_to_its_end(client: Client, agent: RecordingAgent) -> None:
    """Byte for byte, also when it is long and no text."""
    written = bytes(range(256)) * 4096
    agent.log.write_bytes(written)
    assert b"".join(client.stream("/v1/containers/web/logs")) == written


def test_a_followed_log_shows_what_is_written_and_ends_with_the_container(
    client: Client, agent: RecordingAgent
) -> None:
    """What came before, what comes while it runs and its very last words."""
    agent.log.write_bytes(b"before\n")
    pieces = client.stream("/v1/containers/web/logs", {"follow": True})
    assert next(pieces) == b"before\n"
    with agent.log.open("ab") as log:
        log.write(b"during\n")
        log.flush()
        assert next(pieces) == b"during\n"
        log.write(b"last words\n")
    agent.finish(0)
    assert b"".join(pieces) == b"last words\n"


def test_a_log_that_is_not_there_is_an_error(client: Client, agent: RecordingAgent) -> None:
    """Not an empty answer."""
    agent.log.unlink()
    with pytest.raises(NotFound):
        list(client.stream("/v1/containers/web/logs"))
    with pytest.raises(ContainerNotFound):
        list(client.stream("/v1/containers/gone/logs", {"follow": True}))


def test_events_come_as_they_happen(client: Client, agent: RecordingAgent) -> None:
    """One line each; lines that keep the stream alive are empty."""
    lines = client.lines("/v1/events")
    assert next(lines) == b"\n"
    agent.mailbox.put(EVENT)
    assert json.loads(next(line for line in lines if line.strip())) == EVENT
    agent.mailbox.put(None)
    assert all(not line.strip() for line in lines)


def test_a_listener_that_goes_is_let_go(client: Client, agent: RecordingAgent) -> None:
    """The agent's generator is closed soon after."""
    lines = client.lines("/v1/events")
    next(lines)
    assert agent.listeners == 1
    lines.close()  # type: ignore[attr-defined]
    _eventually(lambda: agent.listeners == 0)


def test_many_listeners_do_not_keep_others_from_being_served(client: Client, agent: RecordingAgent) -> None:
    """More of them than there are threads for calls, and yet a question is answered at once."""
    with ExitStack() as stack:
        for _ in range(80):
            lines = client.lines("/v1/events")
            stack.callback(lines.close)  # type: ignore[attr-defined]
            next(lines)
        begun = time.monotonic()
        client.request("GET", "/v1/networks")
        assert time.monotonic() - begun < 2
    _eventually(lambda: agent.listeners == 0)


def test_more_listeners_than_the_agent_has_room_for_are_refused(
    client: Client, agent: RecordingAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an error that says so, and only until one of the others has gone."""
    monkeypatch.setattr(workers, "WATCHERS", 2)
    listening = [client.lines("/v1/events") for _ in range(2)]
    for lines in listening:
        next(lines)
    with pytest.raises(Exhausted):
        client.request("POST", "/v1/containers/web/wait")
    with pytest.raises(Exhausted):
        next(client.lines("/v1/events"))
    for lines in listening:
        lines.close()  # type: ignore[attr-defined]
    _eventually(lambda: agent.listeners == 0)
    agent.finish(0)
    assert client.request("POST", "/v1/containers/web/wait") == {"exit_code": 0}


def test_those_who_wait_do_not_keep_others_from_being_served(client: Client, agent: RecordingAgent) -> None:
    """Nor do those who wait for the end of a container."""
    waiters = [
        threading.Thread(
            target=client.request, args=("POST", "/v1/containers/web/wait"), kwargs={"query": {"timeout": 30}}
        )
        for _ in range(60)
    ]
    for waiter in waiters:
        waiter.start()
    begun = time.monotonic()
    client.request("GET", "/v1/networks")
    assert time.monotonic() - begun < 2
    agent.finish(0)
    for waiter in waiters:
        waiter.join(10)
        assert not waiter.is_alive()


def test_the_server_ends_its_streams_when_it_stops(agent: RecordingAgent, socket_path: Path) -> None:
    """A listener does not keep the agent from ending; it sees the end of the stream."""
    listener = Listener(socket_path)
    server = Server(agent, listener)
    server.start()
    client = Client(socket_path)
    events, log = client.lines("/v1/events"), client.stream("/v1/containers/web/logs", {"follow": True})
    next(events)
    ends: list[list[bytes]] = []
    follower = threading.Thread(target=lambda: ends.append(list(log)))
    follower.start()
    _eventually(lambda: ("log_file", "web") in agent.calls)
    begun = time.monotonic()
    server.stop()
    assert time.monotonic() - begun < 5
    listener.close()
    assert all(not line.strip() for line in events)
    follower.join(10)
    assert ends == [[]]
