"""Exit codes, and what stands on standard error, of the real program."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.api.recording import RecordingAgent
from tests.cli.conftest import Type
from weft.model.errors import AgentUnreachable, ContainerNotFound, NameTaken, NeedsRoot

Start = Callable[..., "subprocess.Popen[str]"]


def _end(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err


def test_success_is_0_and_silent(program: Start) -> None:
    """The program as a process, against an agent on a real socket."""
    code, out, err = _end(program("ps", "-q"))
    assert (code, out, err) == (0, "cccccccccccc\n", "")


def test_a_refusal_is_1_with_cause_and_hint(program: Start, agent: RecordingAgent) -> None:
    """Two lines on standard error and nothing else anywhere."""
    agent.failure = NameTaken("the name 'web' belongs to c0ffee", "Choose another.")
    code, out, err = _end(program("run", "-d", "--name", "web", "true"))
    assert (code, out) == (1, "")
    assert err == "weft: the name 'web' belongs to c0ffee\n  hint: Choose another.\n"


def test_a_usage_error_is_2(program: Start) -> None:
    """With the usage of the command that was meant."""
    code, out, err = _end(program("network", "create"))
    assert (code, out) == (2, "")
    assert err.startswith("usage: weft network create ")


def test_no_agent_is_said_so(program: Start) -> None:
    """And how to start one."""
    code, out, err = _end(program("--run-dir", "/nowhere", "ps"))
    assert (code, out) == (1, "")
    assert err == f"weft: no agent answers on /nowhere/weft.sock\n  hint: {AgentUnreachable.default_hint}\n"


def test_a_defect_of_the_agent_is_no_trace_here(program: Start, agent: RecordingAgent) -> None:
    """One line that says where to look."""
    agent.failure = RuntimeError("boom")
    assert _end(program("ps")) == (1, "", "weft: the agent failed; its log says how\n")


def test_ctrl_c_is_130_and_silent(program: Start, agent: RecordingAgent) -> None:
    """While something is waited for."""
    process = program("events")
    _await(lambda: agent.listeners == 1)
    process.send_signal(signal.SIGINT)
    assert _end(process) == (130, "", "")


def test_a_reader_that_goes_is_141_and_silent(program: Start, agent: RecordingAgent) -> None:
    """As in 'weft logs web | head -1', for the log of a mebibyte and for a single line."""
    agent.log.write_bytes(b"line\n" * 200_000)
    for words in (("logs", "web"), ("ps",), ("inspect", "web")):
        reading, writing = os.pipe()
        os.close(reading)
        process = program(*words, stdout=writing)
        os.close(writing)
        _, err = process.communicate(timeout=30)
        assert (process.returncode, err) == (141, ""), words


def test_an_agent_that_dies_while_it_is_listened_to_is_an_error(weft: Type, agent: RecordingAgent) -> None:
    """Not the end of the events."""
    agent.failure = None
    agent.mailbox.put({"time": object()})  # the agent's stream breaks
    said = weft("events")
    assert said.code == 1
    assert said.err.startswith("weft: the agent went away")


def test_of_many_names_each_is_tried(weft: Type, agent: RecordingAgent) -> None:
    """Those that succeed are printed, those that do not are complained of, and the exit code is 1."""

    def remove(name: str, force: bool, dry_run: bool) -> object:
        from weft.agent.facade import Outcome

        if name == "b":
            raise ContainerNotFound("no container 'b'")
        return Outcome(result={"id": "", "name": name})

    agent.remove = remove  # type: ignore[assignment, method-assign]
    said = weft("rm", "a", "b", "c")
    assert (said.code, said.out) == (1, "a\nc\n")
    assert said.err.startswith("weft: no container 'b'\n")


def test_without_an_agent_many_names_are_one_error(weft: Type) -> None:
    """Not one for each."""
    assert weft("--run-dir", "/nowhere", "rm", "a", "b").err.count("weft: ") == 1


#: Everything is imported before the privileges are dropped, because nobody can read root's Python.
AS_NOBODY = """
import os, sys
import weft.api.client
from weft.cli import parser
from weft.cli.main import main
parser.build(None)
os.setgroups([]); os.setgid(65534); os.setuid(65534)
sys.exit(main(sys.argv[1:], lambda *_: 0))
"""


@pytest.mark.parametrize("line", ["up", "down", "agent", "exec web true", "ps", "run -d true"])
def test_who_is_not_root_is_told_so_in_one_line(line: str, run_dir: Path) -> None:
    """With the hint, and before anything is tried."""
    words = ["--run-dir", str(run_dir), *line.split()]
    done = subprocess.run([sys.executable, "-c", AS_NOBODY, *words], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    cause, hint = done.stderr.splitlines()
    assert cause.startswith("weft: ")
    assert hint == f"  hint: {NeedsRoot.default_hint}"


def _await(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
