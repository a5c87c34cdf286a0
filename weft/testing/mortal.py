"""An agent that lives and dies in a forked process, on a host of ``Hosts``.

It is the real agent on the real kernel and store, without the API in front; forking saves the start of an
interpreter, so that it can die some hundred times in a minute.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import NamedTuple

from weft.agent.agent import Agent
from weft.agent.launcher import Launcher
from weft.kernel import syscalls
from weft.kernel.base import Kernel
from weft.kernel.linux import LinuxKernel
from weft.model.settings import Settings
from weft.runtimes.sandbox.launcher import SandboxLauncher
from weft.store.base import Store
from weft.store.sqlite import SqliteStore
from weft.testing.crash import SteppingKernel, SteppingLauncher, SteppingStore, Steps, kill
from weft.testing.hosts import Host

Work = Callable[[Agent], None]


class Death(NamedTuple):
    """How a mortal agent ended: killed at ``step``, or at the end of its work (step None)."""

    step: str | None
    #: How many steps were begun.
    steps: int


def live(host: Host, work: Work) -> None:
    """Open an agent on ``host``, let it do ``work``, and close it; raise AssertionError with its trace if it fails."""
    status, output = _forked(host, lambda report: _work(host, work, None))
    assert status == 0, output


def die(host: Host, work: Work, fatal: int, blow: Callable[[], object] = kill) -> Death:
    """Open an agent on ``host`` and let it do ``work``, but kill it at step number ``fatal`` of that work.

    Another ``blow`` than that may be dealt, which it can survive: its Death has no step then.
    """

    def mortal(report: int) -> None:
        step = Steps(fatal, lambda name: os.write(report, f"{name}\n".encode()), blow)
        _work(host, work, step)

    status, output = _forked(host, mortal)
    steps = output.splitlines()
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return Death(steps[-1], len(steps))
    assert status == 0, output
    return Death(None, len(steps))


def _work(host: Host, work: Work, step: Steps | None) -> None:
    for directory in (host.state_dir, host.run_dir):
        directory.mkdir(exist_ok=True)
    store = SqliteStore(host.state_dir / "state.db")
    kernel = LinuxKernel()
    doors: tuple[Store, Kernel, Launcher] = (store, kernel, SandboxLauncher())
    if step is not None:
        doors = (SteppingStore(store, step), SteppingKernel(kernel, step), SteppingLauncher(doors[2], step))
    agent = Agent(*doors, Settings(), host.state_dir, host.run_dir, host.resolv_conf)
    agent.open()
    if step is not None:
        step.armed = True
    work(agent)
    if step is not None:
        step.armed = False
    agent.close()
    kernel.close()
    store.close()


def _forked(host: Host, work: Callable[[int], None]) -> tuple[int, str]:
    """Do ``work`` in a child that is in the host's namespace; return its wait status and what it reported."""
    reading, report = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(reading)
            syscalls.setns(host.fd, syscalls.CLONE_NEWNET)
            logging.disable()
            work(report)
            code = 0
        except BaseException:
            os.write(report, traceback.format_exc().encode())
        finally:
            sys.stdout.flush()
            os._exit(code)
    os.close(report)
    with os.fdopen(reading) as stream:
        output = stream.read()
    _, status = os.waitpid(child, 0)
    return status, output
