"""``weft stop``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from weft.api.client import segment
from weft.cli import options
from weft.cli.context import Context
from weft.cli.each import each

EXAMPLES = """\
examples:
  weft stop web
  weft stop -t 0 web db       kill at once
"""


def configure(parser: ArgumentParser) -> None:
    parser.add_argument(
        "-t", "--time", type=float, default=10.0, metavar="SECONDS", help="time from SIGTERM to SIGKILL (default: 10)"
    )
    options.add_container(parser, many=True)
    options.add_dry_run(parser)


def execute(args: Namespace, context: Context) -> int:
    def stop(name: str) -> None:
        if context.change(args, "POST", f"/v1/containers/{segment(name)}/stop", timeout=args.time) is not None:
            print(name)

    return each(args.containers, stop)
