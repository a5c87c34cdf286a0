"""Every address at most once, only those that a container may have, and freed ones last."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from weft.ipam.addresses import AddressPool
from weft.model.errors import AddressesExhausted, AddressTaken, InvalidAddress
from weft.model.network import Subnet


def pool(cidr: str, gateway: str, ip_range: str | None = None) -> AddressPool:
    return AddressPool(Subnet(cidr=cidr, gateway=gateway, ip_range=ip_range))


def exhaust(addresses: AddressPool) -> list[str]:
    """Take all addresses; return them."""
    given: list[str] = []
    while True:
        try:
            given.append(addresses.allocate())
        except AddressesExhausted:
            return given


# --- which addresses there are


@pytest.mark.parametrize(
    ("cidr", "gateway", "ip_range", "expected"),
    [
        ("10.0.0.0/29", "10.0.0.1", None, ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]),
        ("10.0.0.0/29", "10.0.0.4", None, ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.5", "10.0.0.6"]),
        ("10.0.0.8/30", "10.0.0.9", None, ["10.0.0.10"]),
        ("10.0.0.8/31", "10.0.0.8", None, ["10.0.0.9"]),
        ("10.0.0.8/31", "10.0.0.9", None, ["10.0.0.8"]),
        ("10.0.0.8/32", "10.0.0.8", None, []),
        ("10.0.0.0/24", "10.0.0.1", "10.0.0.0/30", ["10.0.0.2", "10.0.0.3"]),
        ("10.0.0.0/24", "10.0.0.1", "10.0.0.64/31", ["10.0.0.64", "10.0.0.65"]),
        ("10.0.0.0/24", "10.0.0.1", "10.0.0.254/31", ["10.0.0.254"]),
        ("10.0.0.0/24", "10.0.0.1", "10.0.0.1/32", []),
        ("10.0.0.0/24", "10.0.0.1", "10.0.0.7/32", ["10.0.0.7"]),
        ("fd00::/126", "fd00::1", None, ["fd00::2", "fd00::3"]),
        ("fd00::/126", "fd00::3", None, ["fd00::1", "fd00::2"]),
        ("fd00::/127", "fd00::", None, ["fd00::1"]),
        ("fd00::/128", "fd00::", None, []),
        ("fd00::/64", "fd00::1", "fd00::/126", ["fd00::2", "fd00::3"]),
        ("fd00::/64", "fd00::1", "fd00::ffff:0/127", ["fd00::ffff:0", "fd00::ffff:1"]),
        ("0.0.0.0/1", "0.0.0.1", "127.255.255.254/31", ["127.255.255.254"]),
    ],
)
def test_all_addresses_of_a_subnet_are_given_out(
    cidr: str, gateway: str, ip_range: str | None, expected: list[str]
) -> None:
    addresses = pool(cidr, gateway, ip_range)
    assert addresses.capacity == addresses.free == len(expected)
    assert exhaust(addresses) == expected
    assert addresses.free == 0
    assert addresses.capacity == len(expected)


@pytest.mark.parametrize(
    "address", ["10.0.0.0", "10.0.0.1", "10.0.0.255", "10.0.1.0", "9.255.255.255", "fd00::a", "::10.0.0.5"]
)
def test_what_is_no_address_for_a_container_is_refused(address: str) -> None:
    addresses = pool("10.0.0.0/24", "10.0.0.1")
    with pytest.raises(InvalidAddress) as caught:
        addresses.allocate(address)
    assert address in caught.value.cause and "10.0.0.0/24" in caught.value.cause
    assert address not in addresses
    assert addresses.free == addresses.capacity == 253


@pytest.mark.parametrize("address", ["fd00::", "fd00::1", "fd01::", "10.0.0.1"])
def test_what_is_no_ipv6_address_for_a_container_is_refused(address: str) -> None:
    with pytest.raises(InvalidAddress, match=address):
        pool("fd00::/64", "fd00::1").allocate(address)


def test_the_last_address_of_an_ipv6_subnet_is_no_broadcast_address() -> None:
    assert pool("fd00::/64", "fd00::1").allocate("fd00::ffff:ffff:ffff:ffff") == "fd00::ffff:ffff:ffff:ffff"


@pytest.mark.parametrize("text", ["", "10.0.0", "10.0.0.02", "10.0.0.2/24", "10.0.0.2 ", "fe80::1%eth0", "10.0.0.2\n"])
def test_what_is_no_address_at_all_is_refused(text: str) -> None:
    addresses = pool("10.0.0.0/24", "10.0.0.1")
    for call in (addresses.allocate, addresses.mark_used, addresses.release, addresses.__contains__):
        with pytest.raises(InvalidAddress):
            call(text)


# --- addresses that were asked for


def test_an_address_that_was_asked_for_is_given_out_once() -> None:
    addresses = pool("10.0.0.0/29", "10.0.0.1")
    assert addresses.allocate("10.0.0.3") == "10.0.0.3"
    assert "10.0.0.3" in addresses
    with pytest.raises(AddressTaken, match=r"10\.0\.0\.3"):
        addresses.allocate("10.0.0.3")
    assert exhaust(addresses) == ["10.0.0.2", "10.0.0.4", "10.0.0.5", "10.0.0.6"]
    addresses.release("10.0.0.3")
    assert addresses.allocate("10.0.0.3") == "10.0.0.3"


def test_an_address_outside_the_range_may_be_asked_for() -> None:
    addresses = pool("10.0.0.0/24", "10.0.0.1", "10.0.0.128/30")
    assert addresses.allocate("10.0.0.7") == "10.0.0.7"
    assert addresses.free == addresses.capacity == 4
    assert exhaust(addresses) == ["10.0.0.128", "10.0.0.129", "10.0.0.130", "10.0.0.131"]
    assert addresses.allocate("10.0.0.8") == "10.0.0.8"
    addresses.release("10.0.0.7")
    assert addresses.free == 0
    with pytest.raises(AddressesExhausted, match=r"10\.0\.0\.128/30"):
        addresses.allocate()


def test_all_spellings_of_an_address_are_one() -> None:
    addresses = pool("fd00::/64", "fd00::1")
    assert addresses.allocate("FD00:0:0:0::A") == "fd00::a"
    assert "fd00::000a" in addresses
    with pytest.raises(AddressTaken):
        addresses.allocate("fd00::a")


# --- the order in which they come


def test_a_freed_address_comes_last() -> None:
    addresses = pool("10.0.0.0/29", "10.0.0.1")
    first = addresses.allocate()
    addresses.release(first)
    assert exhaust(addresses) == ["10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6", first]


def test_after_a_restart_the_choice_goes_on_behind_what_is_in_use() -> None:
    """What was freed just before the restart is not known any more, so the addresses above the last are safer."""
    addresses = pool("10.0.0.0/29", "10.0.0.1")
    for address in ("10.0.0.4", "10.0.0.3"):
        addresses.mark_used(address)
    assert exhaust(addresses) == ["10.0.0.5", "10.0.0.6", "10.0.0.2"]


def test_the_choice_stays_in_the_range_after_a_restart() -> None:
    addresses = pool("10.0.0.0/24", "10.0.0.1", "10.0.0.16/30")
    for address in ("10.0.0.200", "10.0.0.19", "10.0.0.5"):
        addresses.mark_used(address)
    assert exhaust(addresses) == ["10.0.0.16", "10.0.0.17", "10.0.0.18"]


# --- records


def test_marking_and_releasing_twice_count_once() -> None:
    addresses = pool("10.0.0.0/24", "10.0.0.1")
    addresses.mark_used("10.0.0.9")
    addresses.mark_used("10.0.0.9")
    assert addresses.free == addresses.capacity - 1
    with pytest.raises(AddressTaken):
        addresses.allocate("10.0.0.9")
    addresses.release("10.0.0.9")
    addresses.release("10.0.0.9")
    assert addresses.free == addresses.capacity
    assert "10.0.0.9" not in addresses


@pytest.mark.parametrize("address", ["10.0.0.0", "10.0.0.1", "10.0.0.255", "10.0.1.5", "fd00::5"])
def test_a_record_with_an_address_that_is_never_given_out_changes_nothing(address: str) -> None:
    """Above all, releasing the gateway's address does not make it one to give out."""
    addresses = pool("10.0.0.0/24", "10.0.0.1")
    addresses.mark_used(address)
    addresses.release(address)
    assert address not in addresses
    assert addresses.free == addresses.capacity == 253
    with pytest.raises(InvalidAddress):
        addresses.allocate(address)


# --- against a set


class PoolMachine(RuleBasedStateMachine):
    """The pool does what a plain set of addresses does."""

    @initialize(
        shape=st.sampled_from(
            [
                ("10.0.0.0/28", "10.0.0.1", None),
                ("10.0.0.0/28", "10.0.0.14", "10.0.0.8/29"),
                ("10.0.0.0/31", "10.0.0.0", None),
                ("fd00::/124", "fd00::8", None),
                ("fd00::/64", "fd00::1", "fd00::10/125"),
            ]
        )
    )
    def open(self, shape: tuple[str, str, str | None]) -> None:
        cidr, gateway, ip_range = shape
        self.pool = pool(cidr, gateway, ip_range)
        self.network = ipaddress.ip_network(cidr)
        span = ipaddress.ip_network(ip_range or cidr)
        never = {gateway}
        if self.network.max_prefixlen - self.network.prefixlen > 1:
            never.add(str(self.network.network_address))
            if self.network.version == 4:
                never.add(str(self.network.broadcast_address))
        self.never = never
        self.automatic = {str(address) for address in span} - never
        self.used: set[str] = set()

    def address(self, number: int) -> str:
        return str(self.network[number % min(self.network.num_addresses, 32)])

    @rule()
    def choose(self) -> None:
        if self.automatic <= self.used:
            with pytest.raises(AddressesExhausted):
                self.pool.allocate()
            return
        address = self.pool.allocate()
        assert address in self.automatic - self.used
        self.used.add(address)

    @rule(number=st.integers(0, 31))
    def ask(self, number: int) -> None:
        address = self.address(number)
        if address in self.never:
            with pytest.raises(InvalidAddress):
                self.pool.allocate(address)
        elif address in self.used:
            with pytest.raises(AddressTaken):
                self.pool.allocate(address)
        else:
            assert self.pool.allocate(address) == address
            self.used.add(address)

    @rule(number=st.integers(0, 31))
    def mark(self, number: int) -> None:
        address = self.address(number)
        self.pool.mark_used(address)
        self.used |= {address} - self.never

    @precondition(lambda self: self.used)
    @rule(number=st.integers(0, 31))
    def release_used(self, number: int) -> None:
        address = sorted(self.used)[number % len(self.used)]
        self.pool.release(address)
        self.used.remove(address)

    @rule(number=st.integers(0, 31))
    def release_any(self, number: int) -> None:
        self.pool.release(self.address(number))
        self.used.discard(self.address(number))

    @invariant()
    def agrees(self) -> None:
        if hasattr(self, "pool"):
            assert self.pool.free == len(self.automatic - self.used)
            assert self.pool.capacity == len(self.automatic)
            assert all(
                (self.address(number) in self.pool) == (self.address(number) in self.used) for number in range(32)
            )


TestPoolMachine = PoolMachine.TestCase
TestPoolMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
