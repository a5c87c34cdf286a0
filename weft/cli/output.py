"""How answers are printed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from weft.model.errors import WeftError

GAP = "   "


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows in aligned columns.  What cannot be printed (or would move the cursor) shows as '?'."""
    lines = [list(headers), *([printable(str(cell)) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print(GAP.join(cells).rstrip())


def document(value: Any) -> None:
    """Print JSON."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def commands(operations: Iterable[str]) -> None:
    """Print operations, a command on each line."""
    for operation in operations:
        print(operation)


def error(problem: WeftError) -> None:
    """Print what went wrong and what would help, on standard error."""
    print(f"weft: {printable(problem.cause)}", file=sys.stderr)
    if problem.hint:
        print(f"  hint: {printable(problem.hint)}", file=sys.stderr)


def short(identifier: str) -> str:
    """Return an id as tables show it."""
    return identifier[:12]


def yes(value: object) -> str:
    """Return a switch as tables show it."""
    return "yes" if value else "no"


def printable(text: str) -> str:
    """Return ``text`` with a '?' for every character that cannot be printed or would move the cursor."""
    return "".join(character if character.isprintable() else "?" for character in text)
