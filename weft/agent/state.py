"""The agent's picture of intent: what the store holds, indexed for the questions that are asked of it.

The store is the truth; this is a copy of it that answers without I/O.  All changes go through ``commit``, which
writes to the store first, so that the picture never runs ahead of it.  Callers hold the agent's lock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from weft.model.base import decode, encode
from weft.model.container import Container, Endpoint
from weft.model.errors import ContainerNotFound, EndpointNotFound, InvalidName, NetworkNotFound
from weft.model.network import Network
from weft.store.base import Delete, Put, Store, Write

Stored = Network | Container | Endpoint
T = TypeVar("T", Network, Container, Endpoint)

_FOLDERS: dict[type[Stored], str] = {Network: "networks/", Container: "containers/", Endpoint: "endpoints/"}

#: Label of a network that was made for one cable and goes when nobody wants to be on it.
CABLE_LABEL = "weft.cable"

#: The fewest characters of an id that stand for it.
SHORTEST_ID = 3


class State:
    """Networks, containers and endpoints by id, by name, and by what they belong to."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._revisions: dict[str, int] = {}
        self.networks: dict[str, Network] = {}
        self.containers: dict[str, Container] = {}
        self.endpoints: dict[str, Endpoint] = {}
        self._network_ids: dict[str, str] = {}
        self._container_ids: dict[str, str] = {}
        self._by_container: dict[str, dict[str, Endpoint]] = {}
        self._by_network: dict[str, dict[str, Endpoint]] = {}
        self._receivers: dict[str, set[str]] = {}
        self._sharers: dict[str, set[str]] = {}
        for kind, folder in _FOLDERS.items():
            for entry in store.list(folder):
                self._revisions[entry.key] = entry.revision
                self._remember(decode(entry.value, kind))

    # --- writing

    def commit(self, *save: Stored, drop: Iterable[Stored] = (), durable: bool = True) -> None:
        """Write records and delete others, all or nothing, in the store and then here.

        ``durable`` False is for steps that only matter while this kernel lives (see ``Store.write``).
        """
        dropped = tuple(drop)
        writes: list[Write] = [
            Put(key=_key(record), value=encode(record), revision=self._revisions.get(_key(record), 0))
            for record in save
        ]
        writes += [
            Delete(key=_key(record), revision=self._revisions[_key(record)])
            for record in dropped
            if _key(record) in self._revisions
        ]
        if not writes:
            return
        revision = self._store.write(writes, durable=durable)
        for record in save:
            self._revisions[_key(record)] = revision
            self._remember(record)
        for record in dropped:
            self._revisions.pop(_key(record), None)
            self._forget(record)

    @contextmanager
    def supposing(self, *save: Stored, drop: Iterable[Stored] = ()) -> Iterator[None]:
        """Let the picture (and only it) hold these changes for the length of a block: what a dry run plans with."""
        dropped = tuple(drop)
        before = [self.current(record) for record in (*save, *dropped)]
        for record in save:
            self._remember(record)
        for record in dropped:
            self._forget(record)
        try:
            yield
        finally:
            for record in save:
                self._forget(record)
            for old in before:
                if old is not None:
                    self._remember(old)

    def current(self, record: Stored) -> Stored | None:
        """Return the record of the same kind and id as it is held now, None if there is none."""
        match record:
            case Network():
                return self.networks.get(record.id)
            case Container():
                return self.containers.get(record.id)
            case Endpoint():
                return self.endpoints.get(record.id)

    def _remember(self, record: Stored) -> None:
        match record:
            case Network():
                self.networks[record.id] = record
                self._network_ids[record.name] = record.id
            case Container():
                self._unlink(self.containers.get(record.id))
                self.containers[record.id] = record
                self._container_ids[record.name] = record.id
                for link in record.links:
                    self._receivers.setdefault(link.target_id, set()).add(record.id)
                if record.peer_id:
                    self._sharers.setdefault(record.peer_id, set()).add(record.id)
            case Endpoint():
                self.endpoints[record.id] = record
                self._by_container.setdefault(record.container_id, {})[record.id] = record
                self._by_network.setdefault(record.network_id, {})[record.id] = record

    def _forget(self, record: Stored) -> None:
        match record:
            case Network():
                self.networks.pop(record.id, None)
                self._network_ids.pop(record.name, None)
                self._by_network.pop(record.id, None)
            case Container():
                self._unlink(self.containers.pop(record.id, None))
                self._container_ids.pop(record.name, None)
                self._by_container.pop(record.id, None)
            case Endpoint():
                self.endpoints.pop(record.id, None)
                self._by_container.get(record.container_id, {}).pop(record.id, None)
                self._by_network.get(record.network_id, {}).pop(record.id, None)

    def _unlink(self, container: Container | None) -> None:
        if container is None:
            return
        for link in container.links:
            self._receivers.get(link.target_id, set()).discard(container.id)
        if container.peer_id:
            self._sharers.get(container.peer_id, set()).discard(container.id)

    # --- reading

    def find_network(self, name: str) -> Network:
        """Return the network with this name, id or unique beginning of an id; raise NetworkNotFound."""
        found = _find(name, self.networks, self._network_ids)
        if found is None:
            raise NetworkNotFound(f"no network {name!r}", name=name)
        return found

    def find_container(self, name: str) -> Container:
        """Return the container with this name, id or unique beginning of an id; raise ContainerNotFound."""
        found = _find(name, self.containers, self._container_ids)
        if found is None:
            raise ContainerNotFound(f"no container {name!r}", name=name)
        return found

    def network_named(self, name: str) -> Network | None:
        return self.networks.get(self._network_ids.get(name, ""))

    def container_named(self, name: str) -> Container | None:
        return self.containers.get(self._container_ids.get(name, ""))

    def endpoints_of(self, container: Container) -> list[Endpoint]:
        """Return the container's endpoints, the one that was connected first at the head."""
        return list(self._by_container.get(container.id, {}).values())

    def endpoints_on(self, network: Network) -> list[Endpoint]:
        return list(self._by_network.get(network.id, {}).values())

    def endpoint(self, container: Container, network: Network) -> Endpoint:
        """Return the endpoint of ``container`` on ``network``; raise EndpointNotFound."""
        for endpoint in self.endpoints_of(container):
            if endpoint.network_id == network.id:
                return endpoint
        raise EndpointNotFound(f"container {container.name!r} is not on network {network.name!r}")

    def is_on(self, container: Container, network_id: str) -> bool:
        """Whether a container has an endpoint on the network with this id."""
        return any(endpoint.network_id == network_id for endpoint in self.endpoints_of(container))

    def cables_without(self, leaving: Container) -> tuple[Network, ...]:
        """Return the networks of cables that nobody is left to be on when ``leaving`` goes."""
        wanted = {w.network_id for c in self.containers.values() if c.id != leaving.id for w in c.wishes}
        cables = (network for network in self.networks.values() if CABLE_LABEL in network.labels)
        return tuple(network for network in cables if network.id not in wanted)

    def receivers_of(self, target: Container) -> list[Container]:
        """Return the containers that have a link to ``target``."""
        return [self.containers[receiver] for receiver in sorted(self._receivers.get(target.id, ()))]

    def sharers_of(self, owner: Container) -> list[Container]:
        """Return the containers that live in the namespace of ``owner`` (mode 'container')."""
        return [self.containers[sharer] for sharer in sorted(self._sharers.get(owner.id, ()))]


def _key(record: Stored) -> str:
    return _FOLDERS[type(record)] + record.id


def _find(name: str, by_id: dict[str, T], ids: dict[str, str]) -> T | None:
    if name in ids:
        return by_id[ids[name]]
    if name in by_id:
        return by_id[name]
    if len(name) < SHORTEST_ID:
        return None
    matches = [identifier for identifier in by_id if identifier.startswith(name)]
    if len(matches) > 1:
        raise InvalidName(f"{name!r} is the beginning of {len(matches)} ids", "Give more characters of the id.")
    return by_id[matches[0]] if matches else None
