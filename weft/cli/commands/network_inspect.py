"""``weft network inspect``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from weft.api.client import segment
from weft.cli import options, output
from weft.cli.context import Context
from weft.cli.each import each

EXAMPLES = """\
examples:
  weft network inspect app
  weft network inspect app | jq -r '.[].Containers[] | "\\(.Name) \\(.IPv4Address)"'
"""


def configure(parser: ArgumentParser) -> None:
    options.add_network(parser, many=True)


def execute(args: Namespace, context: Context) -> int:
    found: list[Any] = []
    code = each(args.networks, lambda name: found.append(context.get(f"/v1/networks/{segment(name)}")))
    output.document(found)
    return code
