"""What every driver answers, and what it is told."""

from __future__ import annotations

from typing import Protocol

from weft.model.base import Record
from weft.model.container import Endpoint, Namespace
from weft.model.network import Network
from weft.model.settings import Settings
from weft.plan.facts import HostFacts
from weft.plan.objects import Objects


class Host(Record):
    """The host that is planned for: its settings and what it is like without weft."""

    settings: Settings
    facts: HostFacts

    def filters(self, network: Network) -> bool:
        """Whether packets of ``network`` are filtered, translated and published."""
        return self.settings.filter and network.filter is not False

    def may_forward(self, network: Network) -> bool:
        """Whether forwarding may be turned on for ``network``."""
        return self.settings.ip_forward if network.ip_forward is None else network.ip_forward


class Wiring(Record):
    """Everything that wiring one endpoint depends on."""

    network: Network
    endpoint: Endpoint
    namespace: Namespace
    #: Name of the container, for comments that people read.
    owner: str
    #: For point-to-point drivers: the other end.
    peer: Endpoint | None = None
    peer_namespace: Namespace | None = None


class Driver(Protocol):
    """Planners of one way of wiring.  All methods are pure and return objects in order of creation."""

    name: str

    def network(self, network: Network, host: Host) -> Objects:
        """Return what the host holds for the network itself, whether or not anything is attached."""

    def endpoint(self, wiring: Wiring, host: Host) -> Objects:
        """Return what the host and the container's namespace hold for one endpoint, filters first."""
