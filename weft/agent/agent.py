"""The agent: its parts put together behind the facade that the API knows."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from weft.agent import inspection
from weft.agent.allocation import Allocation
from weft.agent.cables import Cables
from weft.agent.containers import Containers
from weft.agent.core import Core, Edit
from weft.agent.doctor import Doctor
from weft.agent.endpoints import Endpoints
from weft.agent.facade import Outcome
from weft.agent.launcher import Launcher
from weft.agent.membership import Membership
from weft.agent.names.naming import Naming
from weft.agent.networks import Networks
from weft.agent.overview import Overview
from weft.agent.publishing import Publishing
from weft.agent.reaper import Reaper
from weft.agent.reconcile import Reconciler
from weft.agent.recovery import Recovery
from weft.kernel.base import Kernel
from weft.model import requests
from weft.model.container import Namespace
from weft.model.errors import ContainerNotFound, WeftError
from weft.model.settings import Settings
from weft.plan.operations import describe
from weft.store.base import Store

log = logging.getLogger("weft")


class Agent:
    """Everything weft does on one host.  Implements ``weft.agent.facade.AgentFacade``."""

    def __init__(
        self,
        store: Store,
        kernel: Kernel,
        launcher: Launcher,
        settings: Settings,
        state_dir: Path,
        run_dir: Path,
        resolv_conf: Path,
    ) -> None:
        self._core = core = Core(store, kernel, settings, state_dir, run_dir)
        self._naming = Naming(core, resolv_conf)
        allocation = Allocation(core.state)
        publishing = Publishing(settings, core.reservations)
        endpoints = Endpoints(core, allocation, publishing, self._naming)
        self._reaper = Reaper(self._process_ended)
        self._launcher = launcher
        self._networks = Networks(core, allocation, self._naming)
        self._containers = Containers(core, endpoints, self._naming, launcher, self._reaper.watch)
        self._membership = Membership(core, endpoints, self._reaper)
        self._cables = Cables(core, self._networks, self._membership)
        self._recovery = Recovery(core, self._containers, self._membership, launcher, self._reaper.watch)
        self._reconciler = Reconciler(core, self._namespace_gone)
        self._overview = Overview(core, self._reconciler, self._recovery.problems)
        self._doctor = Doctor(core)
        self._allocation = allocation
        self._unsubscribe: Callable[[], None] = lambda: None

    # --- life

    def open(self) -> None:
        """Settle what was interrupted, put the kernel right, and begin to watch it."""
        core = self._core
        self._naming.open()
        with core.lock:
            self._recovery.records()
            self._allocation.reload()
            self._recovery.reservations()
            self._reconciler.repair("start")
            self._recovery.processes()
            self._networks.ensure_default()
            self._naming.start()
        self._unsubscribe = core.kernel.subscribe(self._reconciler.kick)
        self._reconciler.start()
        core.events.tell("agent", "start", "", "")

    def close(self) -> None:
        """End the agent; what is attached stays attached, and names go on being answered."""
        self._unsubscribe()
        self._reconciler.close()
        self._reaper.close()
        self._core.events.close()
        self._naming.close()
        self._core.announcing.close()
        self._core.forgetting.close()
        self._core.relay.close()
        self._core.reservations.close()

    def reset(self, dry_run: bool = False) -> Outcome:
        """Remove every container and network, the default one too, and all of weft's from the kernel."""
        state = self._core.state
        commands: list[str] = []
        for container in list(state.containers.values()):
            with suppress(ContainerNotFound):  # one that removes itself when it ends
                commands += self.remove(container.id, True, dry_run).operations
        with self._core.lock:
            networks = tuple(state.networks.values())
            edit = Edit(drop=networks)
            if dry_run:
                return Outcome(operations=(*commands, *describe(self._core.rehearse(edit, host=True))))
            commands += describe(self._core.change(edit, host=True, teardown=True))
            for network in networks:
                self._allocation.close(network)
                self._naming.network_removed(network)
            commands += describe(self._core.withdraw_everything())
            self._naming.stop_all()
        return Outcome(operations=tuple(commands))

    # --- networks

    def create_network(self, request: requests.CreateNetwork, dry_run: bool = False) -> Outcome:
        return self._networks.create(request, dry_run)

    def list_networks(self) -> list[dict[str, Any]]:
        with self._core.lock:
            state = self._core.state
            rows = [inspection.network_row(state, network) for network in state.networks.values()]
            return rows + inspection.mode_rows(state)

    def inspect_network(self, name: str) -> dict[str, Any]:
        with self._core.lock:
            return inspection.network_object(self._core.state, self._core.state.find_network(name))

    def remove_network(self, name: str, dry_run: bool = False) -> Outcome:
        return self._networks.remove(name, dry_run)

    def prune_networks(self, dry_run: bool = False) -> Outcome:
        return self._networks.prune(dry_run)

    def connect(self, network: str, request: requests.Connect, dry_run: bool = False) -> Outcome:
        return self._membership.connect(network, request, dry_run)

    def disconnect(self, network: str, request: requests.Disconnect, dry_run: bool = False) -> Outcome:
        return self._membership.disconnect(network, request, dry_run)

    # --- containers

    def run(self, request: requests.Run, dry_run: bool = False) -> Outcome:
        return self._containers.run(request, dry_run)

    def attach(self, request: requests.Attach, dry_run: bool = False) -> Outcome:
        return self._membership.attach(request, dry_run)

    def detach(self, name: str, network: str | None, dry_run: bool = False) -> Outcome:
        return self._membership.detach(name, network, dry_run)

    def cable(self, request: requests.Cable, dry_run: bool = False) -> Outcome:
        return self._cables.cable(request, dry_run)

    def start(self, name: str, dry_run: bool = False) -> Outcome:
        return self._containers.start(name, dry_run)

    def stop(self, name: str, timeout: float = 10.0, dry_run: bool = False) -> Outcome:
        return self._containers.stop(name, timeout, dry_run)

    def remove(self, name: str, force: bool = False, dry_run: bool = False) -> Outcome:
        with self._core.lock:
            managed = self._core.state.find_container(name).managed
        if managed:
            return self._containers.remove(name, force, dry_run)
        return self._membership.detach(name, None, dry_run)

    def wait(self, name: str, timeout: float | None = None) -> int | None:
        return self._containers.wait(name, timeout)

    def list_containers(self, everything: bool = False) -> list[dict[str, Any]]:
        with self._core.lock:
            state = self._core.state
            shown = (c for c in state.containers.values() if everything or c.state == "running")
            return [inspection.container_row(state, container) for container in shown]

    def inspect(self, name: str) -> dict[str, Any]:
        with self._core.lock:
            return inspection.container_object(self._core.state, self._core.state.find_container(name))

    def ports(self, name: str) -> list[dict[str, Any]]:
        with self._core.lock:
            return inspection.port_rows(self._core.state, self._core.state.find_container(name))

    def log_file(self, name: str) -> Path:
        with self._core.lock:
            return self._core.directory(self._core.state.find_container(name)) / "log"

    # --- seeing

    def show(self) -> dict[str, Any]:
        return self._overview.show()

    def plan(self, name: str | None = None) -> dict[str, Any]:
        return self._overview.plan(name)

    def status(self) -> dict[str, Any]:
        return self._overview.status()

    def doctor(self) -> dict[str, Any]:
        return self._doctor.examine()

    def events(self) -> Iterator[dict[str, Any]]:
        return self._core.events.listen()

    # --- what happens by itself

    def _process_ended(self, identifier: str) -> None:
        with self._core.lock:
            container = self._core.state.containers.get(identifier)
        if container is None:
            return
        if container.managed:
            # The descriptor is of the sandbox's first process; the exit status is written right after its end.
            directory = self._core.directory(container)
            self._containers.ended(identifier, self._launcher.wait(directory, timeout=5.0))
        else:
            self._membership.vanished(identifier)

    def _namespace_gone(self, namespace: Namespace) -> None:
        for container in list(self._core.state.containers.values()):
            if container.namespace == namespace and not container.managed:
                try:
                    self._membership.vanished(container.id)
                except WeftError as error:
                    log.warning("while forgetting %r: %s", container.name, error)

