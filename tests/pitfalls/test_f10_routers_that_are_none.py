"""A container says that it is a router; neither the host nor its neighbours believe it."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from tests.scenarios.refusals import refusal
from tests.scenarios.waiting import eventually
from weft.model.identity import link_local
from weft.testing import frames
from weft.testing.attackers import Safe
from weft.testing.capture import Capture
from weft.testing.frames import Packet
from weft.testing.hosts import Host, Hosts, Lan
from weft.testing.oracles import Snapshot, assert_clean
from weft.testing.spaces import Space

NETWORKS = ("10.50.0.0/24", "fd00:50::/64")
BRIDGE = "six0"
BAD = "2001:db8:bad::"
PYTHON = sys.executable


@pytest.fixture(scope="module")
def containers(host: Host) -> tuple[Space, Space]:
    """The liar and his neighbour, on a host that heeds routers wherever nobody has told it not to."""
    for place in ("all", "default", "eth0"):
        host.sysctl(f"net/ipv6/conf/{place}/accept_ra", 2)
    words = [word for network in NETWORKS for word in ("--subnet", network)]
    host.weft("network", "create", "six", "--bridge", BRIDGE, *words)
    made = []
    # The third one starts the name server of the default network, which has IPv4 only.
    for name, network in (("liar", "six"), ("victim", "six"), ("third", "bridge")):
        box = host.container(name)
        host.weft("attach", "--netns", box.path, "--name", name, "--net", network)
        made.append(box)
    return made[0], made[1]


def advertisements(mac: str) -> Iterator[bytes]:
    """Yield router advertisements of all kinds: with a prefix, a default route, a further route, in others' names."""
    route = bytes([24, 2, 64, 8, 0, 0, 7, 8]) + ip_address(BAD).packed[:8]  # RFC 4191, section 2.3
    for source in (link_local(mac), "fe80::1", "fe80::bad"):
        for option in (b"", route):
            packet = frames.router_advertisement(source, BAD, option)
            yield frames.framed(frames.multicast_mac("ff02::1"), mac, packet)


def lie(liar: Space) -> None:
    mac = liar.mac("eth0")
    with liar.call(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)) as sock:
        sock.bind(("eth0", 0))
        for frame in advertisements(mac):
            sock.send(frame)


def believed(space: Space) -> list[str]:
    """Return the addresses and routes that an advertisement has given to ``space``."""
    lines = space.run("ip", "-6", "route", "show", "table", "all").stdout + space.run("ip", "-6", "address").stdout
    return [line for line in lines.splitlines() if "proto ra" in line or "bad" in line or "dynamic" in line]


def is_advertisement(packet: Packet) -> bool:
    return packet.protocol == "icmpv6" and packet.frame[54] == 134 and not packet.outgoing


def test_nobody_hears_it(host: Host, containers: tuple[Space, Space]) -> None:
    liar, victim = containers
    with Safe(host, NETWORKS, [victim], insider=liar) as safe, Capture(victim, is_advertisement) as heard:
        lie(liar)
        assert liar.ping("fd00:50::1") and liar.ping("fd00:50::3")
    assert safe.violations == [] and heard.seen == []
    assert believed(host) == believed(victim) == []


def test_nobody_would_believe_it(host: Host, containers: tuple[Space, Space]) -> None:
    """With the filters out of the way they hear it, and are deaf to it all the same."""
    liar, victim = containers
    host.stop_agent()
    host.run("nft", "delete table bridge weft")
    try:
        with Capture(victim, is_advertisement) as heard:
            lie(liar)
            eventually(lambda: len(heard.seen) == 6)
        time.sleep(0.2)
        assert believed(host) == believed(victim) == []
    finally:
        host.start_agent()


def test_others_would(hosts: Hosts, lan: Lan) -> None:
    """The advertisements are good: a machine that nobody protects believes them."""
    naive, liar = hosts.outside("naive", lan), hosts.outside("liar", lan)
    naive.sysctl("net/ipv6/conf/eth0/accept_ra", 2)
    lie(liar)
    eventually(lambda: believed(naive))


def test_a_setting_that_somebody_changes_is_put_back(host: Host, containers: tuple[Space, Space]) -> None:
    path = f"net/ipv6/conf/{BRIDGE}/accept_ra"
    assert host.sysctl(path) == "0"
    host.sysctl(path, 2)
    host.run("ip", "address", "add", "fd00:50::99/64", "dev", BRIDGE)  # settings tell nobody, addresses do
    eventually(lambda: host.sysctl(path) == "0")


@pytest.fixture
def sealed(host: Host) -> Iterator[None]:
    """The agent runs where it cannot write any sysctl."""
    wrapper = host.directory / "sealed"
    mount = "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys"
    wrapper.write_text(f'#!/bin/sh\nexec unshare --mount sh -c \'{mount} && exec "$0" "$@"\' {PYTHON} "$@"\n')
    wrapper.chmod(0o755)
    host.stop_agent()
    host.start_agent(python=str(wrapper))
    yield
    host.restart_agent()


@pytest.mark.usefixtures("sealed")
@pytest.mark.parametrize("network", ["six", "bridge"])
def test_where_settings_cannot_be_made_attaching_is_refused(host: Host, network: str) -> None:
    box = host.container(f"refused-{network}")
    process = box.popen("sleep", "1000")  # the agent has mounts of its own and cannot see the namespace's file
    said = refusal(host, "attach", "--pid", process.pid, "--name", "refused", "--net", network)
    assert "sysctl" in said
    assert box.interfaces() == ["lo"]


@pytest.mark.usefixtures("sealed")
def test_and_so_is_making_a_network(host: Host) -> None:
    said = refusal(host, "network", "create", "another", "--subnet", "fd00:51::/64")
    assert "sysctl" in said


def test_nothing_stays(host: Host, containers: tuple[Space, Space]) -> None:
    box = host.container("passing")
    clean = Snapshot.take(host, NETWORKS)
    host.weft("attach", "--netns", box.path, "--name", "passing", "--net", "six")
    lie(box)
    host.weft("detach", "passing")
    assert_clean(clean, host, NETWORKS)
