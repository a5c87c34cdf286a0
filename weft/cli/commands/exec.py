"""``weft exec``."""

from __future__ import annotations

import os
from argparse import REMAINDER, ArgumentParser, Namespace
from typing import Any

from weft.api.client import segment
from weft.api.enter import exec_argv
from weft.cli import options
from weft.cli.context import Context, need_root
from weft.cli.usage import UsageError
from weft.model.errors import ContainerNotRunning, Unsupported

EXAMPLES = """\
examples:
  weft exec web -- ip address
  weft exec -it web sh
  weft exec -e DEBUG=1 web -- ./check
"""

#: What a command in somebody else's namespace has from here, because it uses the host's files.
KEPT = ("PATH", "HOME")


def configure(parser: ArgumentParser) -> None:
    parser.usage = "weft exec [OPTION]... CONTAINER [--] COMMAND [ARGUMENT]..."
    parser.add_argument("-i", "--interactive", action="store_true", help="for habit's sake: input is always passed on")
    parser.add_argument("-t", "--tty", action="store_true", help="tell the command what terminal you have ($TERM)")
    options.add_many(parser, "-e", "--env", metavar="K[=V]", help="set a variable; K alone takes it from here")
    options.add_container(parser)
    parser.add_argument("command", nargs=REMAINDER, metavar="COMMAND", help="what to run, with its arguments")


def execute(args: Namespace, context: Context) -> int:
    command = options.command(args.command)
    if not command:
        raise UsageError("a command is missing")
    need_root("entering a container")
    container = context.get(f"/v1/containers/{segment(args.container)}")
    variables = [*container["Config"]["Env"], *(["TERM"] if args.tty else []), *args.env]
    argv = _entering(container, command, options.env(variables))
    try:
        os.execvp(argv[0], argv)
    except FileNotFoundError:
        raise Unsupported(f"there is no {argv[0]} on this host", "apt install util-linux") from None


def _entering(container: dict[str, Any], command: list[str], env: dict[str, str]) -> list[str]:
    """Return the command line that runs ``command`` inside, with the variables ``env``.

    Of a container of weft's that is all that weft made for it; of a namespace that others made, the network alone.
    """
    if container["Managed"] and container["State"]["Pid"]:
        return exec_argv(container["State"]["Pid"], command, env)
    path = container["NetworkSettings"]["SandboxKey"]
    if container["Managed"] or not path:
        raise ContainerNotRunning(f"container {container['Name'].lstrip('/')!r} does not run")
    variables = {name: os.environ[name] for name in KEPT if name in os.environ} | env
    words = (f"{name}={value}" for name, value in variables.items())
    return ["nsenter", f"--net={path}", "--", "env", "--ignore-environment", "--", *words, *command]
