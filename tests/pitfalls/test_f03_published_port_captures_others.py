"""A published port is a port of the host's own addresses; the same number at anybody else's address is theirs.

Elsewhere a container that published port 80 or 53 got the traffic of everybody on the host to that port of any server.
"""

from __future__ import annotations

import pytest

from weft.testing.attackers import Safe
from weft.testing.capture import Capture
from weft.testing.hosts import INTERNET, INTERNET6, Host, Hosts, Lan, Outside
from weft.testing.oracles import Snapshot, assert_clean
from weft.testing.spaces import Space

PORTS = (53, 80)
OUTSIDE = (INTERNET, INTERNET6)


@pytest.fixture(scope="module")
def host(hosts: Hosts, lan: Lan) -> Host:
    """A host that is a router, for its neighbours too."""
    host = hosts.host("h1", lan)
    for path in ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"):
        host.sysctl(path, 1)
    host.start_agent()
    return host


@pytest.fixture(scope="module")
def publisher(host: Host) -> Space:
    """A container that publishes the ports, on every address and on one."""
    for name, number in (("app", 44), ("other", 45)):
        host.weft("network", "create", name, "--subnet", f"10.{number}.0.0/24", "--subnet", f"fd00:{number}::/64")
    box = host.container("publisher")
    published = [f"{port}:{port}{kind}" for port in PORTS for kind in ("", "/udp")]
    published += [f"{host.address}:5300:53/udp", f"[{host.address6}]:5300:53/udp"]
    words = [word for form in published for word in ("-p", form)]
    host.weft("attach", "--netns", box.path, "--name", "publisher", "--net", "app", *words)
    return box


@pytest.fixture(scope="module", autouse=True)
def servers(hosts: Hosts, publisher: Space) -> None:
    """Who answers says where it is."""
    for port in PORTS:
        publisher.serve_tcp(port, b"inside")
        publisher.serve_udp(port, b"inside")
        for address in OUTSIDE:
            hosts.internet.serve_tcp(port, b"outside", address)
            hosts.internet.serve_udp(port, b"outside", address)


def answers(space: Space, address: str, port: int) -> tuple[bytes, bytes]:
    return space.connect(address, port).data, space.send_udp(address, port).data


@pytest.fixture(scope="module", params=["app", "other"])
def sibling(host: Host, request: pytest.FixtureRequest) -> Space:
    """Another container, on the publisher's network or on another one."""
    box = host.container(f"sibling-{request.param}")
    host.weft("attach", "--netns", box.path, "--name", f"sibling-{request.param}", "--net", request.param)
    return box


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("address", OUTSIDE)
def test_a_container_reaches_the_outside_at_that_port(sibling: Space, address: str, port: int) -> None:
    assert answers(sibling, address, port) == (b"outside", b"outside")


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("address", OUTSIDE)
def test_so_do_the_publisher_itself_and_the_host(host: Host, publisher: Space, address: str, port: int) -> None:
    for space in (publisher, host):
        assert answers(space, address, port) == (b"outside", b"outside")


def test_the_hosts_addresses_lead_inside(host: Host, sibling: Space, eve: Outside) -> None:
    """This is what the port was published for, so the test is not silent because nothing is published."""
    for address in (host.address, host.address6):
        for space in (eve, sibling):
            assert answers(space, address, 80) == (b"inside", b"inside")
            assert space.send_udp(address, 5300).data == b"inside"


def test_a_router_leaves_what_it_forwards_alone(host: Host, publisher: Space, eve: Outside) -> None:
    eve.ip(f"route add {INTERNET} via {host.address}", f"route add {INTERNET6} via {host.address6}")
    with Capture(publisher, lambda packet: packet.source in (eve.address, eve.address6)) as arrived:
        for address in OUTSIDE:
            for port in PORTS:
                assert answers(eve, address, port) == (b"outside", b"outside")
    assert arrived.seen == []


def test_nobody_gets_in_meanwhile_and_nothing_stays(host: Host, publisher: Space, eve: Outside) -> None:
    networks = ["10.44.0.0/24", "fd00:44::/64"]
    box = host.container("passing")
    clean = Snapshot.take(host, ["10.44.0.9/32", "fd00:44::9/128"])
    with Safe(host, networks, [publisher], neighbour=eve) as safe:
        words = ("--ip", "10.44.0.9", "--ip6", "fd00:44::9", "-p", "7000:80")
        host.weft("attach", "--netns", box.path, "--name", "passing", "--net", "app", *words)
        safe.protect(box)
        for address in OUTSIDE:
            assert answers(box, address, 80) == (b"outside", b"outside")
        host.weft("detach", "passing")
    assert safe.violations == []
    assert_clean(clean, host, ["10.44.0.9/32", "fd00:44::9/128"])
