"""What is weft's own among the host's interfaces, addresses, routes and neighbours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address

from weft.kernel import dumps
from weft.kernel.netlink import Socket
from weft.plan.objects import (
    ALIAS,
    PROTOCOL,
    AnyObject,
    Bridge,
    InterfaceAddress,
    LinkUp,
    ProxyNeighbour,
    Route,
    Veth,
)


def interfaces(socket: Socket) -> Iterator[AnyObject]:
    """Yield what weft holds in the host's namespace, apart from sysctls, nftables and other firewalls."""
    links = {link.ifindex: link for link in dumps.links(socket)}
    own = {index: link for index, link in links.items() if link.alias.startswith(ALIAS)}
    for link in own.values():
        yield from _link(link, links)
    for link in own.values():
        if link.up:
            yield LinkUp(name=link.name)
    for address in dumps.addresses(socket):
        if address.ifindex in own and not is_link_local(address.address):
            yield _address(address, own)
    for route in dumps.routes(socket):
        if route.protocol == PROTOCOL and route.table == dumps.MAIN:
            yield from _route(route, links)
    for proxy in dumps.proxies(socket):
        if proxy.protocol == PROTOCOL and proxy.ifindex in links:
            yield ProxyNeighbour(address=proxy.address, interface=links[proxy.ifindex].name)


def is_link_local(address: str) -> bool:
    """Whether the kernel makes such an address by itself on every interface with IPv6 (RFC 4862)."""
    return ":" in address and ip_address(address).is_link_local


def _link(link: dumps.Link, links: Mapping[int, dumps.Link]) -> Iterator[AnyObject]:
    if link.kind == "bridge":
        yield Bridge(name=link.name, mac=link.mac, mtu=link.mtu, alias=link.alias)
    elif link.kind == "veth":
        master = links.get(link.master)
        yield Veth(
            name=link.name,
            peer_ns=None,
            peer_name="",
            peer_mac="",
            mtu=link.mtu,
            master=master.name if master else "",
            alias=link.alias,
            isolated=link.isolated,
            hairpin=link.hairpin,
        )


def _address(address: dumps.Address, own: Mapping[int, dumps.Link]) -> InterfaceAddress:
    return InterfaceAddress(
        interface=own[address.ifindex].name,
        cidr=f"{address.address}/{address.prefixlen}",
        peer=address.peer or None,
    )


def _route(route: dumps.Route, links: Mapping[int, dumps.Link]) -> Iterator[Route]:
    for index, gateway in route.hops:
        if index in links:
            yield Route(
                destination=route.destination,
                interface=links[index].name,
                gateway=gateway or None,
                metric=route.metric,
            )
