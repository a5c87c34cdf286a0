"""Networks: a name, an address space, and the rules that hold inside it."""

from __future__ import annotations

import ipaddress
from typing import Literal

from weft.model.base import Record
from weft.model.errors import InvalidAddress

Driver = Literal["bridge", "ptp"]


class Subnet(Record):
    """One address family of a network.

    ``cidr`` is the network in CIDR form, ``gateway`` the host's own address in it (without length),
    ``ip_range`` the part that addresses are given from (the whole subnet when None).
    """

    cidr: str
    gateway: str
    ip_range: str | None = None

    def __post_init__(self) -> None:
        network = self.network
        gateway = parse_address(self.gateway)
        if gateway not in network:
            raise InvalidAddress(f"gateway {self.gateway} is not in {self.cidr}")
        if self.ip_range is not None:
            inner = parse_network(self.ip_range)
            if inner.version != network.version or not inner.subnet_of(network):  # type: ignore[arg-type]
                raise InvalidAddress(f"range {self.ip_range} is not inside {self.cidr}")

    @property
    def network(self) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
        return parse_network(self.cidr)

    @property
    def version(self) -> int:
        return self.network.version

    @property
    def prefixlen(self) -> int:
        return self.network.prefixlen

    @property
    def gateway_cidr(self) -> str:
        """The gateway as an interface address, ``172.17.0.1/16``."""
        return f"{self.gateway}/{self.prefixlen}"


class Network(Record):
    """A network as it is stored.  ``bridge`` is its interface on the host ('' for drivers without one)."""

    id: str
    name: str
    driver: Driver = "bridge"
    subnets: tuple[Subnet, ...] = ()
    bridge: str = ""
    internal: bool = False
    icc: bool = True
    masquerade: bool = True
    mtu: int | None = None
    #: Whether its packets are routed, and whether they are filtered, translated and published; None: as the host says.
    ip_forward: bool | None = None
    filter: bool | None = None
    #: Upstream name servers and search domains for containers of this network; empty: the host's.
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    #: Address that published ports are bound to when their specification names none; None: the host's default.
    bind: str | None = None
    options: dict[str, str] = {}
    labels: dict[str, str] = {}
    #: RFC 3339, UTC.
    created: str = ""

    def subnet(self, version: int) -> Subnet | None:
        """Return the subnet of the IP version (4 or 6), None if the network has none."""
        return next((subnet for subnet in self.subnets if subnet.version == version), None)


def parse_network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Return the network that ``text`` writes in CIDR form; raise InvalidAddress if it is none or has host bits."""
    if "/" not in text:
        raise InvalidAddress(f"{text!r} is not a subnet", "Write it with its length, as 172.20.0.0/16.", value=text)
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise InvalidAddress(f"{text!r} is not a subnet: {error}", "Write it as 172.20.0.0/16.", value=text) from None


def parse_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return the address that ``text`` writes; raise InvalidAddress if it is none, or carries a zone (%eth0)."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise InvalidAddress(f"{text!r} is not an IP address", value=text) from None
    if getattr(address, "scope_id", None):
        raise InvalidAddress(f"{text!r} carries a zone; weft takes addresses without one", value=text)
    return address
