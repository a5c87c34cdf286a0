"""Identifiers, interface names and MAC addresses that follow from them."""

from __future__ import annotations

import ipaddress
import re
import secrets

from weft.model.errors import InvalidAddress

_MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")

#: Every bridge that weft makes for a network of its own naming, and every veth end on the host, starts so.
BRIDGE_PREFIX = "weft-"
PORT_PREFIX = "wv"


def new_id() -> str:
    """Return a new random identifier: 64 hexadecimal digits, as the engines use."""
    return secrets.token_hex(32)


def bridge_name(network_id: str) -> str:
    """Return the bridge's name for a network: 15 characters, the most an interface name can have."""
    return BRIDGE_PREFIX + network_id[:10]


def port_name(endpoint_id: str) -> str:
    """Return the name of the host's end of an endpoint's veth pair."""
    return PORT_PREFIX + endpoint_id[:12]


def mac_from_address(address: str) -> str:
    """Return the MAC that follows from an address, ``02:42:`` and four octets, as Docker forms it.

    For IPv4 the octets are the address; for IPv6 its last 32 bits.  The prefix 02 marks a locally
    administered unicast address (IEEE 802, section 8.2.2).
    """
    packed = ipaddress.ip_address(address).packed[-4:]
    return "02:42:" + packed.hex(":")


def link_local(mac: str) -> str:
    """Return the EUI-64 link-local address that the kernel derives from ``mac`` (RFC 4291, appendix A)."""
    octets = bytearray.fromhex(mac.replace(":", ""))
    octets[0] ^= 0x02
    interface_id = bytes(octets[:3]) + b"\xff\xfe" + bytes(octets[3:])
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + interface_id))


def check_mac(mac: str) -> str:
    """Return ``mac`` in lower case if it is a unicast MAC address; raise InvalidAddress otherwise."""
    lowered = mac.lower().replace("-", ":")
    if not _MAC.fullmatch(lowered) or int(lowered[:2], 16) & 1 or lowered == "00:00:00:00:00:00":
        raise InvalidAddress(f"{mac!r} is not a unicast MAC address", "Write it as 02:42:ac:11:00:02.", mac=mac)
    return lowered
