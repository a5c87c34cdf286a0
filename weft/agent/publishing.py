"""From what was asked to be published to ports of this host that are held."""

from __future__ import annotations

from collections.abc import Iterable

from weft.agent.reservations import Reservations
from weft.ipam.ports import PortPool
from weft.model.container import Container, Endpoint
from weft.model.errors import PortInUse, Unsupported
from weft.model.network import Network, parse_address
from weft.model.ports import RELAYED, PortRequest, PublishedPort
from weft.model.settings import Settings

_ANY = {4: "0.0.0.0", 6: "::"}


class Publishing:
    """Chooses host ports and reserves them.  Callers hold the agent's lock."""

    def __init__(self, settings: Settings, reservations: Reservations) -> None:
        self._settings = settings
        self._reservations = reservations
        self._dynamic = PortPool(*settings.ports.range)

    def publish(self, container: Container, network: Network, endpoint: Endpoint) -> tuple[PublishedPort, ...]:
        """Reserve and return the ports that ``container`` publishes, to be carried by ``endpoint``.

        Raises PortInUse, PortsExhausted, InvalidAddress or Unsupported; nothing is held then.
        """
        requests = list(container.publish)
        if container.publish_all:
            asked = {(request.container_port, request.protocol) for request in requests}
            requests += [
                PortRequest(container_port=port.port, protocol=port.protocol)
                for port in container.exposed
                if (port.port, port.protocol) not in asked
            ]
        if requests and not self._settings.filter:
            raise Unsupported(
                "ports cannot be published while packet filtering is off", "Set filter = true in weft.toml."
            )
        if requests and network.filter is False:
            raise Unsupported(f"ports cannot be published on {network.name!r}, which was made with --no-filter")
        held: list[PublishedPort] = []
        try:
            for request in requests:
                held.extend(self._one(request, container, network, endpoint))
        except BaseException:
            self._reservations.release(held)
            raise
        return tuple(held)

    def _one(
        self, request: PortRequest, container: Container, network: Network, endpoint: Endpoint
    ) -> tuple[PublishedPort, ...]:
        addresses = self._bind_addresses(request, network, endpoint)
        number = request.host_port
        if number is None and self._settings.ports.policy == "fixed":
            number = request.container_port
        if number is not None:
            ports = _at(number, request, addresses)
            self._reservations.take(ports, container.name)
            return ports
        for candidate in self._dynamic.candidates():
            ports = _at(candidate, request, addresses)
            try:
                self._reservations.take(ports, container.name, fresh=True)
            except PortInUse:
                continue
            return ports
        raise AssertionError("the pool ends with PortsExhausted")

    def _bind_addresses(self, request: PortRequest, network: Network, endpoint: Endpoint) -> list[str]:
        """Return the host addresses that the port is to be bound to, one for each address family that it covers."""
        host_ip = request.host_ip or network.bind or self._settings.ports.bind
        versions = [address.version for address in endpoint.addresses]
        if not host_ip:
            return [_ANY[version] for version in versions]
        version = parse_address(host_ip).version
        if host_ip == RELAYED and request.protocol == "sctp":
            raise Unsupported(f"port {request.container_port}/sctp cannot be published on {host_ip}")
        if version not in versions and host_ip != RELAYED:
            raise Unsupported(
                f"port {request.container_port}/{request.protocol} cannot be bound to {host_ip}: network "
                f"{network.name!r} has no IPv{version}",
                "Create the network with --ipv6, or publish on an address of the other family.",
            )
        return [host_ip]


def _at(number: int, request: PortRequest, addresses: Iterable[str]) -> tuple[PublishedPort, ...]:
    return tuple(
        PublishedPort(
            host_ip=address, host_port=number, container_port=request.container_port, protocol=request.protocol
        )
        for address in addresses
    )
