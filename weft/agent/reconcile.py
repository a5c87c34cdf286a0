"""The reconciler: what anybody changes about weft's things in the kernel is put right again.

It is the same difference that every change is made of, taken between what should be and what is observed.
Inside containers' namespaces nothing is observed: what stands there goes with its interface, so an interface
that is there vouches for it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from weft.agent import wiring
from weft.agent.core import Core
from weft.agent.events import now
from weft.model.container import Namespace
from weft.model.errors import WeftError
from weft.plan.objects import AnyObject, Objects, Veth
from weft.plan.operations import Add, Operations, describe, difference

log = logging.getLogger("weft")

#: Seconds of quiet that are waited for after a change, so that a burst is repaired once.
SETTLE = 0.05
#: Seconds that a burst may go on before it is repaired all the same.
PATIENCE = 0.5
#: The share of its time that the reconciler may spend on looking, and the seconds after which it looks all the same.
SHARE = 0.1
LONGEST_REST = 1.5
#: Seconds between two glances at the filters during such a rest.
GLANCE = 0.2
#: Seconds between audits when nothing was noticed.
AUDIT = 60.0


class Reconciler:
    """Repairs when told of a change, and now and then without being told."""

    def __init__(self, core: Core, namespace_gone: Callable[[Namespace], None]) -> None:
        self._core = core
        self._namespace_gone = namespace_gone
        self._kicked = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reconciler", daemon=True)
        #: What the last repair did: {'time', 'reason', 'commands'}; None before the first.
        self.last_repair: dict[str, object] | None = None
        #: What could not be repaired, as (what, hint).
        self.problems: list[tuple[str, str]] = []

    def start(self) -> None:
        self._thread.start()

    def kick(self, reason: str) -> None:
        """Tell that something changed."""
        log.debug("noticed: %s", reason)
        self._kicked.set()

    def close(self) -> None:
        self._closing.set()
        self._kicked.set()
        self._thread.join()

    def repair(self, reason: str) -> Operations:
        """Compare and repair once; return the operations that it took.

        The kernel is looked at without holding anybody up; only when a change comes between is it looked at again with
        the lock held.
        """
        core = self._core
        with core.lock:
            core.refresh_facts()
            changes, desired = core.changes, core.desired()
        observed = core.kernel.observe(desired)
        with core.lock:
            if core.changes != changes:
                observed = core.kernel.observe(core.desired())
            return self._repair(reason, observed)

    def _repair(self, reason: str, observed: Sequence[AnyObject]) -> Operations:
        """Repair what differs from ``observed``, which is how the kernel is now; the lock is held."""
        core = self._core
        desired = core.desired()
        operations = core.originals.guard(difference(desired, (*observed, *_vouched_for(desired, observed))))
        gone = self._dead_namespaces(operations)
        operations = tuple(operation for operation in operations if not _concerns(operation, gone))
        if operations:
            self._apply(operations, reason)
        else:
            self.problems = []
        for namespace in gone:
            self._namespace_gone(namespace)
        return operations

    def _apply(self, operations: Operations, reason: str) -> None:
        commands = [_brief(command) for command in describe(operations)]
        for command in commands:
            log.warning("repair (%s): %s", reason, command)
        errors = self._core.kernel.withdraw(operations)
        for error in errors:
            log.error("repair (%s): %s", reason, error)
        self._core.originals.settle(operations)
        self.problems = [(str(error), getattr(error, "hint", "")) for error in errors]
        self.last_repair = {"time": now(), "reason": reason, "commands": commands}
        self._core.events.tell("agent", "repair", "", "", reason=reason, commands=commands)

    def _dead_namespaces(self, operations: Operations) -> set[Namespace]:
        """Return the namespaces whose interfaces are missing because they themselves are gone."""
        missing = {
            operation.object.peer_ns
            for operation in operations
            if isinstance(operation, Add) and isinstance(operation.object, Veth)
        }
        return {namespace for namespace in missing if namespace and not self._core.kernel.is_alive(namespace)}

    def _run(self) -> None:
        while not self._closing.is_set():
            noticed = self._kicked.wait(AUDIT)
            if self._closing.is_set():
                return
            if noticed and self._filters_stand():
                self._settle()
            began = time.monotonic()
            try:
                self.repair("change noticed" if noticed else "audit")
            except WeftError as error:
                self.problems = [(error.cause, error.hint)]
                log.error("cannot repair: %s", error)
            except Exception:
                log.exception("defect while repairing")
            self._rest(min((time.monotonic() - began) / SHARE, LONGEST_REST))

    def _rest(self, seconds: float) -> None:
        """Do not look for ``seconds``, unless somebody has taken a filter away meanwhile or changed it.

        Every change of weft's own is noticed too; looking at a large host must not become its main work.
        """
        end = time.monotonic() + seconds
        noticed = False
        while (left := end - time.monotonic()) > 0 and not self._closing.is_set():
            if not self._kicked.wait(left):
                break
            self._kicked.clear()
            noticed = True
            if not self._filters_stand():
                break
            self._closing.wait(min(left, GLANCE))
        if noticed:
            self._kicked.set()

    def _filters_stand(self) -> bool:
        core = self._core
        return core.kernel.intact(wiring.base(core.state, core.host))

    def _settle(self) -> None:
        """Wait until a burst of changes is over."""
        for _ in range(int(PATIENCE / SETTLE)):
            self._kicked.clear()
            if not self._kicked.wait(SETTLE) or self._closing.is_set():
                return
        self._kicked.clear()


def _brief(command: str) -> str:
    """Return the first line of a command; a table that is written anew has hundreds."""
    first, _, rest = command.partition("\n")
    return f"{first} …" if rest else first


def _vouched_for(desired: Objects, observed: Sequence[AnyObject]) -> list[AnyObject]:
    """Return what is desired inside namespaces whose interface is there, and so is taken for present."""
    names = {thing.name for thing in observed if isinstance(thing, Veth)}
    absent = {thing.peer_ns for thing in desired if isinstance(thing, Veth) and thing.name not in names}
    return [thing for thing in desired if thing.where is not None and thing.where not in absent]


def _concerns(operation: object, namespaces: set[Namespace]) -> bool:
    """Whether an operation would act in, or wire up, one of ``namespaces``."""
    thing = getattr(operation, "object", None)
    return thing is not None and (thing.where in namespaces or getattr(thing, "peer_ns", None) in namespaces)
