"""A network without a subnet gets a private range that is on no interface, route or network of the host."""

from __future__ import annotations

import ipaddress
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.ipam.subnets import IPNetwork, check_overlap, choose_subnet
from weft.model.errors import PoolsExhausted, SubnetTaken
from weft.model.settings import Settings


def networks(*cidrs: str) -> list[IPNetwork]:
    return [ipaddress.ip_network(cidr) for cidr in cidrs]


def choose(pools: list[tuple[str, int]], *taken: str) -> str:
    return str(choose_subnet(pools, networks(*taken)))


# --- what is chosen


def test_the_first_subnet_of_the_first_pool_is_chosen() -> None:
    assert choose([("172.16.0.0/12", 16), ("10.0.0.0/8", 24)]) == "172.16.0.0/16"


@pytest.mark.parametrize(
    ("taken", "chosen"),
    [
        ("172.16.0.0/16", "172.17.0.0/16"),
        ("172.16.9.0/24", "172.17.0.0/16"),
        ("172.16.255.255/32", "172.17.0.0/16"),
        ("172.16.0.0/14", "172.20.0.0/16"),
        ("172.17.0.0/16", "172.16.0.0/16"),
        ("172.15.255.255/32", "172.16.0.0/16"),
        ("172.16.0.0/12", "10.0.0.0/24"),
        ("172.0.0.0/8", "10.0.0.0/24"),
        ("160.0.0.0/3", "10.0.0.0/24"),
        ("128.0.0.0/2", "10.0.0.0/24"),
    ],
)
def test_what_is_taken_is_passed_over(taken: str, chosen: str) -> None:
    """Whether it is smaller than a subnet, as large, or larger than a whole pool."""
    assert choose([("172.16.0.0/12", 16), ("10.0.0.0/8", 24)], taken) == chosen


def test_the_first_gap_is_used_again() -> None:
    assert choose([("10.0.0.0/8", 24)], "10.0.0.0/24", "10.0.1.0/24", "10.0.3.0/24") == "10.0.2.0/24"


@pytest.mark.parametrize(
    "routes",
    [
        ("0.0.0.0/0",),
        ("0.0.0.0/1", "128.0.0.0/1"),
        ("0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "::/0", "::/1", "8000::/1"),
    ],
    ids=["default", "split", "all"],
)
def test_default_routes_take_nothing(routes: tuple[str, ...]) -> None:
    """Nor do the two halves of one by which VPNs override it."""
    assert choose([("10.0.0.0/8", 24)], *routes) == "10.0.0.0/24"
    assert choose([("fd00::/40", 64)], *routes) == "fd00::/64"


def test_the_routes_of_a_vpn_are_respected() -> None:
    """One that takes all of 10.0.0.0/8 and half of 172.16.0.0/12, beside its default route."""
    taken = networks("0.0.0.0/1", "128.0.0.0/1", "10.0.0.0/8", "172.16.0.0/13", "192.168.1.0/24")
    assert str(choose_subnet(Settings().pools, taken)) == "172.24.0.0/16"


def test_families_do_not_meet() -> None:
    assert choose([("10.0.0.0/8", 24)], "fd00::/8", "::/96") == "10.0.0.0/24"
    assert choose([("fd00::/40", 64)], "10.0.0.0/8", "fd00::/64") == "fd00:0:0:1::/64"


def test_pool_after_pool_is_used_up() -> None:
    """The default pools: 1 + 2 + 4 + 8 subnets of length 16, 16 of length 20 below 192.168, then those below 10.128."""
    taken: list[IPNetwork] = []
    for _ in range(32):
        subnet = choose_subnet(Settings().pools, taken)
        check_overlap(subnet, [(other, "") for other in taken])
        taken.append(subnet)
    assert [str(subnet) for subnet in taken[:2]] == ["172.17.0.0/16", "172.18.0.0/16"]
    assert [str(subnet) for subnet in taken[14:17]] == ["172.31.0.0/16", "192.168.0.0/20", "192.168.16.0/20"]
    assert [str(subnet) for subnet in taken[30:]] == ["192.168.240.0/20", "10.128.0.0/20"]


# --- when the pools are spent


def test_spent_pools_are_named() -> None:
    pools = [("10.0.0.0/30", 31), ("192.168.0.0/31", 31)]
    with pytest.raises(PoolsExhausted) as caught:
        choose(pools, "10.0.0.0/32", "10.0.0.2/32", "192.168.0.0/16")
    assert "10.0.0.0/30" in caught.value.cause
    assert "192.168.0.0/31" in caught.value.cause
    assert caught.value.evidence == {"pools": ["10.0.0.0/30", "192.168.0.0/31"]}
    assert caught.value.hint


def test_no_pools_are_spent_pools() -> None:
    with pytest.raises(PoolsExhausted, match="there are no pools"):
        choose([])


# --- speed


@pytest.mark.parametrize(
    ("pool", "length"), [("10.0.0.0/8", 30), ("fd00::/8", 64), ("fd00::/8", 126)], ids=["v4", "v6", "v6-small"]
)
def test_large_pools_with_much_taken_are_no_search(pool: str, length: int) -> None:
    """Seven eighths of the pool are taken as a whole, and 20,000 small networks in the rest: no search all the same."""
    whole = ipaddress.ip_network(pool)
    eighth = whole.num_addresses // 8
    base = int(whole.network_address)
    taken = [type(whole)((base + number * eighth, whole.prefixlen + 3)) for number in range(7)]
    first = base + 7 * eighth
    taken += [type(whole)((first + number * (eighth // 32768), whole.max_prefixlen)) for number in range(20_000)]
    begin = time.perf_counter()
    subnet = choose_subnet([(pool, length)], taken)
    assert time.perf_counter() - begin < 2
    assert int(subnet.network_address) >= first
    assert not any(subnet.overlaps(other) for other in taken)


# --- against looking at every subnet in turn

_small = st.integers(24, 32).flatmap(
    lambda length: st.integers(0, (1 << (length - 24)) - 1).map(
        lambda place: ipaddress.IPv4Network((int(ipaddress.IPv4Address("10.0.0.0")) + (place << (32 - length)), length))
    )
)
_around = st.sampled_from(networks("0.0.0.0/0", "0.0.0.0/1", "8.0.0.0/5", "9.255.255.0/24", "10.0.1.0/24", "fd00::/8"))


@given(st.lists(st.one_of(_small, _around), max_size=30), st.integers(24, 30), st.integers(0, 2))
def test_the_choice_is_the_first_that_overlaps_nothing(taken: list[IPNetwork], length: int, shorter: int) -> None:
    pool = ipaddress.IPv4Network("10.0.0.0/24").supernet(shorter)
    counting = [network for network in taken if network.prefixlen > 1]
    free = [
        subnet
        for subnet in pool.subnets(new_prefix=length)
        if not any(subnet.overlaps(other) for other in counting if isinstance(other, ipaddress.IPv4Network))
    ]
    if free:
        assert choose_subnet([(str(pool), length)], taken) == free[0]
    else:
        with pytest.raises(PoolsExhausted):
            choose_subnet([(str(pool), length)], taken)


# --- a subnet that was asked for


def test_a_taken_subnet_is_refused_with_whose_it_is() -> None:
    taken = [*zip(networks("10.0.0.0/8", "fd00::/64"), ["route by 'tun0'", "network 'web'"], strict=True)]
    with pytest.raises(SubnetTaken) as caught:
        check_overlap(ipaddress.ip_network("10.9.0.0/16"), taken)
    assert "10.9.0.0/16" in caught.value.cause
    assert "10.0.0.0/8" in caught.value.cause
    assert "route by 'tun0'" in caught.value.cause
    with pytest.raises(SubnetTaken, match="network 'web'"):
        check_overlap(ipaddress.ip_network("fd00::/48"), taken)


def test_a_free_subnet_is_accepted() -> None:
    everything = ["0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "::/0", "11.0.0.0/8", "9.0.0.0/8", "fd00::/8"]
    check_overlap(ipaddress.ip_network("10.0.0.0/8"), [(network, "") for network in networks(*everything)])
