"""The real kernel: rtnetlink, nftables, sysctls and namespaces of this machine."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import groupby

from weft.kernel import admission, conntrack, dumps, facts, namespaces, observe, sysctl
from weft.kernel.journal import Journal, add_notes
from weft.kernel.lanes import ADMISSION, NFTABLES, Lane, lane, target
from weft.kernel.netlink import NETLINK_NETFILTER, NETLINK_ROUTE, Socket
from weft.kernel.nftables import NftError
from weft.kernel.place import Place, Visits
from weft.kernel.refusals import refusal
from weft.kernel.ruleset import FAMILIES, Ruleset, gather
from weft.kernel.sender import Sender
from weft.kernel.watch import Watch
from weft.model.base import replace
from weft.model.container import Namespace
from weft.model.errors import NamespaceNotFound, WeftError
from weft.plan.facts import HostFacts
from weft.plan.objects import Admission, AnyObject, Bridge, Manager, Objects, Sysctl, Table, Veth
from weft.plan.operations import Add, Change, Operation, Remove, describe


class LinuxKernel:
    """Implements ``weft.kernel.base.Kernel``.

    The host is the network namespace of the thread that makes this object, whichever threads call it later; so
    several agents, or tests, can each have a host of their own in one process.
    """

    def __init__(self) -> None:
        self._host = namespaces.Host()
        self._socket = Socket()
        self._ruleset = Ruleset(self._host)
        self._watches: list[Watch] = []

    def close(self) -> None:
        for watch in self._watches:
            watch.end()
        self._ruleset.close()
        self._socket.close()
        self._host.close()

    # --- doing ------------------------------------------------------------------------------------------------------

    def apply(self, operations: Sequence[Operation]) -> None:
        journal = Journal(keep_going=False)
        try:
            self._carry_out(gather(operations), journal)
        except Exception as error:
            add_notes(error, self.withdraw(journal.undo()))
            raise

    def withdraw(self, operations: Sequence[Operation]) -> list[Exception]:
        journal = Journal(keep_going=True)
        self._carry_out(gather(operations), journal)
        return journal.errors

    def _carry_out(self, operations: Sequence[Operation], journal: Journal) -> None:
        with Visits() as visits:
            for where, together in groupby(operations, lane):
                group = list(together)
                try:
                    self._travel(where, group, visits, journal)
                except OSError as error:  # no descriptor, no thread or no memory left
                    journal.failed(refusal(error.errno or errno.EIO, describe(group)))
                    journal.check()

    def _travel(self, where: Lane, operations: list[Operation], visits: Visits, journal: Journal) -> None:
        if where == NFTABLES:
            self._ruleset.run(operations, journal)
        elif where == ADMISSION:
            self._host.run(lambda: _admit(operations, journal))
        elif isinstance(where, Namespace):
            self._inside(where, operations, visits, journal)
        else:
            Sender(Place(self._socket, visits, self._host.run), journal).run(operations)

    def _inside(self, namespace: Namespace, operations: list[Operation], visits: Visits, journal: Journal) -> None:
        """Carry out operations in a container's namespace."""
        try:
            visits.descriptor(namespace)
        except NamespaceNotFound as error:
            # With the namespace all that stood in it has gone.
            if not all(isinstance(operation, Remove) for operation in operations):
                journal.failed(error)
                journal.check()
            return
        visits.enter(
            namespace,
            lambda connection: Sender(Place(connection, visits, _here), journal).run(operations),
            needs_thread=any(isinstance(target(operation), Sysctl) for operation in operations),
        )

    # --- seeing -----------------------------------------------------------------------------------------------------

    def observe(self, desired: Objects = ()) -> tuple[AnyObject, ...]:
        found: list[AnyObject] = []
        with self._opened() as connection:
            found.extend(observe.interfaces(connection))
        found.extend(self._host.run(lambda: list(_sysctls(desired))))
        found.extend(self._tables(desired))
        own = {thing.name for thing in found if isinstance(thing, Bridge | Veth)}
        wanted = [thing for thing in desired if isinstance(thing, Admission)]
        found.extend(self._host.run(lambda: list(admission.observe(self._managers(), own, wanted))))
        return tuple(found)

    def _tables(self, desired: Objects) -> list[AnyObject]:
        try:
            return self._ruleset.observe(desired)
        except NftError as error:
            commands = [f"nft list table {family} weft" for family in FAMILIES]
            raise refusal(error.errno, commands, str(error)) from error

    def intact(self, tables: Objects) -> bool:
        return self._ruleset.intact([thing for thing in tables if isinstance(thing, Table)])

    def _managers(self) -> tuple[Manager, ...]:
        return admission.managers(self._ruleset.nft)

    def facts(self) -> HostFacts:
        with self._opened() as connection:
            return self._host.run(lambda: facts.gather(connection, self._managers()))

    def read_sysctl(self, path: str) -> str | None:
        return self._host.run(lambda: sysctl.read(path))

    def interfaces(self, namespace: Namespace | None) -> frozenset[str]:
        if namespace is None:
            return self._host.run(_names)
        with namespaces.opened_same(namespace) as fd:
            return namespaces.in_namespace(fd, _names)

    def local_addresses(self) -> frozenset[str]:
        with self._opened() as connection:
            return frozenset(address.address for address in dumps.addresses(connection))

    def flush_connections(self, addresses: Sequence[str]) -> None:
        with self._opened(NETLINK_NETFILTER) as connection:
            conntrack.flush(connection, addresses)

    def subscribe(self, notify: Callable[[str], None]) -> Callable[[], None]:
        watch = self._host.run(lambda: Watch(notify))
        self._watches.append(watch)
        return watch.end

    def _opened(self, protocol: int = NETLINK_ROUTE) -> closing[Socket]:
        """A socket of one's own, so that reading a long list holds nobody up."""
        return closing(self._host.run(lambda: Socket(protocol)))

    # --- namespaces -------------------------------------------------------------------------------------------------

    def open_namespace(self, path: str) -> Namespace:
        return namespaces.identify(path, self._host)

    def is_alive(self, namespace: Namespace) -> bool:
        return namespaces.is_same(namespace)

    def create_namespace(self, path: str) -> Namespace:
        return namespaces.create(path)

    def remove_namespace(self, namespace: Namespace) -> None:
        namespaces.remove(namespace)


def _here(function: Callable[[], str | None]) -> str | None:
    return function()


def _names() -> frozenset[str]:
    return frozenset(name for _, name in socket.if_nameindex())


def _sysctls(desired: Objects) -> Iterator[Sysctl]:
    for thing in desired:
        if isinstance(thing, Sysctl) and thing.ns is None:
            value = sysctl.read(thing.path)
            if value is not None:
                yield replace(thing, value=value)


def _admit(operations: Sequence[Operation], journal: Journal) -> None:
    for operation in operations:
        try:
            match operation:
                case Add(object=Admission() as thing) | Change(new=Admission() as thing):
                    admission.add(thing)
                case Remove(object=Admission() as thing):
                    admission.remove(thing)
        except WeftError as error:
            journal.failed(error)
            journal.check()
        else:
            journal.done(operation.undo())
