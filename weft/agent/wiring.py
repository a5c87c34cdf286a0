"""From the picture of intent to kernel objects: which planner is asked what.

Everything here is a question to ``weft.plan`` about records in ``State``; nothing is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from weft.agent.state import State
from weft.model.container import Container, Endpoint, Namespace
from weft.model.network import Network
from weft.model.ports import ExposedPort
from weft.plan import admission, firewall, forwarding, names
from weft.plan import host as host_plan
from weft.plan.drivers import registry
from weft.plan.drivers.base import Host, Wiring
from weft.plan.objects import AnyObject, Element, Objects

#: The maps that send queries to the name server of a view.
RESOLVERS = frozenset({"resolver4", "resolver6"})

#: Answers with the port of the name server of the view with a key, None if it has none.
PortOfView = Callable[[str], int | None]


def host_objects(state: State, host: Host) -> Objects:
    """Return what the host holds for itself and its networks, whatever is attached; without networks, nothing."""
    networks = tuple(state.networks.values())
    objects = list(base(state, host))
    for network in networks:
        objects.extend(network_objects(state, host, network))
    objects.extend(forwarding.plan(networks, host))
    objects.extend(admission.plan(networks, host))
    return tuple(objects)


def base(state: State, host: Host) -> Objects:
    """Return what every network of the host relies on: the tables of nftables, as long as there is a network."""
    return host_plan.base(host) if state.networks else ()


def network_objects(state: State, host: Host, network: Network) -> Objects:
    """Return what the host holds for one network, whatever is attached."""
    return registry(network.driver).network(network, host)


def container_objects(
    state: State, host: Host, containers: Iterable[Container], port_of_view: PortOfView
) -> Objects:
    """Return what the host and the containers' namespaces hold for the endpoints of ``containers``."""
    objects: list[AnyObject] = []
    for container in containers:
        for endpoint in live_endpoints(state, container):
            wiring = wiring_of(state, endpoint)
            if wiring is not None:
                objects.extend(registry(wiring.network.driver).endpoint(wiring, host))
        objects.extend(link_objects(state, host, container))
        objects.extend(resolver_objects(state, host, container, port_of_view))
    return tuple(objects)


def desired(state: State, host: Host, port_of_view: PortOfView) -> Objects:
    """Return everything that this host should hold."""
    attached = container_objects(state, host, state.containers.values(), port_of_view)
    ports = sorted({thing.value[0] for thing in attached if isinstance(thing, Element) and thing.set in RESOLVERS})
    openings = tuple(thing for port in ports for thing in names.opening(int(port)))
    return host_objects(state, host) + openings + attached


def live_endpoints(state: State, container: Container) -> list[Endpoint]:
    """Return the endpoints of a container that are attached or about to be."""
    return [endpoint for endpoint in state.endpoints_of(container) if endpoint.state != "detaching"]


def wiring_of(state: State, endpoint: Endpoint) -> Wiring | None:
    """Return what the driver has to know of ``endpoint``; None while its container has no namespace."""
    container = state.containers[endpoint.container_id]
    namespace = namespace_of(state, container)
    if namespace is None:
        return None
    peer = state.endpoints.get(endpoint.peer_id or "")
    peer_container = state.containers.get(peer.container_id) if peer else None
    if peer is not None and peer.state == "detaching":
        peer = peer_container = None
    return Wiring(
        network=state.networks[endpoint.network_id],
        endpoint=endpoint,
        namespace=namespace,
        owner=container.name,
        peer=peer,
        peer_namespace=namespace_of(state, peer_container) if peer_container else None,
    )


def namespace_of(state: State, container: Container) -> Namespace | None:
    """Return the namespace that the container lives in, which may be another container's."""
    if container.mode == "container" and container.peer_id:
        owner = state.containers.get(container.peer_id)
        return owner.namespace if owner else None
    return container.namespace


def networks_of(state: State, container: Container) -> list[Network]:
    """Return the networks that a container is on, the one of its default route first."""
    endpoints = sorted(live_endpoints(state, container), key=lambda endpoint: not endpoint.gateway)
    return [state.networks[endpoint.network_id] for endpoint in endpoints]


def resolver_objects(state: State, host: Host, container: Container, port_of_view: PortOfView) -> Objects:
    """Return what sends a container's queries to the name server of its view."""
    networks = networks_of(state, container)
    view = names.view_of(container, networks, host.settings)
    if view is None or not host.settings.filter:
        return ()
    port = port_of_view(view.key) or names.STANDARD_PORT
    return tuple(
        thing
        for endpoint in live_endpoints(state, container)
        if (bridge := _filtered_bridge(state.networks[endpoint.network_id], host))
        for thing in names.redirect(endpoint, bridge, port, container.name)
    )


def _filtered_bridge(network: Network, host: Host) -> str:
    return network.bridge if host.filters(network) else ""


def link_objects(state: State, host: Host, receiver: Container) -> Objects:
    """Return what lets ``receiver`` reach the exposed ports of the containers that it is linked to."""
    if not host.settings.filter:
        return ()
    objects: list[AnyObject] = []
    mine = {endpoint.network_id: endpoint for endpoint in live_endpoints(state, receiver)}
    for link in receiver.links:
        target = state.containers.get(link.target_id)
        if target is None:
            continue
        for theirs in live_endpoints(state, target):
            if theirs.network_id in mine and host.filters(state.networks[theirs.network_id]):
                comment = f"link {receiver.name} to {target.name}"
                objects.extend(firewall.link(mine[theirs.network_id], theirs, exposed_ports(target), comment))
    return tuple(objects)


def exposed_ports(container: Container) -> tuple[ExposedPort, ...]:
    """Return the ports that a container exposes: those it says, and those it publishes."""
    published = (ExposedPort(port=port.container_port, protocol=port.protocol) for port in container.publish)
    return tuple(dict.fromkeys((*container.exposed, *published)))


def concerned(state: State, containers: Iterable[Container]) -> list[Container]:
    """Return the containers whose objects may change when the endpoints of ``containers`` do.

    Those are the containers themselves, those that are linked to them, and those at the other end of a cable.
    """
    found: dict[str, Container] = {}
    for container in containers:
        found[container.id] = container
        for receiver in state.receivers_of(container):
            found[receiver.id] = receiver
        for endpoint in state.endpoints_of(container):
            peer = state.endpoints.get(endpoint.peer_id or "")
            if peer is not None:
                found[peer.container_id] = state.containers[peer.container_id]
    return list(found.values())


def bridges(networks: Iterable[Network]) -> frozenset[str]:
    """Return the interface names of the networks' bridges."""
    return frozenset(network.bridge for network in networks if network.bridge)
