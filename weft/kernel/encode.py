"""Objects as rtnetlink messages; pyroute2's message classes do the encoding.

``add``, ``remove`` and ``change`` return the requests for one object in the order in which they must be sent, none
when nothing is to be done.  They look up what they need in the place that the object is for, so whatever they
look for must stand there already.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Collection
from functools import singledispatch
from ipaddress import ip_interface, ip_network
from typing import Any, NamedTuple

from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg  # type: ignore[import-untyped]
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg  # type: ignore[import-untyped]
from pyroute2.netlink.rtnl.ndmsg import ndmsg  # type: ignore[import-untyped]
from pyroute2.netlink.rtnl.rtmsg import rtmsg  # type: ignore[import-untyped]

from weft.kernel import dumps
from weft.kernel.netlink import NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, encode
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
_RT_SCOPE_UNIVERSE, _RT_SCOPE_LINK, _RT_SCOPE_NOWHERE = 0, 253, 255
_IFF_UP = 1
_IFA_F_NODAD = 0x02
_NTF_PROXY = 0x08
_NUD_PERMANENT = 0x80
_NEW = NLM_F_CREATE | NLM_F_EXCL

Attributes = list[tuple[str, Any]]


class Request(NamedTuple):
    """A message, and the refusals of it that mean that there was nothing to do."""

    data: bytes
    nothing: Collection[int] = ()


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


def _link(
    kind: int, options: int, attributes: Attributes, nothing: Collection[int] = (), **header: int
) -> Request:
    message = ifinfmsg()
    for field, value in header.items():
        message[field] = value
    message["attrs"] = attributes
    return Request(encode(message, kind, options), nothing)


def _nested(*attributes: tuple[str, Any]) -> dict[str, Attributes]:
    return {"attrs": list(attributes)}


def _info(kind: str, *data: tuple[str, Any]) -> tuple[str, Any]:
    inner: Attributes = [("IFLA_INFO_KIND", kind)]
    if data:
        inner.append(("IFLA_INFO_DATA", _nested(*data)))
    return "IFLA_LINKINFO", _nested(*inner)


def _bridge_port(thing: Veth) -> tuple[str, Any]:
    flags = _nested(("IFLA_BRPORT_ISOLATED", int(thing.isolated)), ("IFLA_BRPORT_MODE", int(thing.hairpin)))
    return "IFLA_LINKINFO", _nested(("IFLA_INFO_SLAVE_KIND", "bridge"), ("IFLA_INFO_SLAVE_DATA", flags))


def discard(name: str) -> Request:
    """Return what deletes the interface ``name``, whosever it is."""
    return _link(_RTM_DELLINK, 0, [("IFLA_IFNAME", name)], nothing=(errno.ENODEV,))


def nameless(name: str) -> Request:
    """Return what takes the alias of the interface ``name`` away."""
    return _link(_RTM_NEWLINK, 0, [("IFLA_IFNAME", name), ("IFLA_IFALIAS", "")], nothing=(errno.ENODEV,))


@add.register
def _(thing: Bridge, place: Place) -> list[Request]:
    wanted: Attributes = [("IFLA_IFNAME", thing.name), ("IFLA_ADDRESS", thing.mac), _info("bridge")]
    # The kernel ignores an alias in the message that creates (rtnl_create_link() in net/core/rtnetlink.c).  An MTU
    # it takes there, but only one that is set later keeps the bridge from following its ports' (br_change_mtu()).
    named: Attributes = [("IFLA_IFNAME", thing.name), ("IFLA_IFALIAS", thing.alias), ("IFLA_MTU", thing.mtu)]
    return [_link(_RTM_NEWLINK, _NEW, wanted), _link(_RTM_NEWLINK, 0, named)]


@change.register
def _(old: Bridge, new: KernelObject, place: Place) -> list[Request]:
    if not isinstance(new, Bridge):
        return [*remove(old, place), *add(new, place)]
    wanted: Attributes = [
        ("IFLA_IFNAME", new.name),
        ("IFLA_ADDRESS", new.mac),
        ("IFLA_MTU", new.mtu),
        ("IFLA_IFALIAS", new.alias),
    ]
    return [_link(_RTM_NEWLINK, 0, wanted)]


@add.register
def _(thing: Veth, place: Place) -> list[Request]:
    peer: Attributes = [("IFLA_IFNAME", thing.peer_name), ("IFLA_MTU", thing.mtu)]
    if thing.peer_mac:
        peer.append(("IFLA_ADDRESS", thing.peer_mac))
    if thing.peer_ns:
        peer.append(("IFLA_NET_NS_FD", place.visits.descriptor(thing.peer_ns)))
    wanted: Attributes = [("IFLA_IFNAME", thing.name), ("IFLA_MTU", thing.mtu)]
    if thing.master:
        wanted.append(("IFLA_MASTER", place.index(thing.master)))
    wanted.append(_info("veth", ("VETH_INFO_PEER", _nested(*peer))))
    named: Attributes = [("IFLA_IFNAME", thing.name), ("IFLA_IFALIAS", thing.alias)]
    if thing.isolated or thing.hairpin:
        named.append(_bridge_port(thing))
    return [_link(_RTM_NEWLINK, _NEW, wanted), _link(_RTM_NEWLINK, 0, named)]


@change.register
def _(old: Veth, new: KernelObject, place: Place) -> list[Request]:
    if not isinstance(new, Veth):
        return [*remove(old, place), *add(new, place)]
    wanted: Attributes = [
        ("IFLA_IFNAME", new.name),
        ("IFLA_MTU", new.mtu),
        ("IFLA_IFALIAS", new.alias),
        ("IFLA_MASTER", place.index(new.master) if new.master else 0),
    ]
    requests = [_link(_RTM_NEWLINK, 0, wanted)]
    if new.master:
        requests.append(_link(_RTM_NEWLINK, 0, [("IFLA_IFNAME", new.name), _bridge_port(new)]))
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
    peer = _nested(
        ("IFLA_IFNAME", thing.right_name),
        ("IFLA_ADDRESS", thing.right_mac),
        ("IFLA_MTU", thing.mtu),
        ("IFLA_NET_NS_FD", place.visits.descriptor(thing.right_ns)),
    )
    wanted: Attributes = [
        ("IFLA_IFNAME", thing.left_name),
        ("IFLA_ADDRESS", thing.left_mac),
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
    if place.is_up(thing.name):
        return []
    requests = [_link(_RTM_NEWLINK, 0, [("IFLA_IFNAME", thing.name)], flags=_IFF_UP, change=_IFF_UP)]
    if thing.announce:
        requests.append(_link(_RTM_NEWLINK, 0, [("IFLA_IFNAME", thing.name), ("IFLA_ADDRESS", thing.announce)]))
    return requests


@remove.register
def _(thing: LinkUp, place: Place) -> list[Request]:
    if not place.has(thing.name):
        return []
    return [_link(_RTM_NEWLINK, 0, [("IFLA_IFNAME", thing.name)], (errno.ENODEV,), flags=0, change=_IFF_UP)]


# --- addresses ----------------------------------------------------------------------------------------------------


def _address(thing: InterfaceAddress, index: int, kind: int, flags: int, nothing: Collection[int]) -> Request:
    interface = ip_interface(thing.cidr)
    message = ifaddrmsg()
    message["family"] = _family(interface.version)
    message["prefixlen"] = interface.network.prefixlen
    message["index"] = index
    if interface.version == 6:
        message["flags"] = _IFA_F_NODAD
    local = str(interface.ip)
    message["attrs"] = [("IFA_LOCAL", local), ("IFA_ADDRESS", thing.peer or local)]
    return Request(encode(message, kind, flags), nothing)


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


def _route(thing: Route, index: int, kind: int, flags: int, nothing: Collection[int] = ()) -> Request:
    destination = ip_network(thing.destination)
    message = rtmsg()
    message["family"] = _family(destination.version)
    message["dst_len"] = destination.prefixlen
    message["table"] = dumps.MAIN
    message["proto"] = PROTOCOL
    message["type"] = dumps.UNICAST
    message["scope"] = _RT_SCOPE_UNIVERSE if thing.gateway or destination.version == 6 else _RT_SCOPE_LINK
    attributes: Attributes = [("RTA_OIF", index)]
    if destination.prefixlen:
        attributes.append(("RTA_DST", str(destination.network_address)))
    if thing.gateway:
        attributes.append(("RTA_GATEWAY", thing.gateway))
    if thing.metric:
        attributes.append(("RTA_PRIORITY", thing.metric))
    message["attrs"] = attributes
    return Request(encode(message, kind, flags), nothing)


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


def _proxy(thing: ProxyNeighbour, index: int, kind: int, flags: int, nothing: Collection[int] = ()) -> Request:
    message = ndmsg()
    message["family"] = int(socket.AF_INET6 if ":" in thing.address else socket.AF_INET)
    message["ifindex"] = index
    message["state"] = _NUD_PERMANENT
    message["flags"] = _NTF_PROXY
    message["attrs"] = [("NDA_DST", thing.address), ("NDA_PROTOCOL", PROTOCOL)]
    return Request(encode(message, kind, flags), nothing)


@add.register
def _(thing: ProxyNeighbour, place: Place) -> list[Request]:
    return [_proxy(thing, place.index(thing.interface), _RTM_NEWNEIGH, NLM_F_CREATE)]


@remove.register
def _(thing: ProxyNeighbour, place: Place) -> list[Request]:
    if not place.has(thing.interface):
        return []
    return [_proxy(thing, place.index(thing.interface), _RTM_DELNEIGH, 0, (errno.ENOENT, errno.ENODEV))]
