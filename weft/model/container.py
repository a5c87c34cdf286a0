"""Containers and the endpoints by which they are on networks."""

from __future__ import annotations

from typing import Literal

from weft.model.base import Record
from weft.model.ports import ExposedPort, PortRequest, PublishedPort

#: How a container's network namespace comes about.
#:   private    its own, with endpoints on zero or more networks
#:   host       the host's
#:   none       its own, with nothing but lo (networks may be connected later)
#:   container  that of another container
Mode = Literal["private", "host", "none", "container"]
State = Literal["created", "running", "exited"]
EndpointState = Literal["attaching", "attached", "detaching"]


class Wish(Record):
    """What a container wants of one network, kept so that it gets it again at its next start."""

    network_id: str
    ip: str | None = None
    ip6: str | None = None
    mac: str | None = None
    aliases: tuple[str, ...] = ()
    #: Name of the interface inside the container; None: the next free ethN.
    interface: str | None = None


class Link(Record):
    """``--link``: ``target_id`` is known to the receiver as ``alias``."""

    target_id: str
    alias: str


class Namespace(Record):
    """Which network namespace a container lives in.

    ``path`` can be opened to reach it; ``inode`` is the namespace's inode number on nsfs, which tells whether
    the path still leads to the same one (a pid can be given to another process, a name to another namespace).
    ``owned`` says that weft made it and removes it.
    """

    path: str
    inode: int
    owned: bool = False


class Container(Record):
    """A container that weft knows: one of its own sandboxes or a namespace that somebody else made."""

    id: str
    name: str
    mode: Mode = "private"
    #: For mode 'container': whose namespace is shared.
    peer_id: str | None = None
    state: State = "created"
    #: None while there is no namespace (not started, exited, mode host).
    namespace: Namespace | None = None
    #: True for 'weft run': weft starts and ends the process.  False for 'weft attach'.
    managed: bool = True
    wishes: tuple[Wish, ...] = ()
    hostname: str = ""
    command: tuple[str, ...] = ()
    env: dict[str, str] = {}
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    exposed: tuple[ExposedPort, ...] = ()
    publish: tuple[PortRequest, ...] = ()
    publish_all: bool = False
    links: tuple[Link, ...] = ()
    auto_remove: bool = False
    tty: bool = False
    stdin: bool = False
    #: Host pid of the first process of the sandbox, 0 if none runs.
    pid: int = 0
    exit_code: int | None = None
    created: str = ""
    started: str = ""
    finished: str = ""


class Address(Record):
    """One address of an endpoint with the length of its subnet, and the gateway of that subnet."""

    address: str
    prefixlen: int
    gateway: str | None = None

    @property
    def cidr(self) -> str:
        return f"{self.address}/{self.prefixlen}"

    @property
    def version(self) -> int:
        return 6 if ":" in self.address else 4


class Endpoint(Record):
    """One container on one network: the record that holds its addresses for as long as it lives.

    There is no lease beside it: an address is taken exactly while an endpoint record carries it.
    """

    id: str
    network_id: str
    container_id: str
    state: EndpointState = "attaching"
    #: Name inside the container, and of the other end on the host.
    interface: str = "eth0"
    port: str = ""
    mac: str = ""
    addresses: tuple[Address, ...] = ()
    aliases: tuple[str, ...] = ()
    #: Whether the container's default routes leave through this endpoint.  One endpoint of a container at most.
    gateway: bool = False
    #: Ports published through this endpoint (only ever on the gateway endpoint).
    ports: tuple[PublishedPort, ...] = ()
    #: For the ptp driver: the endpoint at the other end of the cable.
    peer_id: str | None = None

    def address(self, version: int) -> Address | None:
        """Return the endpoint's address of the IP version (4 or 6), None if it has none."""
        return next((address for address in self.addresses if address.version == version), None)
