"""A port is published with -p 3333:3333, and somebody on another machine connects to it."""

from __future__ import annotations

import pytest

from weft.testing.hosts import Host, Hosts, Lan, Outside
from weft.testing.spaces import Space

PAYLOAD = bytes(range(256)) * 2048


@pytest.fixture(scope="module")
def box(host: Host) -> Space:
    """A container with both IP versions whose ports 3333 (TCP, UDP) answer with the client's address as it sees it."""
    host.weft("network", "create", "app", "--ipv6")
    host.weft(
        "run", "-d", "--name", "web", "--net", "app", "-p", "3333:3333", "-p", "3333:3333/udp", "-p", "4444:5555",
        "--", "sleep", "1000",
    )  # fmt: skip
    box = host.inside("web")
    box.serve_tcp(3333)
    box.serve_udp(3333)
    return box


@pytest.fixture(scope="module")
def other(hosts: Hosts, lan: Lan) -> Host:
    """Another machine with an agent of its own."""
    other = hosts.host("h2", lan)
    other.start_agent()
    return other


@pytest.fixture(scope="module")
def addresses(host: Host, box: Space) -> tuple[str, str]:
    """The host's addresses on the LAN."""
    return host.address, host.address6


def test_the_container_sees_the_other_hosts_address(other: Host, addresses: tuple[str, str]) -> None:
    for address, own in zip(addresses, (other.address, other.address6), strict=True):
        assert other.connect(address, 3333).text == own
        assert other.send_udp(address, 3333).text == own


def test_the_container_sees_which_of_its_addresses_a_client_uses(eve: Outside, addresses: tuple[str, str]) -> None:
    eve.ip("address add 192.0.2.66/24 dev eth0", "address add 2001:db8:1::66/64 dev eth0 nodad")
    for address, source in zip(addresses, ("192.0.2.66", "2001:db8:1::66"), strict=True):
        assert eve.connect(address, 3333, source=source).text == source
        assert eve.send_udp(address, 3333, source=source).text == source


def test_a_client_from_beyond_the_router_keeps_its_address(hosts: Hosts, addresses: tuple[str, str]) -> None:
    far = hosts.outside("far", hosts.lan("203.0.113.0/24", v6="2001:db8:2::/64"))
    for address, own in zip(addresses, (far.address, far.address6), strict=True):
        assert far.connect(address, 3333).text == own


def test_payloads_arrive_whole(box: Space, other: Host, addresses: tuple[str, str]) -> None:
    """Both ways: much from the container's server, a datagram to it."""
    box.serve_tcp(5555, PAYLOAD)
    for address in addresses:
        assert other.connect(address, 4444).data == PAYLOAD
    server = box.serve_udp(6666)
    other.send_udp(addresses[0], 6666, timeout=0.2)
    assert server.received == []  # it is not published


def test_datagrams_arrive_whole(host: Host, other: Host, addresses: tuple[str, str]) -> None:
    bare = host.container("bare")
    host.weft("attach", "--netns", bare.path, "--name", "bare", "--net", "app", "-p", "7777:7777/udp")
    server = bare.serve_udp(7777, b"thanks")
    for address in addresses:
        assert other.send_udp(address, 7777, send=b"hello").data == b"thanks"
    assert server.received == [b"hello", b"hello"]


def test_another_hosts_container_is_seen_as_that_host(other: Host, addresses: tuple[str, str]) -> None:
    """Between hosts that are not joined its own address means nothing."""
    bare = other.container("bare")
    other.weft("network", "create", "app", "--ipv6", "--subnet", "10.99.0.0/24")
    other.weft("attach", "--netns", bare.path, "--name", "bare", "--net", "app")
    for address, own in zip(addresses, (other.address, other.address6), strict=True):
        assert bare.connect(address, 3333).text == own


def test_the_port_closes_with_the_container(host: Host, eve: Outside, addresses: tuple[str, str]) -> None:
    host.weft("rm", "-f", "web")
    for address in addresses:
        assert eve.connect(address, 3333).outcome == "refused"
