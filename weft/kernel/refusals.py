"""What the kernel answered, as errors of weft."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable

from weft.model.errors import KernelRefused, Unsupported, WeftError

#: Most characters of a command in an error: a whole table is more than anybody reads.
_READABLE = 500
_LACKING = frozenset({errno.EOPNOTSUPP, errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT, errno.ENOSYS})


def refusal(number: int, commands: Iterable[str], detail: str = "") -> WeftError:
    """Return the error for ``errno`` value ``number`` in answer to what ``commands`` would do.

    Unsupported when the kernel lacks the feature, otherwise KernelRefused; ``detail`` is the kernel's own
    explanation, if it gave one.
    """
    command = _shortened("; ".join(commands))
    reason = os.strerror(number) + (f" ({detail})" if detail else "")
    kind = Unsupported if number in _LACKING else KernelRefused
    name = errno.errorcode.get(number, str(number))
    return kind(f"the kernel refused '{command}': {reason}", errno=name, command=command)


def _shortened(command: str) -> str:
    return command if len(command) <= _READABLE else command[:_READABLE] + " …"
