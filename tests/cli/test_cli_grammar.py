"""Help stands alone, mistakes are told apart from refusals, and starting up costs little."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.api.recording import RecordingAgent
from tests.cli.conftest import ENVIRONMENT, Type
from weft.cli.registry import COMMANDS, Command


def _leaves(commands: tuple[Command, ...], words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for command in commands:
        if command.children:
            yield from _leaves(command.children, (*words, command.name))
        else:
            yield (*words, command.name)


LEAVES = list(_leaves(COMMANDS))


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_the_help_of_a_command_stands_alone(words: tuple[str, ...], weft: Type) -> None:
    """It says what the command does, explains every option, and ends with examples that begin as it does."""
    said = weft(*words, "--help")
    assert (said.code, said.err) == (0, "")
    typed = f"weft {' '.join(words)}"
    assert said.out.startswith(f"usage: {typed} ")
    examples = said.out.partition("\nexamples:\n")[2]
    assert typed in examples
    assert "--run-dir DIR" in said.out


def test_every_option_is_explained(weft: Type) -> None:
    """No option without a word of help."""
    from argparse import _SubParsersAction

    from weft.cli import parser

    def walk(grammar: object) -> Iterator[object]:
        for action in grammar._actions:  # type: ignore[attr-defined]
            if isinstance(action, _SubParsersAction):
                for child in action.choices.values():
                    yield from walk(child)
            else:
                yield action

    actions = list(walk(parser.build(None)))
    assert len(actions) > 100
    assert [action for action in actions if not action.help] == []  # type: ignore[attr-defined]


def test_the_help_of_all_lists_every_command(weft: Type) -> None:
    """With its line."""
    said = weft("--help")
    for command in COMMANDS:
        assert f"    {command.name} " in said.out and command.summary.split()[0] in said.out
    said = weft("network", "--help")
    assert "    connect " in said.out


def test_h_is_the_host_name_of_run_and_help_elsewhere(weft: Type, agent: RecordingAgent) -> None:
    """As with Docker."""
    weft("run", "-d", "-h", "box", "true")
    assert agent.calls[0][1].hostname == "box"
    assert weft("ps", "-h").out.startswith("usage: weft ps")
    assert weft("-h").out.startswith("usage: weft ")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "nonsense",
        "network",
        "network nonsense",
        "ps --nonsense",
        "ps extra",
        "ps --form json",
        "ps --format yaml",
        "run",
        "run -d",
        "run -d --",
        "run -d -t true",
        "run -d -i true",
        "run -t true",
        "run --net",
        "run -e =x true",
        "exec",
        "exec web",
        "exec web --",
        "stop",
        "stop -t soon web",
        "rm",
        "port",
        "attach --name x",
        "attach --pid 1 --netns x --name y",
        "attach --pid one --name y",
        "attach --pid 1",
        "cable one",
        "network create",
        "network create --mtu big app",
        "network create --driver magic app",
        "network create --opt nonsense app",
        "network create --label =x app",
        "network connect app",
        "completion tcsh",
        "inspect",
    ],
)
def test_a_line_that_makes_no_sense_is_a_usage_error(line: str, weft: Type, agent: RecordingAgent) -> None:
    """Exit code 2 with the usage of the command; the agent is not asked."""
    said = weft(*line.split())
    assert said.code == 2
    assert said.out == "" and said.err.startswith("usage: weft")
    assert agent.calls == []


def test_a_command_loads_neither_the_agent_nor_its_libraries() -> None:
    """What makes starting slow stays out: the modules that a 'weft ps' loads are listed by the process itself."""
    script = (
        "import sys; sys.argv = ['weft', '--run-dir', '/nowhere', 'ps', '-a']\n"
        "from weft.__main__ import main\n"
        "code = main()\n"
        "print(code, *sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=ENVIRONMENT)
    code, *modules = done.stdout.split()
    assert code == "1"
    libraries = {"msgspec", "pyroute2", "starlette", "uvicorn", "argcomplete"}
    slow = {"asyncio", "ctypes", "dataclasses", "inspect", "sqlite3", "subprocess"}
    assert not (libraries | slow) & set(modules)
    commands = {module for module in modules if module.startswith("weft.cli.commands.")}
    assert commands == {"weft.cli.commands.ps"}
