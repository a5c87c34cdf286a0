"""What the tests of the API share: an agent that notes what it is asked, served on a socket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.recording import RecordingAgent, serving
from weft.api.client import Client


@pytest.fixture
def agent(tmp_path: Path) -> RecordingAgent:
    return RecordingAgent(tmp_path / "log")


@pytest.fixture
def socket_path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "weft.sock"


@pytest.fixture
def client(agent: RecordingAgent, socket_path: Path) -> Iterator[Client]:
    with serving(agent, socket_path) as served:
        yield served
