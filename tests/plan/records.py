"""Short ways to say which network, endpoint and host a test is about."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence

from weft.model.base import replace
from weft.model.container import Address, Endpoint, Namespace
from weft.model.identity import bridge_name, mac_from_address, port_name
from weft.model.network import Network, Subnet
from weft.model.ports import PublishedPort, parse_publish
from weft.model.settings import Settings
from weft.plan.drivers.base import Host, Wiring
from weft.plan.facts import HostAddress, HostFacts, HostRoute

#: A host with one uplink that forwards nothing, as Linux comes.
FACTS = HostFacts(
    addresses=(
        HostAddress(cidr="192.0.2.10/24", interface="up0"),
        HostAddress(cidr="2001:db8::10/64", interface="up0"),
    ),
    routes=(
        HostRoute(destination="192.0.2.0/24", interface="up0"),
        HostRoute(destination="2001:db8::/64", interface="up0"),
        HostRoute(destination="0.0.0.0/0", interface="up0", gateway="192.0.2.1"),
        HostRoute(destination="::/0", interface="up0", gateway="2001:db8::1"),
    ),
    mtus={"up0": 1500},
)
HOST = Host(settings=Settings(), facts=FACTS)


def replace_facts(host: Host, *, addresses: Sequence[HostAddress | str]) -> Host:
    """Return the host with other addresses; those given as text are on its uplink."""
    uplink = tuple(HostAddress(cidr=one, interface="up0") if isinstance(one, str) else one for one in addresses)
    return replace(host, facts=replace(host.facts, addresses=uplink))


def identifier(name: str) -> str:
    """Return the same id for the same name."""
    return hashlib.sha256(name.encode()).hexdigest()


def network(
    name: str = "net",
    subnets: Sequence[str] = ("172.20.0.0/16", "fd00:20::/64"),
    *,
    internal: bool = False,
    icc: bool = True,
    masquerade: bool = True,
    mtu: int | None = None,
    driver: str = "bridge",
) -> Network:
    """Return a network whose gateways are the first addresses of ``subnets``."""
    ident = identifier(name)
    return Network(
        id=ident,
        name=name,
        driver="ptp" if driver == "ptp" else "bridge",
        subnets=tuple(Subnet(cidr=cidr, gateway=str(ipaddress.ip_network(cidr)[1])) for cidr in subnets),
        bridge="" if driver == "ptp" else bridge_name(ident),
        internal=internal,
        icc=icc,
        masquerade=masquerade,
        mtu=mtu,
    )


def endpoint(
    net: Network,
    owner: str,
    number: int,
    *,
    interface: str = "eth0",
    gateway: bool | None = None,
    publish: Sequence[str] = (),
) -> Endpoint:
    """Return the endpoint of ``owner`` with the ``number``-th address of each of the network's subnets.

    ``publish`` are ports as ``-p`` takes them, with a host port.
    """
    ident = identifier(f"{net.name} {owner}")
    addresses = tuple(
        Address(address=str(subnet.network[number]), prefixlen=subnet.prefixlen, gateway=subnet.gateway)
        for subnet in net.subnets
    )
    return Endpoint(
        id=ident,
        network_id=net.id,
        container_id=identifier(owner),
        interface=interface,
        port=port_name(ident),
        mac=mac_from_address(addresses[0].address),
        addresses=addresses,
        gateway=not net.internal if gateway is None else gateway,
        ports=tuple(port for text in publish for port in published(text, addresses)),
    )


def published(text: str, addresses: Sequence[Address]) -> tuple[PublishedPort, ...]:
    """Return what ``-p text`` comes to for an endpoint with ``addresses``."""
    every = {4: "0.0.0.0", 6: "::"}
    return tuple(
        PublishedPort(
            host_ip=host_ip,
            host_port=request.host_port or request.container_port,
            container_port=request.container_port,
            protocol=request.protocol,
        )
        for request in parse_publish(text)
        for host_ip in ([request.host_ip] if request.host_ip else [every[a.version] for a in addresses])
    )


def namespace(owner: str) -> Namespace:
    """Return the namespace of a container that exists on paper only."""
    return Namespace(path=f"/run/netns/{owner}", inode=int(identifier(owner)[:8], 16))


def wiring(net: Network, end: Endpoint, owner: str, ns: Namespace | None = None) -> Wiring:
    """Return the wiring of an endpoint on a bridge."""
    return Wiring(network=net, endpoint=end, namespace=ns or namespace(owner), owner=owner)
