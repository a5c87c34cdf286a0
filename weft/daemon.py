"""``weft agent``: the only file that knows every room, and puts them together."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from weft.agent.agent import Agent
from weft.api.listener import Listener
from weft.api.server import serve
from weft.kernel.linux import LinuxKernel
from weft.kernel.sole import Sole
from weft.model.errors import NeedsRoot, WeftError
from weft.model.settings import load_settings
from weft.runtimes.sandbox.launcher import SandboxLauncher
from weft.store.sqlite import SqliteStore

log = logging.getLogger("weft")


def run(state_dir: Path, run_dir: Path, config: Path | None, resolv_conf: Path) -> int:
    """Be the agent of this host until SIGTERM or SIGINT; return the exit code.

    ``state_dir`` outlives a reboot, ``run_dir`` need not; two agents on one machine share neither.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        _run(state_dir.resolve(), run_dir.resolve(), config, resolv_conf)
    except WeftError as error:
        print(f"weft: {error.cause}", file=sys.stderr)
        if error.hint:
            print(f"  hint: {error.hint}", file=sys.stderr)
        return 1
    return 0


def _run(state_dir: Path, run_dir: Path, config: Path | None, resolv_conf: Path) -> None:
    if os.geteuid() != 0:
        raise NeedsRoot("the agent changes the network of this machine and must run as root")
    settings = load_settings(config)
    os.umask(0o027)
    for directory in (state_dir, run_dir):
        directory.mkdir(mode=0o750, parents=True, exist_ok=True)
    # First of all, because an agent that is not alone must not touch anything.
    with Listener(run_dir / "weft.sock") as listener, Sole():
        store = SqliteStore(state_dir / "state.db")
        try:
            kernel = LinuxKernel()
            try:
                agent = Agent(store, kernel, SandboxLauncher(), settings, state_dir, run_dir, resolv_conf)
                agent.open()
                try:
                    serve(agent, listener)
                finally:
                    agent.close()
            finally:
                kernel.close()
        finally:
            store.close()
