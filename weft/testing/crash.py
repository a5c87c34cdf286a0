"""Killing an agent at every step that it takes.

The steps are not listed anywhere: they are the operations that planners return and the writes that the agent makes,
counted as they happen.  Wrap the kernel, the store and the launcher of an agent with one ``Steps`` and run a change
again and again, letting the process die one step later each time by SIGKILL, which nothing can catch or clean up after.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from weft.agent.launcher import Launcher, SandboxSpec
from weft.kernel.base import Kernel
from weft.model.container import Namespace
from weft.plan.facts import HostFacts
from weft.plan.objects import AnyObject, Objects
from weft.plan.operations import Operation, describe
from weft.store.base import Entry, Event, Store, Write


def kill() -> None:
    """End this process at once."""
    os.kill(os.getpid(), signal.SIGKILL)


class Steps:
    """Counts steps once armed, tells each to ``report``, and deals the ``blow`` at the ``fatal`` one (0: never)."""

    def __init__(
        self, fatal: int = 0, report: Callable[[str], object] = lambda name: None, blow: Callable[[], object] = kill
    ) -> None:
        self.fatal = fatal
        self.blow = blow
        self.armed = False
        self.count = 0
        self._report = report

    def __call__(self, name: str) -> None:
        """Take the step called ``name``."""
        if not self.armed:
            return
        self.count += 1
        self._report(name)
        if self.count == self.fatal:
            self.blow()


class SteppingKernel:
    """A kernel that applies operations one by one, with a step before and after each."""

    def __init__(self, kernel: Kernel, step: Steps) -> None:
        self._kernel = kernel
        self._step = step

    def apply(self, operations: Sequence[Operation]) -> None:
        done: list[Operation] = []
        try:
            for operation in operations:
                self._around(operation, partial(self._kernel.apply, (operation,)))
                done.append(operation)
        except Exception:
            self.withdraw([operation.undo() for operation in reversed(done)])
            raise

    def withdraw(self, operations: Sequence[Operation]) -> list[Exception]:
        errors: list[Exception] = []
        for operation in operations:
            self._around(operation, lambda: errors.extend(self._kernel.withdraw((operation,))))  # noqa: B023
        return errors

    def create_namespace(self, path: str) -> Namespace:
        self._step(f"before creating {path}")
        namespace = self._kernel.create_namespace(path)
        self._step(f"after creating {path}")
        return namespace

    def remove_namespace(self, namespace: Namespace) -> None:
        self._step(f"before removing {namespace.path}")
        self._kernel.remove_namespace(namespace)
        self._step(f"after removing {namespace.path}")

    def flush_connections(self, addresses: Sequence[str]) -> None:
        self._step("before forgetting connections")
        self._kernel.flush_connections(addresses)
        self._step("after forgetting connections")

    def observe(self, desired: Objects = ()) -> tuple[AnyObject, ...]:
        return self._kernel.observe(desired)

    def intact(self, tables: Objects) -> bool:
        return self._kernel.intact(tables)

    def facts(self) -> HostFacts:
        return self._kernel.facts()

    def read_sysctl(self, path: str) -> str | None:
        return self._kernel.read_sysctl(path)

    def open_namespace(self, path: str) -> Namespace:
        return self._kernel.open_namespace(path)

    def is_alive(self, namespace: Namespace) -> bool:
        return self._kernel.is_alive(namespace)

    def interfaces(self, namespace: Namespace | None) -> frozenset[str]:
        return self._kernel.interfaces(namespace)

    def local_addresses(self) -> frozenset[str]:
        return self._kernel.local_addresses()

    def subscribe(self, notify: Callable[[str], None]) -> Callable[[], None]:
        return self._kernel.subscribe(notify)

    def close(self) -> None:
        self._kernel.close()

    def _around(self, operation: Operation, act: Callable[[], object]) -> None:
        name = "; ".join(describe((operation,)))
        self._step(f"before {name}")
        act()
        self._step(f"after {name}")


class SteppingStore:
    """A store with a step before and after each write."""

    def __init__(self, store: Store, step: Steps) -> None:
        self._store = store
        self._step = step

    def revision(self) -> int:
        return self._store.revision()

    def get(self, key: str) -> Entry | None:
        return self._store.get(key)

    def list(self, prefix: str) -> tuple[Entry, ...]:
        return self._store.list(prefix)

    def write(self, writes: Sequence[Write], *, durable: bool = True) -> int:
        keys = ", ".join(write.key for write in writes)
        self._step(f"before writing {keys}")
        revision = self._store.write(writes, durable=durable)
        self._step(f"after writing {keys}")
        return revision

    def watch(self, prefix: str, since: int, notify: Callable[[Event], None]) -> Callable[[], None]:
        return self._store.watch(prefix, since, notify)

    def close(self) -> None:
        self._store.close()


class SteppingLauncher:
    """A launcher with a step before and after each start and signal."""

    def __init__(self, launcher: Launcher, step: Steps) -> None:
        self._launcher = launcher
        self._step = step

    def start(self, spec: SandboxSpec) -> int:
        self._step(f"before starting {spec.command[0]}")
        pid = self._launcher.start(spec)
        self._step(f"after starting {spec.command[0]}")
        return pid

    def is_running(self, directory: Path) -> bool:
        return self._launcher.is_running(directory)

    def exit_code(self, directory: Path) -> int | None:
        return self._launcher.exit_code(directory)

    def wait(self, directory: Path, timeout: float | None = None) -> int | None:
        return self._launcher.wait(directory, timeout)

    def signal(self, directory: Path, number: int) -> None:
        self._step(f"before signal {number}")
        self._launcher.signal(directory, number)
        self._step(f"after signal {number}")
