"""Waiting for what happens by itself."""

from __future__ import annotations

import time
from collections.abc import Callable

from weft.testing.hosts import Host


def eventually(question: Callable[[], object], within: float = 5.0) -> None:
    """Ask until the answer is true; fail if it is not ``within`` seconds later."""
    deadline = time.monotonic() + within
    while not question():
        assert time.monotonic() < deadline, f"not within {within} s"
        time.sleep(0.01)


def wait_for_log(host: Host, container: str, text: str) -> None:
    """Wait until a container has written ``text``."""
    eventually(lambda: text in host.weft("logs", container).stdout)
