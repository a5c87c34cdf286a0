"""Every kind of object is made, seen as it was asked for, made again without harm, and taken away without a trace."""

from __future__ import annotations

import pytest

from weft.kernel.linux import LinuxKernel
from weft.model.base import replace
from weft.model.container import Namespace
from weft.plan.objects import (
    AnyObject,
    Bridge,
    Cable,
    Element,
    InterfaceAddress,
    LinkUp,
    Objects,
    ProxyNeighbour,
    Route,
    Sysctl,
    Table,
    Veth,
)
from weft.plan.operations import Add, Change, Remove, additions, difference, removals
from weft.testing.hosts import Host
from weft.testing.spaces import Space

from .records import BRIDGE, INET_TABLE, endpoint, network, on_host, veth

ADDRESSED = (BRIDGE, InterfaceAddress(interface="br-t", cidr="10.9.0.1/24"), LinkUp(name="br-t"))

#: What has to be there already, and the object.
CASES: tuple[tuple[Objects, AnyObject], ...] = (
    ((), BRIDGE),
    ((), veth(None, master="", isolated=False, hairpin=False)),
    ((BRIDGE,), veth(None)),
    ((BRIDGE,), veth(None, isolated=False)),
    ((BRIDGE,), LinkUp(name="br-t")),
    ((BRIDGE,), InterfaceAddress(interface="br-t", cidr="10.9.0.1/24")),
    ((BRIDGE,), InterfaceAddress(interface="br-t", cidr="fd00:9::1/64")),
    ((BRIDGE,), InterfaceAddress(interface="br-t", cidr="10.9.0.1/32", peer="10.9.0.2")),
    ((BRIDGE,), InterfaceAddress(interface="br-t", cidr="fd00:9::1/128", peer="fd00:9::2")),
    (ADDRESSED, Route(destination="10.10.0.0/16", interface="br-t", gateway="10.9.0.7")),
    (ADDRESSED, Route(destination="10.10.0.0/16", interface="br-t", metric=42)),
    (ADDRESSED, Route(destination="0.0.0.0/0", interface="br-t", gateway="10.9.0.7")),
    (ADDRESSED, Route(destination="fd00:10::/64", interface="br-t")),
    (ADDRESSED, Route(destination="fd00:10::/64", interface="br-t", metric=42)),
    ((BRIDGE,), ProxyNeighbour(address="fd00:9::2", interface="br-t")),
    ((BRIDGE,), ProxyNeighbour(address="10.9.0.2", interface="br-t")),
    ((), INET_TABLE),
    ((INET_TABLE,), Element(family="inet", set="bridges", match=("br-t",), comment="network t")),
    ((INET_TABLE,), Element(family="inet", set="view_ports", match=(5301,))),
    ((INET_TABLE,), Element(family="inet", set="links6", match=("fd00::2", "fd00::3", "udp", 53), comment="né")),
    ((INET_TABLE,), Element(family="inet", set="publish_any4", match=("sctp", 80), value=("10.9.0.2", 81))),
    ((INET_TABLE,), Element(family="inet", set="resolver4", match=("br-t", "10.9.0.2"), value=(5301,))),
)


@pytest.mark.parametrize(("ground", "thing"), CASES, ids=lambda case: type(case).__name__)
def test_an_object_on_the_host(kernel: LinuxKernel, ground: Objects, thing: AnyObject) -> None:
    kernel.apply(additions(ground))
    before = kernel.observe(ground)
    kernel.apply((Add(object=thing),))
    seen = {found.key: found for found in kernel.observe((*ground, thing))}
    assert thing.same_as(seen[thing.key])
    kernel.apply((Add(object=thing),))
    assert {found.key: found for found in kernel.observe((*ground, thing))} == seen
    kernel.apply((Remove(object=thing),))
    assert kernel.observe(ground) == before
    kernel.apply((Remove(object=thing),))
    assert kernel.observe(ground) == before


def test_comments_are_never_read_as_syntax(kernel: LinuxKernel) -> None:
    """A name with quotes in it does not break out: it comes back as it was, or without what nft cannot hold."""
    nasty = 'x"; flush ruleset; "é'
    alone = Element(family="inet", set="bridges", match=("br-t",), comment=nasty)
    with_table = Element(family="inet", set="bridges", match=("br-u",), comment=nasty)
    kernel.apply((Add(object=INET_TABLE), Add(object=with_table)))
    kernel.apply((Add(object=alone),))
    found = {thing.match: thing.comment for thing in kernel.observe() if isinstance(thing, Element)}
    assert found == {("br-t",): nasty, ("br-u",): "x; flush ruleset; é"}


def test_a_whole_network_with_an_endpoint(kernel: LinuxKernel, machine: Host, box: Space, ns: Namespace) -> None:
    """What planners ask for carries packets, and nothing remains to be done after it."""
    everything = (*network(), *endpoint(ns))
    kernel.apply(additions(everything))
    assert difference(on_host(everything), kernel.observe(everything)) == ()
    assert box.ping("10.9.0.1", 3)
    assert box.ping("fd00:9::1", 3)
    assert box.addresses() == ["10.9.0.2", "fd00:9::2"]
    assert box.mac("eth0") == "02:42:0a:09:00:02"
    assert box.sysctl("net/ipv4/conf/eth0/arp_notify") == "1"
    routes = box.run_json("ip", "-j", "route", "show", "default")
    assert [(route["gateway"], route["protocol"]) for route in routes] == [("10.9.0.1", "119")]
    (inside,) = box.run_json("ip", "-j", "link", "show", "dev", "eth0")
    assert inside["mtu"] == 1400
    kernel.apply(additions(everything))
    assert difference(on_host(everything), kernel.observe(everything)) == ()
    assert kernel.withdraw(removals(everything)) == []
    assert kernel.observe(everything) == ()
    assert box.interfaces() == ["lo"]
    assert machine.interfaces() == ["lo"]


def test_alone_one_by_one_it_comes_to_the_same(kernel: LinuxKernel, ns: Namespace) -> None:
    """Nothing depends on travelling together."""
    everything = (*network(), *endpoint(ns))
    for operation in additions(everything):
        kernel.apply((operation,))
    assert difference(on_host(everything), kernel.observe(everything)) == ()


def test_inside_a_container(kernel: LinuxKernel, box: Space, ns: Namespace) -> None:
    """Objects of a container's namespace can be taken away one by one as well."""
    kernel.apply(additions((BRIDGE, veth(ns), LinkUp(name="eth0", ns=ns))))
    things = (
        InterfaceAddress(interface="eth0", cidr="10.9.0.2/24", ns=ns),
        Route(destination="10.10.0.0/16", interface="eth0", gateway="10.9.0.1", ns=ns),
        Sysctl(path="net/ipv4/conf/eth0/arp_notify", value="1", ns=ns),
    )
    kernel.apply(additions(things))
    kernel.apply(additions(things))
    assert "10.10.0.0/16 via 10.9.0.1" in box.run("ip", "route").stdout
    assert kernel.withdraw(tuple(Remove(object=thing) for thing in reversed(things))) == []
    assert box.run("ip", "route").stdout == ""
    assert box.addresses() == []
    assert kernel.withdraw(tuple(Remove(object=thing) for thing in reversed(things))) == []


def test_a_cable_between_containers(kernel: LinuxKernel, machine: Host, ns: Namespace, box: Space) -> None:
    other = machine.container("c2")
    there = Namespace(path=other.path, inode=other.inode)
    cable = Cable(
        left_ns=ns,
        left_name="eth0",
        left_mac="02:42:0a:01:00:01",
        right_ns=there,
        right_name="eth5",
        right_mac="02:42:0a:01:00:02",
        mtu=1300,
    )
    ends = (
        InterfaceAddress(interface="eth0", cidr="10.1.0.1/32", peer="10.1.0.2", ns=ns),
        InterfaceAddress(interface="eth5", cidr="10.1.0.2/32", peer="10.1.0.1", ns=there),
        LinkUp(name="eth0", ns=ns),
        LinkUp(name="eth5", ns=there),
    )
    kernel.apply(additions((cable, *ends)))
    kernel.apply(additions((cable, *ends)))
    assert box.ping("10.1.0.2", 3)
    assert (box.mac("eth0"), other.mac("eth5")) == (cable.left_mac, cable.right_mac)
    assert machine.interfaces() == ["lo"]
    assert kernel.withdraw((Remove(object=cable), Remove(object=cable))) == []
    assert (box.interfaces(), other.interfaces()) == (["lo"], ["lo"])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (BRIDGE, replace(BRIDGE, mtu=1300)),
        (BRIDGE, replace(BRIDGE, mac="02:00:00:00:00:77")),
        (BRIDGE, replace(BRIDGE, alias="weft:network:n2")),
        (BRIDGE, veth(None, name="br-t", master="", isolated=False, hairpin=False)),
    ],
)
def test_changing_a_bridge(kernel: LinuxKernel, old: Bridge, new: Bridge | Veth) -> None:
    kernel.apply((Add(object=old),))
    kernel.apply((Change(old=old, new=new),))
    (seen,) = kernel.observe()
    assert new.same_as(seen)


def test_changing_a_port(kernel: LinuxKernel, machine: Host, ns: Namespace) -> None:
    """A port that somebody took off its bridge, and un-isolated, is put back."""
    port = veth(ns)
    kernel.apply(additions((BRIDGE, port)))
    machine.ip("link set wvport nomaster mtu 1280")
    seen = next(thing for thing in kernel.observe() if isinstance(thing, Veth))
    assert (seen.master, seen.isolated, seen.mtu) == ("", False, 1280)
    kernel.apply(difference((BRIDGE, port), kernel.observe()))
    assert difference((BRIDGE, port), kernel.observe()) == ()


def test_changing_a_route_and_an_element(kernel: LinuxKernel) -> None:
    old = Route(destination="10.10.0.0/16", interface="br-t", gateway="10.9.0.7")
    element = Element(family="inet", set="publish_any4", match=("tcp", 80), value=("10.9.0.2", 80), comment="a")
    kernel.apply(additions((*ADDRESSED, old, INET_TABLE, element)))
    new = (replace(old, gateway="10.9.0.8"), replace(element, value=("10.9.0.3", 80), comment="b"))
    kernel.apply(tuple(Change(old=before, new=after) for before, after in zip((old, element), new, strict=True)))
    seen = kernel.observe((INET_TABLE,))
    assert set(new) < set(seen)
    assert not {old, element} & set(seen)


def test_another_value_takes_the_place_of_the_old_one(kernel: LinuxKernel) -> None:
    """Adding an element or a route whose key leads elsewhere so far makes it lead to the new place."""
    route = Route(destination="10.10.0.0/16", interface="br-t", gateway="10.9.0.7")
    element = Element(family="inet", set="publish_any4", match=("tcp", 80), value=("10.9.0.2", 80), comment="a")
    kernel.apply(additions((*ADDRESSED, INET_TABLE, route, element)))
    new = (replace(route, gateway="10.9.0.8"), replace(element, value=("10.9.0.3", 80)))
    kernel.apply(additions(new))
    seen = kernel.observe((INET_TABLE,))
    assert set(new) < set(seen)
    assert not {route, element} & set(seen)


def test_a_sysctl_of_the_host(kernel: LinuxKernel, machine: Host) -> None:
    setting = Sysctl(path="net/ipv4/ip_forward", value="1")
    kernel.apply((Add(object=setting),))
    assert machine.sysctl("net/ipv4/ip_forward") == "1"
    assert kernel.read_sysctl("net/ipv4/ip_forward") == "1"
    assert kernel.observe((setting,)) == (setting,)
    assert kernel.observe() == ()
    kernel.apply((Change(old=setting, new=replace(setting, value="0")),))
    assert kernel.observe((setting,)) == (replace(setting, value="0"),)
    assert kernel.read_sysctl("net/ipv4/no_such_thing") is None


def test_a_table_that_is_not_ours_is_not_seen(kernel: LinuxKernel, machine: Host) -> None:
    machine.run("nft", "table inet other { set bridges { type ifname; elements = { eth7 }; }; }")
    assert kernel.observe() == ()
    kernel.apply((Add(object=INET_TABLE), Remove(object=INET_TABLE)))
    assert "eth7" in machine.run("nft", "list ruleset").stdout


def test_links_of_others_are_not_seen(kernel: LinuxKernel, machine: Host) -> None:
    machine.ip("link add br-x type bridge", "address add 10.8.0.1/24 dev br-x", "link set br-x up")
    machine.ip("route add 10.11.0.0/16 dev br-x")
    assert kernel.observe() == ()


def test_a_table_of_the_same_family_is_replaced_as_a_whole(kernel: LinuxKernel) -> None:
    """An element that is not asked for again goes with the old table."""
    stale = Element(family="inet", set="bridges", match=("br-old",))
    fresh = Element(family="inet", set="bridges", match=("br-new",))
    kernel.apply(additions((INET_TABLE, stale)))
    kernel.apply(additions((INET_TABLE, fresh)))
    assert kernel.observe((INET_TABLE,)) == (INET_TABLE, fresh)


def test_another_body_is_seen_as_another_table(kernel: LinuxKernel) -> None:
    other = Table(family="inet", body="table inet weft {\n\tset bridges {\n\t\ttype ifname\n\t}\n}\n")
    kernel.apply((Add(object=INET_TABLE),))
    kernel.apply((Change(old=INET_TABLE, new=other),))
    assert kernel.observe((INET_TABLE,)) == (other,)
    assert difference((INET_TABLE,), kernel.observe((INET_TABLE,))) == (Change(old=other, new=INET_TABLE),)
