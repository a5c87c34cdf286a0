"""``weft version``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

import weft
from weft.cli import options, output
from weft.cli.context import Context
from weft.model.errors import WeftError

EXAMPLES = """\
examples:
  weft version                of this command and of the agent, if one answers
"""


def configure(parser: ArgumentParser) -> None:
    options.add_format(parser)


def execute(args: Namespace, context: Context) -> int:
    try:
        agent = context.get("/v1/version")
    except WeftError:
        agent = None
    if args.format == "json":
        output.document({"version": weft.__version__, "agent": agent})
    else:
        print(f"weft   {weft.__version__}")
        print(f"agent  {agent['version']}, pid {agent['pid']}" if agent else "agent  none answers")
    return 0
