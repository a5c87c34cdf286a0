"""The common base of every record, and the way records travel as JSON."""

from __future__ import annotations

from typing import Any, TypeVar, dataclass_transform

import msgspec

from weft.model.errors import InvalidInput


@dataclass_transform(frozen_default=True, kw_only_default=True)
class _RecordMeta(msgspec.StructMeta):
    """Tells type checkers that every record is frozen, which msgspec inherits but cannot declare."""


class Record(msgspec.Struct, metaclass=_RecordMeta, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """An immutable record.  Unknown fields are refused, so a misspelt option cannot be ignored silently."""


R = TypeVar("R")


def encode(record: Any) -> bytes:
    """Return ``record`` as JSON."""
    return msgspec.json.encode(record)


def decode(data: bytes | str, kind: type[R]) -> R:
    """Return the record of type ``kind`` that ``data`` (JSON) holds; raise InvalidInput if it does not."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidInput(f"malformed {kind.__name__}: {error}") from error


def to_builtins(record: Any) -> Any:
    """Return ``record`` as plain dicts, lists, strings and numbers."""
    return msgspec.to_builtins(record)


def replace(record: R, **changes: Any) -> R:
    """Return a copy of ``record`` with some fields changed."""
    return msgspec.structs.replace(record, **changes)  # type: ignore[type-var]
