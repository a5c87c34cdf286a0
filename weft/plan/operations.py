"""What can be done to a kernel: the verbs of the vocabulary.

There are three: Add, Remove and Change.  Each can be *described* (as the command that a person would type),
*undone* (by the operation that ``undo`` returns) and *executed* (by the kernel room, the only one that may).
"""

from __future__ import annotations

from collections.abc import Iterable

from weft.model.base import Record
from weft.plan import commands
from weft.plan.objects import (
    AnyObject,
    Bridge,
    Cable,
    Element,
    InterfaceAddress,
    Key,
    LinkUp,
    Objects,
    ProxyNeighbour,
    Route,
    Sysctl,
    Table,
    Veth,
)


class Add(Record, tag=True):
    """Bring an object into being.  Adding what exists already in the same form is not an error."""

    object: AnyObject

    def describe(self) -> tuple[str, ...]:
        """Return the commands that a person would type to do this."""
        return commands.add(self.object)

    def undo(self) -> Operation:
        return Remove(object=self.object)


class Remove(Record, tag=True):
    """Take an object away.  Removing what is not there is not an error."""

    object: AnyObject

    def describe(self) -> tuple[str, ...]:
        return commands.remove(self.object)

    def undo(self) -> Operation:
        return Add(object=self.object)


class Change(Record, tag=True):
    """Turn ``old`` into ``new``, which have the same key."""

    old: AnyObject
    new: AnyObject

    def describe(self) -> tuple[str, ...]:
        return commands.change(self.old, self.new)

    def undo(self) -> Operation:
        return Change(old=self.new, new=self.old)


Operation = Add | Remove | Change
Operations = tuple[Operation, ...]


def additions(objects: Objects) -> Operations:
    """Return the operations that bring ``objects`` into being, in their order."""
    return tuple(Add(object=thing) for thing in objects)


def announcements(objects: Objects) -> Operations:
    """Return the operations that let interfaces among ``objects``, which are up, tell their neighbours once more.

    The first time may be too early: a bridge port begins to forward when the kernel's link watch has seen its
    carrier, some milliseconds after both ends are up.  (Docker and others repeat theirs for the same reason.)
    """
    return additions(tuple(thing for thing in objects if isinstance(thing, LinkUp) and thing.announce))


def removals(objects: Objects) -> Operations:
    """Return the operations that take ``objects`` away, last first."""
    return difference((), objects)


def difference(desired: Objects, observed: Iterable[AnyObject]) -> Operations:
    """Return what turns ``observed`` into ``desired``: additions and changes in plan order, then removals.

    ``observed`` must hold only what weft owns: whatever is not desired is taken away.  Where a table has to be
    written anew, its elements are added with it, because the old table took them along.  What goes by itself with
    an interface or a table needs no operation of its own.
    """
    have: dict[Key, AnyObject] = {thing.key: thing for thing in observed}
    want: dict[Key, AnyObject] = {thing.key: thing for thing in desired}
    rewritten = {thing.family for thing in want.values() if isinstance(thing, Table) and not _is_there(thing, have)}
    operations: list[Operation] = []
    for key, thing in want.items():
        present = have.get(key)
        fresh = isinstance(thing, Element) and thing.family in rewritten
        if present is None or fresh:
            operations.append(Add(object=thing))
        elif not thing.same_as(present):
            operations.append(Change(old=present, new=thing))
    gone = [thing for key, thing in have.items() if key not in want]
    carriers = {carrier for thing in gone for carrier in carried_by(thing)}
    carriers |= {("table", family) for family in rewritten}
    operations.extend(Remove(object=thing) for thing in reversed(gone) if carrier_of(thing) not in carriers)
    return tuple(operations)


def carried_by(thing: AnyObject) -> tuple[Key, ...]:
    """Return what ``thing`` is to others that go when it goes: interfaces, as namespace and name, or a table."""
    match thing:
        case Bridge():
            return (("interface", None, thing.name),)
        case Veth():
            return (("interface", None, thing.name), ("interface", thing.peer_ns, thing.peer_name))
        case Cable():
            return (
                ("interface", thing.left_ns, thing.left_name),
                ("interface", thing.right_ns, thing.right_name),
            )
        case Table():
            return (("table", thing.family),)
        case _:
            return ()


def carrier_of(thing: AnyObject) -> Key | None:
    """Return the interface or table that takes ``thing`` along when it goes, in the form of ``carried_by``."""
    match thing:
        case LinkUp():
            return ("interface", thing.ns, thing.name)
        case InterfaceAddress() | Route():
            return ("interface", thing.ns, thing.interface)
        case ProxyNeighbour():
            return ("interface", None, thing.interface)
        case Sysctl() if thing.path.count("/") > 3:  # net/ipv4/conf/NAME/forwarding
            return ("interface", thing.ns, thing.path.split("/")[3])
        case Element():
            return ("table", thing.family)
        case _:
            return None


def describe(operations: Iterable[Operation]) -> list[str]:
    """Return the commands of all operations, in order."""
    return [command for operation in operations for command in operation.describe()]


def _is_there(thing: AnyObject, have: dict[Key, AnyObject]) -> bool:
    present = have.get(thing.key)
    return present is not None and thing.same_as(present)
