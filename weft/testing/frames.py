"""Frames and packets as bytes, to send what no honest stack would, and to read what was captured."""

from __future__ import annotations

import socket
import struct
from ipaddress import ip_address
from typing import NamedTuple, Self

from weft.testing.probes import checksum

BROADCAST = "ff:ff:ff:ff:ff:ff"
#: Ethernet types (RFC 9542) and the shortest frame without its check sequence (IEEE 802.3).
IPV4, ARP, IPV6 = 0x0800, 0x0806, 0x86DD
_SHORTEST = 60
ICMP, TCP, UDP, ICMPV6 = socket.IPPROTO_ICMP, socket.IPPROTO_TCP, socket.IPPROTO_UDP, socket.IPPROTO_ICMPV6
SYN = 0x02

_NAMES = {ICMP: "icmp", TCP: "tcp", UDP: "udp", ICMPV6: "icmpv6"}


def mac_bytes(mac: str) -> bytes:
    """Return a MAC address as 6 octets."""
    return bytes.fromhex(mac.replace(":", ""))


def ethernet(destination: str, source: str, kind: int, payload: bytes) -> bytes:
    """Return a frame, padded to the shortest that there may be."""
    return (mac_bytes(destination) + mac_bytes(source) + struct.pack("!H", kind) + payload).ljust(_SHORTEST, b"\0")


def framed(destination: str, source: str, packet: bytes) -> bytes:
    """Return the frame around an IP packet of either version."""
    return ethernet(destination, source, IPV6 if packet[0] >> 4 == 6 else IPV4, packet)


def multicast_mac(address: str) -> str:
    """Return the MAC address of an IPv6 group (RFC 2464, section 7)."""
    return "33:33:" + ip_address(address).packed[-4:].hex(":")


# --- IP -----------------------------------------------------------------------------------------------------------


def ip(source: str, destination: str, protocol: int, payload: bytes, ttl: int = 64) -> bytes:
    """Return a packet of the version that the addresses have."""
    from_, to = ip_address(source).packed, ip_address(destination).packed
    if len(from_) == 16:
        return struct.pack("!IHBB", 6 << 28, len(payload), protocol, ttl) + from_ + to + payload
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, ttl, protocol, 0) + from_ + to
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + payload


def _summed(source: str, destination: str, protocol: int, segment: bytes, at: int) -> bytes:
    """Return ``segment`` with its checksum at offset ``at``: over a pseudo-header too (RFC 8200, section 8.1)."""
    addresses = ip_address(source).packed + ip_address(destination).packed
    total = checksum(addresses + struct.pack("!II", len(segment), protocol) + segment)
    return segment[:at] + struct.pack("!H", total or 0xFFFF) + segment[at + 2 :]


def udp(source: str, sport: int, destination: str, dport: int, data: bytes) -> bytes:
    """Return a datagram in its packet."""
    segment = struct.pack("!HHHH", sport, dport, 8 + len(data), 0) + data
    return ip(source, destination, UDP, _summed(source, destination, UDP, segment, 6))


def tcp(source: str, sport: int, destination: str, dport: int, data: bytes = b"", flags: int = SYN) -> bytes:
    """Return a segment in its packet."""
    segment = struct.pack("!HHIIBBHHH", sport, dport, 1, 0, 5 << 4, flags, 65535, 0, 0) + data
    return ip(source, destination, TCP, _summed(source, destination, TCP, segment, 16))


def icmp6(source: str, destination: str, kind: int, body: bytes, hop_limit: int = 255) -> bytes:
    """Return an ICMPv6 message (``kind`` is its type, the code is 0) in its packet."""
    message = struct.pack("!BBH", kind, 0, 0) + body
    return ip(source, destination, ICMPV6, _summed(source, destination, ICMPV6, message, 2), hop_limit)


def echo(source: str, destination: str, data: bytes) -> bytes:
    """Return an echo request in its packet."""
    body = struct.pack("!HH", 1, 1) + data
    if ":" in source:
        return icmp6(source, destination, 128, body, 64)
    message = struct.pack("!BBH", 8, 0, 0) + body
    return ip(source, destination, ICMP, message[:2] + struct.pack("!H", checksum(message)) + message[4:])


# --- neighbours and routers ---------------------------------------------------------------------------------------


def arp(operation: int, mac: str, address: str, target_mac: str, target: str) -> bytes:
    """Return an ARP message (RFC 826): operation 1 asks, 2 answers."""
    head = struct.pack("!HHBBH", 1, IPV4, 6, 4, operation)
    return head + mac_bytes(mac) + ip_address(address).packed + mac_bytes(target_mac) + ip_address(target).packed


def advertisement(source: str, destination: str, target: str, mac: str, options: bytes = b"") -> bytes:
    """Return a neighbour advertisement that overrides what is known (RFC 4861, section 4.4)."""
    link_layer = struct.pack("!BB", 2, 1) + mac_bytes(mac)
    body = struct.pack("!I", 1 << 29) + ip_address(target).packed + link_layer + options
    return icmp6(source, destination, 136, body)


def router_advertisement(source: str, prefix: str, options: bytes = b"", lifetime: int = 1800) -> bytes:
    """Return a router advertisement to all nodes with a /64 prefix for autoconfiguration (RFC 4861, section 4.2)."""
    information = struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 86400, 14400, 0) + ip_address(prefix).packed
    return icmp6(source, "ff02::1", 134, struct.pack("!BBHII", 64, 0, lifetime, 0, 0) + information + options)


def unknown_option(data: bytes) -> bytes:
    """Return ``data`` as an option of neighbour discovery that everybody passes over (RFC 4727, section 5.1.3)."""
    octets = -(-(2 + len(data)) // 8)
    return struct.pack("!BB", 253, octets) + data.ljust(octets * 8 - 2, b"\0")


# --- reading ------------------------------------------------------------------------------------------------------


class Packet(NamedTuple):
    """A captured frame.  ``source`` and ``destination`` are of IP or, for ARP, sender and target; '' if it is neither.

    ``outgoing`` says that the machine it was captured on sent it.
    """

    frame: bytes
    outgoing: bool
    source: str = ""
    destination: str = ""
    protocol: str = ""
    sport: int = 0
    dport: int = 0

    @classmethod
    def parse(cls, frame: bytes, outgoing: bool = False) -> Self:
        """Read a frame; what is cut short or unknown leaves fields empty."""
        (kind,) = struct.unpack_from("!H", frame, 12)
        body = frame[14:]
        try:
            if kind == ARP:
                return cls(frame, outgoing, _text(body[14:18]), _text(body[24:28]), "arp")
            if kind == IPV4:
                rest = body[(body[0] & 0xF) * 4 :]
                return cls(frame, outgoing, _text(body[12:16]), _text(body[16:20]), *_transport(body[9], rest))
            if kind == IPV6:
                return cls(frame, outgoing, _text(body[8:24]), _text(body[24:40]), *_transport(body[6], body[40:]))
        except (struct.error, ValueError, IndexError):
            pass
        return cls(frame, outgoing, protocol=f"{kind:#06x}")

    @property
    def source_mac(self) -> str:
        return self.frame[6:12].hex(":")

    @property
    def destination_mac(self) -> str:
        return self.frame[:6].hex(":")

    def __str__(self) -> str:
        ports = f" {self.sport} → {self.dport}" if self.sport or self.dport else ""
        return f"{self.source or self.source_mac} → {self.destination or self.destination_mac} {self.protocol}{ports}"


def _text(address: bytes) -> str:
    return str(ip_address(address))


def _transport(protocol: int, rest: bytes) -> tuple[str, int, int]:
    name = _NAMES.get(protocol, str(protocol))
    sport, dport = struct.unpack_from("!HH", rest) if protocol in (TCP, UDP) else (0, 0)
    return name, sport, dport
