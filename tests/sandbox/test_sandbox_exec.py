"""A further command in a running sandbox, as ``weft exec`` starts it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from weft.api.enter import exec_argv
from weft.model.errors import ContainerNotRunning

from .conftest import Sandbox, Start


def run_in(sandbox: Sandbox, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(exec_argv(sandbox.pid, command, env), capture_output=True, text=True, timeout=20)


def test_sees_what_the_sandboxs_command_sees(start: Start, tmp_path: Path, netns: str) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("10.0.0.1 joe\n")
    sandbox = start("sleep", "60", files={"/etc/hosts": str(hosts)})
    assert run_in(sandbox, "cat", "/etc/hosts").stdout == "10.0.0.1 joe\n"
    assert run_in(sandbox, "hostname").stdout == "joe\n"
    assert int(run_in(sandbox, "stat", "-Lc", "%i", "/proc/self/ns/net").stdout) == os.stat(netns).st_ino
    assert run_in(sandbox, "sh", "-c", "echo /proc/[12]; cat /proc/2/comm").stdout == "/proc/1 /proc/2\nsleep\n"


def test_environment_is_that_of_the_command_and_what_is_added(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SB_SECRET_OF_THE_AGENT", "x")
    sandbox = start("sleep", "60", env={"A": "a b\nc", "B": "ü"})
    assert run_in(sandbox, "sh", "-c", 'printf %s "$A|$B|$HOSTNAME|$C"', C="new").stdout == "a b\nc|ü|joe|new"
    assert "SECRET" not in run_in(sandbox, "env").stdout


def test_capabilities_are_those_of_the_sandbox(start: Start) -> None:
    sandbox = start("sleep", "60")
    status = dict(line.split(":\t") for line in run_in(sandbox, "cat", "/proc/self/status").stdout.splitlines())
    assert status["CapEff"] == status["CapBnd"] == "00000000a80425fb"
    assert "not permitted" in run_in(sandbox, "ip", "link", "set", "lo", "down").stderr


def test_exit_code_and_words_are_passed_through(start: Start) -> None:
    sandbox = start("sleep", "60")
    assert run_in(sandbox, "sh", "-c", "exit 7").returncode == 7
    assert run_in(sandbox, "printf", "%s|", "--", "a b", "$(id)", "").stdout == "--|a b|$(id)||"
    assert run_in(sandbox, "no-such-thing").returncode == 127


def test_ends_with_the_sandbox(start: Start) -> None:
    sandbox = start("sh", "-c", "sleep 1")
    assert run_in(sandbox, "sleep", "60").returncode == -signal.SIGKILL
    assert sandbox.wait() == 0


def test_sandbox_that_is_gone(start: Start) -> None:
    sandbox = start("true")
    sandbox.wait()
    while Path(f"/proc/{sandbox.pid}").exists():  # until the host's own first process has buried it
        time.sleep(0.01)
    with pytest.raises(ContainerNotRunning):
        exec_argv(sandbox.pid, ["true"])
