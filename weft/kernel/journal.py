"""What has been done in one call, how it is undone, and what went wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from weft.plan.operations import Operation


class Journal:
    """The record of one ``apply`` (which ends at the first error) or ``withdraw`` (which goes on)."""

    def __init__(self, *, keep_going: bool) -> None:
        self._keep_going = keep_going
        self._undo: list[tuple[Operation, ...]] = []
        self.errors: list[Exception] = []

    def done(self, *undo: Operation) -> None:
        """Note that something was changed, and the operations that change it back, in their order."""
        self._undo.append(undo)

    def failed(self, error: Exception) -> None:
        """Note an error; ``check`` raises it."""
        self.errors.append(error)

    def check(self) -> None:
        """Raise the first error, unless the call goes on after errors."""
        if self.errors and not self._keep_going:
            raise self.errors[0]

    def undo(self) -> Sequence[Operation]:
        """Return the operations that undo everything noted, last first."""
        return [operation for undo in reversed(self._undo) for operation in undo]


def add_notes(error: Exception, others: Iterable[Exception]) -> None:
    """Tell with ``error`` what else went wrong while what came before it was undone."""
    for other in others:
        error.add_note(f"while undoing what came before: {other}")
