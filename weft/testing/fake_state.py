"""What stands in a FakeKernel: objects, and the questions that a network stack asks about them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

from weft.model.base import replace
from weft.model.container import Namespace
from weft.model.identity import link_local
from weft.plan.facts import HostFacts
from weft.plan.objects import (
    AnyObject,
    Bridge,
    Cable,
    InterfaceAddress,
    Key,
    ProxyNeighbour,
    Route,
    Sysctl,
    Table,
    Veth,
)
from weft.plan.operations import carried_by, carrier_of

#: A cable's end in a container, or one of its ports on the host.
Link = Bridge | Veth | Cable


class State:
    """Objects by key, and settings by place and path."""

    def __init__(self, facts: HostFacts) -> None:
        self.facts = facts
        self.objects: dict[Key, AnyObject] = {}
        self.sysctls: dict[tuple[Namespace | None, str], str] = {}

    # --- links

    def links(self) -> Iterator[Link]:
        return (thing for thing in self.objects.values() if isinstance(thing, Bridge | Veth | Cable))

    def link_at(self, ns: Namespace | None, name: str) -> Link | None:
        """Return the link of which an interface ``name`` in ``ns`` is an end."""
        return next((link for link in self.links() if (ns, name) in ends(link)), None)

    def port_of(self, bridge: str, address: str) -> Veth | None:
        """Return the port of a bridge behind which a container has ``address``."""
        ports = (link for link in self.links() if isinstance(link, Veth) and link.master == bridge)
        return next((port for port in ports if address in self.addresses(port.peer_ns, port.peer_name)), None)

    def is_up(self, ns: Namespace | None, name: str) -> bool:
        return ("up", ns, name) in self.objects

    # --- addresses and routes

    def addresses(self, ns: Namespace | None, interface: str) -> list[str]:
        """Return the addresses on an interface, a link-local one included where IPv6 is on."""
        found = [one.cidr.partition("/")[0] for one in self._addresses(ns) if one.interface == interface]
        mac = self._mac(ns, interface)
        if mac and self.is_up(ns, interface) and self.sysctl(f"net/ipv6/conf/{interface}/disable_ipv6", ns) == "0":
            found.append(link_local(mac))
        return found

    def local_addresses(self) -> frozenset[str]:
        """Return every address of the host."""
        foreign = {address.cidr.partition("/")[0] for address in self.facts.addresses}
        bridges = {one for link in self.links() if isinstance(link, Bridge) for one in self.addresses(None, link.name)}
        return frozenset(foreign | bridges | {"127.0.0.1", "::1"})

    def interface_to(self, ns: Namespace | None, destination: str) -> tuple[str, str] | None:
        """Return interface and next hop for ``destination``, by the longest prefix; None without a route."""
        address = ipaddress.ip_address(destination)
        best = max(
            (route for route in self._routes(ns) if address in route[0]),
            key=lambda route: route[0].prefixlen,
            default=None,
        )
        return None if best is None else (best[1], best[2] or destination)

    def source_for(self, ns: Namespace | None, interface: str, version: int) -> str | None:
        """Return the address that a stack in ``ns`` writes on what leaves by ``interface``."""
        candidates = self.addresses(ns, interface)
        if ns is None:
            candidates += [one.cidr.partition("/")[0] for one in self.facts.addresses if one.interface == interface]
        return next((one for one in candidates if (":" in one) == (version == 6)), None)

    def _addresses(self, ns: Namespace | None) -> Iterator[InterfaceAddress]:
        return (one for one in self.objects.values() if isinstance(one, InterfaceAddress) and one.ns == ns)

    def _routes(
        self, ns: Namespace | None
    ) -> Iterator[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, str, str | None]]:
        for one in self._addresses(ns):
            if self.is_up(ns, one.interface):
                yield ipaddress.ip_interface(one.cidr).network, one.interface, None
                if one.peer:
                    yield ipaddress.ip_network(one.peer), one.interface, None
        for thing in self.objects.values():
            if isinstance(thing, Route) and thing.ns == ns:
                yield ipaddress.ip_network(thing.destination), thing.interface, thing.gateway
        if ns is None:
            for route in self.facts.routes:
                yield ipaddress.ip_network(route.destination), route.interface, route.gateway

    def _mac(self, ns: Namespace | None, interface: str) -> str:
        match self.link_at(ns, interface):
            case Bridge(mac=mac) | Veth(peer_mac=mac):
                return mac
            case Cable() as cable:
                return cable.left_mac if (ns, interface) == (cable.left_ns, cable.left_name) else cable.right_mac
        return ""

    # --- settings

    def sysctl(self, path: str, ns: Namespace | None = None) -> str | None:
        """Return a setting: what was written, else what the facts say, else the kernel's default ('0')."""
        if (ns, path) in self.sysctls:
            return self.sysctls[ns, path]
        words = path.split("/")
        if ns is None and path == "net/ipv6/conf/all/forwarding":
            return str(int(self.facts.forwarding6))
        if ns is None and words[:3] == ["net", "ipv4", "conf"] and words[-1] == "forwarding":
            return str(int(words[3] in self.facts.forwarding4))
        if ns is None and words[-1] == "accept_ra":
            return str(int(words[3] in self.facts.heed_ra))
        if words[-1] == "force_forwarding" and not self.facts.force_forwarding:
            return None
        return "0"

    def forwards(self, interface: str, version: int) -> bool:
        """Whether the host routes packets that come in by ``interface``."""
        if version == 4:
            return self.sysctl(f"net/ipv4/conf/{interface}/forwarding") == "1"
        paths = ("net/ipv6/conf/all/forwarding", f"net/ipv6/conf/{interface}/force_forwarding")
        return any(self.sysctl(path) == "1" for path in paths)

    def answers_for(self, bridge: str, address: str) -> bool:
        """Whether the host answers those who look for ``address`` on a bridge, though it is not the host's own."""
        if ":" not in address:
            return self.sysctl(f"net/ipv4/conf/{bridge}/proxy_arp_pvlan") == "1" and self.forwards(bridge, 4)
        proxied = ProxyNeighbour(address=address, interface=bridge).key in self.objects
        router = self.sysctl(f"net/ipv6/conf/{bridge}/forwarding") == "1"
        return proxied and router and self.sysctl(f"net/ipv6/conf/{bridge}/proxy_ndp") == "1"

    # --- changing

    def put(self, thing: AnyObject) -> None:
        """Let ``thing`` be there, as it is."""
        if isinstance(thing, Sysctl):
            self.sysctls[thing.ns, thing.path] = thing.value
            return
        if isinstance(thing, Table):
            self.delete(thing)
        self.objects[thing.key] = thing

    def delete(self, thing: AnyObject) -> None:
        """Take ``thing`` away, what goes with it as well, and a bridge from under its ports."""
        self.objects.pop(thing.key, None)
        carriers = carried_by(thing)
        for key, other in list(self.objects.items()):
            if carrier_of(other) in carriers:
                del self.objects[key]
            elif isinstance(thing, Bridge) and isinstance(other, Veth) and other.master == thing.name:
                self.objects[key] = replace(other, master="")
        for ns, path in list(self.sysctls):
            if carrier_of(Sysctl(path=path, value="", ns=ns)) in carriers:
                del self.sysctls[ns, path]

    def copy(self) -> tuple[dict[Key, AnyObject], dict[tuple[Namespace | None, str], str]]:
        """Return what ``restore`` takes."""
        return dict(self.objects), dict(self.sysctls)

    def restore(self, copied: tuple[dict[Key, AnyObject], dict[tuple[Namespace | None, str], str]]) -> None:
        """Let everything be as it was when it was copied."""
        self.objects, self.sysctls = copied


def ends(link: Link) -> tuple[tuple[Namespace | None, str], ...]:
    """Return the interfaces of a link, as namespace and name."""
    match link:
        case Bridge():
            return ((None, link.name),)
        case Veth():
            return ((None, link.name), (link.peer_ns, link.peer_name))
        case Cable():
            return ((link.left_ns, link.left_name), (link.right_ns, link.right_name))


def settings_of(things: Iterable[AnyObject]) -> list[Sysctl]:
    """Return the host's settings among ``things``."""
    return [thing for thing in things if isinstance(thing, Sysctl) and thing.ns is None]
