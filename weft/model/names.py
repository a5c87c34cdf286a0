"""Names that people choose: where they are allowed to go, and what they may hold.

A name ends up in DNS, in hosts files, in nftables comments and in file names, so it is checked once, here, and
is harmless everywhere after that.
"""

from __future__ import annotations

import re

from weft.model.errors import InvalidName

# The engines' own rule (moby: daemon/names), bounded by a DNS label (RFC 1035, 63 octets).
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}")
# RFC 1123 host names: labels of letters, digits and inner hyphens; 253 octets in all.
_HOSTNAME = re.compile(r"(?!-)[a-zA-Z0-9_-]{1,63}(?<!-)(\.(?!-)[a-zA-Z0-9_-]{1,63}(?<!-))*")
# dev_valid_name() in net/core/dev.c forbids '/', ':' and white space; weft also forbids what a shell or a
# sysctl path would read as something else.  IFNAMSIZ is 16 with the terminating NUL.
_INTERFACE = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,14}")

#: Interfaces that the kernel or nft would take for something else: a setting of all interfaces, a protocol.
_RESERVED_INTERFACES = frozenset(
    {"lo", "all", "default", "tcp", "udp", "udplite", "icmp", "icmpv6", "esp", "ah", "comp", "dccp", "sctp"}
)

#: Names that mean a mode of attachment and so cannot be a user's network.
RESERVED_NETWORKS = frozenset({"host", "none", "container", "default"})


def check_name(name: str, what: str = "name") -> str:
    """Return ``name`` if it may name a network, container or alias; raise InvalidName otherwise."""
    if not _NAME.fullmatch(name):
        raise InvalidName(f"{what} {name!r} is not allowed", name=name)
    return name


def check_hostname(name: str, what: str = "host name") -> str:
    """Return ``name`` if it is a host or domain name (RFC 1123); raise InvalidName otherwise."""
    if len(name) > 253 or not _HOSTNAME.fullmatch(name):
        raise InvalidName(
            f"{what} {name!r} is not allowed", "Use letters, digits and hyphens, in labels of 63 at most.", name=name
        )
    return name


def check_interface(name: str, what: str = "interface name") -> str:
    """Return ``name`` if the kernel and every tool take it for an interface; raise InvalidName otherwise."""
    if not _INTERFACE.fullmatch(name) or name in _RESERVED_INTERFACES:
        raise InvalidName(
            f"{what} {name!r} is not allowed",
            "Interface names hold 1 to 15 letters, digits, '_', '.' and '-', and are not 'lo', 'all', 'default' "
            "or the name of a protocol.",
            name=name,
        )
    return name
