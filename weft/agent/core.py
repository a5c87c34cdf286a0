"""How the agent changes anything: record first, kernel second, record again.

Every change of every kind takes the same road, ``Core.change``: the records that announce it are written, the
planners are asked what the concerned containers need before and after, the difference is applied, and the
records that conclude it are written.  Whoever is killed on the way leaves records from which the next start
knows what to finish or to undo (recovery.py).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weft.agent import wiring
from weft.agent.announcing import Announcing
from weft.agent.events import Events
from weft.agent.forgetting import Forgetting
from weft.agent.inspection import container_row
from weft.agent.originals import Originals
from weft.agent.relays.relay import Relay
from weft.agent.reservations import Reservations
from weft.agent.state import State, Stored
from weft.kernel.base import Kernel
from weft.model.container import Container
from weft.model.settings import Settings
from weft.plan.drivers.base import Host
from weft.plan.objects import Objects
from weft.plan.operations import Operations, difference
from weft.store.base import Store

log = logging.getLogger("weft")


@dataclass(frozen=True)
class Edit:
    """Records to write and records to delete, together."""

    save: tuple[Stored, ...] = ()
    drop: tuple[Stored, ...] = ()


class Core:
    """What all parts of the agent share.  Whoever changes or plans anything holds ``lock``."""

    def __init__(self, store: Store, kernel: Kernel, settings: Settings, state_dir: Path, run_dir: Path) -> None:
        self.lock = threading.RLock()
        self.kernel = kernel
        self.settings = settings
        self.state_dir = state_dir
        self.run_dir = run_dir
        self.state = State(store)
        #: Grows with every change that begins or ends, so that a look at the kernel can tell whether one came between.
        self.changes = 0
        for directory in (self.namespaces_dir, self.containers_dir):
            directory.mkdir(exist_ok=True)
        self.events = Events()
        self.reservations = Reservations()
        self.relay = Relay()
        self.forgetting = Forgetting(kernel.flush_connections)
        self.announcing = Announcing(kernel)
        self.originals = Originals(store, kernel.read_sysctl, lambda: wiring.bridges(self.state.networks.values()))
        self.host = Host(settings=settings, facts=self.originals.without_weft(kernel.facts()))
        #: The port of a view's name server (naming.py says; it is part of what is planned for a container).
        self.port_of_view: wiring.PortOfView = lambda key: None

    @property
    def namespaces_dir(self) -> Path:
        """Where the namespaces that weft makes are bound to files."""
        return self.run_dir / "netns"

    @property
    def containers_dir(self) -> Path:
        """Where each container has a directory for its files, log and sandbox."""
        return self.state_dir / "containers"

    def directory(self, container: Container) -> Path:
        """Return the directory that holds a container's files, log and sandbox."""
        return self.containers_dir / container.id

    def report(self, container: Container) -> dict[str, Any]:
        """Return what whoever changed a container is told of it: its row, and where its files and console are."""
        directory = self.directory(container)
        places = {"directory": str(directory), "console": str(directory / "console.sock")}
        return container_row(self.state, container) | places

    def refresh_facts(self) -> bool:
        """Look at the host anew; return whether anything about it has changed."""
        facts = self.originals.without_weft(self.kernel.facts())
        if facts == self.host.facts:
            return False
        self.host = Host(settings=self.settings, facts=facts)
        return True

    # --- changing

    def change(
        self,
        first: Edit,
        last: Edit = Edit(),
        *,
        containers: Iterable[Container] = (),
        host: bool = False,
        teardown: bool = False,
    ) -> Operations:
        """Carry out a change that concerns ``containers`` and, with ``host``, the networks; return its operations.

        ``first`` announces the change, ``last`` concludes it.  If the kernel refuses, everything is as before and
        the error is raised; with ``teardown`` errors are logged instead and the change goes on to its end, because
        what is to go must go.
        """
        self.changes += 1
        before = self._objects(containers, host)
        revert = self._inverse(first)
        self.state.commit(*first.save, drop=first.drop, durable=not last.save and not last.drop)
        operations = self.originals.guard(difference(self._objects(containers, host), before))
        if teardown:
            for error in self.kernel.withdraw(operations):
                log.warning("while taking down: %s", error)
        else:
            try:
                self.kernel.apply(operations)
            except BaseException:
                self.state.commit(*revert.save, drop=revert.drop)
                raise
        self.originals.settle(operations)
        self.state.commit(*last.save, drop=last.drop)
        self.changes += 1
        return operations

    def rehearse(self, edit: Edit, *, containers: Iterable[Container] = (), host: bool = False) -> Operations:
        """Return the operations that ``change`` would carry out, and change nothing."""
        before = self._objects(containers, host)
        with self.state.supposing(*edit.save, drop=edit.drop):
            return difference(self._objects(containers, host), before)

    def withdraw_everything(self) -> Operations:
        """Take whatever of weft's is left in the kernel away, whether or not there are records of it."""
        operations = self.originals.guard(
            difference((), self.kernel.observe(wiring.host_objects(self.state, self.host)))
        )
        for error in self.kernel.withdraw(operations):
            log.warning("while taking everything down: %s", error)
        self.originals.settle(operations)
        return operations

    def _objects(self, containers: Iterable[Container], host: bool) -> Objects:
        """Return the objects of the host's networks if asked for, and of the containers as they are recorded *now*."""
        current = [self.state.containers[c.id] for c in containers if c.id in self.state.containers]
        objects = wiring.host_objects(self.state, self.host) if host else ()
        return objects + self._containers_objects(current)

    def _containers_objects(self, containers: list[Container]) -> Objects:
        concerned = wiring.concerned(self.state, containers)
        return wiring.container_objects(self.state, self.host, concerned, self.port_of_view)

    def desired(self) -> Objects:
        """Return everything that this host should hold."""
        return wiring.desired(self.state, self.host, self.port_of_view)

    def _inverse(self, edit: Edit) -> Edit:
        """Return the edit that takes ``edit`` back, from the records as they are now."""
        old = [self.state.current(record) for record in (*edit.save, *edit.drop)]
        new = [record for record in edit.save if self.state.current(record) is None]
        return Edit(save=tuple(record for record in old if record is not None), drop=tuple(new))
