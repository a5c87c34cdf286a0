"""``weft down``."""

from __future__ import annotations

import os
import select
import signal
from argparse import ArgumentParser, Namespace

from weft.cli import options
from weft.cli.context import Context, need_root
from weft.model.errors import AgentUnreachable, TimedOut

EXAMPLES = """\
examples:
  weft down                   containers go on running, with their networks
  weft down --all             remove all containers and networks first
  weft down --all --dry-run
"""

#: Seconds that the agent may take to end.
PATIENCE = 30.0


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("--all", action="store_true", help="remove all containers, networks and rules of weft's first")
    options.add_dry_run(parser)


def execute(args: Namespace, context: Context) -> int:
    need_root("stopping the agent")
    try:
        pid = context.get("/v1/version")["pid"]
    except AgentUnreachable:
        if args.all:
            raise  # only the agent can take its own away
        print("no agent runs")
        return 0
    if args.all:
        context.change(args, "POST", "/v1/reset")
    if args.dry_run:
        print(f"kill -TERM {pid}")
    else:
        _end(pid, context)
    return 0


def _end(pid: int, context: Context) -> None:
    """Ask the agent to end and wait until it has."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        # The descriptor is the agent's only if the agent still answers with that number now that it is open.
        if context.get("/v1/version")["pid"] == pid:
            signal.pidfd_send_signal(process, signal.SIGTERM)
        if not select.select([process], [], [], PATIENCE)[0]:
            raise TimedOut(f"the agent (pid {pid}) has not ended within {PATIENCE:g} s")
    except AgentUnreachable:
        return
    finally:
        os.close(process)
