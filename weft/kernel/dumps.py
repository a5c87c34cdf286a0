"""What rtnetlink(7) tells of links, addresses, routes and proxy neighbours, as small records."""

from __future__ import annotations

import struct
from typing import NamedTuple

from weft.kernel import attributes
from weft.kernel.netlink import BODY, NLM_F_DUMP, Socket, frame

_RTM_GETLINK, _RTM_GETADDR, _RTM_GETROUTE, _RTM_GETNEIGH = 18, 22, 26, 30

# struct ifinfomsg, ifaddrmsg, rtmsg and ndmsg (include/uapi/linux/rtnetlink.h, if_addr.h, neighbour.h).
_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBI")
_ROUTE = struct.Struct("=8BI")
_NEIGHBOUR = struct.Struct("=B3xiHBB")

_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_LINK, _IFLA_MASTER = 1, 3, 4, 5, 10
_IFLA_LINKINFO, _IFLA_IFALIAS, _IFLA_EXT_MASK = 18, 20, 29
_IFLA_INFO_KIND, _IFLA_INFO_SLAVE_KIND, _IFLA_INFO_SLAVE_DATA, _IFLA_BRPORT_MODE, _IFLA_BRPORT_ISOLATED = 1, 4, 5, 4, 33
_RTEXT_FILTER_SKIP_STATS = 8
_IFF_UP = 1
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY, _RTA_MULTIPATH, _RTA_TABLE = 1, 4, 5, 6, 9, 15
_NDA_DST, _NDA_PROTOCOL = 1, 12
_NTF_PROXY = 8
_AF_INET, _AF_INET6 = 2, 10
#: rtm_type of routes that forward.
UNICAST = 1
#: Those that send packets nowhere: RTN_BLACKHOLE, RTN_UNREACHABLE, RTN_PROHIBIT.
REJECTING = frozenset({6, 7, 8})
#: rtm_table of the main and of the local table.
MAIN, LOCAL = 254, 255
#: What the kernel gives an IPv6 route for which no metric is asked (IP6_RT_PRIO_USER).
DEFAULT_METRIC_6 = 1024


class Link(NamedTuple):
    """An interface.  ``master`` and ``peer`` are indexes (0 for none), the peer's in its own namespace."""

    ifindex: int
    name: str
    kind: str
    mac: str
    mtu: int
    up: bool
    master: int
    peer: int
    alias: str
    isolated: bool
    hairpin: bool


class Address(NamedTuple):
    """An address; ``peer`` is the other end of a point-to-point address or ''."""

    ifindex: int
    address: str
    prefixlen: int
    peer: str


class Route(NamedTuple):
    """A route; ``hops`` are interface index (0 for none) and gateway ('' for none) of each next hop."""

    destination: str
    table: int
    kind: int
    protocol: int
    metric: int
    hops: tuple[tuple[int, str], ...]


class Proxy(NamedTuple):
    """A proxy neighbour."""

    ifindex: int
    address: str
    protocol: int


def links(socket: Socket) -> list[Link]:
    """Return all interfaces."""
    return [_link(entry) for entry in socket.dump(frame(_RTM_GETLINK, NLM_F_DUMP, _LINK.pack(0, 0, 0, 0, 0) + _MASK))]


def link(socket: Socket, name: str) -> Link | None:
    """Return the interface of that name, None if there is none."""
    wanted = attributes.pack(_IFLA_IFNAME, name.encode() + b"\0")
    entry = socket.get(frame(_RTM_GETLINK, 0, _LINK.pack(0, 0, 0, 0, 0) + _MASK + wanted))
    return _link(entry) if entry else None


_MASK = attributes.pack(_IFLA_EXT_MASK, struct.pack("=I", _RTEXT_FILTER_SKIP_STATS))


def _link(entry: bytes) -> Link:
    _, _, index, flags, _ = _LINK.unpack_from(entry, BODY)
    found = attributes.read(entry, BODY + _LINK.size)
    info = attributes.read(found.get(_IFLA_LINKINFO, b""))
    bridge_port = attributes.text(info.get(_IFLA_INFO_SLAVE_KIND)) == "bridge"
    port = attributes.read(info.get(_IFLA_INFO_SLAVE_DATA, b"")) if bridge_port else {}
    return Link(
        ifindex=index,
        name=attributes.text(found.get(_IFLA_IFNAME)),
        kind=attributes.text(info.get(_IFLA_INFO_KIND)),
        mac=attributes.mac(found.get(_IFLA_ADDRESS)),
        mtu=attributes.u32(found.get(_IFLA_MTU)),
        up=bool(flags & _IFF_UP),
        master=attributes.u32(found.get(_IFLA_MASTER)),
        peer=attributes.u32(found.get(_IFLA_LINK)),
        alias=attributes.text(found.get(_IFLA_IFALIAS)),
        isolated=port.get(_IFLA_BRPORT_ISOLATED, b"\0") != b"\0",
        hairpin=port.get(_IFLA_BRPORT_MODE, b"\0") != b"\0",
    )


def addresses(socket: Socket) -> list[Address]:
    """Return all addresses of both families."""
    return [_address(entry) for entry in socket.dump(frame(_RTM_GETADDR, NLM_F_DUMP, _ADDRESS.pack(0, 0, 0, 0, 0)))]


def _address(entry: bytes) -> Address:
    _, prefixlen, _, _, index = _ADDRESS.unpack_from(entry, BODY)
    found = attributes.read(entry, BODY + _ADDRESS.size)
    # Without a peer IPv4 has both, alike, and IPv6 only IFA_ADDRESS (include/uapi/linux/if_addr.h).
    far = found[_IFA_ADDRESS]
    near = found.get(_IFA_LOCAL, far)
    return Address(index, attributes.address(near), prefixlen, "" if near == far else attributes.address(far))


def routes(socket: Socket) -> list[Route]:
    """Return the routes of all tables and both families."""
    request = [frame(_RTM_GETROUTE, NLM_F_DUMP, _ROUTE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)) for family in _FAMILIES]
    return [_route(entry) for message in request for entry in socket.dump(message)]


_FAMILIES = (_AF_INET, _AF_INET6)


def _route(entry: bytes) -> Route:
    family, length, _, _, table, protocol, _, kind, _ = _ROUTE.unpack_from(entry, BODY)
    found = attributes.read(entry, BODY + _ROUTE.size)
    destination = found.get(_RTA_DST, bytes(4 if family == _AF_INET else 16))
    metric = attributes.u32(found.get(_RTA_PRIORITY))
    if _RTA_MULTIPATH in found:
        hops = _hops(found[_RTA_MULTIPATH])
    else:
        hops = (_hop(attributes.u32(found.get(_RTA_OIF)), found),)
    return Route(
        destination=f"{attributes.address(destination)}/{length}",
        table=attributes.u32(found.get(_RTA_TABLE)) or table,
        kind=kind,
        protocol=protocol,
        metric=0 if family == _AF_INET6 and metric == DEFAULT_METRIC_6 else metric,
        hops=hops,
    )


def _hop(index: int, found: dict[int, bytes]) -> tuple[int, str]:
    gateway = found.get(_RTA_GATEWAY)
    return index, attributes.address(gateway) if gateway else ""


def _hops(data: bytes) -> tuple[tuple[int, str], ...]:
    # struct rtnexthop: length, flags, hops, interface index; then attributes.
    hops = []
    offset = 0
    while offset + 8 <= len(data):
        length, _, _, index = struct.unpack_from("=HBBi", data, offset)
        if length < 8:
            break
        hops.append(_hop(index, attributes.read(data[offset + 8 : offset + length])))
        offset += (length + 3) & ~3
    return tuple(hops)


def proxies(socket: Socket) -> list[Proxy]:
    """Return the proxy neighbours of both families."""
    request = [frame(_RTM_GETNEIGH, NLM_F_DUMP, _NEIGHBOUR.pack(family, 0, 0, _NTF_PROXY, 0)) for family in _FAMILIES]
    return [_proxy(entry) for message in request for entry in socket.dump(message)]


def _proxy(entry: bytes) -> Proxy:
    _, index, _, _, _ = _NEIGHBOUR.unpack_from(entry, BODY)
    found = attributes.read(entry, BODY + _NEIGHBOUR.size)
    return Proxy(index, attributes.address(found[_NDA_DST]), found.get(_NDA_PROTOCOL, b"\0")[0])
