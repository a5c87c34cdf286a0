"""The program ``weft``: the command line, and the agent for the one command that is it."""

from __future__ import annotations

import sys
from pathlib import Path

from weft.cli.main import main as command_line


def main() -> int:
    """Carry out the command line; return the exit code."""
    return command_line(sys.argv[1:], _agent)


def _agent(state_dir: Path, run_dir: Path, config: Path | None, resolv_conf: Path) -> int:
    # The command line must not load what the agent needs, which is slow, nor know of it.
    from weft.daemon import run

    return run(state_dir, run_dir, config, resolv_conf)


if __name__ == "__main__":
    sys.exit(main())
