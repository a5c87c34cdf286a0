"""Objects as the commands that a person would type: ``ip``, ``bridge``, ``nft``, ``sysctl``.

These lines are printed by ``weft plan``, ``--dry-run`` and the log.  They are never run by weft, but they can be
pasted into a root shell and do the same thing.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from functools import singledispatch

from weft.model.container import Namespace
from weft.model.ports import PROTOCOLS
from weft.plan import ufw
from weft.plan.objects import (
    PROTOCOL,
    Admission,
    Bridge,
    Cable,
    Element,
    InterfaceAddress,
    KernelObject,
    LinkUp,
    ProxyNeighbour,
    Route,
    Sysctl,
    Table,
    Veth,
)

Commands = tuple[str, ...]


@singledispatch
def add(thing: KernelObject) -> Commands:
    """Return the commands that bring ``thing`` into being."""
    raise TypeError(f"no command adds {thing!r}")


@singledispatch
def remove(thing: KernelObject) -> Commands:
    """Return the commands that take ``thing`` away."""
    raise TypeError(f"no command removes {thing!r}")


@singledispatch
def change(old: KernelObject, new: KernelObject) -> Commands:
    """Return the commands that turn ``old`` into ``new``."""
    return (*remove(old), *add(new))


def _line(*words: object) -> str:
    return shlex.join(str(word) for word in words)


def _inside(ns: Namespace | None, *words: object) -> str:
    return _line(*words) if ns is None else _line("nsenter", f"--net={ns.path}", *words)


def _switch(on: bool) -> str:
    return "on" if on else "off"


def _family(address: str) -> tuple[str, ...]:
    return ("-6",) if ":" in address else ()


# --- links ----------------------------------------------------------------------------------------------------


@add.register
def _(thing: Bridge) -> Commands:
    kind = ("type", "bridge", "no_linklocal_learn", 1)
    return (
        _line("ip", "link", "add", thing.name, "address", thing.mac, "mtu", thing.mtu, *kind),
        _line("ip", "link", "set", thing.name, "alias", thing.alias),
    )


@change.register
def _(old: Bridge, new: KernelObject) -> Commands:
    assert isinstance(new, Bridge)
    return (_line("ip", "link", "set", new.name, "address", new.mac, "mtu", new.mtu, "alias", new.alias),)


@add.register
def _(thing: Veth) -> Commands:
    place = ("netns", thing.peer_ns.path) if thing.peer_ns else ()
    master = ("master", thing.master) if thing.master else ()
    lines = [
        _line(
            "ip", "link", "add", thing.name, "mtu", thing.mtu, *master, "type", "veth",
            "peer", "name", thing.peer_name, "address", thing.peer_mac, "mtu", thing.mtu, *place,
        ),
        _line("ip", "link", "set", thing.name, "alias", thing.alias),
    ]  # fmt: skip
    for flag in ("isolated", "hairpin"):
        if getattr(thing, flag):
            lines.append(_line("bridge", "link", "set", "dev", thing.name, flag, "on"))
    return tuple(lines)


@change.register
def _(old: Veth, new: KernelObject) -> Commands:
    assert isinstance(new, Veth)
    master = ("master", new.master) if new.master else ("nomaster",)
    lines = [_line("ip", "link", "set", new.name, "mtu", new.mtu, *master, "alias", new.alias)]
    if new.master:
        flags = ("isolated", _switch(new.isolated), "hairpin", _switch(new.hairpin))
        lines.append(_line("bridge", "link", "set", "dev", new.name, *flags))
    return tuple(lines)


@remove.register(Bridge)
@remove.register(Veth)
def _(thing: Bridge | Veth) -> Commands:
    return (_line("ip", "link", "delete", thing.name),)


@add.register
def _(thing: Cable) -> Commands:
    return (
        _inside(
            thing.left_ns, "ip", "link", "add", thing.left_name, "address", thing.left_mac, "mtu", thing.mtu,
            "type", "veth", "peer", "name", thing.right_name, "address", thing.right_mac, "mtu", thing.mtu,
            "netns", thing.right_ns.path,
        ),
    )  # fmt: skip


@remove.register
def _(thing: Cable) -> Commands:
    return (_inside(thing.left_ns, "ip", "link", "delete", thing.left_name),)


@add.register
def _(thing: LinkUp) -> Commands:
    lines = [_inside(thing.ns, "ip", "link", "set", thing.name, "up")]
    if thing.announce:
        lines.append(_inside(thing.ns, "ip", "link", "set", thing.name, "address", thing.announce))
    return tuple(lines)


@remove.register
def _(thing: LinkUp) -> Commands:
    return (_inside(thing.ns, "ip", "link", "set", thing.name, "down"),)


# --- addresses, routes, neighbours, sysctls -----------------------------------------------------------------------


def _address(thing: InterfaceAddress, verb: str) -> str:
    nodad = ("nodad",) if verb == "add" and ":" in thing.cidr else ()
    where = (thing.cidr,) if thing.peer is None else (thing.cidr.partition("/")[0], "peer", thing.peer)
    return _inside(thing.ns, "ip", "address", verb, *where, "dev", thing.interface, *nodad)


@add.register
def _(thing: InterfaceAddress) -> Commands:
    return (_address(thing, "add"),)


@remove.register
def _(thing: InterfaceAddress) -> Commands:
    return (_address(thing, "delete"),)


def _route(thing: Route, verb: str) -> str:
    via = ("via", thing.gateway) if thing.gateway else ()
    metric = ("metric", thing.metric) if thing.metric else ()
    return _inside(
        thing.ns, "ip", *_family(thing.destination), "route", verb, thing.destination, *via,
        "dev", thing.interface, *metric, "proto", PROTOCOL,
    )  # fmt: skip


@add.register
def _(thing: Route) -> Commands:
    return (_route(thing, "replace"),)


@remove.register
def _(thing: Route) -> Commands:
    return (_route(thing, "delete"),)


@add.register
def _(thing: ProxyNeighbour) -> Commands:
    words = ("neighbour", "add", "proxy", thing.address, "dev", thing.interface, "proto", PROTOCOL)
    return (_line("ip", *_family(thing.address), *words),)


@remove.register
def _(thing: ProxyNeighbour) -> Commands:
    words = ("neighbour", "delete", "proxy", thing.address, "dev", thing.interface)
    return (_line("ip", *_family(thing.address), *words),)


@add.register
def _(thing: Sysctl) -> Commands:
    return (_inside(thing.ns, "sysctl", "-w", f"{thing.path}={thing.value}"),)


@remove.register
def _(thing: Sysctl) -> Commands:
    return ()  # a setting goes with its interface; one of the host is put back by a Change


@change.register
def _(old: Sysctl, new: KernelObject) -> Commands:
    return add(new)


# --- nftables -------------------------------------------------------------------------------------------------


@add.register
def _(thing: Table) -> Commands:
    return (_line("nft", thing.body),)


@remove.register
def _(thing: Table) -> Commands:
    return (_line("nft", "delete", "table", thing.family, "weft"),)


@change.register
def _(old: Table, new: KernelObject) -> Commands:
    return (*remove(old), *add(new))


def nft_script(table: Table, elements: Iterable[Element]) -> str:
    """Return what puts ``table``, with ``elements`` in it, in the place of whatever table there is: for ``nft -f``.

    It is one transaction, so there is no moment without the table or with an empty one.
    """
    place = f"{table.family} weft"
    filling = (f"add element {place} {one.set} {_braces(one)}\n" for one in elements)
    return f"add table {place}\ndelete table {place}\n{table.body}{''.join(filling)}"


@add.register
def _(thing: Element) -> Commands:
    return (_line("nft", "add", "element", thing.family, "weft", thing.set, _braces(thing)),)


@remove.register
def _(thing: Element) -> Commands:
    return (_line("nft", "delete", "element", thing.family, "weft", thing.set, f"{{ {_joined(thing.match)} }}"),)


def _braces(thing: Element) -> str:
    comment = f' comment "{_harmless(thing.comment)}"' if thing.comment else ""
    value = f" : {_joined(thing.value)}" if thing.value else ""
    return f"{{ {_joined(thing.match)}{comment}{value} }}"


def _joined(parts: tuple[str | int, ...]) -> str:
    return " . ".join(_word(part) for part in parts)


def _word(part: str | int) -> str:
    """Return a component as nft reads it.  Names are quoted, because an interface may be called 'drop' or '10'."""
    if isinstance(part, int) or part in PROTOCOLS or ":" in part or "." in part or part.startswith("0x"):
        return str(part)
    return f'"{part}"'


def _harmless(comment: str) -> str:
    """Return a comment that cannot end its quotes: nft knows no escapes."""
    return "".join(character for character in comment if character.isprintable() and character != '"')


# --- other firewalls --------------------------------------------------------------------------------------------


def _admission(thing: Admission, adding: bool) -> Commands:
    name = thing.interface
    match thing.manager:
        case "docker":
            verb = "-I" if adding else "-D"
            return tuple(
                _line(program, verb, "DOCKER-USER", side, name, "-j", "ACCEPT")
                for program in ("iptables", "ip6tables")
                for side in ("-i", "-o")
            )
        case "firewalld":
            verb = "--add-interface" if adding else "--remove-interface"
            return (_line("firewall-cmd", "--zone=trusted", f"{verb}={name}"),)
        case "ufw":
            return tuple(_line("ufw", *words) for words in (ufw.allow if adding else ufw.delete)(name))


@add.register
def _(thing: Admission) -> Commands:
    return _admission(thing, True)


@remove.register
def _(thing: Admission) -> Commands:
    return _admission(thing, False)
