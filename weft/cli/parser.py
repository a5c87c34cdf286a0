"""The command line's grammar, built for the commands that occur in it."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterable
from importlib import import_module
from typing import Any

import weft
from weft.cli.registry import COMMANDS, Command

_DESCRIPTION = "weft joins containers into networks: on one host and across hosts."
_EXAMPLES = """\
examples:
  weft up                                             start the agent
  weft network create app                             make a network
  weft run -d --name web --net app -- python3 -m http.server 80
  weft run --rm --net app -- wget -qO- http://web/    reach it by name
  weft ps                                             see what runs
  weft COMMAND --help                                 more on a command, with examples
"""


class _Parser(argparse.ArgumentParser):
    """A parser as weft wants all of them; subparsers are of the same class."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            **options,
            add_help=False,
            # An abbreviated option would change its meaning when another one is added.
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )


def build(words: Collection[str] | None) -> argparse.ArgumentParser:
    """Return the parser for a command line of these ``words``; with None, for every command.

    Commands that are not among the words are known by name only.
    """
    parser = _Parser(prog="weft", description=_DESCRIPTION, epilog=_EXAMPLES)
    parser.add_argument("-h", "--help", action="help", help="show this help and exit")
    parser.add_argument("--version", action="version", version=f"weft {weft.__version__}")
    _add_run_dir(parser)
    _add_commands(parser, COMMANDS, words)
    return parser


def _add_commands(parser: argparse.ArgumentParser, commands: Iterable[Command], words: Collection[str] | None) -> None:
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)
    for command in commands:
        child = subparsers.add_parser(command.name, help=command.summary, description=_sentence(command.summary))
        if words is None or command.name in words:
            _fill(child, command, words)


def _fill(parser: argparse.ArgumentParser, command: Command, words: Collection[str] | None) -> None:
    if command.children:
        parser.add_argument("-h", "--help", action="help", help="show this help and exit")
        _add_run_dir(parser)
        _add_commands(parser, command.children, words)
        return
    module = import_module(f"weft.cli.commands.{command.module}")
    module.configure(parser)
    # 'weft run' needs -h for the host name, as Docker's does.
    help_options = getattr(module, "HELP_OPTIONS", ("-h", "--help"))
    parser.add_argument(*help_options, action="help", help="show this help and exit")
    _add_run_dir(parser)
    parser.epilog = module.EXAMPLES
    parser.set_defaults(execute=module.execute, parser=parser)


def _add_run_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--run-dir",
        metavar="DIR",
        default=argparse.SUPPRESS,  # given before or after the command, it counts
        help="run directory of the agent to talk to (default: $WEFT_RUN_DIR, else /run/weft)",
    )


def _sentence(summary: str) -> str:
    return summary[0].upper() + summary[1:] + "."
