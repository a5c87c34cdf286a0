"""What a planner has to know of the host beside weft's own records.

The kernel room gathers these facts; planners only read them.
"""

from __future__ import annotations

from weft.model.base import Record


class HostRoute(Record):
    """A route of the host that weft did not add; ``destination`` is in CIDR form, '0.0.0.0/0' for the default.

    ``interface`` is '' for a route that leads nowhere (blackhole, unreachable, prohibit).
    """

    destination: str
    interface: str
    gateway: str | None = None


class HostAddress(Record):
    """An address on an interface of the host that weft did not make; in interface form (10.0.0.5/24)."""

    cidr: str
    interface: str


class HostFacts(Record):
    """The host as it is without weft."""

    addresses: tuple[HostAddress, ...] = ()
    routes: tuple[HostRoute, ...] = ()
    #: Foreign interfaces and their MTU; 'lo' is not among them.
    mtus: dict[str, int] = {}
    #: Interfaces that forward IPv4 already (conf/X/forwarding is 1), and whether the host forwards IPv6.  'all' is
    #: among the interfaces when conf/all/forwarding is 1: somebody made the host a router on purpose.
    forwarding4: frozenset[str] = frozenset()
    forwarding6: bool = False
    #: Interfaces that heed router advertisements (conf/X/accept_ra is not 0).
    heed_ra: frozenset[str] = frozenset()
    #: Whether IPv6 forwarding can be turned on for one interface (conf/X/force_forwarding, Linux 6.17).
    force_forwarding: bool = False
    #: Other firewall managers that are active: 'docker', 'firewalld', 'ufw'.
    firewalls: tuple[str, ...] = ()

    @property
    def uplinks(self) -> frozenset[str]:
        """The foreign interfaces that have an address."""
        return frozenset(address.interface for address in self.addresses if address.interface != "lo")

    @property
    def mtu(self) -> int:
        """MTU of the interface of the default route; the smallest of all uplinks without one; else 1500."""
        default = [r.interface for r in self.routes if r.destination in ("0.0.0.0/0", "::/0") and r.interface]
        candidates = [self.mtus[name] for name in (default or sorted(self.uplinks)) if name in self.mtus]
        return min(candidates, default=1500)
