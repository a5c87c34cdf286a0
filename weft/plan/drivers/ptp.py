"""The ptp driver: a cable between two containers, with nothing of it on the host."""

from __future__ import annotations

from weft.model.container import Address, Endpoint
from weft.model.network import Network
from weft.plan.drivers import inside
from weft.plan.drivers.base import Host, Wiring
from weft.plan.objects import Cable, InterfaceAddress, LinkUp, Objects, Route


class PtpDriver:
    """Both ends are in containers.  Each has the other's address as its peer, and the kernel a route to just that."""

    name = "ptp"

    def network(self, network: Network, host: Host) -> Objects:
        """Return nothing: the host has no part in it."""
        return ()

    def endpoint(self, wiring: Wiring, host: Host) -> Objects:
        """Return the cable, and this end of it; nothing while the other end is not there.

        The cable is part of both ends' objects, the same in both: it is there once, and goes with either.
        """
        if wiring.peer is None or wiring.peer_namespace is None:
            return ()
        endpoint, namespace = wiring.endpoint, wiring.namespace
        return (
            _cable(wiring, host),
            *inside.settings(endpoint, namespace),
            *(_address(address, wiring, wiring.peer) for address in endpoint.addresses),
            LinkUp(name=endpoint.interface, ns=namespace, announce=endpoint.mac),
            *(_route(address, wiring) for address in wiring.peer.addresses if address.version == 6),
        )


DRIVER = PtpDriver()


def _cable(wiring: Wiring, host: Host) -> Cable:
    assert wiring.peer is not None
    assert wiring.peer_namespace is not None
    ends = ((wiring.endpoint, wiring.namespace), (wiring.peer, wiring.peer_namespace))
    # The same order whichever end is asked.
    (left, left_ns), (right, right_ns) = sorted(ends, key=lambda end: end[0].id)
    return Cable(
        left_ns=left_ns,
        left_name=left.interface,
        left_mac=left.mac,
        right_ns=right_ns,
        right_name=right.interface,
        right_mac=right.mac,
        mtu=wiring.network.mtu or host.facts.mtu,
    )


def _route(theirs: Address, wiring: Wiring) -> Route:
    """Return the route to an IPv6 peer: the kernel adds one of its own only to an interface that is up already."""
    return Route(destination=f"{theirs.address}/128", interface=wiring.endpoint.interface, ns=wiring.namespace)


def _address(address: Address, wiring: Wiring, peer: Endpoint) -> InterfaceAddress:
    other = peer.address(address.version)
    return InterfaceAddress(
        interface=wiring.endpoint.interface,
        cidr=address.cidr,
        ns=wiring.namespace,
        peer=other.address if other else None,
    )
