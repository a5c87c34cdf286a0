"""The bitmap is a set of numbers, whatever its size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.ipam.bitmap import Bitmap

SIZES = [1, 2, 1023, 1024, 1025, 2048, 1 << 20, (1 << 20) + 1, 1 << 24, 1 << 64]


def numbers(size: int) -> st.SearchStrategy[int]:
    """Numbers below ``size``, often next to each other and at the borders of nodes."""
    borders = {0, 1, 1022, 1023, 1024, 1025, (1 << 20) - 1, 1 << 20, size - 2, size - 1}
    return st.one_of(st.sampled_from(sorted(n for n in borders if 0 <= n < size)), st.integers(0, size - 1))


@given(st.data(), st.sampled_from(SIZES))
def test_it_is_a_set(data: st.DataObject, size: int) -> None:
    bitmap, model = Bitmap(size), set[int]()
    for _ in range(data.draw(st.integers(0, 30))):
        number = data.draw(numbers(size))
        if data.draw(st.booleans()):
            bitmap.add(number)
            model.add(number)
        else:
            bitmap.discard(number)
            model.discard(number)
        probe = data.draw(numbers(size))
        assert (probe in bitmap) == (probe in model)
        expected = probe
        while expected in model:
            expected += 1
        assert bitmap.next_absent(probe) == (expected if expected < size else None)


@pytest.mark.parametrize("size", [1, 1023, 1024, 1025, 3000, 1 << 17])
def test_it_fills_up_and_empties(size: int) -> None:
    bitmap = Bitmap(size)
    for number in range(size):
        assert bitmap.next_absent(0) == number
        bitmap.add(number)
    assert bitmap.next_absent(0) is None
    assert bitmap.next_absent(size // 2) is None
    for number in (0, size // 2, size - 1):
        bitmap.discard(number)
        assert bitmap.next_absent(0) == number
        bitmap.add(number)
    for number in range(size):
        bitmap.discard(number)
    assert bitmap.next_absent(0) == 0
    assert not any(bitmap._levels), "an empty bitmap holds no nodes"


def test_a_full_region_is_crossed_at_once() -> None:
    """From the first of two million members to the number behind them it is a step for each level."""
    bitmap = Bitmap(1 << 64)
    for number in range(2 << 20):
        bitmap.add(number)
    assert bitmap.next_absent(0) == bitmap.next_absent(12345) == 2 << 20
    bitmap.discard(1 << 20)
    assert bitmap.next_absent(12345) == 1 << 20
    assert bitmap.next_absent((1 << 20) + 1) == 2 << 20


def test_numbers_beyond_the_end_are_absent_and_not_found() -> None:
    bitmap = Bitmap(1000)
    assert bitmap.next_absent(1000) is None
    assert bitmap.next_absent(1 << 40) is None
    assert 5000 not in bitmap
