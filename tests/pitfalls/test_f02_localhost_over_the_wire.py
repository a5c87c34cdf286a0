"""What is on 127.0.0.1 is for the host alone: published ports, and services of the host's own.

A neighbour, or a container, writes loopback addresses into frames by hand.  Where ``route_localnet`` is set, as it
has to be for published ports to be reachable from localhost, the kernel would take them.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.scenarios.waiting import eventually
from weft.testing import frames
from weft.testing.capture import Capture
from weft.testing.frames import Packet
from weft.testing.hosts import Host, Outside
from weft.testing.oracles import Snapshot, assert_clean
from weft.testing.probes import Server
from weft.testing.spaces import Space

MARK = b"over the wire"
#: Of the host's own service, and of the container on 127.0.0.1 and [::1].
SERVICE, PUBLISHED = 6000, 8080
#: How often each packet is sent: a first one may be lost to nothing but neighbour discovery.
ROUNDS = 3


@pytest.fixture(scope="module")
def box(host: Host) -> Space:
    """A container with ports on the host's loopback addresses only."""
    host.weft("network", "create", "app", "--subnet", "10.42.0.0/24", "--subnet", "fd00:42::/64")
    box = host.container("box")
    published = [("-p", f"{ip}:{PUBLISHED}:80{kind}") for ip in ("127.0.0.1", "[::1]") for kind in ("", "/udp")]
    host.weft("attach", "--netns", box.path, "--name", "box", "--net", "app", *(word for p in published for word in p))
    box.serve_tcp(80, b"inside")
    return box


@pytest.fixture(scope="module")
def listeners(host: Host, box: Space) -> list[Server]:
    """What must not hear anything: a service on the host's localhost, and the container's."""
    return [host.serve_udp(SERVICE, address="127.0.0.1"), host.serve_udp(SERVICE, address="::1"), box.serve_udp(80)]


@pytest.fixture
def careless(host: Host) -> Iterator[None]:
    """Somebody has set route_localnet on the uplink too."""
    host.sysctl("net/ipv4/conf/eth0/route_localnet", 1)
    host.sysctl("net/ipv4/conf/all/rp_filter", 0)
    yield
    host.sysctl("net/ipv4/conf/eth0/route_localnet", 0)


def crafted(own: str, own6: str, target: str, target6: str) -> Iterator[bytes]:
    """Yield packets to loopback addresses, and from them, of a sender who is ``own`` to a host that is ``target``."""
    pairs = [
        (own, "127.0.0.1"), ("127.0.0.1", "127.0.0.1"), (own, "127.9.9.9"), ("127.0.0.1", target),
        (target, "127.0.0.1"), ("192.0.2.77", "127.0.0.1"), (own6, "::1"), ("::1", "::1"),
        ("::1", target6), (target6, "::1"),
    ]  # fmt: skip
    for source, destination in pairs:
        for port in (SERVICE, PUBLISHED):
            yield frames.udp(source, 40000, destination, port, MARK)
            yield frames.tcp(source, 40000, destination, port)


def attack(attacker: Space, interface: str, mac: str, packets: Iterator[bytes]) -> None:
    """Send ``packets`` in frames to ``mac``."""
    own = attacker.mac(interface)
    with attacker.call(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)) as sock:
        sock.bind((interface, 0))
        for packet in list(packets) * ROUNDS:
            sock.send(frames.framed(mac, own, packet))


def is_answer(packet: Packet) -> bool:
    """Whether somebody answered, or refused, one of the crafted packets."""
    return packet.sport in (SERVICE, PUBLISHED) and packet.dport == 40000


def is_arrival(packet: Packet) -> bool:
    """Whether one of the crafted packets came into the container."""
    return not packet.outgoing and packet.dport == 80 and packet.sport == 40000


def heard(listeners: list[Server]) -> list[bytes]:
    return [data for server in listeners for data in server.received if data == MARK]


def from_the_wire(host: Host, eve: Outside) -> None:
    packets = crafted(eve.address, eve.address6, host.address, host.address6)
    attack(eve, "eth0", host.mac("eth0"), packets)


def test_a_neighbour_reaches_nothing(host: Host, box: Space, eve: Outside, listeners: list[Server]) -> None:
    with Capture(host, is_answer, "eth0") as answers, Capture(box, is_arrival) as arrivals:
        from_the_wire(host, eve)
        assert eve.ping(host.address)  # sent after them, so they have been dealt with
    assert answers.seen == arrivals.seen == heard(listeners) == []


@pytest.mark.usefixtures("careless")
def test_nor_does_he_where_the_uplink_routes_loopback_addresses(
    host: Host, box: Space, eve: Outside, listeners: list[Server]
) -> None:
    test_a_neighbour_reaches_nothing(host, box, eve, listeners)


def test_nor_does_a_container_of_any_network(host: Host, box: Space, listeners: list[Server]) -> None:
    """Bridges do have route_localnet set."""
    host.weft("network", "create", "other", "--subnet", "10.43.0.0/24", "--subnet", "fd00:43::/64")
    for network, number in (("app", 42), ("other", 43)):
        guest = host.container(f"guest-{network}")
        host.weft("attach", "--netns", guest.path, "--name", f"guest-{network}", "--net", network)
        (route,) = guest.run_json("ip", "-j", "route", "show", "default")
        assert guest.ping(route["gateway"])
        (neighbour,) = guest.run_json("ip", "-j", "neighbour", "show", route["gateway"])
        four, six = guest.addresses()
        packets = crafted(four, six, f"10.{number}.0.1", f"fd00:{number}::1")
        with Capture(guest, is_answer) as answers, Capture(box, is_arrival) as arrivals:
            attack(guest, "eth0", neighbour["lladdr"], packets)
            assert guest.ping(route["gateway"])
        assert [packet for packet in answers.seen if not packet.outgoing] == arrivals.seen == heard(listeners) == []


def test_no_ordinary_client_reaches_them_either(host: Host, box: Space, eve: Outside) -> None:
    """By the host's own addresses the ports are closed, as ports that nobody has."""
    for address in (host.address, host.address6):
        for port in (SERVICE, PUBLISHED):
            assert eve.connect(address, port).outcome == "refused"
            assert eve.send_udp(address, port).outcome == "refused"
            assert box.connect(address, port).outcome == "refused"


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_the_host_itself_reaches_both(host: Host, address: str, listeners: list[Server]) -> None:
    assert host.connect(address, PUBLISHED).data == b"inside"
    for port in (SERVICE, PUBLISHED):
        assert host.send_udp(address, port, b"own").outcome == "reply"


@pytest.mark.usefixtures("careless")
def test_without_weft_the_crafted_packets_would_arrive(host: Host, eve: Outside, listeners: list[Server]) -> None:
    """So they are right, and it is weft that stops them."""
    host.stop_agent()
    host.run("nft", "delete table inet weft")
    try:
        from_the_wire(host, eve)
        eventually(lambda: heard(listeners))
    finally:
        host.start_agent()


def test_nothing_stays(host: Host) -> None:
    box = host.container("passing")
    clean = Snapshot.take(host, ["10.42.0.0/24"])
    host.weft("attach", "--netns", box.path, "--name", "passing", "--net", "app", "-p", "127.0.0.1:8081:81")
    assert host.connect("127.0.0.1", 8081).outcome == "refused"
    host.weft("detach", "passing")
    assert_clean(clean, host, ["10.42.0.0/24"])
