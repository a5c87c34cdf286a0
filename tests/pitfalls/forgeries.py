"""Frames in which a container claims to be its neighbour, the gateway, a router or a DHCP server; and honest ones."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from ipaddress import IPv6Address
from typing import NamedTuple

from weft.model.identity import link_local
from weft.testing import frames
from weft.testing.frames import ARP, BROADCAST, advertisement, arp, ethernet, framed, udp
from weft.testing.hosts import INTERNET, INTERNET6
from weft.testing.spaces import Space

GATEWAY, GATEWAY6 = "10.50.0.1", "fd00:50::1"
STRANGE, NOBODY = "02:66:6f:72:67:64", "00:00:00:00:00:00"
ALL_NODES, ALL_NODES_MAC = "ff02::1", "33:33:00:00:00:01"
#: Ethernet types: a tag (IEEE 802.1Q), and one for experiments.
VLAN, EXPERIMENT = 0x8100, 0x88B5

#: Frames by what they claim, which still have to be told the name that they carry.
Makers = Mapping[str, Callable[[bytes], bytes]]


class Who(NamedTuple):
    """Somebody on the wire."""

    mac: str
    four: str
    six: str

    @classmethod
    def of(cls, space: Space) -> Who:
        four, six = space.addresses("eth0")
        return cls(space.mac("eth0"), four, six)


# --- what mallory sends -------------------------------------------------------------------------------------------


def honest(me: Who, you: Who, host: str) -> Makers:
    own = link_local(me.mac)
    return {
        "ARP": lambda name: ethernet(BROADCAST, me.mac, ARP, arp(1, me.mac, me.four, NOBODY, GATEWAY) + name),
        "IPv4": lambda name: framed(you.mac, me.mac, udp(me.four, 9, you.four, 9, name)),
        "IPv6": lambda name: framed(you.mac, me.mac, udp(me.six, 9, you.six, 9, name)),
        "advertisement": lambda name: _advertised(me, own, own, me.mac, name),
        "to the outside": lambda name: framed(host, me.mac, udp(me.four, 9, INTERNET, 9, name)),
        "to the outside by IPv6": lambda name: framed(host, me.mac, udp(me.six, 9, INTERNET6, 9, name)),
    }


def forged(me: Who, you: Who) -> Makers:
    """What would reach a neighbour on the same bridge."""
    return {**_identities(me, you), **_neighbours(me, you), **_services(me, you), **_disguised(me, you)}


def _identities(me: Who, you: Who) -> Makers:
    return {
        "MAC": lambda name: framed(you.mac, STRANGE, udp(me.four, 9, you.four, 9, name)),
        "MAC, by IPv6": lambda name: framed(you.mac, STRANGE, udp(me.six, 9, you.six, 9, name)),
        "IPv4 of the gateway": lambda name: framed(you.mac, me.mac, udp(GATEWAY, 9, you.four, 9, name)),
        "IPv4 of nobody": lambda name: framed(you.mac, me.mac, udp("10.50.0.77", 9, you.four, 9, name)),
        "IPv4 of a stranger": lambda name: framed(you.mac, me.mac, udp("203.0.113.9", 9, you.four, 9, name)),
        "no IPv4": lambda name: framed(you.mac, me.mac, udp("0.0.0.0", 9, you.four, 9, name)),
        "IPv6 of the gateway": lambda name: framed(you.mac, me.mac, udp(GATEWAY6, 9, you.six, 9, name)),
        "IPv6 of a stranger": lambda name: framed(you.mac, me.mac, udp("2001:db8:9::9", 9, you.six, 9, name)),
        "link-local of another": lambda name: framed(you.mac, me.mac, udp("fe80::1", 9, you.six, 9, name)),
        "no IPv6": lambda name: framed(you.mac, me.mac, udp("::", 9, you.six, 9, name)),
        "loopback": lambda name: framed(you.mac, me.mac, udp(me.four, 9, "127.0.0.1", 9, name)),
    }


def _neighbours(me: Who, you: Who) -> Makers:
    own = link_local(me.mac)
    said = {
        f"ARP {word} of {whose}": _said(operation, me.mac, address)
        for operation, word in ((1, "request"), (2, "answer"))
        for whose, address in (("the gateway", GATEWAY), ("the neighbour", you.four))
    }
    return said | {
        "ARP of a strange MAC": _said(2, me.mac, me.four, STRANGE),
        "ARP probe": lambda name: ethernet(BROADCAST, me.mac, ARP, arp(1, me.mac, "0.0.0.0", NOBODY, you.four) + name),
        "ND of the gateway": lambda name: _advertised(me, own, GATEWAY6, me.mac, name),
        "ND in the gateway's name": lambda name: _advertised(me, GATEWAY6, GATEWAY6, me.mac, name),
        "ND of the neighbour": lambda name: _advertised(me, me.six, you.six, me.mac, name),
        "ND that the neighbour's address is taken": lambda name: framed(you.mac, me.mac, _is_it_free(you.six, name)),
    }


def _said(operation: int, mac: str, address: str, claimed: str = "") -> Callable[[bytes], bytes]:
    message = arp(operation, claimed or mac, address, BROADCAST, address)
    return lambda name: ethernet(BROADCAST, mac, ARP, message + name)


def _advertised(me: Who, source: str, target: str, mac: str, name: bytes) -> bytes:
    packet = advertisement(source, ALL_NODES, target, mac, frames.unknown_option(name))
    return framed(ALL_NODES_MAC, me.mac, packet)


def _is_it_free(target: str, name: bytes) -> bytes:
    """Return the solicitation of duplicate address detection (RFC 4862, section 5.4.2)."""
    group = str(IPv6Address(b"\xff\x02" + bytes(9) + b"\x01\xff" + IPv6Address(target).packed[-3:]))
    return frames.icmp6("::", group, 135, bytes(4) + IPv6Address(target).packed + frames.unknown_option(name))


def _services(me: Who, you: Who) -> Makers:
    own = link_local(me.mac)
    redirect = bytes(4) + IPv6Address(own).packed + IPv6Address(INTERNET6).packed
    return {
        "DHCP offer": lambda name: framed(BROADCAST, me.mac, udp(me.four, 67, "255.255.255.255", 68, name)),
        "DHCP answer": lambda name: framed(you.mac, me.mac, udp(me.four, 67, you.four, 68, name)),
        "DHCPv6 advertisement": lambda name: framed(you.mac, me.mac, udp(own, 547, link_local(you.mac), 546, name)),
        "router": lambda name: framed(ALL_NODES_MAC, me.mac, _router(own, name)),
        "redirect": lambda name: framed(
            you.mac, me.mac, frames.icmp6(own, you.six, 137, redirect + frames.unknown_option(name))
        ),
    }


def _router(own: str, name: bytes) -> bytes:
    return frames.router_advertisement(own, "2001:db8:bad::", frames.unknown_option(name))


def _disguised(me: Who, you: Who) -> Makers:
    own = link_local(me.mac)
    return {
        "VLAN tag": lambda name: _tagged(framed(you.mac, me.mac, udp(me.four, 9, you.four, 9, name))),
        "ARP in a VLAN tag": lambda name: _tagged(_said(2, me.mac, GATEWAY)(name)),
        "router behind options": lambda name: framed(ALL_NODES_MAC, me.mac, _behind_options(_router(own, name))),
        "other protocol": lambda name: ethernet(you.mac, me.mac, EXPERIMENT, name),
    }


def _tagged(frame: bytes) -> bytes:
    return frame[:12] + struct.pack("!HH", VLAN, 7) + frame[12:]


def _behind_options(packet: bytes) -> bytes:
    """Return an IPv6 packet with a destination options header before its payload (RFC 7113)."""
    options = bytes([packet[6], 0, 1, 4, 0, 0, 0, 0])
    length = struct.unpack("!H", packet[4:6])[0] + len(options)
    return packet[:4] + struct.pack("!HB", length, 60) + packet[7:40] + options + packet[40:]


def routed(me: Who, you: Who, host: str) -> Makers:
    """What the host would route: to the outside, with the address of another."""
    return {
        "routed with the neighbour's IPv4": lambda name: framed(host, me.mac, udp(you.four, 9, INTERNET, 9, name)),
        "routed with the neighbour's IPv6": lambda name: framed(host, me.mac, udp(you.six, 9, INTERNET6, 9, name)),
        "routed with the neighbour's MAC": lambda name: framed(host, you.mac, udp(me.four, 9, INTERNET, 9, name)),
    }
