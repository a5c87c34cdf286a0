"""``weft plan``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from weft.cli import completing, options, output
from weft.cli.completing import completed_by
from weft.cli.context import Context

EXAMPLES = """\
examples:
  weft plan                   everything that weft holds in this host's kernel
  weft plan app               what a network needs
  weft plan web               what a container needs, its published ports too
  weft plan --format json     as objects
"""


def configure(parser: ArgumentParser) -> None:
    name = parser.add_argument("name", nargs="?", metavar="NETWORK|CONTAINER", help="default: the whole host")
    completed_by(name, completing.both)
    options.add_format(parser)


def execute(args: Namespace, context: Context) -> int:
    plan = context.get("/v1/plan", name=args.name)
    if args.format == "json":
        output.document(plan)
    else:
        output.commands(plan["commands"])
    return 0
