"""A network without an IPv6 subnet has no IPv6 at all: not an address, not an answer, not a way round the filters."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator

import pytest

from tests.scenarios.waiting import eventually
from weft.model.identity import link_local
from weft.testing import frames
from weft.testing.attackers import Safe
from weft.testing.capture import Capture
from weft.testing.frames import Packet
from weft.testing.hosts import INTERNET, INTERNET6, Host, Outside
from weft.testing.oracles import Snapshot, assert_clean
from weft.testing.spaces import Space

NETWORK = "10.48.0.0/24"
BRIDGE = "four0"
OTHER = ("10.49.0.0/24", "fd00:49::/64")
ROUTER = "02:00:00:00:00:fe"


@pytest.fixture(scope="module")
def boxes(host: Host) -> tuple[Space, Space]:
    """Two containers of a network with IPv4 only, one of which publishes a port."""
    host.weft("network", "create", "four", "--subnet", NETWORK, "--bridge", BRIDGE)
    first, second = host.container("first"), host.container("second")
    host.weft("attach", "--netns", first.path, "--name", "first", "--net", "four", "-p", "8080:80")
    host.weft("attach", "--netns", second.path, "--name", "second", "--net", "four")
    first.serve_tcp(80, b"inside")
    return first, second


@pytest.fixture(scope="module")
def port(host: Host, boxes: tuple[Space, Space]) -> str:
    """The host's end of the first container's cable."""
    (link,) = boxes[0].run_json("ip", "-j", "link", "show", "dev", "eth0")
    return next(one["ifname"] for one in host.run_json("ip", "-j", "link") if one["ifindex"] == link["link_index"])


def is_six(packet: Packet) -> bool:
    return ":" in packet.source


def addresses6(space: Space, interface: str) -> list[str]:
    links = space.run_json("ip", "-6", "-j", "address", "show", "dev", interface)
    return [address["local"] for link in links for address in link.get("addr_info", ())]


def test_there_is_no_address_and_no_route(host: Host, boxes: tuple[Space, Space], port: str) -> None:
    for box in boxes:
        assert addresses6(box, "eth0") == []
        assert box.run_json("ip", "-6", "-j", "route", "show", "dev", "eth0") == []
        assert box.sysctl("net/ipv6/conf/eth0/disable_ipv6") == "1"
        assert box.connect(INTERNET6, 80).outcome == "unreachable"
    for interface in (BRIDGE, port):
        assert addresses6(host, interface) == []
        assert host.sysctl(f"net/ipv6/conf/{interface}/disable_ipv6") == "1"


def questions(mac: str, own: str) -> Iterator[bytes]:
    """Yield what anybody with IPv6 would answer or heed, in frames: solicitations, an echo request, a router."""
    source = link_local(ROUTER)
    options = bytes([1, 1]) + frames.mac_bytes(ROUTER)
    solicitation = bytes(4) + socket.inet_pton(socket.AF_INET6, own) + options
    for packet in (
        frames.icmp6(source, own, 135, solicitation),
        frames.icmp6(source, "ff02::1", 133, bytes(4) + options),
        frames.router_advertisement(source, "2001:db8:bad::"),
        frames.echo(source, "ff02::1", b"anybody?"),
        frames.echo(source, own, b"anybody?"),
    ):
        for destination in (mac, "33:33:00:00:00:01"):
            yield frames.framed(destination, ROUTER, packet)


def send(space: Space, interface: str, data: Iterable[bytes]) -> None:
    with space.call(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)) as sock:
        sock.bind((interface, 0))
        for frame in data:
            sock.send(frame)


def test_a_container_answers_nobody_and_heeds_no_router(host: Host, boxes: tuple[Space, Space], port: str) -> None:
    """Not even questions that are put into its cable by the host's hand, past all filters."""
    box, _ = boxes
    with Capture(box, is_six) as seen:
        send(host, port, questions(box.mac("eth0"), link_local(box.mac("eth0"))))
        eventually(lambda: seen.seen)
        assert box.ping("10.48.0.1")
    assert not [str(packet) for packet in seen.seen if packet.outgoing]
    assert addresses6(box, "eth0") == []
    assert box.run_json("ip", "-6", "-j", "route", "show", "dev", "eth0") == []


def test_the_hosts_bridge_answers_nobody_either(host: Host, boxes: tuple[Space, Space]) -> None:
    (link,) = host.run_json("ip", "-j", "link", "show", "dev", BRIDGE)
    box, _ = boxes
    with Capture(box, is_six) as seen:
        send(box, "eth0", questions(link["address"], link_local(link["address"])))
        assert box.ping("10.48.0.1")
    assert not [str(packet) for packet in seen.seen if not packet.outgoing]


@pytest.fixture
def willful(boxes: tuple[Space, Space]) -> Iterator[tuple[Space, Space]]:
    """Root in both containers turns IPv6 on and gives himself addresses."""
    for number, box in enumerate(boxes, 1):
        box.sysctl("net/ipv6/conf/eth0/accept_dad", 0)
        box.sysctl("net/ipv6/conf/eth0/disable_ipv6", 0)
        box.ip(
            f"address add fd00:48::{number}/64 dev eth0 nodad",
            "route add default via fe80::1 dev eth0",
        )
    yield boxes
    for box in boxes:
        box.ip("route delete default via fe80::1 dev eth0")
        box.sysctl("net/ipv6/conf/eth0/disable_ipv6", 1)


def test_a_container_that_turns_it_on_reaches_nobody(host: Host, eve: Outside, willful: tuple[Space, Space]) -> None:
    first, second = willful
    (link,) = host.run_json("ip", "-j", "link", "show", "dev", BRIDGE)
    second.serve_tcp(80, b"inside")
    with Capture(second, is_six) as arrived, Capture(host, is_six, "eth0") as left:
        own = link_local(first.mac("eth0"))
        for target in ("fd00:48::2", f"{link_local(second.mac('eth0'))}%eth0", f"{link_local(link['address'])}%eth0"):
            assert first.connect(target, 80, timeout=0.2).outcome in ("timeout", "unreachable")
        by_hand = [
            frames.framed(mac, first.mac("eth0"), frames.udp(source, 5, target, 53, b"by hand"))
            for mac, target in ((second.mac("eth0"), "fd00:48::2"), (link["address"], INTERNET6))
            for source in (own, "fd00:48::1")
        ]
        send(first, "eth0", by_hand)
        assert first.ping(second.addresses(version=4)[0])
    assert not [str(packet) for packet in arrived.seen if not packet.outgoing]
    assert not [str(packet) for packet in left.seen if packet.source.startswith("fd00:48")]


def test_its_port_is_published_for_ipv4_only(host: Host, eve: Outside, boxes: tuple[Space, Space]) -> None:
    assert eve.connect(host.address, 8080).data == b"inside"
    assert eve.connect(host.address6, 8080).outcome == "refused"
    assert boxes[0].ping(INTERNET)


def test_a_second_network_brings_it_to_its_own_interface_only(host: Host, boxes: tuple[Space, Space]) -> None:
    host.weft("network", "create", "both", "--subnet", OTHER[0], "--subnet", OTHER[1])
    box, insider = boxes

    def there_and_back() -> None:
        host.weft("network", "connect", "both", "first")
        assert addresses6(box, "eth0") == []
        assert any(address.startswith("fd00:49::") for address in addresses6(box, "eth1"))
        assert box.ping("fd00:49::1")
        host.weft("network", "disconnect", "both", "first")

    there_and_back()  # the first use of the network starts its name server, which stays
    clean = Snapshot.take(host, OTHER)
    with Safe(host, [NETWORK], [box], insider=insider) as safe:
        there_and_back()
    assert safe.violations == []
    assert_clean(clean, host, OTHER)
    assert box.connect(INTERNET6, 80).outcome == "unreachable"
