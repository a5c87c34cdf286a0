"""``weft network connect``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from weft.api.client import segment
from weft.cli import options
from weft.cli.context import Context

EXAMPLES = """\
examples:
  weft network connect backend web
  weft network connect --ip 172.30.0.9 --alias api --interface back0 backend web
"""


def configure(parser: ArgumentParser) -> None:
    options.add_endpoint(parser)
    options.add_network(parser)
    options.add_container(parser)
    options.add_dry_run(parser)


def execute(args: Namespace, context: Context) -> int:
    request = {"container": args.container, **options.endpoint(args)}
    context.change(args, "POST", f"/v1/networks/{segment(args.network)}/connect", request)
    return 0
