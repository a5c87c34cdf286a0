"""What every driver that gives a container an interface states inside the container's namespace."""

from __future__ import annotations

from weft.model.container import Endpoint, Namespace
from weft.plan.objects import Objects, Sysctl

#: Where the endpoint has an IPv6 address.  The kernel takes no router's word (accept_ra, autoconf), forms the
#: link-local address from the MAC, as the filters expect it (addr_gen_mode 0), uses addresses at once, because weft
#: gives each only once (accept_dad), and tells neighbours when they change (ndisc_notify).
_WITH_IPV6 = (
    ("disable_ipv6", "0"),
    ("addr_gen_mode", "0"),
    ("accept_dad", "0"),
    ("accept_ra", "0"),
    ("autoconf", "0"),
    ("ndisc_notify", "1"),
)


def settings(endpoint: Endpoint, namespace: Namespace) -> Objects:
    """Return the settings of the endpoint's interface.  They have to be made before it is up.

    Without an IPv6 address the interface has no IPv6 at all: a link-local address would be one that nobody asked for
    and no filter expects.  A kernel without IPv6 is fine then; with an address, a missing setting is an error.
    """
    name = endpoint.interface
    notify = Sysctl(path=f"net/ipv4/conf/{name}/arp_notify", value="1", ns=namespace)
    if endpoint.address(6) is None:
        off = Sysctl(path=f"net/ipv6/conf/{name}/disable_ipv6", value="1", ns=namespace, optional=True)
        return (notify, off)
    wanted = (Sysctl(path=f"net/ipv6/conf/{name}/{key}", value=value, ns=namespace) for key, value in _WITH_IPV6)
    return (notify, *wanted)
