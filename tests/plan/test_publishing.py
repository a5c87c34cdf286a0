"""Published ports: where they are, who sees them, and who must not."""

from __future__ import annotations

import pytest

from weft.testing.packets import Packet

from .records import FACTS, HOST, network, replace_facts
from .village import OWN, STRANGER, Village

A = network("a", ("172.20.0.0/16", "fd00:20::/64"))
B = network("b", ("172.21.0.0/16", "fd00:21::/64"))
SECOND = {4: "192.0.2.11", 6: "2001:db8::11"}

VERSION = pytest.mark.parametrize("version", [4, 6])


@pytest.fixture(params=[False, True], ids=["no bridge-nf", "bridge-nf"])
def village(request: pytest.FixtureRequest) -> Village:
    host = replace_facts(HOST, addresses=(*FACTS.addresses, *SECOND.values()))
    made = Village(A, B, host=host, bridge_netfilter=request.param)
    made.attach(
        A,
        "web",
        2,
        publish=(
            "8080:80",
            "8081:81/udp",
            "8082:82/sctp",
            "192.0.2.10:9000:90",
            "[2001:db8::10]:9000:90",
            "127.0.0.1:9001:91",
            "7000-7002:7000-7002",
        ),
    )
    made.attach(A, "db", 3)
    made.attach(B, "far", 2)
    return made


@VERSION
@pytest.mark.parametrize(
    ("host_port", "container_port", "protocol"),
    [(8080, 80, "tcp"), (8081, 81, "udp"), (8082, 82, "sctp"), (7000, 7000, "tcp"), (7002, 7002, "tcp")],
)
def test_outsiders_reach_it_and_are_seen_as_who_they_are(
    village: Village, version: int, host_port: int, container_port: int, protocol: str
) -> None:
    for own in (OWN[version], SECOND[version]):
        there = village.send("outside", own, host_port, protocol)
        assert there.packet.dport == container_port
        assert village.call("outside", own, host_port, protocol) == ("web", STRANGER[version])


@VERSION
def test_other_protocols_and_ports_are_not_led_anywhere(village: Village, version: int) -> None:
    for host_port, protocol in ((8080, "udp"), (8081, "tcp"), (80, "tcp"), (7003, "tcp")):
        assert village.send("outside", OWN[version], host_port, protocol).place is None


@VERSION
def test_a_port_on_one_address_is_on_that_one_only(village: Village, version: int) -> None:
    assert village.call("outside", OWN[version], 9000)[0] == "web"
    for sender in ("outside", "host", "far"):
        assert village.send(sender, SECOND[version], 9000).place is None


@VERSION
def test_everybody_inside_reaches_it_too(village: Village, version: int) -> None:
    """The host by any of its addresses, containers of the same and other networks, the container itself."""
    own = OWN[version]
    assert village.call("host", own, 8080) == ("web", own)
    assert village.call("far", own, 8080) == ("web", village.address("far", B, version))
    assert village.call("db", own, 8080)[0] == "web"
    assert village.call("web", own, 8080)[0] == "web"
    assert village.call("db", {4: "172.20.0.1", 6: "fd00:20::1"}[version], 8080)[0] == "web"


def test_localhost_of_the_host_reaches_it_in_the_name_of_the_gateway(village: Village) -> None:
    assert village.call("host", "127.0.0.1", 8080) == ("web", "172.20.0.1")
    assert village.call("host", "127.0.0.1", 8081, "udp") == ("web", "172.20.0.1")


def test_ipv6_localhost_is_left_to_the_relay(village: Village) -> None:
    assert village.send("host", "::1", 8080).place is None


def test_a_port_on_localhost_is_for_the_host_alone(village: Village) -> None:
    assert village.call("host", "127.0.0.1", 9001) == ("web", "172.20.0.1")
    for sender in ("outside", "far", "db"):
        assert village.send(sender, "192.0.2.10", 9001).place is None
    for address in ("192.0.2.10", "127.0.0.2"):
        assert village.send("host", address, 9001).place is None


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.parametrize(
    ("dst", "src"), [("127.0.0.1", "192.0.2.1"), ("192.0.2.10", "127.0.0.1"), ("::1", "2001:db8::1")]
)
def test_loopback_addresses_never_come_over_a_wire(village: Village, dst: str, src: str, protocol: str) -> None:
    for dport in (22, 8080, 9001):
        there = village.send("outside", dst, dport, protocol, src=src)
        assert there.rule == "loopback addresses never come over a wire"


def test_containers_cannot_reach_localhost_of_the_host(village: Village) -> None:
    there = village.kernel.send(Packet(village.places["db"], "127.0.0.1", dport=22, next_hop="172.20.0.1"))
    assert there.rule == "loopback addresses never come over a wire"


@VERSION
def test_what_is_only_passing_by_is_not_caught(village: Village, version: int) -> None:
    """A container calls a server outside at a port number that is published here."""
    for sender in ("web", "db", "far"):
        for dport in (8080, 9000):
            assert village.call(sender, STRANGER[version], dport) == ("outside", OWN[version])


@VERSION
def test_the_port_inside_is_no_port_of_the_host(village: Village, version: int) -> None:
    """An outsider cannot go past the published port to the container's address, even to the same service."""
    assert village.send("outside", village.address("web", A, version), 80).rule == "not a published port"


def test_with_icc_off_published_ports_are_for_others() -> None:
    """In the same network only links count, whether or not bridge netfilter is on."""
    for nf in (False, True):
        apart = network("apart", icc=False)
        village = Village(apart, B, bridge_netfilter=nf)
        village.attach(apart, "web", 2, publish=("8080:80",))
        village.attach(apart, "db", 3)
        village.attach(B, "far", 2)
        assert village.call("outside", OWN[4], 8080)[0] == "web"
        assert village.call("far", OWN[4], 8080)[0] == "web"
        assert village.send("db", OWN[4], 8080).rule == "icc is off in this network"
