"""``weft attach``."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace

from weft.cli import options
from weft.cli.context import Context

EXAMPLES = """\
examples:
  ip netns add blue && weft attach --netns /run/netns/blue --name blue --net app
  weft attach --pid 4242 --name job --net app --ip 172.30.0.9 -p 8080:80
  weft attach --netns /run/netns/blue --name blue --net backend     a further network
"""


def configure(parser: ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--pid", type=int, metavar="PID", help="the namespace of this process")
    which.add_argument(
        "--netns", metavar="PATH", help="the namespace that this file leads to, or its name in /run/netns"
    )
    parser.add_argument("--name", required=True, metavar="NAME", help="name that the container is to have")
    options.add_networks(parser, "network to put it on; may be repeated (default: bridge)")
    options.add_endpoint(parser)
    options.add_publish(parser)
    options.add_dry_run(parser)


def execute(args: Namespace, context: Context) -> int:
    netns = args.netns if args.netns is None or "/" not in args.netns else os.path.abspath(args.netns)
    request = {
        "pid": args.pid,
        "netns": netns,
        "name": args.name,
        "networks": args.net,
        "publish": args.publish,
        **options.endpoint(args),
    }
    container = context.change(args, "POST", "/v1/attachments", request)
    if container is not None:
        print(container["id"])
    return 0
