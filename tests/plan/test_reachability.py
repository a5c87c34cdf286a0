"""Who reaches whom: networks, internal networks, networks without icc, outsiders.  No root: packets go through a
FakeKernel, by the very rules that the real one gets."""

from __future__ import annotations

import pytest

from weft.model.base import replace
from weft.model.ports import ExposedPort
from weft.model.settings import Settings
from weft.plan.objects import Sysctl
from weft.plan.operations import Add

from .records import HOST, network
from .village import OWN, STRANGER, Village

A = network("a", ("172.20.0.0/16", "fd00:20::/64"))
B = network("b", ("172.21.0.0/16", "fd00:21::/64"))
INNER = network("inner", ("172.22.0.0/16", "fd00:22::/64"), internal=True)
APART = network("apart", ("172.23.0.0/16", "fd00:23::/64"), icc=False)
INNER_APART = network("inner-apart", ("172.24.0.0/16", "fd00:24::/64"), icc=False, internal=True)

VERSION = pytest.mark.parametrize("version", [4, 6])
BRIDGE_NETFILTER = pytest.mark.parametrize("nf", [False, True], ids=["no bridge-nf", "bridge-nf"])


def gateway(net: object, version: int) -> str:
    subnet = net.subnet(version)  # type: ignore[attr-defined]
    assert subnet is not None
    return str(subnet.gateway)


@pytest.fixture(params=[False, True], ids=["no bridge-nf", "bridge-nf"])
def village(request: pytest.FixtureRequest) -> Village:
    made = Village(A, B, INNER, APART, INNER_APART, bridge_netfilter=request.param)
    # weft does not let packets of internal networks be forwarded at all.  Here the filters are on their own.
    made.kernel.disturb(Add(object=Sysctl(path=f"net/ipv4/conf/{INNER.bridge}/forwarding", value="1")))
    for net in (A, B, INNER, APART, INNER_APART):
        made.attach(net, f"{net.name}1", 2)
        made.attach(net, f"{net.name}2", 3)
    return made


@VERSION
def test_neighbours_of_a_network_meet(village: Village, version: int) -> None:
    for net in (A, INNER):
        one, two = f"{net.name}1", f"{net.name}2"
        assert village.call(one, village.address(two, net, version)) == (two, village.address(one, net, version))


@VERSION
def test_networks_do_not_reach_each_other(village: Village, version: int) -> None:
    """Neither container from container, nor one's gateway from the other, in either direction."""
    nets = (A, B, INNER, APART, INNER_APART)
    for mine in nets:
        for theirs in nets:
            if mine is theirs:
                continue
            # As if somebody in an internal network had added a route.
            via = gateway(mine, version)
            there = village.send(f"{mine.name}1", village.address(f"{theirs.name}1", theirs, version), via=via)
            assert "network" in there.rule, there.trail
            there = village.send(f"{mine.name}1", gateway(theirs, version), via=via)
            assert there.rule == "a gateway is there for its own network", there.trail


@VERSION
def test_a_container_on_two_networks_reaches_both_and_joins_them_for_nobody(village: Village, version: int) -> None:
    village.attach(A, "both", 9)
    village.attach(B, "both", 9, interface="eth1")
    assert village.call("both", village.address("a1", A, version))[0] == "a1"
    assert village.call("both", village.address("b1", B, version))[0] == "b1"
    assert village.call("b1", village.address("both", B, version))[0] == "both"
    assert not village.send("a1", village.address("both", B, version)).arrived
    assert not village.send("a1", village.address("b1", B, version)).arrived
    # A neighbour who is told that the one on both networks is a router gets nothing through him either.
    through = village.send("both", village.address("b1", B, version), src=village.address("a1", A, version))
    assert through.rule == f"forged IPv{version} sender"


@VERSION
def test_containers_call_out_in_the_name_of_the_host(village: Village, version: int) -> None:
    for name in ("a1", "b2", "apart1"):
        assert village.call(name, STRANGER[version]) == ("outside", OWN[version])


def test_without_masquerade_they_keep_their_own_address() -> None:
    plain = network("plain", masquerade=False)
    village = Village(plain)
    village.attach(plain, "web", 2)
    assert village.call("web", STRANGER[4]) == ("outside", "172.20.0.2")


@VERSION
def test_nothing_leaves_or_enters_an_internal_network(village: Village, version: int) -> None:
    for net in (INNER, INNER_APART):
        name, via = f"{net.name}1", gateway(net, version)
        assert village.send(name, STRANGER[version]).lost == "the sender has no route to it"
        assert village.send(name, STRANGER[version], via=via).rule == "internal network: nothing leaves it"
        assert (
            village.send("outside", village.address(name, net, version)).rule == "internal network: nothing enters it"
        )


@VERSION
def test_an_internal_network_and_its_host_reach_each_other(village: Village, version: int) -> None:
    for net in (INNER, INNER_APART):
        name, own = f"{net.name}1", gateway(net, version)
        assert village.call("host", village.address(name, net, version)) == (name, own)
        assert village.call(name, own)[0] == "host"
        elsewhere = village.send(name, OWN[version], via=own)
        assert elsewhere.rule == "internal network: nothing but its gateway", elsewhere.trail


@VERSION
def test_without_icc_neighbours_are_strangers(village: Village, version: int) -> None:
    for net in (APART, INNER_APART):
        one, two = f"{net.name}1", f"{net.name}2"
        there = village.send(one, village.address(two, net, version))
        assert there.rule == "icc is off in this network", there.trail


@VERSION
def test_a_link_opens_exactly_what_is_exposed_and_one_way(village: Village, version: int) -> None:
    for net in (APART, INNER_APART):
        one, two = f"{net.name}1", f"{net.name}2"
        village.link(net, one, two, ExposedPort(port=5432), ExposedPort(port=53, protocol="udp"))
        target = village.address(two, net, version)
        assert village.call(one, target, 5432) == (two, village.address(one, net, version))
        assert village.call(one, target, 53, "udp")[0] == two
        for dport, protocol in ((5433, "tcp"), (53, "tcp"), (5432, "udp")):
            assert village.send(one, target, dport, protocol).rule == "icc is off in this network"
        assert village.send(two, village.address(one, net, version), 5432).rule == "icc is off in this network"


@VERSION
def test_nobody_gets_in_by_a_route_to_the_subnet(village: Village, version: int) -> None:
    """A neighbour who adds a route reaches no container, no gateway, no port: as little as through any host."""
    for net in (A, B, APART):
        for dport in (1, 80, 65535):
            there = village.send("outside", village.address(f"{net.name}1", net, version), dport)
            assert there.rule == "not a published port"
    for net in (A, INNER):
        assert (
            village.send("outside", gateway(net, version), 53, "udp").rule == "a gateway is there for its own network"
        )


@VERSION
def test_the_host_and_its_containers_reach_each_other(village: Village, version: int) -> None:
    assert village.call("host", village.address("a1", A, version)) == ("a1", gateway(A, version))
    assert village.call("a1", gateway(A, version))[0] == "host"
    assert village.call("a1", OWN[version]) == ("host", village.address("a1", A, version))


@VERSION
def test_a_container_reads_the_names_of_its_own_networks_only(village: Village, version: int) -> None:
    """Its queries are led to its own name server; nobody reaches that server directly."""
    village.serve_names(A, "a1", 5301)
    own = gateway(A, version)
    asked = village.send("a1", own, 53, "udp")
    assert (asked.place, asked.packet.dport) == (None, 5301)
    village.call("a1", own, 53, "udp")
    assert village.send("a2", own, 53, "udp").packet.dport == 53
    for name in ("a1", "a2"):
        assert village.send(name, own, 5301, "udp").rule == "names: only by port 53, which leads to the own view"


def test_without_filters_nothing_is_filtered_but_isolated_ports_stay_isolated() -> None:
    host = replace(HOST, settings=Settings(filter=False))
    village = Village(A, B, APART, host=host)
    for net in (A, B, APART):
        village.attach(net, f"{net.name}1", 2)
        village.attach(net, f"{net.name}2", 3)
    assert village.call("a1", village.address("b1", B, 4))[0] == "b1"
    assert village.send("outside", village.address("a1", A, 4)).arrived
    assert village.call("a1", STRANGER[4]) == ("outside", "172.20.0.2")
