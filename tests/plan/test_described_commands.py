"""What ``weft plan`` prints is true: typed into a shell of a real host, the commands make networks that work."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from weft.model.base import replace
from weft.model.container import Endpoint
from weft.model.network import Network
from weft.model.ports import ExposedPort
from weft.plan import firewall, forwarding, names
from weft.plan.drivers import registry
from weft.plan.drivers.base import Host, Wiring
from weft.plan.facts import HostAddress
from weft.plan.host import base
from weft.plan.objects import Objects
from weft.testing import frames
from weft.testing.capture import Capture

from .records import HOST, endpoint, network, wiring
from .scratch import Scratch, joined

OUTSIDE = {4: "192.0.2.1", 6: "2001:db8::1"}
HOST_IP = {4: "192.0.2.10", 6: "2001:db8::10"}


class Town:
    """A host with an uplink to one who runs no weft, and networks that are built as their commands say."""

    def __init__(self, scratch: Scratch, host: Host) -> None:
        self.scratch, self.host = scratch, host
        self.ends: dict[str, Endpoint] = {}
        scratch.add("outside")
        scratch.wire("outside", "up0", "host", "up0")
        scratch.run("outside", "ip a add 192.0.2.1/24 dev up0; ip a add 2001:db8::1/64 dev up0 nodad")
        scratch.run("host", "ip a add 192.0.2.10/24 dev up0; ip a add 2001:db8::10/64 dev up0 nodad")
        scratch.run("host", "ip r add default via 192.0.2.1; ip r add default via 2001:db8::1")

    def build(self, networks: Sequence[Network]) -> Objects:
        objects = joined(
            (
                base(self.host),
                *(registry(net.driver).network(net, self.host) for net in networks),
                forwarding.plan(networks, self.host),
            )
        )
        self.scratch.build(objects)
        return objects

    def attach(self, net: Network, owner: str, number: int, publish: Sequence[str] = ()) -> Objects:
        end = endpoint(net, owner, number, publish=publish)
        self.ends[owner] = end
        objects = registry("bridge").endpoint(wiring(net, end, owner, self.scratch.add(owner)), self.host)
        self.scratch.build(objects)
        return objects

    def address(self, owner: str, version: int) -> str:
        address = self.ends[owner].address(version)
        assert address is not None
        return address.address


@pytest.fixture
def town(scratch: Scratch) -> Iterator[Town]:
    return Town(scratch, HOST)


def _bridge_netfilter(scratch: Scratch, on: bool) -> None:
    for name in ("iptables", "ip6tables"):
        scratch.run("host", f"sysctl -qw net.bridge.bridge-nf-call-{name}={int(on)}")


BOTH = pytest.mark.parametrize("bridge_netfilter", [True, False], ids=["bridge-nf", "no bridge-nf"])


@BOTH
def test_containers_of_a_network_meet_and_call_out_in_the_name_of_the_host(town: Town, bridge_netfilter: bool) -> None:
    s = town.scratch
    _bridge_netfilter(s, bridge_netfilter)
    net = network()
    town.build([net])
    town.attach(net, "web", 2)
    town.attach(net, "db", 3)
    s.serve("db", 5432)
    s.serve("outside", 80)
    for version in (4, 6):
        assert s.ask("web", town.address("db", version), 5432) == town.address("web", version)
        assert s.ask("web", OUTSIDE[version], 80) == HOST_IP[version]
        assert s.ask("host", town.address("db", version), 5432) in {"172.20.0.1", "fd00:20::1"}


@BOTH
def test_a_published_port_is_reached_from_everywhere(town: Town, bridge_netfilter: bool) -> None:
    """By outsiders under their own address, by the host and its localhost, by neighbours, by the container itself."""
    s = town.scratch
    _bridge_netfilter(s, bridge_netfilter)
    net, other = network(), network("other", ("172.21.0.0/16", "fd00:21::/64"))
    town.build([net, other])
    town.attach(net, "web", 2, publish=("8080:80", "8081:81/udp"))
    town.attach(net, "db", 3)
    town.attach(other, "far", 2)
    s.serve("web", 80)
    s.serve("web", 81, "udp")
    for version, host in HOST_IP.items():
        assert s.ask("outside", host, 8080) == OUTSIDE[version]
        assert s.ask("outside", host, 8081, "udp") == OUTSIDE[version]
        assert s.ask("host", host, 8080) == host
        # A frame that bridge netfilter translates inside the bridge keeps its source.
        gateway = {4: "172.20.0.1", 6: "fd00:20::1"}[version]
        assert s.ask("db", host, 8080) == (town.address("db", version) if bridge_netfilter else gateway)
        assert s.ask("web", host, 8080) == gateway
        assert s.ask("far", host, 8080) == town.address("far", version)
    assert s.ask("host", "127.0.0.1", 8080) == "172.20.0.1"
    assert s.ask("host", "127.0.0.1", 8081, "udp") == "172.20.0.1"


def test_a_port_on_one_address_is_on_that_one_only(town: Town) -> None:
    s = town.scratch
    net = network()
    s.run("host", "ip a add 192.0.2.11/24 dev up0")
    town.build([net])
    town.attach(net, "web", 2, publish=("192.0.2.10:8080:80", "127.0.0.1:8081:80"))
    s.serve("web", 80)
    assert s.ask("outside", "192.0.2.10", 8080) == "192.0.2.1"
    assert s.ask("outside", "192.0.2.11", 8080) == ""
    assert s.ask("host", "127.0.0.1", 8080) == ""
    assert s.ask("host", "127.0.0.1", 8081) == "172.20.0.1"
    assert s.ask("outside", "192.0.2.10", 8081) == ""


def test_nobody_outside_gets_in_by_a_route(town: Town) -> None:
    """A neighbour routes the networks' subnets to the host; nothing is open to him but the host's own ports."""
    s = town.scratch
    net, inner = network(), network("inner", ("172.21.0.0/16", "fd00:21::/64"), internal=True)
    town.build([net, inner])
    town.attach(net, "web", 2, publish=("8080:80",))
    town.attach(inner, "db", 2)
    s.serve("web", 80)
    s.serve("db", 80)
    s.run("outside", "ip r add 172.16.0.0/12 via 192.0.2.10; ip r add fd00::/16 via 2001:db8::10")
    for version in (4, 6):
        assert s.ask("outside", town.address("web", version), 80) == ""
        assert s.ask("outside", town.address("db", version), 80) == ""
        assert s.ask("host", town.address("db", version), 80) in {"172.21.0.1", "fd00:21::1"}
    s.serve("host", 53, "udp")
    assert s.ask("outside", "192.0.2.10", 53, "udp") == "192.0.2.1"
    assert s.ask("outside", "172.20.0.1", 53, "udp") == ""
    assert s.ask("outside", "fd00:20::1", 53, "udp") == ""


def test_networks_do_not_reach_each_other(town: Town) -> None:
    s = town.scratch
    nets = [network(), network("other", ("172.21.0.0/16", "fd00:21::/64"))]
    inner = network("inner", ("172.22.0.0/16", "fd00:22::/64"), internal=True)
    town.build([*nets, inner])
    town.attach(nets[0], "web", 2)
    town.attach(nets[1], "db", 2)
    town.attach(inner, "vault", 2)
    for name in ("web", "db", "vault", "host", "outside"):
        s.serve(name, 80)
    gateway = {4: ("172.20.0.1", "172.21.0.1", "172.22.0.1"), 6: ("fd00:20::1", "fd00:21::1", "fd00:22::1")}
    # Somebody in the internal network adds the routes that weft did not give him.
    s.run("vault", "ip r add default via 172.22.0.1; ip r add default via fd00:22::1")
    for version in (4, 6):
        web, other, inside = gateway[version]
        assert s.ask("web", town.address("db", version), 80) == ""
        assert s.ask("web", town.address("vault", version), 80) == ""
        assert s.ask("web", other, 80) == ""
        assert s.ask("web", inside, 80) == ""
        assert s.ask("web", web, 80) == town.address("web", version)
        assert s.ask("web", HOST_IP[version], 80) == town.address("web", version)
        assert s.ask("vault", town.address("web", version), 80) == ""
        assert s.ask("vault", web, 80) == ""
        assert s.ask("vault", OUTSIDE[version], 80) == ""
        assert s.ask("vault", HOST_IP[version], 80) == ""
        assert s.ask("vault", inside, 80) == town.address("vault", version)


@BOTH
def test_without_icc_a_link_opens_one_port_one_way(town: Town, bridge_netfilter: bool) -> None:
    s = town.scratch
    _bridge_netfilter(s, bridge_netfilter)
    for internal in (False, True):
        name = "inner" if internal else "outer"
        third = 21 + internal
        net = network(name, (f"172.{third}.0.0/16", f"fd00:{third}::/64"), icc=False, internal=internal)
        town.build([net])
        web, db = f"web{third}", f"db{third}"
        town.attach(net, web, 2)
        town.attach(net, db, 3)
        for owner, port in ((db, 5432), (db, 22), (web, 5432)):
            s.serve(owner, port)
        for version in (4, 6):
            assert s.ask(web, town.address(db, version), 5432) == ""
        s.build(firewall.link(town.ends[web], town.ends[db], (ExposedPort(port=5432),), "link"))
        for version in (4, 6):
            assert s.ask(web, town.address(db, version), 5432) == town.address(web, version)
            assert s.ask(web, town.address(db, version), 22) == ""
            assert s.ask(db, town.address(web, version), 5432) == ""


def test_a_container_sees_its_own_name_server_and_no_other(town: Town) -> None:
    """Queries to the gateway are led to the view; the view's port itself answers nobody who comes straight to it."""
    s = town.scratch
    net = network()
    town.build([net])
    town.attach(net, "web", 2)
    town.attach(net, "db", 3)
    s.build((*names.opening(5301), *names.redirect(town.ends["web"], net.bridge, 5301, "web")))
    for protocol in ("tcp", "udp"):
        for address in ("172.20.0.1", "fd00:20::1"):
            s.serve("host", 5301, protocol, address)
    for protocol in ("tcp", "udp"):
        for version, gateway in ((4, "172.20.0.1"), (6, "fd00:20::1")):
            assert s.ask("web", gateway, 53, protocol) == town.address("web", version)
            assert s.ask("web", gateway, 5301, protocol) == ""
            assert s.ask("db", gateway, 53, protocol) == ""
            assert s.ask("db", gateway, 5301, protocol) == ""


@pytest.mark.parametrize("force_forwarding", [True, False], ids=["per interface", "whole host"])
def test_forwarding_for_containers_makes_no_router_for_others(scratch: Scratch, force_forwarding: bool) -> None:
    """The host forwarded nothing before weft; afterwards it still forwards nothing of its neighbours'."""
    second = tuple(HostAddress(cidr=c, interface="up1") for c in ("198.51.100.10/24", "2001:db8:1::10/64"))
    facts = replace(
        HOST.facts,
        addresses=(*HOST.facts.addresses, *second),
        mtus={"up0": 1500, "up1": 1500},
        heed_ra=frozenset({"up0", "up1"}),
        force_forwarding=force_forwarding,
    )
    town, s = Town(scratch, replace(HOST, facts=facts)), scratch
    if force_forwarding and not Path("/proc/sys/net/ipv6/conf/all/force_forwarding").exists():
        pytest.skip("this kernel has no force_forwarding (Linux 6.17)")
    s.add("beyond")
    s.wire("beyond", "up1", "host", "up1")
    s.run("host", "ip a add 198.51.100.10/24 dev up1; ip a add 2001:db8:1::10/64 dev up1 nodad")
    s.run("beyond", "ip a add 198.51.100.1/24 dev up1; ip a add 2001:db8:1::1/64 dev up1 nodad")
    s.run("beyond", "ip r add default via 198.51.100.10; ip r add default via 2001:db8:1::10")
    s.run("outside", "ip r add default via 192.0.2.10; ip r add default via 2001:db8::10")
    net = network()
    town.build([net])
    town.attach(net, "web", 2)
    s.serve("beyond", 80)
    s.serve("outside", 80)
    for version in (4, 6):
        assert s.ask("web", OUTSIDE[version], 80) == HOST_IP[version]
    for beyond in ("198.51.100.1", "2001:db8:1::1"):
        assert s.ask("outside", beyond, 80) == ""
    for outside in OUTSIDE.values():
        assert s.ask("beyond", outside, 80) == ""


def test_taking_everything_away_leaves_nothing(town: Town) -> None:
    s = town.scratch
    settings = r"sysctl -a -r '^net\.(ipv4|ipv6|bridge)\.' 2>/dev/null"
    look = f"ip -d link; ip a; ip r show table all; ip -6 r show table all; nft list ruleset; {settings}"
    before = s.run("host", look, check=False)
    net = network(icc=False)
    networks = town.build([net])
    ends = town.attach(net, "web", 2, publish=("8080:80",))
    s.dismantle(ends)
    s.dismantle(networks)
    # What the host's own settings were is for the agent to know (it records them before it changes any).
    s.run("host", "sysctl -qw net.ipv4.conf.up0.forwarding=0 net.ipv6.conf.all.forwarding=0")
    after = s.run("host", look, check=False)
    assert _stable(before) == _stable(after)


def _stable(text: str) -> list[str]:
    """Leave out what changes by itself: life times, and route caches."""
    return [line for line in text.splitlines() if "valid_lft" not in line and "expires" not in line]


def test_a_cable_joins_two_containers_and_nothing_else(scratch: Scratch) -> None:
    cable = network("cable", ("10.9.0.0/30", "fd00:9::/126"), driver="ptp")
    names = ("left", "right")
    spaces = {name: scratch.add(name) for name in names}
    ends = {name: _bare(endpoint(cable, name, number, gateway=False)) for number, name in enumerate(names, 1)}
    parts = [
        registry("ptp").endpoint(
            Wiring(
                network=cable,
                endpoint=ends[name],
                namespace=spaces[name],
                owner=name,
                peer=ends[other],
                peer_namespace=spaces[other],
            ),
            HOST,
        )
        for name, other in (names, names[::-1])
    ]
    once = tuple(dict.fromkeys(joined(parts)))
    links = scratch.run("host", "ip -o link")
    scratch.build(once)
    assert scratch.run("host", "ip -o link") == links
    scratch.serve("right", 80)
    for version in (4, 6):
        theirs, mine = ends["right"].address(version), ends["left"].address(version)
        assert theirs is not None
        assert mine is not None
        assert scratch.ask("left", theirs.address, 80) == mine.address
    assert "10.9.0.2 dev eth0" in scratch.run("left", "ip r")
    scratch.dismantle(once)
    for name in names:
        assert "eth0" not in scratch.run(name, "ip -o link")


def _bare(end: Endpoint) -> Endpoint:
    """Return the endpoint with single addresses, as a cable has them."""
    return replace(
        end, addresses=tuple(replace(a, prefixlen=32 if a.version == 4 else 128, gateway=None) for a in end.addresses)
    )


def test_a_new_container_tells_its_neighbours_where_its_addresses_are(town: Town) -> None:
    """So that nobody goes on sending to whoever had the address before."""
    s = town.scratch
    net = network()
    town.build([net])
    town.attach(net, "db", 3)
    mac, four, six = ("02:42:ac:14:00:02", "172.20.0.2", "fd00:20::2")
    announced = {
        frames.ethernet(frames.BROADCAST, mac, frames.ARP, frames.arp(1, mac, four, "00:00:00:00:00:00", four))
    }
    announced |= {frames.framed("33:33:00:00:00:01", mac, frames.advertisement(six, "ff02::1", six, mac))}
    with Capture(s.spaces["db"], lambda packet: True, "eth0") as capture:
        town.attach(net, "web", 2)
        time.sleep(1)
    heard = {packet.frame.ljust(60, b"\0") for packet in capture.stop()}
    assert announced <= heard
