"""What a command is given beside its arguments: the agent to talk to."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weft.cli import output
from weft.model.errors import NeedsRoot

if TYPE_CHECKING:
    from weft.api.client import Client

#: (state directory, run directory, configuration, resolv.conf) → exit code.
Daemon = Callable[[Path, Path, Path | None, Path], int]

DEFAULT_RUN_DIR = "/run/weft"
SOCKET = "weft.sock"


class Context:
    """The surroundings of one command.  ``daemon`` is what 'weft agent' runs."""

    def __init__(self, run_dir: str | None, daemon: Daemon | None = None) -> None:
        self.run_dir = Path(run_dir or os.environ.get("WEFT_RUN_DIR") or DEFAULT_RUN_DIR)
        self._daemon = daemon

    def be_agent(self, state_dir: Path, config: Path | None, resolv_conf: Path) -> int:
        """Be the agent until it is told to end; return the exit code."""
        assert self._daemon is not None, "the command line was started without an agent to be"
        return self._daemon(state_dir, self.run_dir, config, resolv_conf)

    @cached_property
    def client(self) -> Client:
        from weft.api.client import Client

        return Client(self.run_dir / SOCKET)

    def get(self, path: str, **query: str | bool | float | None) -> Any:
        """Return the agent's answer to a question."""
        return self.client.request("GET", path, query=query)

    def change(
        self, args: Namespace, method: str, path: str, body: Any = None, **query: str | bool | float | None
    ) -> Any:
        """Have the agent change something and return the result.

        With --dry-run nothing is changed: the operations are printed and the result is None.
        """
        query = {**query, "dry_run": args.dry_run or None}
        outcome = self.client.request(method, path, body, query, timeout=_patience(query))
        if args.dry_run:
            output.commands(outcome["operations"])
            return None
        return outcome["result"]


def _patience(query: dict[str, str | bool | float | None]) -> float:
    """Return how long (seconds) the agent may take: it is given its own time and what the caller asked it to wait."""
    asked = query.get("timeout")
    return 310.0 + (asked if isinstance(asked, float) else 0.0)


def need_root(what: str) -> None:
    """Raise NeedsRoot unless this is root."""
    if os.geteuid() != 0:
        raise NeedsRoot(f"{what} needs root")
