"""The host as it is without weft."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from weft.kernel import dumps, sysctl
from weft.kernel.netlink import Socket
from weft.kernel.observe import is_link_local
from weft.plan.facts import HostAddress, HostFacts, HostRoute
from weft.plan.objects import ALIAS, PROTOCOL


def gather(socket: Socket, firewalls: tuple[str, ...]) -> HostFacts:
    """Return the facts about the namespace that ``socket`` and the calling thread are in.

    Routes are those of all tables but the local one: a VPN keeps its own in a table of its own.
    """
    links = {link.ifindex: link for link in dumps.links(socket)}
    foreign = {index: link.name for index, link in links.items() if not link.alias.startswith(ALIAS)}
    return HostFacts(
        addresses=_addresses(socket, foreign),
        routes=_routes(socket, foreign),
        mtus={name: links[index].mtu for index, name in foreign.items() if name != "lo"},
        forwarding4=_set("net/ipv4/conf/{}/forwarding", ("all", *foreign.values())),
        forwarding6=sysctl.read("net/ipv6/conf/all/forwarding") == "1",
        heed_ra=_set("net/ipv6/conf/{}/accept_ra", foreign.values()),
        force_forwarding=sysctl.read("net/ipv6/conf/all/force_forwarding") is not None,
        firewalls=firewalls,
    )


def _set(path: str, names: Iterable[str]) -> frozenset[str]:
    """Return the interfaces for which a sysctl is there and not 0."""
    return frozenset(name for name in names if sysctl.read(path.format(name)) not in (None, "0"))


def _addresses(socket: Socket, foreign: Mapping[int, str]) -> tuple[HostAddress, ...]:
    return tuple(
        HostAddress(cidr=f"{address.address}/{address.prefixlen}", interface=foreign[address.ifindex])
        for address in dumps.addresses(socket)
        if address.ifindex in foreign and not is_link_local(address.address)
    )


def _routes(socket: Socket, foreign: Mapping[int, str]) -> tuple[HostRoute, ...]:
    return tuple(
        HostRoute(destination=route.destination, interface=interface, gateway=gateway or None)
        for route in dumps.routes(socket)
        if route.table != dumps.LOCAL and route.protocol != PROTOCOL
        for interface, gateway in _ways(route, foreign)
        if not is_link_local(route.destination.partition("/")[0])
    )


def _ways(route: dumps.Route, foreign: Mapping[int, str]) -> list[tuple[str, str]]:
    """Return interface and gateway of each way that a route leads; nowhere is one, multicast none."""
    if route.kind in dumps.REJECTING:
        return [("", "")]
    hops = route.hops if route.kind == dumps.UNICAST else ()
    return [(foreign[index], gateway) for index, gateway in hops if index in foreign]
