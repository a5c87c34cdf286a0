"""What belongs to the host as a whole, and what is decided for a container as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from weft.model.container import Endpoint
from weft.model.network import Network
from weft.plan import firewall
from weft.plan.drivers.base import Host
from weft.plan.objects import Objects


def base(host: Host) -> Objects:
    """Return what the host holds before there is any network: the tables, unless filtering is off."""
    return firewall.tables() if host.settings.filter else ()


def gateway_choice(endpoints: Iterable[Endpoint], networks: Mapping[str, Network]) -> str | None:
    """Return the id of the endpoint that a container's default routes leave through, None if none can.

    ``endpoints`` are the container's, in the order in which it was connected; ``networks`` are by id.  The first one on
    a network that leads outside is chosen, so that connecting a further network moves nothing.
    """
    return next((endpoint.id for endpoint in endpoints if _leads_outside(networks[endpoint.network_id])), None)


def _leads_outside(network: Network) -> bool:
    return network.driver == "bridge" and not network.internal
