"""Elements of sets and maps as libnftables-json(5) writes them, and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_address
from itertools import groupby
from typing import Any, Literal

import msgspec

from weft.kernel.nftables import Command
from weft.kernel.tables import NAME
from weft.plan.objects import Element, Family

#: NFTNL_UDATA_COMMENT_MAXLEN, with the terminating NUL.
_COMMENT = 127
_VERDICTS = frozenset({"accept", "drop", "continue", "return"})
_TARGETED = frozenset({"jump", "goto"})

Component = str | int
Verb = Literal["create", "delete"]


# --- to JSON ------------------------------------------------------------------------------------------------------


def commands(verb: Verb, elements: Iterable[Element]) -> list[Command]:
    """Return what does ``verb`` to ``elements``: one command for each run of elements of one set.

    'create' refuses an element whose key is there already, 'delete' one whose key is not.
    """
    return [
        {verb: {"element": {"family": family, "table": NAME, "name": name, "elem": [_element(verb, e) for e in run]}}}
        for (family, name), run in groupby(elements, lambda element: (element.family, element.set))
    ]


def _element(verb: Verb, element: Element) -> Any:
    key = _joined([_component(part) for part in element.match])
    if verb == "delete":
        return key
    if element.comment:
        key = {"elem": {"val": key, "comment": _short(element.comment)}}
    return [key, _value(element.value)] if element.value else key


def _short(comment: str) -> str:
    return comment.encode()[:_COMMENT].decode(errors="ignore")


def _joined(parts: list[Any]) -> Any:
    return parts[0] if len(parts) == 1 else {"concat": parts}


def _component(part: Component) -> Any:
    if isinstance(part, str):
        address, slash, length = part.partition("/")  # no interface name holds a slash
        if slash:
            return {"prefix": {"addr": address, "len": int(length)}}
        first, dash, last = part.partition("-")
        if dash and _is_address(first) and _is_address(last):
            return {"range": [first, last]}
    return part


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _value(value: Sequence[Component]) -> Any:
    if len(value) == 1 and value[0] in _VERDICTS:
        return {value[0]: None}
    if len(value) == 2 and value[0] in _TARGETED:
        return {value[0]: {"target": value[1]}}
    return _joined([_component(part) for part in value])


# --- from JSON ----------------------------------------------------------------------------------------------------


def listed(family: Family, objects: Iterable[dict[str, Any]]) -> Iterator[Element]:
    """Yield the elements of the sets and maps among ``objects``, which libnftables listed."""
    for found in objects:
        owner = found.get("set") or found.get("map")
        if owner:
            for element in owner.get("elem", ()):
                yield _read(family, owner["name"], element)


def _read(family: Family, name: str, element: Any) -> Element:
    key, value = element if isinstance(element, list) else (element, None)
    comment = ""
    if isinstance(key, dict) and "elem" in key:
        comment = key["elem"].get("comment", "")
        key = key["elem"]["val"]
    return Element(family=family, set=name, match=_parts(key), value=_read_value(value), comment=comment)


def _read_value(value: Any) -> tuple[Component, ...]:
    if value is None:
        return ()
    if isinstance(value, dict):
        (verdict, argument), *_ = value.items()
        if verdict in _VERDICTS:
            return (verdict,)
        if verdict in _TARGETED:
            return (verdict, argument["target"])
    return _parts(value)


def _parts(value: Any) -> tuple[Component, ...]:
    if isinstance(value, dict) and "concat" in value:
        return tuple(_part(part) for part in value["concat"])
    return (_part(value),)


def _part(value: Any) -> Component:
    match value:
        case str() | int():
            return value
        case {"prefix": {"addr": address, "len": length}}:
            return f"{address}/{length}"
        case {"range": [first, last]}:
            return f"{first}-{last}"
    # Of a form that no planner writes: kept readable, and different from everything desired.
    return msgspec.json.encode(value).decode()
