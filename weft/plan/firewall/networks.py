"""What a network is in the tables."""

from __future__ import annotations

from collections.abc import Iterable

from weft.model.identity import link_local
from weft.model.network import Network
from weft.plan.objects import Element, Objects


def members(network: Network, bridge_mac: str) -> Objects:
    """Return the elements of a network with a bridge: that it is one, what may leave it, and its gateways.

    ``bridge_mac`` tells the bridge's link-local address, which counts as its gateway's too.
    """
    bridge, comment = network.bridge, f"network {network.name}"
    elements = [
        _inet("bridges", bridge, comment=comment),
        _inet("same_network", bridge, bridge, comment=comment),
    ]
    if not network.icc:
        elements.append(_inet("separated", bridge, comment=comment))
    if network.internal:
        elements.append(_inet("internal", bridge, comment=comment))
    elif network.masquerade:
        elements.append(_inet("masqueraded", bridge, comment=comment))
    for subnet in network.subnets:
        elements.append(_inet(f"gateways{subnet.version}", subnet.gateway, comment=comment))
        elements.append(_inet(f"own_gateway{subnet.version}", bridge, subnet.gateway, comment=comment))
    if network.subnet(6) is not None:
        elements.append(_inet("own_gateway6", bridge, link_local(bridge_mac), comment=comment))
    return tuple(elements)


def transit(version: int, interfaces: Iterable[str]) -> Objects:
    """Return the elements that keep ``interfaces`` from becoming a way through this host.

    They are interfaces that weft lets IP ``version`` (4 or 6) be forwarded from, for its own networks' sake.
    """
    comment = "forwarding turned on by weft"
    return tuple(_inet(f"opened{version}", interface, comment=comment) for interface in sorted(interfaces))


def _inet(name: str, *match: str, comment: str) -> Element:
    return Element(family="inet", set=name, match=match, comment=comment)
