"""Errors on the wire: RFC 9457 ``application/problem+json``, there and back.

Standard library only, because the command line imports this file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from weft.model import errors

MEDIA_TYPE = "application/problem+json"


def title(kind: type[errors.WeftError]) -> str:
    """Return what the error is in general: the first sentence of its description."""
    return " ".join((kind.__doc__ or kind.__name__).split()).partition("; ")[0].rstrip(".")


def to_problem(error: errors.WeftError, status: int) -> bytes:
    """Return ``error`` as a problem document."""
    document = {
        "type": f"urn:weft:error:{error.code}",
        "title": title(type(error)),
        "status": status,
        "detail": error.cause,
        "code": error.code,
        "hint": error.hint,
        "evidence": error.evidence,
    }
    return json.dumps(document, default=str).encode()


def from_problem(document: Any) -> errors.WeftError:
    """Return the error that a problem document describes; a code that is not known here gives a plain WeftError."""
    if not isinstance(document, dict) or not isinstance(document.get("code"), str):
        return errors.Internal("the agent answered with an error that cannot be read")
    kind = by_code().get(document["code"], errors.WeftError)
    evidence = document.get("evidence")
    error = kind(str(document.get("detail", "")), str(document.get("hint", "")))
    error.evidence = evidence if isinstance(evidence, dict) else {}
    return error


def by_code() -> dict[str, type[errors.WeftError]]:
    """Return every error class by its code.

    A room may refine an error for itself; outside it is the error that it refines, whose code it has.
    """
    codes: dict[str, type[errors.WeftError]] = {}
    for kind in descendants(errors.WeftError):
        codes.setdefault(kind.code, kind)
    return codes


def descendants(kind: type[errors.WeftError]) -> Iterator[type[errors.WeftError]]:
    """Yield ``kind`` and every class below it, each before its children."""
    yield kind
    for child in kind.__subclasses__():
        yield from descendants(child)
