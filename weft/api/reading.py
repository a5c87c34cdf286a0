"""Requests are read here, and nowhere else: path, query and body become a Call or an InvalidInput.

Whatever arrives is hostile until it has passed through.  The size of a body is bounded and so is the time that it
may take to arrive; JSON that two parsers could read in two ways (a key twice, NaN, bytes that are no UTF-8) is refused.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote_to_bytes

from starlette.requests import Request

from weft.api import limits
from weft.api.route import Query, Route
from weft.model.base import decode
from weft.model.errors import InvalidInput, RequestTooLarge, RequestTooSlow

#: Seconds within which a body must have arrived.
PATIENCE = 10.0


def read_name(request: Request) -> str:
    """Return the name in the path, '' for a path without one."""
    try:
        return unquote_to_bytes(request.path_params.get("name", "")).decode()
    except UnicodeDecodeError:
        raise InvalidInput("the name in the path is not UTF-8") from None


def read_query(request: Request, known: Iterable[Query]) -> dict[str, Any]:
    """Return the query's values, typed, with defaults.

    An unknown parameter is refused: 'dryrun' must not lead to a change by being overlooked.
    """
    values: dict[str, Any] = {query.name: query.default for query in known}
    kinds = {query.name: query for query in known}
    seen: set[str] = set()
    for name, text in request.query_params.multi_items():
        if name not in kinds:
            raise InvalidInput(f"there is no parameter {name!r} here", f"Known are: {', '.join(kinds) or 'none'}.")
        if name in seen:
            raise InvalidInput(f"parameter {name!r} is given twice")
        seen.add(name)
        values[name] = _value(kinds[name], text)
    return values


def _value(query: Query, text: str) -> Any:
    if query.kind is str:
        return text
    if query.kind is bool:
        if text not in ("true", "false"):
            raise InvalidInput(f"{query.name}={text!r} is neither true nor false")
        return text == "true"
    try:
        number = float(text)
    except ValueError:
        raise InvalidInput(f"{query.name}={text!r} is not a number") from None
    if not 0 <= number <= (query.maximum or math.inf) or math.isinf(number):
        raise InvalidInput(f"{query.name}={text} is not between 0 and {query.maximum:g}")
    return number


async def read_body(request: Request, route: Route) -> Any:
    """Return the record that the body holds, None for a route that takes none."""
    if route.body is None:
        return None
    data = bytearray()
    try:
        async with asyncio.timeout(PATIENCE):
            async for chunk in request.stream():
                data += chunk
                if len(data) > limits.BODY:
                    raise RequestTooLarge(f"the request is longer than {limits.BODY} bytes")
    except TimeoutError:
        raise RequestTooSlow(f"the request did not arrive within {PATIENCE:g} s") from None
    text = _unambiguous(bytes(data))
    return decode(text, route.body)


def _unambiguous(data: bytes) -> str:
    """Return ``data`` as text if it is JSON that everybody reads alike (RFC 8259 leaves the rest open)."""
    try:
        text = data.decode()
        json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
    except RecursionError:
        raise InvalidInput("the request is nested too deeply") from None
    except ValueError as error:  # malformed JSON, bytes that are no UTF-8, a number of thousands of digits
        raise InvalidInput(f"the request is not JSON: {error}") from None
    return text


def _once(pairs: list[tuple[str, Any]]) -> None:
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        raise InvalidInput("an object in the request has a key twice")


def _no_constant(name: str) -> None:
    raise InvalidInput(f"{name} is not a number of JSON")
