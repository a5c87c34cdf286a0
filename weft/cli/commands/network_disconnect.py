"""``weft network disconnect``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from weft.api.client import segment
from weft.cli import options
from weft.cli.context import Context

EXAMPLES = """\
examples:
  weft network disconnect backend web
"""


def configure(parser: ArgumentParser) -> None:
    options.add_network(parser)
    options.add_container(parser)
    options.add_dry_run(parser)


def execute(args: Namespace, context: Context) -> int:
    request = {"container": args.container}
    context.change(args, "POST", f"/v1/networks/{segment(args.network)}/disconnect", request)
    return 0
