"""The addresses of one subnet: which are given out, and which comes next."""

from __future__ import annotations

from weft.ipam.bitmap import Bitmap
from weft.model.errors import AddressesExhausted, AddressTaken, InvalidAddress
from weft.model.network import Subnet, parse_address, parse_network

#: Subnets of two addresses or one have no network and broadcast address (RFC 3021) and no anycast address (RFC 6164).
_POINT_TO_POINT_BITS = 1


class AddressPool:
    """Gives out the addresses of a subnet; callers see to it that one thread at a time does so.

    Never given out are the gateway, the network and the broadcast address (IPv4) and the subnet-router anycast address
    (IPv6, RFC 4291 section 2.6.1).  Automatic choice stays inside the subnet's ``ip_range``, which an address that is
    asked for need not.

    Automatic choice goes round: a released address comes again only after all others, so that neighbours and
    connection tracking have forgotten its last holder.

    The pool is a picture of the records that carry addresses, in a form that answers quickly.  An address that lies
    outside the subnet is never given out, so marking and releasing it are no errors.
    """

    def __init__(self, subnet: Subnet) -> None:
        network = subnet.network
        span = network if subnet.ip_range is None else parse_network(subnet.ip_range)
        self._subnet = subnet
        self._address = type(network.network_address)
        # Numbers count from the first address of the subnet.
        self._base = int(network.network_address)
        self._used = Bitmap(network.num_addresses)
        self._first = int(span.network_address) - self._base
        self._last = int(span.broadcast_address) - self._base
        self._reserved = self._reserve(network.max_prefixlen - network.prefixlen)
        self._cursor = self._first
        #: How many addresses automatic choice can give out in all, and how many of them are free.
        self.capacity = span.num_addresses - sum(self._first <= number <= self._last for number in self._reserved)
        self.free = self.capacity

    def __contains__(self, address: str) -> bool:
        """Whether ``address`` is given out."""
        number = self._number(address)
        return number is not None and number in self._used

    def allocate(self, preferred: str | None = None) -> str:
        """Give out ``preferred``, or the next free address, and return it.

        Raises AddressTaken if ``preferred`` is given out, InvalidAddress if it is outside the subnet or never given
        out, AddressesExhausted if no address is free.
        """
        number = self._next() if preferred is None else self._wanted(preferred)
        self._mark(number)
        if preferred is None:
            self._cursor = number + 1
        return str(self._address(self._base + number))

    def mark_used(self, address: str) -> None:
        """Count ``address`` as given out, because a record carries it; the next ones are chosen after it."""
        number = self._number(address)
        if number is not None and number not in self._used:
            self._mark(number)
            if self._first <= number <= self._last:
                self._cursor = max(self._cursor, number + 1)

    def release(self, address: str) -> None:
        """Take ``address`` back; that it is not given out is no error."""
        number = self._number(address)
        if number is not None and number in self._used:
            self._used.discard(number)
            self.free += self._first <= number <= self._last

    def _reserve(self, host_bits: int) -> frozenset[int]:
        """Keep the addresses that are never given out from being chosen; return their numbers."""
        reserved = {int(parse_address(self._subnet.gateway)) - self._base}
        if host_bits > _POINT_TO_POINT_BITS:
            reserved.add(0)
            if self._subnet.version == 4:
                reserved.add(self._used.size - 1)
        for number in reserved:
            self._used.add(number)
        return frozenset(reserved)

    def _mark(self, number: int) -> None:
        self._used.add(number)
        self.free -= self._first <= number <= self._last

    def _next(self) -> int:
        for start in (self._cursor, self._first):
            number = self._used.next_absent(start)
            if number is not None and number <= self._last:
                return number
        span = self._subnet.ip_range or self._subnet.cidr
        raise AddressesExhausted(
            f"no address of {span} is free: all {self.capacity} are given out", subnet=span, capacity=self.capacity
        )

    def _wanted(self, preferred: str) -> int:
        number = self._number(preferred)
        if number is None:
            raise InvalidAddress(self._why_not(preferred), address=preferred, subnet=self._subnet.cidr)
        if number in self._used:
            raise AddressTaken(f"address {preferred} is given out already", address=preferred)
        return number

    def _why_not(self, address: str) -> str:
        """Say why an address that has no number is never given out."""
        parsed = parse_address(address)
        if parsed not in self._subnet.network:
            return f"address {address} is not in {self._subnet.cidr}"
        if parsed == parse_address(self._subnet.gateway):
            return f"address {address} is the gateway of {self._subnet.cidr}"
        if parsed == self._subnet.network.network_address:
            return f"address {address} stands for the subnet {self._subnet.cidr} itself"
        return f"address {address} is the broadcast address of {self._subnet.cidr}"

    def _number(self, address: str) -> int | None:
        """Return the address's place in the subnet, None if the pool never gives it out."""
        parsed = parse_address(address)
        number = int(parsed) - self._base
        if parsed.version != self._subnet.version or not 0 <= number < self._used.size or number in self._reserved:
            return None
        return number
