"""``weft start``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from weft.api.client import segment
from weft.cli import options
from weft.cli.context import Context
from weft.cli.each import each

EXAMPLES = """\
examples:
  weft start web              with the options that it was run with
"""


def configure(parser: ArgumentParser) -> None:
    options.add_container(parser, many=True)
    options.add_dry_run(parser)


def execute(args: Namespace, context: Context) -> int:
    def start(name: str) -> None:
        if context.change(args, "POST", f"/v1/containers/{segment(name)}/start") is not None:
            print(name)

    return each(args.containers, start)
