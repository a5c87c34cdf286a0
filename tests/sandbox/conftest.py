"""Sandboxes in directories and network namespaces of their own, which are gone after each test."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from weft.agent.launcher import SandboxSpec
from weft.runtimes.sandbox.launcher import SandboxLauncher


class Sandbox(NamedTuple):
    """A sandbox that was started."""

    directory: Path
    pid: int
    launcher: SandboxLauncher

    def wait(self, timeout: float = 20.0) -> int | None:
        return self.launcher.wait(self.directory, timeout)

    def signal(self, number: int) -> None:
        self.launcher.signal(self.directory, number)

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text()

    @property
    def command_pid(self) -> int:
        """Host pid of the command, the first process's first child."""
        return int(Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()[0])


def wait_for_log(path: Path, text: str) -> None:
    """Wait until the log at ``path`` holds ``text``."""
    deadline = time.monotonic() + 10
    while text not in (path.read_text() if path.exists() else ""):
        assert time.monotonic() < deadline, f"{text!r} is not in {path}"
        time.sleep(0.01)


Start = Callable[..., Sandbox]
Script = Callable[..., str]


@pytest.fixture
def launcher() -> SandboxLauncher:
    return SandboxLauncher()


@pytest.fixture
def netns() -> Iterator[str]:
    """Path of a network namespace with nothing but lo."""
    name = f"sb-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
    yield f"/run/netns/{name}"
    subprocess.run(["ip", "netns", "del", name], check=True)


@pytest.fixture
def start(launcher: SandboxLauncher, tmp_path: Path, netns: str) -> Iterator[Start]:
    """Start commands in sandboxes; whatever runs after the test is killed."""
    numbers = itertools.count()
    directories: list[Path] = []

    def start(*command: str, **options: Any) -> Sandbox:
        directory = Path(options.pop("directory", tmp_path / f"sandbox{next(numbers)}"))
        directories.append(directory)
        spec = SandboxSpec(
            id=directory.name,
            directory=str(directory),
            netns=options.pop("netns", netns),
            hostname=options.pop("hostname", "joe"),
            command=command,
            **options,
        )
        return Sandbox(directory, launcher.start(spec), launcher)

    yield start
    for directory in directories:
        launcher.signal(directory, signal.SIGKILL)
        launcher.wait(directory, 10.0)


@pytest.fixture
def script(start: Start) -> Script:
    """Run a shell script in a sandbox to its end; return what it printed."""

    def script(text: str, **options: Any) -> str:
        sandbox = start("sh", "-c", text, **options)
        sandbox.wait()
        return sandbox.log

    return script
