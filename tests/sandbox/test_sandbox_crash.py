"""The agent may be killed at any time: its sandboxes do not notice, and the next agent finds every one of them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from weft.agent.launcher import SandboxSpec
from weft.model.errors import WeftError
from weft.runtimes.sandbox import files
from weft.runtimes.sandbox import launcher as launcher_module
from weft.runtimes.sandbox.launcher import SandboxLauncher

#: The files whose every line is a moment at which the agent is killed.
_TRACED = {launcher_module.__file__, files.__file__}


def spec_for(directory: Path, netns: str, *command: str) -> SandboxSpec:
    return SandboxSpec(id="s", directory=str(directory), netns=netns, hostname="joe", command=command)


def processes_of(directory: Path) -> list[int]:
    """Return the pids of all processes that have to do with a sandbox's directory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if f"{directory}\0".encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def start_and_die(spec: SandboxSpec, line: int) -> bool:
    """Start a sandbox in a child process that is killed at the given line of the launcher; whether it got there."""
    child = os.fork()
    if child == 0:
        lines = 0

        def trace(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal lines
            if frame.f_code.co_filename not in _TRACED:
                return None
            if event == "line":
                lines += 1
                if lines == line:
                    os.kill(os.getpid(), signal.SIGKILL)
            return trace

        sys.settrace(trace)
        SandboxLauncher().start(spec)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def settled(launcher: SandboxLauncher, directory: Path) -> bool:
    """Wait until the sandbox either does not run or has executed its command; return whether it runs."""
    deadline = time.monotonic() + 10
    while launcher.is_running(directory):
        pid = launcher.pid(directory)
        if pid and b"sleep\0" in b"".join(children_of(pid)):
            return True
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return False


def children_of(pid: int) -> Iterator[bytes]:
    try:
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            yield Path(f"/proc/{child}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return


def test_agent_killed_after_start(tmp_path: Path, netns: str) -> None:
    """The sandbox goes on, its log too, and a new agent gets the exit code."""
    code = (
        "import os, sys; from weft.agent.launcher import SandboxSpec\n"
        "from weft.runtimes.sandbox.launcher import SandboxLauncher as L\n"
        "command = ('sh', '-c', 'sleep 1; echo still here; exit 5')\n"
        "spec = SandboxSpec(id='a', directory=sys.argv[1], netns=sys.argv[2], hostname='', command=command)\n"
        "print(L().start(spec))\n"
        "sys.stdout.flush(); os.kill(os.getpid(), 9)"
    )
    directory = tmp_path / "s"
    agent = subprocess.run([sys.executable, "-c", code, str(directory), netns], capture_output=True, text=True)
    assert agent.returncode == -signal.SIGKILL, agent.stderr
    launcher = SandboxLauncher()
    assert launcher.is_running(directory)
    assert launcher.pid(directory) == int(agent.stdout)
    assert launcher.wait(directory, 20) == 5
    assert (directory / "log").read_text() == "still here\n"


def test_sandbox_is_in_a_session_of_its_own(tmp_path: Path, netns: str) -> None:
    """Hanging up or interrupting the agent's terminal does not reach it."""
    launcher = SandboxLauncher()
    pid = launcher.start(spec_for(tmp_path / "s", netns, "sleep", "60"))
    try:
        assert os.getsid(pid) == os.getpgid(pid) == pid
        assert os.readlink(f"/proc/{pid}/cwd") == "/"
    finally:
        launcher.signal(tmp_path / "s", signal.SIGKILL)
        launcher.wait(tmp_path / "s", 10)


def test_agent_killed_at_every_line_of_start(tmp_path: Path, netns: str) -> None:
    """Whichever line it was, the sandbox runs and is found, or nothing runs; and the next start succeeds."""
    launcher = SandboxLauncher()
    outcomes = set()
    line = 1
    while True:
        directory = tmp_path / f"s{line}"
        spec = spec_for(directory, netns, "sleep", "60")
        if not start_and_die(spec, line):
            break
        running = settled(launcher, directory)
        outcomes.add(running)
        assert running == bool(processes_of(directory)), f"killed at line event {line}"
        if running:
            launcher.signal(directory, signal.SIGKILL)
            assert launcher.wait(directory, 10) == 137
        launcher.start(spec)
        launcher.signal(directory, signal.SIGKILL)
        assert launcher.wait(directory, 10) == 137
        line += 1
    launcher.signal(directory, signal.SIGKILL)
    launcher.wait(directory, 10)
    assert outcomes == {True, False}
    assert line > 30


def test_sandbox_killed_while_it_starts(tmp_path: Path, netns: str) -> None:
    """start() either succeeds, or raises and leaves nothing; it never hangs."""
    launcher = SandboxLauncher()
    with ThreadPoolExecutor(1) as pool:
        for number in range(25):
            directory = tmp_path / f"s{number}"
            attempt = pool.submit(launcher.start, spec_for(directory, netns, "sleep", "60"))
            time.sleep(0.002 * number)
            for pid in processes_of(directory):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            try:
                attempt.result(timeout=20)
            except WeftError:
                assert not directory.exists()
            else:
                launcher.signal(directory, signal.SIGKILL)
                assert launcher.wait(directory, 10) == 137
            assert processes_of(directory) == []


def test_pid_given_to_another_process(tmp_path: Path, netns: str) -> None:
    """When the sandbox is gone and its pid is an innocent process's, that is neither signalled nor taken for it."""
    launcher = SandboxLauncher()
    directory = tmp_path / "s"
    os.kill(launcher.start(spec_for(directory, netns, "sleep", "60")), signal.SIGKILL)
    launcher.wait(directory, 10)
    time.sleep(0.05)  # Start times are counted in hundredths of a second.
    innocent = subprocess.Popen(["sleep", "60"])
    try:
        _, start_time, boot = (directory / files.PID).read_text().split()
        (directory / files.PID).write_text(f"{innocent.pid} {start_time} {boot}")
        assert not launcher.is_running(directory)
        assert launcher.pid(directory) == 0
        assert launcher.open_pidfd(directory) is None
        assert launcher.wait(directory, 10) == 137
        launcher.signal(directory, signal.SIGKILL)
        with pytest.raises(subprocess.TimeoutExpired):
            innocent.wait(0.2)
    finally:
        innocent.kill()
        innocent.wait()


def test_pid_file_of_before_a_reboot(tmp_path: Path, netns: str) -> None:
    """Early in each boot the same pids may be given at the same times."""
    launcher = SandboxLauncher()
    directory = tmp_path / "s"
    launcher.start(spec_for(directory, netns, "true"))
    launcher.wait(directory, 10)
    own = files.identity(str(os.getpid()))
    (directory / files.PID).write_text(own)
    assert launcher.pid(directory) == os.getpid()
    (directory / files.PID).write_text(own.replace(own.split()[2], "11111111-2222-3333-4444-555555555555"))
    assert not launcher.is_running(directory)


def test_asking_does_not_disturb_a_start(tmp_path: Path, netns: str) -> None:
    """Looking whether a sandbox runs takes no lock that a start at the same moment would find held."""
    launcher = SandboxLauncher()
    directory = tmp_path / "s"
    directory.mkdir()
    with ThreadPoolExecutor(2) as pool:
        stop = False

        def ask() -> None:
            while not stop:
                launcher.is_running(directory)

        asking = pool.submit(ask)
        try:
            for _ in range(10):
                launcher.start(spec_for(directory, netns, "true"))
                assert launcher.wait(directory, 10) == 0
        finally:
            stop = True
            asking.result()
