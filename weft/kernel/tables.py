"""weft's two tables: put in place with their elements, deleted, and compared with what the kernel holds.

nft does not print a table as it was written: another version may space or arrange it otherwise.  So a body is carried
out once in a namespace of its own, where it disturbs nobody, and what is printed there is its *form*.  A table is as
it should be if it is printed in that form.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Sequence
from typing import Any

from weft.kernel import namespaces
from weft.kernel.nftables import Nft, NftError
from weft.model.errors import Internal
from weft.plan.commands import nft_script
from weft.plan.objects import Element, Family, Table

#: The name of both tables.
NAME = "weft"

#: How many forms are remembered: of each table the present one and some earlier ones.
_REMEMBERED = 8

# What an element may be made of where it travels as text, beside its table: addresses, MACs, numbers, names of
# interfaces and protocols.  Everything that nft would read as syntax is missing.
_COMPONENT = re.compile(r"[A-Za-z0-9_.:/*-]+")


def script(table: Table, elements: Sequence[Element]) -> str:
    """Return what puts ``table`` and ``elements`` in place of whatever table there is, in one transaction.

    Raises Internal for an element that cannot be part of a text.
    """
    for element in elements:
        for part in (*element.match, *element.value):
            if not _COMPONENT.fullmatch(str(part)):
                raise Internal(f"{part!r} cannot be part of an element of {element.set}")
    return nft_script(table, elements)


def removal(family: Family) -> str:
    """Return what deletes the table, whether it is there or not: what is added first can be deleted."""
    return f"add table {family} {NAME}\ndelete table {family} {NAME}\n"


def listing(nft: Nft, family: Family) -> list[dict[str, Any]]:
    """Return what libnftables lists of the table with all its elements, nothing if there is no such table."""
    try:
        return nft.run([{"list": {"table": {"family": family, "name": NAME}}}])
    except NftError as error:
        if error.errno == errno.ENOENT:
            return []
        raise


def printed(nft: Nft, family: Family) -> str | None:
    """Return the table as nft prints it, without elements and counters; None if there is none."""
    try:
        return nft.script(f"list table {family} {NAME}")
    except NftError as error:
        if error.errno == errno.ENOENT:
            return None
        raise


class Forms:
    """The forms in which bodies are printed."""

    def __init__(self) -> None:
        self._known: dict[Table, str | None] = {}

    def match(self, text: str, candidates: Iterable[Table]) -> Table | None:
        """Return the one of ``candidates`` that is printed as ``text``; raise NftError if nft does not take one."""
        return next((table for table in candidates if text == table.body or text == self._of(table)), None)

    def _of(self, table: Table) -> str | None:
        if table not in self._known:
            while len(self._known) >= _REMEMBERED:
                del self._known[next(iter(self._known))]
            self._known[table] = namespaces.in_new_namespace(lambda: _carried_out(table))
        return self._known[table]


def _carried_out(table: Table) -> str | None:
    with Nft() as nft:
        nft.script(table.body)
        return printed(nft, table.family)
