"""The attach path: containers come onto networks and leave them.

Attaching is constant work: an address from a pool in memory, a handful of objects from the planners, one
transaction of nftables, three sends of netlink, two records.  Nothing here lists what the kernel or the store hold.
Callers hold the agent's lock.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from weft.agent import wiring
from weft.agent.allocation import Allocation
from weft.agent.core import Core, Edit
from weft.agent.names.naming import Naming
from weft.agent.publishing import Publishing
from weft.agent.relays import relaying
from weft.agent.state import Stored
from weft.model.base import replace
from weft.model.container import Container, Endpoint, Wish
from weft.model.errors import InterfaceTaken, NetworkInUse, NetworkNotFound, RouteTaken
from weft.model.network import Network
from weft.model.ports import PublishedPort
from weft.plan.host import gateway_choice
from weft.plan.operations import Add, Operations


class Foreign(NamedTuple):
    """What others have put into a container's namespace.  It is not looked for, only learnt from clashes."""

    interfaces: frozenset[str] = frozenset()
    #: Whether there is a default route: the container keeps it, and weft adds none.
    leads_out: bool = False


class Endpoints:
    """Attaches and detaches endpoints; keeps the rule that one of them carries the container's way out."""

    def __init__(self, core: Core, allocation: Allocation, publishing: Publishing, naming: Naming) -> None:
        self._core = core
        self._allocation = allocation
        self._publishing = publishing
        self._naming = naming

    def attach(self, container: Container, wishes: Sequence[Wish], *, dry_run: bool = False) -> Operations:
        """Attach ``container``, whose record (new or changed) has its namespace already, as ``wishes`` say.

        Everything is attached or nothing is: whatever raises, addresses and ports are free again and the records
        as before.
        """
        foreign = Foreign()
        while True:
            try:
                return self._attach(container, wishes, foreign, dry_run)
            except (InterfaceTaken, RouteTaken) as error:
                foreign = self._learnt(container, wishes, foreign, error)

    def _learnt(
        self, container: Container, wishes: Sequence[Wish], foreign: Foreign, error: InterfaceTaken | RouteTaken
    ) -> Foreign:
        """Return what ``error`` says of a namespace beyond ``foreign``; raise it where trying again would not help."""
        if isinstance(error, RouteTaken):
            if foreign.leads_out:
                raise error
            if container.publish or container.publish_all:
                hint = "Published ports are answered by weft's default route: remove that one, or leave out -p."
                raise RouteTaken(error.cause, hint, **error.evidence) from error
            return foreign._replace(leads_out=True)
        namespace = wiring.namespace_of(self._core.state, container) or container.namespace
        if foreign.interfaces or namespace is None or all(wish.interface for wish in wishes):
            raise error
        return foreign._replace(interfaces=self._core.kernel.interfaces(namespace))

    def _attach(self, container: Container, wishes: Sequence[Wish], foreign: Foreign, dry_run: bool) -> Operations:
        made = self._allocate(container, wishes, foreign)
        try:
            first = Edit(save=(container, *made, *self._far_ends(made)))
            if dry_run:
                return self._core.rehearse(first, containers=(container,))
            self._naming.prepare(container, wishes)
            relaying.begin(self._core.relay, made)
            self._core.forgetting.wait_for(address.address for endpoint in made for address in endpoint.addresses)
            attached = tuple(replace(endpoint, state="attached") for endpoint in made)
            operations = self._core.change(first, Edit(save=attached), containers=(container,))
        except BaseException:
            self._naming.abandon(container, wishes)
            self._release(made)
            raise
        finally:
            if dry_run:
                self._release(made)
        self._core.announcing.soon(tuple(step.object for step in operations if isinstance(step, Add)))
        self._naming.attached(container)
        for endpoint in attached:
            self._tell("connect", container, endpoint)
        return operations

    def detach(
        self,
        container: Container,
        endpoints: Iterable[Endpoint],
        *,
        dry_run: bool = False,
        forget: tuple[Stored, ...] = (),
    ) -> Operations:
        """Take ``endpoints`` of ``container`` (a record that is saved along) away; never fails half-way.

        The records in ``forget`` are deleted together with those of the endpoints.
        """
        going = tuple(endpoints)
        leaving = tuple(replace(endpoint, state="detaching") for endpoint in going)
        heirs, orphaned = self._succession(container, going)
        loose = tuple(replace(end, peer_id=None) for end in self._others(going))
        first = Edit(save=(container, *leaving, *heirs, *loose))
        if dry_run:
            return self._core.rehearse(first, containers=(container,))
        relaying.end(self._core.relay, going)
        operations = self._core.change(first, Edit(drop=(*leaving, *forget)), containers=(container,), teardown=True)
        relaying.begin(self._core.relay, heirs)
        self._core.forgetting.forget(address.address for endpoint in going for address in endpoint.addresses)
        for endpoint in going:
            self._allocation.release(endpoint)
        self._core.reservations.release(orphaned)
        self._naming.detached(container, going)
        for endpoint in going:
            self._tell("disconnect", container, endpoint)
        return operations

    def _allocate(self, container: Container, wishes: Sequence[Wish], foreign: Foreign) -> tuple[Endpoint, ...]:
        """Return new endpoint records for ``wishes``; one of them is the gateway if the container has none yet."""
        state = self._core.state
        present = state.endpoints_of(container)
        taken = {endpoint.interface for endpoint in present} | foreign.interfaces
        made: list[Endpoint] = []
        try:
            for wish in wishes:
                network = self._network(container, wish)
                endpoint = self._allocation.endpoint(container, network, wish, taken)
                made.append(endpoint)
                made[-1] = self._plugged(network, endpoint)
                taken.add(endpoint.interface)
            if not foreign.leads_out and not any(endpoint.gateway for endpoint in present):
                chosen = gateway_choice([*present, *made], state.networks)
                made = [self._as_gateway(container, e) if e.id == chosen else e for e in made]
        except BaseException:
            self._release(made)
            raise
        return tuple(made)

    def _network(self, container: Container, wish: Wish) -> Network:
        network = self._core.state.networks.get(wish.network_id)
        if network is None:
            raise NetworkNotFound(
                f"a network that {container.name!r} wants to be on was removed",
                "Remove the container and make it anew.",
            )
        return network

    def _plugged(self, network: Network, endpoint: Endpoint) -> Endpoint:
        """Return the endpoint, on a point-to-point network joined to the one at the other end."""
        if network.driver != "ptp":
            return endpoint
        ends = self._core.state.endpoints_on(network)
        if len(ends) > 1:
            raise NetworkInUse(f"both ends of {network.name!r} are plugged in already")
        return replace(endpoint, peer_id=ends[0].id) if ends else endpoint

    def _far_ends(self, made: Iterable[Endpoint]) -> tuple[Endpoint, ...]:
        """Return the endpoints at the other ends of new cables, knowing their peers."""
        endpoints = self._core.state.endpoints
        return tuple(replace(endpoints[near.peer_id], peer_id=near.id) for near in made if near.peer_id)

    def _others(self, going: Iterable[Endpoint]) -> list[Endpoint]:
        endpoints = self._core.state.endpoints
        return [endpoints[near.peer_id] for near in going if near.peer_id in endpoints]

    def _as_gateway(self, container: Container, endpoint: Endpoint) -> Endpoint:
        network = self._core.state.networks[endpoint.network_id]
        return replace(endpoint, gateway=True, ports=self._publishing.publish(container, network, endpoint))

    def _succession(
        self, container: Container, going: tuple[Endpoint, ...]
    ) -> tuple[tuple[Endpoint, ...], tuple[PublishedPort, ...]]:
        """Return the endpoint that takes over default routes and ports (if any), and the ports that nobody takes."""
        state = self._core.state
        ports = tuple(port for endpoint in going for port in endpoint.ports)
        staying = [e for e in state.endpoints_of(container) if e.id not in {gone.id for gone in going}]
        if not any(endpoint.gateway for endpoint in going):
            return (), ports
        heir = next((e for e in staying if e.id == gateway_choice(staying, state.networks)), None)
        if heir is None:
            return (), ports
        kept = tuple(port for port in ports if heir.address(port.version) is not None)
        return (replace(heir, gateway=True, ports=kept),), tuple(port for port in ports if port not in kept)

    def _release(self, endpoints: Sequence[Endpoint]) -> None:
        relaying.end(self._core.relay, endpoints)
        for endpoint in endpoints:
            self._allocation.release(endpoint)
            self._core.reservations.release(endpoint.ports)

    def _tell(self, action: str, container: Container, endpoint: Endpoint) -> None:
        network = self._core.state.networks.get(endpoint.network_id)
        self._core.events.tell(
            "network",
            action,
            endpoint.network_id,
            network.name if network else "",
            container=container.name,
            addresses=[address.cidr for address in endpoint.addresses],
        )
