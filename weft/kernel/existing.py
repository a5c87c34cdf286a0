"""What to make of something that is there already under the name that an object wants."""

from __future__ import annotations

import socket
from functools import singledispatch
from ipaddress import ip_network

from weft.kernel import dumps, namespaces
from weft.kernel.place import Place
from weft.model.container import Namespace
from weft.model.errors import InterfaceTaken, RouteTaken
from weft.plan import commands
from weft.plan.objects import PROTOCOL, Bridge, Cable, KernelObject, Route, Veth


@singledispatch
def is_same(thing: KernelObject, place: Place) -> bool:
    """Whether the interface that bears the name of ``thing`` is ``thing`` already."""
    raise TypeError(f"{thing!r} is not an interface")


@is_same.register
def _(thing: Bridge, place: Place) -> bool:
    link = dumps.link(place.socket, thing.name)
    return link is not None and (link.kind, link.mac, link.mtu, link.alias) == (
        "bridge",
        thing.mac,
        thing.mtu,
        thing.alias,
    )


@is_same.register
def _(thing: Veth, place: Place) -> bool:
    link = dumps.link(place.socket, thing.name)
    if link is None or (link.kind, link.mtu, link.alias) != ("veth", thing.mtu, thing.alias):
        return False
    master = place.index(thing.master) if thing.master else 0
    if (link.master, link.isolated, link.hairpin) != (master, thing.isolated, thing.hairpin):
        return False
    return _index_in(place, thing.peer_ns, thing.peer_name) == link.peer


@is_same.register
def _(thing: Cable, place: Place) -> bool:
    link = dumps.link(place.socket, thing.left_name)
    if link is None or (link.kind, link.mac, link.mtu) != ("veth", thing.left_mac, thing.mtu):
        return False
    return _index_in(place, thing.right_ns, thing.right_name) == link.peer


def _index_in(place: Place, namespace: Namespace | None, name: str) -> int | None:
    """Return the index of an interface in a container's namespace (None: in this place), None if it is not there."""
    try:
        if namespace is None:
            return place.index(name)
        return namespaces.in_namespace(place.visits.descriptor(namespace), lambda: socket.if_nametoindex(name))
    except OSError:
        return None


def taken(thing: Bridge | Veth | Cable, place: Place) -> InterfaceTaken:
    """Return the error that says which of the names of ``thing`` is taken, and where."""
    near = thing.left_name if isinstance(thing, Cable) else thing.name
    if isinstance(thing, Bridge) or place.has(near):
        name, where = near, thing.where
    elif isinstance(thing, Veth):
        name, where = thing.peer_name, thing.peer_ns
    else:
        name, where = thing.right_name, thing.right_ns
    return InterfaceTaken(
        f"an interface named {name} exists already in {where.path if where else 'the host'}",
        interface=name,
        command="; ".join(commands.add(thing)),
    )


def displaced(thing: Route, place: Place) -> Route:
    """Return the route of weft's that stands where ``thing`` has to go.

    Raises RouteTaken when it is somebody else's: that one is not ours to replace.
    """
    wanted = str(ip_network(thing.destination))
    for route in dumps.routes(place.socket):
        same = (route.destination, route.table, route.metric) == (wanted, dumps.MAIN, thing.metric)
        if same and route.protocol == PROTOCOL and len(route.hops) == 1:
            index, gateway = route.hops[0]
            return Route(
                destination=thing.destination,
                interface=place.name(index),
                gateway=gateway or None,
                ns=thing.ns,
                metric=thing.metric,
            )
    raise RouteTaken(
        f"there is a route to {thing.destination} in {thing.ns.path if thing.ns else 'the host'} that weft did not add",
        command="; ".join(commands.add(thing)),
    )
