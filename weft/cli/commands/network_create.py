"""``weft network create``."""

from __future__ import annotations

from argparse import ArgumentParser, BooleanOptionalAction, Namespace

from weft.cli import options
from weft.cli.context import Context

EXAMPLES = """\
examples:
  weft network create app
  weft network create --subnet 172.30.0.0/16 --gateway 172.30.0.254 --ip-range 172.30.5.0/24 app
  weft network create --ipv6 --subnet 10.7.0.0/24 --subnet fd00:7::/64 app
  weft network create --internal backend          containers reach each other and the host, nothing else
  weft network create --no-icc front              containers reach only what they are linked to
  weft network create --dry-run app               print the commands instead
"""

SWITCHES = {
    "icc": "let containers of the network reach each other",
    "masquerade": "give outbound packets the host's address",
    "ip-forward": "route packets of the network, and turn forwarding on for that",
    "filter": "filter and translate packets of the network; without, it publishes no ports",
}


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="name of the new network")
    parser.add_argument(
        "--driver", choices=("bridge", "ptp"), default="bridge", help="how containers are wired (default: bridge)"
    )
    options.add_many(
        parser, "--subnet", metavar="CIDR",
        help="subnet, one for each IP version; may be repeated (default: a free one of the pools)",
    )  # fmt: skip
    options.add_many(parser, "--gateway", metavar="IP", help="the host's address in a subnet (default: the first)")
    options.add_many(parser, "--ip-range", metavar="CIDR", help="part of a subnet that addresses are given from")
    parser.add_argument("--ipv6", action="store_true", help="give the network an IPv6 subnet too")
    parser.add_argument("--internal", action="store_true", help="let containers reach each other and the host only")
    for switch, help in SWITCHES.items():
        parser.add_argument(f"--{switch}", action=BooleanOptionalAction, help=f"{help} (default: as weft.toml says)")
    parser.add_argument("--mtu", type=int, metavar="N", help="MTU in bytes (default: that of the default route)")
    parser.add_argument("--bridge", metavar="IFNAME", help="name of the bridge on the host (default: weft-ID)")
    options.add_many(parser, "--dns", metavar="IP", help="upstream name server; may be repeated (default: the host's)")
    options.add_many(parser, "--dns-search", metavar="DOMAIN", help="search domain; may be repeated")
    parser.add_argument(
        "--bind", metavar="IP", help="address that published ports are bound to (default: all of the host)"
    )
    options.add_many(parser, "--opt", metavar="K=V", help="option of the driver; may be repeated")
    options.add_many(parser, "--label", metavar="K=V", help="label; may be repeated")
    options.add_dry_run(parser)


def execute(args: Namespace, context: Context) -> int:
    request = {
        "name": args.name,
        "driver": args.driver,
        "subnets": args.subnet,
        "gateways": args.gateway,
        "ip_ranges": args.ip_range,
        "ipv6": args.ipv6,
        "internal": args.internal,
        "icc": args.icc,
        "masquerade": args.masquerade,
        "ip_forward": args.ip_forward,
        "filter": args.filter,
        "mtu": args.mtu,
        "bridge": args.bridge,
        "dns": args.dns,
        "dns_search": args.dns_search,
        "bind": args.bind,
        "options": options.pairs(args.opt, "--opt"),
        "labels": options.pairs(args.label, "--label"),
    }
    network = context.change(args, "POST", "/v1/networks", request)
    if network is not None:
        print(network["id"])
    return 0
