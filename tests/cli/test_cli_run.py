"""``weft run`` in the foreground: output, Ctrl-C, exit code, removal; and ``weft exec``."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from tests.api.recording import CONTAINER, INSPECTED, RecordingAgent
from tests.cli.conftest import Type
from weft.api.enter import exec_argv

Start = Callable[..., "subprocess.Popen[str]"]
ID = CONTAINER["id"]


def _asked(agent: RecordingAgent, *methods: str) -> list[str]:
    return [call[0] for call in agent.calls if call[0] in methods]


def _await(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_output_and_exit_code_are_those_of_the_process(program: Start, agent: RecordingAgent) -> None:
    """What it writes appears as it is written; weft ends with it and as it did."""
    process = program("run", "true")
    assert process.stdout is not None
    with agent.log.open("a") as log:
        log.write("hello\n")
        log.flush()
        assert process.stdout.readline() == "hello\n"
        log.write("bye\n")
    agent.finish(42)
    assert process.communicate(timeout=20) == ("bye\n", "")
    assert process.returncode == 42
    assert not _asked(agent, "stop", "remove")


def test_rm_removes_after_the_output_and_the_code_were_read(program: Start, agent: RecordingAgent) -> None:
    """However short the process was: the agent is not asked to remove it by itself."""
    agent.log.write_text("short\n")
    agent.finish(3)
    process = program("run", "--rm", "true")
    assert process.communicate(timeout=20) == ("short\n", "")
    assert process.returncode == 3
    assert agent.calls[0][1].auto_remove is False
    assert agent.calls[-1] == ("remove", ID, True, False)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_the_container(number: signal.Signals, program: Start, agent: RecordingAgent) -> None:
    """Its last words are still shown, and its exit code is weft's."""
    process = program("run", "--rm", "true")
    _await(lambda: bool(_asked(agent, "log_file")))
    agent.log.write_text("last words\n")
    process.send_signal(number)
    assert process.communicate(timeout=20) == ("last words\n", "")
    assert process.returncode == 143
    assert ("stop", ID, 10.0, False) in agent.calls
    assert agent.calls[-1] == ("remove", ID, True, False)


def test_a_second_signal_kills(program: Start, agent: RecordingAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that takes its time to end is given none any more."""
    from weft.agent.facade import Outcome

    def stop(name: str, timeout: float, dry_run: bool) -> Outcome:
        agent.calls.append(("stop", name, timeout, dry_run))
        if timeout == 0.0:
            agent.finish(137)
        return Outcome(result={})

    monkeypatch.setattr(agent, "stop", stop)
    process = program("run", "true")
    _await(lambda: bool(_asked(agent, "log_file")))
    process.send_signal(signal.SIGINT)
    _await(lambda: bool(_asked(agent, "stop")))
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 137
    assert [call[2] for call in agent.calls if call[0] == "stop"] == [10.0, 0.0]


def test_a_reader_that_goes_stops_the_container(program: Start, agent: RecordingAgent) -> None:
    """'weft run -- yes | head -1' does not leave 'yes' behind."""
    agent.log.write_bytes(b"y\n" * 100_000)
    process = program("run", "yes")
    assert process.stdout is not None
    assert process.stdout.readline() == "y\n"
    process.stdout.close()
    assert process.wait(timeout=20) == 141
    assert ("stop", ID, 0.0, False) in agent.calls


def test_detached_leaves_it_running(weft: Type, agent: RecordingAgent) -> None:
    """The id is printed, nothing is followed, and the agent removes it if that was asked for."""
    assert weft("run", "-d", "--rm", "true").out == ID + "\n"
    assert [call[0] for call in agent.calls] == ["run"]
    assert agent.calls[0][1].auto_remove is True


def test_i_and_t_hand_over_to_the_console(weft: Type, agent: RecordingAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the socket that the agent named; its exit code is weft's, and --rm removes afterwards."""
    from weft.api import console

    attached: list[tuple[str, bool]] = []

    def attach(path: str, tty: bool) -> int:
        attached.append((path, tty))
        return 7

    monkeypatch.setattr(console, "attach", attach)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    assert weft("run", "-i", "cat").code == 7
    assert weft("run", "--rm", "-it", "sh").code == 7
    assert attached == [("/d/console.sock", False), ("/d/console.sock", True)]
    assert (agent.calls[0][1].stdin, agent.calls[0][1].tty) == (True, False)
    assert (agent.calls[1][1].stdin, agent.calls[1][1].tty) == (True, True)
    assert agent.calls[-1] == ("remove", ID, True, False)


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The command lines that weft would have become."""
    lines: list[list[str]] = []
    monkeypatch.setattr(os, "execvp", lambda file, argv: lines.append(argv))
    return lines


def test_exec_enters_the_namespaces_of_the_container(
    weft: Type, agent: RecordingAgent, executed: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of its process, with its variables and those of -e on top; what follows '--' is left as it is."""
    pid = os.getpid()
    monkeypatch.setattr(agent, "inspect", lambda name: INSPECTED | {"State": {"Pid": pid}})
    weft("exec", "-i", "-e", "B=2", "web", "--", "ls", "-l", "--", "x")
    assert executed == [exec_argv(pid, ["ls", "-l", "--", "x"], {"A": "1", "B": "2"})]


def test_exec_with_t_passes_the_name_of_the_terminal_on(
    weft: Type, agent: RecordingAgent, executed: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that editors and pagers work; of the other variables here only those that the host's files need."""
    for name, value in {"TERM": "xterm-test", "PATH": "/bin", "HOME": "/root", "SECRET": "x"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(agent, "inspect", lambda name: INSPECTED | {"Managed": False})
    weft("exec", "-it", "web", "sh")
    variables = ["PATH=/bin", "HOME=/root", "A=1", "TERM=xterm-test"]
    assert executed == [
        ["nsenter", "--net=/run/weft/netns/web", "--", "env", "--ignore-environment", "--", *variables, "sh"]
    ]


def test_exec_in_what_does_not_run_is_refused(
    weft: Type, agent: RecordingAgent, executed: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a container that has ended nor one whose process went just now is entered."""
    ended = {"State": {"Pid": 0}, "NetworkSettings": {"SandboxKey": ""}}
    for container in (INSPECTED | ended, INSPECTED | ended | {"Managed": False}, INSPECTED | {"State": {"Pid": 2**22}}):
        monkeypatch.setattr(agent, "inspect", lambda name, container=container: container)
        said = weft("exec", "web", "id")
        assert said.code == 1 and said.err.startswith("weft: ")
    assert executed == []
