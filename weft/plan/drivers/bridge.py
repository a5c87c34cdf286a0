"""The bridge driver: one bridge on the host for each network, one veth pair for each endpoint."""

from __future__ import annotations

from weft.model.network import Network
from weft.plan import firewall
from weft.plan.drivers import inside
from weft.plan.drivers.base import Host, Wiring
from weft.plan.objects import (
    ALIAS,
    AnyObject,
    Bridge,
    InterfaceAddress,
    LinkUp,
    Objects,
    ProxyNeighbour,
    Route,
    Sysctl,
    Veth,
)
from weft.plan.sysctls import switch

_DEFAULT = {4: "0.0.0.0/0", 6: "::/0"}


class BridgeDriver:
    """Containers are ports of a bridge; the host has the gateway's address on it."""

    name = "bridge"

    def network(self, network: Network, host: Host) -> Objects:
        """Return the network's part of the filters, then its bridge, and that it is up last of all."""
        mac = bridge_mac(network)
        filters = firewall.members(network, mac) if host.filters(network) else ()
        addresses = (InterfaceAddress(interface=network.bridge, cidr=s.gateway_cidr) for s in network.subnets)
        return (
            *filters,
            Bridge(name=network.bridge, mac=mac, mtu=_mtu(network, host), alias=f"{ALIAS}network:{network.id}"),
            *_bridge_settings(network, host),
            *addresses,
            LinkUp(name=network.bridge),
        )

    def endpoint(self, wiring: Wiring, host: Host) -> Objects:
        """Return the endpoint's part of the filters, then its cable, what is inside, and what depends on it being up.

        The host's end comes up before the container's, so that the bridge hears what the container announces.
        """
        endpoint, network = wiring.endpoint, wiring.network
        filters = (*firewall.guard(wiring), *firewall.publish(wiring)) if host.filters(network) else ()
        addresses = (
            InterfaceAddress(interface=endpoint.interface, cidr=address.cidr, ns=wiring.namespace)
            for address in endpoint.addresses
        )
        return (
            *filters,
            _veth(wiring, host),
            # The port's own link-local address would serve nobody and solicit routers in the container's hearing.
            switch(f"net/ipv6/conf/{endpoint.port}/disable_ipv6", True, optional=True),
            *inside.settings(endpoint, wiring.namespace),
            *addresses,
            LinkUp(name=endpoint.port),
            LinkUp(name=endpoint.interface, ns=wiring.namespace, announce=endpoint.mac),
            *_default_routes(wiring),
            *(() if network.icc else _proxies(wiring)),
        )


DRIVER = BridgeDriver()


def bridge_mac(network: Network) -> str:
    """Return the MAC of a network's bridge: locally administered, and the same wherever it is made anew."""
    return "02:" + bytes.fromhex(network.id[:10]).hex(":")


def _mtu(network: Network, host: Host) -> int:
    return network.mtu or host.facts.mtu


def _veth(wiring: Wiring, host: Host) -> Veth:
    endpoint, network = wiring.endpoint, wiring.network
    return Veth(
        name=endpoint.port,
        peer_ns=wiring.namespace,
        peer_name=endpoint.interface,
        peer_mac=endpoint.mac,
        mtu=_mtu(network, host),
        master=network.bridge,
        alias=f"{ALIAS}endpoint:{endpoint.id}",
        isolated=not network.icc,
        hairpin=network.icc and bool(endpoint.ports),
    )


def _bridge_settings(network: Network, host: Host) -> tuple[Sysctl, ...]:
    """Return the bridge's settings but for forwarding, which depends on the other networks too (plan/forwarding.py)."""
    name, six = network.bridge, network.subnet(6) is not None
    separated = not network.icc
    four_conf, six_conf = f"net/ipv4/conf/{name}", f"net/ipv6/conf/{name}"
    return (
        # Lets localhost reach published ports.  Only the filters keep others from using it to reach localhost.
        switch(f"{four_conf}/route_localnet", host.filters(network)),
        # Isolated ports hear nothing from each other, so the host answers for everybody, at once: RFC 3069.
        switch(f"{four_conf}/proxy_arp_pvlan", separated),
        switch(f"net/ipv4/neigh/{name}/proxy_delay", False),
        switch(f"{six_conf}/disable_ipv6", not six, optional=not six),
        switch(f"{six_conf}/addr_gen_mode", False, optional=not six),
        switch(f"{six_conf}/accept_dad", False, optional=not six),
        switch(f"{six_conf}/accept_ra", False, optional=not six),
        switch(f"{six_conf}/autoconf", False, optional=not six),
        switch(f"{six_conf}/proxy_ndp", separated and six, optional=not six),
        switch(f"net/ipv6/neigh/{name}/proxy_delay", False, optional=not six),
    )


def _default_routes(wiring: Wiring) -> tuple[AnyObject, ...]:
    if not wiring.endpoint.gateway or wiring.network.internal:
        return ()
    return tuple(
        Route(
            destination=_DEFAULT[address.version],
            interface=wiring.endpoint.interface,
            gateway=address.gateway,
            ns=wiring.namespace,
        )
        for address in wiring.endpoint.addresses
        if address.gateway is not None
    )


def _proxies(wiring: Wiring) -> tuple[AnyObject, ...]:
    """Return what makes the host answer solicitations for the endpoint; IPv6 has no proxy_arp_pvlan."""
    return tuple(
        ProxyNeighbour(address=address.address, interface=wiring.network.bridge)
        for address in wiring.endpoint.addresses
        if address.version == 6
    )
