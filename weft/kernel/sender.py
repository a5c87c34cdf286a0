"""Carries out the operations of one namespace: rtnetlink messages, many in a send, and the sysctls between them."""

from __future__ import annotations

import errno
from collections.abc import Iterable

from weft.kernel import encode, existing, sysctl
from weft.kernel.encode import Request
from weft.kernel.journal import Journal
from weft.kernel.lanes import target
from weft.kernel.netlink import BATCH, Refused
from weft.kernel.place import Place
from weft.kernel.refusals import refusal
from weft.model.base import replace
from weft.model.errors import WeftError
from weft.plan.objects import Bridge, Cable, Route, Sysctl, Veth
from weft.plan.operations import Add, Change, Operation, Remove

Answers = list[tuple[Request, Refused | None]]


class Sender:
    """One run over operations, in their order.

    Messages are collected until something has to look at what they do: a sysctl, or an operation that names an
    interface which one of them makes, changes or deletes.  That also keeps an interface from going up in the same
    send as the settings which must precede it: the kernel goes on behind a message that it refuses.
    """

    def __init__(self, place: Place, journal: Journal) -> None:
        self._place = place
        self._journal = journal
        self._waiting: list[tuple[Operation, list[Request]]] = []
        self._length = 0
        #: Names of interfaces that waiting messages make, change or delete.
        self._unsettled: set[str] = set()

    def run(self, operations: Iterable[Operation]) -> None:
        """Carry out ``operations``; the journal learns what became of each, and decides whether an error ends it."""
        for operation in operations:
            if isinstance(target(operation), Sysctl) or not self._unsettled.isdisjoint(_names(operation)):
                self._flush()
            try:
                self._take(operation)
            except (OSError, WeftError) as error:
                self._journal.failed(_as_refusal(error, operation))
                self._journal.check()
        self._flush()

    def _take(self, operation: Operation) -> None:
        if isinstance(target(operation), Sysctl):
            self._set(operation)
            return
        requests = self._encode(operation)
        if not requests:
            return
        if self._length + len(requests) > BATCH:
            self._flush()
        self._waiting.append((operation, requests))
        self._length += len(requests)
        if isinstance(target(operation), Bridge | Veth | Cable):
            self._unsettled.update(_names(operation))

    def _set(self, operation: Operation) -> None:
        setting = target(operation)
        if isinstance(operation, Remove) or not isinstance(setting, Sysctl):
            return  # a setting is never taken away: it goes with its interface, or is changed back
        before = self._place.inside(lambda: sysctl.write(setting))
        if before is not None:
            self._journal.done(Change(old=setting, new=replace(setting, value=before)))

    def _encode(self, operation: Operation) -> list[Request]:
        match operation:
            case Add(object=Bridge() | Veth() | Cable() as link) if self._place.has(_name(link)):
                if existing.is_same(link, self._place):
                    return []
                raise existing.taken(link, self._place)
            case Add(object=thing):
                return encode.add(thing, self._place)
            case Remove(object=thing):
                return encode.remove(thing, self._place)
            case Change(old=old, new=new):
                return encode.change(old, new, self._place)

    # --- sending --------------------------------------------------------------------------------------------------

    def _flush(self) -> None:
        """Send what waits, look at the answers, and raise if one of them ends the call."""
        waiting, self._waiting, self._length = self._waiting, [], 0
        self._unsettled.clear()
        if not waiting:
            return
        messages = [request.data for _, requests in waiting for request in requests]
        try:
            answers = iter(self._place.socket.request(messages))
        except OSError as error:
            self._lost([operation for operation, _ in waiting], error)
        else:
            for operation, requests in waiting:
                self._settle(operation, [(request, next(answers)) for request in requests])
        self._journal.check()

    def _lost(self, operations: list[Operation], error: OSError) -> None:
        """Without an answer any of them may have been carried out, so all have to be undone."""
        for operation in operations:
            self._journal.done(operation.undo())
        self._journal.failed(_as_refusal(error, operations[0]))

    def _settle(self, operation: Operation, answers: Answers) -> None:
        refused = [answer for request, answer in answers if answer and answer.errno not in request.nothing]
        if refused:
            self._refused(operation, answers, refused[0])
        elif any(answer is None and request.lasting for request, answer in answers):
            self._journal.done(operation.undo())

    def _refused(self, operation: Operation, answers: Answers, refused: Refused) -> None:
        error = refusal(refused.errno, operation.describe(), refused.text)
        match operation:
            case Add(object=Route() as route) if refused.errno == errno.EEXIST:
                self._supersede(route)
                return
            case Add(object=Bridge() | Veth() | Cable() as link):
                self._clear_up(link, answers)
                if refused.errno == errno.EEXIST:
                    error = existing.taken(link, self._place)
            case Change():
                self._journal.done(operation.undo())  # one message can change an interface half
            case _ if any(answer is None for _, answer in answers):
                self._journal.done(operation.undo())
        self._journal.failed(error)

    def _clear_up(self, link: Bridge | Veth | Cable, answers: Answers) -> None:
        """Leave nothing of an interface that was made but not completed, or completed but not made."""
        created, *named = [answer is None for _, answer in answers]
        if created:
            self._place.socket.request([encode.discard(_name(link)).data])
        elif any(named):
            # Somebody else made an interface of that name in the very same moment, and ours was the first to name it.
            self._place.socket.request([encode.nameless(_name(link)).data])

    def _supersede(self, route: Route) -> None:
        """Put ``route`` in the place of one of weft's own."""
        try:
            old = existing.displaced(route, self._place)
            if route.same_as(old):
                return
            requests = encode.change(old, route, self._place)
            (refused,) = self._place.socket.request([request.data for request in requests])
        except (OSError, WeftError) as error:
            self._journal.failed(_as_refusal(error, Add(object=route)))
            return
        if refused:
            self._journal.failed(refusal(refused.errno, Change(old=old, new=route).describe(), refused.text))
        else:
            self._journal.done(Change(old=route, new=old))


def _name(link: Bridge | Veth | Cable) -> str:
    return link.left_name if isinstance(link, Cable) else link.name


def _names(operation: Operation) -> set[str]:
    """Return the names of the interfaces that an operation is about."""
    thing = target(operation)
    named = (getattr(thing, field, "") for field in ("name", "left_name", "interface", "master"))
    return {name for name in named if name}


def _as_refusal(error: OSError | WeftError, operation: Operation) -> WeftError:
    if isinstance(error, WeftError):
        return error
    number = error.errno or errno.EIO
    return refusal(number, operation.describe())
