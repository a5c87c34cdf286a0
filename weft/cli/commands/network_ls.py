"""``weft network ls``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from weft.cli import options, output
from weft.cli.context import Context

EXAMPLES = """\
examples:
  weft network ls
  weft network ls --format json

The modes host, none and container:NAME stand beside the networks: '--net' takes them too.
"""

HEADERS = ("NETWORK ID", "NAME", "DRIVER", "SUBNETS", "BRIDGE", "CONTAINERS", "REACHES")


def configure(parser: ArgumentParser) -> None:
    options.add_format(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="print the ids only")


def execute(args: Namespace, context: Context) -> int:
    networks = context.get("/v1/networks")
    if args.format == "json":
        output.document(networks)
    elif args.quiet:
        for network in networks:
            if network["id"]:
                print(output.short(network["id"]))
    else:
        output.table(HEADERS, map(_row, networks))
    return 0


def _row(network: dict[str, Any]) -> tuple[object, ...]:
    return (
        output.short(network["id"]) or "-",
        network["name"],
        network["driver"],
        ",".join(subnet["cidr"] for subnet in network["subnets"]) or "-",
        network["bridge"] or "-",
        network["containers"],
        network["reach"],
    )
