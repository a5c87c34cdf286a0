"""``weft port``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from weft.api.client import segment
from weft.cli import options, output
from weft.cli.context import Context
from weft.model.errors import NotFound

EXAMPLES = """\
examples:
  weft port web               80/tcp -> 0.0.0.0:8080
  weft port web 80            0.0.0.0:8080
  weft port web 53/udp
"""


def configure(parser: ArgumentParser) -> None:
    options.add_container(parser)
    parser.add_argument("port", nargs="?", metavar="PORT[/PROTO]", help="the container's port, tcp unless it says else")
    options.add_format(parser)


def execute(args: Namespace, context: Context) -> int:
    ports = context.get(f"/v1/containers/{segment(args.container)}/ports")
    if args.port is not None:
        wanted = args.port if "/" in args.port else f"{args.port}/tcp"
        ports = [port for port in ports if _inside(port) == wanted]
        if not ports:
            raise NotFound(
                f"{args.container!r} publishes no port {wanted}", f"'weft port {args.container}' lists them."
            )
    if args.format == "json":
        output.document(ports)
        return 0
    for port in ports:
        print(_outside(port) if args.port is not None else f"{_inside(port)} -> {_outside(port)}")
    return 0


def _inside(port: dict[str, Any]) -> str:
    return f"{port['container_port']}/{port['protocol']}"


def _outside(port: dict[str, Any]) -> str:
    address = port["host_ip"]
    return f"[{address}]:{port['host_port']}" if ":" in address else f"{address}:{port['host_port']}"
