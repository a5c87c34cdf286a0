"""A container that forges frames: none of them reaches its neighbour or the host, all that is honest does.

Everything is sent twice, without the guard first: what does not arrive then would prove nothing.
"""

from __future__ import annotations

import struct
import time
from ipaddress import IPv6Address

import pytest

from weft.model.container import Endpoint
from weft.model.identity import link_local
from weft.plan.objects import Element, Objects
from weft.testing.capture import Capture
from weft.testing.frames import (
    ARP,
    BROADCAST,
    advertisement,
    arp,
    ethernet,
    framed,
    icmp6,
    router_advertisement,
    udp,
)
from weft.testing.probes import Server

from .records import HOST, network
from .scratch import Scratch
from .test_described_commands import Town

GATEWAY = "172.20.0.1"
BRIDGE = network().bridge
ALL_NODES = ("33:33:00:00:00:01", "ff02::1")
#: Ethernet type of a tag (IEEE 802.1Q).
VLAN = 0x8100
NOBODY = "00:00:00:00:00:00"


def _honest(me: Endpoint, you: Endpoint) -> dict[str, bytes]:
    mac, own, local = me.mac, _six(me), link_local(me.mac)
    return {
        "ARP request": ethernet(BROADCAST, mac, ARP, arp(1, mac, _four(me), NOBODY, _four(you))),
        "IPv4": framed(you.mac, mac, udp(_four(me), 9, _four(you), 9, b"hello")),
        "advertisement": framed(ALL_NODES[0], mac, advertisement(own, ALL_NODES[1], own, mac)),
        "link-local advertisement": framed(ALL_NODES[0], mac, advertisement(local, ALL_NODES[1], local, mac)),
        "is my address free?": framed(you.mac, mac, _is_it_free(own)),
    }


def _forged(me: Endpoint, you: Endpoint) -> dict[str, bytes]:
    mac, strange, own = me.mac, "02:00:00:00:00:99", link_local(me.mac)
    honest = framed(you.mac, mac, udp(_four(me), 9, _four(you), 9, b"hello"))
    router = router_advertisement(own, "2001:db8:9::")
    return {
        "MAC": framed(you.mac, strange, honest[14:]),
        "IPv4 source": framed(you.mac, mac, udp(GATEWAY, 9, _four(you), 9, b"hello")),
        "no IPv4 source": framed(you.mac, mac, udp("0.0.0.0", 68, _four(you), 67, b"hello")),
        "loopback": framed(you.mac, mac, udp(_four(me), 9, "127.0.0.1", 9, b"hello")),
        "ARP for the gateway": ethernet(BROADCAST, mac, ARP, arp(2, mac, GATEWAY, NOBODY, GATEWAY)),
        "ARP with another MAC": ethernet(BROADCAST, mac, ARP, arp(2, strange, _four(me), NOBODY, _four(me))),
        "DHCP offer": framed(BROADCAST, mac, udp(_four(me), 67, "255.255.255.255", 68, b"offer")),
        "IPv6 source": framed(you.mac, mac, udp("fd00:20::1", 9, _six(you), 9, b"hello")),
        "router": framed(ALL_NODES[0], mac, router),
        "router behind options": framed(ALL_NODES[0], mac, _behind_options(router)),
        "advertisement": framed(ALL_NODES[0], mac, advertisement(own, ALL_NODES[1], _six(you), mac)),
        "address of another": framed(you.mac, mac, _is_it_free(_six(you))),
        "VLAN": honest[:12] + struct.pack("!HH", VLAN, 7) + honest[12:],
        "other protocol": ethernet(you.mac, mac, 0x88B5, b"experiment"),
    }


def _is_it_free(target: str) -> bytes:
    """Return the solicitation of duplicate address detection (RFC 4862, section 5.4.2)."""
    group = str(IPv6Address(b"\xff\x02" + bytes(9) + b"\x01\xff" + IPv6Address(target).packed[-3:]))
    return icmp6("::", group, 135, bytes(4) + IPv6Address(target).packed)


def _behind_options(packet: bytes) -> bytes:
    """Return an IPv6 packet with a destination options header before its payload (RFC 7113)."""
    options = bytes([packet[6], 0, 1, 4, 0, 0, 0, 0])
    length = struct.unpack("!H", packet[4:6])[0] + len(options)
    return packet[:4] + struct.pack("!HB", length, 60) + packet[7:40] + options + packet[40:]


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
    with Capture(town.scratch.spaces[ear[0]], lambda packet: not packet.outgoing, ear[1]) as capture:
        for frame in sent.values():
            town.scratch.send_frame("mallory", "eth0", frame)
        time.sleep(0.2)
    # A listener gets a VLAN tag beside the frame, not in it.
    plain = {(frame[:12] + frame[16:] if frame[12:14] == b"\x81\x00" else frame): name for name, frame in sent.items()}
    return {plain[packet.frame] for packet in capture.stop() if packet.frame in plain}


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
    mac = scratch.spaces["host"].mac(BRIDGE)
    frame = framed(mac, me.mac, udp(_four(me), 9, "127.0.0.1", 9, b"hello"))
    server = scratch.spaces["host"].serve_udp(9, address="127.0.0.1")
    scratch.dismantle(guards)
    assert _datagrams(scratch, frame, server) == 0
    scratch.run("host", "nft flush chain inet weft shield")
    assert _datagrams(scratch, frame, server) == 1
    scratch.build(guards)
    assert _datagrams(scratch, frame, server) == 0


def _datagrams(scratch: Scratch, frame: bytes, server: Server) -> int:
    """Return how many datagrams the host's server gets when mallory sends ``frame``."""
    server.received.clear()
    scratch.send_frame("mallory", "eth0", frame)
    time.sleep(0.2)
    return len(server.received)
