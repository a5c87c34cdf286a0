"""Which settings weft states for the interfaces that it makes.

Planners state *every* one of these for every bridge and every port, also where the value is the kernel's default, so
that observation can read exactly these and the difference between the two is what somebody changed.
"""

from __future__ import annotations

from weft.plan.objects import Sysctl

#: For a bridge; ``{}`` is its name.
BRIDGE = (
    "net/ipv4/conf/{}/forwarding",
    "net/ipv4/conf/{}/route_localnet",
    "net/ipv4/conf/{}/proxy_arp_pvlan",
    "net/ipv4/neigh/{}/proxy_delay",
    "net/ipv6/conf/{}/disable_ipv6",
    "net/ipv6/conf/{}/addr_gen_mode",
    "net/ipv6/conf/{}/accept_dad",
    "net/ipv6/conf/{}/accept_ra",
    "net/ipv6/conf/{}/autoconf",
    "net/ipv6/conf/{}/proxy_ndp",
    "net/ipv6/conf/{}/forwarding",
    "net/ipv6/neigh/{}/proxy_delay",
)

#: For a bridge too, on kernels that have it (``HostFacts.force_forwarding``).
BRIDGE_FORCE_FORWARDING = "net/ipv6/conf/{}/force_forwarding"

#: For the host's end of a veth pair.
PORT = ("net/ipv6/conf/{}/disable_ipv6",)


def switch(path: str, on: bool, *, optional: bool = False) -> Sysctl:
    """Return the setting ``path`` of the host as 1 or 0."""
    return Sysctl(path=path, value="1" if on else "0", optional=optional)
