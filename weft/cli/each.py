"""Commands that take several names do each, whatever becomes of the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from weft.cli import output
from weft.model.errors import AgentUnreachable, NeedsRoot, WeftError


def each(names: Iterable[str], action: Callable[[str], None]) -> int:
    """Call ``action`` with every name; print the errors as they come; return 1 if there were any, else 0."""
    code = 0
    for name in names:
        try:
            action(name)
        except (AgentUnreachable, NeedsRoot):
            raise  # the other names would fare no better
        except WeftError as error:
            output.error(error)
            code = 1
    return code
