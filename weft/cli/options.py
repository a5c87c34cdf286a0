"""Options that several commands have in common."""

from __future__ import annotations

import os
from argparse import Action, ArgumentParser, Namespace
from typing import Any

from weft.cli import completing
from weft.cli.completing import Completer, completed_by
from weft.cli.usage import UsageError


def add_format(parser: ArgumentParser) -> None:
    """Add --format."""
    parser.add_argument(
        "--format", choices=("table", "json"), default="table", help="print a table (the default) or JSON"
    )


def add_dry_run(parser: ArgumentParser) -> None:
    """Add --dry-run."""
    parser.add_argument(
        "--dry-run", action="store_true", help="change nothing; print the operations as commands, one on each line"
    )


def add_many(parser: ArgumentParser, *names: str, metavar: str, help: str) -> Action:
    """Add an option that may be given again and again."""
    return parser.add_argument(*names, action="append", default=[], metavar=metavar, help=help)


def add_network(parser: ArgumentParser, *, many: bool = False) -> None:
    """Add the argument that names a network, or several."""
    _add_name(parser, "network", many, completing.networks)


def add_container(parser: ArgumentParser, *, many: bool = False) -> None:
    """Add the argument that names a container, or several."""
    _add_name(parser, "container", many, completing.containers)


def _add_name(parser: ArgumentParser, kind: str, many: bool, completer: Completer) -> None:
    help = f"name or id of a {kind}"
    action = (
        parser.add_argument(f"{kind}s", nargs="+", metavar=kind.upper(), help=help)
        if many
        else parser.add_argument(kind, metavar=kind.upper(), help=help)
    )
    completed_by(action, completer)


def add_endpoint(parser: ArgumentParser) -> None:
    """Add what a container can ask of its place on a network."""
    parser.add_argument("--ip", metavar="IP", help="IPv4 address, on the first network")
    parser.add_argument("--ip6", metavar="IP", help="IPv6 address, on the first network")
    add_many(parser, "--alias", metavar="NAME", help="further name on the network; may be repeated")
    parser.add_argument(
        "--interface", metavar="NAME", help="name of the interface inside (default: the next free ethN)"
    )
    parser.add_argument("--mac-address", metavar="MAC", help="MAC address (default: derived from the IP address)")


def endpoint(args: Namespace) -> dict[str, Any]:
    """Return what ``add_endpoint`` collected, as the API takes it."""
    return {
        "ip": args.ip,
        "ip6": args.ip6,
        "aliases": args.alias,
        "interface": args.interface,
        "mac": args.mac_address,
    }


def add_publish(parser: ArgumentParser) -> None:
    """Add --publish."""
    add_many(
        parser, "-p", "--publish", metavar="SPEC",
        help="publish a port: 80, 8080:80, 127.0.0.1:8080:80, 127.0.0.1::80, [::1]:80:80 or a range "
        "7000-7010:7000-7010, each also with /udp or /sctp; may be repeated",
    )  # fmt: skip


def add_networks(parser: ArgumentParser, help: str) -> None:
    """Add --net."""
    action = add_many(parser, "--net", "--network", metavar="NETWORK", help=help)
    completed_by(action, completing.networks)


def pairs(texts: list[str], option: str) -> dict[str, str]:
    """Return 'K=V' texts as a dictionary; raise UsageError for one without '='."""
    result = {}
    for text in texts:
        key, separator, value = text.partition("=")
        if not separator or not key:
            raise UsageError(f"argument {option}: {text!r} is not of the form KEY=VALUE")
        result[key] = value
    return result


def env(texts: list[str]) -> dict[str, str]:
    """Return the variables of -e; 'K' alone has the value that it has here, and is left out if it has none."""
    result = {}
    for text in texts:
        key, separator, value = text.partition("=")
        if not key:
            raise UsageError(f"argument -e: {text!r} names no variable")
        if separator:
            result[key] = value
        elif key in os.environ:
            result[key] = os.environ[key]
    return result


def command(words: list[str]) -> list[str]:
    """Return the command that stands at the end of a command line, without the '--' that may come before it."""
    return words[1:] if words[:1] == ["--"] else words


def add_agent(parser: ArgumentParser) -> None:
    """Add the options of the agent."""
    parser.add_argument(
        "--state-dir", default="/var/lib/weft", metavar="DIR", help="where its state is kept (default: /var/lib/weft)"
    )
    parser.add_argument("--config", metavar="FILE", help="settings, weft.toml (default: none)")
    parser.add_argument(
        "--resolv-conf",
        default="/etc/resolv.conf",
        metavar="FILE",
        help="the host's name servers (default: /etc/resolv.conf)",
    )
