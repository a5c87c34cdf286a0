"""``weft exec``."""

from __future__ import annotations

import os
from argparse import REMAINDER, ArgumentParser, Namespace
from typing import Any

from weft.api.client import segment
from weft.cli import options
from weft.cli.context import Context, need_root
from weft.cli.usage import UsageError
from weft.model.errors import ContainerNotRunning, InvalidInput

EXAMPLES = """\
examples:
  weft exec web -- ip address
  weft exec -it web sh
  weft exec -e DEBUG=1 web -- ./check
"""


def configure(parser: ArgumentParser) -> None:
    parser.usage = "weft exec [OPTION]... CONTAINER [--] COMMAND [ARGUMENT]..."
    parser.add_argument(
        "-i", "--interactive", action="store_true", help="taken for habit's sake: input is always passed on"
    )
    parser.add_argument("-t", "--tty", action="store_true", help="taken for habit's sake: the terminal is always yours")
    options.add_many(parser, "-e", "--env", metavar="K[=V]", help="set a variable; K alone takes it from here")
    options.add_container(parser)
    parser.add_argument("command", nargs=REMAINDER, metavar="COMMAND", help="what to run, with its arguments")


def execute(args: Namespace, context: Context) -> int:
    command = options.command(args.command)
    if not command:
        raise UsageError("a command is missing")
    need_root("entering a container")
    container = context.get(f"/v1/containers/{segment(args.container)}")
    argv = nsenter(container, command)
    env = {**os.environ, **dict(text.split("=", 1) for text in container["Config"]["Env"]), **options.env(args.env)}
    try:
        os.execvpe(argv[0], argv, env)
    except OSError as error:
        raise InvalidInput(f"nsenter cannot be run: {error.strerror}", "apt install util-linux") from None


def nsenter(container: dict[str, Any], command: list[str]) -> list[str]:
    """Return the command line that runs ``command`` inside: in all namespaces that weft made, or the network's alone."""
    if container["Managed"] and container["State"]["Pid"]:
        return [
            "nsenter",
            f"--target={container['State']['Pid']}",
            "--mount",
            "--uts",
            "--net",
            "--pid",
            "--",
            *command,
        ]
    if container["NetworkSettings"]["SandboxKey"]:
        return ["nsenter", f"--net={container['NetworkSettings']['SandboxKey']}", "--", *command]
    raise ContainerNotRunning(f"container {container['Name'].lstrip('/')!r} does not run")
