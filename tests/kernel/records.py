"""Objects that tests of the kernel room start from."""

from __future__ import annotations

from weft.model.base import replace
from weft.model.container import Namespace
from weft.plan.firewall import tables
from weft.plan.objects import (
    Bridge,
    Element,
    InterfaceAddress,
    LinkUp,
    Objects,
    ProxyNeighbour,
    Route,
    Sysctl,
    Table,
    Veth,
)

BRIDGE = Bridge(name="br-t", mac="02:00:00:00:00:01", mtu=1400, alias="weft:network:n1")
PORT = Veth(
    name="wvport",
    peer_ns=None,
    peer_name="eth0",
    peer_mac="02:42:0a:09:00:02",
    mtu=1400,
    master="br-t",
    alias="weft:endpoint:e1",
    isolated=True,
    hairpin=True,
)
BRIDGE_TABLE, INET_TABLE = (table for table in tables() if isinstance(table, Table))


def veth(ns: Namespace | None, **changes: object) -> Veth:
    """Return the port with its other end in ``ns``."""
    return replace(PORT, peer_ns=ns, **changes)


def network() -> Objects:
    """Return a network as it stands on the host: filters, bridge, settings, addresses."""
    return (
        *tables(),
        Element(family="inet", set="bridges", match=("br-t",), comment="network t"),
        Element(family="inet", set="same_network", match=("br-t", "br-t"), comment="network t"),
        BRIDGE,
        Sysctl(path="net/ipv4/conf/br-t/forwarding", value="1"),
        Sysctl(path="net/ipv6/conf/br-t/accept_dad", value="0"),
        InterfaceAddress(interface="br-t", cidr="10.9.0.1/24"),
        InterfaceAddress(interface="br-t", cidr="fd00:9::1/64"),
        LinkUp(name="br-t"),
    )


def guard(port: str = "wvport", number: int = 2) -> Objects:
    """Return the elements that let the container at ``port`` send as itself, and publish a port of it."""
    mac, four, six = f"02:42:0a:09:00:{number:02x}", f"10.9.0.{number}", f"fd00:9::{number:x}"
    parts = {
        "ports": (port,),
        "macs": (port, mac),
        "arp_sources": (port, mac, four),
        "sources4": (port, four),
        "sources6": (port, six),
        "nd_targets": (port, f"0xfd0000090000000000000000000000{number:02x}"),
    }
    published = Element(
        family="inet",
        set="publish_any4",
        match=("tcp", 8000 + number),
        value=(four, 80),
        comment=f"web {8000 + number}->80/tcp",
    )
    elements = (Element(family="bridge", set=name, match=match, comment="web") for name, match in parts.items())
    return (*elements, published)


def endpoint(ns: Namespace) -> Objects:
    """Return an endpoint of that network, as the bridge driver plans it."""
    return (
        *guard(),
        veth(ns),
        Sysctl(path="net/ipv6/conf/wvport/disable_ipv6", value="1", optional=True),
        Sysctl(path="net/ipv4/conf/eth0/arp_notify", value="1", ns=ns),
        Sysctl(path="net/ipv6/conf/eth0/accept_dad", value="0", ns=ns),
        Sysctl(path="net/ipv6/conf/eth0/accept_ra", value="0", ns=ns),
        InterfaceAddress(interface="eth0", cidr="10.9.0.2/24", ns=ns),
        InterfaceAddress(interface="eth0", cidr="fd00:9::2/64", ns=ns),
        LinkUp(name="wvport"),
        LinkUp(name="eth0", ns=ns, announce="02:42:0a:09:00:02"),
        Route(destination="0.0.0.0/0", interface="eth0", gateway="10.9.0.1", ns=ns),
        Route(destination="::/0", interface="eth0", gateway="fd00:9::1", ns=ns),
        ProxyNeighbour(address="fd00:9::2", interface="br-t"),
    )


def on_host(objects: Objects) -> Objects:
    """Return those that stand in the host's namespace, which are the ones that can be observed."""
    return tuple(thing for thing in objects if thing.where is None)
