"""A container on an internal network talks to the host, by the gateway, and to nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from tests.names import dnsclient
from tests.scenarios.refusals import refusal
from tests.scenarios.together import together
from weft.testing.capture import Capture
from weft.testing.hosts import INTERNET, INTERNET6, Host, Outside
from weft.testing.spaces import Space

QUICK = 0.3
GATEWAYS = ("172.30.0.1", "fd00:30::1")


@pytest.fixture(scope="module", autouse=True)
def networks(host: Host) -> None:
    host.weft("network", "create", "--internal", "--subnet", "172.30.0.0/24", "--subnet", "fd00:30::/64", "inside")
    host.weft("network", "create", "--subnet", "172.31.0.0/24", "--subnet", "fd00:31::/64", "open")


@pytest.fixture(scope="module")
def box(host: Host) -> Space:
    return run(host, "box", "inside")


@pytest.fixture(scope="module")
def other(host: Host) -> Space:
    """A container on a network that is not internal."""
    return run(host, "other", "open", "-p", "8080:80")


def run(host: Host, name: str, network: str, *options: str) -> Space:
    host.weft("run", "-d", "--name", name, "--net", network, *options, "--", "sleep", "1000")
    space = host.inside(name)
    space.serve_tcp(80, name.encode())
    space.serve_udp(80, name.encode())
    return space


def test_the_host_reaches_the_container(host: Host, box: Space) -> None:
    for address in box.addresses():
        assert host.connect(address, 80).data == host.send_udp(address, 80).data == b"box"
        assert host.ping(address)


def test_the_container_reaches_the_host_by_the_gateway(host: Host, box: Space) -> None:
    tcp, udp = host.serve_tcp(), host.serve_udp()
    for gateway, own in zip(GATEWAYS, box.addresses(), strict=True):
        assert box.connect(gateway, tcp.port).text == box.send_udp(gateway, udp.port).text == own
        assert box.ping(gateway)


def test_containers_of_the_network_reach_each_other(host: Host, box: Space) -> None:
    """Talking to the host only is had with --no-icc beside --internal: then not even those."""
    peer = run(host, "peer", "inside")
    assert all(box.connect(address, 80).data == b"peer" for address in peer.addresses())
    host.weft("network", "create", "--internal", "--no-icc", "--ipv6", "alone")
    first, second = (run(host, name, "alone") for name in ("first", "second"))
    assert not any(together(*(partial(first.ping, address, QUICK) for address in second.addresses())))
    assert all(host.ping(address) for address in first.addresses())


@pytest.fixture
def forced(box: Space) -> Iterator[Space]:
    """The container with default routes that weft did not give it."""
    assert box.run_json("ip", "-j", "route", "show", "default") == []
    assert box.run_json("ip", "-6", "-j", "route", "show", "default") == []
    for gateway in GATEWAYS:
        box.run("ip", "route", "add", "default", "via", gateway)
    yield box
    for gateway in GATEWAYS:
        box.run("ip", "route", "delete", "default", "via", gateway)


def reached(client: Space, address: str) -> bool:
    """Whether anything comes back from ``address``."""
    answers = together(
        lambda: client.connect(address, 80, timeout=QUICK).outcome == "reply",
        lambda: client.connect(address, 8080, timeout=QUICK).outcome == "reply",
        lambda: client.send_udp(address, 80, timeout=QUICK).outcome == "reply",
        lambda: client.ping(address, QUICK),
    )
    return any(answers)


def test_it_reaches_nothing_else(host: Host, forced: Space, other: Space, eve: Outside) -> None:
    """Although it sends all to the host: neither outside, nor other networks, nor other addresses of the host."""
    for port in (80, 8080):
        eve.serve_tcp(port)
    host.serve_tcp(80)
    host.serve_udp(80)
    eve.serve_udp(80)
    places = [INTERNET, INTERNET6, eve.address, eve.address6, *other.addresses(), "172.31.0.1", "fd00:31::1"]
    places += [host.address, host.address6]
    own = forced.addresses()
    with Capture(host, lambda packet: packet.outgoing and packet.source in own, "eth0") as capture:
        hits = together(*(partial(reached, forced, place) for place in places))
    assert [place for place, hit in zip(places, hits, strict=True) if hit] == []
    assert capture.seen == []


def test_nothing_else_reaches_it(host: Host, forced: Space, other: Space, eve: Outside) -> None:
    """Although its answers would find back."""
    for network, gateway in (("172.30.0.0/24", host.address), ("fd00:30::/64", host.address6)):
        eve.run("ip", "route", "add", network, "via", gateway)
    clients = [(client, address) for client in (eve, other) for address in forced.addresses()]
    assert not any(together(*(partial(reached, client, address) for client, address in clients)))
    for network in ("172.30.0.0/24", "fd00:30::/64"):
        eve.run("ip", "route", "delete", network)


def test_no_dns_query_of_it_leaves_the_host(host: Host, forced: Space, other: Space) -> None:
    """Names of its own network are answered; what a container elsewhere asks shows that others would be seen."""
    servers = (*GATEWAYS, host.lans[0].gateway, "8.8.8.8")
    with Capture(host, lambda packet: packet.outgoing and packet.dport == 53, "eth0") as capture:
        other.send_udp("172.31.0.1", 53, dnsclient.query("harmless.example"), timeout=QUICK)
        together(
            *(
                partial(forced.send_udp, server, 53, dnsclient.query("secret.example"), timeout=QUICK)
                for server in servers
            ),
            *(partial(forced.connect, server, 53, timeout=QUICK) for server in servers[2:]),
        )
    assert any(b"harmless" in packet.frame for packet in capture.seen)
    assert not any(b"secret" in packet.frame or packet.protocol == "tcp" for packet in capture.seen)
    for gateway in GATEWAYS:
        answer = dnsclient.parse(forced.send_udp(gateway, 53, dnsclient.query("box.inside")).data)
        assert answer.values == [forced.addresses(version=4)[0]]


def test_publishing_a_port_is_refused(host: Host) -> None:
    words = ("run", "-d", "--name", "x", "--net", "inside", "-p", "80", "--", "true")
    assert "reaches outside" in refusal(host, *words)
