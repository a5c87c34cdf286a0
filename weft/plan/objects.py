"""The things that can stand in a kernel: the nouns of the vocabulary.

Planners return tuples of these, *in the order in which they must come into being*; the kernel room observes
objects of the same types.  Every object has a ``key``, which says *which* thing it is; all other fields say
*how* it is.  Two objects with one key and different fields are one thing that has to change.

``ns`` says where: None is the host itself, otherwise the namespace of a container.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from weft.model.base import Record
from weft.model.container import Namespace

#: Route and neighbour protocol number of everything weft adds (rtnetlink(7), rtm_protocol; free in
#: /etc/iproute2/rt_protos), so that it can be told apart from what others added.
PROTOCOL = 119

#: Prefix of the alias of every interface of weft's: 'weft:network:<id>' and 'weft:endpoint:<id>'.
ALIAS = "weft:"

Key = tuple[object, ...]


class KernelObject(Record, tag=True):
    """Base of all objects."""

    #: Fields that observation cannot see, left out when desired and observed objects are compared.
    blind: ClassVar[frozenset[str]] = frozenset()

    @property
    def key(self) -> Key:
        raise NotImplementedError

    @property
    def where(self) -> Namespace | None:
        """The container namespace in which the object stands; None for the host."""
        return getattr(self, "ns", None)

    def same_as(self, observed: KernelObject) -> bool:
        """Whether ``observed`` is this object in every field that can be observed."""
        return type(self) is type(observed) and all(
            getattr(self, field) == getattr(observed, field)
            for field in self.__struct_fields__
            if field not in self.blind
        )


class Bridge(KernelObject):
    """A bridge of the host.  Its MAC is fixed, so that it does not follow the lowest MAC of its ports."""

    name: str
    mac: str
    mtu: int
    alias: str

    @property
    def key(self) -> Key:
        return ("link", None, self.name)


class Veth(KernelObject):
    """A veth pair: ``name`` on the host, ``peer_name`` in ``peer_ns``.  Both ends start down.

    ``master`` is the bridge that the host's end is a port of ('' for none).  An ``isolated`` port exchanges
    frames with the bridge itself only, never with another isolated port (bridge(8), 'isolated').  With ``hairpin`` the
    bridge may send a frame back to the port that it came from, as it must when a container calls its own
    published port and bridge netfilter translates the frame inside the bridge.
    """

    blind = frozenset({"peer_ns", "peer_name", "peer_mac"})

    name: str
    peer_ns: Namespace | None
    peer_name: str
    peer_mac: str
    mtu: int
    master: str
    alias: str
    isolated: bool = False
    hairpin: bool = False

    @property
    def key(self) -> Key:
        return ("link", None, self.name)


class Cable(KernelObject):
    """A veth pair both of whose ends are in containers (point to point, nothing on the host)."""

    left_ns: Namespace
    left_name: str
    left_mac: str
    right_ns: Namespace
    right_name: str
    right_mac: str
    mtu: int

    @property
    def key(self) -> Key:
        return ("cable", self.left_ns, self.left_name)

    @property
    def where(self) -> Namespace | None:
        return self.left_ns


class LinkUp(KernelObject):
    """The fact that an interface is up.

    With ``announce``, the MAC that the interface has is set once more after that.  The kernel then tells all
    neighbours which addresses are at that MAC (NETDEV_CHANGEADDR; sysctls ``arp_notify`` and ``ndisc_notify``).
    What it says at up itself is lost, because a bridge port forwards only some time after its peer has come up; this
    may be lost too, see ``operations.announcements``.
    """

    blind = frozenset({"announce"})

    name: str
    ns: Namespace | None = None
    announce: str | None = None

    @property
    def key(self) -> Key:
        return ("up", self.ns, self.name)


class InterfaceAddress(KernelObject):
    """An address on an interface, in interface form (``172.17.0.1/16``).  No duplicate address detection is done."""

    interface: str
    cidr: str
    ns: Namespace | None = None
    #: For a point-to-point address: the address of the other end.
    peer: str | None = None

    @property
    def key(self) -> Key:
        return ("address", self.ns, self.interface, self.cidr)


class Route(KernelObject):
    """A route; ``gateway`` None means that the destination is on the link itself."""

    destination: str
    interface: str
    gateway: str | None = None
    ns: Namespace | None = None
    metric: int = 0

    @property
    def key(self) -> Key:
        return ("route", self.ns, self.destination, self.metric)


class ProxyNeighbour(KernelObject):
    """The host answers neighbour solicitations for ``address`` on ``interface`` (ip-neighbour(8), 'proxy')."""

    address: str
    interface: str

    @property
    def key(self) -> Key:
        return ("proxy", None, self.interface, self.address)


class Sysctl(KernelObject):
    """A sysctl below ``net.``, in path form so that interface names may hold dots: ``net/ipv4/ip_forward``."""

    path: str
    value: str
    ns: Namespace | None = None
    #: Whether the kernel may lack it (a protocol compiled out); then setting it is left out silently.
    optional: bool = False

    blind = frozenset({"optional"})

    @property
    def key(self) -> Key:
        return ("sysctl", self.ns, self.path)


Family = Literal["inet", "bridge"]


class Table(KernelObject):
    """One of weft's two nftables tables: ``inet weft`` and ``bridge weft``, with their chains and empty sets.

    ``body`` is the table in nft(8)'s own language, written as ``nft --terse list table`` prints it; it holds nothing
    that anybody typed.  (It is not JSON because nft 1.0.6 cannot declare in JSON a map that leads to an address *and*
    a port, nor a set with a raw payload in its key.)  The elements of its sets are objects of their own (Element),
    because they come and go with containers while the table stays.
    """

    family: Family
    body: str

    @property
    def key(self) -> Key:
        return ("table", self.family)


class Element(KernelObject):
    """An element of a set or map of a table of weft's.

    ``value`` is () for a set; for a map it is what the key leads to.  ``comment`` says whose it is, for people
    who read ``nft list``; it does not take part in comparison.
    """

    blind = frozenset({"comment"})

    family: Family
    set: str
    match: tuple[str | int, ...]
    value: tuple[str | int, ...] = ()
    comment: str = ""

    @property
    def key(self) -> Key:
        return ("element", self.family, self.set, self.match)


#: Firewall managers that weft knows to live beside.
Manager = Literal["docker", "firewalld", "ufw"]


class Admission(KernelObject):
    """Another firewall on the host lets a bridge of weft's pass, through the hook that it documents for that.

    ``manager`` 'docker' is a pair of rules in the chain DOCKER-USER, 'firewalld' puts the bridge into the zone
    'trusted', 'ufw' is a pair of route rules and one of rules for the name servers.
    """

    manager: Manager
    interface: str

    @property
    def key(self) -> Key:
        return ("admission", self.manager, self.interface)


AnyObject = (
    Bridge | Veth | Cable | LinkUp | InterfaceAddress | Route | ProxyNeighbour | Sysctl | Table | Element | Admission
)

Objects = tuple[AnyObject, ...]
