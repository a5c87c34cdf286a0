"""``weft detach``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from weft.api.client import segment
from weft.cli import completing, options
from weft.cli.completing import completed_by
from weft.cli.context import Context

EXAMPLES = """\
examples:
  weft detach blue            from all of its networks; weft forgets it
  weft detach blue backend    from this one
"""


def configure(parser: ArgumentParser) -> None:
    options.add_container(parser)
    network = parser.add_argument("network", nargs="?", metavar="NETWORK", help="the network to leave (default: all)")
    completed_by(network, completing.networks)
    options.add_dry_run(parser)


def execute(args: Namespace, context: Context) -> int:
    context.change(args, "DELETE", f"/v1/attachments/{segment(args.container)}", network=args.network)
    return 0
