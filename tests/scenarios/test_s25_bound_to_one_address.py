"""A port published on one address of the host is no port of the others; one on 127.0.0.1 is the host's own alone."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from functools import partial

import pytest

from tests.scenarios.refusals import refusal
from tests.scenarios.together import together
from tests.scenarios.waiting import eventually
from weft.testing import frames
from weft.testing.capture import Capture
from weft.testing.frames import Packet
from weft.testing.hosts import Host, Hosts, Lan, Outside
from weft.testing.spaces import Space

QUICK = 0.3
PORT = 8080


@pytest.fixture(scope="module")
def lan2(hosts: Hosts) -> Lan:
    return hosts.lan("203.0.113.0/24", v6="2001:db8:2::/64")


@pytest.fixture(scope="module")
def host(hosts: Hosts, lan: Lan, lan2: Lan) -> Host:
    """A host with an address of each version on each of two LANs."""
    machine = hosts.host("h1", lan, lan2)
    machine.start_agent()
    machine.weft("network", "create", "--subnet", "172.30.0.0/24", "--subnet", "fd00:30::/64", "app")
    return machine


@pytest.fixture(scope="module")
def far(hosts: Hosts, lan2: Lan) -> Outside:
    """Somebody on the second LAN."""
    return hosts.outside("far", lan2)


def publish(host: Host, name: str, *ports: str) -> Space:
    box = host.container(name)
    host.weft("attach", "--netns", box.path, "--name", name, "--net", "app", *(f"-p{port}" for port in ports))
    box.serve_tcp(80, name.encode())
    box.serve_udp(80, name.encode())
    return box


@pytest.fixture(scope="module")
def one(host: Host) -> Space:
    """A container that is published on the host's addresses on the first LAN."""
    binds = (f"{host.address}:{PORT}:80", f"[{host.address6}]:{PORT}:80")
    return publish(host, "one", *binds, *(f"{bind}/udp" for bind in binds))


@pytest.fixture(scope="module")
def own(host: Host) -> Space:
    """A container that is published on loopback addresses."""
    binds = ("127.0.0.1:9090:80", "[::1]:9090:80")
    return publish(host, "own", *binds, *(f"{bind}/udp" for bind in binds))


def outcomes(space: Space, address: str, port: int) -> set[str]:
    probes = (space.connect, space.send_udp)
    return {answer.outcome for answer in together(*(partial(probe, address, port, timeout=QUICK) for probe in probes))}


def test_the_address_that_was_named_answers(host: Host, one: Space, eve: Outside, far: Outside) -> None:
    """To everybody who can reach it, whichever LAN he is on, and to the host itself."""
    for client in (eve, far, host):
        for address in (host.address, host.address6):
            assert client.connect(address, PORT).data == client.send_udp(address, PORT).data == b"one"


def test_the_others_refuse(host: Host, one: Space, eve: Outside, far: Outside) -> None:
    for client in (eve, far, host):
        for address in host.addresses("eth1"):
            assert outcomes(client, address, PORT) == {"refused"}
    for address in ("127.0.0.1", "::1"):
        assert outcomes(host, address, PORT) == {"refused"}


def test_the_port_is_free_on_the_others(host: Host, one: Space, far: Outside) -> None:
    four, six = host.addresses("eth1")
    publish(host, "other", f"{four}:{PORT}:80", f"[{six}]:{PORT}:80")
    for address in (four, six):
        assert far.connect(address, PORT).data == b"other"
    assert far.connect(host.address, PORT).data == b"one"


def test_an_address_that_the_host_has_not_is_refused(host: Host, one: Space) -> None:
    for address in ("192.0.2.99", "[2001:db8:1::99]"):
        words = ("run", "-d", "--net", "app", "-p", f"{address}:8081:80", "--", "sleep", "9")
        assert f"this host has no address {address.strip('[]')}" in refusal(host, *words)


# --- 127.0.0.1 ----------------------------------------------------------------------------------------------------


def test_the_host_itself_reaches_it(host: Host, own: Space) -> None:
    for address in ("127.0.0.1", "::1"):
        assert host.connect(address, 9090).data == b"own"
        assert host.send_udp(address, 9090).data == b"own"


def test_no_address_of_the_host_leads_to_it(host: Host, own: Space, eve: Outside, one: Space) -> None:
    for client in (eve, host, one):
        for address in (host.address, host.address6):
            assert outcomes(client, address, 9090) == {"refused"}
    for gateway in ("172.30.0.1", "fd00:30::1"):
        assert outcomes(one, gateway, 9090) == {"refused"}


MARK = b"crafted"
RST = 0x04
LOOPBACK = ("127.0.0.1", "127.0.0.2", "::1", "::ffff:127.0.0.1")


def crafted(attacker: Space, gateway: str, targets: Sequence[str], sources: Sequence[str], *ports: int) -> int:
    """Send frames with all combinations to the MAC ``gateway``; return how many."""
    mac = attacker.mac("eth0")
    data = [
        frames.framed(gateway, mac, segment(source, 40000, target, port, MARK))
        for target in targets
        for source in sources
        if (":" in source) == (":" in target)
        for port in ports
        for segment in (frames.tcp, frames.udp)
    ]

    def send() -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
            sock.bind(("eth0", 0))
            for frame in data:
                sock.send(frame)

    attacker.call(send)
    return len(data)


def is_crafted(packet: Packet) -> bool:
    """Whether it is one of them, and not the host's word (ICMP) to a forged source that a port of its own is closed."""
    return MARK in packet.frame and not packet.outgoing and packet.protocol in ("tcp", "udp")


@pytest.mark.parametrize("position", ["neighbour", "sibling", "insider"])
def test_no_crafted_packet_reaches_it(host: Host, one: Space, own: Space, eve: Outside, position: str) -> None:
    """Neither from the wire nor from a container of another or of the same network."""
    attacker, gateway = eve, host.mac("eth0")
    if position != "neighbour":
        attacker, network = host.container(position), "bridge" if position == "sibling" else "app"
        host.weft("attach", "--netns", attacker.path, "--name", position, "--net", network)
        (route,) = attacker.run_json("ip", "-j", "route", "get", host.address)
        assert attacker.ping(route["gateway"])
        (neighbour,) = attacker.run_json("ip", "-j", "neighbour", "show", route["gateway"])
        gateway = neighbour["lladdr"]
    everybody = [*attacker.addresses(), *LOOPBACK, host.address, host.address6, *own.addresses()]
    with Capture(one, is_crafted) as control, Capture(own, is_crafted) as hit, Capture(host, answers) as answered:
        crafted(attacker, gateway, [*LOOPBACK, host.address, host.address6], everybody, 9090)
        if position != "insider":  # who may, without any craft
            crafted(attacker, gateway, own.addresses(), everybody, 80)
        crafted(attacker, gateway, [host.address], attacker.addresses(version=4), PORT)
        eventually(lambda: len(control.seen) == 2)
    assert hit.seen == [] and answered.seen == []


def answers(packet: Packet) -> bool:
    """Whether it is an answer of the port, or of what relays it; TCP's refusal (RST) is none."""
    if not packet.outgoing or packet.sport != 9090:
        return False
    tcp_header = 14 + (40 if ":" in packet.source else 20)
    return packet.protocol != "tcp" or not packet.frame[tcp_header + 13] & RST
