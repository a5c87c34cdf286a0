"""Host ports are proposed in turn, each once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.ipam.ports import PortPool
from weft.model.errors import PortsExhausted


def test_the_ports_come_in_turn() -> None:
    """A port that was just given up is not the next to be taken."""
    pool = PortPool(49000, 49002)
    assert [next(pool.candidates()) for _ in range(5)] == [49000, 49001, 49002, 49000, 49001]


def test_a_search_goes_on_to_the_next_port() -> None:
    """The first that were proposed are in use by some process; the next search begins behind the one that was not."""
    pool = PortPool(49000, 49004)
    search = pool.candidates()
    assert [next(search), next(search), next(search)] == [49000, 49001, 49002]
    assert next(pool.candidates()) == 49003


def test_published_ports_are_passed_over() -> None:
    pool = PortPool(49000, 49004)
    assert next(pool.candidates({49000, 49001, 80})) == 49002
    assert next(pool.candidates({49003, 49004})) == 49000


def test_at_the_end_the_error_names_the_range() -> None:
    pool = PortPool(49000, 49002)
    search = pool.candidates()
    assert [next(search) for _ in range(3)] == [49000, 49001, 49002]
    with pytest.raises(PortsExhausted, match="49000 to 49002"):
        next(search)
    with pytest.raises(PortsExhausted):
        next(pool.candidates({49000, 49001, 49002}))
    assert next(pool.candidates()) == 49000


def test_a_range_may_be_one_port() -> None:
    pool = PortPool(8080, 8080)
    assert [next(pool.candidates()) for _ in range(3)] == [8080] * 3


@given(
    st.integers(1, 65535),
    st.integers(0, 40),
    st.lists(st.tuples(st.sets(st.integers(0, 40)), st.integers(1, 50)), max_size=8),
)
def test_every_search_proposes_every_free_port_once(low: int, width: int, searches: list[tuple[set[int], int]]) -> None:
    high = min(low + width, 65535)
    pool = PortPool(low, high)
    for offsets, wanted in searches:
        published = {low + offset for offset in offsets}
        free = set(range(low, high + 1)) - published
        proposed: list[int] = []
        try:
            for port in pool.candidates(published):
                proposed.append(port)
                if len(proposed) == wanted:
                    break
        except PortsExhausted:
            assert set(proposed) == free
        assert len(proposed) == len(set(proposed)) == min(wanted, len(free))
        assert set(proposed) <= free
