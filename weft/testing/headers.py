"""What nftables rules can see of a packet, by the names that nft has for it."""

from __future__ import annotations

import ipaddress

from weft.testing.conntrack import Connection
from weft.testing.packets import Packet

Fields = dict[str, str | int | frozenset[str]]


def frame_fields(packet: Packet, port: str, mac: str) -> Fields:
    """Return what the bridge's hooks see of a frame that comes in by ``port`` from the owner of ``mac``."""
    claimed = packet.mac or mac
    fields: Fields = {"iifname": port}
    if packet.protocol == "arp":
        kind = "arp"
        fields |= {"ether saddr": mac, "arp saddr ether": claimed, "arp saddr ip": packet.src}
    else:
        kind = "ip" if packet.version == 4 else "ip6"
        fields |= {"ether saddr": claimed, **_packet_fields(packet)}
    fields["ether type"] = packet.ether_type or kind
    return fields


def inet_fields(packet: Packet, came: str, leaves: str, local: bool, connection: Connection | None) -> Fields:
    """Return what the inet hooks see; ``local`` is whether the destination is an address of the host."""
    fields: Fields = {"iifname": came, "oifname": leaves, **_packet_fields(packet)}
    fields["meta nfproto"] = f"ipv{packet.version}"
    fields["fib daddr type"] = "local" if local else "unicast"
    if connection is not None:
        fields["ct state"] = frozenset({"established" if connection.answered else "new"})
        fields["ct status"] = frozenset({"dnat"} if connection.dnat else ())
    return fields


def _packet_fields(packet: Packet) -> Fields:
    network = "ip" if packet.version == 4 else "ip6"
    fields: Fields = {
        f"{network} saddr": packet.src,
        f"{network} daddr": packet.dst,
        "meta l4proto": packet.protocol,
    }
    if packet.has_ports:
        fields["th dport"] = packet.dport
    if packet.protocol == "udp":
        fields["udp sport"] = packet.sport
    if packet.kind:
        fields[f"{packet.protocol} type"] = packet.kind
    if packet.target:
        fields["@th,64,128"] = hex(int(ipaddress.IPv6Address(packet.target)))
    return fields
