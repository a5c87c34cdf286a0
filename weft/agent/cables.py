"""``weft cable``: two containers joined by a veth pair of their own.

A cable is a network of the driver ``ptp``, made for the two and gone when nobody wants to be on it any more.
"""

from __future__ import annotations

import ipaddress

from weft.agent.core import Core
from weft.agent.facade import Outcome
from weft.agent.membership import Membership
from weft.agent.networks import Networks
from weft.agent.state import CABLE_LABEL
from weft.ipam.subnets import choose_subnet
from weft.model.errors import ContainerNotRunning, InvalidInput
from weft.model.identity import new_id
from weft.model.network import parse_address
from weft.model.requests import Cable, Connect, CreateNetwork, Disconnect


class Cables:
    """Plugs cables."""

    def __init__(self, core: Core, networks: Networks, membership: Membership) -> None:
        self._core = core
        self._networks = networks
        self._membership = membership

    def cable(self, request: Cable, dry_run: bool) -> Outcome:
        """Join two running containers; both ends are plugged or none is."""
        with self._core.lock:
            left, right = (self._core.state.find_container(name) for name in (request.left, request.right))
            if left.id == right.id:
                raise InvalidInput(f"both ends of the cable are {left.name!r}")
            for container in (left, right):
                if container.state != "running":
                    raise ContainerNotRunning(f"container {container.name!r} does not run")
            left_ip, right_ip = self._addresses(request)
            creation = CreateNetwork(name=f"cable-{new_id()[:8]}", driver="ptp", labels={CABLE_LABEL: "true"})
            network = self._networks.create(creation, dry_run=False).result["name"]
            try:
                first = self._membership.connect(network, _end(left.id, left_ip), False)
                second = self._membership.connect(network, _end(right.id, right_ip), dry_run)
            except BaseException:
                self._unplug(network, left.id)
                raise
            if dry_run:
                self._unplug(network, left.id)
        result = {"network": network, left.name: left_ip, right.name: right_ip}
        return Outcome(result=result, operations=(*first.operations, *second.operations))

    def _unplug(self, network: str, container: str) -> None:
        record = self._core.state.network_named(network)
        if record is None:
            return
        if any(wish.network_id == record.id for wish in self._core.state.containers[container].wishes):
            self._membership.disconnect(network, Disconnect(container=container), False)
        if self._core.state.network_named(network) is not None:
            self._networks.remove(network, False)

    def _addresses(self, request: Cable) -> tuple[str, str]:
        """Return the two addresses, choosing a free pair (RFC 3021) where none are given."""
        if (request.left_ip is None) != (request.right_ip is None):
            raise InvalidInput("one end has an address and the other has none", "Give both, or neither.")
        if request.left_ip is not None and request.right_ip is not None:
            left, right = parse_address(request.left_ip), parse_address(request.right_ip)
            if left.version != right.version or left == right:
                raise InvalidInput(f"{left} and {right} cannot be the two ends of one cable")
            return str(left), str(right)
        pair = choose_subnet(self._core.settings.cable_pools, self._taken())
        return str(pair.network_address), str(pair.network_address + 1)

    def _taken(self) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
        ends = [
            ipaddress.ip_network(address.address)
            for endpoint in self._core.state.endpoints.values()
            for address in endpoint.addresses
        ]
        return [*ends, *(prefix for prefix, _ in self._networks.taken())]


def _end(container: str, address: str) -> Connect:
    return Connect(container=container, ip6=address) if ":" in address else Connect(container=container, ip=address)
