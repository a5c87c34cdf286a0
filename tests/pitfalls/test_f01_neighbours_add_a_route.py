"""A neighbour on the same wire routes the containers' subnet to the host and knocks at every address and port.

Elsewhere that reached unpublished ports for years: a host that forwards for its containers forwards for everybody.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import product

import pytest

from weft.testing.attackers import Safe
from weft.testing.capture import Capture
from weft.testing.frames import Packet
from weft.testing.hosts import Host, Hosts, Lan, Outside
from weft.testing.oracles import Snapshot, assert_clean
from weft.testing.spaces import Space

NETWORKS = ("10.41.0.0/24", "fd00:41::/64")
GATEWAYS = ("10.41.0.1", "fd00:41::1")
#: Every port of this list is tried at every address; what listens in the container is the second half.
PORTS = (1, 53, 443, 3306, 8000, 22, 80, 5432)
OPEN = PORTS[5:]
SHORT = 0.2


@pytest.fixture(scope="module")
def router(hosts: Hosts, lan: Lan) -> Host:
    """A host that somebody made a router, with a policy to forward everything: the worst case."""
    host = hosts.host("router", lan)
    for path in ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"):
        host.sysctl(path, 1)
    for program in ("iptables", "ip6tables"):
        host.run(program, "-P", "FORWARD", "ACCEPT")
    host.start_agent()
    host.weft("network", "create", "app", *(word for network in NETWORKS for word in ("--subnet", network)))
    return host


@pytest.fixture(scope="module")
def box(router: Host) -> Space:
    """A container that listens on three ports and publishes one more."""
    box = router.container("box")
    router.weft("attach", "--netns", box.path, "--name", "box", "--net", "app", "-p", "8080:8080")
    for port in (*OPEN, 8080):
        box.serve_tcp(port, b"inside")
        box.serve_udp(port, b"inside")
    return box


def knock(eve: Outside, address: str) -> list[str]:
    """Try every port of an address by TCP and UDP, and an echo request; return what was answered."""

    def attempt(attack: tuple[str, int]) -> str:
        protocol, port = attack
        probe = eve.connect if protocol == "tcp" else eve.send_udp
        return f"{address} {port}/{protocol}: {probe(address, port, timeout=SHORT).outcome}"

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(attempt, product(("tcp", "udp"), (*PORTS, 8080))))
    pinged = f"{address} ping: {'reply' if eve.ping(address, SHORT) else 'timeout'}"
    return [outcome for outcome in (*outcomes, pinged) if not outcome.endswith("timeout")]


def test_no_address_and_no_port_answers_a_neighbour_with_a_route(router: Host, box: Space, eve: Outside) -> None:
    def comes_from_eve(packet: Packet) -> bool:
        return packet.source in (eve.address, eve.address6) and not packet.outgoing

    with (
        Safe(router, NETWORKS, [box], neighbour=eve, private=NETWORKS) as safe,
        Capture(box, comes_from_eve) as arrived,
    ):
        for address in (*GATEWAYS, *box.addresses()):
            assert knock(eve, address) == []
    assert safe.violations == []
    assert arrived.seen == []


def test_the_published_port_is_open_at_the_hosts_addresses(router: Host, box: Space, eve: Outside) -> None:
    for address in (router.address, router.address6):
        assert eve.connect(address, 8080).data == b"inside"
        assert eve.connect(address, 80, timeout=SHORT).outcome == "refused"


def test_the_witness_sees_what_there_is_to_see(router: Host, box: Space, eve: Outside) -> None:
    """With weft's table out of the way, for a moment, the same knocks do arrive: it is weft that stops them."""
    router.stop_agent()
    router.run("nft", "delete table inet weft")
    try:
        eve.run("ip", "route", "replace", NETWORKS[0], "via", router.address)
        assert eve.connect(box.addresses()[0], 80).data == b"inside"
    finally:
        router.start_agent()
    assert eve.connect(box.addresses()[0], 80, timeout=SHORT).outcome == "timeout"


def test_answers_still_come_back_and_nothing_stays(router: Host, eve: Outside) -> None:
    """Closed to strangers is not closed to answers; and all of it goes with the container."""
    guest = router.container("guest")
    clean = Snapshot.take(router, NETWORKS)
    eve.serve_tcp(7000, b"outside")
    router.weft("attach", "--netns", guest.path, "--name", "guest", "--net", "app")
    for address in (eve.address, eve.address6):
        assert guest.connect(address, 7000).data == b"outside"
    router.weft("detach", "guest")
    assert_clean(clean, router, NETWORKS)
