"""What is sent through a FakeKernel, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from weft.model.container import Namespace


@dataclass(frozen=True)
class Outside:
    """Whoever is on the wire of one of the host's own interfaces."""

    interface: str


#: Where packets start and end: a container, the outside, or the host itself (None, as in kernel objects).
Place = Namespace | Outside | None


@dataclass(frozen=True)
class Packet:
    """A packet, and who sends it.

    Without ``src`` the sender's stack chooses its address.  ``mac`` is what a forger claims to be, ``next_hop`` the
    route that he has added for himself; ``kind`` the type of an ICMP or IGMP message as nft names it, and ``target``
    the address that an ICMPv6 message of neighbour discovery is about.  ARP is ``protocol`` 'arp'; ``ether_type``
    other than '' is a frame of that type, whatever else is in it.
    """

    sender: Place
    dst: str
    protocol: str = "tcp"
    dport: int = 0
    src: str = ""
    sport: int = 40000
    mac: str = ""
    next_hop: str = ""
    kind: str = ""
    target: str = ""
    ether_type: str = ""

    @property
    def version(self) -> int:
        return 6 if ":" in self.dst else 4

    @property
    def has_ports(self) -> bool:
        return self.protocol in {"tcp", "udp", "sctp"}

    @property
    def stays_on_link(self) -> bool:
        """Whether it is a message between neighbours, which no router passes on."""
        neighbours = self.protocol == "icmpv6" and not self.kind.startswith("echo-")
        return bool(self.ether_type) or neighbours or self.protocol in {"arp", "igmp"}

    def __str__(self) -> str:
        ports = (f" {self.sport}", f" {self.dport}") if self.has_ports else ("", "")
        return f"{self.protocol} {self.src or '?'}{ports[0]} -> {self.dst}{ports[1]}"


@dataclass(frozen=True)
class Delivery:
    """Where a packet ended, and as what.

    ``lost`` is '' if it arrived at ``place``; otherwise it says why not, and ``rule`` is the comment of the rule that
    dropped it, '' if it was no rule.  ``trail`` are the steps on the way.
    """

    packet: Packet
    place: Place = None
    lost: str = ""
    rule: str = ""
    trail: tuple[str, ...] = field(default=(), compare=False)

    @property
    def arrived(self) -> bool:
        return not self.lost

    @property
    def answer(self) -> Packet:
        """The packet that whoever it arrived at sends back."""
        came = self.packet
        kind = came.kind.replace("request", "reply")
        return Packet(self.place, came.src, came.protocol, came.sport, came.dst, came.dport, kind=kind)
