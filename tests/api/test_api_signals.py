"""The agent ends when it is told to, whichever of its threads the kernel hands the signal to."""

from __future__ import annotations

import ctypes
import os
import platform
import signal

import pytest

from weft.testing.hosts import Host

#: tgkill(2) has no function in Python; its number is of <asm/unistd.h>.
TGKILL = {"x86_64": 234, "aarch64": 131}.get(platform.machine())


@pytest.mark.skipif(TGKILL is None, reason="the number of tgkill(2) is not known here")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_any_thread_ends_the_agent(host: Host, number: signal.Signals) -> None:
    agent = host.agent
    assert agent is not None
    threads = sorted(int(name) for name in os.listdir(f"/proc/{agent.pid}/task"))
    assert threads[0] == agent.pid and len(threads) > 1
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.syscall(TGKILL, agent.pid, threads[-1], int(number)) == 0
    assert agent.wait(5) == 0
