"""Containers whose process weft starts: run, started again, stopped, removed."""

from __future__ import annotations

import logging
import shutil
import signal
from collections.abc import Callable

from weft.agent import links, wiring
from weft.agent import requests as checked
from weft.agent.core import Core
from weft.agent.endpoints import Endpoints
from weft.agent.events import now
from weft.agent.facade import Outcome
from weft.agent.launcher import Launcher, SandboxSpec
from weft.agent.names.naming import Naming
from weft.model.base import replace
from weft.model.container import Container, Namespace
from weft.model.errors import (
    ContainerNotRunning,
    ContainerRunning,
    InvalidOption,
)
from weft.model.requests import Run
from weft.plan.operations import Operations, describe

log = logging.getLogger("weft")

#: Exit code of a process that was ended by SIGKILL, and what is assumed of one that vanished.
KILLED = 128 + signal.SIGKILL

#: How many exit codes of containers that are gone already are kept.
REMEMBERED_CODES = 2000


class Containers:
    """The life of containers.  ``watch`` is told which process to wait for (reaper.py)."""

    def __init__(
        self,
        core: Core,
        endpoints: Endpoints,
        naming: Naming,
        launcher: Launcher,
        watch: Callable[[Container], None],
    ) -> None:
        self._core = core
        self._endpoints = endpoints
        self._naming = naming
        self._launcher = launcher
        self._watch = watch
        #: Exit codes of containers that were removed when they ended, for those who ask afterwards.
        self._codes: dict[str, int] = {}

    # --- weft run, start, stop, rm

    def run(self, request: Run, dry_run: bool) -> Outcome:
        """Make a container and start it; whatever fails leaves nothing of it."""
        with self._core.lock:
            container = checked.container_for_run(request, self._core.state)
            if dry_run:
                return Outcome(operations=tuple(describe(self._rehearse_start(container))))
            self._codes.pop(container.name, None)
            started, operations = self._bring_up(container)
        try:
            running = self._launch(started)
        except BaseException:
            self._discard(started)
            raise
        return Outcome(result=self._core.report(running), operations=tuple(describe(operations)))

    def start(self, name: str, dry_run: bool) -> Outcome:
        """Start a container that has ended."""
        with self._core.lock:
            container = self._managed(name)
            if container.state != "exited":
                raise ContainerRunning(f"container {container.name!r} is {container.state}")
            if dry_run:
                return Outcome(operations=tuple(describe(self._rehearse_start(container))))
            started, operations = self._bring_up(container)
        try:
            running = self._launch(started)
        except BaseException:
            self.ended(started.id, None)
            raise
        return Outcome(result=self._core.report(running), operations=tuple(describe(operations)))

    def stop(self, name: str, timeout: float, dry_run: bool) -> Outcome:
        """End a container's process: SIGTERM, and SIGKILL after ``timeout`` seconds."""
        with self._core.lock:
            container = self._managed(name)
            if container.state != "running":
                raise ContainerNotRunning(f"container {container.name!r} does not run")
            if dry_run:
                going = self._core.state.endpoints_of(container)
                return Outcome(operations=tuple(describe(self._endpoints.detach(container, going, dry_run=True))))
        directory = self._core.directory(container)
        self._launcher.signal(directory, signal.SIGTERM)
        code = self._launcher.wait(directory, timeout)
        if code is None:
            self._launcher.signal(directory, signal.SIGKILL)
            code = self._launcher.wait(directory, timeout=5.0)
        self.ended(container.id, KILLED if code is None else code)
        return Outcome(result={"id": container.id, "name": container.name, "exit_code": code})

    def remove(self, name: str, force: bool, dry_run: bool) -> Outcome:
        """Remove a container; one that runs is only removed by ``force``, which kills it."""
        with self._core.lock:
            container = self._managed(name)
            if container.state == "running" and not force:
                raise ContainerRunning(
                    f"container {container.name!r} is running", "Stop it first, or use 'weft rm -f'."
                )
        operations: tuple[str, ...] = ()
        if container.state == "running":
            operations = self.stop(name, 0.0, dry_run).operations
        if not dry_run:
            self._forget(container.id)
        return Outcome(result={"id": container.id, "name": container.name}, operations=operations)

    def ended(self, identifier: str, code: int | None) -> None:
        """Conclude the life of a sandbox whose process has ended (or never began); again and again is fine."""
        with self._core.lock:
            container = self._core.state.containers.get(identifier)
            if container is None or not container.managed or container.state == "exited":
                return
            finished = replace(container, state="exited", pid=0, exit_code=code, finished=now())
            self._core.state.commit(finished)
            self._release_namespace(finished)
            self._core.events.tell("container", "exit", container.id, container.name, exit_code=code)
        if container.auto_remove:
            self._remember_code(container, KILLED if code is None else code)
            self._forget(identifier)

    def settle_ended(self) -> None:
        """Finish what an earlier agent began when containers ended: namespaces released, records removed."""
        with self._core.lock:
            for container in list(self._core.state.containers.values()):
                if not container.managed or container.state != "exited":
                    continue
                if container.namespace is not None:
                    self._release_namespace(container)
                if container.auto_remove:
                    self._forget(container.id)

    def _remember_code(self, container: Container, code: int) -> None:
        with self._core.lock:
            self._codes |= {container.id: code, container.name: code}
            while len(self._codes) > REMEMBERED_CODES:
                del self._codes[next(iter(self._codes))]

    def wait(self, name: str, timeout: float | None) -> int | None:
        """Wait for the end of a container, at most ``timeout`` seconds; return its exit code, None if it still runs."""
        with self._core.lock:
            if name in self._codes:
                return self._codes[name]
            container = self._managed(name)
        if container.state == "exited":
            return KILLED if container.exit_code is None else container.exit_code
        code = self._launcher.wait(self._core.directory(container), timeout)
        if code is not None:
            self.ended(container.id, code)
        return code

    def _namespace_path(self, container: Container) -> str:
        return str(self._core.namespaces_dir / container.id)

    # --- coming up

    def _bring_up(self, container: Container) -> tuple[Container, Operations]:
        """Record ``container``, make its namespace and attach it; the process is not started yet."""
        core = self._core
        core.state.commit(replace(container, state="created", exit_code=None, finished=""), durable=False)
        try:
            container = replace(container, state="created", pid=0, exit_code=None, finished="")
            if container.namespace is None and container.mode in ("private", "none"):
                namespace = core.kernel.create_namespace(self._namespace_path(container))
                container = replace(container, namespace=replace(namespace, owned=True))
            # A namespace that others still share has kept its endpoints.
            wishes = [w for w in container.wishes if not core.state.is_on(container, w.network_id)]
            operations = self._endpoints.attach(container, wishes)
        except BaseException:
            self._discard(container)
            raise
        return container, operations

    def _launch(self, container: Container) -> Container:
        """Start the process of a container that was brought up; return the record of it running."""
        with self._core.lock:
            spec = self._spec(container)
        pid = self._launcher.start(spec)
        with self._core.lock:
            running = replace(container, state="running", pid=pid, started=now())
            self._core.state.commit(running)
        self._watch(running)
        self._core.events.tell("container", "start", running.id, running.name)
        return running

    def _spec(self, container: Container) -> SandboxSpec:
        namespace = wiring.namespace_of(self._core.state, container)
        if namespace is None and container.mode != "host":
            raise ContainerNotRunning(f"the container whose namespace {container.name!r} shares does not run")
        directory = self._core.directory(container)
        return SandboxSpec(
            id=container.id,
            directory=str(directory),
            netns=namespace.path if namespace else None,
            hostname=container.hostname or container.id[:12],
            command=container.command,
            env=links.environment(self._core.state, container) | container.env,
            files=self._naming.write_files(container),
            tty=container.tty,
            stdin=container.stdin,
        )

    def _rehearse_start(self, container: Container) -> Operations:
        if container.mode in ("private", "none"):
            path = self._namespace_path(container)
            container = replace(container, namespace=Namespace(path=path, inode=0, owned=True))
        return self._endpoints.attach(container, container.wishes, dry_run=True)

    # --- going down

    def _discard(self, container: Container) -> None:
        """Undo a start that failed: for a new container everything, for one that ran before its network."""
        with self._core.lock:
            current = self._core.state.containers.get(container.id)
            if current is None:
                return
            self._release_namespace(container)
        if container.started:
            with self._core.lock:
                # Without its namespace, unless others live in it.
                released = self._core.state.containers[container.id]
                self._core.state.commit(replace(released, state="exited", pid=0))
        else:
            self._forget(container.id)

    def _release_namespace(self, container: Container) -> None:
        """Take a namespace's endpoints and the namespace away, once the last container that lives in it has ended."""
        state = self._core.state
        # Of a start that failed early the record does not have the namespace yet, but ``container`` does.
        owner = state.containers.get(container.peer_id, container) if container.peer_id else container
        users = [owner, *state.sharers_of(owner)]
        if any(user.state != "exited" and user.id != container.id for user in users):
            return
        self._endpoints.detach(owner, state.endpoints_of(owner))
        if owner.namespace is not None and owner.namespace.owned:
            self._core.kernel.remove_namespace(owner.namespace)
        state.commit(replace(owner, namespace=None))
        if owner.id != container.id and owner.auto_remove:
            self._forget(owner.id)

    def _forget(self, identifier: str) -> None:
        """Delete an ended container's record and files; while others live in its namespace, as soon as they do not."""
        with self._core.lock:
            container = self._core.state.containers.get(identifier)
            if container is None:
                return
            if container.namespace is not None:
                self._core.state.commit(replace(container, auto_remove=True))
                return
            self._core.state.commit(drop=(container, *self._core.state.cables_without(container)))
            shutil.rmtree(self._core.directory(container), ignore_errors=True)
            self._core.events.tell("container", "remove", container.id, container.name)

    # --- helpers

    def _managed(self, name: str) -> Container:
        container = self._core.state.find_container(name)
        if not container.managed:
            raise InvalidOption(
                f"{container.name!r} is a namespace that somebody else made; weft does not start or stop it",
                f"'weft detach {container.name}' takes it off its networks.",
            )
        return container
