"""Connection tracking of a FakeKernel: which packets belong together, and how their addresses are rewritten."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from weft.testing.packets import Packet

#: Protocol, source and its port, destination and its port.
Flow = tuple[str, str, int, str, int]


def flow_of(packet: Packet) -> Flow:
    return (packet.protocol, packet.src, packet.sport, packet.dst, packet.dport)


@dataclass
class Connection:
    """How a connection's packets look where they come in, and how its answers do."""

    original: Flow
    reply: Flow
    dnat: bool = False
    answered: bool = False

    @classmethod
    def begin(cls, packet: Packet, address: str, port: int) -> Connection:
        """Return the connection that ``packet`` opens, led to ``address`` and ``port`` ('' and 0: where it goes)."""
        original = flow_of(packet)
        reply = (packet.protocol, address or packet.dst, port or packet.dport, packet.src, packet.sport)
        return cls(original, reply, dnat=bool(address or port))

    def masquerade(self, address: str) -> None:
        self.reply = (*self.reply[:3], address, self.reply[4])

    def aimed(self, packet: Packet, is_reply: bool) -> Packet:
        """Return the packet as it goes on from prerouting or output: with the destination that it has in truth."""
        if is_reply:
            return replace(packet, dst=self.original[1], dport=self.original[2])
        return replace(packet, dst=self.reply[1], dport=self.reply[2])

    def signed(self, packet: Packet, is_reply: bool) -> Packet:
        """Return the packet as it goes on from postrouting or input: with the source that the receiver is to see."""
        side = self.original if is_reply else self.reply
        return replace(packet, src=side[3], sport=side[4])


class Connections:
    """All that are tracked."""

    def __init__(self) -> None:
        self._known: list[Connection] = []

    def find(self, packet: Packet) -> tuple[Connection | None, bool]:
        """Return the connection that the packet belongs to, None if it is a new one, and whether it is an answer."""
        flow = flow_of(packet)
        for connection in self._known:
            if flow in (connection.original, connection.reply):
                is_reply = flow == connection.reply
                connection.answered |= is_reply
                return connection, is_reply
        return None, False

    def knows(self, connection: Connection) -> bool:
        return connection in self._known

    def confirm(self, connection: Connection) -> None:
        """Keep a new connection; its source port changes if its answers could be taken for another's."""
        taken = {other.reply for other in self._known}
        while connection.reply in taken:  # as net/netfilter/nf_nat_core.c, get_unique_tuple()
            connection.reply = (*connection.reply[:4], connection.reply[4] + 1)
        self._known.append(connection)

    def forget(self, addresses: Iterable[str]) -> None:
        """Forget the connections that one of ``addresses`` has a part in."""
        gone = set(addresses)
        self._known = [one for one in self._known if gone.isdisjoint((*one.original, *one.reply))]
