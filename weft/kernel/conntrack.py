"""Connection tracking by ctnetlink (include/uapi/linux/netfilter/nfnetlink_conntrack.h)."""

from __future__ import annotations

import errno
import socket as sockets
import struct
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_address
from itertools import islice

from weft.kernel import attributes, sysctl
from weft.kernel.netlink import BATCH, BODY, NLM_F_DUMP, Socket, frame
from weft.kernel.refusals import refusal

_SUBSYSTEM = 1  # NFNL_SUBSYS_CTNETLINK
_GET = _SUBSYSTEM << 8 | 1
_DELETE = _SUBSYSTEM << 8 | 2

_CTA_TUPLE_ORIG, _CTA_TUPLE_REPLY, _CTA_ID, _CTA_ZONE, _CTA_FILTER = 1, 2, 12, 18, 25
_CTA_TUPLE_IP = 1
_CTA_IP_V4_SRC, _CTA_IP_V4_DST, _CTA_IP_V6_SRC, _CTA_IP_V6_DST = 1, 2, 3, 4
_CTA_FILTER_ORIG_FLAGS, _CTA_FILTER_REPLY_FLAGS = 1, 2
# CTA_FILTER_F_CTA_IP_SRC and _DST of net/netfilter/nf_conntrack_netlink.c.
_SOURCE, _DESTINATION = 1, 2

#: From how many tracked connections on, and for how few addresses, the kernel is asked to sort them out.
MANY_ENTRIES = 5000
FEW_ADDRESSES = 4

#: struct nfgenmsg: family, version, resource id.
_GENERIC = struct.Struct("=BBH")


def flush(socket: Socket, addresses: Sequence[str]) -> None:
    """Delete the tracked connections that have one of ``addresses`` at an end, before or after translation.

    ``socket`` is one of NETLINK_NETFILTER.  Raises KernelRefused.
    """
    wanted = frozenset(ip_address(address).packed for address in addresses)
    try:
        for length in {len(address) for address in wanted}:
            _flush(socket, frozenset(address for address in wanted if len(address) == length))
    except OSError as error:
        commands = [f"conntrack -D {side} {address}" for address in addresses for side in ("-s", "-d", "-r", "-q")]
        raise refusal(error.errno or errno.EIO, commands) from error


def _flush(socket: Socket, addresses: frozenset[bytes]) -> None:
    """Delete the entries that have one of ``addresses``, all of one family, at an end."""
    found = {entry for message in _requests(addresses) for entry in socket.dump(message) if _concerns(entry, addresses)}
    deletions = (_deletion(entry) for entry in found)
    while batch := list(islice(deletions, BATCH)):
        for refused in socket.request(batch):
            if refused and refused.errno != errno.ENOENT:  # one that has ended meanwhile
                raise OSError(refused.errno, refused.text)


def _requests(addresses: frozenset[bytes]) -> Iterable[bytes]:
    """Return the dump requests that bring at least the entries of ``addresses``.

    The kernel walks its whole table for each request, whatever it asks for.  Four filtered walks for each address are
    worth it where few of many entries are wanted; else one walk brings all entries.
    """
    if len(addresses) <= FEW_ADDRESSES and _tracked() > MANY_ENTRIES:
        return (message for address in addresses for message in _filters(address))
    return (_everything(next(iter(addresses))),)


def _tracked() -> int:
    """Return how many connections are tracked in this namespace; 0 where that cannot be read."""
    return int(sysctl.read("net/netfilter/nf_conntrack_count") or 0)


def _everything(address: bytes) -> bytes:
    return frame(_GET, NLM_F_DUMP, _GENERIC.pack(_family(address), 0, 0))


def _family(address: bytes) -> int:
    return int(sockets.AF_INET if len(address) == 4 else sockets.AF_INET6)


def _sides(address: bytes) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the attribute and the filter flag of source and destination."""
    if len(address) == 4:
        return (_CTA_IP_V4_SRC, _SOURCE), (_CTA_IP_V4_DST, _DESTINATION)
    return (_CTA_IP_V6_SRC, _SOURCE), (_CTA_IP_V6_DST, _DESTINATION)


def _filters(address: bytes) -> Iterator[bytes]:
    """Yield dump requests that the kernel (from 5.8) answers with the entries that have ``address`` at one place.

    An older kernel ignores the filter and answers with all entries.
    """
    directions = ((_CTA_TUPLE_ORIG, _CTA_FILTER_ORIG_FLAGS), (_CTA_TUPLE_REPLY, _CTA_FILTER_REPLY_FLAGS))
    for tuple_kind, flags_kind in directions:
        for attribute, flag in _sides(address):
            flags = {_CTA_FILTER_ORIG_FLAGS: 0, _CTA_FILTER_REPLY_FLAGS: 0, flags_kind: flag}
            chosen = (attributes.pack(kind, struct.pack("=I", value)) for kind, value in flags.items())
            wanted = attributes.nest(tuple_kind, attributes.nest(_CTA_TUPLE_IP, attributes.pack(attribute, address)))
            header = _GENERIC.pack(_family(address), 0, 0)
            yield frame(_GET, NLM_F_DUMP, header + wanted + attributes.nest(_CTA_FILTER, *chosen))


def _concerns(entry: bytes, addresses: frozenset[bytes]) -> bool:
    sides = _sides(next(iter(addresses)))
    found = attributes.read(entry, BODY + _GENERIC.size)
    for direction in (_CTA_TUPLE_ORIG, _CTA_TUPLE_REPLY):
        ends = attributes.read(attributes.read(found.get(direction, b"")).get(_CTA_TUPLE_IP, b""))
        if any(ends.get(attribute) in addresses for attribute, _ in sides):
            return True
    return False


def _deletion(entry: bytes) -> bytes:
    """Return the request that deletes exactly this entry: by tuple, zone and id, as they came."""
    header = entry[BODY : BODY + _GENERIC.size]
    found = attributes.read(entry, BODY + _GENERIC.size)
    body = attributes.nest(_CTA_TUPLE_ORIG, found[_CTA_TUPLE_ORIG])
    for kind in (_CTA_ID, _CTA_ZONE):
        if kind in found:
            body += attributes.pack(kind, found[kind])
    return frame(_DELETE, 0, header + body)
