"""Which operations can travel together."""

from __future__ import annotations

from weft.model.container import Namespace
from weft.plan.objects import Admission, AnyObject, Element, Table
from weft.plan.operations import Change, Operation

NFTABLES = "nftables"
ADMISSION = "admission"

#: nftables, other firewalls, or the namespace that rtnetlink messages and sysctls are for (None: the host's).
Lane = Namespace | str | None


def target(operation: Operation) -> AnyObject:
    """Return the object that an operation leads to, or takes away."""
    return operation.new if isinstance(operation, Change) else operation.object


def lane(operation: Operation) -> Lane:
    thing = target(operation)
    if isinstance(thing, Table | Element):
        return NFTABLES
    if isinstance(thing, Admission):
        return ADMISSION
    return thing.where
