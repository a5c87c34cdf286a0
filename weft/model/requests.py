"""What the API takes: one record for each request.

They carry names as people type them; the agent resolves those to records.  Fields that are absent keep the
host's default, which is why switches are three-valued here.
"""

from __future__ import annotations

from weft.model.base import Record
from weft.model.network import Driver


class CreateNetwork(Record):
    """``weft network create``."""

    name: str
    driver: Driver = "bridge"
    subnets: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    ip_ranges: tuple[str, ...] = ()
    ipv6: bool = False
    internal: bool = False
    icc: bool | None = None
    masquerade: bool | None = None
    ip_forward: bool | None = None
    filter: bool | None = None
    mtu: int | None = None
    bridge: str | None = None
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    bind: str | None = None
    options: dict[str, str] = {}
    labels: dict[str, str] = {}


class Connect(Record):
    """``weft network connect``: ``container`` by name or id."""

    container: str
    ip: str | None = None
    ip6: str | None = None
    mac: str | None = None
    aliases: tuple[str, ...] = ()
    interface: str | None = None


class Disconnect(Record):
    """``weft network disconnect``."""

    container: str


class Common(Record):
    """What ``weft run`` and ``weft attach`` have in common.

    ``networks`` are names of networks, or 'host', 'none', 'container:NAME' (alone).  ``ip``, ``ip6``, ``mac``,
    ``aliases`` and ``interface`` are for the first network.  ``links`` are 'NAME' or 'NAME:ALIAS'.
    """

    name: str | None = None
    networks: tuple[str, ...] = ()
    ip: str | None = None
    ip6: str | None = None
    mac: str | None = None
    aliases: tuple[str, ...] = ()
    interface: str | None = None
    publish: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()


class Run(Common):
    """``weft run``."""

    command: tuple[str, ...] = ()
    publish_all: bool = False
    hostname: str | None = None
    env: dict[str, str] = {}
    auto_remove: bool = False
    tty: bool = False
    stdin: bool = False


class Attach(Common):
    """``weft attach``: a namespace that somebody else made, by ``pid`` or by ``netns`` (a path)."""

    pid: int | None = None
    netns: str | None = None


class Cable(Record):
    """``weft cable``: two containers by name, each with an address or None for one that weft picks."""

    left: str
    right: str
    left_ip: str | None = None
    right_ip: str | None = None
