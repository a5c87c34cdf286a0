"""At start: what was interrupted is undone or finished, what ended meanwhile is concluded.

A change that was announced but not concluded was never confirmed to anybody, so attaching is undone and
detaching is finished.  The kernel is put right afterwards by the reconciler, which knows from the records what
should be there and from their marks which objects are weft's.
"""

from __future__ import annotations

import logging
import shutil
import signal
from collections.abc import Callable

from weft.agent.containers import Containers
from weft.agent.core import Core
from weft.agent.launcher import Launcher
from weft.agent.membership import Membership
from weft.agent.relays import relaying
from weft.model.base import replace
from weft.model.container import Container, Namespace
from weft.model.errors import WeftError

log = logging.getLogger("weft")


class Recovery:
    """Brings the records in line with what survived."""

    def __init__(
        self,
        core: Core,
        containers: Containers,
        membership: Membership,
        launcher: Launcher,
        watch: Callable[[Container], None],
    ) -> None:
        self._core = core
        self._containers = containers
        self._membership = membership
        self._launcher = launcher
        self._watch = watch
        #: What could not be had back, as (what, hint).
        self.problems: list[tuple[str, str]] = []

    def records(self) -> None:
        """Settle interrupted changes; nothing of the kernel is touched but namespaces and processes of weft's."""
        for container in list(self._core.state.containers.values()):
            if container.managed and container.state == "created":
                self._undo_start(container)
        self._settle_endpoints()
        self._sweep_namespaces()
        self._sweep_directories()

    def reservations(self) -> None:
        """Hold the published ports again."""
        for endpoint in self._core.state.endpoints.values():
            owner = self._core.state.containers[endpoint.container_id].name
            for port in endpoint.ports:
                try:
                    self._core.reservations.take((port,), owner)
                except WeftError as error:
                    self.problems.append((f"port {port} of {owner!r}: {error.cause}", error.hint))
            try:
                relaying.begin(self._core.relay, (endpoint,))
            except WeftError as error:
                self.problems.append((f"relay to {owner!r}: {error.cause}", error.hint))

    def processes(self) -> None:
        """Conclude containers that ended while nobody watched, and watch the others."""
        for container in list(self._core.state.containers.values()):
            if container.state != "running":
                continue
            if not container.managed:
                self._resume_attached(container)
            elif self._launcher.is_running(self._core.directory(container)):
                self._watch(container)
            else:
                self._containers.ended(container.id, self._launcher.exit_code(self._core.directory(container)))
        self._containers.settle_ended()

    def _resume_attached(self, container: Container) -> None:
        if container.namespace is None or not self._core.kernel.is_alive(container.namespace):
            self._membership.vanished(container.id)
        elif container.pid:
            self._watch(container)

    def _undo_start(self, container: Container) -> None:
        """Take back a start that was not confirmed: the container is gone, or exited again if it had run before."""
        state = self._core.state
        self._launcher.signal(self._core.directory(container), signal.SIGKILL)
        self._launcher.wait(self._core.directory(container), timeout=5.0)
        if any(sharer.state == "running" for sharer in state.sharers_of(container)):
            # They live in the namespace that it had before, and go on living there.
            state.commit(replace(container, state="exited", pid=0))
            return
        endpoints = state.endpoints_of(container)
        self._core.forgetting.forget(address.address for endpoint in endpoints for address in endpoint.addresses)
        if container.started:
            state.commit(replace(container, state="exited", pid=0, namespace=None), drop=endpoints)
        else:
            state.commit(drop=(container, *endpoints))
        log.info("undid the interrupted start of %r", container.name)

    def _settle_endpoints(self) -> None:
        state = self._core.state
        for endpoint in list(state.endpoints.values()):
            container = state.containers.get(endpoint.container_id)
            if endpoint.state == "attached" and container is not None and endpoint.network_id in state.networks:
                continue
            self._core.forgetting.forget(address.address for address in endpoint.addresses)
            if container is None:
                state.commit(drop=(endpoint,))
                continue
            remaining = [e for e in state.endpoints_of(container) if e.id != endpoint.id]
            if not container.managed and not remaining:
                state.commit(drop=(endpoint, container))
            else:
                state.commit(self._without_wish(container, endpoint.network_id), drop=(endpoint,))
            log.info("settled the interrupted change of %r", container.name)

    def _without_wish(self, container: Container, network_id: str) -> Container:
        """A container that runs loses the wish with the endpoint; one that ended wants it again at its next start."""
        if container.state != "running":
            return container
        return replace(container, wishes=tuple(w for w in container.wishes if w.network_id != network_id))

    def _sweep_namespaces(self) -> None:
        """Remove namespaces that weft made and no container lives in."""
        kept = {c.namespace.path for c in self._core.state.containers.values() if c.namespace is not None}
        folder = self._core.namespaces_dir
        for path in folder.iterdir():
            if str(path) not in kept:
                self._core.kernel.remove_namespace(self._orphan(str(path)))

    def _orphan(self, path: str) -> Namespace:
        try:
            return replace(self._core.kernel.open_namespace(path), owned=True)
        except WeftError:  # the file was made and the namespace was not bound to it yet
            return Namespace(path=path, inode=0, owned=True)

    def _sweep_directories(self) -> None:
        """Remove the files of containers that there are no records of."""
        folder = self._core.containers_dir
        for path in folder.iterdir():
            if path.name not in self._core.state.containers:
                self._launcher.signal(path, signal.SIGKILL)
                shutil.rmtree(path, ignore_errors=True)
