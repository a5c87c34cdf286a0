"""``weft network prune``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from weft.cli import options
from weft.cli.context import Context

EXAMPLES = """\
examples:
  weft network prune
  weft network prune --dry-run
"""


def configure(parser: ArgumentParser) -> None:
    options.add_dry_run(parser)


def execute(args: Namespace, context: Context) -> int:
    for name in context.change(args, "POST", "/v1/networks/prune") or ():
        print(name)
    return 0
