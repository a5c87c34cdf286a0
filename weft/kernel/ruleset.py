"""Carries out operations on weft's two tables and their elements, in as few transactions as can be."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby

from weft.kernel import elements, tables
from weft.kernel.elements import Verb
from weft.kernel.journal import Journal
from weft.kernel.lanes import target
from weft.kernel.namespaces import Host
from weft.kernel.nftables import Nft, NftError
from weft.kernel.refusals import refusal
from weft.model.errors import WeftError
from weft.plan.objects import AnyObject, Element, Family, Key, Table
from weft.plan.operations import Add, Change, Operation, Remove, describe

FAMILIES: tuple[Family, ...] = ("inet", "bridge")


class Ruleset:
    """weft's tables in the host's namespace.  All methods may be called from any thread."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._nft: Nft | None = None
        self._forms = tables.Forms()
        #: The tables that were put in place last by this object.
        self._applied: dict[Family, Table] = {}

    @property
    def nft(self) -> Nft:
        """The library, loaded at first use, by a thread in the host's namespace."""
        if self._nft is None:
            self._nft = self._host.run(Nft)
        return self._nft

    def close(self) -> None:
        if self._nft is not None:
            self._nft.close()

    # --- doing ------------------------------------------------------------------------------------------------------

    def run(self, operations: Sequence[Operation], journal: Journal) -> None:
        """Carry out ``operations``: each table with the elements behind it as one transaction, others together."""
        for unit in _units(operations):
            try:
                if isinstance(target(unit[0]), Table):
                    self._table(unit, journal)
                else:
                    self._elements(unit, journal)
            except NftError as error:
                journal.failed(refusal(error.errno, describe(unit), str(error)))
            except WeftError as error:
                journal.failed(error)
            journal.check()

    def _table(self, unit: Sequence[Operation], journal: Journal) -> None:
        table = target(unit[0])
        assert isinstance(table, Table)
        undo = self._restoration(table)
        if isinstance(unit[0], Remove):
            self.nft.script(tables.removal(table.family))
            self._applied.pop(table.family, None)
        else:
            filling = [thing for thing in map(target, unit[1:]) if isinstance(thing, Element)]
            self.nft.script(tables.script(table, filling))
            self._applied[table.family] = table
        journal.done(*undo)

    def _restoration(self, table: Table) -> Sequence[Operation]:
        """Return what brings back the table of that family as it is now.

        One that is not as weft wrote it is not brought back: what somebody made of it may let pass what must not,
        so the new one stays.
        """
        text = tables.printed(self.nft, table.family)
        if text is None:
            return [Remove(object=table)]
        present = self._forms.match(text, self._candidates(table.family))
        if present is None:
            return []
        held = elements.listed(table.family, tables.listing(self.nft, table.family))
        return [Add(object=present), *(Add(object=element) for element in held)]

    def _elements(self, operations: Sequence[Operation], journal: Journal) -> None:
        """Carry out operations on elements in one transaction.

        When it is refused, nothing of it was carried out; each part is tried for itself then, which shows what was
        there already, and which one is at fault.
        """
        commands = [
            command
            for verb, steps in groupby(chain.from_iterable(map(_steps, operations)), lambda step: step[0])
            for command in elements.commands(verb, (element for _, element in steps))
        ]
        try:
            self.nft.run(commands)
        except NftError:
            OneByOne(self.nft, journal).run(operations)
        else:
            for operation in operations:
                journal.done(operation.undo())

    # --- seeing -----------------------------------------------------------------------------------------------------

    def observe(self, desired: Iterable[AnyObject]) -> list[AnyObject]:
        """Return weft's tables and their elements.

        A table that is as one in ``desired``, or as the one put in place last, is returned as that one; any other one
        with what nft prints of it as its body.
        """
        wanted = [thing for thing in desired if isinstance(thing, Table)]
        found: list[AnyObject] = []
        for family in FAMILIES:
            text = tables.printed(self.nft, family)
            if text is not None:
                candidates = (*(table for table in wanted if table.family == family), *self._candidates(family))
                found.append(self._forms.match(text, candidates) or Table(family=family, body=text))
                found.extend(elements.listed(family, tables.listing(self.nft, family)))
        return found

    def intact(self, wanted: Iterable[Table]) -> bool:
        """Whether the tables stand as wanted; their elements are not looked at."""
        try:
            return all(self._stands(table) for table in wanted)
        except (NftError, WeftError, OSError):
            return False

    def _stands(self, table: Table) -> bool:
        text = tables.printed(self.nft, table.family)
        return text is not None and self._forms.match(text, [table]) is not None

    def _candidates(self, family: Family) -> tuple[Table, ...]:
        return (self._applied[family],) if family in self._applied else ()


def _steps(operation: Operation) -> Iterator[tuple[Verb, Element]]:
    match operation:
        case Add(object=Element() as element):
            yield "create", element
        case Remove(object=Element() as element):
            yield "delete", element
        case Change(old=Element() as old, new=Element() as new):
            yield "delete", old
            yield "create", new


class OneByOne:
    """Carries out operations on elements one by one, and makes up for what was there already or was not."""

    def __init__(self, nft: Nft, journal: Journal) -> None:
        self._nft = nft
        self._journal = journal
        self._listed: dict[Family, dict[Key, Element]] = {}

    def run(self, operations: Sequence[Operation]) -> None:
        for operation in operations:
            try:
                self._do(operation)
            except NftError as error:
                self._journal.failed(refusal(error.errno, operation.describe(), str(error)))
                self._journal.check()

    def _do(self, operation: Operation) -> None:
        match operation:
            case Add(object=Element() as element):
                self._add(element)
            case Remove(object=Element() as element):
                self._remove(element)
            case Change(old=Element() as old, new=Element() as new):
                self._change(old, new)

    def _add(self, element: Element) -> None:
        try:
            self._nft.run(elements.commands("create", [element]))
            self._journal.done(Remove(object=element))
        except NftError as error:
            present = self._present(element) if error.errno == errno.EEXIST else None
            if present is None:
                raise
            if (present.value, present.comment) != (element.value, element.comment):
                self._change(present, element)

    def _remove(self, element: Element) -> None:
        try:
            self._nft.run(elements.commands("delete", [element]))
            self._journal.done(Add(object=element))
        except NftError as error:
            if error.errno != errno.ENOENT:
                raise

    def _change(self, old: Element, new: Element) -> None:
        try:
            self._nft.run([*elements.commands("delete", [old]), *elements.commands("create", [new])])
            self._journal.done(Change(old=new, new=old))
        except NftError as error:
            if error.errno != errno.ENOENT:
                raise
            self._add(new)

    def _present(self, element: Element) -> Element | None:
        """Return the element that has the key of ``element``.  Each table is listed once: only weft changes it."""
        if element.family not in self._listed:
            present = elements.listed(element.family, tables.listing(self._nft, element.family))
            self._listed[element.family] = {one.key: one for one in present}
        return self._listed[element.family].get(element.key)


# --- what goes together ---------------------------------------------------------------------------------------------


def gather(operations: Sequence[Operation]) -> list[Operation]:
    """Return ``operations`` with the elements of a table that is written directly behind it.

    So they are in its transaction, and there is no moment at which the table stands without them.  What fills a
    filter may come earlier than asked.  From the first removal or change of an element on everything keeps its
    place.
    """
    result: list[Operation] = []
    moved: set[int] = set()
    for position, operation in enumerate(operations):
        if position in moved:
            continue
        result.append(operation)
        if _writes_table(operation):
            fillers = _fillers(operations, position)
            moved.update(fillers)
            result.extend(operations[filler] for filler in fillers)
    return result


def _writes_table(operation: Operation) -> bool:
    return isinstance(target(operation), Table) and not isinstance(operation, Remove)


def _fillers(operations: Sequence[Operation], position: int) -> list[int]:
    """Return where the elements are that can be written together with the table at ``position``."""
    table = target(operations[position])
    found = []
    for later in range(position + 1, len(operations)):
        thing = target(operations[later])
        if isinstance(thing, Table | Element) and isinstance(table, Table) and thing.family == table.family:
            if not (isinstance(thing, Element) and isinstance(operations[later], Add)):
                break
            found.append(later)
    return found


def _units(operations: Sequence[Operation]) -> Iterator[Sequence[Operation]]:
    """Yield a table with the elements that are to be written with it, and other elements as far as they reach."""
    position = 0
    while position < len(operations):
        end = position + 1
        if _writes_table(operations[position]):
            fillers = set(_fillers(operations, position))
            while end in fillers:
                end += 1
        elif isinstance(target(operations[position]), Element):
            while end < len(operations) and isinstance(target(operations[end]), Element):
                end += 1
        yield operations[position:end]
        position = end
