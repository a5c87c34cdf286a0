"""``weft up``."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

import weft
from weft.cli import options
from weft.cli.context import Context, need_root
from weft.model.errors import AgentUnreachable, StoreFailed, TimedOut

EXAMPLES = """\
examples:
  weft up
  weft up --config /etc/weft.toml
  weft up --state-dir /tmp/two/state --run-dir /tmp/two/run
"""

#: Seconds that the agent may take until it answers.
PATIENCE = 30.0
INTERVAL = 0.05


def configure(parser: ArgumentParser) -> None:
    options.add_agent(parser)
    options.add_dry_run(parser)


def execute(args: Namespace, context: Context) -> int:
    command = _command(args, context)
    if args.dry_run:
        print(shlex.join(command))
        return 0
    need_root("the agent")
    version = _version(context)
    if version is None:
        log = Path(os.path.abspath(args.state_dir)) / "agent.log"
        version = _wait(context, _spawn(command, log), log)
    print(f"the agent runs, pid {version['pid']}")
    return 0


def _command(args: Namespace, context: Context) -> list[str]:
    """Return the agent's command line; its paths are absolute, because it starts in another directory."""
    given = {
        "--state-dir": args.state_dir,
        "--run-dir": context.run_dir,
        "--config": args.config,
        "--resolv-conf": args.resolv_conf,
    }
    words = [word for name, path in given.items() if path for word in (name, os.path.abspath(path))]
    return [sys.executable, "-m", "weft", "agent", *words]


def _spawn(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    try:
        log.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise StoreFailed(f"the log {log} cannot be written: {error.strerror}", "Give another --state-dir.") from None
    # Started in the directory that holds the package, because '-m' looks there first: never in the caller's.
    home = Path(weft.__file__).parent.parent
    try:
        return subprocess.Popen(
            command, cwd=home, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    finally:
        os.close(output)


def _wait(context: Context, agent: subprocess.Popen[bytes], log: Path) -> dict[str, Any]:
    """Wait until an agent answers, be it ours or one that was started at the same time."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        ended = agent.poll() is not None
        version = _version(context)
        if version is not None:
            return version
        if ended:
            raise AgentUnreachable("the agent has ended at once; " + _last_words(log), f"Its log is {log}.")
        time.sleep(INTERVAL)
    raise TimedOut(f"the agent has not answered within {PATIENCE:g} s", f"Its log is {log}.")


def _version(context: Context) -> dict[str, Any] | None:
    try:
        version: dict[str, Any] = context.get("/v1/version")
    except AgentUnreachable:
        return None
    return version


def _last_words(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.startswith("weft: ")]
    return lines[-1] if lines else "it has not said why"
