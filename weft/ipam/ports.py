"""Host ports for what is published without one."""

from __future__ import annotations

from collections.abc import Container, Iterator

from weft.model.errors import PortsExhausted


class PortPool:
    """Proposes the host ports from ``low`` to ``high`` in turn.

    It only proposes: whether a port is free is known when a socket has been bound to it.  Each search goes on behind
    the last port that was proposed, so that a port that has just been given up is not taken again at once, while
    clients may still be talking to it.
    """

    def __init__(self, low: int, high: int) -> None:
        self._ports = range(low, high + 1)
        self._cursor = 0

    def candidates(self, published: Container[int] = ()) -> Iterator[int]:
        """Yield every port of the range that is not in ``published`` once, then raise PortsExhausted.

        ``published`` are the ports that are out of the question for the protocol and the address.
        """
        count = len(self._ports)
        start = self._cursor
        for place in range(start, start + count):
            port = self._ports[place % count]
            if port not in published:
                self._cursor = (place + 1) % count
                yield port
        raise PortsExhausted(
            f"no host port from {self._ports[0]} to {self._ports[-1]} is free", low=self._ports[0], high=self._ports[-1]
        )
