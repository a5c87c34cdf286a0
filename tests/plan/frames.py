"""Ethernet frames, octet by octet, for those who do not play by the rules."""

from __future__ import annotations

import ipaddress
import struct

BROADCAST = "ff:ff:ff:ff:ff:ff"
ALL_NODES = ("33:33:00:00:00:01", "ff02::1")

UDP, ICMPV6 = 17, 58


def ethernet(source: str, destination: str, kind: int, payload: bytes, vlan: int | None = None) -> bytes:
    tag = b"" if vlan is None else struct.pack("!HH", 0x8100, vlan)
    return _mac(destination) + _mac(source) + tag + struct.pack("!H", kind) + payload


def arp(operation: int, mac: str, ip: str, target_ip: str) -> bytes:
    """Return an ARP packet (RFC 826): operation 1 asks, 2 answers."""
    head = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation)
    return head + _mac(mac) + _ip(ip) + bytes(6) + _ip(target_ip)


def ipv4(source: str, destination: str, protocol: int, payload: bytes) -> bytes:
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0) + _ip(source) + _ip(destination)
    return head[:10] + struct.pack("!H", _checksum(head)) + head[12:] + payload


def ipv6(source: str, destination: str, protocol: int, payload: bytes, hops: int = 255) -> bytes:
    return struct.pack("!IHBB", 6 << 28, len(payload), protocol, hops) + _ip(source) + _ip(destination) + payload


def udp(source_port: int, destination_port: int, text: bytes) -> bytes:
    """Return a UDP packet without checksum, as IPv4 allows (RFC 768)."""
    return struct.pack("!HHHH", source_port, destination_port, 8 + len(text), 0) + text


def icmpv6(source: str, destination: str, kind: int, body: bytes) -> bytes:
    """Return an ICMPv6 packet with its checksum (RFC 4443, 2.3); ``body`` is what follows the checksum."""
    message = struct.pack("!BBH", kind, 0, 0) + body
    pseudo = _ip(source) + _ip(destination) + struct.pack("!II", len(message), ICMPV6)
    return message[:2] + struct.pack("!H", _checksum(pseudo + message)) + message[4:]


def advertisement(source: str, target: str, mac: str) -> bytes:
    """Return a neighbour advertisement to all nodes, overriding (RFC 4861, 4.4)."""
    body = struct.pack("!I", 0x20000000) + _ip(target) + b"\x02\x01" + _mac(mac)
    return ipv6(source, ALL_NODES[1], ICMPV6, icmpv6(source, ALL_NODES[1], 136, body))


def solicitation(source: str, target: str) -> bytes:
    """Return a neighbour solicitation without options, as for duplicate address detection (RFC 4861, 4.3)."""
    group = str(ipaddress.IPv6Address(b"\xff\x02" + bytes(9) + b"\x01\xff" + _ip(target)[-3:]))
    return ipv6(source, group, ICMPV6, icmpv6(source, group, 135, bytes(4) + _ip(target)))


def router_advertisement(source: str) -> bytes:
    """Return a router advertisement that offers a default route (RFC 4861, 4.2)."""
    body = struct.pack("!BBHII", 64, 0, 1800, 0, 0)
    return ipv6(source, ALL_NODES[1], ICMPV6, icmpv6(source, ALL_NODES[1], 134, body))


def hidden(packet: bytes) -> bytes:
    """Return an IPv6 packet with a destination options header before its payload (RFC 7113)."""
    options = bytes([packet[6], 0, 1, 4, 0, 0, 0, 0])
    length = struct.unpack("!H", packet[4:6])[0] + len(options)
    return packet[:4] + struct.pack("!HB", length, 60) + packet[7:40] + options + packet[40:]


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _ip(text: str) -> bytes:
    return ipaddress.ip_address(text).packed


def _checksum(data: bytes) -> int:
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
