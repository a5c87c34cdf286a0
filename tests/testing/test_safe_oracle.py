"""SAFE sees a planted leak of each kind, and nothing where nothing leaks."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from weft.testing import frames
from weft.testing.attackers import Safe
from weft.testing.capture import Capture
from weft.testing.hosts import INTERNET, INTERNET6, Host, Hosts, Lan, Outside
from weft.testing.spaces import Space

NETWORKS = ("10.8.0.0/24", "fd08::/64")
#: What a careful person would write: nobody comes in, and what goes out is translated.
GUARD = """
table inet guard {
    chain arrive {
        type filter hook prerouting priority -310
        iifname "eth0" ip daddr 10.0.0.0/8 drop
        iifname "eth0" ip6 daddr fd00::/8 drop
    }
    chain forward {
        type filter hook forward priority 0; policy drop
        ct state established accept
        iifname "br8" oifname "eth0" accept
    }
    chain leave {
        type nat hook postrouting priority 100
        oifname "eth0" masquerade
    }
}
"""


@dataclass
class Leaky:
    """A host with two networks put together by hand, without any protection."""

    host: Host
    victim: Space
    insider: Space
    sibling: Space


@pytest.fixture
def leaky(hosts: Hosts, lan: Lan) -> Iterator[Leaky]:
    host = hosts.host("leaky", lan)
    host.sysctl("net/ipv4/ip_forward", 1)
    host.sysctl("net/ipv6/conf/all/forwarding", 1)
    for number in (8, 9):
        host.ip(
            f"link add br{number} type bridge",
            f"address add 10.{number}.0.1/24 dev br{number}",
            f"address add fd0{number}::1/64 dev br{number} nodad",
            f"link set br{number} up",
        )
    yield Leaky(host, _plug(host, 8, 2), _plug(host, 8, 3), _plug(host, 9, 2))


def _plug(host: Host, network: int, number: int) -> Space:
    space = host.container(f"c{network}{number}")
    host.ip(
        f"link add p{network}{number} master br{network} type veth peer name eth0 netns {space.path}",
        f"link set p{network}{number} up",
    )
    space.ip(
        f"address add 10.{network}.0.{number}/24 dev eth0",
        f"address add fd0{network}::{number}/64 dev eth0 nodad",
        "link set eth0 up",
        f"route add default via 10.{network}.0.1",
        f"route add default via fd0{network}::1",
    )
    return space


def lines(safe: Safe, *words: str) -> list[str]:
    return [line for line in safe.violations if all(word in line for word in words)]


def until(safe: Safe, *words: str) -> None:
    """Wait until a violation has all of the words."""
    deadline = time.monotonic() + 5
    while not lines(safe, *words):
        assert time.monotonic() < deadline, f"no violation with {words} among {set(safe.violations)}"
        time.sleep(0.01)


def test_it_sees_a_neighbour_come_in(leaky: Leaky, eve: Outside) -> None:
    with Safe(leaky.host, NETWORKS, [leaky.victim], neighbour=eve) as safe:
        for source, target in ((eve.address, "10.8.0.2"), (eve.address6, "fd08::2")):
            for protocol in ("icmp", "tcp 40000 → 80", "udp 40000 → 53"):
                until(safe, f"neighbour reached c82: {source} → {target} {protocol}")
    assert not lines(safe, "sibling") and not lines(safe, "insider")
    assert "10.8.0.0/24" not in eve.run("ip", "route").stdout


def test_it_sees_a_sibling_come_over(leaky: Leaky) -> None:
    with Safe(leaky.host, NETWORKS, [leaky.victim], sibling=leaky.sibling) as safe:
        until(safe, "sibling reached c82: 10.9.0.2 → 10.8.0.2 udp")
        until(safe, "sibling reached c82: fd09::2 → fd08::2 tcp")


def test_it_sees_forgeries_pass(leaky: Leaky) -> None:
    with Safe(leaky.host, NETWORKS, [leaky.victim], insider=leaky.insider) as safe:
        until(safe, "insider reached c82: 10.8.0.1 → 10.8.0.1 arp")
        until(safe, "insider reached c82: fd08::1 → ff02::1 icmpv6")
        until(safe, "insider reached c82: 10.8.0.1 → 10.8.0.2 udp")
        until(safe, "insider reached c82: fd08::1 → fd08::2 udp")
        until(safe, "insider reached c82: 10.8.0.3 → 255.255.255.255 udp 67 → 68")
        until(safe, "udp 547 → 546")
        until(safe, "insider reached c82: fe80::", "→ ff02::1 icmpv6")


def test_it_sees_addresses_leave_untranslated(leaky: Leaky) -> None:
    with Safe(leaky.host, NETWORKS) as safe:
        leaky.victim.ping(INTERNET, timeout=0.1)
        leaky.victim.ping(INTERNET6, timeout=0.1)
    assert set(safe.violations) == {
        f"left leaky untranslated: 10.8.0.2 → {INTERNET} icmp",
        f"left leaky untranslated: fd08::2 → {INTERNET6} icmpv6",
    }


def test_it_sees_what_comes_to_a_container_that_came_later(leaky: Leaky, eve: Outside) -> None:
    with Safe(leaky.host, NETWORKS, neighbour=eve) as safe:
        safe.protect(_plug(leaky.host, 8, 4))
        until(safe, "neighbour reached c84")


def test_it_is_silent_where_nothing_leaks(leaky: Leaky, eve: Outside) -> None:
    leaky.host.run("nft", "-f", "-", input=GUARD)
    with Safe(leaky.host, NETWORKS, [leaky.victim], eve, leaky.sibling) as safe:
        assert leaky.victim.ping(INTERNET)
        time.sleep(0.3)
    assert safe.violations == []


def test_a_capture_knows_what_it_sees(hosts: Hosts, lan: Lan, eve: Outside) -> None:
    host = hosts.host("h", lan)
    with Capture(host, lambda packet: packet.protocol == "udp", "eth0") as capture:
        host.serve_udp(7000)
        eve.send_udp(host.address, 7000)
        eve.ping(host.address)
    request, reply = capture.seen
    assert (request.source, request.destination, request.dport) == (eve.address, host.address, 7000)
    assert (reply.source, reply.destination, reply.sport) == (host.address, eve.address, 7000)
    assert (request.outgoing, reply.outgoing) == (False, True)
    assert request.source_mac == reply.destination_mac == eve.mac("eth0")


@pytest.mark.parametrize(
    "packet",
    [
        frames.udp("192.0.2.1", 5000, "192.0.2.2", 53, b"x"),
        frames.tcp("2001:db8::1", 5000, "2001:db8::2", 53, b"xyz"),
    ],
)
def test_packets_are_read_as_they_were_written(packet: bytes) -> None:
    frame = frames.framed("02:00:00:00:00:02", "02:00:00:00:00:01", packet)
    read = frames.Packet.parse(frame)
    assert (read.sport, read.dport) == (5000, 53)
    assert read.source.endswith("1") and read.destination.endswith("2")
    assert (read.source_mac, read.destination_mac) == ("02:00:00:00:00:01", "02:00:00:00:00:02")


@pytest.mark.parametrize("length", range(14, 60))
def test_a_frame_that_is_cut_short_is_read_as_far_as_it_goes(length: int) -> None:
    for packet in (frames.udp("192.0.2.1", 1, "192.0.2.2", 2, b""), frames.udp("::1", 1, "::2", 2, b"")):
        frame = frames.framed("02:00:00:00:00:02", "02:00:00:00:00:01", packet)[:length]
        assert frames.Packet.parse(frame).frame == frame


def test_honest_stacks_take_what_is_forged(hosts: Hosts, lan: Lan, eve: Outside) -> None:
    """Checksums are right: a stack takes such packets, so that it is a filter, not a bad checksum, that stops them."""
    host = hosts.host("h", lan)
    server = host.serve_udp(7000)
    for source, target in ((eve.address, host.address), (eve.address6, host.address6)):
        packet = frames.udp(source, 5000, target, 7000, b"by hand")
        frame = frames.framed(host.mac("eth0"), eve.mac("eth0"), packet)
        _send(eve, frame)
    deadline = time.monotonic() + 5
    while len(server.clients) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert server.received == [b"by hand", b"by hand"]
    with Capture(eve, lambda packet: packet.protocol.startswith("icmp") and not packet.outgoing) as replies:
        for source, target in ((eve.address, host.address), (eve.address6, host.address6)):
            _send(eve, frames.framed(host.mac("eth0"), eve.mac("eth0"), frames.echo(source, target, b"data")))
        time.sleep(0.1)
    assert {reply.source for reply in replies.seen if b"data" in reply.frame} == {host.address, host.address6}


def _send(space: Space, frame: bytes) -> None:
    with space.call(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)) as sock:
        sock.bind(("eth0", 0))
        sock.send(frame)
