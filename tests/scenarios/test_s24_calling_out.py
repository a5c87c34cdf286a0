"""Containers call out: in the host's name to the outside, in their own to containers of their network."""

from __future__ import annotations

import errno
import socket

import pytest

from weft.testing import frames
from weft.testing.capture import Capture
from weft.testing.hosts import Host, Hosts, Outside
from weft.testing.spaces import Space

#: <linux/in.h>: errors that others report, without waiting for the next call.
IP_RECVERR = 11
#: RST and ACK (RFC 9293, section 3.1).
RESET = 0x14

SUBNETS = ("--subnet", "172.30.0.0/24", "--subnet", "fd00:30::/64")


@pytest.fixture(scope="module")
def box(host: Host) -> Space:
    host.weft("network", "create", *SUBNETS, "app")
    return attached(host, "box", "app")


@pytest.fixture(scope="module")
def far(hosts: Hosts) -> Outside:
    """Somebody behind the LAN's router."""
    return hosts.outside("far", hosts.lan("203.0.113.0/24", v6="2001:db8:2::/64"))


def attached(host: Host, name: str, network: str) -> Space:
    space = host.container(name)
    host.weft("attach", "--netns", space.path, "--name", name, "--net", network)
    return space


def sources_seen_by(server: Space, address: str, client: Space) -> set[str]:
    """Return whom ``server`` sees when ``client`` talks to it by TCP and by UDP; both say it in their replies."""
    tcp, udp = server.serve_tcp(), server.serve_udp()
    return {client.connect(address, tcp.port).text, client.send_udp(address, udp.port).text}


def test_the_source_becomes_the_hosts_and_replies_return(host: Host, box: Space, eve: Outside) -> None:
    assert sources_seen_by(eve, eve.address, box) == {host.address}
    assert sources_seen_by(eve, eve.address6, box) == {host.address6}


def test_beyond_the_router_as_well(host: Host, box: Space, far: Outside) -> None:
    assert sources_seen_by(far, far.address, box) == {host.address}
    assert sources_seen_by(far, far.address6, box) == {host.address6}
    assert box.ping(far.address) and box.ping(far.address6)


def test_errors_of_routers_on_the_way_return(box: Space, far: Outside) -> None:
    """'Time exceeded' of the LAN's router is no answer of the peer's, and still led back to the container."""

    def second_hop() -> int:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 2)
            sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
            sock.settimeout(1)
            sock.connect((far.address, 33434))
            sock.send(b"?")
            with pytest.raises(OSError) as caught:
                sock.recv(1)
            return caught.value.errno or 0

    assert box.call(second_hop) == errno.EHOSTUNREACH


def test_many_connections_from_the_same_source_port(host: Host, box: Space, eve: Outside) -> None:
    other = attached(host, "other", "app")
    server = eve.serve_udp(payload=b"ok")

    def ask(space: Space) -> socket.socket:
        sock = space.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        sock.bind(("", 5555))
        sock.settimeout(1)
        sock.connect((eve.address, server.port))
        sock.send(b"?")
        return sock

    for sock in (ask(box), ask(other)):
        with sock:
            assert sock.recv(10) == b"ok"
    assert server.clients == [host.address, host.address]


def test_containers_of_the_network_see_each_others_own_addresses(host: Host, box: Space) -> None:
    peer = attached(host, "peer", "app")
    for mine, theirs in zip(box.addresses(), peer.addresses(), strict=True):
        assert sources_seen_by(peer, theirs, box) == {mine}


def test_the_host_sees_the_containers_own_address(host: Host, box: Space) -> None:
    for mine, gateway in zip(box.addresses(), ("172.30.0.1", "fd00:30::1"), strict=True):
        assert sources_seen_by(host, gateway, box) == {mine}


def test_without_masquerading_the_source_is_the_containers_own(host: Host, eve: Outside) -> None:
    host.weft("network", "create", "--no-masquerade", "--subnet", "172.31.0.0/24", "--subnet", "fd00:31::/64", "plain")
    plain = attached(host, "plain", "plain")
    eve.run("ip", "route", "add", "172.31.0.0/24", "via", host.address)
    eve.run("ip", "route", "add", "fd00:31::/64", "via", host.address6)
    for address, mine in zip((eve.address, eve.address6), plain.addresses(), strict=True):
        assert sources_seen_by(eve, address, plain) == {mine}


def test_nothing_leaves_untranslated(host: Host, box: Space, eve: Outside) -> None:
    """Not even the end of a connection that nobody knows of, which cannot be translated."""
    with Capture(host, lambda packet: packet.outgoing and packet.source != "", "eth0") as capture:
        for source, target in zip(box.addresses(), (eve.address, eve.address6), strict=True):
            box.call(lambda source=source, target=target: _send(_reset(source, target), target))
            assert box.ping(target)
    sources = {packet.source for packet in capture.seen}
    assert {host.address, host.address6} <= sources
    assert not sources & set(box.addresses())


def _reset(source: str, target: str) -> bytes:
    return frames.tcp(source, 40000, target, 80, flags=RESET)


def _send(packet: bytes, target: str) -> None:
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    with socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW) as sock:
        sock.sendto(packet, (target, 0))
