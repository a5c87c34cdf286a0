"""A container that forges frames: none of them reaches its neighbour or the host, all that is honest does.

Everything is sent twice, without the guard first: what does not arrive then would prove nothing.
"""

from __future__ import annotations

import pytest

from weft.model.container import Endpoint
from weft.model.identity import link_local
from weft.plan.objects import Element, Objects

from . import frames
from .frames import ALL_NODES, BROADCAST, UDP, ethernet
from .records import HOST, network
from .scratch import Scratch
from .test_described_commands import Town

GATEWAY = "172.20.0.1"
BRIDGE = network().bridge


def _honest(me: Endpoint, you: Endpoint) -> dict[str, bytes]:
    mac, own = me.mac, _six(me)
    return {
        "ARP request": ethernet(mac, BROADCAST, 0x0806, frames.arp(1, mac, _four(me), _four(you))),
        "IPv4": ethernet(mac, you.mac, 0x0800, frames.ipv4(_four(me), _four(you), UDP, frames.udp(9, 9, b"hello"))),
        "advertisement": ethernet(mac, ALL_NODES[0], 0x86DD, frames.advertisement(own, own, mac)),
        "link-local advertisement": ethernet(
            mac, ALL_NODES[0], 0x86DD, frames.advertisement(link_local(mac), link_local(mac), mac)
        ),
        "is my address free?": ethernet(mac, you.mac, 0x86DD, frames.solicitation("::", own)),
    }


def _forged(me: Endpoint, you: Endpoint) -> dict[str, bytes]:
    mac, strange, own = me.mac, "02:00:00:00:00:99", link_local(me.mac)
    datagram = frames.udp(9, 9, b"hello")
    offer = frames.ipv4(_four(me), "255.255.255.255", UDP, frames.udp(67, 68, b"offer"))
    router = frames.router_advertisement(own)
    return {
        "MAC": ethernet(strange, you.mac, 0x0800, frames.ipv4(_four(me), _four(you), UDP, datagram)),
        "IPv4 source": ethernet(mac, you.mac, 0x0800, frames.ipv4(GATEWAY, _four(you), UDP, datagram)),
        "no IPv4 source": ethernet(mac, you.mac, 0x0800, frames.ipv4("0.0.0.0", _four(you), UDP, datagram)),
        "loopback": ethernet(mac, you.mac, 0x0800, frames.ipv4(_four(me), "127.0.0.1", UDP, datagram)),
        "ARP for the gateway": ethernet(mac, BROADCAST, 0x0806, frames.arp(2, mac, GATEWAY, GATEWAY)),
        "ARP with another MAC": ethernet(mac, BROADCAST, 0x0806, frames.arp(2, strange, _four(me), _four(me))),
        "DHCP offer": ethernet(mac, BROADCAST, 0x0800, offer),
        "IPv6 source": ethernet(mac, you.mac, 0x86DD, frames.ipv6("fd00:20::1", _six(you), UDP, datagram)),
        "router": ethernet(mac, ALL_NODES[0], 0x86DD, router),
        "router behind options": ethernet(mac, ALL_NODES[0], 0x86DD, frames.hidden(router)),
        "advertisement": ethernet(mac, ALL_NODES[0], 0x86DD, frames.advertisement(own, _six(you), mac)),
        "solicitation of another's address": ethernet(mac, you.mac, 0x86DD, frames.solicitation("::", _six(you))),
        "VLAN": ethernet(mac, you.mac, 0x0800, frames.ipv4(_four(me), _four(you), UDP, datagram), vlan=7),
        "other protocol": ethernet(mac, you.mac, 0x88B5, bytes(46)),
    }


def _four(end: Endpoint) -> str:
    return end.addresses[0].address


def _six(end: Endpoint) -> str:
    return end.addresses[1].address


@pytest.fixture
def neighbours(scratch: Scratch) -> tuple[Town, tuple[Element, ...]]:
    """Two containers of a network, and the elements that guard the first one's port."""
    town, net = Town(scratch, HOST), network()
    # The other table would see some of the frames too, and help.
    scratch.run("host", "sysctl -qw net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0")
    town.build([net])
    objects: Objects = town.attach(net, "mallory", 2)
    town.attach(net, "bob", 3)
    guards = tuple(thing for thing in objects if isinstance(thing, Element) and thing.set == "ports")
    # Nothing but the tested frames is to be on the wire.
    for name in ("mallory", "bob"):
        scratch.run(name, "ip link set eth0 arp off; sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1")
    return town, guards


def _heard(town: Town, ear: tuple[str, str], sent: dict[str, bytes]) -> set[str]:
    """Send frames from mallory; return the names of those that come to ``ear``, a namespace and an interface."""
    listener = town.scratch.start(ear[0], "hear", ear[1], 1.5)
    for frame in sent.values():
        town.scratch.send_frame("mallory", "eth0", frame)
    output, _ = listener.communicate()
    # A listener gets a VLAN tag beside the frame, not in it.
    plain = {(frame[:12] + frame[16:] if frame[12:14] == b"\x81\x00" else frame): name for name, frame in sent.items()}
    return {plain[heard] for line in output.split() if (heard := bytes.fromhex(line)) in plain}


def test_a_container_can_only_send_as_itself(neighbours: tuple[Town, tuple[Element, ...]]) -> None:
    town, guards = neighbours
    me, you = town.ends["mallory"], town.ends["bob"]
    honest, forged = _honest(me, you), _forged(me, you)
    town.scratch.dismantle(guards)
    assert _heard(town, ("bob", "eth0"), honest) == set(honest)
    assert _heard(town, ("bob", "eth0"), forged) == set(forged)
    # A bridge keeps what is for another port's MAC from the host.
    assert _heard(town, ("host", BRIDGE), forged) >= {"router", "router behind options", "DHCP offer"}
    town.scratch.build(guards)
    assert _heard(town, ("bob", "eth0"), honest) == set(honest)
    assert _heard(town, ("bob", "eth0"), forged) == set()
    assert _heard(town, ("host", BRIDGE), forged) == set()


def test_services_of_localhost_are_closed_to_containers(neighbours: tuple[Town, tuple[Element, ...]]) -> None:
    """Published ports need 'route_localnet', by which a bridge would let crafted packets through to 127.0.0.1."""
    town, guards = neighbours
    scratch, me = town.scratch, town.ends["mallory"]
    mac = scratch.run("host", f"cat /sys/class/net/{BRIDGE}/address").stdout.strip()
    frame = ethernet(me.mac, mac, 0x0800, frames.ipv4(_four(me), "127.0.0.1", UDP, frames.udp(9, 9, b"hello")))
    scratch.serve("host", 9, "udp", "127.0.0.1")
    scratch.dismantle(guards)
    assert _datagrams(scratch, frame) == 0
    scratch.run("host", "nft flush chain inet weft shield")
    assert _datagrams(scratch, frame) == 1
    scratch.build(guards)
    assert _datagrams(scratch, frame) == 0


def _datagrams(scratch: Scratch, frame: bytes) -> int:
    """Return how many datagrams the host's processes get when mallory sends ``frame``."""
    counter = "nstat -asz UdpInDatagrams | awk '/UdpInDatagrams/ {print $2}'"
    before = int(scratch.run("host", counter).stdout)
    scratch.send_frame("mallory", "eth0", frame)
    return int(scratch.run("host", counter).stdout) - before
