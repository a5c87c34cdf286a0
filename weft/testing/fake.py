"""A kernel in memory: it holds what it is told to hold, refuses what Linux would, and carries packets.

    kernel = FakeKernel(HostFacts(...))
    box = kernel.create_namespace("/run/netns/box")
    kernel.apply(additions(objects))
    delivery = kernel.send(Packet(Outside("eth0"), "192.0.2.10", dport=8080, src="192.0.2.1"))
    assert delivery.place == box, delivery.trail

It needs no root and no Linux.  What it knows of Linux is what planners rely on; that the two agree is for tests with
real namespaces to say.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Sequence

from weft.kernel.base import Kernel
from weft.model.base import replace
from weft.model.container import Namespace
from weft.model.errors import InterfaceTaken, KernelRefused, NamespaceNotFound, Unsupported, WeftError
from weft.plan.facts import HostFacts
from weft.plan.objects import (
    AnyObject,
    Bridge,
    Cable,
    Element,
    InterfaceAddress,
    LinkUp,
    Objects,
    ProxyNeighbour,
    Route,
    Sysctl,
    Veth,
)
from weft.plan.operations import Add, Change, Operation, Remove
from weft.testing.fake_state import Link, State, ends, settings_of
from weft.testing.fake_wire import Wire
from weft.testing.packets import Delivery, Packet


class FakeKernel(Kernel):
    """The ``Kernel`` of tests.  ``bridge_netfilter`` is net.bridge.bridge-nf-call-iptables and its like for IPv6."""

    def __init__(self, facts: HostFacts | None = None, *, bridge_netfilter: bool = False) -> None:
        self._lock = threading.RLock()
        self._state = State(facts or HostFacts())
        self._wire = Wire(self._state, bridge_netfilter)
        #: Inode numbers by path, and interfaces that somebody else has made in a namespace.
        self._namespaces: dict[str, int] = {}
        self._foreign: dict[Namespace | None, set[str]] = {}
        self._inodes = itertools.count(4026532000)
        self._listeners: list[Callable[[str], None]] = []

    # --- what tests do with it

    def send(self, packet: Packet) -> Delivery:
        """Carry a packet; return where it ended and why."""
        with self._lock:
            return self._wire.send(packet)

    def objects(self) -> Objects:
        """Return everything that weft holds, that in containers included."""
        with self._lock:
            return tuple(self._state.objects.values())

    def add_interface(self, name: str, namespace: Namespace | None = None) -> None:
        """Let somebody else make an interface."""
        with self._lock:
            self._foreign.setdefault(namespace, set()).add(name)

    def set_facts(self, facts: HostFacts) -> None:
        """Let the host be another one than before, and tell whoever listens."""
        with self._lock:
            self._state.facts = facts
        self._tell("the host changed")

    def disturb(self, *operations: Operation) -> None:
        """Let somebody else carry out ``operations``, and tell whoever listens."""
        self.apply(operations)

    # --- the kernel's door

    def apply(self, operations: Sequence[Operation]) -> None:
        """Execute ``operations``; undo them all when one fails."""
        with self._lock:
            before = self._state.copy()
            try:
                for operation in operations:
                    self._execute(operation)
            except WeftError:
                self._state.restore(before)
                raise
        self._tell("changed")

    def withdraw(self, operations: Sequence[Operation]) -> list[Exception]:
        """Execute ``operations``, going on after errors; return the errors."""
        errors: list[Exception] = []
        with self._lock:
            for operation in operations:
                try:
                    self._execute(operation)
                except WeftError as error:
                    errors.append(error)
        self._tell("changed")
        return errors

    def observe(self, desired: Objects = ()) -> tuple[AnyObject, ...]:
        """Return what stands in the host's namespace, and those of its settings that ``desired`` names."""
        with self._lock:
            present = [_as_seen(thing) for thing in self._state.objects.values() if thing.where is None]
            read = [(setting, self._state.sysctl(setting.path)) for setting in settings_of(desired)]
            return (*present, *(replace(setting, value=value) for setting, value in read if value is not None))

    def intact(self, tables: Objects) -> bool:
        with self._lock:
            return all(table in self._state.objects.values() for table in tables)

    def facts(self) -> HostFacts:
        with self._lock:
            facts, state = self._state.facts, self._state
            forwarding4 = {name for name in ("all", *facts.mtus) if state.forwards(name, 4)}
            forwarding6 = state.sysctl("net/ipv6/conf/all/forwarding") == "1"
            return replace(facts, forwarding4=frozenset(forwarding4), forwarding6=forwarding6)

    def read_sysctl(self, path: str) -> str | None:
        with self._lock:
            return self._state.sysctl(path)

    def open_namespace(self, path: str) -> Namespace:
        with self._lock:
            if path not in self._namespaces:
                raise NamespaceNotFound(f"{path} is no network namespace", path=path)
            return Namespace(path=path, inode=self._namespaces[path])

    def is_alive(self, namespace: Namespace) -> bool:
        with self._lock:
            return self._namespaces.get(namespace.path) == namespace.inode

    def create_namespace(self, path: str) -> Namespace:
        with self._lock:
            if path in self._namespaces:
                raise KernelRefused(f"{path} exists already", path=path)
            self._namespaces[path] = next(self._inodes)
            return Namespace(path=path, inode=self._namespaces[path], owned=True)

    def remove_namespace(self, namespace: Namespace) -> None:
        with self._lock:
            if not self.is_alive(namespace):
                return
            del self._namespaces[namespace.path]
            for link in list(self._state.links()):
                if any(_same(ns, namespace) for ns, _ in ends(link)):
                    self._state.delete(link)
        self._tell("a namespace is gone")

    def interfaces(self, namespace: Namespace | None) -> frozenset[str]:
        with self._lock:
            own = {name for link in self._state.links() for ns, name in ends(link) if _same(ns, namespace)}
            foreign = self._state.facts.mtus if namespace is None else ()
            return frozenset({"lo", *own, *foreign, *self._foreign.get(namespace, ())})

    def local_addresses(self) -> frozenset[str]:
        with self._lock:
            return self._state.local_addresses()

    def flush_connections(self, addresses: Sequence[str]) -> None:
        with self._lock:
            self._wire.connections.forget(addresses)

    def subscribe(self, notify: Callable[[str], None]) -> Callable[[], None]:
        with self._lock:
            self._listeners.append(notify)
        return lambda: self._listeners.remove(notify)

    def close(self) -> None:
        self._listeners.clear()

    def _tell(self, reason: str) -> None:
        """Tell listeners, from a thread of their own as the real kernel room does."""
        for notify in tuple(self._listeners):
            threading.Thread(target=notify, args=(reason,), daemon=True).start()

    # --- executing

    def _execute(self, operation: Operation) -> None:
        match operation:
            case Add(object=thing):
                self._add(thing)
            case Remove(object=thing) if thing.key in self._state.objects:
                self._state.delete(thing)
            case Change(new=thing):
                self._check(thing)
                self._state.put(thing)

    def _add(self, thing: AnyObject) -> None:
        self._check(thing)
        present = self._state.objects.get(thing.key)
        if present is not None and thing.same_as(present):
            return
        if isinstance(thing, Bridge | Veth | Cable):
            self._check_names(thing)
        if not (isinstance(thing, Sysctl) and self._is_missing(thing)):
            self._state.put(thing)

    def _is_missing(self, thing: Sysctl) -> bool:
        if self._state.sysctl(thing.path, thing.ns) is not None:
            return False
        if not thing.optional:
            raise Unsupported(f"this kernel has no {thing.path}", path=thing.path)
        return True

    # --- refusing

    def _check(self, thing: AnyObject) -> None:
        """Raise what Linux would answer if what ``thing`` stands on is not there."""
        for namespace in _namespaces(thing):
            if not self.is_alive(namespace):
                raise NamespaceNotFound(f"{namespace.path} is gone", path=namespace.path)
        match thing:
            case Veth() if thing.master and self._state.link_at(None, thing.master) is None:
                self._refuse(thing, f"there is no bridge {thing.master}")
            case LinkUp():
                self._check_interface(thing, thing.ns, thing.name)
            case InterfaceAddress():
                self._check_interface(thing, thing.ns, thing.interface)
            case ProxyNeighbour():
                self._check_interface(thing, None, thing.interface)
            case Element() if ("table", thing.family) not in self._state.objects:
                self._refuse(thing, f"there is no table {thing.family} weft")
            case Route():
                self._check_route(thing)

    def _check_interface(self, thing: AnyObject, ns: Namespace | None, name: str) -> None:
        if name not in self.interfaces(ns):
            self._refuse(thing, f"there is no interface {name}")

    def _check_route(self, route: Route) -> None:
        self._check_interface(route, route.ns, route.interface)
        if not self._state.is_up(route.ns, route.interface):
            self._refuse(route, f"{route.interface} is down")
        if route.gateway and self._state.interface_to(route.ns, route.gateway) != (route.interface, route.gateway):
            self._refuse(route, f"{route.gateway} is on no subnet of {route.interface}")

    def _refuse(self, thing: AnyObject, reason: str) -> None:
        command = Add(object=thing).describe()
        raise KernelRefused(f"{command[-1]}: {reason}", command=list(command))

    def _check_names(self, link: Link) -> None:
        for ns, name in ends(link):
            if name in self.interfaces(ns):
                where = "this host" if ns is None else ns.path
                raise InterfaceTaken(f"{where} has an interface {name!r} already", interface=name)


def _namespaces(thing: AnyObject) -> Iterable[Namespace]:
    """Return the container namespaces in which ``thing`` would stand."""
    if isinstance(thing, Bridge | Veth | Cable):
        return [ns for ns, _ in ends(thing) if ns is not None]
    return [thing.where] if thing.where is not None else []


def _same(left: Namespace | None, right: Namespace | None) -> bool:
    return left == right or (left is not None and right is not None and left.inode == right.inode)


def _as_seen(thing: AnyObject) -> AnyObject:
    """Return ``thing`` as observation tells it: what lies in another namespace is not seen from the host's."""
    return replace(thing, peer_ns=None, peer_name="", peer_mac="") if isinstance(thing, Veth) else thing
