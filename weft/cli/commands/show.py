"""``weft show``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from typing import Any

from weft.cli import options, output
from weft.cli.context import Context

EXAMPLES = """\
examples:
  weft show                   each bridge, its ports, and the container behind each port
"""

HEADERS = ("BRIDGE", "NETWORK", "ADDRESS", "MTU", "PORT", "CONTAINER", "INTERFACE", "IP", "MAC")


def configure(parser: ArgumentParser) -> None:
    options.add_format(parser)


def execute(args: Namespace, context: Context) -> int:
    shown = context.get("/v1/show")
    if args.format == "json":
        output.document(shown)
        return 0
    rows = [row for bridge in shown["bridges"] for row in _bridge_rows(bridge)]
    rows += [row for cable in shown["cables"] for row in _cable_rows(cable)]
    output.table(HEADERS, rows)
    return 0


def _bridge_rows(bridge: dict[str, Any]) -> Iterator[tuple[object, ...]]:
    first = (bridge["name"], bridge["network"], " ".join(bridge["address"]) or "-", bridge["mtu"])
    return _beside(first, bridge["ports"])


def _cable_rows(cable: dict[str, Any]) -> Iterator[tuple[object, ...]]:
    return _beside(("-", cable["network"], "-", "-"), cable["ends"])


def _beside(first: tuple[object, ...], plugs: list[dict[str, Any]]) -> Iterator[tuple[object, ...]]:
    """Yield a row for each plug, with ``first`` on the first row only, as brctl(8) shows bridges."""
    for plug in plugs:
        yield (*first, plug["port"] or "-", plug["container"], plug["interface"], " ".join(plug["ip"]), plug["mac"])
        first = ("",) * len(first)
    if not plugs:
        yield (*first, "-", "-", "-", "-", "-")
