"""A set of numbers that finds the next number not in it at once, however large the range and however full."""

from __future__ import annotations

_BITS = 10
_MASK = (1 << _BITS) - 1
_FULL = (1 << (1 << _BITS)) - 1


class Bitmap:
    """A set of the integers from 0 to ``size`` - 1, in memory that grows with its members alone.

    A tree of bitmaps, 1,024 bits to a node: in the lowest level a bit is a member, in every higher one a node below
    that is full.  Nodes without a bit are not stored.  Every method takes as many steps as there are levels, 2 for
    the addresses of a /16 and 7 for those of an IPv6 /64.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._levels: list[dict[int, int]] = [{}]
        while size > 1 << _BITS:
            size = (size + _MASK) >> _BITS
            self._levels.append({})

    def __contains__(self, number: int) -> bool:
        return bool(self._levels[0].get(number >> _BITS, 0) >> (number & _MASK) & 1)

    def add(self, number: int) -> None:
        """Make ``number`` a member; that it is one already is no error."""
        for nodes in self._levels:
            index = number >> _BITS
            nodes[index] = nodes.get(index, 0) | 1 << (number & _MASK)
            if nodes[index] != _FULL:
                return
            number = index

    def discard(self, number: int) -> None:
        """Make ``number`` no member; that it is none is no error."""
        for nodes in self._levels:
            index = number >> _BITS
            before = nodes.get(index, 0)
            after = before & ~(1 << (number & _MASK))
            if after:
                nodes[index] = after
            else:
                nodes.pop(index, None)
            if before != _FULL:
                return
            number = index

    def next_absent(self, start: int) -> int | None:
        """Return the smallest number from ``start`` on that is no member, None if there is none below ``size``."""
        position = start
        for level, nodes in enumerate(self._levels):
            index = position >> _BITS
            position += _trailing_ones(nodes.get(index, 0) >> (position & _MASK))
            if position >> _BITS == index:
                return self._descend(position, level)
            # This node is full from here on: look for the next one that is not, a level higher.
            position = index + 1
        return None

    def _descend(self, position: int, level: int) -> int | None:
        """Return the first absent number under a node that is not full."""
        for nodes in reversed(self._levels[:level]):
            position = (position << _BITS) + _trailing_ones(nodes.get(position, 0))
        return position if position < self.size else None


def _trailing_ones(bits: int) -> int:
    return (~bits & (bits + 1)).bit_length() - 1
