"""What an endpoint, its published ports and its links are in the tables."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

from weft.model.container import Address, Endpoint
from weft.model.identity import link_local
from weft.model.ports import ExposedPort, PublishedPort
from weft.plan.drivers.base import Wiring
from weft.plan.objects import Element, Objects

#: Most characters that a comment in nftables can have (NFTNL_UDATA_COMMENT_MAXLEN, less its terminating NUL).
COMMENT_LENGTH = 127

_EVERY = {4: "0.0.0.0", 6: "::"}


def guard(wiring: Wiring) -> Objects:
    """Return the elements that let a container send as itself, and as nobody else, from its port of the bridge.

    ``ports`` is the first: from then on the port is guarded, and what is not yet allowed is dropped.
    """
    endpoint, owner = wiring.endpoint, wiring.owner
    elements = [
        _bridge("ports", endpoint, owner=owner),
        _bridge("macs", endpoint, endpoint.mac, owner=owner),
    ]
    four, six = endpoint.address(4), endpoint.address(6)
    if four is not None:
        elements.append(_bridge("arp_sources", endpoint, endpoint.mac, four.address, owner=owner))
        elements.append(_bridge("sources4", endpoint, four.address, owner=owner))
    if six is not None:
        for address in (six.address, link_local(endpoint.mac)):
            elements.append(_bridge("sources6", endpoint, address, owner=owner))
            elements.append(_bridge("nd_targets", endpoint, _as_number(address), owner=owner))
    return tuple(elements)


def publish(wiring: Wiring) -> Objects:
    """Return the elements that lead the endpoint's published ports from the host to the container.

    A port on [::1] has none: the kernel cannot send such a connection's answers back, so the agent relays it.
    """
    elements: list[Element] = []
    for port in wiring.endpoint.ports:
        target = wiring.endpoint.address(port.version)
        if target is not None and port.host_ip != "::1":
            elements.append(_translation(port, target, wiring.owner))
    own = (_own_ports(address, wiring.owner) for address in wiring.endpoint.addresses if elements)
    return (*elements, *own)


def link(receiver: Endpoint, target: Endpoint, exposed: Iterable[ExposedPort], comment: str) -> Objects:
    """Return the elements that let ``receiver`` open connections to the exposed ports of ``target``.

    They make a difference only where icc is off.  ``comment`` is cut to what nftables can hold.
    """
    return tuple(
        Element(
            family="inet",
            set=f"links{theirs.version}",
            match=(mine.address, theirs.address, port.protocol, port.port),
            comment=comment[:COMMENT_LENGTH],
        )
        for mine, theirs in _common(receiver, target)
        for port in exposed
    )


def _translation(port: PublishedPort, target: Address, owner: str) -> Element:
    host = ipaddress.ip_address(port.host_ip)
    match: tuple[str | int, ...] = (port.protocol, str(host), port.host_port)
    name = f"publish{host.version}"
    if str(host) == _EVERY[host.version]:
        name, match = f"publish_any{host.version}", (port.protocol, port.host_port)
    elif host.is_loopback:
        name = "publish_loopback4"
    return Element(
        family="inet",
        set=name,
        match=match,
        value=(target.address, port.container_port),
        comment=f"{owner} {port.host_port}->{port.container_port}/{port.protocol}",
    )


def _own_ports(address: Address, owner: str) -> Element:
    match = (address.address, address.address)
    return Element(family="inet", set=f"own_ports{address.version}", match=match, comment=owner)


def _common(receiver: Endpoint, target: Endpoint) -> Iterator[tuple[Address, Address]]:
    """Yield the pairs of addresses, one for each IP version that both have."""
    for mine in receiver.addresses:
        theirs = target.address(mine.version)
        if theirs is not None:
            yield mine, theirs


def _bridge(name: str, endpoint: Endpoint, *rest: str, owner: str) -> Element:
    return Element(family="bridge", set=name, match=(endpoint.port, *rest), comment=owner)


def _as_number(address: str) -> str:
    """Return an IPv6 address as nft writes 128 raw bits."""
    return hex(int(ipaddress.IPv6Address(address)))
