"""Pools at their limits: exact capacity, then a typed error at once; one address back, one address out.

Elsewhere, full or odd-sized pools have given out broadcast addresses, searched for minutes, or eaten the memory.
"""

from __future__ import annotations

import ipaddress
import random
import time
import tracemalloc

import pytest

from weft.ipam.addresses import AddressPool
from weft.model.errors import AddressesExhausted
from weft.model.network import Subnet

SHAPES = [
    ("10.0.0.0/30", "10.0.0.1", None, 1),
    ("10.0.0.0/29", "10.0.0.1", None, 5),
    ("10.0.0.0/31", "10.0.0.0", None, 1),
    ("10.0.0.0/24", "10.0.0.1", None, 253),
    ("10.0.0.0/24", "10.0.0.1", "10.0.0.128/25", 127),
    ("10.0.0.0/8", "10.0.0.1", "10.255.0.0/16", 65535),
    ("172.17.0.0/16", "172.17.0.1", None, 65533),
    ("fd00::/64", "fd00::1", "fd00::/120", 254),
    ("fd00::/127", "fd00::1", None, 1),
]


def open_pool(cidr: str, gateway: str, ip_range: str | None) -> AddressPool:
    return AddressPool(Subnet(cidr=cidr, gateway=gateway, ip_range=ip_range))


def refused_within(pool: AddressPool, seconds: float) -> None:
    begin = time.perf_counter()
    with pytest.raises(AddressesExhausted) as caught:
        pool.allocate()
    assert time.perf_counter() - begin < seconds
    assert caught.value.code == "addresses-exhausted"
    assert caught.value.hint


@pytest.mark.parametrize(("cidr", "gateway", "ip_range", "capacity"), SHAPES)
def test_a_pool_gives_exactly_its_capacity(cidr: str, gateway: str, ip_range: str | None, capacity: int) -> None:
    """Then it refuses within 100 ms, and when one address comes back exactly one goes out."""
    pool = open_pool(cidr, gateway, ip_range)
    given = [pool.allocate() for _ in range(capacity)]
    assert len(set(given)) == capacity == pool.capacity
    network, span = ipaddress.ip_network(cidr), ipaddress.ip_network(ip_range or cidr)
    assert all(ipaddress.ip_address(address) in span for address in given)
    assert gateway not in given
    if network.num_addresses > 2:
        assert str(network.network_address) not in given
        assert network.version == 6 or str(network.broadcast_address) not in given
    refused_within(pool, 0.1)
    for address in random.Random(31).sample(given, min(capacity, 20)):
        pool.release(address)
        assert pool.free == 1
        assert pool.allocate() == address
        refused_within(pool, 0.1)


def test_a_subnet_that_the_gateway_fills_has_none_to_give() -> None:
    refused_within(open_pool("10.0.0.1/32", "10.0.0.1", None), 0.1)


def test_a_million_cycles_leave_no_trace() -> None:
    """Addresses come and go a million times in a nearly full /22: no slowing down, no growth, nothing lost."""
    pool = open_pool("10.0.0.0/22", "10.0.0.1", None)
    held = [pool.allocate() for _ in range(1000)]
    chance = random.Random(31)
    begin = time.perf_counter()
    for _ in range(1_000_000):
        place = chance.randrange(1000)
        pool.release(held[place])
        held[place] = pool.allocate()
    assert time.perf_counter() - begin < 60
    assert len(set(held)) == 1000
    assert pool.free == pool.capacity - 1000
    for address in held:
        pool.release(address)
    assert pool.free == pool.capacity == 1021
    assert len({pool.allocate() for _ in range(1021)}) == 1021
    refused_within(pool, 0.1)


@pytest.mark.parametrize(
    ("cidr", "gateway"), [("10.0.0.0/8", "10.0.0.1"), ("fd00::/64", "fd00::1"), ("fd00::/8", "fd00::1")]
)
def test_memory_goes_by_what_is_given_out(cidr: str, gateway: str) -> None:
    """Not by the size of the subnet, also when addresses far apart were asked for."""
    network = ipaddress.ip_network(cidr)
    chance = random.Random(31)
    tracemalloc.start()
    try:
        pool = open_pool(cidr, gateway, None)
        for _ in range(500):
            pool.allocate()
            pool.allocate(str(network[chance.randrange(1 << 20, network.num_addresses - 1)]))
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 4_000_000
    assert pool.capacity - pool.free == 1000


def test_the_last_address_of_a_large_pool_is_found_at_once() -> None:
    """A /14 with all of its 262,141 addresses given out but one."""
    pool = open_pool("10.0.0.0/14", "10.0.0.1", None)
    for _ in range(pool.capacity):
        pool.allocate()
    refused_within(pool, 0.1)
    pool.release("10.2.3.4")
    begin = time.perf_counter()
    assert pool.allocate() == "10.2.3.4"
    assert time.perf_counter() - begin < 0.1
