"""Completion of command lines by argcomplete: the shell calls weft itself, which knows its grammar and the names."""

from __future__ import annotations

from argparse import Action, Namespace
from collections.abc import Callable
from typing import Any

from weft.cli.context import Context
from weft.model.errors import WeftError

Completer = Callable[..., list[str]]


def complete() -> None:
    """Answer the shell and exit, if it is the shell that asks."""
    import argcomplete

    from weft.cli import parser

    argcomplete.autocomplete(parser.build(None))


def script(shell: str) -> str:
    """Return what ``shell`` has to read to ask weft."""
    from argcomplete.shell_integration import shellcode

    return shellcode(["weft"], shell=shell)


def completed_by(action: Action, completer: Completer) -> None:
    """Have the argument of ``action`` completed by what ``completer`` returns (argcomplete's convention)."""
    action.completer = completer  # type: ignore[attr-defined]


def containers(parsed_args: Namespace, **_: Any) -> list[str]:
    """Return the names of all containers."""
    return _names(parsed_args, "/v1/containers", all=True)


def networks(parsed_args: Namespace, **_: Any) -> list[str]:
    """Return the names of all networks."""
    return _names(parsed_args, "/v1/networks")


def both(parsed_args: Namespace, **_: Any) -> list[str]:
    """Return the names of all networks and containers."""
    return [*networks(parsed_args), *containers(parsed_args)]


def _names(args: Namespace, path: str, **query: bool) -> list[str]:
    try:
        return [row["name"] for row in Context(getattr(args, "run_dir", None)).get(path, **query)]
    except WeftError:
        return []  # without an agent there is nothing to complete
