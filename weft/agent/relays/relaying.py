"""Which published ports are relayed, and where to."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from weft.agent.relays.relay import Forward, Relay
from weft.model.container import Endpoint
from weft.model.errors import NotFound
from weft.model.ports import RELAYED


def forwards(endpoint: Endpoint) -> list[Forward]:
    """Return the relays that an endpoint's ports need: to its IPv6 address if it has one, else to its IPv4 address."""
    address = endpoint.address(6) or endpoint.address(4)
    if address is None:
        return []
    return [
        Forward(
            protocol="udp" if port.protocol == "udp" else "tcp",
            address=port.host_ip,
            port=port.host_port,
            target=address.address,
            target_port=port.container_port,
        )
        for port in endpoint.ports
        if port.host_ip == RELAYED
    ]


def begin(relay: Relay, endpoints: Iterable[Endpoint]) -> None:
    """Relay the ports of ``endpoints`` or, if one is refused, none of them."""
    begun: list[Forward] = []
    try:
        for endpoint in endpoints:
            for forward in forwards(endpoint):
                relay.add(forward)
                begun.append(forward)
    except BaseException:
        for forward in begun:
            relay.remove(forward)
        raise


def end(relay: Relay, endpoints: Iterable[Endpoint]) -> None:
    """Stop relaying the ports of ``endpoints``."""
    for endpoint in endpoints:
        for forward in forwards(endpoint):
            with suppress(NotFound):
                relay.remove(forward)
