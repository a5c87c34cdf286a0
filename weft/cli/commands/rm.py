"""``weft rm``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from weft.api.client import segment
from weft.cli import options
from weft.cli.context import Context
from weft.cli.each import each

EXAMPLES = """\
examples:
  weft rm web
  weft rm -f web db           kill them first if they run
"""


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("-f", "--force", action="store_true", help="kill a container that runs")
    options.add_container(parser, many=True)
    options.add_dry_run(parser)


def execute(args: Namespace, context: Context) -> int:
    def remove(name: str) -> None:
        if context.change(args, "DELETE", f"/v1/containers/{segment(name)}", force=args.force) is not None:
            print(name)

    return each(args.containers, remove)
