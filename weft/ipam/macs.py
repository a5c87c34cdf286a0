"""The MAC of an endpoint, where none was asked for."""

from __future__ import annotations

from collections.abc import Container

from weft.model.errors import AddressTaken
from weft.model.identity import mac_from_address

_OCTET = 256


def choose_mac(address: str, used: Container[str]) -> str:
    """Return the MAC that follows from ``address``, or the first after it that is not in ``used``.

    ``used`` are the MACs on the network, in lower case.  Two addresses of one IPv4 subnet never have the same MAC, but
    a MAC that somebody chose can be in the way, and so can an IPv6 address with the same last four octets.  Then the
    second octet, 42, is counted up: so the MAC still follows from the address, and is none that would follow from
    another.  Raises AddressTaken if all 256 are in use.
    """
    derived = mac_from_address(address)
    first, second, rest = derived.split(":", 2)
    for step in range(_OCTET):
        mac = f"{first}:{(int(second, 16) + step) % _OCTET:02x}:{rest}"
        if mac not in used:
            return mac
    raise AddressTaken(
        f"every MAC that follows from {address} is in use", "Give one with --mac-address.", address=address
    )
