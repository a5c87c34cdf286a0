"""``weft cable``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from weft.cli import options
from weft.cli.context import Context

EXAMPLES = """\
examples:
  weft cable left right                         weft picks the addresses
  weft cable left:10.9.0.1 right:10.9.0.2
  weft cable left:fd00::1 right:fd00::2
  weft network disconnect cable-1a2b3c4d left   takes it away; 'weft show' tells its name
"""


def configure(parser: ArgumentParser) -> None:
    for end in ("left", "right"):
        parser.add_argument(end, metavar="CONTAINER[:IP]", help="one end, with the address it is to have")
    options.add_dry_run(parser)


def execute(args: Namespace, context: Context) -> int:
    left, _, left_ip = args.left.partition(":")
    right, _, right_ip = args.right.partition(":")
    request = {"left": left, "right": right, "left_ip": left_ip or None, "right_ip": right_ip or None}
    cable = context.change(args, "POST", "/v1/cables", request)
    for name, value in (cable or {}).items():
        if name != "network":
            print(f"{name} {value}")
    return 0
