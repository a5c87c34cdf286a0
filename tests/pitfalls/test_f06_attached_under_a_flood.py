"""Attaching and detaching while packets pour in from every side, and out of the container itself.

Filters that come after the interface, or go before it, let some of them through; on an idle wire nobody would notice.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.scenarios.waiting import eventually
from weft.testing import attackers, frames
from weft.testing.attackers import Safe, Shot
from weft.testing.hosts import INTERNET, INTERNET6, Host, Hosts, Outside
from weft.testing.oracles import Snapshot, assert_clean
from weft.testing.probes import Server
from weft.testing.spaces import Space

NETWORKS = ("10.46.0.0/24", "fd00:46::/64")
GATEWAYS = ("10.46.0.1", "fd00:46::1")
#: The container that comes and goes has always the same addresses, so that the flood can aim at them.
ADDRESSES = ("10.46.0.9", "fd00:46::9")
MAC = "02:42:0a:2e:00:09"
MARK = attackers.MARK + b"flood;"
ROUNDS = 20
#: Seconds between two volleys.
PAUSE = 0.001


@pytest.fixture(scope="module")
def app(host: Host) -> None:
    host.weft("network", "create", "app", *(word for network in NETWORKS for word in ("--subnet", network)))
    host.weft("network", "create", "other")


@pytest.fixture(scope="module")
def peer(host: Host, app: None) -> Space:
    """Another container of the network."""
    peer = host.container("peer")
    host.weft("attach", "--netns", peer.path, "--name", "peer", "--net", "app")
    return peer


@pytest.fixture(scope="module")
def sibling(host: Host, app: None) -> Space:
    """A container of another network."""
    sibling = host.container("sibling")
    host.weft("attach", "--netns", sibling.path, "--name", "sibling", "--net", "other")
    return sibling


@pytest.fixture(scope="module")
def box(host: Host) -> Space:
    """The one that comes and goes."""
    return host.container("box")


@pytest.fixture(scope="module")
def far(hosts: Hosts) -> list[Server]:
    """Servers outside, which see whom the container's packets come from."""
    return [hosts.internet.serve_udp(9000, address=address) for address in (INTERNET, INTERNET6)]


def attach(host: Host) -> None:
    words = {"netns": str(host.directory / "box.netns"), "name": "box", "networks": ["app"], "publish": ["8080:80"]}
    host.api.request("POST", "/v1/attachments", {**words, "ip": ADDRESSES[0], "ip6": ADDRESSES[1]})


def detach(host: Host) -> None:
    host.api.request("DELETE", "/v1/attachments/box")


def aimed(eve: Outside) -> Iterator[Shot]:
    """Yield packets from the wire to ports of the container that are not published, by a route of eve's own."""
    for address, source in zip(ADDRESSES, (eve.address, eve.address6), strict=True):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = eve.call(lambda family=family: socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW))  # type: ignore[misc]
        for packet in (frames.udp(source, 5, address, 53, MARK), frames.tcp(source, 5, address, 80, MARK)):
            yield Shot(sock, packet, (address, 0))


def from_inside(box: Space, peer: Space) -> Iterator[Shot]:
    """Yield what the container sends from its first moment on: honestly to the outside, and in others' names."""
    for address in (INTERNET, INTERNET6):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = box.call(lambda family=family: socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK))  # type: ignore[misc]
        yield Shot(sock, b"honest", (address, 9000))
    wire = box.call(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0))
    for claim, target in zip(GATEWAYS, peer.addresses(), strict=True):
        packet = frames.udp(claim, 5, target, 53, MARK)
        for mac in (MAC, "02:66:6f:72:67:64"):
            yield Shot(wire, frames.framed(peer.mac("eth0"), mac, packet), ("eth0", 0))
    claim = frames.arp(2, MAC, GATEWAYS[0], frames.BROADCAST, GATEWAYS[0]) + MARK
    yield Shot(wire, frames.ethernet(frames.BROADCAST, MAC, frames.ARP, claim), ("eth0", 0))
    claim6 = frames.advertisement(GATEWAYS[1], "ff02::1", GATEWAYS[1], MAC, frames.unknown_option(MARK))
    yield Shot(wire, frames.framed(frames.multicast_mac("ff02::1"), MAC, claim6), ("eth0", 0))


@contextmanager
def flood(shots: list[Shot]) -> Iterator[None]:
    """Fire all shots again and again."""
    end = threading.Event()

    def fire() -> None:
        while not end.wait(PAUSE):
            for shot in shots:
                shot.fire()

    thread = threading.Thread(target=fire, name="weft-test-flood", daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()
        for shot in shots:
            shot.sock.close()


@pytest.fixture
def safe(host: Host, eve: Outside, box: Space, peer: Space, sibling: Space) -> Iterator[Safe]:
    """All attackers at work, and the flood beside them; no violation in the end."""
    with Safe(host, NETWORKS, [box, peer], eve, sibling) as safe, flood([*aimed(eve), *from_inside(box, peer)]):
        yield safe
    assert safe.violations == []


def test_a_container_comes_and_goes(host: Host, eve: Outside, box: Space, far: list[Server], safe: Safe) -> None:
    """Its honest packets do pass meanwhile, in the host's name, and its published port answers."""
    box.serve_tcp(80, b"inside")
    for number in range(ROUNDS // 2):
        before = [len(server.received) for server in far]
        attach(host)
        eventually(lambda: all(len(server.received) > n for server, n in zip(far, before, strict=True)))  # noqa: B023
        if number % 5 == 0:
            assert eve.connect(host.address, 8080).data == eve.connect(host.address6, 8080).data == b"inside"
        detach(host)
    assert {client for server in far for client in server.clients} == {host.address, host.address6}


def test_it_comes_and_goes_in_no_time(host: Host, safe: Safe) -> None:
    for _ in range(ROUNDS):
        attach(host)
        detach(host)


def test_a_network_comes_and_goes_with_it(host: Host, peer: Space, safe: Safe) -> None:
    """The bridge too has its filters first and last."""
    host.weft("detach", "peer")
    host.weft("network", "rm", "app")
    words = ("app", *(word for network in NETWORKS for word in ("--subnet", network)))
    for _ in range(3):
        host.weft("network", "create", *words)
        attach(host)
        detach(host)
        host.weft("network", "rm", "app")
    host.weft("network", "create", *words)
    host.weft("attach", "--netns", peer.path, "--name", "peer", "--net", "app")


def test_detached_by_deletion_of_its_namespace(host: Host, peer: Space, safe: Safe) -> None:
    """Whoever kills the container takes the interface away; the filters are still there then."""
    for number in range(3):
        passing = host.container(f"passing{number}")
        safe.protect(passing)
        host.weft("attach", "--netns", passing.path, "--name", "passing", "--net", "app", "--ip", ADDRESSES[0])
        passing.ip("link delete eth0")
        host.weft("detach", "passing")


def test_nothing_stays(host: Host, safe: Safe) -> None:
    before = Snapshot.take(host, NETWORKS)
    attach(host)
    detach(host)
    assert_clean(before, host, NETWORKS)
