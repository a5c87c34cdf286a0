"""Answers that have no end: logs that are followed, events.

Each is a generator of bytes that blocks; the server takes the next piece in a thread and closes the generator when
the listener has gone.  So that this is noticed, every generator yields something, if only nothing (b''), often.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from weft.agent.facade import AgentFacade
from weft.api.route import Call
from weft.model.errors import ContainerNotFound, NotFound

#: Bytes read from a log at a time.
CHUNK = 65536
#: Seconds between two looks at a log that is followed.
INTERVAL = 0.2
#: Seconds between two looks at whether somebody who waits still has to.
PATIENCE = 1.0

Stream = Generator[bytes, None, None]


def log(agent: AgentFacade, call: Call) -> Stream:
    """Return a container's log; with ``follow`` it goes on until the container has ended."""
    path = agent.log_file(call.name)
    follow = bool(call.query["follow"])
    if follow:
        agent.wait(call.name, 0.0)  # refuses what has no process of weft's, before the answer begins
    file = _open(path, call.name)
    return _follow(file, agent, call.name) if follow else _rest(file)


def _open(path: Path, name: str) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise NotFound(f"there is no log of {name!r}", "Only what 'weft run' started has a log.") from None


def _rest(file: BinaryIO) -> Stream:
    with file:
        while chunk := file.read(CHUNK):
            yield chunk


def _follow(file: BinaryIO, agent: AgentFacade, name: str) -> Stream:
    with file:
        patience = 0.0
        ended = False
        while not ended:
            # First whether it has ended, then what it wrote: nothing is written after the end.
            ended = _has_ended(agent, name, patience)
            patience = INTERVAL
            while chunk := file.read(CHUNK):
                yield chunk
            yield b""


def _has_ended(agent: AgentFacade, name: str, patience: float) -> bool:
    try:
        return agent.wait(name, patience) is not None
    except ContainerNotFound:
        return True


def events(agent: AgentFacade, call: Call) -> Stream:
    """Return events from now on, a line of JSON each; an empty line keeps the stream alive."""
    return _lines(agent.events())  # listening begins here, before the answer does


def _lines(events: Iterator[dict[str, Any]]) -> Stream:
    for event in events:
        yield json.dumps(event).encode() + b"\n" if event else b"\n"


def wait(agent: AgentFacade, call: Call) -> dict[str, int | None]:
    """Wait for the end of a container, at most ``timeout`` seconds."""
    left = call.query["timeout"]
    code = agent.wait(call.name, min(left, PATIENCE))
    while code is None and left > PATIENCE and not call.stopping():
        left -= PATIENCE
        code = agent.wait(call.name, min(left, PATIENCE))
    return {"exit_code": code}
