"""Who is on which network: namespaces attached and detached, containers connected and disconnected."""

from __future__ import annotations

import shutil
from collections.abc import Iterable

from weft.agent import requests as checked
from weft.agent.core import Core
from weft.agent.endpoints import Endpoints
from weft.agent.facade import Outcome
from weft.agent.reaper import Reaper
from weft.agent.state import CABLE_LABEL, Stored
from weft.model.base import replace
from weft.model.container import Container, Endpoint, Namespace
from weft.model.errors import InvalidInput, InvalidOption
from weft.model.network import Network
from weft.model.requests import Attach, Connect, Disconnect
from weft.plan.operations import describe


class Membership:
    """Brings containers onto networks and off them, live.  ``reaper`` waits for the ends of attached processes."""

    def __init__(self, core: Core, endpoints: Endpoints, reaper: Reaper) -> None:
        self._core = core
        self._endpoints = endpoints
        self._reaper = reaper

    def attach(self, request: Attach, dry_run: bool) -> Outcome:
        """Put a namespace that somebody else made on a network; again for further networks."""
        with self._core.lock:
            namespace = self._core.kernel.open_namespace(_namespace_path(request))
            container = self._attachable(request, namespace)
            new = [w for w in container.wishes if not self._core.state.is_on(container, w.network_id)]
            operations = self._endpoints.attach(container, new, dry_run=dry_run)
        if dry_run:
            return Outcome(operations=tuple(describe(operations)))
        if request.pid is not None:
            self._reaper.watch(container)
        self._core.events.tell("container", "attach", container.id, container.name)
        return Outcome(result=self._core.report(container), operations=tuple(describe(operations)))

    def detach(self, name: str, network: str | None, dry_run: bool) -> Outcome:
        """Take an attached namespace off one network or, without ``network``, off all, and forget it after the last."""
        core = self._core
        with core.lock:
            container = core.state.find_container(name)
            if container.managed and network is None:
                raise InvalidOption(
                    f"{container.name!r} was not attached but started by weft",
                    f"Use 'weft rm {container.name}', or name the network to leave.",
                )
            going = core.state.endpoints_of(container)
            if network is not None:
                going = [core.state.endpoint(container, core.state.find_network(network))]
            remaining = _without(container, going)
            last = not container.managed and len(going) == len(core.state.endpoints_of(container))
            forgotten: tuple[Stored, ...] = (remaining, *self._core.state.cables_without(remaining)) if last else ()
            operations = self._endpoints.detach(remaining, going, dry_run=dry_run, forget=forgotten)
            if last and not dry_run:
                self._forgotten(remaining)
        return Outcome(result={"id": container.id, "name": container.name}, operations=tuple(describe(operations)))

    def connect(self, name: str, request: Connect, dry_run: bool) -> Outcome:
        """Bring a container onto a further network, at once if it runs and at its next start otherwise."""
        core = self._core
        with core.lock:
            network = core.state.find_network(name)
            container = core.state.find_container(request.container)
            checked.check_connectable(container, network)
            wish = checked.wish_for_connect(request, network)
            wanting = replace(container, wishes=(*container.wishes, wish))
            if container.state != "running":
                if not dry_run:
                    core.state.commit(wanting)
                return Outcome(result=self._core.report(wanting))
            operations = self._endpoints.attach(wanting, (wish,), dry_run=dry_run)
        return Outcome(result=self._core.report(wanting), operations=tuple(describe(operations)))

    def disconnect(self, name: str, request: Disconnect, dry_run: bool) -> Outcome:
        """Take a container off a network, live."""
        core = self._core
        with core.lock:
            network = core.state.find_network(name)
            container = core.state.find_container(request.container)
            if not any(wish.network_id == network.id for wish in container.wishes):
                core.state.endpoint(container, network)  # raises EndpointNotFound
            if CABLE_LABEL in network.labels:
                return self._pull(network, container, dry_run)
            return self._leave(container, network, dry_run)

    def _leave(self, container: Container, network: Network, dry_run: bool) -> Outcome:
        if container.state == "running":
            return self.detach(container.id, network.id, dry_run)
        if not dry_run:
            remaining = tuple(wish for wish in container.wishes if wish.network_id != network.id)
            self._core.state.commit(replace(container, wishes=remaining))
        return Outcome(result={"id": container.id, "name": container.name})

    def _pull(self, cable: Network, asked: Container, dry_run: bool) -> Outcome:
        """Take a cable away, both ends, whichever was asked for: one that hangs in the air is of no use."""
        state = self._core.state
        ends = [c for c in state.containers.values() if any(wish.network_id == cable.id for wish in c.wishes)]
        outcomes = [self._leave(end, cable, dry_run) for end in ends]
        if not dry_run and cable.id in state.networks:
            state.commit(drop=(cable,))
        operations = dict.fromkeys(command for outcome in outcomes for command in outcome.operations)
        return Outcome(result={"id": asked.id, "name": asked.name}, operations=tuple(operations))

    def vanished(self, identifier: str) -> None:
        """Clean up after an attached namespace that is gone."""
        with self._core.lock:
            container = self._core.state.containers.get(identifier)
            if container is None or container.managed:
                return
            going = self._core.state.endpoints_of(container)
            self._endpoints.detach(container, going, forget=(container, *self._core.state.cables_without(container)))
            self._forgotten(container)

    def _attachable(self, request: Attach, namespace: Namespace) -> Container:
        """Return the record to attach: a new one, or a known one with a further network."""
        state = self._core.state
        known = state.container_named(request.name or "")
        if known is None:
            return replace(
                checked.container_for_attach(request, state), namespace=namespace, state="running", pid=request.pid or 0
            )
        if known.managed or known.namespace is None or known.namespace.inode != namespace.inode:
            raise checked.name_taken(known)
        return checked.container_attached_again(known, request, state)

    def _forgotten(self, container: Container) -> None:
        self._reaper.forget(container)
        shutil.rmtree(self._core.directory(container), ignore_errors=True)
        self._core.events.tell("container", "detach", container.id, container.name)


def _namespace_path(request: Attach) -> str:
    if (request.pid is None) == (request.netns is None):
        raise InvalidInput("exactly one of a pid and a namespace is needed", "Give --pid PID or --netns PATH.")
    if request.pid is not None:
        if request.pid <= 0:
            raise InvalidInput(f"{request.pid} is not a process id")
        return f"/proc/{request.pid}/ns/net"
    path = request.netns or ""
    if "\0" in path or not path:
        raise InvalidInput("the path of the namespace is empty or holds a NUL")
    return path if "/" in path else f"/run/netns/{path}"


def _without(container: Container, endpoints: Iterable[Endpoint]) -> Container:
    left = {endpoint.network_id for endpoint in endpoints}
    return replace(container, wishes=tuple(wish for wish in container.wishes if wish.network_id not in left))
