"""The door of the kernel room, which the real kernel and the FakeKernel of ``weft.testing`` both have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from weft.model.container import Namespace
from weft.plan.facts import HostFacts
from weft.plan.objects import AnyObject, Objects
from weft.plan.operations import Operation


class Kernel(Protocol):
    """One host's kernel, as weft uses it.  All calls block and may be made from any thread."""

    def apply(self, operations: Sequence[Operation]) -> None:
        """Execute ``operations`` in order; when one fails, undo those before it and raise its error.

        Neighbouring operations travel together: netlink messages for one namespace in one send, elements of
        nftables in one transaction.  Adding what is there already in the same form, and removing what is not
        there, succeed.  Raises KernelRefused (with the command in its evidence), InterfaceTaken when a veth's
        name or its peer's name exists, RouteTaken when somebody else's route is there, NamespaceNotFound when a
        namespace is gone or is another one than ``Namespace.inode`` says, Unsupported when the kernel lacks the
        feature.
        """

    def withdraw(self, operations: Sequence[Operation]) -> list[Exception]:
        """Execute ``operations``, going on after errors (for teardown); return the errors."""

    def observe(self, desired: Objects = ()) -> tuple[AnyObject, ...]:
        """Return everything in the host's namespace that is weft's own.

        Own are: interfaces whose alias begins with 'weft:', with their up state, addresses and the sysctls
        that planners set on them; routes and proxy neighbours with weft's protocol number; both tables and
        their elements; admissions of other firewalls for weft's interfaces.  ``desired`` tells which sysctls and
        tables to look at, and what the latter are compared with.
        """

    def intact(self, tables: Objects) -> bool:
        """Whether ``tables`` of nftables stand just so, whatever is in their sets; costs little on any host."""

    def facts(self) -> HostFacts:
        """Return the host as it is without weft."""

    def read_sysctl(self, path: str) -> str | None:
        """Return the value of a sysctl of the host (``net/ipv4/ip_forward``), None if there is none."""

    def open_namespace(self, path: str) -> Namespace:
        """Check that ``path`` is a network namespace other than the host's own; return it with its inode.

        Raises NamespaceNotFound.
        """

    def is_alive(self, namespace: Namespace) -> bool:
        """Whether ``namespace.path`` still leads to the same namespace."""

    def create_namespace(self, path: str) -> Namespace:
        """Make a network namespace that lives until it is removed, bound to the file ``path``; ``lo`` is up in it."""

    def remove_namespace(self, namespace: Namespace) -> None:
        """Undo ``create_namespace``; what is not there (any more) is no error."""

    def interfaces(self, namespace: Namespace | None) -> frozenset[str]:
        """Return the names of the interfaces in a namespace (None: the host's)."""

    def local_addresses(self) -> frozenset[str]:
        """Return every address that the host owns, as text without length, loopback ones included."""

    def flush_connections(self, addresses: Sequence[str]) -> None:
        """Forget tracked connections to and from container ``addresses`` (conntrack), and no others."""

    def subscribe(self, notify: Callable[[str], None]) -> Callable[[], None]:
        """Call ``notify(reason)`` from a thread of the room's own whenever links, addresses, routes or nftables
        of the host change through somebody else or weft itself; return what ends the subscription."""

    def close(self) -> None:
        """Release sockets and threads; the kernel's state stays."""
