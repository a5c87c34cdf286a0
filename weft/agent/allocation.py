"""Addresses, MACs and interface names for new endpoints.

An address or MAC is taken while an endpoint record carries it; the pools here are only that fact in a form that answers
quickly, and are rebuilt from the records at every start.  Callers hold the agent's lock.
"""

from __future__ import annotations

from collections.abc import Iterable

from weft.agent.state import State
from weft.ipam.addresses import AddressPool
from weft.ipam.macs import choose_mac
from weft.model.container import Address, Container, Endpoint, Wish
from weft.model.errors import AddressTaken, InterfaceTaken, InvalidAddress
from weft.model.identity import check_mac, new_id, port_name
from weft.model.names import check_interface
from weft.model.network import Network, Subnet


class Allocation:
    """What is given to endpoints, for every network of the host."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._pools: dict[tuple[str, int], AddressPool] = {}
        #: Network id → MAC → endpoint id.
        self._macs: dict[str, dict[str, str]] = {}
        self.reload()

    def reload(self) -> None:
        """Learn from the records what is taken."""
        state = self._state
        self._pools.clear()
        self._macs.clear()
        for network in state.networks.values():
            self.open(network)
        for endpoint in state.endpoints.values():
            self._macs.setdefault(endpoint.network_id, {})[endpoint.mac] = endpoint.id
            for address in endpoint.addresses:
                pool = self._pools.get((endpoint.network_id, address.version))
                if pool is not None:
                    pool.mark_used(address.address)

    def open(self, network: Network) -> None:
        """Begin to give out addresses of a network."""
        for subnet in network.subnets:
            self._pools[network.id, subnet.version] = AddressPool(subnet)

    def close(self, network: Network) -> None:
        """Stop giving out addresses of a network."""
        for subnet in network.subnets:
            self._pools.pop((network.id, subnet.version), None)
        self._macs.pop(network.id, None)

    def endpoint(self, container: Container, network: Network, wish: Wish, taken: Iterable[str]) -> Endpoint:
        """Return a new endpoint record with everything that ``wish`` leaves open chosen.

        ``taken`` are the names of interfaces that the container has already.  Raises AddressTaken,
        AddressesExhausted, InvalidAddress, InterfaceTaken or InvalidName; nothing is allocated then.
        """
        interface = self._interface(wish, frozenset(taken))
        addresses: list[Address] = []
        try:
            if network.driver == "ptp":
                addresses += self._cable_end(network, wish)
            for subnet, preferred in self._wanted(network, wish):
                addresses.append(self._address(network, subnet, preferred))
            mac = self._mac(network, wish, addresses)
        except BaseException:
            self._give_back(network.id, addresses)
            raise
        identifier = new_id()
        self._macs.setdefault(network.id, {})[mac] = identifier
        return Endpoint(
            id=identifier,
            network_id=network.id,
            container_id=container.id,
            interface=interface,
            port="" if network.driver == "ptp" else port_name(identifier),
            mac=mac,
            addresses=tuple(addresses),
            aliases=wish.aliases,
        )

    def release(self, endpoint: Endpoint) -> None:
        """Take an endpoint's addresses back."""
        self._give_back(endpoint.network_id, endpoint.addresses)
        macs = self._macs.get(endpoint.network_id, {})
        if macs.get(endpoint.mac) == endpoint.id:
            del macs[endpoint.mac]

    def _give_back(self, network_id: str, addresses: Iterable[Address]) -> None:
        for address in addresses:
            pool = self._pools.get((network_id, address.version))
            if pool is not None:
                pool.release(address.address)

    def _cable_end(self, network: Network, wish: Wish) -> list[Address]:
        """Return the addresses of one end of a cable: those asked for, each a network of its own."""
        wanted = [text for text in (wish.ip, wish.ip6) if text is not None]
        if not wanted:
            raise InvalidAddress(f"an end of {network.name!r} needs an address", "Give --ip, or use 'weft cable'.")
        present = {a.address for endpoint in self._state.endpoints_on(network) for a in endpoint.addresses}
        for text in wanted:
            if text in present:
                raise AddressTaken(f"address {text} is that of the other end of {network.name!r}")
        return [Address(address=text, prefixlen=128 if ":" in text else 32) for text in wanted]

    def _wanted(self, network: Network, wish: Wish) -> list[tuple[Subnet, str | None]]:
        """Return the subnets that the endpoint gets an address of, each with the address that was asked for."""
        if network.driver == "ptp":
            return []
        for version, preferred in ((4, wish.ip), (6, wish.ip6)):
            if preferred is not None and network.subnet(version) is None:
                raise InvalidAddress(f"network {network.name!r} has no IPv{version} subnet for {preferred}")
        return [(subnet, wish.ip if subnet.version == 4 else wish.ip6) for subnet in network.subnets]

    def _address(self, network: Network, subnet: Subnet, preferred: str | None) -> Address:
        try:
            chosen = self._pools[network.id, subnet.version].allocate(preferred)
        except AddressTaken as error:
            raise self._named(error, network, preferred) from error
        return Address(address=chosen, prefixlen=subnet.prefixlen, gateway=subnet.gateway)

    def _named(self, error: AddressTaken, network: Network, address: str | None) -> AddressTaken:
        """Return the error with the name of the container that has the address."""
        for endpoint in self._state.endpoints_on(network):
            if any(given.address == address for given in endpoint.addresses):
                owner = self._state.containers[endpoint.container_id].name
                return AddressTaken(f"address {address} on {network.name!r} belongs to {owner!r}", owner=owner)
        return error

    def _mac(self, network: Network, wish: Wish, addresses: list[Address]) -> str:
        used = self._macs.get(network.id, {})
        if wish.mac is None:
            return choose_mac(addresses[0].address, used)
        mac = check_mac(wish.mac)
        if mac in used:
            owner = self._state.containers[self._state.endpoints[used[mac]].container_id].name
            raise AddressTaken(f"MAC {mac} on {network.name!r} belongs to {owner!r}", owner=owner)
        return mac

    def _interface(self, wish: Wish, taken: frozenset[str]) -> str:
        if wish.interface is not None:
            check_interface(wish.interface)
            if wish.interface in taken:
                raise InterfaceTaken(f"the container has an interface {wish.interface!r} already")
            return wish.interface
        number = 0
        while f"eth{number}" in taken:
            number += 1
        return f"eth{number}"
