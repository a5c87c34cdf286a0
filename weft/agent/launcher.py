"""The door to whoever starts the processes of ``weft run`` (``weft.runtimes.sandbox`` is the one that ships)."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from weft.model.base import Record


class SandboxSpec(Record):
    """One process to start in namespaces of its own."""

    id: str
    #: Where the sandbox keeps its pid, exit status, log and console socket.
    directory: str
    #: Network namespace to enter; None is the host's.
    netns: str | None
    hostname: str
    command: tuple[str, ...]
    env: dict[str, str] = {}
    #: Files to lay over those of the host: target path → source path.
    files: dict[str, str] = {}
    tty: bool = False
    stdin: bool = False


class Launcher(Protocol):
    """Starts, watches and ends sandboxes.  They outlive the agent."""

    def start(self, spec: SandboxSpec) -> int:
        """Start the process; return the host pid of the sandbox's first process once its command was executed.

        The pid is 0 when the command was so short that all has ended by then.
        Raises InvalidInput when the command cannot be executed (cause says why); nothing is left then.
        """

    def is_running(self, directory: Path) -> bool:
        """Whether the sandbox of that directory still runs (also after a restart of the agent)."""

    def exit_code(self, directory: Path) -> int | None:
        """Return the exit status (128 + n for signal n), None while it runs or if it is unknown."""

    def wait(self, directory: Path, timeout: float | None = None) -> int | None:
        """Wait for the end of the sandbox, at most ``timeout`` seconds; return the exit code, None if it still runs."""

    def signal(self, directory: Path, number: int) -> None:
        """Send a signal to the sandbox's first process; one that has ended is no error."""
