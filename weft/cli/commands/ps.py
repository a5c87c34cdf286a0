"""``weft ps``."""

from __future__ import annotations

import shlex
from argparse import ArgumentParser, Namespace
from typing import Any

from weft.cli import options, output
from weft.cli.context import Context

EXAMPLES = """\
examples:
  weft ps                     what runs
  weft ps -a                  what has ended, too
  weft rm -f $(weft ps -aq)   remove all of it
"""

HEADERS = ("CONTAINER ID", "NAME", "COMMAND", "STATUS", "NETWORKS", "PORTS")
COMMAND_WIDTH = 24


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("-a", "--all", action="store_true", help="show also those that have ended")
    options.add_format(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="print the ids only")


def execute(args: Namespace, context: Context) -> int:
    containers = context.get("/v1/containers", all=args.all)
    if args.format == "json":
        output.document(containers)
    elif args.quiet:
        for container in containers:
            print(output.short(container["id"]))
    else:
        output.table(HEADERS, map(_row, containers))
    return 0


def _row(container: dict[str, Any]) -> tuple[object, ...]:
    return (
        output.short(container["id"]),
        container["name"],
        _command(container["command"]),
        _status(container),
        _networks(container),
        ", ".join(container["ports"]) or "-",
    )


def _command(words: list[str]) -> str:
    text = shlex.join(words)
    return (text if len(text) <= COMMAND_WIDTH else text[: COMMAND_WIDTH - 1] + "…") or "-"


def _status(container: dict[str, Any]) -> str:
    if container["state"] == "running":
        return f"Up {_since(container['started'])}".rstrip()
    if container["state"] == "exited":
        code = container["exit_code"]
        return "Exited" if code is None else f"Exited ({code})"
    return str(container["state"]).capitalize()


def _since(started: str) -> str:
    """Return how long ago a time (RFC 3339) was, in its largest unit; '' if it is not known."""
    if not started:
        return ""
    from datetime import UTC, datetime

    seconds = int((datetime.now(UTC) - datetime.fromisoformat(started)).total_seconds())
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{max(seconds, 0)} s"


def _networks(container: dict[str, Any]) -> str:
    """Return the networks with the addresses there; the mode of a container that is on none."""
    places = container["networks"]
    if not places:
        return str(container["mode"])
    return ", ".join(
        f"{name} {'/'.join(filter(None, (place['ip'], place['ip6'])))}".rstrip() for name, place in places.items()
    )
