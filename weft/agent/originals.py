"""Settings of the host that weft changed, and what they were before.

weft puts back only what it changed itself, and only if nobody else has changed it since.  The original is in the
store before the kernel is touched, so that it survives the agent.

Who makes the host a router (net.ipv4.ip_forward) turns on the switch of every interface, those that weft has turned
on among them: they are not weft's to turn off any more.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from weft.model.base import Record, decode, encode, replace
from weft.model.identity import PORT_PREFIX
from weft.plan.facts import HostFacts
from weft.plan.objects import Sysctl
from weft.plan.operations import Change, Operation, Operations, Remove
from weft.store.base import Delete, Put, Store

log = logging.getLogger("weft")

_FOLDER = "originals/"
_FORWARDING4 = ("net/ipv4/conf/", "/forwarding")
_FORWARDING6 = "net/ipv6/conf/all/forwarding"
_ROUTER = "net/ipv4/conf/all/forwarding"


class Original(Record):
    """What a setting was, and whether the host was a router then."""

    value: str
    router: bool


class Originals:
    """Original values by sysctl path."""

    def __init__(
        self, store: Store, read: Callable[[str], str | None], own_bridges: Callable[[], Iterable[str]]
    ) -> None:
        self._store = store
        self._read = read
        self._own_bridges = own_bridges
        self._values: dict[str, Original] = {}
        self._revisions: dict[str, int] = {}
        for entry in store.list(_FOLDER):
            path = entry.key.removeprefix(_FOLDER)
            self._values[path] = decode(entry.value, Original)
            self._revisions[path] = entry.revision

    def guard(self, operations: Operations) -> Operations:
        """Note the originals of the host's settings that ``operations`` change, and turn removals into restorations."""
        return tuple(self._guarded(operation) for operation in operations)

    def settle(self, operations: Operations) -> None:
        """Forget the originals that ``operations`` (as returned by ``guard`` and carried out) have put back or left."""
        for operation in operations:
            match operation:
                case Change(new=Sysctl(path=path, value=value)) if value == self._value(path):
                    self._forget(path)
                case Remove(object=Sysctl(ns=None, path=path)):
                    self._forget(path)

    def without_weft(self, facts: HostFacts) -> HostFacts:
        """Return ``facts`` as they would be had weft not turned forwarding on."""
        opened = {
            path.removeprefix(_FORWARDING4[0]).removesuffix(_FORWARDING4[1])
            for path, original in self._values.items()
            if _is_forwarding4(path) and original.value == "0"
        }
        return replace(
            facts,
            forwarding4=facts.forwarding4 - opened,
            forwarding6=facts.forwarding6 and self._value(_FORWARDING6) != "0",
        )

    def _guarded(self, operation: Operation) -> Operation:
        thing = operation.new if isinstance(operation, Change) else operation.object
        if not isinstance(thing, Sysctl) or thing.ns is not None or self._is_own(thing.path):
            return operation
        if isinstance(operation, Remove):
            return self._restoration(thing) or operation
        self._note(thing)
        return operation

    def _note(self, thing: Sysctl) -> None:
        current = self._read(thing.path)
        if thing.path in self._values or current is None or current == thing.value:
            return
        original = Original(value=current, router=self._is_router())
        self._revisions[thing.path] = self._store.write(
            (Put(key=_FOLDER + thing.path, value=encode(original), revision=0),)
        )
        self._values[thing.path] = original
        log.info("%s was %s; weft sets it to %s as long as it needs that", thing.path, current, thing.value)

    def _restoration(self, thing: Sysctl) -> Operation | None:
        original = self._values.get(thing.path)
        if original is None or self._read(thing.path) != thing.value:
            return None
        if _is_forwarding4(thing.path) and self._is_router() and not original.router:
            return None
        return Change(old=thing, new=replace(thing, value=original.value))

    def _forget(self, path: str) -> None:
        if path in self._values:
            del self._values[path]
            self._store.write((Delete(key=_FOLDER + path, revision=self._revisions.pop(path)),))

    def _value(self, path: str) -> str | None:
        original = self._values.get(path)
        return original.value if original else None

    def _is_router(self) -> bool:
        return self._read(_ROUTER) == "1"

    def _is_own(self, path: str) -> bool:
        """Whether the setting belongs to an interface of weft's, and goes with it."""
        interface = path.split("/")[3] if path.count("/") >= 4 else ""
        return interface.startswith(PORT_PREFIX) or interface in self._own_bridges()


def _is_forwarding4(path: str) -> bool:
    """Whether it is an interface's own switch of IPv4 forwarding."""
    return path.startswith(_FORWARDING4[0]) and path.endswith(_FORWARDING4[1])
