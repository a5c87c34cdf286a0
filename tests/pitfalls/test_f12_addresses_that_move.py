"""A bridge keeps its MAC, and a container's neighbours hear at once where its addresses are.

A bridge without a MAC of its own takes the lowest of its ports': with a container that comes or goes it is another, and
for a minute or two everybody sends to one that nobody has any more.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from ipaddress import IPv6Address

import pytest

from tests.scenarios.waiting import eventually
from weft.testing.attackers import Safe
from weft.testing.capture import Capture
from weft.testing.frames import Packet
from weft.testing.hosts import INTERNET, INTERNET6, Host
from weft.testing.oracles import Snapshot, assert_clean
from weft.testing.spaces import Space

NETWORKS = ("10.52.0.0/24", "fd00:52::/64")
GATEWAYS = ("10.52.0.1", "fd00:52::1")
BRIDGE = "app0"
#: Addresses that move, and the lowest and highest MAC that a container may be given.
FOUR, SIX = "10.52.0.9", "fd00:52::9"
LOWEST, HIGHEST = "02:00:00:00:00:01", "fe:ff:ff:ff:ff:fe"
#: Seconds in which neighbours must find an address at its new place; a stale entry lasts half a minute and more.
AT_ONCE = 0.5


@pytest.fixture(scope="module")
def peer(host: Host) -> Space:
    """A container that is there all the time."""
    words = [word for network in NETWORKS for word in ("--subnet", network)]
    host.weft("network", "create", "app", "--bridge", BRIDGE, *words)
    peer = host.container("peer")
    host.weft("attach", "--netns", peer.path, "--name", "peer", "--net", "app")
    return peer


@pytest.fixture(scope="module")
def boxes(host: Host, peer: Space) -> tuple[Space, Space]:
    """Two namespaces that are attached by tests, and detached again by them."""
    old, new = host.container("old"), host.container("new")
    old.serve_tcp(80, b"old")
    new.serve_tcp(80, b"new")
    return old, new


@pytest.fixture
def newcomer(host: Host, boxes: tuple[Space, Space]) -> Iterator[Space]:
    """One of them, which is not attached any more after the test."""
    yield boxes[1]
    host.weft("detach", "new", check=False)


def attach(host: Host, box: Space, *options: str) -> None:
    words = ("--netns", box.path, "--name", box.name, "--net", "app", "--ip", FOUR, "--ip6", SIX, *options)
    host.weft("attach", *words)


def routers(space: Space) -> list[str]:
    """Return the MACs that ``space`` has for the gateways."""
    entries = space.run_json("ip", "-j", "neighbour", "show")
    return [entry.get("lladdr", "") for entry in entries if entry["dst"] in GATEWAYS]


@pytest.mark.parametrize("mac", [LOWEST, HIGHEST])
def test_the_bridge_keeps_its_mac(host: Host, peer: Space, newcomer: Space, mac: str) -> None:
    own = host.mac(BRIDGE)
    assert peer.ping(INTERNET) and peer.ping(INTERNET6)
    attach(host, newcomer, "--mac-address", mac)
    assert newcomer.mac("eth0") == mac
    assert host.mac(BRIDGE) == own
    assert peer.ping(INTERNET, AT_ONCE) and peer.ping(INTERNET6, AT_ONCE)
    assert set(routers(peer)) == {own}
    host.weft("detach", "new")
    assert host.mac(BRIDGE) == own
    assert peer.ping(INTERNET, AT_ONCE) and peer.ping(INTERNET6, AT_ONCE)


def test_nor_does_it_follow_a_port_that_somebody_else_plugs_in(host: Host, peer: Space) -> None:
    own = host.mac(BRIDGE)
    host.ip(
        f"link add foreign0 address {LOWEST} type veth peer name foreign1",
        f"link set foreign0 master {BRIDGE} up",
        "link set foreign1 up",
    )
    assert host.mac(BRIDGE) == own and peer.ping(GATEWAYS[0])
    host.ip("link delete foreign0")
    assert host.mac(BRIDGE) == own and peer.ping(GATEWAYS[0])


def test_it_is_the_same_when_the_bridge_is_made_anew(host: Host, peer: Space) -> None:
    own = host.mac(BRIDGE)
    host.ip(f"link delete {BRIDGE}")
    eventually(lambda: peer.ping(GATEWAYS[0], 0.1) and peer.ping(GATEWAYS[1], 0.1))
    assert host.mac(BRIDGE) == own
    host.restart_agent(kill=True)
    assert host.mac(BRIDGE) == own and peer.ping(GATEWAYS[0])


def says_where(address: str, mac: str) -> str:
    return f"{address} is at {mac}"


def announcements(packets: list[Packet]) -> set[str]:
    """Return what gratuitous ARP (RFC 5227, section 3) and unsolicited advertisements (RFC 4861, 7.2.6) said."""
    found = set()
    for packet in packets:
        if packet.protocol == "arp" and packet.source == packet.destination:
            found.add(says_where(packet.source, packet.frame[22:28].hex(":")))
        if packet.protocol == "icmpv6" and packet.frame[54] == 136 and packet.destination == "ff02::1":
            assert packet.frame[58] & 0x20, "it does not override what is known"
            found.add(says_where(str(IPv6Address(packet.frame[62:78])), packet.source_mac))
    return found


@pytest.mark.parametrize("options", [(), ("--mac-address", HIGHEST)], ids=["derived MAC", "given MAC"])
def test_attaching_is_announced(host: Host, peer: Space, newcomer: Space, options: tuple[str, ...]) -> None:
    with Capture(peer, lambda packet: not packet.outgoing, "eth0") as capture:
        attach(host, newcomer, *options)
        mac = newcomer.mac("eth0")
        expected = {says_where(address, mac) for address in (FOUR, SIX)}
        eventually(lambda: expected <= announcements(capture.seen), within=2)


@pytest.mark.parametrize(
    ("first", "second"),
    [((), ()), (("--mac-address", HIGHEST), ("--mac-address", LOWEST))],
    ids=["same MAC", "new MAC"],
)
def test_neighbours_follow_at_once(
    host: Host, peer: Space, boxes: tuple[Space, Space], first: tuple[str, ...], second: tuple[str, ...]
) -> None:
    """The addresses move to another container while the peer and the host hold them to be at the old one's."""
    old, new = boxes
    for space in (peer, host):
        space.ip(*(f"neighbour flush to {address}" for address in (FOUR, SIX)))
    attach(host, old, *first)
    for space in (peer, host):
        assert {space.connect(address, 80).data for address in (FOUR, SIX)} == {b"old"}
    host.weft("detach", "old")
    attach(host, new, *second)
    begin = time.monotonic()
    for space in (peer, host):
        for address in (FOUR, SIX):
            eventually(lambda: space.connect(address, 80, timeout=0.1).data == b"new", AT_ONCE)  # noqa: B023
    assert time.monotonic() - begin < 2 * AT_ONCE
    host.weft("detach", "new")


def test_the_published_port_moves_along(host: Host, peer: Space, newcomer: Space) -> None:
    """And nobody gets in meanwhile, and nothing stays."""
    clean = Snapshot.take(host, NETWORKS)
    with Safe(host, NETWORKS, [peer], insider=newcomer) as safe:
        for payload in (b"first", b"second"):
            server = newcomer.serve_tcp(8000, payload)
            attach(host, newcomer, "-p", "8080:8000")
            for address in (host.address, host.address6):
                assert host.connect(address, 8080, timeout=3).data == payload
            host.weft("detach", "new")
            server.close()
    assert safe.violations == []
    assert_clean(clean, host, NETWORKS)
