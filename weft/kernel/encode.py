"""Objects as rtnetlink messages; pyroute2 does the encoding (messages.py).

``add``, ``remove`` and ``change`` return the requests for one object in the order in which they must be sent, none
when nothing is to be done.  They look up what they need in the place that the object is for, so whatever they
look for must stand there already.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Collection
from functools import singledispatch
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any, NamedTuple

from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg  # type: ignore[import-untyped]
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg  # type: ignore[import-untyped]
from pyroute2.netlink.rtnl.ndmsg import ndmsg  # type: ignore[import-untyped]
from pyroute2.netlink.rtnl.rtmsg import rtmsg  # type: ignore[import-untyped]

from weft.kernel import dumps
from weft.kernel.attributes import nest, pack
from weft.kernel.messages import Attributes, Ip, Mac, Number, Text, encode, nested
from weft.kernel.netlink import NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE
from weft.kernel.place import Place
from weft.plan.objects import (
    PROTOCOL,
    Bridge,
    Cable,
    InterfaceAddress,
    KernelObject,
    LinkUp,
    ProxyNeighbour,
    Route,
    Veth,
)

# include/uapi/linux/rtnetlink.h
_RTM_NEWLINK, _RTM_DELLINK = 16, 17
_RTM_NEWADDR, _RTM_DELADDR = 20, 21
_RTM_NEWROUTE, _RTM_DELROUTE = 24, 25
_RTM_NEWNEIGH, _RTM_DELNEIGH = 28, 29
# include/uapi/linux/if_link.h and if_bridge.h
_IFLA_LINKINFO, _IFLA_INFO_KIND, _IFLA_INFO_DATA, _IFLA_BR_MULTI_BOOLOPT = 18, 1, 2, 46
_NO_LL_LEARN = 1 << 0
_RT_SCOPE_UNIVERSE, _RT_SCOPE_LINK, _RT_SCOPE_NOWHERE = 0, 253, 255
_IFF_UP = 1
_IFA_F_NODAD = 0x02
_NTF_PROXY = 0x08
_NUD_PERMANENT = 0x80
_NEW = NLM_F_CREATE | NLM_F_EXCL


class Request(NamedTuple):
    """A message, the refusals of it that mean that there was nothing to do, and whether it leaves anything to undo."""

    data: bytes
    nothing: Collection[int] = ()
    lasting: bool = True


@singledispatch
def add(thing: KernelObject, place: Place) -> list[Request]:
    """Return what brings ``thing`` into being."""
    raise TypeError(f"{thing!r} is not made by rtnetlink")


@singledispatch
def remove(thing: KernelObject, place: Place) -> list[Request]:
    """Return what takes ``thing`` away."""
    raise TypeError(f"{thing!r} is not made by rtnetlink")


@singledispatch
def change(old: KernelObject, new: KernelObject, place: Place) -> list[Request]:
    """Return what turns ``old`` into ``new``."""
    return [*remove(old, place), *add(new, place)]


# --- links ------------------------------------------------------------------------------------------------------


def _link(kind: int, options: int, attributes: Attributes, nothing: Collection[int] = (), **header: int) -> Request:
    return Request(encode(ifinfmsg, kind, options, header, attributes), nothing)


def _info(kind: str, *data: tuple[str, Any]) -> tuple[str, Any]:
    inner = (("IFLA_INFO_DATA", nested(*data)),) if data else ()
    return "IFLA_LINKINFO", nested(("IFLA_INFO_KIND", kind), *inner)


def _bridge_port(thing: Veth) -> tuple[str, Any]:
    flags = nested(("IFLA_BRPORT_ISOLATED", int(thing.isolated)), ("IFLA_BRPORT_MODE", int(thing.hairpin)))
    return "IFLA_LINKINFO", nested(("IFLA_INFO_SLAVE_KIND", "bridge"), ("IFLA_INFO_SLAVE_DATA", flags))


def _deaf_bridge(request: Request) -> Request:
    """Return ``request`` with the setting by which a bridge learns nothing from frames that it does not forward.

    Frames to the groups of bridges (LLDP and the like) pass no guard, but the bridge would believe their sender to be
    at the port they came by: one in a neighbour's name, and what is sent to him goes to the forger (net/bridge/
    br_input.c, __br_handle_local_finish).  pyroute2 has no name for the setting, a flag in struct br_boolopt_multi.
    """
    setting = pack(_IFLA_BR_MULTI_BOOLOPT, struct.pack("=II", _NO_LL_LEARN, _NO_LL_LEARN))
    kind = pack(_IFLA_INFO_KIND, b"bridge\0")
    data = request.data + nest(_IFLA_LINKINFO, kind, nest(_IFLA_INFO_DATA, setting))
    return request._replace(data=struct.pack("=I", len(data)) + data[4:])


def discard(name: str) -> Request:
    """Return what deletes the interface ``name``, whosever it is."""
    return _link(_RTM_DELLINK, 0, [("IFLA_IFNAME", Text(name))], nothing=(errno.ENODEV,))


def nameless(name: str) -> Request:
    """Return what takes the alias of the interface ``name`` away."""
    return _link(_RTM_NEWLINK, 0, [("IFLA_IFNAME", Text(name)), ("IFLA_IFALIAS", "")], nothing=(errno.ENODEV,))


@add.register
def _(thing: Bridge, place: Place) -> list[Request]:
    wanted = [("IFLA_IFNAME", Text(thing.name)), ("IFLA_ADDRESS", Mac(thing.mac)), _info("bridge")]
    # The kernel ignores an alias in the message that creates (rtnl_create_link() in net/core/rtnetlink.c).  An MTU
    # it takes there, but only one that is set later keeps the bridge from following its ports' (br_change_mtu()).
    named = [("IFLA_IFNAME", Text(thing.name)), ("IFLA_IFALIAS", Text(thing.alias)), ("IFLA_MTU", thing.mtu)]
    return [_link(_RTM_NEWLINK, _NEW, wanted), _deaf_bridge(_link(_RTM_NEWLINK, 0, named))]


@change.register
def _(old: Bridge, new: KernelObject, place: Place) -> list[Request]:
    if not isinstance(new, Bridge):
        return [*remove(old, place), *add(new, place)]
    wanted = [
        ("IFLA_IFNAME", Text(new.name)),
        ("IFLA_ADDRESS", Mac(new.mac)),
        ("IFLA_MTU", new.mtu),
        ("IFLA_IFALIAS", Text(new.alias)),
    ]
    return [_deaf_bridge(_link(_RTM_NEWLINK, 0, wanted))]


@add.register
def _(thing: Veth, place: Place) -> list[Request]:
    peer = [("IFLA_IFNAME", Text(thing.peer_name)), ("IFLA_MTU", thing.mtu)]
    if thing.peer_mac:
        peer.append(("IFLA_ADDRESS", Mac(thing.peer_mac)))
    if thing.peer_ns:
        peer.append(("IFLA_NET_NS_FD", Number(place.visits.descriptor(thing.peer_ns))))
    wanted = [("IFLA_IFNAME", Text(thing.name)), ("IFLA_MTU", thing.mtu)]
    if thing.master:
        wanted.append(("IFLA_MASTER", Number(place.index(thing.master))))
    wanted.append(_info("veth", ("VETH_INFO_PEER", nested(*peer))))
    named = [("IFLA_IFNAME", Text(thing.name)), ("IFLA_IFALIAS", Text(thing.alias))]
    if thing.isolated or thing.hairpin:
        named.append(_bridge_port(thing))
    return [_link(_RTM_NEWLINK, _NEW, wanted), _link(_RTM_NEWLINK, 0, named)]


@change.register
def _(old: Veth, new: KernelObject, place: Place) -> list[Request]:
    if not isinstance(new, Veth):
        return [*remove(old, place), *add(new, place)]
    wanted = [
        ("IFLA_IFNAME", Text(new.name)),
        ("IFLA_MTU", new.mtu),
        ("IFLA_IFALIAS", Text(new.alias)),
        ("IFLA_MASTER", Number(place.index(new.master) if new.master else 0)),
    ]
    requests = [_link(_RTM_NEWLINK, 0, wanted)]
    if new.master:
        requests.append(_link(_RTM_NEWLINK, 0, [("IFLA_IFNAME", Text(new.name)), _bridge_port(new)]))
    return requests


@remove.register(Bridge)
@remove.register(Veth)
def _(thing: Bridge | Veth, place: Place) -> list[Request]:
    # An interface of the same name that somebody else made meanwhile is not ours to delete.
    present = dumps.link(place.socket, thing.name)
    if present is None or present.alias != thing.alias:
        return []
    return [_link(_RTM_DELLINK, 0, [], nothing=(errno.ENODEV,), index=present.ifindex)]


@add.register
def _(thing: Cable, place: Place) -> list[Request]:
    peer = nested(
        ("IFLA_IFNAME", Text(thing.right_name)),
        ("IFLA_ADDRESS", Mac(thing.right_mac)),
        ("IFLA_MTU", thing.mtu),
        ("IFLA_NET_NS_FD", Number(place.visits.descriptor(thing.right_ns))),
    )
    wanted = [
        ("IFLA_IFNAME", Text(thing.left_name)),
        ("IFLA_ADDRESS", Mac(thing.left_mac)),
        ("IFLA_MTU", thing.mtu),
        _info("veth", ("VETH_INFO_PEER", peer)),
    ]
    return [_link(_RTM_NEWLINK, _NEW, wanted)]


@remove.register
def _(thing: Cable, place: Place) -> list[Request]:
    present = dumps.link(place.socket, thing.left_name)
    if present is None or (present.kind, present.mac) != ("veth", thing.left_mac):
        return []
    return [_link(_RTM_DELLINK, 0, [], nothing=(errno.ENODEV,), index=present.ifindex)]


@add.register
def _(thing: LinkUp, place: Place) -> list[Request]:
    up = _link(_RTM_NEWLINK, 0, [("IFLA_IFNAME", Text(thing.name))], flags=_IFF_UP, change=_IFF_UP)
    requests = [] if place.is_up(thing.name) else [up]
    if thing.announce:
        again = [("IFLA_IFNAME", Text(thing.name)), ("IFLA_ADDRESS", Mac(thing.announce))]
        requests.append(_link(_RTM_NEWLINK, 0, again)._replace(lasting=False))
    return requests


@remove.register
def _(thing: LinkUp, place: Place) -> list[Request]:
    if not place.has(thing.name):
        return []
    return [_link(_RTM_NEWLINK, 0, [("IFLA_IFNAME", Text(thing.name))], (errno.ENODEV,), flags=0, change=_IFF_UP)]


# --- addresses ----------------------------------------------------------------------------------------------------


def _address(thing: InterfaceAddress, index: int, kind: int, options: int, nothing: Collection[int]) -> Request:
    interface = ip_interface(thing.cidr)
    header = {
        "family": _family(interface.version),
        "prefixlen": interface.network.prefixlen,
        "index": index,
        "flags": _IFA_F_NODAD if interface.version == 6 else 0,
    }
    local = Ip(interface.ip)
    attributes = [("IFA_LOCAL", local), ("IFA_ADDRESS", Ip(thing.peer) if thing.peer else local)]
    return Request(encode(ifaddrmsg, kind, options, header, attributes), nothing)


@add.register
def _(thing: InterfaceAddress, place: Place) -> list[Request]:
    return [_address(thing, place.index(thing.interface), _RTM_NEWADDR, _NEW, (errno.EEXIST,))]


@remove.register
def _(thing: InterfaceAddress, place: Place) -> list[Request]:
    if not place.has(thing.interface):
        return []
    return [_address(thing, place.index(thing.interface), _RTM_DELADDR, 0, (errno.EADDRNOTAVAIL, errno.ENODEV))]


def _family(version: int) -> int:
    return int(socket.AF_INET if version == 4 else socket.AF_INET6)


# --- routes ---------------------------------------------------------------------------------------------------------


def _route(thing: Route, index: int, kind: int, options: int, nothing: Collection[int] = ()) -> Request:
    destination = ip_network(thing.destination)
    header = {
        "family": _family(destination.version),
        "dst_len": destination.prefixlen,
        "table": dumps.MAIN,
        "proto": PROTOCOL,
        "type": dumps.UNICAST,
        "scope": _RT_SCOPE_UNIVERSE if thing.gateway or destination.version == 6 else _RT_SCOPE_LINK,
    }
    attributes: list[tuple[str, Any]] = [("RTA_OIF", Number(index))]
    if destination.prefixlen:
        attributes.append(("RTA_DST", Ip(destination.network_address)))
    if thing.gateway:
        attributes.append(("RTA_GATEWAY", Ip(thing.gateway)))
    if thing.metric:
        attributes.append(("RTA_PRIORITY", Number(thing.metric)))
    return Request(encode(rtmsg, kind, options, header, attributes), nothing)


@add.register
def _(thing: Route, place: Place) -> list[Request]:
    return [_route(thing, place.index(thing.interface), _RTM_NEWROUTE, _NEW)]


@change.register
def _(old: Route, new: KernelObject, place: Place) -> list[Request]:
    assert isinstance(new, Route)
    return [_route(new, place.index(new.interface), _RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE)]


@remove.register
def _(thing: Route, place: Place) -> list[Request]:
    if not place.has(thing.interface):
        return []  # a route goes with its interface
    # The protocol number is part of the request, so a route that somebody else put there stays.
    return [_route(thing, place.index(thing.interface), _RTM_DELROUTE, 0, (errno.ESRCH, errno.ENODEV))]


# --- proxy neighbours -------------------------------------------------------------------------------------------------


def _proxy(thing: ProxyNeighbour, index: int, kind: int, options: int, nothing: Collection[int] = ()) -> Request:
    header = {
        "family": _family(ip_address(thing.address).version),
        "ifindex": index,
        "state": _NUD_PERMANENT,
        "flags": _NTF_PROXY,
    }
    attributes = [("NDA_DST", Ip(thing.address)), ("NDA_PROTOCOL", PROTOCOL)]
    return Request(encode(ndmsg, kind, options, header, attributes), nothing)


@add.register
def _(thing: ProxyNeighbour, place: Place) -> list[Request]:
    return [_proxy(thing, place.index(thing.interface), _RTM_NEWNEIGH, NLM_F_CREATE)]


@remove.register
def _(thing: ProxyNeighbour, place: Place) -> list[Request]:
    if not place.has(thing.interface):
        return []
    return [_proxy(thing, place.index(thing.interface), _RTM_DELNEIGH, 0, (errno.ENOENT, errno.ENODEV))]
