"""``weft logs``."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from weft.api.client import segment
from weft.cli import options
from weft.cli.context import Context

EXAMPLES = """\
examples:
  weft logs web
  weft logs -f web            go on until the container has ended
"""


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("-f", "--follow", action="store_true", help="go on until the container has ended")
    options.add_container(parser)


def execute(args: Namespace, context: Context) -> int:
    path = f"/v1/containers/{segment(args.container)}/logs"
    for piece in context.client.stream(path, {"follow": args.follow}):
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
    return 0
