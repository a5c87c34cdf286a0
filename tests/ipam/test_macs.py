"""A MAC follows from the address, and no two on a network are the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.ipam.macs import choose_mac
from weft.model.errors import AddressTaken
from weft.model.identity import check_mac, mac_from_address


@pytest.mark.parametrize(
    ("address", "mac"), [("172.17.0.2", "02:42:ac:11:00:02"), ("fd00::ac11:2", "02:42:ac:11:00:02")]
)
def test_the_mac_follows_from_the_address(address: str, mac: str) -> None:
    assert choose_mac(address, set()) == mac


def test_a_mac_in_the_way_is_passed_in_the_same_manner_every_time() -> None:
    used = {"02:42:ac:11:00:02"}
    assert choose_mac("172.17.0.2", used) == choose_mac("172.17.0.2", used) == "02:43:ac:11:00:02"
    used.add("02:43:ac:11:00:02")
    assert choose_mac("172.17.0.2", used) == "02:44:ac:11:00:02"


def test_the_next_mac_is_never_that_of_another_address() -> None:
    """Else the other endpoint, when it comes, would have to give way in its turn."""
    used = {mac_from_address("172.17.0.2")}
    chosen = choose_mac("172.17.0.2", used)
    assert chosen not in {mac_from_address(f"172.17.{a}.{b}") for a in range(256) for b in range(256)}


def test_when_all_are_in_use_the_error_says_so() -> None:
    used: set[str] = set()
    for _ in range(256):
        used.add(choose_mac("172.17.0.2", used))
    assert len(used) == 256
    with pytest.raises(AddressTaken, match=r"172\.17\.0\.2"):
        choose_mac("172.17.0.2", used)


@given(st.lists(st.ip_addresses(), max_size=20))
def test_macs_are_unicast_and_differ(addresses: list[object]) -> None:
    used: set[str] = set()
    for address in addresses:
        mac = choose_mac(str(address), used)
        assert check_mac(mac) == mac
        assert mac not in used
        used.add(mac)
