"""What containers know of names: their files, and the name servers that answer them.

This joins three things that know nothing of each other: the records (``State``), the supervisor of name servers, and
the files of each container.  Callers hold the agent's lock.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from weft.agent import links, wiring
from weft.agent.core import Core
from weft.agent.names.files import ContainerFiles
from weft.agent.names.hostresolv import HostResolver
from weft.agent.names.resolver import ResolverSupervisor
from weft.model.container import Container, Endpoint, Wish
from weft.model.network import Network
from weft.plan import names, resolvconf
from weft.plan.hostsfile import Linked, hostname_of, hosts_file
from weft.plan.managed import Lines
from weft.plan.names import HostEntry, NameServer, View
from weft.plan.operations import additions, removals
from weft.plan.resolvconf import ResolvConf

log = logging.getLogger("weft")


class Naming:
    """Keeps names and files in step with endpoints."""

    def __init__(self, core: Core, resolv_conf: Path) -> None:
        self._core = core
        self._servers = ResolverSupervisor(core.state_dir, core.run_dir)
        self._host = HostResolver(resolv_conf)
        #: Which containers use the server of a view, by the view's key.
        self._users: dict[str, set[str]] = {}
        #: The view that a container uses, by its id.
        self._views: dict[str, str] = {}
        core.port_of_view = self._servers.port

    # --- life

    def open(self) -> None:
        """Find the name servers of an earlier agent; they answer while nobody watches them."""
        self._servers.open()
        self._servers.follow_host(self._host.conf.servers)

    def start(self) -> None:
        """Bring servers, names and files in line with the records, and begin to follow the host's resolv.conf."""
        state = self._core.state
        servers: dict[str, NameServer] = {}
        entries: list[HostEntry] = []
        for container in state.containers.values():
            server = self._server_for(container, wiring.networks_of(state, container))
            if server is not None:
                servers[server.view.key] = server
                self._use(container, server.view.key)
            for endpoint in wiring.live_endpoints(state, container):
                servers |= self._standard(state.networks[endpoint.network_id])
            entries += self._entries(container)
        for network in state.networks.values():
            servers |= {key: server for key, server in self._standard(network).items() if self._servers.port(key)}
        self._servers.sync(servers.values(), entries)
        for container in state.containers.values():
            self._update_files(container)
        self._host.watch(self._host_changed)

    def close(self) -> None:
        """Stop following and watching; the servers go on answering."""
        self._host.close()
        self._servers.close()

    def stop_all(self) -> None:
        """End every server and forget every name."""
        self._servers.stop_all()
        self._users.clear()
        self._views.clear()

    # --- around attaching and detaching

    def prepare(self, container: Container, wishes: Iterable[Wish]) -> None:
        """Have a name server for what ``container`` will see once it is on the networks of ``wishes`` too.

        Called before its objects are planned, because the server's port is part of them.
        """
        networks = self._networks_with(container, wishes)
        for network in networks:
            for standard in self._standard(network).values():
                self._servers.ensure(standard)
        server = self._server_for(container, networks)
        if server is not None:
            # Before it listens; and again where it listened already, because another may have left it to that.
            self._open_port(self._servers.ensure(server, self._open_port))

    def abandon(self, container: Container, wishes: Iterable[Wish]) -> None:
        """Take back what ``prepare`` did, because attaching failed."""
        server = self._server_for(container, self._networks_with(container, wishes))
        if server is not None:
            self._users.setdefault(server.view.key, set())
            self._release_unused(server.view.key)

    def attached(self, container: Container) -> None:
        """Make a container's names known, and tell its files and those of its receivers."""
        for entry in self._entries(container):
            self._servers.publish(entry)
        self._follow_view(container)
        self._update_concerned(container)

    def detached(self, container: Container, endpoints: Iterable[Endpoint]) -> None:
        """Forget the names of endpoints that are gone."""
        for endpoint in endpoints:
            self._servers.withdraw(endpoint.network_id, endpoint.id)
        self._follow_view(container)
        self._update_concerned(container)

    def network_removed(self, network: Network) -> None:
        """End the servers that answered on a network."""
        self._servers.forget_network(network.id)

    # --- files

    def write_files(self, container: Container) -> dict[str, str]:
        """Write a container's files for its start; return what is laid over which file of it."""
        if container.mode == "host":
            return {}
        if container.mode == "container" and container.peer_id:
            return ContainerFiles(self._directory(container.peer_id)).mounts()
        files = ContainerFiles(self._directory(container.id))
        conf = self._conf(container)
        files.write(self._hosts(container), resolvconf.lines(conf), hostname_of(container))
        return files.mounts()

    def _update_concerned(self, container: Container) -> None:
        for receiver in (container, *self._core.state.receivers_of(container)):
            self._update_files(receiver)

    def _update_files(self, container: Container) -> None:
        if container.mode in ("host", "container"):
            return
        files = ContainerFiles(self._directory(container.id))
        try:
            files.update_hosts(self._hosts(container))
            files.update_resolv(resolvconf.lines(self._conf(container)))
        except OSError as error:
            log.warning("files of %r: %s", container.name, error)

    def _hosts(self, container: Container) -> Lines:
        state = self._core.state
        linked = []
        for link in container.links:
            target = state.containers.get(link.target_id)
            meeting = links.meeting_point(state, container, target) if target else None
            if target is not None and meeting is not None:
                linked.append(Linked(alias=link.alias, name=target.name, id=target.id, addresses=meeting.addresses))
        return hosts_file(container, wiring.live_endpoints(state, container), linked)

    def _conf(self, container: Container) -> ResolvConf:
        networks = wiring.networks_of(self._core.state, container)
        return resolvconf.container_conf(container, networks, self._host.conf, self._core.settings)

    def _directory(self, identifier: str) -> Path:
        return self._core.containers_dir / identifier

    # --- servers

    def _entries(self, container: Container) -> list[HostEntry]:
        """Return the names of a container on each of its networks that has names."""
        networks = self._core.state.networks
        plugged = ((end, networks[end.network_id]) for end in wiring.live_endpoints(self._core.state, container))
        return [names.host_entry(container, end, network) for end, network in plugged if names.has_names(network)]

    def _standard(self, network: Network) -> dict[str, NameServer]:
        """Return the server of most containers on ``network``, by its view's key; none where none can listen."""
        if not names.has_names(network):
            return {}
        view = names.standard_view(network, self._core.settings)
        return {view.key: names.name_server(view, [network], self._core.settings)}

    def _networks_with(self, container: Container, wishes: Iterable[Wish]) -> list[Network]:
        state = self._core.state
        return wiring.networks_of(state, container) + [state.networks[wish.network_id] for wish in wishes]

    def _server_for(self, container: Container, networks: list[Network]) -> NameServer | None:
        view = names.view_of(container, networks, self._core.settings)
        return None if view is None else self._server(view)

    def _server(self, view: View) -> NameServer:
        members = [self._core.state.networks[identifier] for identifier in view.networks]
        return names.name_server(view, members, self._core.settings)

    def _follow_view(self, container: Container) -> None:
        """Note which server a container uses now, and end the one that nobody uses any more."""
        state = self._core.state
        view = names.view_of(container, wiring.networks_of(state, container), self._core.settings)
        before = self._views.get(container.id)
        now = view.key if view else None
        if now == before:
            return
        if now is not None:
            self._use(container, now)
        else:
            del self._views[container.id]
        if before is not None:
            self._users[before].discard(container.id)
            self._release_unused(before)

    def _use(self, container: Container, key: str) -> None:
        self._views[container.id] = key
        self._users.setdefault(key, set()).add(container.id)

    def _release_unused(self, key: str) -> None:
        """End a server that nobody uses; that of a network's standard view stays as long as the network."""
        port = self._servers.port(key)
        if self._users[key] or port in (None, names.STANDARD_PORT):
            return
        del self._users[key]
        self._servers.release(key)
        for error in self._core.kernel.withdraw(removals(names.opening(port))):
            log.warning("while closing port %s: %s", port, error)

    def _open_port(self, port: int) -> None:
        opening = names.opening(port)
        if opening and self._core.settings.filter:
            self._core.kernel.apply(additions(opening))

    def _host_changed(self, conf: ResolvConf) -> None:
        with self._core.lock:
            self._servers.follow_host(conf.servers)
            for container in self._core.state.containers.values():
                self._update_files(container)
