"""What the name servers that weft supervises are in the tables.

A server answers at a network's gateway.  The one at port 53 is for everybody on the network; a container that is to
see other names is led to a server of its own at another port, and that port is closed to direct queries, so that
nobody reads the names of networks that he is not on.
"""

from __future__ import annotations

from weft.model.container import Endpoint
from weft.model.network import Network
from weft.plan.objects import Element, Objects


def resolver_view(network: Network, endpoint: Endpoint, port: int, owner: str) -> Objects:
    """Return the elements that lead name queries of ``endpoint`` to ``port`` of its gateway.

    ``owner`` is the container's name, for the comment.  The server's port needs ``resolver_port`` as well.
    """
    return tuple(
        Element(
            family="inet",
            set=f"resolver{address.version}",
            match=(network.bridge, address.address),
            value=(port,),
            comment=f"names for {owner}",
        )
        for address in endpoint.addresses
    )


def resolver_port(port: int) -> Objects:
    """Return the element that closes ``port`` of the gateways to all but those who are led there.  Not for port 53."""
    return (Element(family="inet", set="view_ports", match=(port,), comment="name server"),)
