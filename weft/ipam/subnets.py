"""A subnet for a network: cut from the pools where none was asked for, checked where one was.

``taken`` is what is spoken for on the host: prefixes of interfaces and routes, subnets of other networks.  Routes as
long as /0 and /1 are left out of account: the default route, and the pair 0.0.0.0/1 + 128.0.0.0/1 by which VPNs
override it, say where everything goes that has no better route, not that those addresses are in use.
"""

from __future__ import annotations

import ipaddress
from bisect import bisect_left
from collections.abc import Iterable

from weft.model.errors import PoolsExhausted, SubnetTaken
from weft.model.network import parse_network

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

#: The longest prefix that counts as a default route.
_DEFAULT_ROUTE = 1


def choose_subnet(pools: Iterable[tuple[str, int]], taken: Iterable[IPNetwork]) -> IPNetwork:
    """Return the first subnet of the pools that overlaps nothing in ``taken``.

    Each pool is a network in CIDR form and the prefix length of the subnets cut from it.  The time it takes grows with
    the number of taken networks, not with the size of the pools.  Raises PoolsExhausted, naming the pools.
    """
    pools = tuple(pools)
    occupied = list(taken)
    runs = {version: _runs(occupied, version) for version in (4, 6)}
    for cidr, length in pools:
        pool = parse_network(cidr)
        first = _first_gap(pool, length, runs[pool.version])
        if first is not None:
            return type(pool)((first, length))
    names = ", ".join(f"{cidr} (in /{length})" for cidr, length in pools)
    raise PoolsExhausted(
        f"every subnet of the pools overlaps a network, an interface or a route: {names or 'there are no pools'}",
        pools=[cidr for cidr, _ in pools],
    )


def check_overlap(subnet: IPNetwork, taken: Iterable[tuple[IPNetwork, str]]) -> None:
    """Raise SubnetTaken if ``subnet`` overlaps a network in ``taken``, where each stands with whose it is."""
    for other, owner in taken:
        if other.prefixlen > _DEFAULT_ROUTE and other.version == subnet.version and other.overlaps(subnet):
            raise SubnetTaken(
                f"subnet {subnet} overlaps {other} ({owner})",
                "Give another --subnet, or none and let weft choose one that is free.",
                subnet=str(subnet),
                taken=str(other),
                owner=owner,
            )


def _runs(taken: Iterable[IPNetwork], version: int) -> list[tuple[int, int]]:
    """Return the taken addresses of one IP version as runs (first, last), in order and apart from each other."""
    runs: list[tuple[int, int]] = []
    for first, last in sorted(
        (int(network.network_address), int(network.broadcast_address))
        for network in taken
        if network.version == version and network.prefixlen > _DEFAULT_ROUTE
    ):
        if runs and first <= runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], max(last, runs[-1][1]))
        else:
            runs.append((first, last))
    return runs


def _first_gap(pool: IPNetwork, length: int, runs: list[tuple[int, int]]) -> int | None:
    """Return the first address of the first subnet of the pool that meets no run, None if each meets one."""
    size = 1 << (pool.max_prefixlen - length)
    candidate, end = int(pool.network_address), int(pool.broadcast_address)
    index = bisect_left(runs, candidate, key=lambda run: run[1])
    while candidate + size - 1 <= end:
        # runs[index] is the first that does not end before the candidate begins.
        if index == len(runs) or runs[index][0] > candidate + size - 1:
            return candidate
        beyond = runs[index][1] + 1
        candidate = -(-beyond // size) * size
        while index < len(runs) and runs[index][1] < candidate:
            index += 1
    return None
