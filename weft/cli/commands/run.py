"""``weft run``."""

from __future__ import annotations

import sys
from argparse import REMAINDER, ArgumentParser, Namespace
from typing import Any

from weft.cli import completing, options
from weft.cli.completing import completed_by
from weft.cli.context import Context
from weft.cli.usage import UsageError

EXAMPLES = """\
examples:
  weft run -- ip address                          on the default network, in the foreground
  weft run -d --name web --net app -p 8080:80 -- python3 -m http.server 80
  weft run --rm -it --net app sh                  with your terminal; gone when it ends
  weft run -d --net front --net back --ip 172.30.0.9 -- ./serve      on two networks
  weft run --net container:web -- ss -lnt         in the namespace of another container
  weft run -d --link db:database -e MODE=test -- ./app
  weft run --dry-run -p 80 -- true                print the commands instead

Everything after '--', or from the first word that is no option, is the command.  In the foreground Ctrl-C stops the
container, and weft exits with the exit code of the command.
"""

HELP_OPTIONS = ("--help",)


def configure(parser: ArgumentParser) -> None:
    parser.usage = "weft run [OPTION]... [--] COMMAND [ARGUMENT]..."
    parser.add_argument("--name", metavar="NAME", help="name of the container (default: one is made up)")
    options.add_networks(
        parser, "network, or bridge, host, none, container:NAME; may be repeated for networks (default: bridge)"
    )
    options.add_endpoint(parser)
    options.add_publish(parser)
    parser.add_argument(
        "-P", "--publish-all", action="store_true", help="publish every exposed port on a free host port"
    )
    options.add_many(parser, "--expose", metavar="PORT[/PROTO]", help="port that it serves on; may be repeated")
    link = options.add_many(
        parser, "--link", metavar="NAME[:ALIAS]", help="let it reach that container; may be repeated"
    )
    completed_by(link, completing.containers)
    options.add_many(
        parser, "--dns", metavar="IP", help="upstream name server; may be repeated (default: the network's)"
    )
    options.add_many(parser, "--dns-search", metavar="DOMAIN", help="search domain; may be repeated")
    parser.add_argument("-h", "--hostname", metavar="HOSTNAME", help="host name inside (default: the id)")
    options.add_many(parser, "-e", "--env", metavar="K[=V]", help="set a variable; K alone takes it from here")
    parser.add_argument("--rm", action="store_true", help="remove the container when it has ended")
    parser.add_argument("-d", "--detach", action="store_true", help="leave it in the background and print its id")
    parser.add_argument("-i", "--interactive", action="store_true", help="pass your input on")
    parser.add_argument("-t", "--tty", action="store_true", help="give it a terminal")
    options.add_dry_run(parser)
    parser.add_argument("command", nargs=REMAINDER, metavar="COMMAND", help="what to run, with its arguments")


def execute(args: Namespace, context: Context) -> int:
    request = _request(args)
    _check(args, request)
    container = context.change(args, "POST", "/v1/containers", request)
    if container is None:
        return 0
    if args.detach:
        print(container["id"])
        return 0
    from weft.cli.foreground import Foreground

    return Foreground(context.client, container, remove=args.rm).stay(args.interactive, args.tty)


def _request(args: Namespace) -> dict[str, Any]:
    return {
        "name": args.name,
        "networks": args.net,
        **options.endpoint(args),
        "publish": args.publish,
        "publish_all": args.publish_all,
        "expose": args.expose,
        "links": args.link,
        "dns": args.dns,
        "dns_search": args.dns_search,
        "hostname": args.hostname,
        "env": options.env(args.env),
        # In the foreground it is removed from here, after its output and its exit code were read.
        "auto_remove": args.rm and args.detach,
        "tty": args.tty,
        "stdin": args.interactive,
        "command": options.command(args.command),
    }


def _check(args: Namespace, request: dict[str, Any]) -> None:
    if not request["command"]:
        raise UsageError("a command is missing")
    if args.detach and (args.interactive or args.tty):
        raise UsageError("-d leaves it in the background, -i and -t are for the foreground")
    if args.tty and not args.dry_run and not sys.stdin.isatty():
        raise UsageError("-t needs a terminal, and standard input is none")
