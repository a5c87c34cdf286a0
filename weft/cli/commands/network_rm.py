"""``weft network rm``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from weft.api.client import segment
from weft.cli import options
from weft.cli.context import Context
from weft.cli.each import each

EXAMPLES = """\
examples:
  weft network rm app
  weft network rm app backend
  weft network rm --dry-run app
"""


def configure(parser: ArgumentParser) -> None:
    options.add_network(parser, many=True)
    options.add_dry_run(parser)


def execute(args: Namespace, context: Context) -> int:
    def remove(name: str) -> None:
        if context.change(args, "DELETE", f"/v1/networks/{segment(name)}") is not None:
            print(name)

    return each(args.networks, remove)
