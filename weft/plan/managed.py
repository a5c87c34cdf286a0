"""Files that weft and the people inside a container both write: which lines are weft's, and how they change.

A person who edits such a file keeps the edit, unless it is to a line that weft has to change.  Weft therefore
remembers the lines that it wrote, each in a *slot*, and touches nothing but the slots whose text has changed since.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from weft.model.base import Record


class Line(Record):
    """A line that weft wrote or wants: ``slot`` says which one it is, ``text`` what it says now."""

    slot: str
    text: str


Lines = tuple[Line, ...]

#: Whether its first argument, a line of the file, is what somebody made of the second, a line of weft's.
IsEditOf = Callable[[str, str], bool]


def merge(current: Sequence[str], before: Lines, after: Lines, is_edit_of: IsEditOf, parted: Lines = ()) -> list[str]:
    """Return the lines of the file ``current`` with weft's lines turned from ``before`` into ``after``.

    A slot that is the same in both is left alone, whatever has become of it in the file.  A changed one replaces
    weft's old line, or what somebody made of that.  A slot that is gone takes weft's line along, but not an edited
    one: weft has nothing to say there any more.  When such a slot comes back (``parted`` are those that went, with what
    they said last) and says something else, that replaces the edit.  New lines follow the last of weft's.
    """
    new = {line.slot: line.text for line in after}
    touched = [line for line in before if new.get(line.slot) != line.text]
    untouched = {line.slot for line in before} - {line.slot for line in touched}
    ours = {line.text for line in (*before, *after)}
    result: list[str | None] = list(current)
    for line in touched:
        exact = (n for n, text in enumerate(current) if text == line.text and result[n] == text)
        edits = (n for n, text in enumerate(result) if text and text not in ours and is_edit_of(text, line.text))
        place = next(exact, next(edits, None) if line.slot in new else None)
        if place is not None:
            result[place] = new.get(line.slot)
    lines = [text for text in result if text is not None]
    last = {line.slot: line.text for line in parted}
    for slot, text in new.items():
        if slot in untouched or text in lines:
            continue
        edits = (n for n, line in enumerate(lines) if line not in ours and is_edit_of(line, last[slot]))
        place = next(edits, None) if slot in last else None
        if place is None:
            lines.insert(_end_of_ours(lines, ours), text)
        elif last[slot] != text:
            lines[place] = text
    return lines


def _end_of_ours(lines: list[str], ours: set[str]) -> int:
    """Return the index after the last line of weft's; the end if none is left."""
    return max((number + 1 for number, line in enumerate(lines) if line in ours), default=len(lines))
